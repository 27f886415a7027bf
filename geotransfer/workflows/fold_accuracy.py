"""Accuracy of the serving model on its own labels, held out in three ways that are not the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geotransfer.accuracy.matrix import evaluate_rows
from geotransfer.core.accuracy_report import DistanceAccuracy, NamedEvaluation
from geotransfer.core.estimate import Evaluation
from geotransfer.core.legend import Legend
from geotransfer.errors import InputError
from geotransfer.transfer.choice import (
    GLOBAL,
    Folds,
    HeldOut,
    Trial,
    evaluate_held_out,
    match_folds,
    plan_blocks,
    plan_random,
    split_distances,
)
from geotransfer.transfer.fine_tune import STRATEGIES
from geotransfer.transfer.model import Model
from geotransfer.transfer.samples import Samples
from geotransfer.transfer.strategies import Strategy
from geotransfer.transfer.threads import limit_blas


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class FoldAccuracy:
    """The figures side by side, and how accuracy falls with distance."""

    figures: tuple[NamedEvaluation, ...]
    by_distance: tuple[DistanceAccuracy, ...]
    confidence: NDArray[np.float64]
    """Shape (n,), of each label by the most separated folds."""
    is_correct: NDArray[np.bool_]
    notes: tuple[str, ...]

    @property
    def most_honest(self) -> Evaluation:
        """Return the figure that stands for the map: the last, kNNDM before blocks, or random."""
        return self.figures[-1].evaluation


def judge_by_folds(
    baseline: Model,
    labels: Samples,
    source: Samples | None,
    *,
    strategy_name: str,
    places_xy_km: NDArray[np.float64],
    seed: int = 0,
    n_threads: int = 1,
    check: Callable[[], None] = lambda: None,
) -> FoldAccuracy:
    """Hold the labels out at random, in blocks and by kNNDM, and judge the strategy each time.

    Parameters
    ----------
    strategy_name
        Of the serving model; ``keep_global`` or ``baseline`` for the global one, which no label
        trains: the values then agree, and only what counts as independent differs.
    places_xy_km
        Shape (m, 2), places spread over the map (EPSG:6933, km), for kNNDM.
    """
    strategy: Strategy = next((s for s in STRATEGIES if s.name == strategy_name), GLOBAL)
    trial = Trial(
        baseline=baseline, labels=labels, source=source, seed=seed, n_threads=n_threads, check=check
    )
    schemes: list[tuple[str, Folds]] = [("random", plan_random(labels, seed=seed))]
    notes: list[str] = []
    blocks = plan_blocks(labels, seed=seed)
    if blocks is None:
        notes.append("The labels leave no blocks to hold out, so nothing separated is shown.")
    else:
        schemes.append(("spatial-blocks", blocks))
        try:
            schemes.append(("knndm", match_folds(labels, places_xy_km, blocks, seed=seed)))
        except InputError as error:
            notes.append(f"No kNNDM figure: {error}")
    with limit_blas():
        tried = [(name, folds, trial.hold_out(strategy, folds)) for name, folds in schemes]
    targets = labels.classes
    figures = tuple(
        NamedEvaluation(
            name=_name_figure(name, folds, strategy is GLOBAL),
            evaluation=evaluate_held_out(
                baseline.legend,
                held,
                targets,
                folds,
                estimand=name,
                note=_describe_held(held),
                seed=seed,
            ),
        )
        for name, folds, held in tried
    )
    last = tried[-1][2].scores
    codes = np.array(baseline.legend.codes)[last.argmax(axis=0)]
    return FoldAccuracy(
        figures=figures,
        by_distance=()
        if strategy is GLOBAL or blocks is None
        else _measure_by_distance(baseline.legend, tried, targets, blocks.groups, seed),
        confidence=np.asarray(last.max(axis=0)),
        is_correct=codes == targets,
        notes=tuple(notes),
    )


def _name_figure(scheme: str, folds: Folds, is_global: bool) -> str:
    model = "global model" if is_global else "fine-tuned model"
    how = {
        "random": "your labels held out at random (flattered by near neighbours)",
        "spatial-blocks": f"your labels, whole blocks of {folds.block_km or 0:g} km held out",
        "knndm": "your labels, kNNDM: as far from training as the map's pixels are from labels",
    }[scheme]
    return f"{model}, {how}"


def _describe_held(held: HeldOut) -> str:
    distances = held.distance_km[np.isfinite(held.distance_km)]
    told = (
        f"Judged labels lie a median of {np.median(distances):.2g} km from those that trained. "
        if len(distances)
        else ""
    )
    return f"{told}Labels at places somebody chose: indicative."


def _measure_by_distance(
    legend: Legend,
    tried: list[tuple[str, Folds, HeldOut]],
    targets: NDArray[np.int64],
    groups: NDArray[np.int64],
    seed: int,
) -> tuple[DistanceAccuracy, ...]:
    """Accuracy of all held-out rows of the three schemes, by distance to what trained for them."""
    distance_km = np.concatenate([held.distance_km for _, _, held in tried])
    codes = np.concatenate(
        [np.array(legend.codes)[held.scores.argmax(axis=0)] for _, _, held in tried]
    )
    return measure_by_distance(
        codes,
        np.tile(targets, len(tried)),
        distance_km,
        legend,
        groups=np.tile(groups, len(tried)),
        seed=seed,
    )


def measure_by_distance(
    codes: NDArray[np.int64],
    reference: NDArray[np.int64],
    distance_km: NDArray[np.float64],
    legend: Legend,
    *,
    groups: NDArray[np.int64] | None,
    seed: int,
) -> tuple[DistanceAccuracy, ...]:
    """Return overall accuracy by distance to the nearest label that trained, (n,) each.

    Neighbouring classes of distance are joined until each holds enough rows (``split_distances``).
    """
    out: list[DistanceAccuracy] = []
    for start, stop, rows in split_distances(distance_km):
        found = evaluate_rows(
            codes[rows],
            reference[rows],
            None,
            legend,
            estimand="by-distance",
            separation_km=start,
            groups=None if groups is None else groups[rows],
            seed=seed,
        )
        out.append(DistanceAccuracy(from_km=start, to_km=stop, accuracy=found.overall))
    return tuple(out)
