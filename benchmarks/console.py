"""Explore: how the console feels, holds up and whom it shuts out, in a real Chromium.

``python -m benchmarks.console --json [--quick]``. The tour's workspace is a simulated region with a
map beside the shipped reference regions; the same with 500 regions more is what switches are
timed on. Times are a person's: from the click until the page shows the answer and rests.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.console_driver import find_chromium, open_browser, serve
from benchmarks.console_places import add_many_regions, make_tour_place
from benchmarks.page_arms import (
    audit_pages,
    measure_first_page,
    measure_switches,
    summarize_seconds,
)
from benchmarks.report import make_figure, make_parser, print_report
from benchmarks.session_arms import N_BROWSERS, N_CLIENTS, Sessions, measure_sessions
from benchmarks.tile_arms import tile_p95_ms, tiles_20_p95_ms
from benchmarks.upload_arms import measure_upload

SEED = 7
N_REGIONS = 500
LIMITS = {
    "first_page_s": 3.0,
    "switch_s": 0.7,
    "sessions": 0,
    "session_mb": 100.0,
    "foreign_requests": 0,
    "axe_serious": 0,
}
"""Each figure holds at or below its limit."""
IDS = (
    "first_page_s", "switch_s", "tile_p95_ms", "tiles_20_p95_ms", "sessions", "session_mb",
    "upload_rows_s", "hostile_ok", "foreign_requests", "axe_serious",
)  # fmt: skip
FIRST_MINUTE_S = 60.0


def judge(figure_id: str, value: float | None, *, n: int, note: str) -> dict[str, Any]:
    """Return one figure of this benchmark."""
    return make_figure(figure_id, value, high=LIMITS[figure_id], n=n, seed=SEED, note=note)


def measure_pages(*, quick: bool) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the figures that need a browser, and their arms."""
    figures: list[dict[str, Any]] = []
    duration_s = 20.0 if quick else 180.0
    with tempfile.TemporaryDirectory() as name:
        place = make_tour_place(
            Path(name), seed=SEED, size_px=256 if quick else 512, has_reference=True
        )
        region_id = place.region_ids[0]
        folder = place.workspace.folder
        with serve(folder) as console, open_browser() as browser:
            measure_first_page(browser, console, repeats=1)
            first = measure_first_page(browser, console, repeats=3 if quick else 9)
            barriers = audit_pages(browser, console, region_id)
            foreign = list(browser.foreign)
        with serve(folder) as console:
            sessions = measure_sessions(
                console,
                region_id,
                place.labels,
                duration_s=duration_s,
                n_browsers=1 if quick else N_BROWSERS,
                n_clients=4 if quick else N_CLIENTS,
            )
        add_many_regions(place.workspace, N_REGIONS)
        with serve(folder) as console, open_browser() as browser:
            switches = measure_switches(browser, console, repeats=6 if quick else 20)
            foreign += browser.foreign
    foreign += sessions.foreign
    figures += [
        judge(
            "first_page_s", statistics.median(first), n=len(first),
            note="new tab, empty cache, warm server; until the map is there and the script rests",
        ),
        judge(
            "switch_s", statistics.median(switches), n=len(switches),
            note=f"{N_REGIONS} regions more; half switches of metric, half of region",
        ),
        *_judge_sessions(sessions, duration_s=duration_s),
        judge(
            "foreign_requests", len(foreign), n=1,
            note="all pages in both themes, the tour, the switches",
        ),
        judge(
            "axe_serious", len(barriers), n=1, note="findings over all pages, light and dark theme"
        ),
    ]  # fmt: skip
    arms = {
        "first_page_s": summarize_seconds(first),
        "switch_s": {
            "metric": summarize_seconds(switches[: len(switches) // 2]),
            "region": summarize_seconds(switches[len(switches) // 2 :]),
        },
        "sessions": {
            "steps": dict(sessions.steps),
            "errors": sessions.errors[:20],
            "memory_mb": sessions.memory_mb[:: max(len(sessions.memory_mb) // 20, 1)],
        },
        "axe": barriers,
        "foreign": foreign[:20],
    }
    return figures, arms


def _judge_sessions(sessions: Sessions, *, duration_s: float) -> list[dict[str, Any]]:
    n = len(sessions.memory_mb) and (N_BROWSERS + N_CLIENTS)
    before_mb = sessions.memory_mb[0][1]
    peak_mb = max(mb for _, mb in sessions.memory_mb)
    late = [mb for at_s, mb in sessions.memory_mb if at_s >= FIRST_MINUTE_S]
    growth = f"{late[-1] - late[0]:+.0f} MB after the first minute" if late else "under a minute"
    return [
        judge(
            "sessions", len(sessions.errors), n=n,
            note=f"{sum(sessions.steps.values())} steps in {duration_s:.0f} s",
        ),
        judge("session_mb", (peak_mb - before_mb) / max(n, 1), n=n, note=growth),
    ]  # fmt: skip


def measure_all(*, quick: bool) -> dict[str, Any]:
    """Return the report."""
    tiles = [tile_p95_ms(quick=quick), tiles_20_p95_ms(quick=quick)]
    upload = measure_upload(quick)
    figures = [*tiles, *upload["figures"]]
    arms: dict[str, Any] = {"upload": upload.get("arms")}
    if find_chromium() is None:
        figures += [judge(i, None, n=0, note="needs Chromium on PATH") for i in LIMITS]
    else:
        pages, page_arms = measure_pages(quick=quick)
        figures += pages
        arms |= page_arms
    by_id = {figure["id"]: figure for figure in figures}
    return {"figures": [by_id[i] for i in IDS], "arms": arms}


def main() -> None:
    """Print the report."""
    arguments = make_parser(__doc__).parse_args()
    print_report(measure_all(quick=arguments.quick), is_json=arguments.json)


if __name__ == "__main__":
    main()
