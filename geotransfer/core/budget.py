"""The label budget: what a number of labels buys."""

from __future__ import annotations

from dataclasses import dataclass

from geotransfer.core.estimate import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetPoint:
    """One strategy with one number of labels."""

    strategy: str
    n_labels: int
    auc: Estimate
    """Mean over draws, with the interval of that mean."""
    gain: Estimate
    """AUC minus the global model's on the same held-out rows, with the interval of its mean."""
    spread: float
    """Standard deviation of the gain over draws: what one set of labels may differ by."""
    median_distance_km: float | None
    """Median distance of a held-out row to its nearest label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetCurve:
    """Accuracy against the number of labels, on rows held out."""

    separation: str
    """How rows were kept apart: ``blocks of 100 km``, ``cells of 5 km``, or ``rain 50 mm``."""
    n_draws: int
    n_holdout: int
    """Median number of rows held out."""
    points: tuple[BudgetPoint, ...]
    """By strategy, then by number of labels."""

    def list_strategies(self) -> tuple[str, ...]:
        """Return the strategies' names, each once, in order."""
        return tuple(dict.fromkeys(point.strategy for point in self.points))

    def find_point(self, strategy: str, n_labels: int) -> BudgetPoint | None:
        """Return one point, or None."""
        return next(
            (p for p in self.points if p.strategy == strategy and p.n_labels == n_labels), None
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetForecast:
    """What more labels are expected to bring, from rehearsals on other regions."""

    n_labels: int
    gain: Estimate
    """Expected AUC gain over the global model, with a prediction interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsedRegion:
    """A reference region on which the whole transfer was rehearsed."""

    region_id: str
    curves: tuple[BudgetCurve, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetReport:
    """A region's label budget: what was measured on its own labels, and what more would bring."""

    n_labels: int
    """Labels there are; 0 for a reference region, whose whole table was rehearsed with."""
    chosen: str
    """Strategy of the fine-tuned model that the curve is about."""
    curve: BudgetCurve
    forecasts: tuple[BudgetForecast, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetStep:
    """From one number of labels to the next."""

    n_labels: int
    more: int
    """Labels more than the step before; 0 for where one starts."""
    gain: Estimate
    """AUC over the global model with ``n_labels``."""
    further: float
    """Of that, what this step adds."""
    cost_usd: float | None
    """Of this step's labels; None where no rate is set."""
    is_measured: bool
    """Measured on rows held out; else forecast."""


WORTH_AUC = 0.005
"""A step that adds less than this is within what any two sets of labels differ by."""


def list_steps(report: BudgetReport, usd_per_label: float) -> tuple[BudgetStep, ...]:
    """Return what each larger number of labels brings and costs; the first is where one starts.

    A region with labels starts at those and looks ahead; a rehearsed table starts at its fewest
    labels, and all of its steps were measured.
    """
    known = [(forecast.n_labels, forecast.gain) for forecast in report.forecasts]
    is_measured = not known
    if is_measured:
        points = [p for p in report.curve.points if p.strategy == report.chosen]
        known = [(point.n_labels, point.gain) for point in points]
    steps: list[BudgetStep] = []
    for n_labels, gain in known:
        more = n_labels - steps[-1].n_labels if steps else 0
        steps.append(
            BudgetStep(
                n_labels=n_labels,
                more=more,
                gain=gain,
                further=gain.value - steps[-1].gain.value if steps else 0.0,
                cost_usd=more * usd_per_label if usd_per_label and more else None,
                is_measured=is_measured,
            )
        )
    return tuple(steps)


def answer_budget(report: BudgetReport, usd_per_label: float) -> tuple[str, ...]:
    """Return *how many more labels, for how much gain, at what cost* in sentences."""
    steps = list_steps(report, usd_per_label)
    if not steps:
        return ("No number of labels could be tried; bring more, spread over the region.",)
    start, *coming = steps
    told = (
        f"With {start.n_labels} labels the fine-tuned model gains {start.gain.value:+.3f} AUC over"
        f" the global one ({start.gain.low:+.3f} to {start.gain.high:+.3f})."
    )
    sentences = [told]
    worth = [step for step in coming if step.further >= WORTH_AUC]
    if coming and not worth:
        sentences.append(
            f"More labels are expected to bring less than {WORTH_AUC:g} AUC at each step looked"
            " at: spend them elsewhere."
        )
    for step in worth[:3]:
        how = "measured" if step.is_measured else "expected"
        cost = "" if step.cost_usd is None else f", for {step.cost_usd:,.0f} USD"
        sentences.append(
            f"{step.more} more labels ({step.n_labels} in all): a further {step.further:+.3f} AUC"
            f" {how}{cost}; the whole gain is then {step.gain.value:+.3f}"
            f" ({step.gain.low:+.3f} to {step.gain.high:+.3f}, {step.gain.level:.0%} interval)."
        )
    if worth and worth[-1] is not coming[-1]:
        sentences.append(
            f"Beyond {worth[-1].n_labels} labels a step adds less than {WORTH_AUC:g} AUC."
        )
    return (*sentences, *_compare_regional(report))


def _compare_regional(report: BudgetReport) -> tuple[str, ...]:
    """Say how many labels a model without the global one needs for the same accuracy."""
    own = [p for p in report.curve.points if p.strategy == report.chosen]
    rivals = [p for p in report.curve.points if p.strategy.startswith("regional")]
    if not own or not rivals:
        return ()
    few, many = own[0], own[-1]
    equal = next((p for p in rivals if p.auc.value >= few.auc.value), None)
    rival = report.curve.find_point(rivals[0].strategy, many.n_labels)
    if rival is not None and (equal is None or equal.n_labels > few.n_labels):
        need = (
            f"does not equal with {max(p.n_labels for p in rivals)} labels"
            if equal is None
            else f"needs {equal.n_labels} labels for"
        )
        end = f"what the fine-tuned one has with {few.n_labels}."
        return (f"The best model of the region's labels alone {need} {end}",)
    if rival is None:
        return ()
    told = (
        f"With {many.n_labels} labels a model of the region's labels alone has AUC"
        f" {rival.auc.value:.3f}, the fine-tuned one {many.auc.value:.3f}"
    )
    if rival.auc.value < many.auc.value:
        return (f"{told}.",)
    return (f"{told}: here the global model adds little that the labels do not say.",)
