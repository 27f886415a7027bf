"""A refresh on workers that are processes of their own, one of which is killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from distributed import Client

from geotransfer.core.cost import RunCost
from geotransfer.core.fact import RefreshDone
from geotransfer.core.legend import CROPLAND
from geotransfer.registry.versions import register_model
from geotransfer.settings import read_settings
from geotransfer.store.workspace import Workspace, open_workspace
from geotransfer.transfer.baseline import train_baseline
from geotransfer.transfer.model_file import dump_model
from geotransfer.transfer.trees import Training
from geotransfer.workflows.maps import locate_map
from geotransfer.workflows.refresh import refresh
from geotransfer.workflows.train import make_baseline_lineage
from tests.workflows.conftest import Mapped, make_model_bytes, set_up_region


def read_bands(workspace: Workspace, done: RefreshDone, name: str) -> np.ndarray:
    with rasterio.open(locate_map(workspace, done.region_id, done.map_id) / name) as file:
        return file.read()


@dataclass(frozen=True)
class Cluster:
    address: str
    workers: list[subprocess.Popen[bytes]]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A scheduler and two workers, started as an operator would."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    dask = [sys.executable, "-m", "dask"]
    common = ["--host", "127.0.0.1", "--no-dashboard"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with ExitStack() as stack:
        processes = [
            subprocess.Popen([*dask, "scheduler", "--port", str(port), *common], **quiet),
            *[
                subprocess.Popen(
                    [*dask, "worker", address, "--nthreads", "1", "--no-nanny",
                     "--local-directory", str(tmp_path / f"worker{n}"), *common],
                    **quiet,
                )
                for n in range(2)
            ],
        ]  # fmt: skip
        for process in processes:
            stack.callback(process.wait)
            stack.callback(process.kill)
        with Client(address, timeout=60) as client:
            client.wait_for_workers(2, timeout=120)
        yield Cluster(address, processes[1:])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_killed_worker_of_a_cluster_costs_only_its_blocks(
    cluster: Cluster, mapped: Mapped, world, model_bytes: bytes, tmp_path: Path
) -> None:
    expected = refresh(mapped.workspace, mapped.region.region_id, actor="test")
    settings = {
        "workspace": str(tmp_path / "other"), "tile_px": 32, "scheduler": cluster.address,
        "n_threads": 1,
    }  # fmt: skip
    workspace = open_workspace(read_settings({}, settings), create=True)
    other = set_up_region(workspace, world.targets[0], model_bytes)
    store = workspace.locate_tiles(other.region.region_id)
    finished: dict[str, int] = {}

    def kill_one(done: int, planned: int, message: str) -> None:
        if done >= 2 and not finished:
            finished.update({p.name: p.stat().st_mtime_ns for p in store.glob("[!.]*.npy")})
            os.kill(cluster.workers[0].pid, signal.SIGKILL)

    done = refresh(workspace, other.region.region_id, actor="test", progress=kill_one)

    assert done.n_computed == 9
    assert len(finished) >= 4  # Features and a map each.
    assert {n: (store / n).stat().st_mtime_ns for n in finished} == finished, "done twice"
    for name in ("class.tif", "probability.tif", "observations.tif"):
        found = read_bands(workspace, done, name)
        assert (found == read_bands(mapped.workspace, expected, name)).all()


def test_a_model_that_cannot_be_replayed_says_so_on_its_map(make_settings, clock, world) -> None:
    samples = make_model_bytes()[1]
    # Classes at random: a tree grows as many leaves as it may.
    classes = np.random.default_rng(0).integers(0, 2, len(samples))
    samples = replace(samples, classes=classes)
    training = Training(n_trees=3, n_leaves=63, min_rows_in_leaf=2)
    model = train_baseline(samples, CROPLAND, trainings=(training,), scaling=(0.5, (0.0,)))
    workspace = open_workspace(make_settings(tile_px=96, n_threads=1), clock=clock, create=True)
    register_model(
        workspace, dump_model(model), name="baseline", region_id=None,
        lineage=make_baseline_lineage(samples, seed=0, cost=RunCost()), actor="test",
    )  # fmt: skip
    mapped = set_up_region(workspace, world.targets[0], None)
    done = refresh(workspace, mapped.region.region_id, actor="test")
    (notice,) = done.notices
    assert "LightGBM itself predicts" in notice
    assert workspace.ledger.read_last(RefreshDone).notices == done.notices


def test_a_model_that_is_replayed_has_nothing_to_say(mapped: Mapped) -> None:
    assert refresh(mapped.workspace, mapped.region.region_id, actor="test").notices == ()
