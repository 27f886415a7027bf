"""Where and when a simulated world is: regions to be like, places, days of scenes and changes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np
from pyproj import Transformer

from geotransfer.core.grid import Grid
from geotransfer.errors import InputError
from geotransfer.testing.land import PIXEL_M
from geotransfer.testing.statistics import load_statistics

PLACES = {
    "eastern": (38.9, 8.1),
    "western": (-1.2, 8.9),
    "northern": (-6.9, 32.6),
    "sahel": (-5.2, 13.9),
    "southern": (27.4, -15.3),
    "central": (15.2, 7.3),
}
"""Longitude and latitude where a region drawn like a real one is put: plausible, but invented."""


def choose_regions(regions: Sequence[str] | int, seed: int) -> tuple[str, ...]:
    """Return names of real regions to be like: the given ones, or so many drawn by the seed."""
    known = sorted(load_statistics())
    if isinstance(regions, int):
        order = np.random.default_rng([seed, 0x5EED]).permutation(len(known))
        return tuple(known[order[i % len(known)]] for i in range(regions))
    for name in regions:
        if name not in known:
            raise InputError(
                f"there are no statistics of a region {name!r} to simulate one like it; choose"
                f" from {', '.join(known)}."
            )
    return tuple(regions)


def place_grid(like: str, index: int, seed: int, size_px: int) -> Grid:
    """Return a 10 m UTM grid at the invented place of the world's region ``index``."""
    longitude, latitude = PLACES[like]
    # Regions of one world, and worlds of other seeds, lie beside each other.
    longitude += 0.15 * index
    latitude += 0.1 * (seed % 8)
    zone = int((longitude + 180) // 6) + 1
    crs = f"EPSG:{32600 + zone if latitude >= 0 else 32700 + zone}"
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(longitude, latitude)
    left, top = round(x / PIXEL_M) * PIXEL_M, round(y / PIXEL_M) * PIXEL_M
    return Grid(
        crs=crs, transform=(PIXEL_M, 0.0, left, 0.0, -PIXEL_M, top), height=size_px, width=size_px
    )


def spread_dates(year: int, n_scenes: int) -> tuple[dt.date, ...]:
    """Return ``n_scenes`` days spread evenly over a year; 73 are five days apart."""
    step_days = 365 / n_scenes
    return tuple(
        dt.date(year, 1, 1) + dt.timedelta(days=int((i + 0.5) * step_days)) for i in range(n_scenes)
    )


def spread_changes(year: int, n_events: int) -> tuple[dt.date, ...]:
    """Return days of change events: spread over a year, none in its first or last six weeks."""
    return tuple(
        dt.date(year, 2, 15) + dt.timedelta(days=int((i + 0.5) * 275 / n_events))
        for i in range(n_events)
    )
