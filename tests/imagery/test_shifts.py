"""A shift made on purpose is measured; clouds, seasons and other places are not taken for one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.ndimage import shift as move

from geotransfer.imagery.shifts import MAX_SHIFT_PX, measure_shift, refine_peak


def draw_fields(seed: int, size: int = 128) -> np.ndarray:
    """Fields of one value each, with soft edges, as a sensor of ten metres sees them."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(0, size, (60, 2))
    grid = np.stack(np.meshgrid(np.arange(size), np.arange(size), indexing="ij"), axis=-1)
    nearest = ((grid[:, :, None] - places) ** 2).sum(axis=-1).argmin(axis=-1)
    return gaussian_filter(rng.uniform(0.05, 0.4, 60)[nearest], 0.7).astype(np.float32)


def displace(picture: np.ndarray, down: float, right: float) -> np.ndarray:
    return move(picture, (down, right), order=3, mode="nearest").astype(np.float32)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("length_px", [0.0, 0.3, 0.7, 1.5, 5.0])
def test_a_shift_is_measured_to_a_fifth_of_a_pixel(seed: int, length_px: float) -> None:
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi)
    down, right = length_px * np.sin(angle), length_px * np.cos(angle)
    picture = draw_fields(seed)
    noise = rng.normal(0, 0.003, picture.shape).astype(np.float32)
    found = measure_shift(picture, displace(picture, down, right) + noise)
    assert found is not None
    assert found.down_px == pytest.approx(down, abs=0.2)
    assert found.right_px == pytest.approx(right, abs=0.2)


def test_another_season_is_not_a_shift_but_a_shift_in_it_is_seen() -> None:
    rng = np.random.default_rng(7)
    summer = draw_fields(1)
    # Same fields, other values: some edges turn round.
    winter = 0.4 - summer + rng.normal(0, 0.003, summer.shape).astype(np.float32)
    still = measure_shift(summer, winter)
    moved = measure_shift(summer, displace(winter, 1.0, -0.5))
    assert still is not None
    assert moved is not None
    assert np.hypot(still.down_px, still.right_px) < 0.1
    assert (moved.down_px, moved.right_px) == pytest.approx((1.0, -0.5), abs=0.2)


def test_clouds_are_neither_edges_nor_values() -> None:
    picture = draw_fields(2)
    cloudy = displace(picture, 0.6, 0.6)
    cloudy[20:70, 30:90] = np.nan
    bright = np.where(np.isnan(cloudy), np.float32(9), cloudy)
    found = measure_shift(picture, cloudy)
    assert found is not None
    assert (found.down_px, found.right_px) == pytest.approx((0.6, 0.6), abs=0.2)
    assert np.nanmax(bright) == 9, "the masked pixels held another world"
    hidden = np.full_like(picture, np.nan)
    hidden[:20, :20] = picture[:20, :20]
    assert measure_shift(picture, hidden) is None


def test_edges_of_a_mask_that_stays_in_place_do_not_hold_a_shift_back() -> None:
    rng = np.random.default_rng(3)
    picture, moved = draw_fields(6), displace(draw_fields(6), 1.3, -1.1)
    for row, col in rng.integers(0, 120, (60, 2)):
        for each in (picture, moved):
            each[row : row + 6, col : col + 6] = np.nan
    found = measure_shift(picture + 1, moved + 1)
    assert found is not None
    assert (found.down_px, found.right_px) == pytest.approx((1.3, -1.1), abs=0.25)


def test_two_places_have_no_shift_and_neither_has_a_shift_beyond_reach() -> None:
    assert measure_shift(draw_fields(3), draw_fields(4)) is None
    picture = draw_fields(5)
    assert measure_shift(picture, displace(picture, 3 * MAX_SHIFT_PX, 0)) is None
    assert measure_shift(np.zeros((64, 64), np.float32), np.zeros((64, 64), np.float32)) is None


def test_the_top_of_a_paraboloid_is_found() -> None:
    y, x = np.meshgrid([-1, 0, 1], [-1, 0, 1], indexing="ij")
    near = 5 - (y - 0.3) ** 2 - 2 * (x + 0.2) ** 2 + 0.5 * (y - 0.3) * (x + 0.2)
    assert refine_peak(near) == pytest.approx((0.3, -0.2))
    assert refine_peak(np.ones((3, 3))) == (0.0, 0.0)
