"""Areas and distances on the ground. Loads no raster library, so that pages may use it."""

from __future__ import annotations

import json

import shapely
from pyproj import Transformer
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

EQUAL_AREA = "EPSG:6933"
"""World equal-area projection in metres: areas and distances between labels are taken in it."""


WORLD_WIDTH_M = 2 * 17_367_530.445161372
"""From the antimeridian round to itself in ``EQUAL_AREA``."""


def project_equal_area(geometry: BaseGeometry) -> BaseGeometry:
    """Return a geometry in degrees (EPSG:4326) in ``EQUAL_AREA``."""
    to_equal_area = Transformer.from_crs("EPSG:4326", EQUAL_AREA, always_xy=True)
    return shapely.transform(geometry, to_equal_area.transform, interleaved=False)


def measure_area_km2(geometry: str) -> float:
    """Return the area of a GeoJSON geometry (EPSG:4326) in km²."""
    return float(project_equal_area(shape(json.loads(geometry))).area) / 1e6


def find_middle_longitude(west: float, east: float) -> float:
    """Return the longitude in the middle, in [-180, 180).

    West is greater than east across the antimeridian; the middle is not on the other side of the
    globe then.
    """
    middle = (west + (east if east >= west else east + 360)) / 2
    return (middle + 180) % 360 - 180
