from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from geotransfer.accuracy.knndm import assign_knndm_folds, deal_clusters
from geotransfer.errors import InputError, TableInvalid


def on_a_line(*x: float) -> np.ndarray:
    return np.column_stack((np.array(x, dtype=float), np.zeros(len(x))))


def nearest_in_another_fold(xy: np.ndarray, folds: np.ndarray) -> np.ndarray:
    distance = np.hypot(*(xy[:, None] - xy[None]).transpose(2, 0, 1))
    distance[folds[:, None] == folds[None]] = np.inf
    return distance.min(axis=1)


def test_two_clumps_and_far_places_by_hand() -> None:
    # Clumps at 0–3 and 100–103; places 97 km from the nearest label.
    labels = on_a_line(0, 1, 2, 3, 100, 101, 102, 103)
    places = np.column_stack((np.arange(104.0), np.full(104, 97.0)))
    found = assign_knndm_folds(labels, places, n_folds=2, most_share=0.6, seed=0)
    # One clump a fold: tested labels are 97 to 100 km from the other clump.
    assert len(set(found.folds[:4])) == len(set(found.folds[4:])) == 1
    assert found.folds[0] != found.folds[4]
    assert found.n_clusters == 2
    assert found.label_distance_km.tolist() == [1] * 8
    assert sorted(found.fold_distance_km) == [97, 97, 98, 98, 99, 99, 100, 100]
    assert found.mismatch_km == pytest.approx(
        wasserstein_distance([97, 98, 99, 100], found.place_distance_km)
    )


def test_labels_spread_like_the_places_get_random_folds() -> None:
    rng = np.random.default_rng(0)
    labels, places = rng.uniform(0, 100, (60, 2)), rng.uniform(0, 100, (500, 2))
    found = assign_knndm_folds(labels, places, n_folds=5, seed=1)
    assert found.n_clusters is None
    assert np.bincount(found.folds).tolist() == [12] * 5
    again = assign_knndm_folds(labels, places, n_folds=5, seed=1)
    assert (again.folds == found.folds).all()
    assert (assign_knndm_folds(labels, places, n_folds=5, seed=2).folds != found.folds).any()


def test_places_decide_how_far_folds_are_apart() -> None:
    # Clumps of clumps: 3 km apart within a group, groups 300 km apart.
    rng = np.random.default_rng(0)
    centres = np.array([(300 * g, 3 * c) for g in range(4) for c in range(6)], dtype=float)
    labels = np.repeat(centres, 8, axis=0) + rng.normal(0, 0.1, (192, 2))
    near = centres[rng.integers(0, 24, 400)] + rng.normal(0, 1.5, (400, 2))
    far = rng.uniform((0, -500), (900, 500), (400, 2))
    by_near = assign_knndm_folds(labels, near, n_folds=4, seed=0)
    by_far = assign_knndm_folds(labels, far, n_folds=4, seed=0)
    assert np.median(by_near.fold_distance_km) < 5
    assert np.median(by_far.fold_distance_km) > 100
    assert by_far.mismatch_km < wasserstein_distance(
        by_near.fold_distance_km, by_far.place_distance_km
    )


def test_clusters_are_dealt_by_hand() -> None:
    # Clusters by size 5, 1, 2, 1, 1 along a line; a fold's share of 10 labels in 3 folds is 3.33.
    clusters = np.repeat([0, 1, 2, 3, 4], [5, 1, 2, 1, 1])
    labels = on_a_line(*(10 * clusters))
    # The large one is a fold; the others are dealt to the remaining two in turn along the line.
    folds = deal_clusters(labels, clusters, 3)
    assert folds.tolist() == [0] * 5 + [1] + [2] * 2 + [1] + [2]
    # Mirrored and turned, the line has the same folds up to the direction of dealing.
    turned = deal_clusters(labels[:, ::-1], clusters, 3)
    assert turned.tolist() == folds.tolist()


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000), st.integers(2, 5))
def test_no_fold_is_empty_or_too_large_and_distances_are_right(seed: int, n_folds: int) -> None:
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0, 500, (rng.integers(3, 8), 2))
    labels = centres[rng.integers(0, len(centres), 80)] + rng.normal(0, 5, (80, 2))
    places = rng.uniform(0, 500, (200, 2))
    found = assign_knndm_folds(labels, places, n_folds=n_folds, most_share=0.7, seed=0)
    sizes = np.bincount(found.folds, minlength=n_folds)
    assert sizes.min() > 0
    assert sizes.max() <= 0.7 * 80
    expected = nearest_in_another_fold(labels, found.folds)
    assert found.fold_distance_km == pytest.approx(expected)


def test_the_choice_is_no_worse_than_random_folds() -> None:
    rng = np.random.default_rng(3)
    labels = np.repeat(rng.uniform(0, 500, (12, 2)), 10, axis=0) + rng.normal(0, 3, (120, 2))
    places = rng.uniform(0, 500, (500, 2))
    found = assign_knndm_folds(labels, places, n_folds=5, seed=0)
    shuffled = rng.permutation(120) % 5
    by_chance = wasserstein_distance(
        nearest_in_another_fold(labels, shuffled), found.place_distance_km
    )
    assert found.mismatch_km < by_chance / 1.5


def test_labels_deep_inside_a_fold_find_the_nearest_outside() -> None:
    # More labels in a clump than neighbours are looked up.
    rng = np.random.default_rng(4)
    labels = np.concatenate((rng.normal(0, 1, (150, 2)), rng.normal(200, 1, (150, 2))))
    found = assign_knndm_folds(
        labels, np.array([[100.0, 400.0], [0.0, 300.0]] * 20), n_folds=2, most_share=0.6, seed=0
    )
    assert found.fold_distance_km == pytest.approx(nearest_in_another_fold(labels, found.folds))
    assert found.fold_distance_km.min() > 200


def test_what_cannot_be_folded_is_refused() -> None:
    labels, places = on_a_line(*range(12)), on_a_line(*range(50, 90))
    with pytest.raises(InputError, match="cannot be cut into 10 kNNDM folds"):
        assign_knndm_folds(labels[:8], places, seed=0)
    with pytest.raises(InputError, match="5 folds of at most 20%"):
        assign_knndm_folds(labels, places, n_folds=5, most_share=0.2, seed=0)
    with pytest.raises(InputError, match="too few places"):
        assign_knndm_folds(np.zeros((30, 2)), places, n_folds=3, seed=0)
    with pytest.raises(TableInvalid, match="not finite"):
        assign_knndm_folds(labels * np.nan, places, n_folds=3, seed=0)
    with pytest.raises(TableInvalid, match=r"shape \(12,\)"):
        assign_knndm_folds(labels[:, 0], places, n_folds=3, seed=0)
