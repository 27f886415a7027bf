"""Workspaces a console is measured on: the tour's simulated region, and hundreds of regions."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from geotransfer.core.fact import RegionAdded, RegionEvaluated
from geotransfer.core.region import Region, RegionKind
from geotransfer.settings import read_settings
from geotransfer.store.workspace import Workspace, open_workspace
from geotransfer.testing.points import write_points_csv
from geotransfer.testing.world import make_world
from geotransfer.workflows.prepare import add_reference_regions, register_shipped_models
from geotransfer.workflows.refresh import refresh
from geotransfer.workflows.regions import add_region
from geotransfer.workflows.scenes import add_scenes

N_LABELS = 100
ACTOR = "benchmark"


@dataclass(frozen=True, slots=True, kw_only=True)
class TourPlace:
    """A workspace in which the whole tour can be walked."""

    workspace: Workspace
    region_ids: tuple[str, ...]
    """Simulated regions with a map and no labels yet."""
    labels: Path
    """CSV of calibration points in the first region, six of its rows spoiled."""


def make_tour_place(
    folder: Path, *, seed: int, size_px: int, has_reference: bool = False
) -> TourPlace:
    """Make a simulated world's target region, with its scenes, its map and a file of points."""
    made = make_world(
        ("eastern", "western"), 1.0, seed, folder=folder / "world", size_px=size_px
    ).targets[0]
    workspace = open_workspace(
        read_settings({}, {"workspace": str(folder / "workspace")}), create=True
    )
    register_shipped_models(workspace, actor=ACTOR)
    if has_reference:
        add_reference_regions(workspace, actor=ACTOR)
    add_region(
        workspace,
        json.dumps(made.outline),
        name=made.name,
        actor=ACTOR,
        kind=RegionKind.SIMULATED,
        region_id=made.region_id,
    )
    add_scenes(workspace, made.region_id, str(made.items_path), actor=ACTOR)
    refresh(workspace, made.region_id, actor=ACTOR)
    labels = folder / "points.csv"
    write_points_csv(made, labels, N_LABELS, seed=2, n_bad=6)
    return TourPlace(workspace=workspace, region_ids=(made.region_id,), labels=labels)


def add_many_regions(workspace: Workspace, n: int) -> None:
    """Add squares of one degree all over the world, each with a reference region's evaluation."""
    evaluated = workspace.ledger.read(RegionEvaluated)
    for index in range(n):
        west, south = -170.0 + 11 * (index % 31), -55.0 + 7 * (index // 31)
        ring = [[west, south], [west + 1, south], [west + 1, south + 1], [west, south + 1]]
        region_id = f"square-{index:03d}"
        region = Region(
            region_id=region_id,
            name=f"Square {index:03d}",
            kind=RegionKind.TABLE,
            outline=json.dumps({"type": "Polygon", "coordinates": [[*ring, ring[0]]]}),
            area_km2=12_000.0,
            spec_name="s2-semiannual",
            legend_name="cropland",
        )
        workspace.ledger.append(RegionAdded(region_id=region_id, region=region), actor=ACTOR)
        fact = evaluated[index % len(evaluated)].fact
        workspace.ledger.append(replace(fact, region_id=region_id), actor=ACTOR)
