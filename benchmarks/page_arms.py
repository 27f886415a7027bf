"""Pages in a real Chromium: how soon they are usable, how fast they switch, who can read them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from benchmarks.console_driver import (
    ROOT,
    Browser,
    Console,
    open_page,
    serve_script,
    wait_until_idle,
)

MAP = '[data-testid="stDeckGlJsonChart"] canvas'
BARE_PAGE = ROOT / "benchmarks" / "bare_page.py"
SERIOUS = ("serious", "critical")
PAGES = (
    "", "region", "explore", "new-region", "calibrate", "label-next", "compare", "scenes", "jobs",
    "cost",
)  # fmt: skip
"""Paths of all pages; a test holds them against the navigation."""


def time_first_page(browser: Browser, console: Console) -> float:
    """Return the seconds from navigation until the map is drawn and the script has ended.

    In a new tab with an empty cache: what a person meets who opens the address.
    """
    page = browser.context.new_page()
    session = browser.context.new_cdp_session(page)
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    started = time.monotonic()
    page.goto(console.url)
    page.locator(MAP).first.wait_for(state="visible")
    wait_until_idle(page)
    seconds = time.monotonic() - started
    page.close()
    return seconds


def measure_first_page(
    browser: Browser, console: Console, *, repeats: int
) -> dict[str, list[float]]:
    """Return the seconds of the first page and, in turn, of the least page of the framework.

    The first of each warms its server and is not told.
    """
    seconds: dict[str, list[float]] = {"console": [], "bare_page": []}
    with serve_script(BARE_PAGE, console.folder) as bare:
        for _ in range(repeats + 1):
            seconds["console"].append(time_first_page(browser, console))
            seconds["bare_page"].append(time_first_page(browser, bare))
    return {name: values[1:] for name, values in seconds.items()}


def measure_switches(browser: Browser, console: Console, *, repeats: int) -> list[float]:
    """Return the seconds of switches of the metric and of the region, half of each."""
    page = browser.page
    open_page(browser, console)
    page.locator(MAP).first.wait_for(state="visible")
    titles = ["Reach", "Accuracy"]
    seconds = []
    for turn in range(repeats // 2):
        title = titles[turn % 2]
        started = time.monotonic()
        page.get_by_role("radio", name=title).or_(
            page.get_by_role("button", name=title, exact=True)
        ).first.click()
        page.get_by_role("img", name=f"Legend: {title}").first.wait_for()
        wait_until_idle(page)
        seconds.append(time.monotonic() - started)
    open_page(browser, console, "region", region="square-000")
    for turn in range(repeats - repeats // 2):
        name = f"Square {37 * (turn + 1) % 499:03d}"
        picker = page.get_by_role("combobox").first
        picker.fill(name)
        page.get_by_role("option", name=name).first.wait_for()
        started = time.monotonic()
        picker.press("Enter")
        page.get_by_role("heading", name=name).first.wait_for()
        wait_until_idle(page)
        seconds.append(time.monotonic() - started)
    return seconds


def find_barriers(page: Page, where: str) -> list[dict[str, Any]]:
    """Return axe-core's serious and critical findings on a page, with the elements concerned.

    What is found must be there at a second look: a page that is drawn anew at the first is pale.
    """
    found = _run_axe(page)
    if any(violation["impact"] in SERIOUS for violation in found):
        again = {violation["id"] for violation in _run_axe(page)}
        found = [violation for violation in found if violation["id"] in again]
    return [
        {
            "page": where,
            "rule": violation["id"],
            "impact": violation["impact"],
            "help": violation["help"],
            "elements": [node["html"][:300] for node in violation["nodes"][:5]],
        }
        for violation in found
        if violation["impact"] in SERIOUS
    ]


def _run_axe(page: Page) -> list[dict[str, Any]]:
    wait_until_idle(page)
    # What waits for its next run is paled, and comes back slowly.
    page.wait_for_function("() => !document.querySelector('[data-stale=\"true\"]')")
    page.wait_for_timeout(1200)
    violations: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return violations


def audit_pages(
    browser: Browser,
    console: Console,
    region_id: str,
    *,
    paths: Sequence[str] = PAGES,
    schemes: Sequence[str] = ("light", "dark"),
) -> list[dict[str, Any]]:
    """Return the findings over pages, in the light and in the dark theme."""
    barriers = []
    for scheme in schemes:
        browser.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        for path in paths:
            open_page(browser, console, path, region=region_id)
            barriers += find_barriers(browser.page, f"{path or 'regions'}, {scheme}")
    browser.page.emulate_media(color_scheme="light")
    return barriers


def summarize_seconds(seconds: list[float]) -> dict[str, float]:
    """Return median and extremes."""
    return {
        "median": statistics.median(seconds),
        "min": min(seconds),
        "max": max(seconds),
    }
