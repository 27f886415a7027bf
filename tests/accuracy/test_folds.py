from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geotransfer.accuracy.folds import (
    assign_blocks,
    assign_folds,
    choose_block_km,
    draw_origin,
    measure_separation,
)


def scatter(n: int, seed: int = 0, extent_km: float = 1000.0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-extent_km, extent_km, (n, 2))


@settings(deadline=None, max_examples=40)
@given(
    n=st.integers(1, 60),
    extra=st.integers(0, 60),
    block_km=st.sampled_from([0.02, 1.0, 100.0]),
    seed=st.integers(0, 1000),
)
def test_rows_keep_block_and_fold_when_labels_are_added(n, extra, block_km, seed):
    xy = scatter(n + extra, seed=seed)
    blocks = assign_blocks(xy, block_km, seed=seed)
    first = assign_blocks(xy[:n], block_km, seed=seed)
    assert (blocks[:n] == first).all()
    assert (assign_folds(blocks, 5, seed=seed)[:n] == assign_folds(first, 5, seed=seed)).all()


def test_blocks_are_squares_of_the_stated_side():
    xy = scatter(4000)
    blocks = assign_blocks(xy, 100.0, seed=3)
    for block in np.unique(blocks):
        extent = np.ptp(xy[blocks == block], axis=0)
        assert (extent <= 100.0).all()
    # Neighbouring cells by the obvious reference.
    cells = np.floor((xy + draw_origin(100.0, 3)) / 100.0)
    expected = np.unique(cells, axis=0, return_inverse=True)[1]
    assert len(np.unique(np.stack([blocks, expected]), axis=1).T) == len(np.unique(blocks))


def test_another_seed_moves_the_grid():
    xy = scatter(500)
    a, b = assign_blocks(xy, 100.0, seed=0), assign_blocks(xy, 100.0, seed=1)
    same_a = a[:, None] == a[None]
    same_b = b[:, None] == b[None]
    assert (same_a != same_b).any()


def test_ids_do_not_collide_across_the_globe_at_the_smallest_side():
    rng = np.random.default_rng(5)
    cells = rng.integers(-800_000, 800_000, (20_000, 2))
    xy = (cells + 0.5) * 0.02 - draw_origin(0.02, 0)
    n_cells = len(np.unique(cells, axis=0))
    assert len(np.unique(assign_blocks(xy, 0.02, seed=0))) == n_cells


def test_folds_are_even_over_many_blocks():
    counts = np.bincount(assign_folds(np.arange(50_000), 5, seed=1), minlength=5)
    assert counts.min() > 9_700


@pytest.mark.parametrize(("extent_km", "expected"), [(1000.0, 100.0), (3.0, 1.0), (0.3, 0.1)])
def test_block_size_comes_from_the_data(extent_km, expected):
    assert choose_block_km(scatter(200, extent_km=extent_km), seed=0) == expected


def test_labels_in_one_place_leave_no_block_size():
    assert choose_block_km(np.full((100, 2), 12.5)) is None


def test_separation_is_the_nearest_distance():
    xy, others = scatter(50), scatter(30, seed=9)
    slow = np.sqrt(((xy[:, None] - others[None]) ** 2).sum(axis=2)).min(axis=1)
    np.testing.assert_allclose(measure_separation(xy, others), slow)
