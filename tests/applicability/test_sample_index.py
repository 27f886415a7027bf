"""The index holds every sample once, and its bounds bound."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from geotransfer.applicability.sample_index import PAD, build_index, find_axes, summarize
from geotransfer.applicability.search_kernel import GROUP, HEAD, LEAF


def make_points(n: int, n_axes: int, seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, n_axes)) * np.geomspace(1, 1e-3, n_axes)).astype(np.float32)


@pytest.mark.parametrize("n", [2, 63, 64, 65, 1024, 1025, 5000, 17000])
@pytest.mark.parametrize("n_axes", [8, 40])
def test_every_sample_has_one_place_and_lies_in_its_boxes(n: int, n_axes: int) -> None:
    points = make_points(n, n_axes)
    index = build_index(points, np.arange(n, dtype=np.int32) + 5)
    filled = index.rows >= 0
    assert sorted(index.rows[filled]) == list(range(5, n + 5))
    np.testing.assert_array_equal(index.points[filled], points[index.rows[filled] - 5])
    assert (index.points[~filled] == PAD).all()
    n_leaves = -(-n // LEAF)
    heads = index.heads.reshape(n_leaves, HEAD, LEAF)
    low = index.leaf_low.reshape(-1, HEAD, GROUP)
    high = index.leaf_high.reshape(-1, HEAD, GROUP)
    pack_low = index.group_low.reshape(-1, HEAD, GROUP)
    pack_high = index.group_high.reshape(-1, HEAD, GROUP)
    for place in np.flatnonzero(filled):
        leaf, lane = divmod(int(place), LEAF)
        group, box = divmod(leaf, GROUP)
        head = heads[leaf, :, lane]
        assert (low[group, :, box] <= head).all()
        assert (head <= high[group, :, box]).all()
        pack, box = divmod(group, GROUP)
        assert (pack_low[pack, :, box] <= head).all()
        assert (head <= pack_high[pack, :, box]).all()
    empty = ~filled.reshape(n_leaves, LEAF)
    assert (heads.transpose(0, 2, 1)[empty] == PAD).all()


def test_heads_bound_distances_from_both_sides() -> None:
    points = make_points(300, 40).astype(np.float64) + np.linspace(0, 3, 40)
    head = summarize(points, find_axes(points))
    distances = ((points[:, np.newaxis] - points) ** 2).sum(axis=2)
    low = ((head[:, np.newaxis] - head) ** 2).sum(axis=2)
    high = low + 4 * head[:, np.newaxis, -1] * head[:, -1]
    assert (low <= distances * (1 + 1e-9) + 1e-9).all()
    assert (distances <= high * (1 + 1e-9) + 1e-9).all()
