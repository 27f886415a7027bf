"""Places are asked for, drawn on the map, labelled one at a time, and judged as a sample."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from benchmarks.console_driver import Browser, Console, open_page, press, wait_for_text
from geotransfer.testing.world import World

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_sample_is_drawn_labelled_and_recognised(
    browser: Browser, console: Console, world: World
) -> None:
    page = browser.page
    region_id = world.targets[0].region_id
    open_page(browser, console, "region", region=region_id)
    press(page, "Refresh map")
    wait_for_text(page, "tiles kept", timeout_s=180)
    open_page(browser, console, "label-next", region=region_id)
    page.get_by_text("Probability sample, for accuracy and area").first.click()
    page.get_by_label("Places", exact=True).first.fill("4")
    page.get_by_label("Places", exact=True).first.press("Enter")
    press(page, "Suggest places")
    wait_for_text(page, "4 places", timeout_s=60)
    expect(page.locator("canvas.maplibregl-canvas").first).to_be_visible()
    page.get_by_text("Label them here, one at a time").first.click()
    for number in (1, 2, 3, 4):
        wait_for_text(page, f"Place {number}")
        press(page, "crop" if number % 2 else "non-crop")
    wait_for_text(page, "Every place was looked at")
    press(page, "Save 4 holdout labels")
    wait_for_text(page, "Saved 4 holdout labels")
    open_page(browser, console, "region", region=region_id)
    press(page, "Evaluate")
    page.get_by_role("tab", name="Accuracy").click()
    wait_for_text(page, "Design-based.", timeout_s=60)
    assert browser.foreign == []
