"""Zones against a slow count of a hundred parts of each pixel."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from shapely.geometry import Polygon, box

from geotransfer.core.legend import Legend, LegendClass
from geotransfer.imagery.zones import summarize_zones

LEGEND = Legend(
    name="four",
    classes=tuple(
        LegendClass(code=code, name=name, color="#000000")
        for code, name in ((2, "field"), (5, "forest"), (9, "water"), (30, "town"))
    ),
)
CRS = "EPSG:32737"
LEFT, TOP, STEP = 200_000.0, 9_990_000.0, 10.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(5)
    classes = rng.choice([2, 5, 9, 255], (20, 24), p=[0.5, 0.3, 0.1, 0.1]).astype(np.uint8)
    probability = rng.integers(0, 10_000, (4, 20, 24)).astype(np.uint16)
    probability[:, classes == 255] = 65535
    observed = rng.integers(1, 30, (1, 20, 24)).astype(np.uint16)
    for name, array, nodata in (
        ("class", classes[None], 255),
        ("probability", probability, 65535),
        ("observations", observed, 65535),
    ):
        with rasterio.open(
            tmp_path / f"{name}.tif", "w", driver="GTiff", height=20, width=24, count=len(array),
            dtype=array.dtype, crs=CRS, nodata=nodata,
            transform=Affine(STEP, 0, LEFT, 0, -STEP, TOP),
        ) as file:  # fmt: skip
            file.write(array)
            if name == "probability":
                file.scales = (1e-4,) * 4
    return tmp_path


ZONES = [
    box(LEFT + 13, TOP - 171, LEFT + 188, TOP - 22),
    Polygon([(LEFT + 5, TOP - 5), (LEFT + 190, TOP - 60), (LEFT + 70, TOP - 180)]),
    box(LEFT + 150, TOP - 150, LEFT + 400, TOP + 100),
    box(LEFT + 1000, TOP, LEFT + 1100, TOP + 100),
]


def count_slowly(folder: Path, zone: Polygon, parts: int = 10) -> dict[str, float]:
    with rasterio.open(folder / "class.tif") as file:
        classes = file.read(1)
    with rasterio.open(folder / "probability.tif") as file:
        probability = file.read() * 1e-4
    cover = np.zeros(classes.shape)
    offsets = (np.arange(parts) + 0.5) / parts
    for row, col in np.ndindex(classes.shape):
        xs = LEFT + STEP * (col + offsets)
        ys = TOP - STEP * (row + offsets)
        cover[row, col] = shapely.contains_xy(
            zone, *(g.ravel() for g in np.meshgrid(xs, ys))
        ).mean()
    mapped = cover * (classes != 255)
    out = {"mapped": mapped.sum()}
    for item in LEGEND.classes:
        out[item.name] = mapped[classes == item.code].sum() / max(mapped.sum(), 1e-9)
    for band, item in enumerate(LEGEND.classes):
        out[f"p {item.name}"] = (mapped * probability[band]).sum() / max(mapped.sum(), 1e-9)
    return out


def test_shares_areas_and_means_are_those_of_covered_parts_of_pixels(folder: Path) -> None:
    polygons = gpd.GeoDataFrame(geometry=ZONES, crs=CRS)
    found = summarize_zones(folder, polygons, LEGEND, pixel_km2=1e-4)
    for number, zone in enumerate(ZONES[:3]):
        row, slow = found.iloc[number], count_slowly(folder, zone)
        assert sum(row[f"km2 {n}"] for n in LEGEND.names) == pytest.approx(
            slow["mapped"] * 1e-4, rel=0.01
        )
        for name in LEGEND.names:
            assert row[f"share {name}"] == pytest.approx(slow[name], abs=0.01)
            assert row[f"mean probability {name}"] == pytest.approx(slow[f"p {name}"], abs=0.005)
        assert sum(row[f"share {name}"] for name in LEGEND.names) == pytest.approx(1)
    assert found["mapped_share"].iloc[2] < 0.4, "most of it lies beyond the map"
    empty = found.iloc[3]
    assert empty["mapped_share"] == 0
    assert np.isnan(empty["share field"])
    assert empty["km2 field"] == 0
    assert found["area_km2"].iloc[0] == pytest.approx(175 * 149 / 1e6, rel=0.01)


def test_polygons_come_in_any_crs(folder: Path) -> None:
    here = gpd.GeoDataFrame(geometry=ZONES[:2], crs=CRS)
    one = summarize_zones(folder, here, LEGEND, pixel_km2=1e-4)
    two = summarize_zones(folder, here.to_crs("EPSG:4326"), LEGEND, pixel_km2=1e-4)
    np.testing.assert_allclose(one.to_numpy(), two.to_numpy(), rtol=1e-3, atol=1e-4)
