"""First light: ``python -m benchmarks.first_light --json``.

Does a second refresh cost nothing, is the console there at once, is the default workspace ready in
time, and is the simulated world as hard as the real one? Thresholds and seeds are fixed here.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.console_driver import find_chromium, open_browser, serve, wait_until_idle
from benchmarks.report import make_figure, make_parser, print_report
from benchmarks.world_arms import measure_world_gap
from geotransfer.core.region import RegionKind
from geotransfer.settings import read_settings
from geotransfer.store.workspace import Workspace, open_workspace
from geotransfer.testing.world import make_world
from geotransfer.workflows.prepare import prepare_workspace, register_shipped_models
from geotransfer.workflows.refresh import refresh
from geotransfer.workflows.regions import add_region
from geotransfer.workflows.scenes import add_scenes

SEED = 7
REACH = {"refresh_ratio": 0.02, "console_ready_s": 5.0, "prepare_s": 180.0}
"""Each at or below; the world judges its own gap."""


def judge(
    figure_id: str, value: float | None, *, n: int, seed: int | None, note: str
) -> dict[str, Any]:
    """Return one figure of this benchmark."""
    return make_figure(figure_id, value, high=REACH[figure_id], n=n, seed=seed, note=note)


def measure_refresh(folder: Path, *, size_px: int) -> tuple[float, dict[str, Any]]:
    """CPU of the second refresh over the first, in one process, without imports."""
    world = make_world(
        ("eastern", "western"), 1.0, SEED, folder=folder / "world", size_px=size_px, n_scenes=24
    )
    workspace = open_workspace(
        read_settings({}, {"workspace": str(folder / "refresh")}), create=True
    )
    register_shipped_models(workspace, actor="benchmark")
    costs = {}
    for made in world.regions:
        add_region(
            workspace,
            json.dumps(made.outline),
            name=made.name,
            actor="benchmark",
            kind=RegionKind.SIMULATED,
            region_id=made.region_id,
        )
        add_scenes(workspace, made.region_id, str(made.items_path), actor="benchmark")
    # The first region warms compiled code up; the second is measured.
    refresh(workspace, world.regions[0].region_id, actor="benchmark")
    region_id = world.regions[1].region_id
    for turn in ("first", "second"):
        started = time.process_time()
        done = refresh(workspace, region_id, actor="benchmark")
        costs[turn] = time.process_time() - started
        costs[f"{turn}_computed"] = done.n_computed
    return costs["second"] / costs["first"], costs


def measure_prepare(folder: Path) -> tuple[float, Workspace]:
    """Seconds to prepare the default workspace from nothing."""
    settings = read_settings({}, {"workspace": str(folder / "default")})
    workspace = open_workspace(settings, create=True)
    started = time.monotonic()
    prepare_workspace(workspace, actor="benchmark")
    return time.monotonic() - started, workspace


def measure_ready(folder: Path) -> tuple[float | None, str]:
    """Seconds from ``serve`` to a usable first page in a browser that is open already."""
    if find_chromium() is None:
        return None, "needs Chromium on PATH"
    with open_browser() as browser:
        started = time.monotonic()
        with serve(folder) as console:
            browser.page.goto(console.url)
            wait_until_idle(browser.page)
            seconds = time.monotonic() - started
    return seconds, f"first answer after {console.ready_s:.1f} s, then the page in Chromium"


def measure_all(*, quick: bool) -> dict[str, Any]:
    """Return the report."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ratio, costs = measure_refresh(folder, size_px=256 if quick else 512)
        prepare_s, workspace = measure_prepare(folder)
        ready_s, ready_note = measure_ready(workspace.folder)
    gap = measure_world_gap(quick)
    return {
        "figures": [
            judge("refresh_ratio", ratio, n=1, seed=SEED, note="simulated region, 24 scenes; CPU"),
            judge("console_ready_s", ready_s, n=1, seed=None, note=ready_note),
            judge("prepare_s", prepare_s, n=1, seed=SEED, note="after the install, in one process"),
            *[figure for figure in gap["figures"] if figure["id"] == "world_gap"],
        ],
        "arms": {"refresh": costs, "world": gap.get("arms")},
    }


def main() -> None:
    """Print the report."""
    arguments = make_parser(__doc__).parse_args()
    print_report(measure_all(quick=arguments.quick), is_json=arguments.json)


if __name__ == "__main__":
    main()
