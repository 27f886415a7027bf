"""Judging pixels: against a slow reading of the rule, and what it must never keep."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geotransfer.change.judgement import (
    MAX_DEBT,
    QUANTILES,
    Kept,
    Rule,
    judge_pixels,
    measure_lead,
    measure_margin,
    name_detector,
)
from geotransfer.change.reach import (
    EXPONENT,
    MIN_PIXELS,
    N_BINS,
    count_moves,
    find_reach,
    measure_debt,
    remember,
)
from geotransfer.core.legend import NODATA_CLASS

NO_ANSWER = 65535


def judge_slowly(pending, counts, code: int, shown: int, reach: float) -> Kept:
    if not any(pending):
        return Kept.UNTOUCHED
    if code == NODATA_CLASS and any(p + c == 0 for p, c in zip(pending, counts, strict=True)):
        return Kept.NO_ANSWER
    if any(c == 0 and p > 0 for p, c in zip(pending, counts, strict=True)):
        return Kept.COMPUTE
    known = [(p, c) for p, c in zip(pending, counts, strict=True) if c]
    debt = sum(p**EXPONENT / c for p, c in known)
    p = min(max(shown, 0.5), 9999.5) / 1e4
    margin = 0.0 if shown == NO_ANSWER else abs(np.log(p / (1 - p)))
    is_small = sum(p / c for p, c in known) <= MAX_DEBT
    return Kept.JUDGED if margin > reach * debt and is_small else Kept.COMPUTE


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=2, max_size=2),
    st.sampled_from([0, 1, NODATA_CLASS]),
    st.one_of(st.integers(0, 10_000), st.just(NO_ANSWER)),
    st.sampled_from([0.0, 0.5, 3.0, 40.0, float("inf")]),
)
def test_the_fast_judge_reads_the_rule(periods, code: int, shown: int, reach: float) -> None:
    pending, counts = zip(*periods, strict=True)
    kept = judge_pixels(
        pending=np.array(pending, np.uint8)[:, None],
        counts=np.array(counts, np.uint16)[:, None],
        layers=np.array([[code], [shown], [0]], np.uint16),
        rule=Rule(quantile=0.9, reach=reach),
    )
    assert kept[0] == judge_slowly(pending, counts, code, shown, reach)


def test_an_infinite_reach_keeps_nothing_by_judgement() -> None:
    kept = judge_pixels(
        pending=np.array([[0, 1, 3], [0, 0, 2]], np.uint8),
        counts=np.full((2, 3), 9, np.uint16),
        layers=np.array([[1, 1, 1], [10_000, 10_000, 10_000], [9, 9, 9]], np.uint16),
        rule=Rule(quantile=1.0, reach=float("inf")),
    )
    assert kept.tolist() == [Kept.UNTOUCHED, Kept.COMPUTE, Kept.COMPUTE]


def test_debt_does_not_grow_for_ever() -> None:
    kept = judge_pixels(
        pending=np.array([[10, 11]], np.uint8),
        counts=np.array([[10, 10]], np.uint16),
        layers=np.array([[1, 1], [10_000, 10_000], [9, 9]], np.uint16),
        rule=Rule(quantile=0.9, reach=1e-9),
    )
    assert kept.tolist() == [Kept.JUDGED, Kept.COMPUTE]


def test_margins_and_leads_of_two_and_of_more_classes() -> None:
    two = np.array([[2_000, 5_000, NO_ANSWER]], np.uint16)
    assert measure_margin(two) == pytest.approx([np.log(4), 0, 0], abs=1e-6)
    three = np.array([[6_000, 100], [1_000, 9_000], [3_000, 900]], np.uint16)
    assert measure_margin(three) == pytest.approx([np.log(2), np.log(10)], abs=1e-6)
    flipped = three[[2, 1, 0]]
    assert measure_lead(three, three) == pytest.approx(measure_margin(three))
    assert measure_lead(flipped, three)[0] == pytest.approx(-np.log(2), abs=1e-6)
    assert measure_lead(10_000 - two, two)[:2] == pytest.approx([-np.log(4), 0], abs=1e-6)
    assert np.isnan(measure_lead(two, two)[2])


def test_the_reach_is_learned_from_moves_and_unknown_before() -> None:
    assert find_reach((), 0.9) == float("inf")
    rng = np.random.default_rng(0)
    moved = np.abs(rng.normal(size=50_000)).astype(np.float32)
    debt = np.full(50_000, 0.5, np.float32)
    counts = count_moves(np.zeros_like(moved), moved, debt)
    assert find_reach(counts, 0.95) == pytest.approx(2 * 1.96, rel=0.16), "one bin is 15 % wide"
    assert find_reach(counts, 1.0) == float("inf")
    few = count_moves(np.zeros(9, np.float32), moved[:9], debt[:9])
    assert few.sum() < MIN_PIXELS
    assert find_reach(few, 0.9) == float("inf")
    total = remember(counts, few)
    assert len(total) == N_BINS
    assert sum(total) == pytest.approx(0.9 * 50_000 + 9, rel=1e-4)


def test_debt_is_infinite_where_nothing_is_known() -> None:
    debt = measure_debt(np.array([[1, 16, 0]], np.uint8), np.array([[0, 8, 0]], np.uint16))
    assert debt.tolist() == [np.inf, 1.0, 0.0]


def test_strictness_names_the_detector() -> None:
    assert len({name_detector(q) for q in QUANTILES}) == len(QUANTILES)
    assert list(QUANTILES) == sorted(QUANTILES)
    assert QUANTILES[-1] == 1.0, "the last step computes everything"
