"""Ways to turn a global model and a few local labels into one model: named values, one protocol.

What was tried and lost (residual boosting, continued boosting and others) is in
docs/decisions/0008.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import lightgbm
import numpy as np

from geotransfer.errors import InputError
from geotransfer.transfer.baseline import index_classes
from geotransfer.transfer.gaussian_process import (
    Kernel,
    balance_classes,
    evaluate_kernel,
    fit_correction,
)
from geotransfer.transfer.kernel_learning import KERNEL
from geotransfer.transfer.model import Correction, Model, Scores
from geotransfer.transfer.samples import Samples
from geotransfer.transfer.trees import Training, Trees, clean_text, train_trees

REGIONAL_KERNEL = Kernel(features=2.0, position=0.5, product=2.0, near=4.0)
"""Wider: without a global model the process has everything to explain."""

POOLED_TRAINING = Training(n_trees=150, n_leaves=31, learning_rate=0.1, feature_share=0.5)
"""Smaller than the baseline: it is grown once a fold."""

MAX_GP_LABELS = 1500
"""Labels a Gaussian process uses; of more, this many spread over features and space are taken."""


class Strategy(Protocol):
    """A way to adapt a global model to a region."""

    @property
    def name(self) -> str:
        """Shown to people and stored in the model."""

    @property
    def min_labels(self) -> int:
        """Fewer labels than this do not allow it."""

    @property
    def needs_source(self) -> bool:
        """Whether it trains on source samples or prototypes."""

    def fit(
        self, baseline: Model, labels: Samples, source: Samples | None, *, seed: int, n_threads: int
    ) -> Model:
        """Return the adapted model; ``labels`` have finite features and known classes."""


@dataclass(frozen=True, slots=True)
class KeepGlobal:
    """The global model as it is."""

    name: str = "keep_global"
    min_labels: int = 0
    needs_source: bool = False

    def fit(
        self, baseline: Model, labels: Samples, source: Samples | None, *, seed: int, n_threads: int
    ) -> Model:
        """Return ``baseline``."""
        return baseline


@dataclass(frozen=True, slots=True)
class GaussianProcess:
    """The global logit plus a Gaussian process over features and position.

    With more than two classes each class has its own process; a class without labels keeps the
    score the global model gives it, and the model says so.
    """

    kernel: Kernel | None = None
    """None: the one the global model learned on its source regions."""
    name: str = "gp_correction"
    min_labels: int = 10
    needs_source: bool = False

    def fit(
        self, baseline: Model, labels: Samples, source: Samples | None, *, seed: int, n_threads: int
    ) -> Model:
        """Fit the correction to ``labels``."""
        labels = labels.take(spread_rows(baseline, labels, MAX_GP_LABELS))
        features = np.ascontiguousarray(labels.features.T)
        prior = np.ascontiguousarray(baseline.scores.predict(features, n_threads=n_threads).T)
        kernel = self.kernel or baseline.kernel or KERNEL
        return _attach(baseline, labels, self.name, prior, kernel)


@dataclass(frozen=True, slots=True)
class RegionalOnly:
    """A Gaussian process on the labels alone: the strongest rival that has no source."""

    kernel: Kernel = REGIONAL_KERNEL
    name: str = "regional_only"
    min_labels: int = 10
    needs_source: bool = False

    def fit(
        self, baseline: Model, labels: Samples, source: Samples | None, *, seed: int, n_threads: int
    ) -> Model:
        """Fit to ``labels``; of the global model only the projection of the features is used."""
        labels = labels.take(spread_rows(baseline, labels, MAX_GP_LABELS))
        intercepts = _measure_prior(baseline, labels)
        prior = np.tile(np.array(intercepts), (len(labels), 1))
        model = _attach(baseline, labels, self.name, prior, self.kernel)
        alone = Scores(trees=(), slopes=(), intercepts=intercepts)
        return replace(model, local=alone, local_share=1.0)


@dataclass(frozen=True, slots=True)
class Pooled:
    """Trees grown on source samples and up-weighted labels together."""

    label_weight: float = 20.0
    training: Training = POOLED_TRAINING
    name: str = "pooled"
    min_labels: int = 10
    needs_source: bool = True

    def fit(
        self, baseline: Model, labels: Samples, source: Samples | None, *, seed: int, n_threads: int
    ) -> Model:
        """Grow the trees; the baseline's scaling serves them too."""
        if source is None:
            raise InputError("pooling needs source samples or prototypes; give them.")
        legend = baseline.legend
        trees = train_trees(
            np.concatenate([source.features, labels.features]),
            np.concatenate(
                [
                    index_classes(legend, source.classes, where="source samples"),
                    index_classes(legend, labels.classes, where="labels"),
                ]
            ),
            np.concatenate([source.weights, self.label_weight * labels.weights]),
            n_classes=len(legend.classes),
            training=self.training,
            seed=seed,
        )
        scores = Scores(
            trees=(trees,),
            slopes=(sum(baseline.scores.slopes),),
            intercepts=baseline.scores.intercepts,
        )
        return replace(
            baseline,
            kind=self.name,
            local=scores,
            local_share=1.0,
            labels_xy_km=labels.xy_km,
            labels_id=labels.content_id,
            notes=_describe_absent(baseline, labels),
        )


@dataclass(frozen=True, slots=True)
class RefitLeaves:
    """The global trees with leaf values moved towards the labels (LightGBM ``refit``)."""

    decay: float = 0.9
    """Share of a leaf's old value that stays."""
    name: str = "refit_leaves"
    min_labels: int = 30
    needs_source: bool = False

    def fit(
        self, baseline: Model, labels: Samples, source: Samples | None, *, seed: int, n_threads: int
    ) -> Model:
        """Refit every ensemble of the global model."""
        targets = index_classes(baseline.legend, labels.classes, where="labels")
        trees = tuple(
            Trees(
                clean_text(
                    _quiet(member).refit(
                        labels.features,
                        targets,
                        decay_rate=self.decay,
                        weight=labels.weights,
                        dataset_params={"verbose": -1, "num_threads": 1},
                    )
                )
            )
            for member in baseline.scores.trees
        )
        return replace(
            baseline,
            kind=self.name,
            local=replace(baseline.scores, trees=trees),
            local_share=1.0,
            labels_xy_km=labels.xy_km,
            labels_id=labels.content_id,
            notes=_describe_absent(baseline, labels),
        )


@dataclass(frozen=True, slots=True)
class Average:
    """Half the Gaussian-process correction, half the pooled trees, averaged as logits."""

    correction: GaussianProcess = GaussianProcess()
    pooled: Pooled = Pooled()
    name: str = "average"
    min_labels: int = 10
    needs_source: bool = True

    def fit(
        self, baseline: Model, labels: Samples, source: Samples | None, *, seed: int, n_threads: int
    ) -> Model:
        """Fit both."""
        one = self.correction.fit(baseline, labels, source, seed=seed, n_threads=n_threads)
        two = self.pooled.fit(baseline, labels, source, seed=seed, n_threads=n_threads)
        return average_models(one, two, name=self.name)


def average_models(one: Model, two: Model, *, name: str) -> Model:
    """Average a correction (``one``) and local trees (``two``) of the same baseline and labels."""
    if one.correction is None or one.local is not None or two.local is None:
        raise InputError("an average needs one correction and one model with local trees.")
    halved = replace(one.correction, alpha=one.correction.alpha / 2)
    return replace(
        one, kind=name, local=two.local, local_share=two.local_share / 2, correction=halved
    )


def shift_prior(
    baseline: Model, shares: tuple[float, ...], source_shares: tuple[float, ...]
) -> Model:
    """Move a global model to known class shares, without labels (Elkan 2001; Saerens et al. 2002).

    Parameters
    ----------
    shares
        Share of each class in the region, legend order, above 0, adding up to 1: for example from
        official statistics.
    source_shares
        The same among the source samples.

    It moves the cut between classes, never the ranking of two places for one class; it is right
    only where each class looks as it does in the source.
    """
    for values in (shares, source_shares):
        if len(values) != len(baseline.legend.classes) or min(values) <= 0:
            raise InputError("give one share above 0 for each class of the legend.")
        if abs(sum(values) - 1) > 1e-6:
            raise InputError(f"class shares add up to {sum(values):g}; they must add up to 1.")
    moves = np.log(np.array(shares) / np.array(source_shares))
    if len(baseline.scores.intercepts) == 1:
        moves = moves[1:] - moves[:1]
    intercepts = tuple((np.array(baseline.scores.intercepts) + moves).tolist())
    return replace(
        baseline, kind="prior_shift", scores=replace(baseline.scores, intercepts=intercepts)
    )


def spread_rows(
    baseline: Model, labels: Samples, n_rows: int
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Choose at most ``n_rows`` labels, spread by farthest-point order over components and place.

    Gonzalez 1985, doi 10.1016/0304-3975(85)90224-5. Rows keep their order.
    """
    if len(labels) <= n_rows:
        return np.arange(len(labels))
    points = baseline.projection.project(labels.features) / KERNEL.feature_length
    if labels.xy_km is not None:
        places = (labels.xy_km - labels.xy_km.mean(axis=0)) / KERNEL.position_km
        points = np.concatenate([points, places], axis=1)
    chosen = np.zeros(n_rows, dtype=np.int64)
    chosen[0] = int(((points - points.mean(axis=0)) ** 2).sum(axis=1).argmin())
    gap = ((points - points[chosen[0]]) ** 2).sum(axis=1)
    for i in range(1, n_rows):
        chosen[i] = int(gap.argmax())
        gap = np.minimum(gap, ((points - points[chosen[i]]) ** 2).sum(axis=1))
    return np.sort(chosen)


def _attach(
    baseline: Model,
    labels: Samples,
    name: str,
    prior: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    kernel: Kernel,
) -> Model:
    points = baseline.projection.project(labels.features)
    targets = index_classes(baseline.legend, labels.classes, where="labels")
    places = (points, labels.xy_km)
    weights = balance_classes(targets, labels.weights)
    alpha = fit_correction(evaluate_kernel(kernel, places, places), prior, targets, weights)
    if alpha.shape[1] > 1:
        # A class without labels keeps its global score: absence in a small set says little.
        present = np.isin(np.arange(alpha.shape[1]), targets)
        alpha = alpha * present
    return replace(
        baseline,
        kind=name,
        correction=Correction(kernel=kernel, points=points, alpha=alpha),
        labels_xy_km=labels.xy_km,
        labels_id=labels.content_id,
        notes=_describe_absent(baseline, labels),
    )


def _measure_prior(baseline: Model, labels: Samples) -> tuple[float, ...]:
    """Log shares of the labels' classes, one pseudo-count each."""
    targets = index_classes(baseline.legend, labels.classes, where="labels")
    counts = np.bincount(targets, minlength=len(baseline.legend.classes)) + 1.0
    logs = np.log(counts / counts.sum())
    return tuple((logs if len(logs) > 2 else logs[1:] - logs[:1]).tolist())


def _describe_absent(baseline: Model, labels: Samples) -> tuple[str, ...]:
    present = set(labels.classes.tolist())
    return tuple(
        f"No label shows {item.name!r}; that class is mapped as the global model sees it."
        for item in baseline.legend.classes
        if item.code not in present
    )


def _quiet(trees: Trees) -> lightgbm.Booster:
    booster = lightgbm.Booster(model_str=trees.text)
    booster.params = {**booster.params, "verbose": -1, "num_threads": 1}
    return booster
