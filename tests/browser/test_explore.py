"""Explore, Compare and the report in a real browser: addresses, themes, clicks, keys, downloads."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from benchmarks.console_driver import (
    Browser,
    Console,
    open_page,
    serve,
    upload_labels,
    wait_for_text,
    wait_until_idle,
)
from geotransfer.registry.versions import find_baseline
from geotransfer.settings import read_settings
from geotransfer.store.workspace import open_workspace
from geotransfer.testing.points import write_points_csv
from geotransfer.testing.world import World
from geotransfer.workflows.refresh import refresh
from tests.workflows.conftest import make_model_bytes, register_baseline, set_up_region

pytestmark = pytest.mark.browser

MAP = '[data-part="after"] canvas'


@pytest.fixture(scope="module")
def mapped_console(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Console, str]]:
    """One simulated region with two maps by two models; the newer serves."""
    folder = tmp_path_factory.mktemp("explore") / "workspace"
    settings = read_settings({}, {"workspace": str(folder), "tile_px": 64, "n_threads": 1})
    workspace = open_workspace(settings, create=True)
    region_id = set_up_region(workspace, world.targets[0], make_model_bytes()[0]).region.region_id
    refresh(workspace, region_id, actor="test")
    register_baseline(workspace, make_model_bytes(1)[0])
    refresh(workspace, region_id, actor="test")
    assert find_baseline(workspace, "s2-semiannual")
    with serve(Path(folder)) as running:
        yield running, region_id


def wait_for_view(page: Page, view: str) -> None:
    """Wait until the address says where the map looks."""
    page.wait_for_url(re.compile(f"view={view}"), timeout=30_000)


def test_an_address_restores_what_was_seen_and_follows_it(
    browser: Browser, mapped_console: tuple[Console, str], world: World
) -> None:
    console, region_id = mapped_console
    page = browser.page
    page.emulate_media(color_scheme="dark")
    ring = world.targets[0].outline["coordinates"][0]
    lon, lat = (sum(place[axis] for place in ring[:-1]) / (len(ring) - 1) for axis in (0, 1))
    open_page(
        browser, console, "explore", region=region_id, layer="change",
        view=f"{lon:.5f},{lat:.5f},15.00",
    )  # fmt: skip
    canvas = page.locator(MAP)
    expect(canvas).to_be_visible(timeout=60_000)
    expect(page.get_by_role("radio", name="Change since the map before")).to_be_checked()
    expect(page.get_by_role("img", name="Legend: as before, became")).to_be_visible()
    expect(page.locator('[data-part="frame"]')).to_have_attribute("data-theme", "dark")
    dark = page.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor")
    assert max(int(part) for part in re.findall(r"\d+", dark)[:3]) < 60

    # By keyboard alone: zoom in, then ask what is at the centre.
    canvas.focus()
    page.keyboard.press("+")
    wait_for_view(page, f"{lon:.3f}[0-9]*%2C{lat:.3f}[0-9]*%2C16")
    page.keyboard.press("Enter")
    expect(page.locator("#pixel")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("scenes touch its tile")).to_be_visible()
    expect(page.get_by_role("tab", name="Scenes (12)")).to_be_visible()

    # The address is enough for another person's browser.
    page.goto(page.url)
    wait_until_idle(page)
    canvas.focus()
    page.keyboard.press("-")
    wait_for_view(page, f"{lon:.3f}[0-9]*%2C{lat:.3f}[0-9]*%2C15")

    # Without a file: two labels by keyboard, undone, saved.
    page.get_by_text("Label by clicking", exact=True).click()
    wait_for_text(page, "Click on the map to add a label")
    hint = page.locator('[data-part="hint"]')
    for n_drawn in range(3):
        expect(hint).to_contain_text(f"{n_drawn} drawn", timeout=30_000)
        canvas.focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(500)
        page.keyboard.press("Enter")
    expect(hint).to_contain_text("3 drawn", timeout=30_000)
    wait_for_text(page, "Drawn: 3 ")
    page.get_by_role("button", name="Undo").click()
    wait_for_text(page, "Drawn: 2 ")
    page.get_by_role("button", name="Save 2 labels").click()
    wait_for_text(page, "Saved. Fine-tune them")
    assert browser.foreign == []


@pytest.mark.slow
def test_two_maps_an_upload_and_a_report(
    browser: Browser, mapped_console: tuple[Console, str], world: World, tmp_path: Path
) -> None:
    console, region_id = mapped_console
    page = browser.page
    open_page(browser, console, "compare", a=f"{region_id}:x", b=f"{region_id}:y")
    expect(page.get_by_role("slider", name="baseline at the left")).to_be_visible(timeout=60_000)
    wait_for_text(page, "A global model passes no gates")
    page.get_by_text("Side by side", exact=True).click()
    expect(page.locator(MAP)).to_have_count(2, timeout=60_000)
    page.wait_for_url(re.compile("maps=pair"))

    labels = tmp_path / "points.csv"
    write_points_csv(world.targets[0], labels, 30, seed=5, n_bad=4)
    open_page(browser, console, "calibrate", region=region_id)
    with page.expect_response(re.compile(r"/geo/vector/preview/[0-9a-f]{40}\.geojson")) as preview:
        upload_labels(page, labels)
    assert len(preview.value.json()["features"]) >= 30

    open_page(browser, console, "region", region=region_id)
    page.get_by_role("tab", name="Report and downloads").click()
    with page.expect_download() as saved:
        page.get_by_role("link", name="Download everything").click()
    with zipfile.ZipFile(io.BytesIO(Path(saved.value.path()).read_bytes())) as archive:
        assert archive.testzip() is None
        assert f"{region_id}/change.qml" in archive.namelist()
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Open the report").click()
    report = opened.value
    report.wait_for_load_state()
    expect(report.get_by_role("heading", name="Lineage")).to_be_visible()
    assert report.locator("figure img").evaluate("image => image.naturalWidth") == 128
    assert browser.foreign == []
