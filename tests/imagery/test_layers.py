"""Layers without a date: refused where a model would misread them, read to the pixel otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from shapely.geometry import box, mapping

from geotransfer.core.grid import Grid, Tile
from geotransfer.core.layer import Layer
from geotransfer.core.region import Region, RegionKind
from geotransfer.errors import LayerInvalid, SceneUnreadable
from geotransfer.imagery.layers import check_layer, read_layers

REGION = Region(
    region_id="hills",
    name="Hills",
    kind=RegionKind.IMAGERY,
    outline=json.dumps(mapping(box(36.00, -0.10, 36.05, -0.05))),
    area_km2=30.0,
    spec_name="s2-semiannual-climate",
    legend_name="cropland",
)


def write(path: Path, values: np.ndarray, *, crs: str | None = "EPSG:4326", left: float = 35.9,
          step: float = 0.005, nodata: float | None = -9999) -> str:  # fmt: skip
    with rasterio.open(
        path, "w", driver="GTiff", height=values.shape[0], width=values.shape[1], count=1,
        dtype="float32", crs=crs, transform=Affine(step, 0, left, 0, -step, 0.1), nodata=nodata,
    ) as file:  # fmt: skip
        file.write(values.astype(np.float32), 1)
    return str(path)


def describe(href: str, **told: object) -> Layer:
    base = {"name": "slope", "unit": "percent", "href": href, "content_hash": "x"}
    return Layer(**{**base, **told})  # type: ignore[arg-type]


@pytest.fixture
def slope(tmp_path: Path) -> str:
    rng = np.random.default_rng(0)
    return write(tmp_path / "slope.tif", rng.uniform(0, 40, (60, 60)))


def test_a_slope_in_percent_over_the_whole_region_is_taken(slope: str) -> None:
    check_layer(describe(slope), REGION)
    check_layer(describe(slope, name="anything", unit="furlongs"), REGION)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"unit": "degrees"}, "models read it in percent"),
        ({"name": "rain_S1", "unit": "mm"}, "no span of years is"),
        ({"name": "rain_S1", "unit": "mm", "years": "2021"}, "1 years are"),
        ({"name": "rain_S2", "unit": "mm", "years": "2019-2021"}, "one year's rain is weather"),
        ({"band": 2}, "has 1 bands, not 2"),
        ({"scale": 100.0}, "another unit"),
        ({"offset": -100.0}, "another unit"),
    ],
)
def test_what_a_model_would_misread_is_refused(slope: str, told: dict, why: str) -> None:
    with pytest.raises(LayerInvalid, match=why):
        check_layer(describe(slope, **told), REGION)


def test_a_mean_of_thirty_years_is_a_climate(slope: str) -> None:
    check_layer(describe(slope, name="rain_S1", unit="mm", years="1991-2020"), REGION)


def test_a_layer_must_say_where_it_lies_and_cover_the_region(tmp_path: Path) -> None:
    values = np.full((60, 60), 5.0)
    with pytest.raises(LayerInvalid, match="states no CRS"):
        check_layer(describe(write(tmp_path / "a.tif", values, crs=None)), REGION)
    with pytest.raises(LayerInvalid, match="covers 0%"):
        check_layer(describe(write(tmp_path / "b.tif", values, left=37.0)), REGION)
    values[25:35, 28:] = -9999
    with pytest.raises(LayerInvalid, match=r"covers \d\d% of region 'hills'"):
        check_layer(describe(write(tmp_path / "c.tif", values)), REGION)
    with pytest.raises(SceneUnreadable, match="cannot be opened"):
        check_layer(describe(str(tmp_path / "none.tif")), REGION)


def test_a_layer_is_read_on_another_grid_and_is_nan_outside(tmp_path: Path) -> None:
    rows, cols = np.mgrid[:60, :60]
    # A plane: bilinear interpolation must give it back exactly.
    href = write(tmp_path / "plane.tif", 2.0 * rows + 3.0 * cols)
    grid = Grid(crs="EPSG:4326", transform=(0.001, 0, 35.95, 0, -0.001, 0.0), height=40, width=300)
    tile = Tile(tile_id="t", row=10, col=20, height=8, width=260)
    (found,) = read_layers([describe(href, scale=0.5, offset=1.0)], grid, tile)
    lon = 35.95 + 0.001 * (20 + np.arange(260) + 0.5)
    lat = 0.0 - 0.001 * (10 + np.arange(8) + 0.5)
    col, row = (lon - 35.9) / 0.005 - 0.5, (0.1 - lat) / 0.005 - 0.5
    expected = 0.5 * (2 * row[:, None] + 3 * col[None, :]) + 1
    inside = (lon < 35.9 + 59.5 * 0.005)[None, :] & np.ones((8, 1), dtype=bool)
    np.testing.assert_allclose(found[inside], expected[inside], rtol=1e-4)
    assert np.isnan(found[:, lon > 36.2 + 0.001]).all()
