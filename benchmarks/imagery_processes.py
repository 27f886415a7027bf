"""Memory, two workers, and bits: the product's pipeline in processes of its own.

Peak memory is the kernel's own figure of a process that refreshes a region and ends. Workers are
Dask's, started from the command line as an operator would, one thread each; both clusters stand
ready and take turns on the same tiles. Blocks are compared bit by bit between schedulers, tile
sizes and thread counts.
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from benchmarks.imagery_archive import Archive, make_archive
from benchmarks.imagery_pipeline import REGION_ID, Trained, prepare_workspace
from benchmarks.report import read_peak_bytes
from geotransfer.core.grid import cut_tiles
from geotransfer.settings import read_settings
from geotransfer.store.tables import read_table
from geotransfer.store.tile_files import locate_answers, locate_features, read_tile
from geotransfer.store.workspace import open_workspace
from geotransfer.workflows import refresh as refresh_module
from geotransfer.workflows.refresh import refresh
from geotransfer.workflows.scene_list import load_scenes

MEMORY_GB = 2.0
MEMORY_SCENES = 4
MEMORY_TILE_PX = 256
EXACT_BLOCK_PX = 64
EXACT_ARMS: tuple[tuple[str, int, int], ...] = (
    ("threads", 1, 512),
    ("threads", 2, 256),
    ("threads", 1, 200),
    ("processes", 2, 256),
    ("cluster", 2, 128),
)
"""Scheduler, workers, tile side; the first is what the others must equal."""


def measure_memory(folder: Path, trained: Trained, sides_px: tuple[int, int]) -> dict[str, Any]:
    """Return peak memory of a refresh at two sizes, and their ratio."""
    found: dict[str, Any] = {"memory_gb": MEMORY_GB, "n_scenes": MEMORY_SCENES}
    for side_px in sides_px:
        place = folder / str(side_px)
        archive = make_archive(place / "archive", side_px=side_px, n_scenes=MEMORY_SCENES)
        prepare_workspace(
            place / "workspace", archive, trained, tile_px=MEMORY_TILE_PX, memory_gb=MEMORY_GB
        )
        command = [sys.executable, "-m", "benchmarks.imagery_processes", str(place / "workspace")]
        told = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        found[f"peak_mb_{side_px}"] = told["peak_bytes"] / 1e6
        found[f"wall_s_{side_px}"] = told["wall_s"]
        found[f"read_gb_{side_px}"] = told["read_bytes"] / 1e9
        shutil.rmtree(place)
    small, large = (found[f"peak_mb_{side}"] for side in sides_px)
    return {**found, "ratio": large / small}


def refresh_and_tell(folder: str) -> None:
    """What a process of ``measure_memory`` does."""
    workspace = open_workspace(
        read_settings(
            {}, {"workspace": folder, "n_threads": 2, "memory_gb": MEMORY_GB, "cube_gb": 0.0}
        )
    )
    started = time.perf_counter()
    done = refresh(workspace, REGION_ID, actor="benchmark")
    told = {
        "wall_s": time.perf_counter() - started,
        "peak_bytes": read_peak_bytes(),
        "read_bytes": done.cost.read_bytes,
    }
    print(json.dumps(told))


@contextmanager
def start_cluster(folder: Path, n_workers: int) -> Iterator[str]:
    """Start a scheduler and workers of one thread each as processes; give the address."""
    folder.mkdir(parents=True, exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    port = address.rsplit(":", 1)[1]
    common = ["--no-dashboard", "--host", "127.0.0.1"]
    commands = [["scheduler", "--port", port, *common]]
    commands += [
        ["worker", address, "--nthreads", "1", "--nworkers", "1", "--no-nanny", *common,
         "--local-directory", str(folder / str(number))]
        for number in range(n_workers)
    ]  # fmt: skip
    with ExitStack() as stack:
        for command in commands:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", *command],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
        yield address


def wait_for_workers(address: str, n_workers: int) -> None:
    import distributed

    with distributed.Client(address, timeout=60) as client:
        client.wait_for_workers(n_workers, timeout=60)


@contextmanager
def time_tiles() -> Iterator[list[float]]:
    """Give the seconds that refreshes within the ``with`` spend on tiles, all workers together."""
    seconds: list[float] = []
    run_tiles = refresh_module.run_tiles

    def timed(*args: Any) -> Iterator[Any]:
        started = time.perf_counter()
        yield from run_tiles(*args)
        seconds.append(time.perf_counter() - started)

    with patch.object(refresh_module, "run_tiles", timed):
        yield seconds


def measure_two_workers(
    folder: Path,
    archive: Archive,
    trained: Trained,
    addresses: Mapping[int, str],
    *,
    tile_px: int,
    repeats: int,
) -> dict[str, Any]:
    """Return the seconds one and two workers take for a region's tiles, and the ratio."""
    best = dict.fromkeys(addresses, np.inf)
    for turn in range(repeats + 1):
        for n, address in addresses.items():
            place = folder / f"workspace{n}"
            shutil.rmtree(place, ignore_errors=True)
            workspace = prepare_workspace(
                place, archive, trained, scheduler=address, tile_px=tile_px
            )
            with time_tiles() as seconds:
                refresh(workspace, REGION_ID, actor="benchmark")
            # In the first turn the workers still load code and model.
            if turn:
                best[n] = min(best[n], seconds[0])
    return {
        "side_px": archive.side_px,
        "tile_px": tile_px,
        "one_s": best[1],
        "two_s": best[2],
        "ratio": best[1] / best[2],
    }


def measure_exactness(
    folder: Path, archive: Archive, trained: Trained, address: str
) -> dict[str, Any]:
    """Return the share of blocks whose measured columns and map are the same bits everywhere."""
    expected: NDArray[np.uint32] | None = None
    found: dict[str, Any] = {}
    same_everywhere: NDArray[np.bool_] | None = None
    for scheduler, n_threads, tile_px in EXACT_ARMS:
        name = f"{scheduler}, {n_threads} workers, tiles of {tile_px}"
        workspace = prepare_workspace(
            folder / "workspace", archive, trained, tile_px=tile_px, n_threads=n_threads,
            scheduler=address if scheduler == "cluster" else scheduler,
        )  # fmt: skip
        layers = _read_all(workspace, refresh(workspace, REGION_ID, actor="benchmark"))
        shutil.rmtree(folder / "workspace")
        if expected is None:
            expected = layers
            continue
        same = _compare_blocks(expected, layers)
        found[name] = float(same.mean())
        same_everywhere = same if same_everywhere is None else same_everywhere & same
    assert same_everywhere is not None
    return {**found, "share": float(same_everywhere.mean()), "n_blocks": int(same_everywhere.size)}


def _read_all(workspace: Any, done: Any) -> NDArray[np.uint32]:
    """Return every stored layer of a region as bits, shape (layer, y, x)."""
    inputs = load_scenes(workspace, REGION_ID)
    rows = {row["tile_id"]: row for row in read_table(workspace.blobs.get(done.tiles_id))}
    store = workspace.locate_tiles(REGION_ID)
    whole: NDArray[np.uint32] | None = None
    for tile in cut_tiles(inputs.grid, inputs.tile_px):
        row = rows[tile.tile_id]
        features = read_tile(locate_features(store, row["feature_key"]), tile)
        answers = read_tile(locate_answers(store, row["map_key"]), tile).astype(np.uint32)
        layers = np.concatenate([features.view(np.uint32), answers])
        if whole is None:
            whole = np.zeros((len(layers), inputs.grid.height, inputs.grid.width), np.uint32)
        whole[:, tile.row : tile.row + tile.height, tile.col : tile.col + tile.width] = layers
    assert whole is not None
    return whole


def _compare_blocks(a: NDArray[np.uint32], b: NDArray[np.uint32]) -> NDArray[np.bool_]:
    same = (a == b).all(axis=0)
    edges = [np.arange(0, n, EXACT_BLOCK_PX) for n in same.shape]
    counts = np.add.reduceat(np.add.reduceat(~same, edges[0], axis=0), edges[1], axis=1)
    return counts == 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workspace", help="folder of a workspace to refresh")
    refresh_and_tell(parser.parse_args().workspace)
