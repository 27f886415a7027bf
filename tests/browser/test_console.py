"""The first page paints, a region refreshes once and then has nothing to compute."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from benchmarks.console_driver import (
    Browser,
    Console,
    open_page,
    press,
    run_tour,
    upload_labels,
    wait_for_text,
    wait_until_idle,
)
from geotransfer.testing.points import write_points_csv
from geotransfer.testing.world import World

pytestmark = pytest.mark.browser

MAP = '[data-testid="stDeckGlJsonChart"] canvas'


def take_map(page: Page) -> np.ndarray:
    """Pixels of the regions map, shape (y, x, 3)."""
    picture = page.locator(MAP).first.screenshot()
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))


def find_filled(pixels: np.ndarray) -> np.ndarray:
    """Where the map shows a saturated colour: land and water of the base map are pale."""
    spread = pixels.max(axis=2).astype(int) - pixels.min(axis=2)
    return spread > 60


def wait_for_paint(page: Page) -> np.ndarray:
    page.locator(MAP).first.wait_for(state="visible")
    for _ in range(60):
        pixels = take_map(page)
        if find_filled(pixels).mean() > 0.05:
            return pixels
        page.wait_for_timeout(500)
    raise AssertionError("the regions were never painted")


def test_first_light(browser: Browser, console: Console, world: World) -> None:
    page = browser.page
    open_page(browser, console)
    filled = find_filled(wait_for_paint(page))
    expect(page.get_by_text("Reach · Real · tables").first).to_be_visible()
    expect(page.get_by_role("img", name="Legend: Accuracy").first).to_be_visible()

    # A person clicks into the middle of the largest coloured run of pixels.
    row = int(filled.sum(axis=1).argmax())
    cols = np.flatnonzero(filled[row])
    place = {"x": int(cols[len(cols) // 2]), "y": row}
    page.locator(MAP).first.hover(position=place)
    page.wait_for_timeout(700)
    page.locator(MAP).first.click(position=place, delay=150)
    wait_for_text(page, "leave-one-region-out, n =")
    press(page, "Open region")
    wait_for_text(page, "Real reference samples without imagery")

    region_id = world.targets[0].region_id
    open_page(browser, console, "region", region=region_id)
    wait_for_text(page, "Nothing here says anything about a real place")
    wait_for_text(page, "No map yet")
    press(page, "Refresh map")
    wait_for_text(page, "4 computed", timeout_s=180)
    picture = page.get_by_alt_text("Class map").first
    expect(picture).to_be_visible()
    page.wait_for_function(
        "() => [...document.querySelectorAll('img[alt=\"Class map\"]')].some(i => i.naturalWidth)"
    )
    press(page, "Refresh map")
    wait_for_text(page, "nothing to compute", timeout_s=60)
    assert browser.foreign == []


def test_the_calibration_tour(
    browser: Browser, console: Console, world: World, tmp_path: Path
) -> None:
    page = browser.page
    made = world.sources[0]
    items, outline = made.items_path, made.outline_path

    open_page(browser, console, "new-region")
    page.locator('input[type="file"]').first.set_input_files(str(outline))
    wait_for_text(page, "is a usable outline")
    page.get_by_role("textbox", name="Name", exact=True).fill("Tour region")
    page.get_by_role("textbox", name="Name", exact=True).press("Enter")
    press(page, "Add region")
    wait_for_text(page, "Added Tour region")
    page.get_by_role("textbox", name="Catalog").fill(str(items))
    page.get_by_role("textbox", name="Catalog").press("Enter")
    press(page, "Add all without looking")
    open_page(browser, console, "region", region="tour-region")
    wait_for_text(page, "1 computed", timeout_s=180)
    page.get_by_role("tab", name="Scenes").click()
    wait_for_text(page, "12 scenes on a grid of")

    labels = tmp_path / "points.csv"
    write_points_csv(made, labels, 100, seed=2, n_bad=6)
    open_page(browser, console, "calibrate", region="tour-region")
    upload_labels(page, labels)
    wait_for_text(page, "7 rows cannot be used, each for this reason")
    expect(page.get_by_role("button", name="Download the rejected rows")).to_be_visible()
    run_tour(browser, console, "tour-region", labels)
    wait_for_text(page, "Accuracy, random beside spatially separated")

    reason = page.get_by_role("textbox", name="Reason (needed to override")
    reason.fill("checked in the browser test")
    reason.press("Enter")
    wait_until_idle(page)
    press(page, "Promote tour-region v1")
    wait_for_text(page, "Before and after the last change of model", timeout_s=120)
    wait_for_text(page, "Serving now: tour-region v1", timeout_s=60)
    press(page, "Roll back")
    wait_for_text(page, "Serving now: the global model", timeout_s=60)
    assert browser.foreign == []


def test_every_page_opens_without_an_error(
    browser: Browser, console: Console, world: World
) -> None:
    for path in ("", "region", "explore", "new-region", "calibrate", "jobs", "cost"):
        open_page(browser, console, path, region=world.targets[0].region_id)
        assert browser.page.locator('[data-testid="stException"]').count() == 0, path
    assert browser.foreign == []
