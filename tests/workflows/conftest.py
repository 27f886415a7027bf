"""A small simulated region with a model, on disk, for the workflows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from geotransfer.core.cost import RunCost
from geotransfer.core.legend import CROPLAND
from geotransfer.core.region import Region, RegionKind
from geotransfer.core.spec import S2_SEMIANNUAL
from geotransfer.registry.versions import register_model
from geotransfer.store.workspace import Workspace, open_workspace
from geotransfer.testing.world import SimulatedRegion, World, make_world
from geotransfer.transfer.baseline import train_baseline
from geotransfer.transfer.model_file import dump_model
from geotransfer.transfer.samples import Samples
from geotransfer.transfer.trees import Training
from geotransfer.workflows.regions import add_region
from geotransfer.workflows.scenes import add_scenes
from geotransfer.workflows.train import make_baseline_lineage


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two regions of 96 pixels a side, eight scenes; tests must not change its files."""
    folder = tmp_path_factory.mktemp("world")
    return make_world(("eastern", "western"), 1.0, 3, folder=folder, size_px=96, n_scenes=8)


def make_model_bytes(seed: int = 0) -> tuple[bytes, Samples]:
    """A small global model of plausible reflectances; the seed makes another one."""
    rng = np.random.default_rng(seed)
    n = 600
    measured = rng.uniform(0.05, 0.4, (n, len(S2_SEMIANNUAL.measured))).astype(np.float32)
    ndvi = S2_SEMIANNUAL.measured_names.index("NDVI_S2")
    samples = Samples(
        spec=S2_SEMIANNUAL,
        measured=measured,
        classes=(measured[:, ndvi] > 0.2).astype(np.int64),
        weights=np.ones(n),
        xy_km=None,
        region_ids=np.where(np.arange(n) % 2, "north", "south"),
    )
    trainings = (Training(n_trees=10, n_leaves=8, learning_rate=0.2),)
    model = train_baseline(samples, CROPLAND, trainings=trainings, scaling=(0.5, (0.0,)))
    return dump_model(model), samples


@pytest.fixture(scope="session")
def model_bytes() -> bytes:
    return make_model_bytes()[0]


def register_baseline(workspace: Workspace, data: bytes) -> str:
    samples = make_model_bytes()[1]
    lineage = make_baseline_lineage(samples, seed=0, cost=RunCost())
    return register_model(
        workspace, data, name="baseline", region_id=None, lineage=lineage, actor="test"
    ).model_id


@dataclass(frozen=True)
class Mapped:
    """A workspace with one region ready to be refreshed."""

    workspace: Workspace
    region: Region
    made: SimulatedRegion


def set_up_region(
    workspace: Workspace,
    made: SimulatedRegion,
    data: bytes | None,
    *,
    items_path: Path | str | None = None,
) -> Mapped:
    if data is not None:
        register_baseline(workspace, data)
    region = add_region(
        workspace,
        json.dumps(made.outline),
        name=made.name,
        actor="test",
        kind=RegionKind.SIMULATED,
        region_id=made.region_id,
    )
    add_scenes(workspace, region.region_id, str(items_path or made.items_path), actor="test")
    return Mapped(workspace, region, made)


@pytest.fixture
def mapped(make_settings, clock, world: World, model_bytes: bytes) -> Mapped:
    workspace = open_workspace(make_settings(tile_px=48, n_threads=1), clock=clock, create=True)
    return set_up_region(workspace, world.targets[0], model_bytes)


@pytest.fixture
def own_world(tmp_path: Path) -> World:
    """A world a test may change."""
    return make_world(
        ("eastern", "western"), 1.0, 3, folder=tmp_path / "world", size_px=96, n_scenes=6
    )
