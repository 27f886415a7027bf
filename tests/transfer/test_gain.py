from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from geotransfer.transfer.gain import GP_PRIOR, measure_gain, measure_macro_auc, predict_gain


def test_macro_auc_agrees_with_one_against_rest():
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 3, 200)
    scores = rng.random((3, 200))
    scores[targets, np.arange(200)] += 0.3
    expected = np.mean([roc_auc_score(targets == k, scores[k]) for k in range(3)])
    assert measure_macro_auc(scores, targets)[0] == pytest.approx(expected)
    two = rng.random((2, 200))
    assert measure_macro_auc(two, targets % 2)[0] == pytest.approx(
        roc_auc_score(targets % 2, two[1])
    )


def test_a_class_without_rows_is_left_out():
    targets = np.array([0, 1, 0, 1])
    scores = np.array([[0.9, 0.1, 0.8, 0.2], [0.1, 0.9, 0.2, 0.8], [0.0, 0.0, 0.0, 0.0]])
    assert measure_macro_auc(scores, targets)[0] == 1.0


def test_gain_of_a_model_over_itself_is_zero_and_sure():
    rng = np.random.default_rng(1)
    scores, targets = rng.random((2, 60)), rng.integers(0, 2, 60)
    gain, error = measure_gain(scores, scores, targets, np.arange(60) // 6, seed=0)
    assert (gain.value, error) == (0.0, 0.0)


def test_bootstrap_is_over_groups():
    rng = np.random.default_rng(2)
    targets = rng.integers(0, 2, 40)
    better = (targets + rng.normal(0, 1, 40))[None]
    worse = rng.random((1, 40))
    # Each row eight times in its own group: eight times the rows, no more knowledge.
    _, alone = measure_gain(better, worse, targets, np.arange(40), seed=0)
    _, copied = measure_gain(
        np.tile(better, 8),
        np.tile(worse, 8),
        np.tile(targets, 8),
        np.tile(np.arange(40), 8),
        seed=0,
    )
    assert copied == pytest.approx(alone, rel=0.15)


@given(
    observed=st.floats(-0.3, 0.3),
    error=st.floats(0.005, 0.5),
    n=st.integers(10, 5000),
)
def test_prediction_lies_between_rehearsal_and_labels(observed, error, n):
    estimate, chance = predict_gain(observed, error, prior=GP_PRIOR, n_labels=n)
    low, high = sorted((observed, GP_PRIOR.interpolate(n)))
    assert low - 1e-12 <= estimate.value <= high + 1e-12
    assert estimate.low < estimate.value < estimate.high
    assert 0 <= chance <= 1
    assert (chance > 0.5) == (estimate.value > 0)


def test_labels_that_know_nothing_leave_the_rehearsal():
    estimate, _ = predict_gain(-0.4, 1e3, prior=GP_PRIOR, n_labels=100)
    assert estimate.value == pytest.approx(GP_PRIOR.interpolate(100), abs=1e-6)


def test_labels_that_contradict_the_rehearsal_widen_it():
    surprise, chance = predict_gain(-0.25, 0.03, prior=GP_PRIOR, n_labels=100)
    usual, _ = predict_gain(0.03, 0.03, prior=GP_PRIOR, n_labels=100)
    assert surprise.high - surprise.low > usual.high - usual.low
    assert surprise.value < -0.05
    assert chance < 0.1


def test_precise_labels_overrule_the_rehearsal():
    estimate, chance = predict_gain(-0.05, 1e-4, prior=GP_PRIOR, n_labels=100)
    assert estimate.value == pytest.approx(-0.05, abs=1e-4)
    assert chance < 1e-6


def test_the_interval_covers_what_its_own_model_says():
    """Simulated regions drawn from the prior: nine in ten new gains fall inside."""
    rng = np.random.default_rng(3)
    hits = []
    for _ in range(2000):
        true = rng.normal(GP_PRIOR.interpolate(100), GP_PRIOR.deviation)
        error = 0.035
        observed = rng.normal(true, error * GP_PRIOR.error_inflation)
        new = rng.normal(true, GP_PRIOR.holdout_error)
        estimate, _ = predict_gain(observed, error, prior=GP_PRIOR, n_labels=100)
        hits.append(estimate.low <= new <= estimate.high)
    assert 0.88 < np.mean(hits) < 0.92
