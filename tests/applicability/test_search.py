"""The search answers exactly what brute force answers, whatever the order, chunks and threads."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from geotransfer.applicability import search_kernel
from geotransfer.applicability.area import Applicability, fit_applicability, list_points
from geotransfer.applicability.search import (
    NODATA,
    compute_dissimilarity,
    count_local_points,
    find_inside,
    find_nearest,
    list_nearest,
)
from geotransfer.errors import SpecMismatch

N_SAMPLES, N_FEATURES = 3000, 37
KINDS = ("coherent", "in-domain", "boundary", "outliers")


@cache
def fit_world() -> tuple[Applicability, NDArray[np.float32]]:
    """Samples of low rank with a heavy tail of weights, as importance weights make them."""
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(N_SAMPLES, 6)) * [5, 3, 2, 1, 0.5, 0.3]
    samples = latent @ rng.normal(size=(6, N_FEATURES)) + rng.normal(size=(N_SAMPLES, N_FEATURES))
    samples = (samples * rng.uniform(0.01, 100, N_FEATURES) + rng.normal(size=N_FEATURES)).astype(
        np.float32
    )
    samples[100] = samples[7]  # a duplicate
    weights = rng.exponential(size=N_FEATURES) ** 2
    weights[5] = 0
    folds = rng.integers(0, 6, N_SAMPLES)
    return fit_applicability(samples, weights, folds, fold_rule="random"), samples


@cache
def make_pixels(kind: str) -> NDArray[np.float32]:
    fitted, samples = fit_world()
    rng = np.random.default_rng(KINDS.index(kind))
    spread = samples.std(axis=0)
    if kind == "coherent":
        knots = samples[rng.integers(0, N_SAMPLES, 41)] + rng.normal(size=(41, 1)) * spread * 0.3
        steps = np.linspace(0, 1, 50)[:, np.newaxis, np.newaxis]
        walk = knots[:-1] * (1 - steps) + knots[1:] * steps
        rows = walk.transpose(1, 0, 2).reshape(-1, N_FEATURES)
    elif kind == "in-domain":
        rows = (
            samples[rng.integers(0, N_SAMPLES, 1500)] + rng.normal(size=(1500, 1)) * spread * 0.05
        )
    elif kind == "boundary":
        # Pixels a hair inside or outside: threshold distance from a sample, along one feature.
        rows = samples[rng.integers(0, N_SAMPLES, 1500)].astype(np.float64)
        step = fitted.threshold * fitted.mean_distance / fitted.scale[0]
        rows[:, fitted.columns[0]] += step * (1 + rng.normal(size=1500) * 1e-6)
    else:
        rows = samples.mean(axis=0) + rng.normal(size=(800, N_FEATURES)) * spread * 40
    return np.ascontiguousarray(rows.T.astype(np.float32))


@cache
def search_brute(kind: str) -> NDArray[np.float64]:
    """Return all distances ``(n, n_samples)`` over the mean distance, in float64."""
    fitted, samples = fit_world()
    mean = samples.mean(axis=0, dtype=np.float64)
    scale = np.maximum(fitted.weights, 0) / fitted.weights.max()
    scale = scale / samples.std(axis=0, ddof=1, dtype=np.float64)
    known = (samples.astype(np.float64) - mean) * scale
    asked = (make_pixels(kind).T.astype(np.float64) - mean) * scale
    distances: NDArray[np.float64] = cdist(asked, known) / fitted.mean_distance
    return distances


@pytest.mark.parametrize("kind", KINDS)
def test_dissimilarity_is_the_distance_to_the_nearest_sample(kind: str) -> None:
    fitted, _ = fit_world()
    truth = search_brute(kind)
    di, rows = find_nearest(fitted, make_pixels(kind))
    np.testing.assert_allclose(di, truth.min(axis=1), rtol=2e-6, atol=2e-6)
    # The sample named is as near as the nearest, and duplicates give the first row.
    named = truth[np.arange(len(rows)), rows]
    np.testing.assert_allclose(named, truth.min(axis=1), rtol=2e-6, atol=2e-6)
    assert 100 not in rows


@pytest.mark.parametrize("kind", KINDS)
def test_dissimilarity_agrees_with_a_tree(kind: str) -> None:
    fitted, _ = fit_world()
    scaled = (make_pixels(kind).T[:, fitted.columns] - fitted.center) * fitted.scale
    distances, _ = cKDTree(list_points(fitted).astype(np.float64)).query(scaled.astype(np.float64))
    np.testing.assert_allclose(
        compute_dissimilarity(fitted, make_pixels(kind)),
        distances / fitted.mean_distance,
        rtol=1e-6,
        atol=1e-7,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_inside_is_dissimilarity_within_the_threshold_to_the_bit(kind: str) -> None:
    fitted, _ = fit_world()
    pixels = make_pixels(kind)
    inside = find_inside(fitted, pixels)
    assert inside.dtype == np.uint8
    di = compute_dissimilarity(fitted, pixels)
    np.testing.assert_array_equal(inside == 1, di <= fitted.threshold)
    shares = {"coherent": (0.05, 1), "in-domain": (0.9, 1), "outliers": (0, 0.1)}
    low, high = shares.get(kind, (0, 1))
    assert low <= inside.mean() <= high
    truth = search_brute(kind).min(axis=1)
    clear = np.abs(truth / fitted.threshold - 1) > 1e-5
    np.testing.assert_array_equal((inside == 1)[clear], (truth <= fitted.threshold)[clear])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("max_points", [1, 50, N_SAMPLES])
def test_local_points_are_counted_strictly_below_the_threshold(kind: str, max_points: int) -> None:
    fitted, _ = fit_world()
    truth = search_brute(kind)
    low = (truth < fitted.threshold * (1 - 1e-5)).sum(axis=1)
    high = (truth < fitted.threshold * (1 + 1e-5)).sum(axis=1)
    counts = count_local_points(fitted, make_pixels(kind), max_points=max_points)
    assert (counts >= np.minimum(low, max_points)).all()
    assert (counts <= np.minimum(high, max_points)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_pixel_does_not_depend_on_chunks_order_or_threads(kind: str) -> None:
    fitted, _ = fit_world()
    pixels = make_pixels(kind)
    n = pixels.shape[1]
    shuffled = np.random.default_rng(9).permutation(n)

    def ask(part: NDArray[np.float32], n_threads: int = 1) -> NDArray[np.float64]:
        part = np.ascontiguousarray(part)
        di, rows = find_nearest(fitted, part, n_threads=n_threads)
        inside = find_inside(fitted, part, n_threads=n_threads)
        local = count_local_points(fitted, part, n_threads=n_threads)
        return np.stack([di.view(np.int32), rows, inside, local]).astype(np.float64)

    whole = ask(pixels)
    np.testing.assert_array_equal(ask(pixels[:, shuffled]), whole[:, shuffled])
    cuts = [0, 1, 34, 300, 301, n]
    pieces = [ask(pixels[:, a:b]) for a, b in pairwise(cuts)]
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1), whole)
    many = np.tile(pixels, 8)
    np.testing.assert_array_equal(ask(many, n_threads=3), np.tile(whole, 8))


def test_training_samples_are_at_distance_zero_and_find_themselves() -> None:
    fitted, samples = fit_world()
    di, rows = find_nearest(fitted, np.ascontiguousarray(samples.T))
    assert (di == 0).all()
    expected = np.arange(N_SAMPLES)
    expected[100] = 7
    np.testing.assert_array_equal(rows, expected)


def test_equally_near_samples_give_the_first_row() -> None:
    # A lattice shuffled and stored twice: every pixel has many nearest samples in many leaves.
    rng = np.random.default_rng(4)
    lattice = np.stack(np.meshgrid(*[np.arange(-3.0, 4)] * 4), axis=-1).reshape(-1, 4)
    samples = np.concatenate([rng.permutation(lattice)] * 2).astype(np.float32)
    fitted = fit_applicability(
        samples, np.ones(4), rng.integers(0, 3, len(samples)), fold_rule="random"
    )
    pixels = (samples[rng.integers(0, len(samples), 500)] + np.float32(0.5)).T
    points = list_points(fitted)
    asked = (pixels.T[:, fitted.columns] - fitted.center) * fitted.scale
    expected = [
        np.argmin([search_kernel.measure_distance(point, known) for known in points])
        for point in asked
    ]
    assert len(set(expected)) > 100
    np.testing.assert_array_equal(find_nearest(fitted, pixels)[1], expected)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_with_a_missing_feature_are_not_measured(value: float) -> None:
    fitted, _ = fit_world()
    pixels = make_pixels("in-domain")[:, :100].copy()
    clean = find_nearest(fitted, pixels)
    pixels[5, 3] = value  # a feature without weight
    pixels[20, 40] = value
    di, rows = find_nearest(fitted, pixels)
    assert np.flatnonzero(np.isnan(di)).tolist() == [3, 40]
    assert np.flatnonzero(rows == -1).tolist() == [3, 40]
    assert np.flatnonzero(find_inside(fitted, pixels) == NODATA).tolist() == [3, 40]
    assert np.flatnonzero(count_local_points(fitted, pixels) == -1).tolist() == [3, 40]
    others = np.setdiff1d(np.arange(100), [3, 40])
    np.testing.assert_array_equal(di[others], clean[0][others])


def test_values_beyond_any_sense_are_outside() -> None:
    fitted, _ = fit_world()
    pixels = make_pixels("in-domain")[:, :4].copy()
    pixels[fitted.columns[0], 1] = 1e25
    pixels[fitted.columns[0], 2] = 1e12
    di, rows = find_nearest(fitted, pixels)
    assert np.isinf(di[1])
    assert rows[1] == -1
    assert np.isfinite(di[[0, 2, 3]]).all()
    assert find_inside(fitted, pixels)[[1, 2]].tolist() == [0, 0]
    assert count_local_points(fitted, pixels)[[1, 2]].tolist() == [0, 0]


def test_no_pixels_and_few_samples() -> None:
    fitted, samples = fit_world()
    assert find_inside(fitted, samples.T[:, :0]).shape == (0,)
    two = fit_applicability(samples[:2], np.ones(N_FEATURES), np.arange(2), fold_rule="r")
    di, rows = find_nearest(two, np.ascontiguousarray(samples[:2].T))
    assert di.tolist() == [0, 0]
    assert rows.tolist() == [0, 1]


def test_one_pixel_names_its_nearest_samples() -> None:
    fitted, samples = fit_world()
    rows, di = list_nearest(fitted, samples[7], n_nearest=4)
    assert rows[:2].tolist() == [7, 100]
    assert di[:2].tolist() == [0, 0]
    assert (np.diff(di) >= 0).all()
    assert list_nearest(fitted, np.full(N_FEATURES, np.nan, np.float32))[0].size == 0


def test_features_of_another_spec_are_refused() -> None:
    fitted, samples = fit_world()
    with pytest.raises(SpecMismatch, match="fitted on 37 features"):
        find_inside(fitted, samples)
    with pytest.raises(ValueError, match="max_points"):
        count_local_points(fitted, samples.T, max_points=0)


def test_slack_exceeds_what_rounding_can_do() -> None:
    # A sum of up to 128 squares in eight chains: 16 + 3 additions, one product, one difference.
    worst = (16 + 3 + 1 + 2) * 2.0**-24
    assert worst < search_kernel.RELATIVE_SLACK
    # A head is rounded to float32 on both sides.
    assert search_kernel.ABSOLUTE_SLACK > 4 * 2.0**-24
