"""The tour in a browser: seconds from the upload of 100 points to a verdict on the page."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from benchmarks.console_driver import find_chromium, open_browser, run_tour, serve
from geotransfer.core.region import RegionKind
from geotransfer.settings import read_settings
from geotransfer.store.workspace import open_workspace
from geotransfer.testing.points import write_points_csv
from geotransfer.testing.world import make_world
from geotransfer.workflows.prepare import register_shipped_models
from geotransfer.workflows.refresh import refresh
from geotransfer.workflows.regions import add_region
from geotransfer.workflows.scenes import add_scenes

SEED = 7
N_LABELS = 100
SIZE_PX = 512


def measure_tour() -> tuple[float | None, str]:
    """Return the seconds, or None with the reason."""
    if find_chromium() is None:
        return None, "needs Chromium on PATH"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        world = make_world(
            ("eastern", "western"), 1.0, SEED, folder=folder / "world", size_px=SIZE_PX
        )
        made = world.targets[0]
        workspace = open_workspace(
            read_settings({}, {"workspace": str(folder / "workspace")}), create=True
        )
        register_shipped_models(workspace, actor="benchmark")
        add_region(
            workspace,
            json.dumps(made.outline),
            name=made.name,
            actor="benchmark",
            kind=RegionKind.SIMULATED,
            region_id=made.region_id,
        )
        add_scenes(workspace, made.region_id, str(made.items_path), actor="benchmark")
        refresh(workspace, made.region_id, actor="benchmark")
        labels = folder / "points.csv"
        write_points_csv(made, labels, N_LABELS, seed=2, n_bad=6)
        with serve(workspace.folder) as console, open_browser() as browser:
            seconds = run_tour(browser, console, made.region_id, labels)
    return seconds, f"simulated region of {SIZE_PX}² pixels, {N_LABELS} labels, real Chromium"
