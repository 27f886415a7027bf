"""CPU of refreshes through the real pipeline, on rasters on disk, against full recomputation."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from benchmarks.change_arms import FIRST_YEAR, N_BEFORE, N_EVENTS, N_SCENES, YEAR
from geotransfer.core.fact import AuditDone, RefreshDone
from geotransfer.core.region import RegionKind
from geotransfer.settings import read_settings
from geotransfer.store.tables import read_table
from geotransfer.store.workspace import Workspace, open_workspace
from geotransfer.testing import Republish, SimulatedRegion, add_scene, make_world
from geotransfer.testing.placement import spread_changes, spread_dates
from geotransfer.testing.publishing import change_region
from geotransfer.testing.region import ChangePlan
from geotransfer.workflows.maps import locate_map
from geotransfer.workflows.prepare import register_shipped_models
from geotransfer.workflows.refresh import refresh
from geotransfer.workflows.regions import add_region, find_region
from geotransfer.workflows.scene_list import load_scenes
from geotransfer.workflows.scene_update import update_scenes
from geotransfer.workflows.scenes import add_scenes, record_scenes

ACTOR = "benchmark"


@dataclass(eq=False, kw_only=True)
class YearCost:
    """A year of refreshes and some full recomputations in between."""

    ours_s: list[float] = field(default_factory=list)
    """CPU seconds of each refresh, its detector and audit included."""
    full_at: list[int] = field(default_factory=list)
    full_s: list[float] = field(default_factory=list)
    """CPU seconds of full recomputation after the steps ``full_at``."""
    stale: list[float] = field(default_factory=list)
    """Share of pixels whose class differs from full recomputation there."""
    stages: dict[str, float] = field(default_factory=dict)
    tests: dict[str, int] = field(default_factory=dict)
    """Decisions by test."""
    audit_s: float = 0.0
    cube_bytes: int = 0
    state: dict[str, Any] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """CPU of all refreshes over that of as many full recomputations (between: interpolated)."""
        full = np.interp(np.arange(len(self.ours_s)), self.full_at, self.full_s)
        return float(np.sum(self.ours_s) / full.sum())


def open_arm(folder: Path, region: SimulatedRegion, **overrides: object) -> Workspace:
    """A workspace with the region, its scenes of now and the shipped models."""
    settings = {"workspace": str(folder), "n_threads": 1, **overrides}
    workspace = open_workspace(read_settings({}, settings), create=True)
    register_shipped_models(workspace, actor=ACTOR)
    add_region(
        workspace, json.dumps(region.outline), name=region.name, actor=ACTOR,
        kind=RegionKind.SIMULATED, region_id=region.region_id,
    )  # fmt: skip
    add_scenes(workspace, region.region_id, str(region.items_path), actor=ACTOR)
    return workspace


def time_refresh(workspace: Workspace, region_id: str) -> tuple[float, RefreshDone]:
    """CPU seconds of one refresh in this process."""
    started = time.process_time()
    done = refresh(workspace, region_id, actor=ACTOR)
    return time.process_time() - started, done


def recompute(folder: Path, region: SimulatedRegion, ours: Workspace) -> tuple[float, np.ndarray]:
    """CPU seconds and classes of full recomputation: the same pipeline, nothing kept before."""
    workspace = open_arm(folder / "full", region, cube_gb=0)
    # Exactly the same scenes: a catalog is checked scene against scene as it comes in.
    record_scenes(
        workspace, find_region(workspace, region.region_id),
        list(load_scenes(ours, region.region_id).scenes), actor=ACTOR,
    )  # fmt: skip
    cpu_s, done = time_refresh(workspace, region.region_id)
    classes = read_classes(workspace, done)
    shutil.rmtree(folder / "full")
    return cpu_s, classes


def read_classes(workspace: Workspace, done: RefreshDone) -> np.ndarray:
    path = locate_map(workspace, str(done.region_id), done.map_id) / "class.tif"
    with rasterio.open(path) as file:
        return np.asarray(file.read(1))


def run_year(
    folder: Path,
    seed: int,
    *,
    size_px: int,
    changed_share: float,
    n_steps: int,
    full_at: Sequence[int],
) -> tuple[YearCost, Workspace, SimulatedRegion]:
    """Refresh after each new scene of a year; recompute fully after some of them, in turn."""
    world = make_world(
        ("eastern", "western"), 1.0, seed, folder=folder / "world", size_px=size_px,
        n_scenes=N_BEFORE, year=FIRST_YEAR, changed_share=0.0,
    )  # fmt: skip
    region = world.targets[0]
    if changed_share:
        dates = spread_changes(YEAR, N_EVENTS)
        region = change_region(region, ChangePlan(dates=dates, share=changed_share))
    workspace = open_arm(folder / "ours", region)
    refresh(workspace, region.region_id, actor=ACTOR)
    cost = YearCost()
    for step, date in enumerate(spread_dates(YEAR, N_SCENES)[:n_steps]):
        region = add_scene(region, date)
        update_scenes(workspace, region.region_id, actor=ACTOR)
        cpu_s, done = time_refresh(workspace, region.region_id)
        cost.ours_s.append(cpu_s)
        for stage, seconds in done.cost.stages.items():
            cost.stages[stage] = cost.stages.get(stage, 0.0) + seconds
        if done.decisions_id:
            for row in read_table(workspace.blobs.get(done.decisions_id)):
                cost.tests[row["test"]] = cost.tests.get(row["test"], 0) + 1
        cost.cube_bytes = done.cube_bytes
        if step in full_at:
            full_s, classes = recompute(folder, region, workspace)
            cost.full_at.append(step)
            cost.full_s.append(full_s)
            cost.stale.append(float((read_classes(workspace, done) != classes).mean()))
    audits = [r.fact for r in workspace.ledger.read(AuditDone, region_id=region.region_id)]
    cost.audit_s = sum(a.cost.cpu_s for a in audits)
    if audits:
        last = audits[-1]
        cost.state = {
            "bound": last.bound, "is_certified": last.is_certified, "n_blocks": last.total_blocks,
            "exact_pixels_checked": sum(a.n_exact for a in audits),
            "exact_pixels_wrong": sum(a.n_exact_wrong for a in audits),
            "n_tightened": sum(a.is_tightened for a in audits),
        }  # fmt: skip
    return cost, workspace, region


def republish(
    workspace: Workspace, region: SimulatedRegion, how: Republish
) -> tuple[float, RefreshDone, SimulatedRegion]:
    """Publish every scene again and refresh: CPU seconds and what was done."""
    for date in region.dates:
        region = add_scene(region, date, republish=how)
    update_scenes(workspace, region.region_id, actor=ACTOR)
    cpu_s, done = time_refresh(workspace, region.region_id)
    return cpu_s, done, region
