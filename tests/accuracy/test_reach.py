from __future__ import annotations

import numpy as np
import pytest

from geotransfer.accuracy.reach import (
    CUTOFFS,
    STARTS,
    choose_confidence_cutoff,
    estimate_reach,
)
from geotransfer.errors import InputError, TableInvalid

GRID = np.linspace(0.5, 1, 5001)


def curve_touching(confidence: np.ndarray, target: float) -> np.ndarray:
    """Accuracy just below the target at every cutoff: any cutoff found is a mistake."""
    return np.full_like(confidence, target - 0.002)


def curve_calibrated(confidence: np.ndarray, _: float) -> np.ndarray:
    return confidence


def curve_overconfident(confidence: np.ndarray, _: float) -> np.ndarray:
    return 0.5 + 0.6 * (confidence - 0.5)


def curve_falling(confidence: np.ndarray, _: float) -> np.ndarray:
    """Right most often in the middle: the surest rows are wrong."""
    return 0.9 - np.abs(confidence - 0.7)


def count_broken(curve: object, n: int, n_runs: int, target: float, **options: object) -> float:
    """Return the share of runs whose cutoff does not hold the target in the population."""
    rng = np.random.default_rng(5)
    right_at = curve(GRID, target)
    above = np.cumsum(right_at[::-1])[::-1] / np.arange(len(GRID), 0, -1)
    broken = 0
    for _ in range(n_runs):
        confidence = rng.uniform(0.5, 1, n)
        correct = rng.random(n) < curve(confidence, target)
        cutoff = choose_confidence_cutoff(confidence, correct, target=target, **options)
        if cutoff is not None:
            broken += np.interp(cutoff, GRID, above) < target
    return broken / n_runs


CURVES = [curve_touching, curve_calibrated, curve_overconfident, curve_falling]


@pytest.mark.parametrize("curve", CURVES)
def test_the_guarantee_survives_the_search(curve: object) -> None:
    # A bare search, the lowest cutoff whose own bound holds, breaks its promise in more than 20 %
    # of runs on the touching curve; see below.
    assert count_broken(curve, 300, 150, 0.8, level=0.9) <= 0.1 + 3 * np.sqrt(0.09 / 150)


@pytest.mark.slow
@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("n", [60, 300, 2000])
@pytest.mark.parametrize("target", [0.7, 0.85])
def test_the_guarantee_survives_the_search_everywhere(curve: object, n: int, target: float) -> None:
    assert count_broken(curve, n, 400, target, level=0.9) <= 0.1 + 2.5 * np.sqrt(0.09 / 400)


def test_a_bare_search_would_break_the_promise() -> None:
    from scipy.stats import binom

    rng = np.random.default_rng(5)
    broken = 0
    for _ in range(200):
        confidence = rng.uniform(0.5, 1, 300)
        correct = rng.random(300) < 0.798
        above = [correct[confidence >= c] for c in CUTOFFS if (confidence >= c).any()]
        broken += any(binom.sf(a.sum() - 1, len(a), 0.8) <= 0.1 for a in above)
    assert broken / 200 > 0.2


def test_the_search_stops_at_the_first_cutoff_that_fails() -> None:
    # Right above .86, wrong at .85, then so many right at .80 that accuracy recovers there.
    confidence = np.repeat([0.95, 0.85, 0.80, 0.76], [40, 30, 400, 300])
    correct = np.repeat([1, 0, 1, 0], [40, 30, 400, 300])
    assert choose_confidence_cutoff(confidence, correct, target=0.8) == 0.86


def test_the_cutoff_comes_near_the_true_one() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 5000)
    correct = rng.random(5000) < confidence
    cutoff = choose_confidence_cutoff(confidence, correct, target=0.85)
    # Calibrated and uniform: accuracy at or above c is (c + 1)/2, so 0.85 holds from 0.7 up.
    assert cutoff is not None
    assert 0.7 <= cutoff <= 0.75


def test_a_map_that_is_good_everywhere_is_trusted_everywhere() -> None:
    confidence = np.random.default_rng(0).uniform(0.5, 1, 400)
    assert choose_confidence_cutoff(confidence, np.ones(400), target=0.8) == 0


@pytest.mark.parametrize("n", [0, 1, 10])
def test_too_few_rows_prove_nothing(n: int) -> None:
    assert choose_confidence_cutoff(np.full(n, 0.99), np.ones(n), target=0.8) is None


def test_rows_of_one_group_do_not_count_as_many() -> None:
    rng = np.random.default_rng(2)
    found = {"rows": 0, "groups": 0}
    for _ in range(60):
        group = np.repeat(np.arange(12), 50)
        skill = np.repeat(rng.choice([0.4, 1.0], 12, p=[0.4, 0.6]), 50)  # mean .76
        confidence = rng.uniform(0.5, 1, 600)
        correct = rng.random(600) < skill
        for name, groups in (("rows", None), ("groups", group)):
            cutoff = choose_confidence_cutoff(confidence, correct, target=0.8, groups=groups)
            found[name] += cutoff is not None
    assert found["rows"] > 9  # 3 would be 5 %
    assert found["groups"] <= 6


def test_groups_are_no_harder_than_needed() -> None:
    rng = np.random.default_rng(3)
    confidence = rng.uniform(0.5, 1, 3000)
    correct = rng.random(3000) < confidence
    groups = rng.integers(0, 40, 3000)
    by_groups = choose_confidence_cutoff(confidence, correct, target=0.85, groups=groups)
    assert by_groups is not None
    assert by_groups < 0.8
    one = choose_confidence_cutoff(confidence, correct, target=0.85, groups=np.zeros(3000))
    assert one is None


def test_starts_are_among_the_cutoffs_and_cutoffs_fall() -> None:
    assert set(STARTS) <= set(CUTOFFS)
    assert list(CUTOFFS) == sorted(CUTOFFS, reverse=True)
    assert CUTOFFS[-1] == 0


PLACES = np.array([0.95, 0.9, 0.7, 0.6, np.nan, 0.8, 0.5, 0.99])


def reach(cutoff: float | None, own: list[int], **options: object) -> object:
    return estimate_reach(
        PLACES,
        **{
            "cutoff": cutoff,
            "target": 0.8,
            "own_confidence": [0.9] * len(own),
            "own_correct": own,
            "is_whole_area": True,
            **options,
        },
    )


def test_reach_is_the_share_of_places_and_no_answer_is_not_trusted() -> None:
    found = reach(0.8, [1] * 9 + [0])
    assert found.share.value == found.share.low == 4 / 8
    assert found.accuracy.value == 0.9
    assert "90% of 10 own rows" in found.reason


def test_a_sample_of_places_has_an_interval() -> None:
    found = reach(0.8, [1, 1], is_whole_area=False)
    assert found.share.low < 0.5 < found.share.high


def test_own_rows_veto() -> None:
    found = reach(0.8, [1] * 7 + [0] * 3)
    assert found.share.value == 0
    assert found.share.high == 0.5  # 7 of 10 leaves the target possible
    assert "only 70% of 10 own rows" in found.reason
    assert reach(0.8, [1] * 60 + [0] * 40).share.high == 0


def test_own_rows_below_the_cutoff_do_not_veto() -> None:
    found = reach(0.95, [0] * 10)
    assert found.share.value == 2 / 8
    assert found.accuracy is None
    assert "no label of its own" in found.reason


def test_without_a_cutoff_there_is_no_reach_and_a_reason() -> None:
    found = reach(None, [1] * 10)
    assert (found.share.value, found.share.high) == (0, 0)
    assert "At no confidence" in found.reason


def test_bad_inputs_are_refused() -> None:
    with pytest.raises(InputError, match="80 %"):
        choose_confidence_cutoff([0.9], [1], target=80)
    with pytest.raises(TableInvalid, match="not between 0 and 1"):
        choose_confidence_cutoff([np.nan], [1], target=0.8)
    with pytest.raises(TableInvalid, match="differ in length"):
        choose_confidence_cutoff([0.9], [1, 0], target=0.8)
    with pytest.raises(TableInvalid, match="groups has 1"):
        choose_confidence_cutoff([0.9, 0.8], [1, 0], target=0.8, groups=["a"])
    with pytest.raises(InputError, match="no place"):
        estimate_reach(
            [], cutoff=0.8, target=0.8, own_confidence=[], own_correct=[], is_whole_area=True
        )
