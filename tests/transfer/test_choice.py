from __future__ import annotations

import numpy as np
import pytest

from geotransfer.transfer.choice import (
    HeldOut,
    choose_strategy,
    describe_strategies,
    measure_gain_by_distance,
)

N = 400


@pytest.fixture(scope="module")
def truth():
    return np.random.default_rng(0).integers(0, 2, N)


def held_out(name, truth, noise, seed=0, distance_km=10.0):
    rng = np.random.default_rng(seed)
    latent = (2.0 * truth - 1 + rng.normal(0, noise, len(truth)))[None]
    distance = np.broadcast_to(np.asarray(distance_km, dtype=float), (len(truth),))
    return HeldOut(strategy=name, latent=latent, distance_km=distance)


def test_a_clearly_better_strategy_replaces_the_default(truth):
    default, better = held_out("default", truth, 3.0), held_out("better", truth, 0.8, seed=1)
    chosen = choose_strategy(default, (better,), truth, np.arange(N) // 10, seed=0)
    assert chosen is better


def test_a_slightly_better_one_does_not(truth):
    default, close = held_out("default", truth, 2.0), held_out("close", truth, 2.0, seed=4)
    assert choose_strategy(default, (close,), truth, np.arange(N) // 10, seed=0) is default


def test_with_few_labels_the_default_stands_whatever_the_folds_say(truth):
    few = truth[:100]
    default, better = held_out("default", few, 3.0), held_out("better", few, 0.5, seed=1)
    assert choose_strategy(default, (better,), few, np.arange(100) // 10, seed=0) is default


def test_the_table_is_sorted_and_marks_the_choice(truth):
    good, bad = held_out("good", truth, 0.8), held_out("bad", truth, 3.0, seed=2)
    rows = describe_strategies((bad, good), bad, truth, np.arange(N) // 10, chosen="good", seed=0)
    assert [row.strategy for row in rows] == ["good", "bad"]
    assert [row.is_chosen for row in rows] == [True, False]
    assert rows[1].gain.value == 0
    assert 0.5 < rows[1].auc.value < rows[0].auc.value <= 1


def test_gain_falls_with_distance_where_the_truth_says_so(truth):
    distance = np.where(np.arange(N) % 2 == 0, 3.0, 75.0)
    reference = held_out("global", truth, 3.0)
    near = held_out("near", truth, 0.7, seed=3).latent
    latent = np.where(distance < 10, near, reference.latent)
    result = HeldOut(strategy="x", latent=latent, distance_km=distance)
    rows = measure_gain_by_distance(result, reference, truth, np.arange(N) // 10, seed=0)
    assert [(r.from_km, r.to_km) for r in rows] == [(0.0, 5.0), (5.0, 100.0)]
    assert rows[0].gain.value > 0.1
    assert rows[1].gain.value == pytest.approx(0, abs=1e-12)


def test_too_few_rows_at_a_distance_are_joined_not_shown(truth):
    distance = np.where(np.arange(N) < 5, 3.0, 75.0)
    reference = held_out("global", truth, 3.0, distance_km=distance)
    rows = measure_gain_by_distance(reference, reference, truth, np.arange(N), seed=0)
    assert len(rows) == 1
    assert rows[0].gain.n == N
