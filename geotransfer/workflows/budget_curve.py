"""The label budget of a region: how many more labels, for how much gain, at what cost."""

from __future__ import annotations

from geotransfer.core.budget import BudgetCurve, BudgetPoint, BudgetReport
from geotransfer.core.estimate import Estimate
from geotransfer.core.fact import BudgetMeasured, FineTuneDone
from geotransfer.core.identity import canonical_json
from geotransfer.core.region import Region, RegionKind
from geotransfer.core.verdict import Verdict
from geotransfer.errors import InputError, LabelsInvalid, NotFound
from geotransfer.registry.versions import find_baseline
from geotransfer.store.workspace import Workspace
from geotransfer.transfer.budget import forecast_gain, measure_budget
from geotransfer.transfer.fine_tune import STRATEGIES
from geotransfer.transfer.gain import GP_PRIOR, predict_gain
from geotransfer.transfer.model import Model
from geotransfer.transfer.strategies import GaussianProcess, RegionalOnly, Strategy
from geotransfer.workflows.costing import Meter
from geotransfer.workflows.definitions import find_spec
from geotransfer.workflows.label_points import find_labels, read_points
from geotransfer.workflows.label_samples import measure_samples
from geotransfer.workflows.models import load_cached_model
from geotransfer.workflows.progress import Progress, ignore_progress
from geotransfer.workflows.promote import find_verdict
from geotransfer.workflows.regions import find_region
from geotransfer.workflows.source import load_source

N_DRAWS = 10
MIN_LABELS = 30
"""Fewer leave nothing to hold out and to vary."""
LOOK_AHEAD = (1, 2, 4, 8)
"""Times the labels there are: numbers of labels whose gain is forecast."""


def measure_region_budget(
    workspace: Workspace,
    region_id: str,
    *,
    seed: int = 0,
    actor: str,
    progress: Progress = ignore_progress,
) -> BudgetMeasured:
    """Measure accuracy against the number of labels on whole blocks held out, and look ahead.

    The global model, the strategy the last verdict chose (else the default), and the best model
    of the region's labels alone, on the calibration labels added last. What more labels would
    bring is the region's gain moved along the curve rehearsed on other regions.

    Raises
    ------
    NotFound
        The region has no map or no calibration labels.
    LabelsInvalid
        The labels are too few, have no positions or lie in one place.
    LeakRefused
        The labels trained the global model.
    """
    meter = Meter.start()
    region = find_region(workspace, region_id)
    if region.kind is RegionKind.TABLE:
        raise InputError(
            f"region {region_id!r} is a table; its budget is rehearsed and ships with the product"
            f" (`geotransfer budget {region_id}` shows it)."
        )
    labels = find_labels(workspace, region_id, "calibration")
    if labels is None:
        raise NotFound(
            f"region {region_id!r} has no calibration labels; upload some with `geotransfer labels"
            f" add {region_id} FILE`."
        )
    progress(0, 0, "reading the labels' features")
    samples = measure_samples(workspace, region, read_points(workspace.blobs.get(labels.labels_id)))
    if len(samples) < MIN_LABELS:
        raise LabelsInvalid(
            f"{len(samples)} labels are too few for a curve; bring at least {MIN_LABELS}."
        )
    verdict = _find_last_verdict(workspace, region_id)
    chosen = _find_chosen(verdict)
    strategies: tuple[Strategy, ...] = (chosen,)
    if chosen.name != RegionalOnly().name:
        strategies += (RegionalOnly(),)
    spec = find_spec(workspace, region.spec_name)
    source, _ = load_source(workspace, spec, legend_name=region.legend_name)
    n_done = 0

    def count() -> None:
        nonlocal n_done
        n_done += 1
        progress(n_done, 0, f"trying numbers of labels on held-out blocks ({n_done} models)")

    curve = measure_budget(
        _load_global(workspace, region),
        samples,
        source if chosen.needs_source else None,
        strategies=strategies,
        n_draws=N_DRAWS,
        seed=seed,
        check=count,
    )
    n_labels = len(samples)
    gain = _find_gain_now(verdict, curve, chosen.name, n_labels)
    report = BudgetReport(
        n_labels=n_labels,
        chosen=chosen.name,
        curve=curve,
        forecasts=forecast_gain(gain, n_labels, tuple(n_labels * k for k in LOOK_AHEAD)),
    )
    fact = BudgetMeasured(
        region_id=region_id,
        labels_id=labels.labels_id,
        report_id=workspace.blobs.put(canonical_json(report)),
        n_labels=n_labels,
        gain=_find_largest(curve, chosen.name).gain,
        cost=meter.read(),
    )
    workspace.ledger.append(fact, actor=actor)
    progress(1, 1, "measured")
    return fact


def _load_global(workspace: Workspace, region: Region) -> Model:
    version = find_baseline(workspace, region.spec_name, legend_name=region.legend_name)
    return load_cached_model(workspace.blobs_url, version.model_id)


def _find_last_verdict(workspace: Workspace, region_id: str) -> Verdict | None:
    if workspace.ledger.read_last(FineTuneDone, region_id=region_id) is None:
        return None
    return find_verdict(workspace, region_id)


def _find_chosen(verdict: Verdict | None) -> Strategy:
    """Return the strategy that the last verdict's labels chose; without one the default."""
    default: Strategy = GaussianProcess()
    rows = () if verdict is None else verdict.strategies
    name = next((row.strategy for row in rows if row.is_chosen), default.name)
    return next((s for s in STRATEGIES if s.name == name), default)


def _find_largest(curve: BudgetCurve, strategy: str) -> BudgetPoint:
    points = [p for p in curve.points if p.strategy == strategy]
    if not points:
        raise LabelsInvalid(
            "the labels leave too few of two classes on either side of held-out blocks; bring more,"
            " spread over the region."
        )
    return points[-1]


def _find_gain_now(
    verdict: Verdict | None, curve: BudgetCurve, chosen: str, n_labels: int
) -> Estimate:
    """Return the gain of the labels there are: the verdict's, or what the curve would make it.

    What one set of labels may differ by stands for the error of the curve's last point.
    """
    if verdict is not None and verdict.gain is not None and verdict.n_labels == n_labels:
        return verdict.gain
    last = _find_largest(curve, chosen)
    gain, _ = predict_gain(last.gain.value, last.spread, prior=GP_PRIOR, n_labels=n_labels)
    return gain
