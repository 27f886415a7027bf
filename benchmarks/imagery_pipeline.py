"""The whole way from scenes to a map, against the same way written plainly: who is faster, by what.

Both arms start from the same files, model, grid and threads and end with COGs; in turns in one
process, everything compiled and imported before; the least wall time of each counts. The product's
arm is ``refresh`` in a new workspace: plan, tiles, measured columns, history, ledger, map and the
two composites to look at are part of it. Beside it, in the arms: the same with its cube of pixels
already read, which the next refresh saves by and this one pays for.
"""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox

from benchmarks.imagery_archive import CRS, ORIGIN, PIXEL_M, SEED, Archive
from benchmarks.imagery_opponent import run_plainly
from geotransfer.core.cost import RunCost
from geotransfer.core.legend import CROPLAND
from geotransfer.core.region import RegionKind
from geotransfer.core.spec import S2_SEMIANNUAL
from geotransfer.registry.versions import register_model
from geotransfer.settings import read_settings
from geotransfer.store.workspace import Workspace, open_workspace
from geotransfer.transfer.baseline import train_baseline
from geotransfer.transfer.model import Model
from geotransfer.transfer.model_file import dump_model
from geotransfer.transfer.samples import Samples
from geotransfer.transfer.trees import Training
from geotransfer.workflows import refresh as refresh_module
from geotransfer.workflows import tile, tile_reading
from geotransfer.workflows.maps import locate_map
from geotransfer.workflows.refresh import refresh
from geotransfer.workflows.regions import add_region
from geotransfer.workflows.scenes import add_scenes
from geotransfer.workflows.train import make_baseline_lineage

REGION_ID = "textured"
N_TREES, N_LEAVES = 500, 31
N_THREADS = 2
N_SAMPLES = 6000


@dataclass(frozen=True)
class Trained:
    """A model of the benchmark's size, and its bytes."""

    model: Model
    data: bytes
    samples: Samples


def train_model() -> Trained:
    """Train 500 trees of 31 leaves on spectra like the archive's, classes by NDVI and noise."""
    rng = np.random.default_rng(SEED)
    names = S2_SEMIANNUAL.measured_names
    measured = np.exp(rng.normal(-2, 0.6, (N_SAMPLES, len(names)))).astype(np.float32)
    for row, name in enumerate(names):
        if name.split("_")[0] in ("edev", "sdev", "bcdev"):
            measured[:, row] = rng.uniform(1, 6, N_SAMPLES)
    for season in ("S1", "S2"):
        nir, red = (measured[:, names.index(f"{b}_{season}")] for b in ("nir", "red"))
        measured[:, names.index(f"NDVI_{season}")] = (nir - red) / (nir + red)
    score = measured[:, names.index("NDVI_S2")] + rng.normal(0, 0.2, N_SAMPLES)
    samples = Samples(
        spec=S2_SEMIANNUAL,
        measured=measured,
        classes=(score > 0).astype(np.int64),
        weights=np.ones(N_SAMPLES),
        xy_km=None,
        region_ids=np.where(np.arange(N_SAMPLES) % 2, "north", "south"),
    )
    training = Training(n_trees=N_TREES, n_leaves=N_LEAVES)
    model = train_baseline(samples, CROPLAND, trainings=(training,), scaling=(1.0, (0.0,)))
    return Trained(model, dump_model(model), samples)


def prepare_workspace(
    folder: Path, archive: Archive, trained: Trained, **overrides: object
) -> Workspace:
    """Make a workspace with the model, the region and its scenes, ready to be refreshed."""
    chosen: dict[str, object] = {
        "workspace": str(folder), "n_threads": N_THREADS, "check_pixels": 0,
        "cube_gb": 0.0, **overrides,
    }  # fmt: skip
    workspace = open_workspace(read_settings({}, chosen), create=True)
    lineage = make_baseline_lineage(trained.samples, seed=0, cost=RunCost())
    register_model(
        workspace, trained.data, name="baseline", region_id=None, lineage=lineage, actor="benchmark"
    )
    add_region(
        workspace, json.dumps(archive.outline), name=REGION_ID, actor="benchmark",
        kind=RegionKind.SIMULATED, region_id=REGION_ID,
    )  # fmt: skip
    add_scenes(workspace, REGION_ID, str(archive.items_path), actor="benchmark")
    return workspace


def find_geobox(archive: Archive) -> GeoBox:
    transform = rasterio.transform.from_origin(*ORIGIN, PIXEL_M, PIXEL_M)
    return GeoBox((archive.side_px, archive.side_px), transform, CRS)


STAGES: tuple[tuple[str, Any, str], ...] = (
    ("read", tile, "read_stack"),
    ("read", tile_reading.TileReader, "read_stack"),
    ("composite", tile, "compose_measured"),
    ("predict", Model, "predict"),
    ("write", tile, "write_tile"),
    ("map", refresh_module, "write_map"),
)
"""Stage, owner and name of the product's functions that are timed."""


@contextmanager
def watch_stages() -> Iterator[dict[str, float]]:
    """Give wall seconds of each stage, over all threads, of what runs within the ``with``."""
    seconds = {stage: 0.0 for stage, _, _ in STAGES}
    lock = threading.Lock()

    def time_stage(stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **named: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*args, **named)
            finally:
                with lock:
                    seconds[stage] += time.perf_counter() - started

        return timed

    with ExitStack() as patches:
        for stage, owner, name in STAGES:
            timed = time_stage(stage, getattr(owner, name))
            patches.enter_context(patch.object(owner, name, timed))
        yield seconds


def run_ours(
    folder: Path, archive: Archive, trained: Trained, **overrides: object
) -> tuple[Lap, Path]:
    """Refresh a new workspace; return what it took and the folder of the map.

    A tile's stages run on every thread, the map's writing holds all of them.
    """
    shutil.rmtree(folder, ignore_errors=True)
    workspace = prepare_workspace(folder, archive, trained, **overrides)
    with watch_stages() as seconds:
        started, used = time.perf_counter(), time.process_time()
        done = refresh(workspace, REGION_ID, actor="benchmark")
        wall_s, cpu_s = time.perf_counter() - started, time.process_time() - used
    tiles_s = sum(value for stage, value in seconds.items() if stage != "map")
    covered_s = tiles_s / workspace.settings.thread_count + seconds["map"]
    place = locate_map(workspace, REGION_ID, done.map_id)
    return Lap(wall_s=wall_s, cpu_s=cpu_s, overhead=1 - covered_s / wall_s), place


@dataclass(frozen=True)
class Lap:
    """One run of one arm."""

    wall_s: float
    cpu_s: float
    overhead: float = 0.0
    """Share of the wall time outside the four stages."""


def compare_maps(ours: Path, theirs: Path) -> float:
    """Return the share of pixels with the same class in both maps."""
    with rasterio.open(ours / "class.tif") as a, rasterio.open(theirs / "class.tif") as b:
        return float((a.read(1) == b.read(1)).mean())


def measure_pipeline(
    folder: Path, archive: Archive, trained: Trained, *, tile_px: int, repeats: int
) -> dict[str, Any]:
    """Run both arms in turns; return seconds, ratio, overhead and agreement."""
    geobox = find_geobox(archive)
    ours: list[Lap] = []
    with_cube: list[Lap] = []
    theirs: list[Lap] = []
    agreement = 0.0
    for _ in range(repeats):
        lap, found = run_ours(folder / "ours", archive, trained, tile_px=tile_px)
        ours.append(lap)
        started, used = time.perf_counter(), time.process_time()
        run_plainly(archive, trained.model, folder / "theirs", geobox=geobox, n_threads=N_THREADS)
        theirs.append(Lap(time.perf_counter() - started, time.process_time() - used))
        agreement = compare_maps(found, folder / "theirs")
        lap, _ = run_ours(folder / "cube", archive, trained, tile_px=tile_px, cube_gb=20.0)
        with_cube.append(lap)
    shutil.rmtree(folder)
    our_s, cube_s, their_s = (min(lap.wall_s for lap in laps) for laps in (ours, with_cube, theirs))
    return {
        "side_px": archive.side_px,
        "n_scenes": archive.n_scenes,
        "n_threads": N_THREADS,
        "ours_s": our_s,
        "ours_with_cube_s": cube_s,
        "theirs_s": their_s,
        "ours_mpix_s": archive.side_px**2 / our_s / 1e6,
        "wall_x": their_s / our_s,
        "wall_with_cube_x": their_s / cube_s,
        "cpu_x": min(lap.cpu_s for lap in theirs) / min(lap.cpu_s for lap in ours),
        "ours_cpu_us_px": min(lap.cpu_s for lap in ours) / archive.side_px**2 * 1e6,
        "theirs_cpu_us_px": min(lap.cpu_s for lap in theirs) / archive.side_px**2 * 1e6,
        "overhead_share": min(lap.overhead for lap in ours),
        "same_class_share": agreement,
        "stored_gb": archive.stored_bytes / 1e9,
    }
