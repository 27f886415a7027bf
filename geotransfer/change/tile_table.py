"""Plan a refresh of very many tiles: the rule of ``plan_refresh`` on columns instead of objects.

The cost does not grow with tiles × scenes. A scene touches a rectangle of tiles, so what all scenes
add to all tiles follows from their corners alone, by summing along rows and columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from geotransfer.change.keys import PARTS
from geotransfer.change.plan import Action
from geotransfer.core.grid import Grid

Lanes: TypeAlias = NDArray[np.uint64]
"""128-bit ids in two lanes, shape (n, 2)."""

ACTIONS = (Action.COMPUTE, Action.PREDICT, Action.KEEP)
NEVER = 1 << len(PARTS)
"""Bit that says a tile was never computed; lower bits name the parts of the key that changed."""
COLUMN_BITS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class TileTable:
    """Keys of many tiles, one array a part."""

    places: NDArray[np.int64]
    """Which tile: its row and column of tiles in one number, shape (n,); no tile twice."""
    parts: Mapping[str, Lanes]
    """Each part of the key, shape (n, 2), or (1, 2) where it is the same for every tile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TilePlan:
    """Decisions for every tile, in the order of the current table."""

    actions: NDArray[np.uint8]
    """Index into ``ACTIONS``, shape (n,)."""
    changed: NDArray[np.uint8]
    """Which parts of the key changed, a bit each in the order of ``PARTS``, or ``NEVER``."""
    dropped: NDArray[np.int64]
    """Places of tiles that are no longer part of the region."""

    def select(self, action: Action) -> NDArray[np.int64]:
        """Return the positions of the tiles an action is for, in the current table."""
        return np.flatnonzero(self.actions == ACTIONS.index(action))

    @property
    def reasons(self) -> dict[str, int]:
        """Tiles by reason, in the words of ``plan_refresh``."""
        counts = np.bincount(self.changed, minlength=NEVER + 1)
        told = {explain_bits(bits): int(counts[bits]) for bits in np.flatnonzero(counts).tolist()}
        if len(self.dropped):
            told["no longer in the region"] = len(self.dropped)
        return dict(sorted(told.items()))


def explain_bits(bits: int) -> str:
    """Return the reason of a decision in words."""
    if bits == NEVER:
        return "never computed"
    names = [part for i, part in enumerate(PARTS) if bits >> i & 1]
    return "changed: " + ", ".join(names) if names else "nothing changed"


def plan_tiles(previous: TileTable, current: TileTable) -> TilePlan:
    """Decide for every tile at once; ``plan_tiles(x, x)`` keeps everything."""
    order = np.argsort(previous.places)
    ordered = previous.places[order]
    found = np.searchsorted(ordered, current.places)
    known = np.zeros(len(current.places), dtype=bool)
    inside = found < len(ordered)
    known[inside] = ordered[found[inside]] == current.places[inside]
    old = order[found[known]]
    changed = np.full(len(current.places), NEVER, dtype=np.uint8)
    bits = np.zeros(len(old), dtype=np.uint8)
    for i, part in enumerate(PARTS):
        before, now = previous.parts[part], current.parts[part]
        pair = (
            before if len(before) == 1 else before[old],
            now if len(now) == 1 else now[known],
        )
        bits |= (pair[0] != pair[1]).any(axis=1).astype(np.uint8) << np.uint8(i)
    changed[known] = bits
    only_model = np.uint8(1 << PARTS.index("model"))
    actions = np.full(len(changed), ACTIONS.index(Action.COMPUTE), dtype=np.uint8)
    actions[changed == only_model] = ACTIONS.index(Action.PREDICT)
    actions[changed == 0] = ACTIONS.index(Action.KEEP)
    gone = ~np.isin(previous.places, current.places, assume_unique=True)
    return TilePlan(actions=actions, changed=changed, dropped=previous.places[gone])


def make_places(grid: Grid, tile_px: int) -> NDArray[np.int64]:
    """Return the place of every tile of a grid, row by row, shape (n,)."""
    n_rows, n_cols = count_tiles(grid, tile_px)
    rows = np.arange(n_rows, dtype=np.int64)[:, None] << COLUMN_BITS
    return (rows | np.arange(n_cols, dtype=np.int64)[None, :]).ravel()


def count_tiles(grid: Grid, tile_px: int) -> tuple[int, int]:
    """Return how many rows and columns of tiles a grid has."""
    return -(-grid.height // tile_px), -(-grid.width // tile_px)


def find_windows(
    footprints: Sequence[tuple[float, float, float, float]], grid: Grid, tile_px: int
) -> NDArray[np.int64]:
    """Return the rectangle of tiles each footprint touches.

    Parameters
    ----------
    footprints
        West, south, east, north in the grid's CRS, as ``imagery.grids.find_footprints`` gives them.

    Returns
    -------
    array, shape (n, 4)
        First row, end row, first column, end column; where none is touched an end is not beyond
        its start. Agrees with ``imagery.grids.touch_tile`` to the last digit.
    """
    a, _, c, _, e, f = grid.transform
    starts_x, ends_x = _cut_edges(grid.width, tile_px)
    starts_y, ends_y = _cut_edges(grid.height, tile_px)
    west, east = c + a * starts_x, c + a * ends_x
    # Rows run southwards; their negatives rise, as searching needs it.
    north, south = -(f + e * starts_y), -(f + e * ends_y)
    bounds = np.asarray(footprints, dtype=np.float64).reshape(-1, 4)
    return np.column_stack(
        [
            np.searchsorted(south, -bounds[:, 3], side="right"),
            np.searchsorted(north, -bounds[:, 1], side="left"),
            np.searchsorted(east, bounds[:, 0], side="right"),
            np.searchsorted(west, bounds[:, 2], side="left"),
        ]
    ).astype(np.int64)


def _cut_edges(n_pixels: int, tile_px: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    starts = np.arange(0, n_pixels, tile_px, dtype=np.int64)
    return starts, np.minimum(starts + tile_px, n_pixels)


def spread_over_tiles(
    values: NDArray[np.uint64], windows: NDArray[np.int64], shape: tuple[int, int]
) -> NDArray[np.uint64]:
    """Return, for each tile, the sum modulo 2⁶⁴ of the values of the scenes that touch it.

    Parameters
    ----------
    values
        One row a scene, shape (n_scenes, k).
    windows
        Of ``find_windows``, shape (n_scenes, 4).
    shape
        Rows and columns of tiles.

    Returns
    -------
    array, shape (rows · columns, k), row by row.
    """
    n_rows, n_cols = shape
    touching = (windows[:, 0] < windows[:, 1]) & (windows[:, 2] < windows[:, 3])
    top, bottom, left, right = windows[touching].T
    told = values[touching]
    corners = np.zeros((n_rows + 1, n_cols + 1, values.shape[1]), dtype=np.uint64)
    np.add.at(corners, (top, left), told)
    np.add.at(corners, (bottom, right), told)
    np.subtract.at(corners, (top, right), told)
    np.subtract.at(corners, (bottom, left), told)
    np.cumsum(corners, axis=0, out=corners)
    np.cumsum(corners, axis=1, out=corners)
    return corners[:n_rows, :n_cols].reshape(n_rows * n_cols, -1)


def split_ids(ids: Sequence[str]) -> Lanes:
    """Return the first 128 bits of hexadecimal content ids, shape (n, 2)."""
    data = b"".join(bytes.fromhex(text[:32]) for text in ids)
    return np.frombuffer(data, dtype=">u8").reshape(-1, 2).astype(np.uint64)


def join_id(lanes: NDArray[np.uint64]) -> str:
    """Return a 128-bit id as hexadecimal; the inverse of ``split_ids`` for one row."""
    return f"{int(lanes[0]):016x}{int(lanes[1]):016x}"


def hash_scene_sets(
    fingerprints: Sequence[str], windows: NDArray[np.int64], shape: tuple[int, int]
) -> Lanes:
    """Return the id of the set of scenes that touch each tile, shape (rows · columns, 2).

    The id is the sum of the scenes' own ids, two lanes modulo 2⁶⁴: it does not depend on their
    order, and two different sets share it by chance once in 2¹²⁸ (Bellare and Micciancio 1997,
    *A new paradigm for collision-free hashing*, doi 10.1007/3-540-69053-0_13).
    """
    return spread_over_tiles(split_ids(fingerprints), windows, shape)
