"""Labelled points of the simulated world: true, placed in their pixel, with planned faults."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pyproj import Transformer
from shapely import Point, contains_xy
from shapely.geometry import shape

from geotransfer.errors import InputError
from geotransfer.testing import Role, SimulatedRegion, sample_points, write_points_csv
from geotransfer.testing.points import FAULTS
from geotransfer.testing.world import build_world


@pytest.fixture(scope="module")
def region() -> SimulatedRegion:
    world = build_world(("eastern", "northern"), 1.0, 6, folder=Path("nowhere"), size_px=96)
    return next(r for r in world.regions if r.role is Role.TARGET)


@pytest.mark.parametrize("design", ["random", "stratified", "clustered"])
def test_points_are_true_and_in_their_pixels(region: SimulatedRegion, design: str) -> None:
    points = sample_points(region, 200, 1, design=design)  # type: ignore[arg-type]
    assert len(points) == 200
    assert len(set(zip(points.rows.tolist(), points.cols.tolist(), strict=True))) == 200
    to_grid = Transformer.from_crs("EPSG:4326", region.grid.crs, always_xy=True)
    x, y = to_grid.transform(points.longitude, points.latitude)
    a, _, left, _, e, top = region.grid.transform
    np.testing.assert_array_equal(np.floor((x - left) / a), points.cols)
    np.testing.assert_array_equal(np.floor((y - top) / e), points.rows)
    truth = region.ground.find_truth(points.date)[points.rows, points.cols]
    np.testing.assert_array_equal(points.class_names == "crop", truth == 1)
    assert contains_xy(shape(region.outline), points.longitude, points.latitude).all()


def test_points_are_the_same_for_a_seed(region: SimulatedRegion) -> None:
    first, second = sample_points(region, 50, 1), sample_points(region, 50, 1)
    np.testing.assert_array_equal(first.rows, second.rows)
    assert (sample_points(region, 50, 2).rows != first.rows).any()


def test_stratified_points_are_even(region: SimulatedRegion) -> None:
    points = sample_points(region, 101, 3, design="stratified")
    assert Counter(points.class_names.tolist()) == {"non-crop": 51, "crop": 50}


def test_clustered_points_are_near_each_other(region: SimulatedRegion) -> None:
    def nearest(design: str) -> float:
        points = sample_points(region, 60, 4, design=design)  # type: ignore[arg-type]
        place = np.stack([points.rows, points.cols], axis=1)
        distance = np.hypot(*(place[:, np.newaxis] - place).T).astype(float)
        np.fill_diagonal(distance, np.inf)
        return float(np.median(distance.min(axis=0)))

    assert nearest("clustered") < nearest("random")


def test_too_many_points_are_refused(region: SimulatedRegion) -> None:
    with pytest.raises(InputError, match="do not fit"):
        sample_points(region, 96 * 96, 1)


def test_the_file_plants_six_different_faults(region: SimulatedRegion, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    points = write_points_csv(region, path, 100, 9)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 106
    assert len(points) == 100
    good, bad = rows[:100], rows[100:]
    outline = shape(region.outline)
    for row, name in zip(good, points.class_names, strict=True):
        assert row["class"] == name
        assert outline.contains_properly(_point(row))
    assert len(FAULTS) == len(bad)
    swapped, unknown, missing, outside, conflict, dated = bad
    assert float(swapped["lat"]) == pytest.approx(region.outline["coordinates"][0][0][0], abs=0.1)
    assert unknown["class"] not in ("crop", "non-crop")
    assert missing["lat"] == ""
    assert not outline.contains(_point(outside))
    twin = next(r for r in good if (r["lon"], r["lat"]) == (conflict["lon"], conflict["lat"]))
    assert twin["class"] != conflict["class"]
    assert dated["date"] < "2022-01-01"
    # Each faulty row has its own fault only.
    for row in (unknown, dated, conflict):
        assert outline.contains(_point(row))
    for row in (swapped, missing, outside, conflict):
        assert row["date"] == points.date.isoformat()
        assert row["class"] in ("crop", "non-crop")


def _point(row: dict[str, str]) -> Point:
    return Point(float(row["lon"]), float(row["lat"]))


def test_a_file_may_be_clean(region: SimulatedRegion, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    write_points_csv(region, path, 20, 9, n_bad=0)
    assert len(path.read_text().splitlines()) == 21
