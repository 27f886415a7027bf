"""Outlook: how reach has grown, and where the next labels are expected to bring most.

A replay of facts, as the views are; loads no raster, model or scheduler.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from geotransfer.core.budget import BudgetReport
from geotransfer.core.estimate import Estimate
from geotransfer.core.fact import (
    BudgetMeasured,
    FineTuneDone,
    LabelsAdded,
    RegionAdded,
    RegionEvaluated,
    RehearsalMade,
)
from geotransfer.core.region import RegionKind
from geotransfer.errors import GeoTransferError
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.transfer_views import find_budget
from geotransfer.workflows.views import RegionView

NEXT_LABELS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ReachPoint:
    """Mean reach of one kind of region after something was measured."""

    at: str
    reach: float
    """Mean over all regions measured up to now."""


def trace_reach(workspace: Workspace) -> dict[RegionKind, tuple[ReachPoint, ...]]:
    """Return the mean reach of each kind of region over time; a point for each change of it.

    Like is compared with like: a region counts from the start with the first figure it was given,
    so that the line moves where a region did and not where one was added. Figures for another
    target than the present one are left out.
    """
    kinds = {
        r.fact.region.region_id: r.fact.region.kind for r in workspace.ledger.read(RegionAdded)
    }
    target = workspace.settings.accuracy_target
    measured: dict[RegionKind, list[tuple[str, str, float]]] = {kind: [] for kind in RegionKind}
    for recorded in workspace.ledger.read(RegionEvaluated):
        fact = recorded.fact
        kind = kinds.get(str(fact.region_id))
        if (
            kind is not None
            and fact.purpose == "map"
            and fact.reach is not None
            and math.isclose(fact.reach_target, target)
        ):
            measured[kind].append((recorded.at, str(fact.region_id), fact.reach.value))
    return {kind: _trace_mean(rows) for kind, rows in measured.items()}


def _trace_mean(measured: Sequence[tuple[str, str, float]]) -> tuple[ReachPoint, ...]:
    """Return the mean of figures (time, region, value), oldest first, after each change of it."""
    known: dict[str, float] = {}
    for _, region_id, value in measured:
        known.setdefault(region_id, value)
    points: list[ReachPoint] = []
    for at, region_id, value in measured:
        known[region_id] = value
        mean = sum(known.values()) / len(known)
        if not points or not math.isclose(points[-1].reach, mean, abs_tol=1e-9):
            points.append(ReachPoint(at=at, reach=mean))
    return tuple(points)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What the next labels are expected to add in one region, and what they cost."""

    region_id: str
    name: str
    kind: RegionKind
    n_labels: int
    """Calibration labels there are."""
    gain: Estimate | None
    """Expected further AUC; None where nothing says."""
    basis: str
    """What the figure rests on, or what would tell it."""
    cost_usd: float | None
    """Of the labels; None where no rate is set."""
    cpu_s: float | None
    """Of a fine-tune, as measured here or in the other regions; None before the first."""

    @property
    def gain_per_1000_usd(self) -> float | None:
        """Expected AUC for a thousand dollars of labels, or None."""
        if self.gain is None or not self.cost_usd:
            return None
        return self.gain.value / self.cost_usd * 1000


def list_outlooks(workspace: Workspace, views: Sequence[RegionView]) -> tuple[Outlook, ...]:
    """Return the outlook of every region, the most promising first, the unknown last.

    A label costs the same everywhere, so the order by gain is the order by gain for its cost.
    """
    ledger = workspace.ledger
    rate = workspace.settings.usd_per_label
    rehearsed = {str(r.fact.region_id): r.fact for r in ledger.read(RehearsalMade)}
    budgets = {str(r.fact.region_id) for r in ledger.read(BudgetMeasured)}
    labels: dict[str, int] = {}
    for recorded in ledger.read(LabelsAdded):
        if recorded.fact.role == "calibration":
            region_id = str(recorded.fact.region_id)
            labels[region_id] = labels.get(region_id, 0) + recorded.fact.n_rows
    tunes: dict[str, float] = {
        str(r.fact.region_id): r.fact.cost.cpu_s for r in ledger.read(FineTuneDone)
    }
    usual_s = median(tunes.values()) if tunes else None
    elsewhere = predict_gain(rehearsed.values())
    outlooks = []
    for view in views:
        region_id = view.region.region_id
        n_labels = labels.get(region_id, 0)
        gain: Estimate | None = None
        if region_id in budgets:
            gain, basis = _read_budget(workspace, region_id)
        elif region_id in rehearsed:
            fact = rehearsed[region_id]
            gain, basis = fact.gain, f"rehearsed on its own table: first {fact.n_labels} labels"
        elif region_id in tunes:
            basis = "unknown: measure its label budget"
        elif elsewhere is None:
            basis = "unknown: no reference region was rehearsed"
        else:
            gain = elsewhere
            basis = f"range over {elsewhere.n} rehearsed reference regions: first labels"
        outlooks.append(
            Outlook(
                region_id=region_id,
                name=view.region.name,
                kind=view.region.kind,
                n_labels=n_labels,
                gain=gain,
                basis=basis,
                cost_usd=NEXT_LABELS * rate if rate else None,
                cpu_s=None
                if view.region.kind is RegionKind.TABLE
                else tunes.get(region_id, usual_s),
            )
        )
    outlooks.sort(key=lambda o: -o.gain.value if o.gain is not None else math.inf)
    return tuple(outlooks)


def predict_gain(rehearsals: Iterable[RehearsalMade]) -> Estimate | None:
    """Return what labels brought in regions where that was rehearsed, for one where it was not.

    The median, and the range: one more region like the n rehearsed ones lies within it with
    probability (n - 1) / (n + 1), whatever the distribution.
    """
    gains = sorted(fact.gain.value for fact in rehearsals if fact.n_labels == NEXT_LABELS)
    n = len(gains)
    if n < 3:
        return None
    return Estimate(
        value=median(gains),
        low=gains[0],
        high=gains[-1],
        level=(n - 1) / (n + 1),
        method="range of rehearsals",
        n=n,
    )


def _read_budget(workspace: Workspace, region_id: str) -> tuple[Estimate | None, str]:
    """Return what 100 labels more add to what there are, from a region's own budget curve."""
    try:
        report = find_budget(workspace, region_id)
    except GeoTransferError:
        return None, "unknown: its budget report is gone; measure the label budget again"
    gain = None if report is None else predict_next(report)
    if gain is None:
        return None, "unknown: its label budget does not go that far"
    return gain, "its own label budget"


def predict_next(report: BudgetReport) -> Estimate | None:
    """Return the further gain of the next 100 labels; None where the curve does not go that far.

    Gains are read off linearly in the logarithm of the number of labels, between the two nearest
    points; both ends of the interval are the whole gain's, less the gain there is.
    """
    known = {p.n_labels: p.gain for p in report.curve.points if p.strategy == report.chosen}
    known |= {forecast.n_labels: forecast.gain for forecast in report.forecasts}
    wanted = report.n_labels + NEXT_LABELS
    now = read_curve({n: g.value for n, g in known.items()}, report.n_labels)
    ends = [
        read_curve({n: getattr(gain, end) for n, gain in known.items()}, wanted)
        for end in ("value", "low", "high")
    ]
    if now is None or any(end is None for end in ends):
        return None
    value, low, high = (end - now for end in ends if end is not None)
    nearest = known[min(known, key=lambda n: abs(n - wanted))]
    return Estimate(
        value=value,
        low=low,
        high=high,
        level=nearest.level,
        method=nearest.method,
        n=nearest.n,
    )


def read_curve(curve: Mapping[int, float], n_labels: int) -> float | None:
    """Return a curve's value between its points, linear in the logarithm; 0 at no labels.

    None beyond its ends: nothing is extrapolated.
    """
    if n_labels == 0:
        return 0.0
    if n_labels in curve:
        return curve[n_labels]
    below = max((n for n in curve if n < n_labels), default=None)
    above = min((n for n in curve if n > n_labels), default=None)
    if below is None or above is None:
        return None
    share = math.log(n_labels / below) / math.log(above / below)
    return curve[below] + share * (curve[above] - curve[below])
