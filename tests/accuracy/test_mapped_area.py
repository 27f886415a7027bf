from __future__ import annotations

import numpy as np
import pytest
from pyproj import Geod

from geotransfer.accuracy.mapped_area import measure_mapped_km2
from geotransfer.core.grid import Grid
from geotransfer.core.legend import CROPLAND, NODATA_CLASS
from geotransfer.errors import SceneInvalid, TableInvalid


def measure_ring(west: float, south: float, east: float, north: float) -> float:
    """Area of a degree rectangle on the ellipsoid, km²; parallels as many short lines."""
    lons = np.linspace(west, east, 500)
    lon = np.concatenate((lons, lons[::-1]))
    lat = np.concatenate((np.full(500, south), np.full(500, north)))
    area_m2, _ = Geod(ellps="WGS84").polygon_area_perimeter(lon, lat)
    return abs(area_m2) / 1e6


def test_degrees_are_measured_on_the_ground_not_counted_as_pixels() -> None:
    # Half a degree at 60° north is half as wide as at the equator.
    for south in (0.0, 59.5):
        grid = Grid(
            crs="EPSG:4326", transform=(0.005, 0, 10, 0, -0.005, south + 0.5), height=100, width=100
        )
        codes = np.zeros((100, 100), np.uint8)
        codes[:50] = 1
        non_crop, crop = measure_mapped_km2(codes, grid, CROPLAND)
        assert crop == pytest.approx(measure_ring(10, south + 0.25, 10.5, south + 0.5), rel=1e-5)
        assert non_crop == pytest.approx(measure_ring(10, south, 10.5, south + 0.25), rel=1e-5)


@pytest.mark.parametrize("crs", ["EPSG:32631", "EPSG:6933"])
def test_metric_pixels_have_their_metric_area(crs: str) -> None:
    grid = Grid(crs=crs, transform=(10, 0, 500_000, 0, -10, 4_800_000), height=70, width=130)
    codes = np.random.default_rng(0).choice([0, 1, NODATA_CLASS], (70, 130)).astype(np.uint8)
    expected = [(codes == code).sum() * 1e-4 for code in (0, 1)]
    # UTM shrinks the ground by up to 0.08 % in area at its middle meridian.
    assert measure_mapped_km2(codes, grid, CROPLAND) == pytest.approx(expected, rel=1e-3)


def test_web_mercator_does_not_inflate_areas() -> None:
    grid = Grid(crs="EPSG:3857", transform=(10, 0, 0, 0, -10, 8_400_000), height=64, width=64)
    area = sum(measure_mapped_km2(np.zeros((64, 64), np.uint8), grid, CROPLAND))
    assert area == pytest.approx(0.4096 * 0.25, rel=0.02)


def test_a_raster_of_another_shape_or_place_is_refused() -> None:
    grid = Grid(crs="EPSG:4326", transform=(1, 0, 0, 0, -1, 10), height=3, width=4)
    with pytest.raises(TableInvalid, match=r"shape \(4, 3\)"):
        measure_mapped_km2(np.zeros((4, 3)), grid, CROPLAND)
    lost = Grid(crs="EPSG:32631", transform=(1e9, 0, 0, 0, -1e9, 10), height=3, width=4)
    with pytest.raises(SceneInvalid, match="outside the Earth"):
        measure_mapped_km2(np.zeros((3, 4)), lost, CROPLAND)
