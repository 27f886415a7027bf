"""The tour by keyboard alone: from the upload to a verdict and a promotion, no mouse."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page

from benchmarks.console_driver import (
    Browser,
    Console,
    open_page,
    upload_labels,
    wait_for_text,
)
from benchmarks.page_arms import PAGES, find_barriers
from geotransfer.settings import read_settings
from geotransfer.store.workspace import open_workspace
from geotransfer.testing.points import write_points_csv
from geotransfer.testing.world import World
from geotransfer.workflows.refresh import refresh

pytestmark = pytest.mark.browser

MAX_TABS = 120
FOCUSED = """() => {
  const e = document.activeElement;
  const acts = e && e.matches('a, button, input, textarea, [role=radio], [role=tab]');
  return acts ? [e.getAttribute('aria-label'), e.innerText, e.value].filter(Boolean).join(' ') : '';
}"""


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the focus is on what bears a name."""
    met: list[str] = []
    for _ in range(MAX_TABS):
        page.keyboard.press("Tab")
        met.append(page.evaluate(FOCUSED))
        if name in met[-1]:
            return
    raise AssertionError(f"the keyboard never came to {name!r}; it met {sorted(set(met))}")


@pytest.fixture
def mapped(console: Console, world: World) -> str:
    region_id = world.targets[0].region_id
    settings = read_settings({}, {"workspace": str(console.folder), "tile_px": 64})
    refresh(open_workspace(settings), region_id, actor="test")
    return region_id


def test_the_tour_by_keyboard_alone(
    browser: Browser, console: Console, world: World, mapped: str, tmp_path: Path
) -> None:
    page = browser.page
    labels = tmp_path / "points.csv"
    write_points_csv(world.targets[0], labels, 60, seed=2)

    open_page(browser, console)
    tab_to(page, "Calibrate")
    page.keyboard.press("Enter")
    wait_for_text(page, "Label file")

    open_page(browser, console, "calibrate", region=mapped)
    # The file dialog itself is the operating system's.
    tab_to(page, "Upload")
    upload_labels(page, labels)
    wait_for_text(page, "Good rows")
    tab_to(page, "good labels")
    page.keyboard.press("Enter")
    wait_for_text(page, "Next: fine-tune")
    tab_to(page, "Fine-tune")
    page.keyboard.press("Enter")
    page.locator("#verdict").first.wait_for(state="visible", timeout=180_000)
    wait_for_text(page, "Accuracy, random beside spatially separated", timeout_s=180)
    tab_to(page, "Promote")


def test_nothing_serious_shuts_anybody_out(browser: Browser, console: Console, mapped: str) -> None:
    """Every page by axe-core; the benchmark does the same in both themes."""
    found = []
    for path in PAGES:
        open_page(browser, console, path, region=mapped)
        found += find_barriers(browser.page, path or "regions")
    assert not found, [(f["page"], f["rule"], f["elements"]) for f in found]
