"""Areas and distances on the ground. Loads no raster library, so that pages may use it."""

from __future__ import annotations

import json

import shapely
from pyproj import Transformer
from shapely.geometry import shape

EQUAL_AREA = "EPSG:6933"
"""World equal-area projection in metres: areas and distances between labels are taken in it."""


WORLD_WIDTH_M = 2 * 17_367_530.445161372
"""From the antimeridian round to itself in ``EQUAL_AREA``."""


def measure_area_km2(geometry: str) -> float:
    """Return the area of a GeoJSON geometry (EPSG:4326) in km²."""
    to_equal_area = Transformer.from_crs("EPSG:4326", EQUAL_AREA, always_xy=True)
    projected = shapely.transform(
        shape(json.loads(geometry)), to_equal_area.transform, interleaved=False
    )
    return float(projected.area) / 1e6
