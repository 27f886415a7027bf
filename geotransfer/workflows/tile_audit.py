"""Compute some blocks of a tile anew and compare: the work of an audit on one tile."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geotransfer.change.audit import find_block
from geotransfer.change.update import TilePixels, compute_pixels
from geotransfer.core.legend import NODATA_CLASS
from geotransfer.core.scene import Scene
from geotransfer.errors import StoreError
from geotransfer.imagery.observations import Observation
from geotransfer.store.tile_files import read_tile
from geotransfer.workflows.tile import TileTask, make_predict
from geotransfer.workflows.tile_reading import TileReader
from geotransfer.workflows.tile_state import make_state, read_history

N_EXACT = 64
"""Pixels of a tile whose exact keeping is checked for bugs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditTask:
    """A tile as the map has it, and the blocks drawn in it."""

    tile: TileTask
    """Its paths are those of the map's files."""
    blocks: tuple[int, ...]
    seed: int
    is_checked: bool
    """Whether what exact tests kept is checked for bugs: some pixels, and one scene read again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedTile:
    """What the blocks came to."""

    tile_id: str
    n_judged: tuple[int, ...]
    """Pixels kept by judgement in each block, in the order of the task."""
    stale: tuple[tuple[int, ...], ...]
    """Which of them are stale, pixels of the tile in one line."""
    n_exact: int
    n_exact_wrong: int
    read_bytes: int
    cpu_s: float


def audit_tile(task: AuditTask) -> AuditedTile:
    """Compute what judgement kept in the drawn blocks, from all observations the tile has.

    Some pixels that are up to date are computed too: they must not differ in a single bit.
    """
    started = time.thread_time()
    tile = task.tile
    tracking = tile.tracking
    history = read_history(Path(tracking.state_path)) if tracking else None
    if tracking is None or history is None:
        raise StoreError(
            f"the history of tile {tile.tile.tile_id} is missing; refresh the region again."
        )
    inside = history.inside
    reader = TileReader(tile, tracking, inside)
    reader.known |= {scene.scene_id: scene for scene in history.scenes}
    scenes = tuple(scene for scene in tile.scenes if scene.scene_id in reader.known)
    n_measured = len(tile.spec.measured)
    features = read_tile(Path(tile.feature_path), tile.tile)
    values = features[:n_measured].reshape(n_measured, -1)
    state = make_state(history, Path(tile.map_path), tile.tile, values=values)
    layers = state.layers
    unknown = np.asarray(state.pending.any(axis=1) | task.is_checked)
    observations = reader.list_observations(
        scenes, [period for i, period in enumerate(tile.spec.periods) if unknown[i]]
    )
    judged = state.pending.any(axis=0) & (layers[0] != NODATA_CLASS)
    n_judged: list[int] = []
    stale: list[tuple[int, ...]] = []
    found = [
        pixels[judged[pixels]] for pixels in (find_block(b, inside.shape) for b in task.blocks)
    ]
    chosen = np.unique(np.concatenate([np.zeros(0, np.intp), *found]))
    _, _, fresh = _compute(tile, state, observations, chosen)
    is_stale = np.zeros(inside.size, dtype=bool)
    is_stale[chosen] = fresh[0] != layers[0, chosen]
    for pixels in found:
        n_judged.append(len(pixels))
        stale.append(tuple(pixels[is_stale[pixels]].tolist()))
    n_exact = n_wrong = 0
    if task.is_checked:
        n_exact, n_wrong = _check_exact(task, state, observations, inside.ravel())
        n_source, n_source_wrong = _check_source(task, reader, scenes)
        n_exact, n_wrong = n_exact + n_source, n_wrong + n_source_wrong
    return AuditedTile(
        tile_id=tile.tile.tile_id,
        n_judged=tuple(n_judged),
        stale=tuple(stale),
        n_exact=n_exact,
        n_exact_wrong=n_wrong,
        read_bytes=reader.read_bytes,
        cpu_s=time.thread_time() - started,
    )


def _compute(
    tile: TileTask, state: TilePixels, observations: list[Observation], pixels: NDArray[np.intp]
) -> tuple[NDArray[np.float32], NDArray[np.uint16], NDArray[np.uint16]]:
    """Return measured columns, counts and map layers of some pixels, all observations known."""
    values, counts = compute_pixels(state, observations, pixels, spec=tile.spec)
    return values, counts, make_predict(tile)(values, counts, pixels)


def _check_exact(
    task: AuditTask,
    state: TilePixels,
    observations: list[Observation],
    inside: NDArray[np.bool_],
) -> tuple[int, int]:
    """Compute pixels without unknown observations anew; return how many and how many differ."""
    settled = np.flatnonzero(inside & ~state.pending.any(axis=0))
    if not len(settled):
        return 0, 0
    rng = np.random.default_rng(task.seed)
    pixels = np.sort(rng.choice(settled, min(N_EXACT, len(settled)), replace=False))
    every = replace(state, pending=np.ones_like(state.pending))
    values, counts, layers = _compute(task.tile, every, observations, pixels)
    same = (layers == state.layers[:, pixels]).all(axis=0)
    same &= (counts == state.counts[:, pixels]).all(axis=0)
    before = state.values[:, pixels]
    same &= ((values == before) | (np.isnan(values) & np.isnan(before))).all(axis=0)
    return len(pixels), int((~same).sum())


def _check_source(
    task: AuditTask, reader: TileReader, scenes: tuple[Scene, ...]
) -> tuple[int, int]:
    """Read one scene from its files again: are the pixels those that the tile knows?"""
    scene = scenes[int(np.random.default_rng([task.seed, 1]).integers(len(scenes)))]
    before = reader.known[scene.scene_id]
    now = reader.read_scene(scene, before.fingerprint)
    is_same = reader.known[scene.scene_id].pixels_id == before.pixels_id
    n_pixels = int(now.valid.sum())
    return n_pixels, 0 if is_same else n_pixels
