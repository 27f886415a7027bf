"""Reach over time compares like with like; what labels add is read off curves, not beyond them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geotransfer.core.budget import BudgetCurve, BudgetForecast, BudgetPoint, BudgetReport
from geotransfer.core.estimate import ErrorMatrix, Estimate, Evaluation
from geotransfer.core.fact import RegionAdded, RegionEvaluated, RehearsalMade
from geotransfer.core.region import Region, RegionKind
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.outlook import (
    list_outlooks,
    predict_gain,
    predict_next,
    read_curve,
    trace_reach,
)
from geotransfer.workflows.views import list_region_views

OUTLINE = json.dumps({"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]]})


def estimate(value: float, half: float = 0.05, n: int = 100) -> Estimate:
    return Estimate(value=value, low=value - half, high=value + half, method="test", n=n)


def add_region(workspace: Workspace, region_id: str, kind: RegionKind = RegionKind.TABLE) -> None:
    region = Region(
        region_id=region_id, name=region_id, kind=kind, outline=OUTLINE, area_km2=1.0,
        spec_name="s2-semiannual", legend_name="cropland",
    )  # fmt: skip
    workspace.ledger.append(RegionAdded(region_id=region_id, region=region), actor="test")


def judge(workspace: Workspace, region_id: str, reach: float, *, target: float = 0.8) -> None:
    e = estimate(0.7)
    evaluation = Evaluation(
        estimand="random", separation_km=None,
        matrix=ErrorMatrix(class_names=("a", "b"), counts=((1, 0), (0, 1))),
        overall=e, balanced=e, auc=None, users=(e, e), producers=(e, e), f1=(e, e),
    )  # fmt: skip
    fact = RegionEvaluated(
        region_id=region_id, model_id="m", purpose="map", evaluation=evaluation,
        reach=estimate(reach), reach_target=target,
    )  # fmt: skip
    workspace.ledger.append(fact, actor="test")


def rehearse(workspace: Workspace, region_id: str, gain: float) -> None:
    workspace.ledger.append(make_rehearsal(region_id, gain), actor="test")


def make_rehearsal(region_id: str, gain: float, n_labels: int = 100) -> RehearsalMade:
    return RehearsalMade(
        region_id=region_id, report_id="r", gain=estimate(gain), gain_over_regional=estimate(0.1),
        n_labels=n_labels, metric="AUC",
    )  # fmt: skip


def test_a_region_that_is_added_moves_no_line(workspace: Workspace) -> None:
    for region_id, reach in (("a", 0.2), ("b", 0.6)):
        add_region(workspace, region_id)
        judge(workspace, region_id, reach)
    assert [p.reach for p in trace_reach(workspace)[RegionKind.TABLE]] == [pytest.approx(0.4)]
    judge(workspace, "a", 0.4)
    judge(workspace, "a", 0.9, target=0.95)  # another question
    line = trace_reach(workspace)[RegionKind.TABLE]
    assert [p.reach for p in line] == [pytest.approx(0.4), pytest.approx(0.5)]
    assert trace_reach(workspace)[RegionKind.SIMULATED] == ()


def test_the_most_promising_region_comes_first_and_the_unknown_last(workspace: Workspace) -> None:
    for region_id, gain in (("a", 0.01), ("b", 0.09), ("c", -0.02)):
        add_region(workspace, region_id)
        rehearse(workspace, region_id, gain)
    add_region(workspace, "new", RegionKind.IMAGERY)
    outlooks = list_outlooks(workspace, list_region_views(workspace))
    assert [o.region_id for o in outlooks] == ["b", "a", "new", "c"]
    new = outlooks[2].gain
    assert new is not None
    assert (new.value, new.low, new.high, new.level) == (0.01, -0.02, 0.09, 0.5)
    assert all(o.cost_usd is None for o in outlooks)
    assert "range over 3" in outlooks[2].basis


def test_too_few_rehearsals_say_nothing() -> None:
    made = [make_rehearsal("a", 0.1), make_rehearsal("b", 0.2), make_rehearsal("c", 0.3, 30)]
    assert predict_gain(made) is None


@given(
    st.dictionaries(st.integers(1, 5000), st.floats(-1, 1), min_size=2, max_size=8),
    st.integers(1, 6000),
)
def test_curves_are_read_between_their_points_only(curve: dict[int, float], n: int) -> None:
    value = read_curve(curve, n)
    if n < min(curve) or n > max(curve):
        assert value is None
        return
    below = max(k for k in curve if k <= n)
    above = min(k for k in curve if k >= n)
    ends = sorted((curve[below], curve[above]))
    assert value is not None
    assert ends[0] - 1e-9 <= value <= ends[1] + 1e-9


def test_the_next_hundred_labels_are_the_difference_to_those_there_are() -> None:
    points = tuple(
        BudgetPoint(
            strategy="pooled", n_labels=n, auc=estimate(0.7), gain=estimate(gain, 0.02), spread=0.0,
            median_distance_km=None,
        )
        for n, gain in ((50, 0.02), (100, 0.03))
    )  # fmt: skip
    curve = BudgetCurve(separation="blocks", n_draws=3, n_holdout=50, points=points)
    report = BudgetReport(
        n_labels=100, chosen="pooled", curve=curve,
        forecasts=(BudgetForecast(n_labels=200, gain=estimate(0.05, 0.04)),),
    )  # fmt: skip
    gain = predict_next(report)
    assert gain is not None
    assert (gain.value, gain.low, gain.high) == pytest.approx((0.02, -0.02, 0.06))
    short = BudgetReport(n_labels=100, chosen="pooled", curve=curve)
    assert predict_next(short) is None
