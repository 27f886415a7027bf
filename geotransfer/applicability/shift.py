"""How strange a target region is, from features alone: separability and nearest source regions."""

from __future__ import annotations

from dataclasses import dataclass

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from geotransfer.accuracy.auc import measure_auc, resample_auc
from geotransfer.accuracy.intervals import bound_draws, draw_unit_counts
from geotransfer.applicability.area import Applicability, list_points, weight_features
from geotransfer.core.estimate import Estimate
from geotransfer.errors import TableInvalid

Float32 = NDArray[np.float32]
Integers = NDArray[np.int64]

N_ROWS = 2000
"""Rows drawn from either side for the domain classifier."""
N_FOLDS = 5
"""Folds of blocks."""
N_TREES = 100
"""Trees of the domain classifier, of 7 leaves each."""
N_RESAMPLES = 400
"""Bootstrap resamples of blocks."""
N_NEAREST_ROWS = 1000
"""Rows drawn from the target and from each source region to find the nearest regions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionDistance:
    """How far a target lies from one source region in weighted feature space."""

    region_id: str
    median_di: float
    """Median over target pixels of the DI to the nearest of equally many samples per region."""


def measure_separability(
    source: Float32,
    target: Float32,
    *,
    source_blocks: NDArray[np.generic],
    target_blocks: NDArray[np.generic],
    n_rows: int = N_ROWS,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """Return how well a classifier tells target from source, in blocks it has never seen.

    The AUC of a domain classifier (LightGBM, one thread): 0.5 where target and source look alike,
    1 where every pixel gives its origin away. With source *regions* as blocks the question is
    whether the target is stranger than a source region is to the others. With the features of
    the same places in two years and the same blocks on both sides, it measures the shift of year.

    Parameters
    ----------
    source, target
        ``(n, a)`` and ``(m, a)``.
    source_blocks, target_blocks
        ``(n,)`` and ``(m,)``: rows of one block are never split between training and judging;
        a block on both sides is one block. Neighbouring pixels in different blocks make the figure
        too large, so give blocks wider than the landscape's patches.

    Raises
    ------
    TableInvalid
        Fewer than two blocks on a side.
    """
    for noun, blocks in (("source", source_blocks), ("target", target_blocks)):
        if len(np.unique(blocks)) < 2:
            raise TableInvalid(
                f"the {noun} rows are all in one block, so separability cannot be judged on blocks"
                " that were not trained on; use smaller blocks."
            )
    rng = np.random.default_rng(seed)
    rows_s = rng.permutation(len(source))[:n_rows]
    rows_t = rng.permutation(len(target))[:n_rows]
    features = np.concatenate([source[rows_s], target[rows_t]])
    is_target = np.repeat([False, True], [len(rows_s), len(rows_t)])
    names = np.concatenate([source_blocks[rows_s].astype(str), target_blocks[rows_t].astype(str)])
    _, units = np.unique(names, return_inverse=True)
    folds = _deal_folds(units, is_target, rng)
    scores = np.full(len(features), np.nan)
    for fold in np.unique(folds):
        held = folds == fold
        scores[held] = _score_origin(features[~held], is_target[~held], features[held])
    counts = draw_unit_counts(int(units.max()) + 1, N_RESAMPLES, rng)
    low, high = bound_draws(
        resample_auc(scores, is_target, counts, units), level, n_units=counts.shape[1]
    )
    value = measure_auc(scores, is_target)
    return Estimate(
        value=value,
        low=min(low, value),
        high=max(high, value),
        level=level,
        method="domain-classifier, block-bootstrap",
        n=len(features),
    )


def rank_regions(
    applicability: Applicability,
    target: Float32,
    source_regions: NDArray[np.str_],
    *,
    n_rows: int = N_NEAREST_ROWS,
    seed: int = 0,
) -> tuple[RegionDistance, ...]:
    """Return the source regions, nearest first.

    Parameters
    ----------
    target
        ``(m, f)``: finite features of target pixels.
    source_regions
        ``(n_samples,)``: region of each training sample.
    """
    rng = np.random.default_rng(seed)
    points = list_points(applicability)
    chosen = target[rng.permutation(len(target))[:n_rows]]
    asked = weight_features(
        chosen, applicability.columns, applicability.center, applicability.scale
    )
    names, counts = np.unique(source_regions, return_counts=True)
    # As many samples from each: a region must not be nearest because it was sampled more.
    n_each = min(n_rows, int(counts.min()))
    ranked = []
    for name in names:
        rows = rng.permutation(np.flatnonzero(source_regions == name))[:n_each]
        nearest = cdist(asked, points[rows]).min(axis=1) / applicability.mean_distance
        ranked.append(RegionDistance(region_id=str(name), median_di=float(np.median(nearest))))
    return tuple(sorted(ranked, key=lambda item: (item.median_di, item.region_id)))


def _deal_folds(
    units: NDArray[np.intp], is_target: NDArray[np.bool_], rng: np.random.Generator
) -> Integers:
    """Deal blocks to folds so that each fold has blocks of either side where there are enough."""
    n_units = int(units.max()) + 1
    on_source = np.zeros(n_units, dtype=bool)
    on_target = np.zeros(n_units, dtype=bool)
    on_source[units[~is_target]] = True
    on_target[units[is_target]] = True
    fold_of = np.empty(n_units, dtype=np.int64)
    for kind in (on_source & on_target, on_source & ~on_target, ~on_source & on_target):
        members = rng.permutation(np.flatnonzero(kind))
        fold_of[members] = np.arange(len(members)) % N_FOLDS
    folds: Integers = fold_of[units]
    return folds


def _score_origin(
    features: Float32, is_target: NDArray[np.bool_], asked: Float32
) -> NDArray[np.float64]:
    """Train on some blocks, both sides weighing the same, and score others."""
    n_target = max(int(is_target.sum()), 1)
    n_source = max(len(is_target) - n_target, 1)
    weights = np.where(is_target, len(is_target) / n_target, len(is_target) / n_source)
    data = lgb.Dataset(features, is_target.astype(np.float64), weight=weights)
    settings = {
        "objective": "binary",
        "num_leaves": 7,
        "learning_rate": 0.1,
        "min_child_samples": 20,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "verbose": -1,
    }
    booster = lgb.train(settings, data, num_boost_round=N_TREES)
    return np.asarray(booster.predict(asked, raw_score=True, num_threads=1), dtype=np.float64)
