"""Simulated land: fields, natural patches and roads, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import zoom
from scipy.spatial import cKDTree

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

PIXEL_M = 10.0
"""Side of a pixel in metres; everything simulated is on one grid."""
_HECTARE_PX = 10_000 / PIXEL_M**2

NATURAL_SHARE = 0.3
BLOCK_HA = 110.0
"""Mean area between roads."""
NATURAL_UNIT_HA = 3.0
FIELD_SPREAD = 0.5
"""Standard deviation of ln(field area)."""


class UnitKind(IntEnum):
    """What a unit of land is."""

    FIELD = 0
    NATURAL = 1
    ROAD = 2


@dataclass(frozen=True, eq=False, kw_only=True)
class Land:
    """Units of land on a pixel grid; a unit has one class at a time.

    Attributes
    ----------
    unit_of
        Unit of each pixel, ``(y, x)``.
    kinds
        ``UnitKind`` of each unit, shape (unit,).
    classes
        Class code of each unit before any change event, shape (unit,): 0 non-crop, 1 crop.
    sizes_px
        Pixels of each unit, shape (unit,).
    centres_px
        Mean row and column of each unit, shape (unit, 2).
    """

    unit_of: NDArray[np.int32]
    kinds: NDArray[np.uint8]
    classes: NDArray[np.uint8]
    sizes_px: Int64
    centres_px: Float64

    @property
    def n_units(self) -> int:
        """Number of units."""
        return len(self.kinds)


def draw_smooth_field(
    rng: np.random.Generator, shape: tuple[int, int], *, scale_px: float, order: int = 1
) -> Float32:
    """Draw a Gaussian random field of about unit variance, ``(y, x)``, smooth over ``scale_px``."""
    nodes = [max(2, round(n / scale_px)) + 1 for n in shape]
    coarse = rng.standard_normal(nodes, dtype=np.float32)
    factors = [n / m for n, m in zip(shape, nodes, strict=True)]
    field: Float32 = zoom(coarse, factors, order=order, mode="nearest", grid_mode=True)
    return field * np.float32(1.25)


def _subdivide(
    rng: np.random.Generator, u: Float64, v: Float64, *, mean_area_px: float, spread: float
) -> Int64:
    """Cut points (u, v) into rectangles along both axes, again and again; return part numbers."""
    parts = np.zeros(len(u), np.int64)
    n_parts = 0
    stack = [np.arange(len(u))]
    while stack:
        rows = stack.pop()
        wanted = mean_area_px * np.exp(spread * rng.standard_normal() - spread**2 / 2)
        share = rng.uniform(0.38, 0.62)
        # Halving stops near the wanted area: a part ends between 0.7 and 1.4 times it.
        if len(rows) <= 1.4 * wanted:
            parts[rows] = n_parts
            n_parts += 1
            continue
        extent_u, extent_v = np.ptp(u[rows]), np.ptp(v[rows])
        # Fields are up to twice as long as wide, along the direction of their block.
        along = u if extent_u * 1.4 > extent_v else v
        values = along[rows]
        is_low = values < values.min() + share * np.ptp(values)
        if is_low.all() or not is_low.any():
            parts[rows] = n_parts
            n_parts += 1
            continue
        stack.extend((rows[is_low], rows[~is_low]))
    return parts


def _rotate(y: Float64, x: Float64, angle: float) -> tuple[Float64, Float64]:
    return x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)


def draw_land(
    rng: np.random.Generator,
    shape: tuple[int, int],
    *,
    crop_share: float,
    field_ha: float = 1.2,
) -> Land:
    """Draw the land of a region.

    Blocks between roads are cut into rotated, nearly rectangular fields; over them lie natural
    patches with curved edges. Crop fields gather where a smooth field is high.

    Parameters
    ----------
    crop_share
        Share of the area that is crop, at most what fields cover.
    field_ha
        Mean area of a field in hectares.
    """
    height, width = shape
    y, x = (a.ravel().astype(np.float64) for a in np.mgrid[:height, :width])
    angle = rng.uniform(0, np.pi / 2)
    u, v = _rotate(y, x, angle)
    block = _subdivide(rng, u, v, mean_area_px=BLOCK_HA * _HECTARE_PX, spread=0.4)

    unit = np.empty(len(y), np.int64)
    n_units = 0
    order = np.argsort(block, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(block[order])) + 1):
        u, v = _rotate(y[rows], x[rows], angle + rng.normal(0, np.radians(12)))
        parts = _subdivide(rng, u, v, mean_area_px=field_ha * _HECTARE_PX, spread=FIELD_SPREAD)
        unit[rows] = n_units + parts
        n_units += int(parts.max()) + 1
    kind = np.full(len(y), UnitKind.FIELD, np.uint8)

    bush = draw_smooth_field(rng, shape, scale_px=45, order=3)
    bush = bush + 0.5 * draw_smooth_field(rng, shape, scale_px=12, order=3)
    is_natural = (bush > np.quantile(bush, 1 - NATURAL_SHARE)).ravel()
    n_seeds = max(4, round(len(y) / (NATURAL_UNIT_HA * _HECTARE_PX)))
    seeds = rng.uniform((0, 0), shape, (n_seeds, 2))
    # Bending the coordinates bends the borders between the cells.
    bend = 6 * np.stack([draw_smooth_field(rng, shape, scale_px=16, order=3) for _ in "yx"])
    bent = np.stack((y, x), axis=1)[is_natural] + bend.reshape(2, -1).T[is_natural]
    unit[is_natural] = n_units + cKDTree(seeds).query(bent)[1]
    kind[is_natural] = UnitKind.NATURAL
    n_units += n_seeds

    blocks = block.reshape(shape)
    is_road = np.zeros(shape, bool)
    is_road[:, 1:] |= blocks[:, 1:] != blocks[:, :-1]
    is_road[1:] |= blocks[1:] != blocks[:-1]
    # A road is a unit for every 128 pixels of its course, so that roads are not all alike.
    cell = (y // 128 * 1000 + x // 128).astype(np.int64)
    unit[is_road.ravel()] = n_units + cell[is_road.ravel()]
    kind[is_road.ravel()] = UnitKind.ROAD

    _, unit = np.unique(unit, return_inverse=True)
    sizes = np.bincount(unit)
    kinds = np.zeros(len(sizes), np.uint8)
    kinds[unit] = kind
    centres = np.stack([np.bincount(unit, a) / sizes for a in (y, x)], axis=1)

    suits = draw_smooth_field(rng, shape, scale_px=90, order=3).ravel()
    liking = np.bincount(unit, suits) / sizes + 0.8 * rng.standard_normal(len(sizes))
    liking[kinds != UnitKind.FIELD] = -np.inf
    by_liking = np.argsort(-liking, kind="stable")
    is_crop = np.cumsum(sizes[by_liking]) <= crop_share * len(y)
    classes = np.zeros(len(sizes), np.uint8)
    classes[by_liking[is_crop]] = 1
    classes[kinds != UnitKind.FIELD] = 0
    return Land(
        unit_of=unit.reshape(shape).astype(np.int32),
        kinds=kinds,
        classes=classes,
        sizes_px=sizes,
        centres_px=centres,
    )
