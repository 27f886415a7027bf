"""Measured columns against an independent, slow and obvious implementation, also on real scenes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from geotransfer.core.grid import Grid, Tile
from geotransfer.core.spec import S2_SEMIANNUAL, Column, FeatureSpec, Period
from geotransfer.imagery.catalog import read_catalog
from geotransfer.imagery.composite import compose_measured
from geotransfer.imagery.grids import complete_scene
from geotransfer.imagery.stack import Stack, read_stack


def find_geomedian_slowly(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weiszfeld's iteration in float64 with every data point tried as well."""
    center = points.mean(axis=0)
    for _ in range(4000):
        distance = np.linalg.norm(points - center, axis=1)
        weights = 1 / np.maximum(distance, 1e-14)
        moved = (points * weights[:, None]).sum(axis=0) / weights.sum()
        if np.linalg.norm(moved - center) < 1e-13:
            break
        center = moved

    def cost(candidate: NDArray[np.float64]) -> float:
        return float(np.linalg.norm(points - candidate, axis=1).sum())

    return min([center, *points], key=cost)


def measure_slowly(points: NDArray[np.float64]) -> dict[str, float]:
    m = find_geomedian_slowly(points)
    edev = np.median(np.linalg.norm(points - m, axis=1))
    cosine = (points @ m) / (np.linalg.norm(points, axis=1) * np.linalg.norm(m))
    bray = np.abs(points - m).sum(axis=1) / np.abs(points + m).sum(axis=1)
    blue, green, red, nir, swir_1 = m[:5]
    evi = 2.5 * (nir - red) / (nir + 6 * red - 7.5 * blue + 1)
    return {
        **{f"band{i}": v for i, v in enumerate(m)},
        "edev": -np.log(max(edev, 1e-9)),
        "sdev": -np.log(max(float(np.median(1 - cosine)), 1e-9)),
        "bcdev": -np.log(max(float(np.median(bray)), 1e-9)),
        "NDVI": (nir - red) / (nir + red),
        "LAI": 3.618 * evi - 0.118,
        "MNDWI": (green - swir_1) / (green + swir_1),
    }


def check_pixel(values: NDArray[np.float32], slow: dict[str, float], season: str) -> None:
    names = list(S2_SEMIANNUAL.measured_names)
    for i, band in enumerate(S2_SEMIANNUAL.bands):
        assert values[names.index(f"{band}_{season}")] == pytest.approx(slow[f"band{i}"], abs=2e-4)
    for mad in ("edev", "bcdev"):
        assert values[names.index(f"{mad}_{season}")] == pytest.approx(slow[mad], abs=0.03)
    # The spectral deviation is a small difference of large numbers: compare it raw.
    assert np.exp(-values[names.index(f"sdev_{season}")]) == pytest.approx(
        np.exp(-slow["sdev"]), rel=0.05, abs=2e-6
    )
    for index, tolerance in (("NDVI", 2e-3), ("LAI", 1e-2), ("MNDWI", 2e-3)):
        assert values[names.index(f"{index}_{season}")] == pytest.approx(slow[index], abs=tolerance)


def test_measured_columns_agree_with_the_slow_way() -> None:
    rng = np.random.default_rng(5)
    base = rng.uniform(300, 4000, (1, 9, 3, 4))
    dn = (base * rng.uniform(0.8, 1.25, (14, 9, 3, 4))).astype(np.int16)
    valid = rng.random((14, 3, 4)) > 0.25
    dates = tuple(f"2022-{m:02d}-{d:02d}" for m in range(3, 10) for d in (5, 20))
    measured = compose_measured(Stack(dn=dn, valid=valid, dates=dates, read_bytes=0), S2_SEMIANNUAL)
    months = np.array([int(d[5:7]) for d in dates])
    for number, (season, inside) in enumerate((("S1", months <= 6), ("S2", months > 6))):
        for y in range(3):
            for x in range(4):
                steps = inside & valid[:, y, x]
                assert measured.counts[number, y, x] == steps.sum()
                if steps.sum() >= 3:
                    slow = measure_slowly(dn[steps, :, y, x].astype(np.float64) * 1e-4)
                    check_pixel(measured.values[:, y, x], slow, season)


def test_a_pixel_without_observations_is_missing_not_zero() -> None:
    dn = np.full((4, 9, 2, 2), 1000, dtype=np.int16)
    valid = np.ones((4, 2, 2), dtype=bool)
    valid[:, 0, 0] = False
    stack = Stack(
        dn=dn,
        valid=valid,
        dates=("2022-02-01", "2022-03-01", "2022-08-01", "2022-09-01"),
        read_bytes=0,
    )
    measured = compose_measured(stack, S2_SEMIANNUAL)
    assert np.isnan(measured.values[:, 0, 0]).all()
    assert np.isfinite(measured.values[:, 1, 1]).all()
    assert (measured.counts[:, 0, 0] == 0).all()


def test_a_spec_of_one_band_and_many_dates_needs_no_new_code() -> None:
    periods = tuple(Period(name=f"m{m}", months=(m,)) for m in (3, 4, 5))
    spec = FeatureSpec(
        name="ndvi-monthly",
        version=1,
        periods=periods,
        measured=tuple(
            Column(name=f"ndvi_{p.name}", statistic="median", band="ndvi", period=p.name)
            for p in periods
        ),
        derived=(),
    )
    dn = np.arange(1, 6, dtype=np.int16).reshape(5, 1, 1, 1) * 1000
    stack = Stack(
        dn=dn,
        valid=np.ones((5, 1, 1), dtype=bool),
        dates=("2022-03-01", "2022-03-09", "2022-03-20", "2022-04-02", "2022-04-09"),
        read_bytes=0,
    )
    values = compose_measured(stack, spec).values[:, 0, 0]
    assert values[0] == pytest.approx(0.2)
    assert values[1] == pytest.approx(0.45)
    assert np.isnan(values[2])


@pytest.mark.reference
def test_real_scenes_over_belgium_agree_with_the_slow_way(reference_data: Path) -> None:
    items = reference_data / "worldcereal-belgium-2021" / "items.json"
    scenes = [complete_scene(s) for s in read_catalog(str(items))]
    assert all(s.find_asset("mask:scl") is None for s in scenes), "a collection without a mask"
    a, b, c, d, e, f = scenes[0].transform or (0,) * 6
    grid = Grid(crs=str(scenes[0].crs), transform=(a, b, c, d, e, f), height=100, width=100)
    tile = Tile(tile_id="t", row=40, col=40, height=6, width=6)
    stack = read_stack(scenes, S2_SEMIANNUAL.bands, grid, tile)
    assert stack.valid.any(axis=(1, 2)).sum() == 10, "December and January are nodata"
    measured = compose_measured(stack, S2_SEMIANNUAL)
    months = np.array([int(day[5:7]) for day in stack.dates])
    for season, inside in (("S1", months <= 6), ("S2", months > 6)):
        for y in range(6):
            for x in range(6):
                steps = inside & stack.valid[:, y, x]
                slow = measure_slowly(stack.dn[steps, :, y, x].astype(np.float64) * 1e-4)
                check_pixel(measured.values[:, y, x], slow, season)
