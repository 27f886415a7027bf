"""Arms of `only_if_changed`: planning a million tiles under a hundred scenes each, from metadata.

Everything a plan needs is inside the clock: the last refresh's keys from Parquet, a fingerprint of
every scene, which tiles it touches, every tile's key, the comparison, the reasons and the predicted
cost. Nothing is read but metadata; scenes carry checksums, as catalogs of Sentinel-2 do.
"""

from __future__ import annotations

import io
import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.report import read_peak_bytes
from geotransfer.change.keys import fingerprint_scene
from geotransfer.change.plan import Action
from geotransfer.change.tile_table import (
    TilePlan,
    TileTable,
    count_tiles,
    find_windows,
    hash_scene_sets,
    make_places,
    plan_tiles,
    split_ids,
)
from geotransfer.core.grid import Grid
from geotransfer.core.identity import content_id
from geotransfer.core.scene import Asset, Scene
from geotransfer.core.spec import S2_SEMIANNUAL
from geotransfer.imagery.grids import find_footprints

SEED = 11
PLAN_REACH_S = 60.0
MEMORY_REACH_BYTES = 2 * 2**30
TILE_PX = 256
N_DATES = 100
GRANULE_TILES = 43
"""Side of a scene in tiles: 110 km at 10 m and 256 pixels a tile, as a Sentinel-2 granule."""
WITHDRAWN_SHARE, REPUBLISHED_SHARE = 0.0005, 0.001
ONE_VALUE = ("mask", "spec", "area", "processing")


def make_grid(side_tiles: int) -> Grid:
    """Return a square grid of ``side_tiles`` tiles a side, 10 m pixels."""
    side_px = side_tiles * TILE_PX
    return Grid(
        crs="EPSG:32631",
        transform=(10.0, 0.0, 300_000.0, 0.0, -10.0, 9_000_000.0),
        height=side_px,
        width=side_px,
    )


def make_scenes(grid: Grid) -> list[Scene]:
    """Return a mosaic of granules on each of a hundred dates, every tile under each of them."""
    side_px = GRANULE_TILES * TILE_PX
    bands = (*S2_SEMIANNUAL.bands, "mask:scl")
    a, _, west, _, e, north = grid.transform
    scenes = []
    for date in range(N_DATES):
        sensed_at = f"2024-{1 + date // 9:02d}-{1 + 3 * (date % 9):02d}T10:30:00Z"
        for row in range(0, grid.height, side_px):
            for col in range(0, grid.width, side_px):
                name = f"g{row // side_px:02d}{col // side_px:02d}-d{date:03d}"
                assets = tuple(
                    Asset(name=band, href=f"{name}/{band}.tif", checksum=f"1220{name}{band}")
                    for band in bands
                )
                scenes.append(
                    Scene(
                        scene_id=name,
                        sensed_at=sensed_at,
                        sensor="sentinel-2-l2a",
                        bounds=(0.0, 0.0, 1.0, 1.0),
                        assets=assets,
                        crs=grid.crs,
                        transform=(a, 0.0, west + a * col, 0.0, e, north + e * row),
                        shape=(min(side_px, grid.height - row), min(side_px, grid.width - col)),
                    )
                )
    return scenes


def make_table(scenes: Sequence[Scene], grid: Grid, model_id: str) -> TileTable:
    """Return every tile's key from metadata alone."""
    fingerprints = [fingerprint_scene(scene, S2_SEMIANNUAL.bands) for scene in scenes]
    windows = find_windows(find_footprints(scenes, grid.crs), grid, TILE_PX)
    shape = count_tiles(grid, TILE_PX)
    uniform = {part: split_ids([content_id(part)]) for part in ONE_VALUE}
    sets = hash_scene_sets(fingerprints, windows, shape)
    return TileTable(
        places=make_places(grid, TILE_PX),
        parts={"inputs": sets, "model": split_ids([model_id]), **uniform},
    )


def store_table(table: TileTable, cpu_s: np.ndarray) -> bytes:
    """Return a table with each tile's cost as Parquet, as a refresh leaves it behind."""
    n = len(table.places)
    columns: dict[str, Any] = {"place": table.places, "cpu_s": cpu_s}
    for part, lanes in table.parts.items():
        told = np.broadcast_to(lanes, (n, 2))
        columns |= {f"{part}_{i}": np.ascontiguousarray(told[:, i]) for i in range(2)}
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, compression="zstd")
    return sink.getvalue()


def load_table(data: bytes) -> tuple[TileTable, np.ndarray]:
    """Read what ``store_table`` wrote."""
    columns = pq.read_table(io.BytesIO(data))
    read = {name: columns[name].to_numpy() for name in columns.column_names}
    names = {name.removesuffix("_0") for name in read if name.endswith("_0")}
    parts = {n: np.column_stack([read[f"{n}_0"], read[f"{n}_1"]]) for n in names}
    return TileTable(places=read["place"], parts=parts), read["cpu_s"]


def plan_once(
    data: bytes, scenes: Sequence[Scene], grid: Grid, model_id: str
) -> tuple[TilePlan, float]:
    """Plan a refresh; return the plan and its predicted CPU seconds."""
    previous, cpu_s = load_table(data)
    current = make_table(scenes, grid, model_id)
    plan = plan_tiles(previous, current)
    order = np.argsort(previous.places)
    chosen = plan.actions == 0
    found = order[np.searchsorted(previous.places[order], current.places[chosen])]
    return plan, float(cpu_s[found].sum())


def _measure(side_tiles: int, sink: Any) -> None:
    grid = make_grid(side_tiles)
    before = make_scenes(grid)
    rng = np.random.default_rng(SEED)
    cpu_s = rng.uniform(1.0, 3.0, side_tiles * side_tiles)
    model_id = content_id("model")
    data = store_table(make_table(before, grid, model_id), cpu_s)
    # A few scenes are published anew with other bytes, fewer are withdrawn.
    drawn = rng.random(len(before))
    now = []
    for scene, share in zip(before, drawn, strict=True):
        if share < WITHDRAWN_SHARE:
            continue
        if share < WITHDRAWN_SHARE + REPUBLISHED_SHARE:
            assets = tuple(replace(asset, checksum=asset.checksum + "x") for asset in scene.assets)
            scene = replace(scene, assets=assets)
        now.append(scene)
    started = time.process_time(), time.perf_counter()
    plan, predicted_s = plan_once(data, now, grid, model_id)
    cpu, wall = time.process_time() - started[0], time.perf_counter() - started[1]
    n_computed = len(plan.select(Action.COMPUTE))
    expected = _count_touched(before, now, grid)
    settled, _ = plan_once(store_table(make_table(now, grid, model_id), cpu_s), now, grid, model_id)
    sink.send(
        {
            "plan_s": wall,
            "cpu_s": cpu,
            "peak_rss_bytes": read_peak_bytes(),
            "n_tiles": side_tiles * side_tiles,
            "n_scenes": len(now),
            "n_pairs": side_tiles * side_tiles * N_DATES,
            "n_computed": n_computed,
            "n_expected": expected,
            "predicted_cpu_s": predicted_s,
            "reasons": plan.reasons,
            "reasons_again": settled.reasons,
        }
    )


def _count_touched(before: Sequence[Scene], now: Sequence[Scene], grid: Grid) -> int:
    """Count the tiles under a changed or withdrawn scene the obvious way."""
    kept = {scene.scene_id: scene for scene in now}
    changed = [s for s in before if kept.get(s.scene_id) != s]
    rows, cols = count_tiles(grid, TILE_PX)
    touched = np.zeros((rows, cols), dtype=bool)
    windows = find_windows(find_footprints(changed, grid.crs), grid, TILE_PX)
    for top, bottom, left, right in windows:
        touched[top:bottom, left:right] = True
    return int(touched.sum())


def measure_plan(quick: bool) -> dict[str, Any]:
    """Plan in a process of its own, so that its peak memory is its own.

    Returns
    -------
    ``plan_s`` (wall seconds), ``peak_rss_bytes``, ``holds``, and what was planned.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(250 if quick else 1000, sender))
    process.start()
    sender.close()
    try:
        told: dict[str, Any] = receiver.recv()
    finally:
        process.join()
    is_right = told["n_computed"] == told["n_expected"] and told["reasons_again"] == {
        "nothing changed": told["n_tiles"]
    }
    is_small = told["peak_rss_bytes"] <= MEMORY_REACH_BYTES
    holds = is_right and is_small and told["plan_s"] <= PLAN_REACH_S
    # A quarter of a million tiles says nothing for sure about a million.
    return {**told, "is_right": is_right, "holds": None if quick else holds, "seed": SEED}


if __name__ == "__main__":
    import argparse
    import json

    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    print(json.dumps(measure_plan(parser.parse_args().quick), indent=1))
