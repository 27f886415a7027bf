from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from geotransfer.accuracy.auc import bound_auc, estimate_auc, measure_auc, resample_auc
from geotransfer.accuracy.intervals import (
    bound_clopper_pearson,
    bound_draws,
    bound_sum,
    bound_wilson,
    draw_dirichlet,
    draw_unit_counts,
    estimate_clopper_pearson,
    estimate_wilson,
    resample_strata,
)
from geotransfer.errors import InputError

counts = st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
levels = st.sampled_from([0.8, 0.9, 0.95, 0.99])


@settings(deadline=None, max_examples=60)
@given(counts, levels)
def test_wilson_equals_scipys(drawn: tuple[int, int], level: float) -> None:
    k, n = drawn
    expected = binomtest(k, n).proportion_ci(level, method="wilson")
    found = estimate_wilson(k, n, level)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert found.low <= found.value <= found.high


@settings(deadline=None, max_examples=60)
@given(counts, levels)
def test_clopper_pearson_equals_scipys(drawn: tuple[int, int], level: float) -> None:
    k, n = drawn
    expected = binomtest(k, n).proportion_ci(level, method="exact")
    found = estimate_clopper_pearson(k, n, level)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_no_rows_mean_nothing_is_known() -> None:
    for found in (estimate_wilson(0, 0), estimate_clopper_pearson(0, 0)):
        assert (found.value, found.low, found.high, found.n) == (0.5, 0, 1, 0)
    assert [end.tolist() for end in bound_wilson([0, 3], [0, 3])][1] == [1, 1]


@pytest.mark.parametrize("n", [10, 30, 100])
def test_exact_coverage_of_both_intervals(n: int) -> None:
    # Summed over all outcomes, not simulated.
    k = np.arange(n + 1)
    wilson, exact = bound_wilson(k, n), bound_clopper_pearson(k, n)
    means = []
    for p in np.linspace(0.05, 0.95, 91):
        chance = binom.pmf(k, n, p)
        assert chance[(exact[0] <= p) & (p <= exact[1])].sum() >= 0.95
        means.append(chance[(wilson[0] <= p) & (p <= wilson[1])].sum())
    assert min(means) > 0.83
    assert 0.94 < np.mean(means) < 0.965


def test_a_level_that_is_no_level_is_refused() -> None:
    for level in (0, 1, 95):
        with pytest.raises(InputError, match=r"give 0\.95"):
            estimate_wilson(1, 2, level)


def test_a_sum_of_shares_is_as_narrow_as_independent_errors_allow() -> None:
    # The mean of four equal shares: half the width of one.
    low, high = bound_sum(np.full(4, 0.25), np.full(4, 0.5), np.full(4, 0.3), np.full(4, 0.7))
    assert (low, high) == pytest.approx((0.4, 0.6))
    assert bound_sum(np.array([0.9, 0.1]), np.ones(2), np.full(2, 0.8), np.ones(2))[1] == 1


def test_percentiles_widen_with_few_units_and_skip_undefined_draws() -> None:
    draws = np.append(np.linspace(0, 1, 10_001), [np.nan] * 500)
    assert bound_draws(draws, 0.95) == pytest.approx((0.025, 0.975), abs=1e-3)
    few, many = bound_draws(draws, 0.95, n_units=8), bound_draws(draws, 0.95, n_units=10_000)
    assert few[0] < 0.01
    assert many == pytest.approx((0.025, 0.975), abs=1e-3)
    assert bound_draws(draws, 0.95, n_units=1) == (0, 1)
    assert bound_draws(np.array([np.nan]), 0.95) == (0, 1)


def test_unit_counts_are_resamples() -> None:
    drawn = draw_unit_counts(7, 2000, np.random.default_rng(0))
    assert drawn.shape == (2000, 7)
    assert (drawn.sum(axis=1) == 7).all()
    assert drawn.mean(axis=0) == pytest.approx(np.ones(7), abs=0.1)
    assert drawn.var(axis=0) == pytest.approx(np.full(7, 6 / 7), abs=0.1)


def test_dirichlet_draws_follow_counts_and_keep_impossible_cells_empty() -> None:
    drawn = draw_dirichlet(
        np.array([[8.0, 2.0, 0.0], [0.0, 5.0, 0.0]]),
        np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]),
        n_draws=20_000,
        rng=np.random.default_rng(0),
    )
    assert drawn.sum(axis=2) == pytest.approx(np.ones((20_000, 2)))
    assert (drawn[:, 0, 2] == 0).all()
    assert drawn[:, 0, 0].mean() == pytest.approx(8.5 / 11, abs=3e-3)
    # Never seen, yet possible.
    assert drawn[:, 1, 2].mean() == pytest.approx(0.5 / 6, abs=3e-3)


def test_resampled_strata_vary_as_their_means_do() -> None:
    drawn = resample_strata(
        np.array([[8.0, 2.0], [3.0, 3.0]]), n_draws=40_000, rng=np.random.default_rng(0)
    )
    # s²/n of 0/1 values: p (1 − p) / (n − 1).
    expected = [0.8 * 0.2 / 9, 0.5 * 0.5 / 5]
    assert drawn[:, :, 0].var(axis=0) == pytest.approx(expected, rel=0.03)


def count_pairs(scores: np.ndarray, positive: np.ndarray) -> float:
    """AUC pair by pair."""
    pairs = [
        1.0 if a > b else 0.5 if a == b else 0.0
        for a in scores[positive]
        for b in scores[~positive]
    ]
    return float(np.mean(pairs))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000))
def test_resampled_auc_equals_rows_repeated_and_counted(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, n_units = 25, 5
    scores, positive = rng.integers(0, 6, n) / 5, rng.random(n) < 0.4
    units = rng.integers(0, n_units, n)
    drawn = draw_unit_counts(n_units, 4, rng)
    for auc, times in zip(resample_auc(scores, positive, drawn, units), drawn, strict=True):
        rows = np.repeat(np.arange(n), times[units].astype(int))
        kinds = positive[rows]
        if kinds.any() and not kinds.all():
            assert auc == pytest.approx(count_pairs(scores[rows], kinds))
        else:
            assert np.isnan(auc)
    if positive.any() and not positive.all():
        assert measure_auc(scores, positive) == pytest.approx(count_pairs(scores, positive))


def test_resampling_in_chunks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    scores, positive, units = rng.random(60), rng.random(60) < 0.5, rng.integers(0, 9, 60)
    drawn = draw_unit_counts(9, 50, rng)
    whole = resample_auc(scores, positive, drawn, units)
    monkeypatch.setattr("geotransfer.accuracy.auc._CHUNK_CELLS", 400)
    assert (resample_auc(scores, positive, drawn, units) == whole).all()


@pytest.mark.parametrize(("auc", "level"), [(0.0, 0.95), (0.5, 0.9), (0.8, 0.95), (1.0, 0.95)])
def test_newcombes_ends_solve_their_equation(auc: float, level: float) -> None:
    low, high = bound_auc(auc, 12, 20, level)
    assert low <= auc <= high
    assert high - low > 0.1
    # Turned round, the AUC is 1 − AUC.
    assert bound_auc(1 - auc, 20, 12, level) == pytest.approx((1 - high, 1 - low), abs=1e-6)


def test_delongs_variance_by_hand() -> None:
    # Positives 3, 1; negatives 2, 0: wins 1, .5 and .5, 1; AUC 3/4.
    # Variances of placements: .125 / 2 + .125 / 2.
    found = estimate_auc(np.array([3.0, 1, 2, 0]), np.array([True, True, False, False]))
    half = 1.959964 * np.sqrt(0.125) / (0.75 * 0.25)
    logit = np.log(3) + half * np.array([-1, 1])
    assert found.value == 0.75
    assert (found.low, found.high) == pytest.approx(tuple(1 / (1 + np.exp(-logit))), abs=1e-6)


def test_auc_intervals_cover() -> None:
    rng = np.random.default_rng(0)
    inside, n_runs = 0, 400
    for _ in range(n_runs):
        positive = rng.random(60) < 0.3
        positive[:2] = True, False
        scores = rng.normal(size=60) + 1.8124 * positive  # AUC .9
        found = estimate_auc(scores, positive)
        inside += found.low <= 0.9 <= found.high
    assert 0.92 <= inside / n_runs <= 0.98
