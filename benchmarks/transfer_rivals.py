"""Rivals of the transfer benchmark: what people usually train, tuned as our own arms are."""

from __future__ import annotations

from typing import Any

import lightgbm as lgb
import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

from benchmarks.rehearsal_arms import CELLS, Target, draw_rows
from geotransfer.transfer.gain import measure_macro_auc
from geotransfer.transfer.gaussian_process import Kernel
from geotransfer.transfer.model import to_probability
from geotransfer.transfer.samples import Samples
from geotransfer.transfer.strategies import RegionalOnly
from geotransfer.transfer.threads import limit_blas

RAW_SIZES = (100, 200, 300, 500, 1000, 1500, 2000)
BEST_SIZES = (50, 100, 150, 200, 300, 500, 1000)
REGIONAL_KERNELS = {
    "regional GP": RegionalOnly().kernel,
    "regional GP, product 4": Kernel(features=0.0, position=0.0, product=4.0),
    "regional GP, short": Kernel(features=1.0, position=0.5, product=3.0, position_km=60.0),
    "regional GP, near 8": Kernel(features=2.0, position=1.0, product=2.0, near=8.0),
    "regional GP, near 16": Kernel(features=4.0, position=2.0, product=4.0, near=16.0),
    "regional GP, near 8, wide": Kernel(
        features=8.0, position=1.0, product=4.0, near=8.0, feature_length=7.0
    ),
}
"""The correction's own form among them: what serves us may serve a rival."""
_TREES = {
    "objective": "binary",
    "num_leaves": 31,
    "learning_rate": 0.05,
    "seed": 0,
    "deterministic": True,
    "force_col_wise": True,
    "num_threads": 1,
    "verbose": -1,
}


def score_auc(scores: np.ndarray, targets: np.ndarray) -> float:
    """AUC of the crop class."""
    return float(measure_macro_auc(scores[None], targets)[0])


def run_pooled_raw(target: Target, n: int, seed: int) -> float:
    """Weighted pooling ×20, measured columns alone, 300 trees; labels interspersed."""
    draw = draw_rows(target, CELLS, seed)
    labels, held = target.table.take(draw.pool[:n]), target.table.take(draw.holdout)
    rows = np.concatenate([target.source.measured, labels.measured])
    classes = np.concatenate([target.source.classes, labels.classes])
    weights = np.concatenate([np.ones(len(target.source)), np.full(n, 20.0)])
    booster = lgb.train(_TREES, lgb.Dataset(rows, classes, weight=weights), 300)
    return score_auc(booster.predict(held.measured, num_threads=1), held.classes)


def run_regional_raw(target: Target, n: int, seed: int) -> float | None:
    """LightGBM on the labels' measured columns alone; the better of two leaf sizes."""
    draw = draw_rows(target, CELLS, seed)
    if n > len(draw.pool):
        return None
    labels, held = target.table.take(draw.pool[:n]), target.table.take(draw.holdout)
    scores = []
    for min_rows in (5, 20):
        parameters = {**_TREES, "min_data_in_leaf": min_rows}
        booster = lgb.train(parameters, lgb.Dataset(labels.measured, labels.classes), 200)
        scores.append(score_auc(booster.predict(held.measured, num_threads=1), held.classes))
    return max(scores)


def run_regional_best(target: Target, n: int, seed: int) -> dict[str, float]:
    """Regional learners with all features and position: forests and Gaussian processes."""
    draw = draw_rows(target, CELLS, seed)
    if n > len(draw.pool):
        return {}
    labels, held = target.table.take(draw.pool[:n]), target.table.take(draw.holdout)
    out: dict[str, float] = {}
    x, x_held = _join_position(labels), _join_position(held)
    for name, forest in (
        ("extra trees", ExtraTreesClassifier(200, min_samples_leaf=2, random_state=seed)),
        ("random forest", RandomForestClassifier(200, min_samples_leaf=2, random_state=seed)),
    ):
        forest.fit(x, labels.classes)
        out[name] = score_auc(forest.predict_proba(x_held)[:, 1], held.classes)
    assert held.xy_km is not None
    with limit_blas():
        for name, kernel in REGIONAL_KERNELS.items():
            model = RegionalOnly(kernel=kernel).fit(
                target.model, labels, None, seed=seed, n_threads=1
            )
            latent = model.predict_latent(
                np.ascontiguousarray(held.measured.T), np.ascontiguousarray(held.xy_km.T)
            )
            out[name] = score_auc(to_probability(latent)[1], held.classes)
    return out


def find_crossing(sizes: list[int], aucs: list[float], wanted: float) -> tuple[float, bool]:
    """Labels at which a rising curve reaches ``wanted``, and whether it does.

    Linear in the logarithm between two sizes; where it never does, the largest size.
    """
    for i, auc in enumerate(aucs):
        if auc >= wanted:
            if i == 0:
                return float(sizes[0]), True
            share = (wanted - aucs[i - 1]) / max(auc - aucs[i - 1], 1e-9)
            low, high = np.log(sizes[i - 1]), np.log(sizes[i])
            return float(np.exp(low + share * (high - low))), True
    return float(sizes[-1]), False


def measure_labels_to_equal(
    curves: dict[str, dict[int, list[float]]], wanted: dict[str, float]
) -> tuple[float | None, dict[str, Any]]:
    """Median over regions of the labels a rival needs, and each region's curve."""
    needed, detail = [], {}
    for region, curve in curves.items():
        sizes = sorted(n for n, aucs in curve.items() if aucs)
        means = [float(np.mean(curve[n])) for n in sizes]
        value, is_reached = find_crossing(sizes, means, wanted[region])
        needed.append(value)
        detail[region] = {
            "wanted_auc": wanted[region],
            "curve": dict(zip(map(str, sizes), means, strict=True)),
            "labels": value,
            "is_reached": is_reached,
        }
    return (float(np.median(needed)) if needed else None), detail


def _join_position(samples: Samples) -> np.ndarray:
    assert samples.xy_km is not None
    return np.concatenate([samples.features, samples.xy_km], axis=1)
