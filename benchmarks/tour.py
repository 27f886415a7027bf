"""The tour in a browser: seconds from the upload of 100 points to a verdict on the page."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.console_driver import find_chromium, open_browser, run_tour, serve
from benchmarks.console_places import N_LABELS, make_tour_place

SEED = 7
SIZE_PX = 512


def measure_tour() -> tuple[float | None, str]:
    """Return the seconds, or None with the reason."""
    if find_chromium() is None:
        return None, "needs Chromium on PATH"
    with tempfile.TemporaryDirectory() as name:
        place = make_tour_place(Path(name), seed=SEED, size_px=SIZE_PX)
        with serve(place.workspace.folder) as console, open_browser() as browser:
            seconds = run_tour(browser, console, place.region_ids[0], place.labels)
    return seconds, f"simulated region of {SIZE_PX}² pixels, {N_LABELS} labels, real Chromium"
