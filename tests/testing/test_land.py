"""Simulated land: every pixel belongs to one unit, and fields look like fields."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import label
from shapely import MultiPoint

from geotransfer.testing.land import Land, UnitKind, draw_land, draw_smooth_field


@pytest.fixture(scope="module")
def land() -> Land:
    return draw_land(np.random.default_rng(3), (256, 256), crop_share=0.4)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    height=st.integers(32, 90),
    width=st.integers(32, 90),
    crop_share=st.floats(0.1, 0.6),
)
def test_units_partition_the_pixels(seed: int, height: int, width: int, crop_share: float) -> None:
    land = draw_land(np.random.default_rng(seed), (height, width), crop_share=crop_share)
    assert land.unit_of.shape == (height, width)
    np.testing.assert_array_equal(np.unique(land.unit_of), np.arange(land.n_units))
    np.testing.assert_array_equal(np.bincount(land.unit_of.ravel()), land.sizes_px)
    assert land.sizes_px.sum() == height * width
    assert set(np.unique(land.classes)) <= {0, 1}
    # Only fields carry crop, and never more of it than was asked for.
    assert not land.classes[land.kinds != UnitKind.FIELD].any()
    assert (land.classes[land.unit_of] == 1).mean() <= crop_share


def test_crop_share_is_met(land: Land) -> None:
    assert (land.classes[land.unit_of] == 1).mean() == pytest.approx(0.4, abs=0.01)


def test_fields_have_the_size_of_small_holdings(land: Land) -> None:
    sizes = land.sizes_px[land.kinds == UnitKind.FIELD]
    # Hundredths of a hectare to several: a pixel is 0.01 ha.
    assert 50 < np.median(sizes) < 140
    assert sizes.max() < 800
    assert sizes.std() > 25


def test_whole_fields_are_rotated_rectangles(land: Land) -> None:
    filled = []
    for unit in np.flatnonzero(land.kinds == UnitKind.FIELD):
        is_unit = land.unit_of == unit
        y, x = np.nonzero(is_unit)
        at_edge = y.min() == 0 or x.min() == 0 or y.max() == 255 or x.max() == 255
        if land.sizes_px[unit] < 40 or at_edge or label(is_unit)[1] != 1:
            continue
        # Pixel corners, not centres: a row of pixels has an area.
        corners = [
            (a + i, b + j) for a, b in zip(x, y, strict=True) for i in (0, 1) for j in (0, 1)
        ]
        filled.append(land.sizes_px[unit] / MultiPoint(corners).minimum_rotated_rectangle.area)
    assert len(filled) > 100
    assert np.median(filled) > 0.75


def test_all_kinds_of_land_occur(land: Land) -> None:
    shares = np.bincount(land.kinds[land.unit_of].ravel(), minlength=3) / land.unit_of.size
    assert shares[UnitKind.FIELD] > 0.5
    assert 0.2 < shares[UnitKind.NATURAL] < 0.4
    assert 0.005 < shares[UnitKind.ROAD] < 0.1


def test_crop_fields_gather() -> None:
    land = draw_land(np.random.default_rng(8), (256, 256), crop_share=0.35)
    field = np.flatnonzero(land.kinds == UnitKind.FIELD)
    distance = np.hypot(*(land.centres_px[field, np.newaxis] - land.centres_px[field]).T)
    np.fill_diagonal(distance, np.inf)
    neighbour = field[distance.argmin(axis=0)]
    same = (land.classes[field] == land.classes[neighbour]).mean()
    crop = land.classes[field].mean()
    assert same > crop**2 + (1 - crop) ** 2 + 0.1


def test_smooth_field_is_smooth_and_about_standard() -> None:
    field = draw_smooth_field(np.random.default_rng(0), (400, 400), scale_px=20, order=3)
    assert field.shape == (400, 400)
    assert abs(field.mean()) < 0.25
    assert 0.6 < field.std() < 1.4
    assert np.abs(np.diff(field, axis=0)).max() < 0.6
