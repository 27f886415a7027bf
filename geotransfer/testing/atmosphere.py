"""Simulated sky: clouds, their shadows, and a mask that misses some of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geotransfer.testing.land import draw_smooth_field

Float32 = NDArray[np.float32]

NO_DATA, SHADOW, VEGETATION, BARE, WATER, CLOUD_MEDIUM, CLOUD_HIGH = 0, 3, 4, 5, 6, 8, 9
"""Codes of the Sentinel-2 scene classification that the simulation uses."""

MISSED_SHADOW_SHARE = 0.3
"""Share of shadow area that the mask does not know."""
_REACH_PX = 48
"""Shadows fall at most this far from their cloud."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Sky:
    """What lies between the ground and the sensor on one date.

    Attributes
    ----------
    cloud, shadow
        Opacity of cloud, and depth of its shadow, 0–1, ``(y, x)``; None on a cloudless day.
    is_cloud, is_dense, is_shadow
        What the mask detects, ``(y, x)``.
    is_seen
        False beyond the edge of the swath, ``(y, x)``; None where the swath covers everything.
    """

    cloud: Float32 | None
    shadow: Float32 | None
    is_cloud: NDArray[np.bool_]
    is_dense: NDArray[np.bool_]
    is_shadow: NDArray[np.bool_]
    is_seen: NDArray[np.bool_] | None


def make_clear_sky(shape: tuple[int, int], is_seen: NDArray[np.bool_] | None = None) -> Sky:
    """Return a sky without a cloud."""
    nothing = np.zeros(shape, bool)
    return Sky(
        cloud=None,
        shadow=None,
        is_cloud=nothing,
        is_dense=nothing,
        is_shadow=nothing,
        is_seen=is_seen,
    )


def draw_cloud_cover(rng: np.random.Generator) -> float:
    """Draw the share of sky a date's clouds cover: half of the dates are nearly clear."""
    kind = rng.random()
    if kind < 0.25:
        return 0.0
    if kind < 0.5:
        return float(rng.uniform(0.0, 0.08))
    if kind < 0.9:
        return float(rng.uniform(0.08, 0.5))
    return float(rng.uniform(0.6, 1.0))


def draw_sky(rng: np.random.Generator, shape: tuple[int, int], *, swath_share: float = 0.1) -> Sky:
    """Draw the sky of one date.

    Parameters
    ----------
    swath_share
        Share of dates whose swath ends within the region.
    """
    is_seen = None
    if rng.random() < swath_share:
        y, x = np.ogrid[: shape[0], : shape[1]]
        edge = rng.uniform(0.1, 0.9) * shape[1]
        is_seen = (x + 0.2 * y > edge) if rng.random() < 0.5 else (x + 0.2 * y < edge)
    cover = draw_cloud_cover(rng)
    if cover == 0.0:
        return make_clear_sky(shape, is_seen)
    padded = (shape[0] + _REACH_PX, shape[1] + _REACH_PX)
    field = draw_smooth_field(rng, padded, scale_px=70)
    field += 0.6 * draw_smooth_field(rng, padded, scale_px=24)
    field += 0.25 * draw_smooth_field(rng, padded, scale_px=8)
    opacity = np.clip((field - np.quantile(field[::4, ::4], 1 - cover)) / 0.4, 0, 1)
    # Morning sun stands in the south-east: the shadow lies to the north-west of its cloud.
    up, left = rng.integers(_REACH_PX // 4, _REACH_PX, 2)
    cloud = opacity[: shape[0], : shape[1]]
    shadow = opacity[up : up + shape[0], left : left + shape[1]]
    unknown = draw_smooth_field(rng, shape, scale_px=40)
    is_missed = unknown > np.quantile(unknown[::4, ::4], 1 - MISSED_SHADOW_SHARE)
    is_cloud = cloud > 0.08
    return Sky(
        cloud=cloud,
        shadow=shadow,
        is_cloud=is_cloud,
        is_dense=cloud > 0.4,
        is_shadow=(shadow > 0.15) & ~is_missed & ~is_cloud,
        is_seen=is_seen,
    )
