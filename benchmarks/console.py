"""Explore: how the console feels, holds up and whom it shuts out, in a real Chromium.

``python -m benchmarks.console --json [--quick]``. The tour's workspace is a simulated region with a
map beside the shipped reference regions; the same with 500 regions more is what switches are
timed on. Times are a person's: from the click until the page shows the answer and rests.
"""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.console_driver import find_chromium, open_browser, serve
from benchmarks.console_places import add_many_regions, make_tour_place
from benchmarks.page_arms import (
    PAGES,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much is measured."""

    size_px: int
    n_first_pages: int
    paths: tuple[str, ...]
    schemes: tuple[str, ...]
    n_browsers: int
    n_clients: int
    duration_s: float
    n_switches: int


FULL = Extent(
    size_px=512, n_first_pages=9, paths=PAGES, schemes=("light", "dark"), n_browsers=N_BROWSERS,
    n_clients=N_CLIENTS, duration_s=180.0, n_switches=20,
)  # fmt: skip
QUICK = Extent(
    size_px=128, n_first_pages=1, paths=("", "explore"), schemes=("light",), n_browsers=0,
    n_clients=4, duration_s=6.0, n_switches=4,
)  # fmt: skip


def judge(figure_id: str, value: float | None, *, n: int, note: str) -> dict[str, Any]:
    """Return one figure of this benchmark."""
    return make_figure(figure_id, value, high=LIMITS[figure_id], n=n, seed=SEED, note=note)


def measure_pages(extent: Extent) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the figures that need a browser, and their arms."""
    with tempfile.TemporaryDirectory() as name:
        place = make_tour_place(Path(name), seed=SEED, size_px=extent.size_px, has_reference=True)
        region_id = place.region_ids[0]
        with serve(place.workspace.folder) as console:
            with open_browser() as browser:
                firsts = measure_first_page(browser, console, repeats=extent.n_first_pages)
                barriers = audit_pages(
                    browser, console, region_id, paths=extent.paths, schemes=extent.schemes
                )
                foreign = list(browser.foreign)
            sessions = measure_sessions(
                console,
                region_id,
                place.labels,
                duration_s=extent.duration_s,
                n_browsers=extent.n_browsers,
                n_clients=extent.n_clients,
            )
            add_many_regions(place.workspace, N_REGIONS)
            with open_browser() as browser:
                switches = measure_switches(browser, console, repeats=extent.n_switches)
                foreign += browser.foreign
    first, bare = firsts["console"], firsts["bare_page"]
    foreign += sessions.foreign
    figures = [
        judge(
            "first_page_s", statistics.median(first), n=len(first),
            note="new tab, empty cache, warm server; until the map is drawn and the script rests;"
            f" a bare page of the same framework, in turn: {statistics.median(bare):.2f} s",
        ),
        judge(
            "switch_s", statistics.median(switches), n=len(switches),
            note=f"{N_REGIONS} regions more; half switches of metric, half of region",
        ),
        *_judge_sessions(sessions, extent),
        judge(
            "foreign_requests", len(foreign), n=1,
            note="the audited pages, the tour, the switches",
        ),
        judge(
            "axe_serious", len(barriers), n=len(extent.paths) * len(extent.schemes),
            note=f"findings over {len(extent.paths)} pages, {' and '.join(extent.schemes)} theme",
        ),
    ]  # fmt: skip
    arms = {
        "first_page_s": {
            "console": summarize_seconds(first),
            "bare_page": summarize_seconds(bare),
            "ratio": statistics.median(a / b for a, b in zip(first, bare, strict=True)),
        },
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


def _judge_sessions(sessions: Sessions, extent: Extent) -> list[dict[str, Any]]:
    n = extent.n_browsers + extent.n_clients
    before_mb = sessions.memory_mb[0][1]
    peak_mb = max(mb for _, mb in sessions.memory_mb)
    late = [mb for at_s, mb in sessions.memory_mb if at_s >= FIRST_MINUTE_S]
    growth = f"{late[-1] - late[0]:+.0f} MB after the first minute" if late else "under a minute"
    return [
        judge(
            "sessions", len(sessions.errors), n=n,
            note=f"{sum(sessions.steps.values())} steps in {extent.duration_s:.0f} s",
        ),
        judge("session_mb", (peak_mb - before_mb) / n, n=n, note=growth),
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
        pages, page_arms = measure_pages(QUICK if quick else FULL)
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
