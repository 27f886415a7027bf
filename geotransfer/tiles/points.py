"""What a raster says at one place."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta

from geotransfer.errors import InputError
from geotransfer.tiles.catalog import RasterEntry, RasterKind
from geotransfer.tiles.reading import HALF_WORLD_M, LAT_LIMIT, read_rectangle

_HALF_SIDE_M = 5e-4
"""Half the side of the square that stands for a point; far smaller than any pixel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PointValue:
    """Values of the pixel at a place."""

    name: str
    """The layer, as shown to people."""
    inside: bool
    """Whether the place lies on the raster."""
    values: tuple[float, ...]
    """Physical values, one for each band; empty outside and where there is no data."""
    label: str | None
    """The class's name, or the day; None for other kinds and where there is no data."""
    unit: str


def read_point(entry: RasterEntry, lon: float, lat: float) -> PointValue:
    """Read the pixel at a place.

    Raises
    ------
    InputError
        The place is not on the map.
    SceneUnreadable
        The file is damaged, missing or without CRS.
    """
    if not (-180 <= lon <= 180 and -LAT_LIMIT <= lat <= LAT_LIMIT):
        raise InputError(
            f"lon {lon}, lat {lat} is not on the map; give -180 to 180 and -85.05 to 85.05 degrees."
        )
    x = lon / 180 * HALF_WORLD_M
    y = math.asinh(math.tan(math.radians(lat))) / math.pi * HALF_WORLD_M
    square = (x - _HALF_SIDE_M, y - _HALF_SIDE_M, x + _HALF_SIDE_M, y + _HALF_SIDE_M)
    pixels = read_rectangle(entry, square, width=1, height=1)
    values: tuple[float, ...] = ()
    if pixels is not None and pixels.valid[0, 0]:
        stored = pixels.values[:, 0, 0].tolist()
        # Nine digits hide what binary fractions add to a scale of 1e-4.
        values = tuple(round(value * pixels.scale + pixels.offset, 9) for value in stored)
    return PointValue(
        name=entry.name,
        inside=pixels is not None,
        values=values,
        label=_find_label(entry, values[0]) if values else None,
        unit=entry.unit,
    )


def _find_label(entry: RasterEntry, value: float) -> str | None:
    if entry.kind is RasterKind.DATE:
        return (date(1970, 1, 1) + timedelta(days=round(value))).isoformat()
    if entry.kind is RasterKind.CLASS and entry.legend is not None:
        names = {item.code: item.name for item in entry.legend.classes}
        return names.get(round(value), f"code {round(value)}, not in the legend")
    return None
