from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from geotransfer.accuracy.ppi import (
    MapSummary,
    PoweredShare,
    estimate_powered_share,
    summarize_map,
)
from geotransfer.errors import InputError, TableInvalid


def estimate(
    reference: object, predicted: object, whole_map: MapSummary, **options: object
) -> PoweredShare:
    return estimate_powered_share(
        reference,
        predicted,
        whole_map,
        **{"total_km2": 100.0, "is_probability_sample": True, **options},
    )


def draw_labels(
    rng: np.random.Generator, n: int, prevalence: float, right: float
) -> tuple[np.ndarray, np.ndarray]:
    truth = (rng.random(n) < prevalence).astype(float)
    return truth, np.where(rng.random(n) < right, truth, 1 - truth)


def summarize(prevalence: float, right: float, n: int = 1_000_000) -> MapSummary:
    mean = prevalence * right + (1 - prevalence) * (1 - right)
    return MapSummary(n=n, mean=mean, variance=mean * (1 - mean))


def spell_out(truth: np.ndarray, said: np.ndarray, whole: MapSummary) -> tuple[float, float]:
    """PPI++ for a mean as the paper writes it: λ and θ."""
    n = len(truth)
    cov = np.cov(truth, said)
    power = np.clip(cov[0, 1] / (cov[1, 1] + n / whole.n * whole.variance), 0, 1)
    return float(power), float(power * whole.mean + np.mean(truth - power * said))


def test_equal_to_the_formulas_spelled_out() -> None:
    rng = np.random.default_rng(0)
    for whole_n in (100, 10**6):
        truth, said = draw_labels(rng, 80, 0.4, 0.85)
        whole = summarize(0.4, 0.85, whole_n)
        power, theta = spell_out(truth, said, whole)
        found = estimate(truth, said, whole)
        assert found.power == pytest.approx(power)
        assert found.share.value == pytest.approx(theta)
        assert found.area_km2.value == pytest.approx(100 * theta)
        # Residuals lose a degree of freedom to λ; two rows of a map that says nothing are added.
        rest = truth - power * said
        hedged = (80 * theta + 1) / 82
        variance = rest.var(ddof=2) / 80 + power**2 * whole.variance / whole_n
        variance += 2 * hedged * (1 - hedged) / 80**2
        assert found.standard_error == pytest.approx(np.sqrt(variance))


def test_a_perfect_map_needs_no_labels_but_is_not_believed_blindly() -> None:
    truth = np.repeat([0.0, 1.0], [60, 40])
    found = estimate(truth, truth, MapSummary(n=10**6, mean=0.43, variance=0.25))
    assert found.share.value == pytest.approx(0.43, abs=1e-3)
    assert found.share.high - found.share.low > 0.01
    assert found.share.high - found.share.low < 0.2 * (
        found.labels_only.high - found.labels_only.low
    )


def test_a_useless_map_costs_next_to_nothing() -> None:
    rng = np.random.default_rng(1)
    wider = []
    for _ in range(50):
        truth, said = draw_labels(rng, 100, 0.4, 0.5)
        found = estimate(truth, said, summarize(0.4, 0.5))
        wider.append(
            (found.share.high - found.share.low) / (found.labels_only.high - found.labels_only.low)
        )
    assert np.mean(wider) < 1.02


def test_a_map_that_says_the_opposite_is_not_used() -> None:
    truth = np.tile([0.0, 1.0, 1.0], 20)
    found = estimate(truth, 1 - truth, summarize(0.66, 0.0))
    assert found.power == 0
    assert found.share.value == found.labels_only.value == pytest.approx(2 / 3)
    assert found.share.method == "effective-wilson"


def test_a_map_without_spread_adds_nothing() -> None:
    found = estimate([0, 1, 1, 0, 1], [1] * 5, MapSummary(n=100, mean=1.0, variance=0.0))
    assert found.power == 0
    assert found.share.value == pytest.approx(0.6)


def test_a_biased_map_is_corrected() -> None:
    # The map calls 30 % too much: labels say by how much.
    rng = np.random.default_rng(2)
    values = []
    for _ in range(200):
        truth = (rng.random(200) < 0.3).astype(float)
        said = np.maximum(truth, rng.random(200) < 0.3)
        whole = MapSummary(n=10**6, mean=0.51, variance=0.51 * 0.49)
        values.append(estimate(truth, said, whole).share.value)
    assert np.mean(values) == pytest.approx(0.3, abs=0.005)


def test_equal_weights_and_one_stratum_change_nothing() -> None:
    truth, said = draw_labels(np.random.default_rng(3), 60, 0.4, 0.8)
    plain = estimate(truth, said, summarize(0.4, 0.8))
    weighted = estimate(
        truth, said, summarize(0.4, 0.8), weights=np.full(60, 7.0), strata=["a"] * 60
    )
    assert weighted.share.value == pytest.approx(plain.share.value)
    assert weighted.standard_error == pytest.approx(plain.standard_error)
    assert weighted.share.low == pytest.approx(plain.share.low)


def test_unequal_chances_are_undone_by_weights() -> None:
    # The class is labelled three times as often as the rest.
    rng = np.random.default_rng(4)
    values, plain = [], []
    for _ in range(200):
        truth, said = draw_labels(rng, 600, 0.3, 0.85)
        kept = rng.random(600) < np.where(said == 1, 0.6, 0.2)
        weights = np.where(said == 1, 1 / 0.6, 1 / 0.2)[kept]
        whole = summarize(0.3, 0.85)
        values.append(estimate(truth[kept], said[kept], whole, weights=weights).share.value)
        plain.append(estimate(truth[kept], said[kept], whole, weights=weights).labels_only.value)
    assert np.mean(values) == pytest.approx(0.3, abs=0.01)
    assert np.mean(plain) == pytest.approx(0.3, abs=0.01)


def test_drawing_within_strata_narrows_the_labels_alone() -> None:
    truth = np.concatenate((np.tile([0.0, 0, 0, 0, 1], 10), np.tile([1.0, 1, 1, 1, 0], 10)))
    said = np.repeat([0.0, 1.0], 50)
    whole = MapSummary(n=10**6, mean=0.5, variance=0.25)
    within = estimate(truth, said, whole, strata=said)
    ignored = estimate(truth, said, whole)
    assert within.labels_only.high - within.labels_only.low < 0.85 * (
        ignored.labels_only.high - ignored.labels_only.low
    )
    # By hand: each stratum's mean has variance .2 · .8 / 49; half weight each.
    expected = np.sqrt(2 * 0.25 * 0.16 / 49)
    assert estimate(truth, 0 * said, whole, strata=said).standard_error == pytest.approx(expected)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(3, 40).flatmap(
        lambda n: st.tuples(
            npst.arrays(np.bool_, n),
            npst.arrays(np.float64, n, elements=st.floats(0, 1)),
            npst.arrays(np.float64, n, elements=st.floats(0.1, 10)),
        )
    )
)
def test_every_interval_holds_its_value(drawn: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    truth, said, weights = drawn
    whole = summarize_map(np.append(said, 0.5))
    found = estimate(truth, said, whole, weights=weights)
    for share in (found.share, found.labels_only):
        assert 0 <= share.low <= share.value <= share.high <= 1
        assert share.high > share.low


def test_labels_that_are_no_probability_sample_stay_indicative() -> None:
    truth, said = draw_labels(np.random.default_rng(5), 60, 0.4, 0.8)
    found = estimate(truth, said, summarize(0.4, 0.8), is_probability_sample=False)
    assert found.is_indicative
    assert found.share.method == found.area_km2.method == "indicative ppi++"


def test_the_map_summary_leaves_out_places_without_an_answer() -> None:
    found = summarize_map(np.array([[0.0, 1.0], [np.nan, 1.0]]))
    assert (found.n, found.mean) == (3, pytest.approx(2 / 3))
    with pytest.raises(InputError, match="no pixel"):
        summarize_map([np.nan])


def test_bad_inputs_are_refused() -> None:
    whole = summarize(0.4, 0.8)
    with pytest.raises(TableInvalid, match="predicted: row 1 is not finite"):
        estimate([0, 1, 1], [0.1, np.nan, 0.2], whole)
    with pytest.raises(TableInvalid, match="must be 0 or 1"):
        estimate([0, 2, 1], [0.1, 0.3, 0.2], whole)
    with pytest.raises(TableInvalid, match="above 0"):
        estimate([0, 1, 1], [0.1, 0.3, 0.2], whole, weights=[1, 0, 1])
    with pytest.raises(InputError, match="at least three"):
        estimate([0, 1], [0.1, 0.3], whole)
    with pytest.raises(InputError, match="'b' has a single label"):
        estimate([0, 1, 1], [0.1, 0.3, 0.2], whole, strata=["a", "a", "b"])


def cover(n: int, prevalence: float, right: float, n_runs: int) -> float:
    rng = np.random.default_rng(6)
    whole = summarize(prevalence, right)
    inside = 0
    for _ in range(n_runs):
        share = estimate(*draw_labels(rng, n, prevalence, right), whole).share
        inside += share.low <= prevalence <= share.high
    return inside / n_runs


def test_intervals_cover_lightly() -> None:
    assert 0.90 <= cover(100, 0.4, 0.85, 300) <= 0.985


@pytest.mark.slow
@pytest.mark.parametrize("n", [30, 100, 300])
@pytest.mark.parametrize("prevalence", [0.2, 0.4])
@pytest.mark.parametrize("right", [0.55, 0.85, 0.95])
def test_intervals_cover(n: int, prevalence: float, right: float) -> None:
    assert cover(n, prevalence, right, 1000) >= 0.915
