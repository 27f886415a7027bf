"""The robustness index on cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from geotransfer.applicability.robustness import measure_robustness
from geotransfer.errors import TableInvalid


def make_rows(
    class_gap: float, region_gap: float, *, n: int = 60, n_regions: int = 3, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.str_]]:
    """Two classes and some regions, apart along axes of their own."""
    rng = np.random.default_rng(seed)
    classes = np.tile([0, 1], n * n_regions)
    regions = np.repeat(np.arange(n_regions), 2 * n)
    points = rng.normal(size=(len(classes), 4))
    points[:, 0] += classes * class_gap
    points[:, 1] += regions * region_gap
    return points, classes, np.array([f"region-{i}" for i in regions])


def test_one_where_neighbours_share_class_and_zero_where_they_share_region() -> None:
    by_class = measure_robustness(*make_rows(50, 0))
    assert by_class.index.value == 1
    by_region = measure_robustness(*make_rows(0, 50))
    assert by_region.index.value == 0
    assert len(by_class.pairs) == 3
    assert (by_class.pairs[0].region_a, by_class.pairs[0].region_b) == ("region-0", "region-1")


def test_one_half_where_neither_matters_and_the_interval_says_so() -> None:
    index = measure_robustness(*make_rows(0, 0, n=150)).index
    assert index.low < 0.5 < index.high
    assert index.high - index.low < 0.1


def test_counted_by_hand() -> None:
    # Two rows of each class and region on a line, one neighbour each:
    # a0 a1 | b0 | b1 with gaps that make every row's neighbour known.
    points = np.array([[0.0], [10.0], [1.0], [31.0], [20.0], [11.5], [30.0], [21.0]])
    classes = np.array([0, 0, 1, 1, 0, 0, 1, 1])
    regions = np.array(["a", "a", "a", "a", "b", "b", "b", "b"])
    # 0(a0)–1(a1): OS for both; 10(a0)–11.5(b0): SO for both; 31(a1)–30(b1): SO for both;
    # 20(b0)–21(b1): OS for both. So 4 / 8.
    result = measure_robustness(points, classes, regions, n_neighbors=1)
    assert result.index.value == 0.5
    # If the rows of a field may not be each other's neighbours, 0 and 1 find 10 and 10:
    # 0(a0)→10(a0): neither; 1(a1)→10(a0): OS.
    blocks = np.array([7, 1, 7, 2, 3, 4, 5, 6])
    apart = measure_robustness(points, classes, regions, blocks=blocks, n_neighbors=1)
    assert apart.index.value == pytest.approx(4 / 7)


def test_prevalence_and_sample_size_do_not_decide() -> None:
    points, classes, regions = make_rows(3, 1, n=400, n_regions=2)
    full = measure_robustness(points, classes, regions, max_rows=60).index
    rng = np.random.default_rng(1)
    # Class 1 becomes rare in one region, the other region small.
    kept = (
        rng.random(len(classes)) < np.where((classes == 1) & (regions == "region-0"), 0.2, 1)
    ) & (rng.random(len(classes)) < np.where(regions == "region-1", 0.25, 1))
    thin = measure_robustness(points[kept], classes[kept], regions[kept], max_rows=60).index
    assert thin.value == pytest.approx(full.value, abs=0.12)


def test_same_seed_same_value() -> None:
    rows = make_rows(1, 1)
    assert measure_robustness(*rows, seed=5) == measure_robustness(*rows, seed=5)


def test_regions_without_common_classes_are_refused_or_left_out() -> None:
    points, classes, regions = make_rows(1, 1)
    alone = np.where(regions == "region-2", 7, classes)
    assert len(measure_robustness(points, alone, regions).pairs) == 1
    with pytest.raises(TableInvalid, match="two classes in common"):
        measure_robustness(points, np.zeros_like(classes), regions)


def test_three_classes_average_over_pairs() -> None:
    rng = np.random.default_rng(0)
    classes = np.tile([0, 1, 2], 80)
    regions = np.repeat(["a", "b"], 120)
    points = rng.normal(size=(240, 3))
    points[:, 0] += classes * 40
    assert measure_robustness(points, classes, regions).index.value == 1
