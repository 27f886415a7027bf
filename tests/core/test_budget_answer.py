"""How many more labels, for how much gain, at what cost: the answer follows from the steps."""

from __future__ import annotations

from geotransfer.core.budget import (
    BudgetCurve,
    BudgetForecast,
    BudgetPoint,
    BudgetReport,
    answer_budget,
    list_steps,
)
from geotransfer.core.decode import from_plain
from geotransfer.core.estimate import Estimate
from geotransfer.core.identity import to_plain


def make_estimate(value: float) -> Estimate:
    return Estimate(value=value, low=value - 0.02, high=value + 0.02, method="test", n=10)


def make_point(strategy: str, n_labels: int, auc: float, gain: float = 0.0) -> BudgetPoint:
    return BudgetPoint(
        strategy=strategy, n_labels=n_labels, auc=make_estimate(auc), gain=make_estimate(gain),
        spread=0.02, median_distance_km=None,
    )  # fmt: skip


def make_report(*, regional: tuple[float, ...] = (0.6, 0.65, 0.75)) -> BudgetReport:
    sizes = (50, 100, 300)
    points = [
        make_point("gp_correction", n, 0.7 + g, g)
        for n, g in zip(sizes, (0.01, 0.03, 0.05), strict=True)
    ]
    points += [make_point("regional_only", n, a) for n, a in zip(sizes, regional, strict=True)]
    curve = BudgetCurve(separation="blocks of 1 km", n_draws=3, n_holdout=40, points=tuple(points))
    return BudgetReport(n_labels=0, chosen="gp_correction", curve=curve)


def test_a_rehearsed_table_answers_from_what_was_measured() -> None:
    start, *coming = list_steps(make_report(), 2.0)
    assert (start.n_labels, start.more, start.cost_usd) == (50, 0, None)
    assert [(s.more, round(s.further, 3), s.cost_usd) for s in coming] == [
        (50, 0.02, 100.0),
        (200, 0.02, 400.0),
    ]
    told = " ".join(answer_budget(make_report(), 2.0))
    assert "50 more labels (100 in all): a further +0.020 AUC measured, for 100 USD" in told
    assert "needs 300 labels for what the fine-tuned one has with 50" in told


def test_forecasts_start_from_the_labels_there_are() -> None:
    report = make_report()
    forecasts = tuple(
        BudgetForecast(n_labels=n, gain=make_estimate(g))
        for n, g in ((150, 0.03), (300, 0.04), (600, 0.042))
    )
    report = BudgetReport(
        n_labels=150, chosen=report.chosen, curve=report.curve, forecasts=forecasts
    )
    assert [s.n_labels for s in list_steps(report, 0.0)] == [150, 300, 600]
    told = answer_budget(report, 0.0)
    assert told[0].startswith("With 150 labels the fine-tuned model gains +0.030")
    assert "150 more labels (300 in all): a further +0.010 AUC expected;" in told[1]
    assert "USD" not in " ".join(told), "no money without a rate"
    assert "Beyond 300 labels a step adds less than 0.005 AUC." in told
    assert from_plain(BudgetReport, to_plain(report)) == report


def test_labels_that_bring_nothing_are_told_to_go_elsewhere() -> None:
    report = make_report()
    flat = tuple(BudgetForecast(n_labels=n, gain=make_estimate(0.03)) for n in (150, 300, 600))
    report = BudgetReport(n_labels=150, chosen=report.chosen, curve=report.curve, forecasts=flat)
    assert "spend them elsewhere" in " ".join(answer_budget(report, 0.0))


def test_a_region_where_its_own_labels_do_as_well_is_told_so() -> None:
    told = " ".join(answer_budget(make_report(regional=(0.72, 0.74, 0.80)), 0.0))
    assert "the global model adds little that the labels do not say" in told


def test_no_point_is_a_sentence_too() -> None:
    curve = BudgetCurve(separation="blocks of 1 km", n_draws=0, n_holdout=0, points=())
    report = BudgetReport(n_labels=12, chosen="gp_correction", curve=curve)
    assert "No number of labels could be tried" in answer_budget(report, 1.0)[0]
