"""Read one tile of all its scenes into a masked stack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import rasterio
from numpy.typing import NDArray

from geotransfer.core.grid import Grid, Tile
from geotransfer.core.scene import Scene
from geotransfer.imagery.access import find_access, make_gdal_options
from geotransfer.imagery.areas import find_middle_longitude
from geotransfer.imagery.scene_windows import read_scene


@dataclass(frozen=True)
class Stack:
    """One tile of many dates; one entry a day, overlapping scenes merged."""

    dn: NDArray[np.int16]
    """Digital numbers, shape (time, band, y, x); reflectance = dn · 1e-4."""
    valid: NDArray[np.bool_]
    """Whether a date shows the ground, shape (time, y, x)."""
    dates: tuple[str, ...]
    """ISO dates (local solar day), one a time step, ascending."""
    read_bytes: int
    """Bytes of decoded pixels."""


def find_solar_day(scene: Scene) -> str:
    """Return the ISO date of the scene in local solar time, so that one overpass is one day."""
    moment = datetime.fromisoformat(scene.sensed_at.replace("Z", "+00:00"))
    west, _, east, _ = scene.bounds
    hours = find_middle_longitude(west, east) / 15
    return (moment + timedelta(hours=hours)).date().isoformat()


def read_stack(scenes: Sequence[Scene], bands: Sequence[str], grid: Grid, tile: Tile) -> Stack:
    """Read ``bands`` of ``scenes`` on one tile.

    Scenes of one day are merged pixel by pixel, in the order of their ids: the first that shows
    the ground wins. A pixel is valid on a date only if every band has a value.

    Raises
    ------
    SceneUnreadable
        A file cannot be read; the message names file and band. Nothing is ever filled in for it.
    """
    days = group_days(scenes)
    dn = np.empty((len(days), len(bands), tile.height, tile.width), dtype=np.int16)
    valid = np.empty((len(days), tile.height, tile.width), dtype=bool)
    read_bytes = 0
    with rasterio.Env(**make_gdal_options(find_access())):
        for step, members in enumerate(days.values()):
            read_bytes += read_day(members, bands, grid, tile, dn=dn[step], valid=valid[step])
    return Stack(dn=dn, valid=valid, dates=tuple(days), read_bytes=read_bytes)


def group_days(scenes: Sequence[Scene]) -> dict[str, list[Scene]]:
    """Return the scenes of each day, days ascending, scenes in the order of their ids."""
    days: dict[str, list[Scene]] = {}
    for day, scene in sorted(
        ((find_solar_day(s), s) for s in scenes), key=lambda pair: (pair[0], pair[1].scene_id)
    ):
        days.setdefault(day, []).append(scene)
    return days


def read_day(
    scenes: Sequence[Scene],
    bands: Sequence[str],
    grid: Grid,
    tile: Tile,
    *,
    dn: NDArray[np.int16],
    valid: NDArray[np.bool_],
) -> int:
    """Fill ``dn`` (band, y, x) and ``valid`` (y, x) with one day's scenes, the first that shows
    the ground first; return the bytes of decoded pixels."""
    read_bytes = read_scene(scenes[0], bands, grid, tile, dn=dn, valid=valid)
    for scene in scenes[1:]:
        other, shows = np.empty_like(dn), np.empty_like(valid)
        read_bytes += read_scene(scene, bands, grid, tile, dn=other, valid=shows)
        fresh = shows & ~valid
        np.copyto(dn, other, where=fresh[None])
        valid |= fresh
    return read_bytes
