"""Which strategy, if any, replaces the global model: judged on blocks that trained nothing.

With a hundred labels cross-validation is noisier than the differences it is asked about, so a
strong default, the Gaussian-process correction, stands unless another strategy is clearly better
(docs/decisions/0009).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from geotransfer.accuracy.folds import (
    assign_blocks,
    assign_folds,
    choose_block_km,
    measure_separation,
)
from geotransfer.accuracy.knndm import assign_knndm_folds
from geotransfer.accuracy.matrix import evaluate_rows
from geotransfer.core.estimate import Estimate, Evaluation
from geotransfer.core.legend import Legend
from geotransfer.core.verdict import DistanceGain, StrategyResult
from geotransfer.errors import InputError
from geotransfer.transfer.baseline import index_classes
from geotransfer.transfer.gain import measure_gain
from geotransfer.transfer.model import Model, to_probability
from geotransfer.transfer.samples import Samples
from geotransfer.transfer.strategies import Average, KeepGlobal, Strategy
from geotransfer.transfer.threads import run_tasks

Float64 = NDArray[np.float64]
Integers = NDArray[np.int64]

N_FOLDS = 5
BUFFER_SHARE = 0.1
"""Labels within this share of a block's side of a held-out label do not train for it."""
MIN_LABELS_TO_SWITCH = 200
"""With fewer labels the default is never exchanged for another strategy."""
SWITCH_LEVEL = 0.95
"""Confidence with which another strategy must beat the default."""
DISTANCE_EDGES_KM = (
    0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 200.0, 400.0,
)  # fmt: skip
"""Classes of distance; a region may be a few kilometres wide."""
MIN_ROWS_PER_DISTANCE = 20

GLOBAL = KeepGlobal()


@dataclass(frozen=True, eq=False, kw_only=True)
class Folds:
    """How the labels are held out."""

    fold: Integers
    """Shape (n,), fold of each label."""
    groups: Integers
    """Shape (n,), block of each label: the unit of every bootstrap."""
    block_km: float | None
    """Side of the blocks; None: not held out by block."""

    @property
    def buffer_km(self) -> float:
        """Distance kept between held-out labels and those that train."""
        return 0.0 if self.block_km is None else BUFFER_SHARE * self.block_km

    def split(self, k: int, xy_km: Float64 | None) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Masks of the rows that judge and of those that train in fold ``k``."""
        test = self.fold == k
        train = ~test
        if xy_km is not None and self.buffer_km > 0 and test.any():
            train &= measure_separation(xy_km, xy_km[test]) >= self.buffer_km
        return test, train


def plan_blocks(labels: Samples, *, seed: int = 0) -> Folds | None:
    """Hold out blocks of a size the labels' positions allow; None: positions unknown or one."""
    if labels.xy_km is None:
        return None
    for min_blocks in (10, 5):
        block_km = choose_block_km(labels.xy_km, min_blocks=min_blocks, seed=seed)
        if block_km is not None:
            break
    else:
        return None
    blocks = assign_blocks(labels.xy_km, block_km, seed=seed)
    return Folds(fold=assign_folds(blocks, N_FOLDS, seed=seed), groups=blocks, block_km=block_km)


def match_folds(labels: Samples, places_xy_km: Float64, blocks: Folds, *, seed: int = 0) -> Folds:
    """Hold labels out as far from the others as the map's places are from labels (kNNDM).

    The units of a bootstrap stay the ``blocks``: neighbours in different folds are still
    neighbours.

    Raises
    ------
    InputError
        The labels have no positions, are too few or too many, or lie in too few places.
    """
    if labels.xy_km is None:
        raise InputError("the labels have no positions.")
    found = assign_knndm_folds(labels.xy_km, places_xy_km, n_folds=N_FOLDS, seed=seed)
    return Folds(fold=found.folds.astype(np.int64), groups=blocks.groups, block_km=None)


def plan_knndm(
    labels: Samples, places_xy_km: Float64 | None, blocks: Folds | None, *, seed: int = 0
) -> Folds | None:
    """Match folds to the map; None: no place is known, no block, or the labels allow none."""
    if places_xy_km is None or blocks is None:
        return None
    try:
        return match_folds(labels, places_xy_km, blocks, seed=seed)
    except InputError:
        return None


def plan_random(labels: Samples, *, seed: int = 0) -> Folds:
    """Hold out single rows, by a hash of their features."""
    keys = np.array(
        [
            int.from_bytes(hashlib.sha256(row.tobytes()).digest()[:8], "little") >> 1
            for row in labels.measured
        ],
        dtype=np.int64,
    )
    return Folds(fold=assign_folds(keys, N_FOLDS, seed=seed), groups=keys, block_km=None)


@dataclass(frozen=True, eq=False, kw_only=True)
class HeldOut:
    """What one strategy says of each label when its block trained nothing."""

    strategy: str
    latent: Float64
    """Shape (n_latent, n)."""
    distance_km: Float64
    """Shape (n,), to the nearest label that trained; inf where none did."""

    @property
    def scores(self) -> Float64:
        """Class probabilities, shape (n_classes, n)."""
        return to_probability(self.latent)


@dataclass(frozen=True, eq=False, kw_only=True)
class Trial:
    """Everything strategies are compared with."""

    baseline: Model
    labels: Samples
    source: Samples | None
    seed: int
    n_threads: int
    check: Callable[[], None]
    """Called between folds; raises to cancel."""

    def hold_out(self, strategy: Strategy, folds: Folds) -> HeldOut:
        """Predict every label by a model that saw neither its block nor labels near it.

        Where too little is left to train on, the global model answers.
        """
        if isinstance(strategy, Average):
            return average_held_out(
                self.hold_out(strategy.correction, folds),
                self.hold_out(strategy.pooled, folds),
                name=strategy.name,
            )
        labels = self.labels
        measured = np.ascontiguousarray(labels.measured.T)
        latent = self.baseline.predict_latent(measured)
        distance_km = np.full(len(labels), np.inf)

        def predict(k: int) -> None:
            self.check()
            test, train = folds.split(k, labels.xy_km)
            if not test.any() or not _can_train(strategy, labels.classes[train]):
                return
            model = strategy.fit(
                self.baseline, labels.take(train), self.source, seed=self.seed, n_threads=1
            )
            xy = None if labels.xy_km is None else np.ascontiguousarray(labels.xy_km[test].T)
            latent[:, test] = model.predict_latent(np.ascontiguousarray(measured[:, test]), xy)
            if labels.xy_km is not None:
                distance_km[test] = measure_separation(labels.xy_km[test], labels.xy_km[train])

        run_tasks([partial(predict, k) for k in range(N_FOLDS)], n_threads=self.n_threads)
        return HeldOut(strategy=strategy.name, latent=latent, distance_km=distance_km)


def _can_train(strategy: Strategy, classes: Integers) -> bool:
    return len(classes) >= strategy.min_labels and len(np.unique(classes)) >= 2


def average_held_out(one: HeldOut, two: HeldOut, *, name: str) -> HeldOut:
    """Average two strategies' logits."""
    return HeldOut(strategy=name, latent=(one.latent + two.latent) / 2, distance_km=one.distance_km)


def choose_strategy(
    default: HeldOut,
    others: tuple[HeldOut, ...],
    targets: Integers,
    groups: Integers,
    *,
    seed: int,
) -> HeldOut:
    """Return the default, or another that beats it clearly on the held-out blocks."""
    best, best_low = default, 0.0
    if len(targets) < MIN_LABELS_TO_SWITCH:
        return best
    for other in others:
        gain, _ = measure_gain(
            other.scores, default.scores, targets, groups, seed=seed, level=2 * SWITCH_LEVEL - 1
        )
        if gain.low > best_low:
            best, best_low = other, gain.low
    return best


def describe_strategies(
    results: tuple[HeldOut, ...],
    reference: HeldOut,
    targets: Integers,
    groups: Integers,
    *,
    chosen: str,
    seed: int,
    level: float = 0.90,
) -> tuple[StrategyResult, ...]:
    """Tabulate every strategy's AUC and gain on the held-out blocks, best first."""
    flat = np.zeros_like(reference.scores)
    rows = []
    for result in results:
        auc, _ = measure_gain(result.scores, flat, targets, groups, seed=seed, level=level)
        gain, _ = measure_gain(
            result.scores, reference.scores, targets, groups, seed=seed, level=level
        )
        # A constant score has AUC one half.
        auc = Estimate(
            value=auc.value + 0.5,
            low=max(auc.low + 0.5, 0.0),
            high=min(auc.high + 0.5, 1.0),
            level=level,
            method="AUC, block bootstrap",
            n=auc.n,
        )
        rows.append(
            StrategyResult(
                strategy=result.strategy, auc=auc, gain=gain, is_chosen=result.strategy == chosen
            )
        )
    return tuple(sorted(rows, key=lambda row: -row.auc.value))


def evaluate_held_out(
    legend: Legend,
    held: HeldOut,
    classes: Integers,
    folds: Folds,
    *,
    estimand: str,
    note: str,
    seed: int,
) -> Evaluation:
    """Evaluate one strategy's answers against the labels' class codes, (n,).

    Whole blocks are resampled, single rows where they were held out at random.
    """
    scores = held.scores
    evaluation = evaluate_rows(
        np.array(legend.codes)[scores.argmax(axis=0)],
        classes,
        scores[1] if len(legend.classes) == 2 else None,
        legend,
        estimand=estimand,
        separation_km=None if folds.block_km is None else folds.buffer_km,
        groups=None if estimand == "random" else folds.groups,
        seed=seed,
    )
    return replace(evaluation, note=f"{note} {evaluation.note}".strip())


def split_distances(
    distance_km: Float64, targets: Integers | None = None
) -> Iterator[tuple[float, float, NDArray[np.bool_]]]:
    """Yield start, end and rows of each class of distance, from near to far.

    Neighbouring classes are joined until each holds ``MIN_ROWS_PER_DISTANCE`` rows and, where
    ``targets`` (n,) are given, two of them.
    """
    start = DISTANCE_EDGES_KM[0]
    for stop in DISTANCE_EDGES_KM[1:]:
        rows = (distance_km >= start) & (distance_km < stop)
        if rows.sum() < MIN_ROWS_PER_DISTANCE:
            continue
        if targets is None or len(np.unique(targets[rows])) >= 2:
            yield start, stop, rows
            start = stop


def measure_gain_by_distance(
    result: HeldOut,
    reference: HeldOut,
    targets: Integers,
    groups: Integers,
    *,
    seed: int,
    level: float = 0.90,
) -> tuple[DistanceGain, ...]:
    """Gain on held-out labels, by their distance to the nearest label that trained.

    Neighbouring classes of distance are joined until each holds ``MIN_ROWS_PER_DISTANCE`` labels
    and two classes.
    """
    out: list[DistanceGain] = []
    for start, stop, rows in split_distances(result.distance_km, targets):
        gain, _ = measure_gain(
            result.scores[:, rows],
            reference.scores[:, rows],
            targets[rows],
            groups[rows],
            seed=seed,
            level=level,
        )
        out.append(DistanceGain(from_km=start, to_km=stop, gain=gain))
    return tuple(out)


def count_classes(model: Model, labels: Samples) -> tuple[tuple[str, int], ...]:
    """Labels by class name in the legend's order."""
    targets = index_classes(model.legend, labels.classes, where="labels")
    counts = np.bincount(targets, minlength=len(model.legend.classes))
    return tuple(zip(model.legend.names, counts.tolist(), strict=True))
