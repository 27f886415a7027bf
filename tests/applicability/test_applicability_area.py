"""The definitions of DI, threshold and area of applicability against a slow, separate writing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geotransfer.applicability.area import (
    THRESHOLD_RULE,
    Applicability,
    count_training_points,
    find_limit,
    find_threshold,
    fit_applicability,
    from_bytes,
    list_points,
    select_class,
    to_bytes,
)
from geotransfer.applicability.search import compute_dissimilarity, find_inside
from geotransfer.errors import ModelInvalid, TableInvalid


def follow_definition(
    samples: NDArray[np.float32],
    weights: NDArray[np.float64],
    folds: NDArray[np.int64],
    unit: float | None = None,
) -> tuple[float, list[float], float]:
    """Return mean distance, training DI and threshold, sample by sample as the paper puts it."""
    wide = samples.astype(np.float64)
    scaled = (wide - wide.mean(axis=0)) / wide.std(axis=0, ddof=1) * weights
    n = len(scaled)
    means = []
    nearest = []
    for i in range(n):
        distances = [float(np.linalg.norm(scaled[i] - scaled[j])) for j in range(n)]
        means.append(sum(distances) / (n - 1))
        nearest.append(min(d for j, d in enumerate(distances) if folds[j] != folds[i]))
    mean = sum(means) / n if unit is None else unit
    di = sorted(d / mean for d in nearest)

    def quantile(share: float) -> float:
        place = share * (n - 1)
        low = int(place)
        high = min(low + 1, n - 1)
        return di[low] + (place - low) * (di[high] - di[low])

    fence = quantile(0.75) + 1.5 * (quantile(0.75) - quantile(0.25))
    return mean, [d / mean for d in nearest], min(fence, di[-1])


def make_table(
    seed: int, n: int = 60, f: int = 5
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    samples = (rng.normal(size=(n, f)) * rng.uniform(0.1, 50, f) + rng.uniform(-9, 9, f)).astype(
        np.float32
    )
    weights = rng.uniform(0.1, 10, f)
    return samples, weights, rng.integers(0, 4, n)


@pytest.mark.parametrize("seed", range(4))
def test_fit_follows_the_definition(seed: int) -> None:
    samples, weights, folds = make_table(seed)
    mean, di, threshold = follow_definition(samples, weights, folds)
    fitted = fit_applicability(samples, weights, folds, fold_rule="random")
    # The unit of distance differs (largest weight is 1), the DI does not depend on it.
    assert fitted.mean_distance == pytest.approx(mean / weights.max(), rel=1e-5)
    np.testing.assert_allclose(fitted.training_di, di, rtol=2e-5)
    assert fitted.threshold == pytest.approx(threshold, rel=2e-5)
    assert fitted.threshold_rule == THRESHOLD_RULE
    assert fitted.fold_rule == "random"


def test_di_and_area_counted_by_hand() -> None:
    # One feature, samples 0, 1, 3, 7; sd = √(107/12)… cancels, because the DI is a ratio.
    samples = np.array([[0.0], [1.0], [3.0], [7.0]], dtype=np.float32)
    fitted = fit_applicability(samples, np.ones(1), np.arange(4), fold_rule="leave-one-out")
    # Distances: 1+3+7, 1+2+6, 3+2+4, 7+6+4 = 11, 9, 9, 17 → mean of means 46/12.
    unit = 46 / 12
    np.testing.assert_allclose(fitted.training_di, np.array([1, 1, 2, 4]) / unit, rtol=1e-6)
    # Quartiles of 1, 1, 2, 4 are 1 and 2.5: fence 4.75 is above the largest, so 4.
    assert fitted.threshold == pytest.approx(4 / unit, rel=1e-6)
    pixels = np.array([[-4.5, -4.0, 0.25, 10.9, 11.1, np.nan]], dtype=np.float32)
    np.testing.assert_allclose(
        compute_dissimilarity(fitted, pixels),
        np.array([4.5, 4, 0.25, 3.9, 4.1, np.nan]) / unit,
        rtol=1e-5,
    )
    assert find_inside(fitted, pixels[:, [0, 2, 3, 4, 5]]).tolist() == [0, 1, 1, 0, 255]


def test_fence_below_the_largest_is_the_threshold() -> None:
    # Quartiles .2 and .4 by linear interpolation: .4 + 1.5·.2 = .7 < 5.
    assert find_threshold(np.float32([0.1, 0.2, 0.3, 0.4, 5.0])) == pytest.approx(0.7)
    assert find_threshold(np.float32([1, 1, 1, 1])) == 1.0


def test_threshold_grows_with_the_distance_between_folds() -> None:
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(6, 4)) * 3
    folds = np.repeat(np.arange(6), 20)
    samples = (centers[folds] + rng.normal(size=(120, 4))).astype(np.float32)
    apart = fit_applicability(samples, np.ones(4), folds, fold_rule="regions")
    mixed = fit_applicability(samples, np.ones(4), rng.permutation(folds), fold_rule="random")
    assert apart.threshold > mixed.threshold
    assert apart.mean_distance == mixed.mean_distance


@settings(max_examples=30, deadline=None)
@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3), st.floats(0.5, 2.0, width=32))
def test_limit_on_squares_agrees_with_threshold_on_di(
    mean: float, threshold: float, factor: float
) -> None:
    bound = np.float32(threshold)
    squares = np.float32((threshold * mean) ** 2) * np.array([1, factor], dtype=np.float32)
    squares = np.concatenate(
        [np.nextafter(squares, np.float32(s)) for s in (0, np.inf)] + [squares]
    )
    di = (np.sqrt(squares.astype(np.float64)) / mean).astype(np.float32)
    limit = find_limit(mean, float(bound))
    strict = find_limit(mean, float(bound), is_strict=True)
    assert ((squares <= limit) == (di <= bound)).all()
    assert ((squares <= strict) == (di < bound)).all()


def test_no_sample_is_below_a_threshold_of_zero() -> None:
    assert find_limit(1.0, 0.0) == 0.0
    assert find_limit(1.0, 0.0, is_strict=True) == -1.0


def test_features_without_weight_are_left_out_even_if_constant() -> None:
    samples, weights, folds = make_table(1)
    wide = np.column_stack([samples, np.full(len(samples), 7, np.float32)]).astype(np.float32)
    plain = fit_applicability(samples, weights, folds, fold_rule="r")
    padded = fit_applicability(wide, np.append(weights, 0), folds, fold_rule="r")
    negative = fit_applicability(wide, np.append(weights, -3), folds, fold_rule="r")
    np.testing.assert_array_equal(plain.training_di, padded.training_di)
    np.testing.assert_array_equal(plain.training_di, negative.training_di)
    pixels = np.append(samples[0], np.nan).astype(np.float32)[:, np.newaxis]
    assert find_inside(padded, pixels).tolist() == [255]


def test_scale_of_weights_does_not_matter() -> None:
    samples, weights, folds = make_table(2)
    one = fit_applicability(samples, weights, folds, fold_rule="r")
    other = fit_applicability(samples, weights * 1e9, folds, fold_rule="r")
    np.testing.assert_allclose(one.training_di, other.training_di, rtol=1e-6)


def test_threads_do_not_show() -> None:
    rng = np.random.default_rng(3)
    samples = rng.normal(size=(900, 11)).astype(np.float32)
    folds = rng.integers(0, 5, 900)
    weights = rng.uniform(0, 1, 11)
    one = fit_applicability(samples, weights, folds, fold_rule="r", n_threads=1)
    three = fit_applicability(samples, weights, folds, fold_rule="r", n_threads=3)
    assert one.mean_distance == three.mean_distance
    assert one.threshold == three.threshold
    np.testing.assert_array_equal(one.training_di, three.training_di)


def test_class_area_uses_only_its_samples_and_keeps_the_unit() -> None:
    samples, weights, folds = make_table(5, n=80)
    classes = np.random.default_rng(5).integers(0, 3, 80)
    fitted = fit_applicability(samples, weights, folds, fold_rule="r", classes=classes)
    chosen = select_class(fitted, 2)
    rows = np.flatnonzero(classes == 2)
    np.testing.assert_array_equal(chosen.sample_rows, rows)
    assert chosen.mean_distance == fitted.mean_distance
    wide = samples.astype(np.float64)
    scaled = (wide - wide.mean(axis=0)) / wide.std(axis=0, ddof=1) * weights / weights.max()
    for place, row in enumerate(rows):
        others = [r for r in rows if folds[r] != folds[row]]
        nearest = min(np.linalg.norm(scaled[row] - scaled[r]) for r in others)
        assert chosen.training_di[place] == pytest.approx(nearest / fitted.mean_distance, rel=1e-4)
    # A class's samples are a part of all samples: its distances are never smaller.
    pixels = np.ascontiguousarray(samples.T) + np.float32(0.3)
    assert (compute_dissimilarity(chosen, pixels) >= compute_dissimilarity(fitted, pixels)).all()


def test_class_that_cannot_be_fitted_is_named() -> None:
    samples, weights, _ = make_table(6)
    folds = np.repeat([0, 1], 30)
    fitted = fit_applicability(samples, weights, folds, fold_rule="r", classes=folds)
    with pytest.raises(TableInvalid, match="class 1 are in one fold"):
        select_class(fitted, 1)
    with pytest.raises(TableInvalid, match="no sample of class 9"):
        select_class(fitted, 9)
    bare = fit_applicability(samples, weights, folds, fold_rule="r")
    with pytest.raises(TableInvalid, match="no sample of class 1"):
        select_class(bare, 1)


def test_training_points_are_counted_across_folds_strictly_below() -> None:
    samples, weights, folds = make_table(7)
    fitted = fit_applicability(samples, weights, folds, fold_rule="r")
    points = list_points(fitted).astype(np.float64)
    expected = [
        sum(
            np.linalg.norm(points[i] - points[j]) / fitted.mean_distance < fitted.threshold
            for j in range(60)
            if folds[j] != folds[i]
        )
        for i in range(60)
    ]
    assert count_training_points(fitted).tolist() == expected


def test_stored_form_is_the_same_value_and_the_same_bytes() -> None:
    samples, weights, folds = make_table(8)
    fitted = fit_applicability(
        samples,
        weights,
        folds,
        fold_rule="blocks 100 km",
        classes=folds,
        feature_names=tuple("abcde"),
    )
    data = to_bytes(fitted)
    back = from_bytes(data)
    assert to_bytes(back) == data
    for field in dataclasses.fields(Applicability):
        if field.name != "index":
            np.testing.assert_array_equal(getattr(back, field.name), getattr(fitted, field.name))
    pixels = np.ascontiguousarray(samples.T) * np.float32(1.1)
    np.testing.assert_array_equal(
        compute_dissimilarity(back, pixels), compute_dissimilarity(fitted, pixels)
    )


@pytest.mark.parametrize("cut", [0, 10, 3000, -1])
def test_damaged_bytes_are_refused(cut: int) -> None:
    samples, weights, folds = make_table(8)
    data = to_bytes(fit_applicability(samples, weights, folds, fold_rule="r"))
    with pytest.raises(ModelInvalid, match="damaged"):
        from_bytes(data[:cut])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": np.ones(4)}, "weights have shape"),
        ({"weights": np.ones((5, 1))}, "weights have shape"),
        ({"weights": np.zeros(5)}, "no importance weight is positive"),
        ({"weights": -np.ones(5)}, "no importance weight is positive"),
        ({"weights": np.array([1, 1, np.nan, 1, 1])}, "not a number"),
        ({"folds": np.zeros(60, np.int64)}, "one fold"),
        ({"folds": np.arange(59)}, "folds have shape"),
        ({"classes": np.arange(59)}, "classes have shape"),
        ({"feature_names": ("a", "b")}, "feature names"),
        ({"samples": np.zeros((1, 5), np.float32)}, "at least two rows"),
    ],
)
def test_what_cannot_be_used_is_said(change: dict[str, object], message: str) -> None:
    samples, weights, folds = make_table(9)
    given_ = {"samples": samples, "weights": weights, "folds": folds, **change}
    with pytest.raises(TableInvalid, match=message):
        fit_applicability(**given_, fold_rule="r")  # type: ignore[arg-type]


def test_a_constant_feature_and_a_missing_value_are_named() -> None:
    samples, weights, folds = make_table(10)
    constant = samples.copy()
    constant[:, 3] = 2
    with pytest.raises(TableInvalid, match="NDVI_S1 has the same value"):
        fit_applicability(
            constant, weights, folds, fold_rule="r", feature_names=("a", "b", "c", "NDVI_S1", "e")
        )
    missing = samples.copy()
    missing[17, 2] = np.nan
    with pytest.raises(TableInvalid, match="row 17"):
        fit_applicability(missing, weights, folds, fold_rule="r")
