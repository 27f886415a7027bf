"""Fine-tune: from a baseline and labels of a region to one model and a verdict that holds up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geotransfer.accuracy.folds import measure_separation
from geotransfer.core.estimate import Evaluation
from geotransfer.core.verdict import DistanceGain, Verdict, VerdictKind
from geotransfer.errors import JobCancelled, LeakRefused, SpecMismatch
from geotransfer.transfer.baseline import index_classes
from geotransfer.transfer.choice import (
    GLOBAL,
    Folds,
    HeldOut,
    Trial,
    average_held_out,
    choose_strategy,
    count_classes,
    describe_strategies,
    evaluate_held_out,
    measure_gain_by_distance,
    plan_blocks,
    plan_knndm,
    plan_random,
)
from geotransfer.transfer.gain import GP_PRIOR, measure_gain, predict_gain
from geotransfer.transfer.model import Model
from geotransfer.transfer.samples import CalibrationSet, Samples
from geotransfer.transfer.strategies import (
    Average,
    GaussianProcess,
    Pooled,
    RefitLeaves,
    RegionalOnly,
    Strategy,
)
from geotransfer.transfer.threads import limit_blas
from geotransfer.transfer.verdict_words import CONFIDENCE, decide_verdict

Float64 = NDArray[np.float64]
Report = Callable[[float, str], None]

MIN_LABELS = 10
MIN_LABELS_PER_CLASS = 3
COIN_LEVEL = 0.98
"""Confidence with which the fine-tuned model must beat a coin on held-out blocks."""
REACH_QUANTILE = 0.95
"""The model is used as far from labels as this share of the held-out labels was."""

STRATEGIES: tuple[Strategy, ...] = (
    GaussianProcess(),
    Pooled(),
    Average(),
    RefitLeaves(),
    RegionalOnly(),
)
"""In the order they are tried; the first is the default."""


@dataclass(frozen=True, eq=False, kw_only=True)
class FineTuned:
    """A model and the verdict on it."""

    model: Model
    """The chosen fine-tuned model, also where the verdict does not offer it (a person may override
    with a written reason); the baseline itself where there are too few labels."""
    verdict: Verdict


def fine_tune(
    baseline: Model,
    calibration: CalibrationSet,
    source: Samples | None,
    *,
    seed: int = 0,
    n_threads: int = 1,
    progress: Report | None = None,
    should_stop: Callable[[], bool] | None = None,
    places_xy_km: Float64 | None = None,
    strategies: tuple[Strategy, ...] = STRATEGIES,
) -> FineTuned:
    """Adapt ``baseline`` to the region of ``calibration`` and say whether that helped.

    Parameters
    ----------
    calibration
        Labels of the target region. Holdout rows are another type and are refused.
    source
        Source samples or prototypes for the strategies that pool; None leaves those out.
    progress
        Told a share done, 0–1, and what is being done.
    should_stop
        Asked between steps; True raises ``JobCancelled``.
    places_xy_km
        Shape (m, 2), places spread evenly over the region (EPSG:6933, km): strategies are then
        compared on folds whose distances match the map's (kNNDM), and the verdict tells the share
        that the labels reach.

    Returns
    -------
    The same bytes for one seed and any number of threads.

    Raises
    ------
    LeakRefused
        ``calibration`` is not a calibration set, or its region trained the baseline.
    SpecMismatch
        Labels, source and baseline are not of one spec.
    JobCancelled
        ``should_stop`` said so.
    """
    if not isinstance(calibration, CalibrationSet):
        raise LeakRefused(
            f"fine-tuning was given a {type(calibration).__name__}; only a calibration set may"
            " train, holdout rows judge."
        )
    labels = calibration.samples
    check_inputs(baseline, labels, source)

    def check() -> None:
        if should_stop is not None and should_stop():
            raise JobCancelled("the fine-tune was cancelled; start it again when ready.")

    def report(share: float, what: str) -> None:
        check()
        if progress is not None:
            progress(share, what)

    report(0.0, "Checking the labels")
    with limit_blas():
        folds = plan_blocks(labels, seed=seed)
        refusal = _find_refusal(baseline, labels, folds)
        if refusal:
            return FineTuned(model=baseline, verdict=_refuse(baseline, labels, refusal))
        usable = tuple(
            s
            for s in strategies
            if len(labels) >= s.min_labels and (source is not None or not s.needs_source)
        )
        trial = Trial(
            baseline=baseline,
            labels=labels,
            source=source,
            seed=seed,
            n_threads=n_threads,
            check=check,
        )
        return _compare(
            trial, labels, folds, strategies=usable, report=report, places_xy_km=places_xy_km
        )


def check_inputs(baseline: Model, labels: Samples, source: Samples | None) -> None:
    """Refuse labels that a global model cannot be adapted to, or whose gain cannot be told.

    Raises
    ------
    LeakRefused
        The labels' region trained the baseline, or is among the source samples.
    SpecMismatch
        Labels, source and baseline are not of one spec.
    """
    for part, name in ((labels, "labels"), (source, "source samples")):
        if part is not None and part.spec.spec_id != baseline.spec.spec_id:
            raise SpecMismatch(
                f"the {name} carry spec {part.spec.name!r}, the model reads"
                f" {baseline.spec.name!r}; choose a model of the same spec."
            )
    known = sorted(set(labels.region_ids.tolist()) & set(baseline.source_region_ids))
    if known:
        raise LeakRefused(
            f"region {known[0]!r} trained the global model, so its gain cannot be told; use a"
            " baseline that left it out."
        )
    index_classes(baseline.legend, labels.classes, where="labels")
    if source is not None:
        leaked = sorted(set(source.region_ids.tolist()) & set(labels.region_ids.tolist()))
        if leaked:
            raise LeakRefused(
                f"the source samples hold region {leaked[0]!r}, which the labels calibrate; leave"
                " it out of the source."
            )


def _find_refusal(baseline: Model, labels: Samples, folds: Folds | None) -> str:
    if len(labels) < MIN_LABELS:
        return f"{len(labels)} labels are too few; bring at least {MIN_LABELS}, better a hundred."
    counts = count_classes(baseline, labels)
    present = [(name, n) for name, n in counts if n]
    if len(present) < 2:
        return f"All labels show {present[0][0]!r}; label at least one other class."
    if sum(n >= MIN_LABELS_PER_CLASS for _, n in present) < 2:
        return (
            f"Fewer than two classes have {MIN_LABELS_PER_CLASS} labels; label more of the rarer"
            " ones."
        )
    if labels.xy_km is not None and folds is None:
        return "All labels lie in one place; spread them over the region."
    return ""


def _refuse(baseline: Model, labels: Samples, reason: str) -> Verdict:
    return Verdict(
        kind=VerdictKind.TOO_FEW_LABELS,
        reasons=(reason,),
        strategy=GLOBAL.name,
        n_labels=len(labels),
        class_counts=count_classes(baseline, labels),
        gain=None,
        chance_of_gain=None,
        confidence=CONFIDENCE,
        within_km=None,
        reach_share=None,
        block_km=None,
        random=None,
        separated=None,
        global_separated=None,
        strategies=(),
        gain_by_distance=(),
    )


def _compare(
    trial: Trial,
    labels: Samples,
    folds: Folds | None,
    *,
    strategies: tuple[Strategy, ...],
    report: Report,
    places_xy_km: Float64 | None,
) -> FineTuned:
    """Try the strategies on held-out blocks, fit the chosen one, write the verdict."""
    baseline, seed = trial.baseline, trial.seed
    targets = index_classes(baseline.legend, labels.classes, where="labels")
    random_folds = plan_random(labels, seed=seed)
    used = folds or random_folds
    # The choice is made for the map where its places are known, the gain is told for new blocks.
    matched = plan_knndm(labels, places_xy_km, folds, seed=seed) or used
    what = "held-out blocks" if matched is used else "folds as far from labels as the map"
    tried: dict[str, HeldOut] = {GLOBAL.name: trial.hold_out(GLOBAL, matched)}
    for i, strategy in enumerate(strategies):
        report(0.05 + 0.7 * i / len(strategies), f"Trying {strategy.name} on {what}")
        tried[strategy.name] = _hold_out(trial, strategy, matched, tried)
    _, default, *others = tried.values()
    best = choose_strategy(default, tuple(others), targets, matched.groups, seed=seed)
    strategy = next(s for s in strategies if s.name == best.strategy)
    report(0.77, f"Judging {strategy.name} on held-out blocks")
    chosen = best if matched is used else trial.hold_out(strategy, used)
    reference = tried[GLOBAL.name] if matched is used else trial.hold_out(GLOBAL, used)
    report(0.82, f"Fitting {strategy.name} on all labels")
    model = strategy.fit(baseline, labels, trial.source, seed=seed, n_threads=trial.n_threads)
    report(0.88, "Judging labels held out at random")
    at_random = trial.hold_out(strategy, random_folds)
    report(0.97, "Writing the verdict")
    observed, error = measure_gain(
        chosen.scores, reference.scores, targets, used.groups, seed=seed, level=0.90
    )
    gain, chance = predict_gain(observed.value, error, prior=GP_PRIOR, n_labels=len(labels))
    within_km = reach_share = None
    if folds is not None and labels.xy_km is not None:
        within_km = _find_reach(chosen)
        if within_km is not None and places_xy_km is not None:
            near = measure_separation(places_xy_km, labels.xy_km) <= within_km
            reach_share = float(near.mean())
    model = replace(model, within_km=within_km)
    is_spatial = folds is not None
    table = describe_strategies(
        tuple(tried.values()),
        tried[GLOBAL.name],
        targets,
        matched.groups,
        chosen=strategy.name,
        seed=seed,
    )
    (own,) = describe_strategies(
        (chosen,),
        reference,
        targets,
        used.groups,
        chosen=strategy.name,
        seed=seed,
        level=COIN_LEVEL,
    )
    kind, reasons = decide_verdict(
        gain, chance, observed, own_auc=own.auc, folds=folds, within_km=within_km
    )
    verdict = Verdict(
        kind=kind,
        reasons=(*reasons, *model.notes),
        strategy=strategy.name if kind is VerdictKind.USE_FINE_TUNED else GLOBAL.name,
        n_labels=len(labels),
        class_counts=count_classes(baseline, labels),
        gain=gain if is_spatial else None,
        chance_of_gain=chance if is_spatial else None,
        confidence=CONFIDENCE,
        within_km=within_km,
        reach_share=reach_share,
        block_km=used.block_km,
        random=_evaluate(baseline, labels, at_random, random_folds, seed),
        separated=_evaluate(baseline, labels, chosen, used, seed) if is_spatial else None,
        global_separated=_evaluate(baseline, labels, reference, used, seed) if is_spatial else None,
        strategies=table,
        gain_by_distance=_add_shares(
            measure_gain_by_distance(chosen, reference, targets, used.groups, seed=seed),
            labels.xy_km,
            places_xy_km,
        ),
    )
    report(1.0, "Done")
    return FineTuned(model=model, verdict=verdict)


def _add_shares(
    gains: tuple[DistanceGain, ...], labels_xy_km: Float64 | None, places_xy_km: Float64 | None
) -> tuple[DistanceGain, ...]:
    """Say how much of the region lies at each distance from a label."""
    if labels_xy_km is None or places_xy_km is None:
        return gains
    distance_km = measure_separation(places_xy_km, labels_xy_km)
    return tuple(
        replace(
            item,
            share=float(((distance_km >= item.from_km) & (distance_km < item.to_km)).mean()),
        )
        for item in gains
    )


def _hold_out(trial: Trial, strategy: Strategy, folds: Folds, tried: dict[str, HeldOut]) -> HeldOut:
    """Try one strategy; an average is taken of what is already there."""
    if isinstance(strategy, Average):
        one, two = tried.get(strategy.correction.name), tried.get(strategy.pooled.name)
        if one is not None and two is not None:
            return average_held_out(one, two, name=strategy.name)
    return trial.hold_out(strategy, folds)


def _find_reach(chosen: HeldOut) -> float | None:
    """How far from training labels the held-out labels lay that vouch for the model."""
    tested = chosen.distance_km[np.isfinite(chosen.distance_km)]
    if not len(tested):
        return None
    return float(f"{np.quantile(tested, REACH_QUANTILE):.2g}")


def _evaluate(
    baseline: Model, labels: Samples, held_out: HeldOut, folds: Folds, seed: int
) -> Evaluation:
    is_spatial = folds.block_km is not None
    if is_spatial:
        note = (
            f"Your labels, whole blocks of {folds.block_km:g} km held out; labels are not a"
            " probability sample, so the figures are indicative."
        )
    else:
        note = "Your labels held out at random: their neighbours trained the model; it flatters."
    return evaluate_held_out(
        baseline.legend,
        held_out,
        labels.classes,
        folds,
        estimand="spatial-blocks" if is_spatial else "random",
        note=note,
        seed=seed,
    )
