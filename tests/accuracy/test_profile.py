from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geotransfer.accuracy.profile import fit_profile, predict_accuracy
from geotransfer.errors import InputError, TableInvalid


def true_accuracy(di: np.ndarray) -> np.ndarray:
    return np.clip(0.95 - 0.6 * di, 0.5, 1)


def draw_rows(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    di = rng.gamma(2, 0.15, n)
    return di, rng.random(n) < true_accuracy(di)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 1000), st.integers(20, 300), st.booleans())
def test_accuracy_never_rises_with_dissimilarity(seed: int, n: int, ties: bool) -> None:
    di, correct = draw_rows(seed, n)
    profile = fit_profile(np.round(di, 1) if ties else di, correct, seed=0)
    expected = predict_accuracy(profile, np.linspace(0, 3, 50))
    for curve in expected:
        assert (np.diff(curve) <= 1e-12).all()
    assert (expected.low <= expected.value).all()
    assert (expected.value <= expected.high).all()
    assert (expected.low >= 0).all()
    assert (expected.high <= 1).all()


def test_two_levels_of_dissimilarity_by_hand() -> None:
    # 40 rows near, 30 of them right; 40 rows far, 10 of them right.
    di = np.repeat([0.1, 0.5], 40)
    correct = np.concatenate((np.arange(40) < 30, np.arange(40) < 10))
    profile = fit_profile(di, correct, seed=0)
    assert profile.di == pytest.approx((0.1, 0.5))
    assert profile.value == pytest.approx((0.75, 0.25))
    # Halfway between the knots, halfway between the accuracies.
    assert predict_accuracy(profile, 0.3).value == pytest.approx(0.5)


def test_a_rise_is_pooled_not_followed() -> None:
    di = np.repeat([0.1, 0.5], 40)
    correct = np.concatenate((np.arange(40) < 20, np.arange(40) < 30))
    assert fit_profile(di, correct, seed=0).value == pytest.approx((0.625, 0.625))


def test_the_profile_finds_the_truth() -> None:
    di, correct = draw_rows(0, 4000)
    x = np.linspace(0.05, 0.6, 12)
    expected = predict_accuracy(fit_profile(di, correct, seed=0), x)
    assert np.abs(expected.value - true_accuracy(x)).max() < 0.06


def test_beyond_what_was_measured_only_the_upper_end_is_known() -> None:
    di, correct = draw_rows(1, 500)
    profile = fit_profile(di, correct, seed=0)
    far = predict_accuracy(profile, profile.largest_di + np.array([1e-6, 5.0]))
    assert far.low.tolist() == [0, 0]
    assert far.value.tolist() == [profile.value[-1]] * 2
    assert predict_accuracy(profile, profile.largest_di).low == profile.low[-1]


def test_no_dissimilarity_no_expectation() -> None:
    di, correct = draw_rows(1, 100)
    expected = predict_accuracy(fit_profile(di, correct, seed=0), [[0.1, np.nan]])
    assert all(curve.shape == (1, 2) for curve in expected)
    assert all(np.isnan(curve[0, 1]) and np.isfinite(curve[0, 0]) for curve in expected)


def test_all_rows_right_does_not_mean_certainty() -> None:
    profile = fit_profile(np.linspace(0, 1, 60), np.ones(60), seed=0)
    assert set(profile.value) == {1}
    assert max(profile.low) < 0.96


def test_blocks_widen_the_interval() -> None:
    rng = np.random.default_rng(2)
    block = np.repeat(np.arange(20), 30)
    skill = np.repeat(rng.choice([0.5, 1.0], 20), 30)
    di = rng.uniform(0, 1, 600)
    correct = rng.random(600) < skill
    by_rows = fit_profile(di, correct, seed=0)
    by_blocks = fit_profile(di, correct, seed=0, groups=block)
    assert by_blocks.value == by_rows.value
    assert np.mean(by_blocks.high) - np.mean(by_blocks.low) > 1.5 * (
        np.mean(by_rows.high) - np.mean(by_rows.low)
    )


def test_equal_seeds_give_equal_profiles() -> None:
    di, correct = draw_rows(3, 200)
    assert fit_profile(di, correct, seed=1) == fit_profile(di, correct, seed=1)
    assert fit_profile(di, correct, seed=1) != fit_profile(di, correct, seed=2)


def cover(n: int, n_runs: int) -> np.ndarray:
    """Return the pointwise coverage of nominal 95 % intervals at four dissimilarities."""
    x = np.array([0.1, 0.2, 0.4, 0.6])
    inside = np.zeros(len(x))
    for run in range(n_runs):
        profile = fit_profile(*draw_rows(100 + run, n), seed=run)
        low, _, high = predict_accuracy(profile, x)
        inside += (low <= true_accuracy(x)) & (true_accuracy(x) <= high)
    return inside / n_runs


def test_intervals_cover_lightly() -> None:
    assert cover(400, 30).mean() > 0.88


@pytest.mark.slow
@pytest.mark.parametrize("n", [100, 1000])
def test_intervals_cover(n: int) -> None:
    assert cover(n, 200).min() >= 0.9


def test_bad_inputs_are_refused() -> None:
    with pytest.raises(TableInvalid, match="differ in length"):
        fit_profile(np.ones(30), np.ones(29), seed=0)
    with pytest.raises(TableInvalid, match="no dissimilarity"):
        fit_profile(np.append(np.ones(29), np.nan), np.ones(30), seed=0)
    with pytest.raises(InputError, match="19 rows give no profile"):
        fit_profile(np.ones(19), np.ones(19), seed=0)
