"""Ship: accuracy against dissimilarity, learned on every reference region by models without it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from geotransfer.accuracy.profile import fit_profile, predict_accuracy
from geotransfer.applicability.area import fit_applicability
from geotransfer.applicability.search import compute_dissimilarity
from geotransfer.core.applicability import AccuracyCurve
from geotransfer.core.identity import canonical_json
from geotransfer.transfer.model import Model
from geotransfer.transfer.rehearsal import LeftOut
from geotransfer.transfer.samples import Samples, aggregate_prototypes, concatenate_samples

FOLD_RULE = "leave-one-region-out"
FAMILIAR_SHARE = 0.99
"""Share of the rows up to whose DI accuracy counts as measured; the rest is of few regions."""


def weigh_features(model: Model) -> NDArray[np.float64]:
    """Return the gain of each feature, summed over the global model's ensembles."""
    gains = [trees.booster.feature_importance("gain") for trees in model.scores.trees]
    return np.asarray(np.sum(gains, axis=0), dtype=np.float64)


def make_accuracy_curve(
    tables: Mapping[str, Samples], left_out: Mapping[str, LeftOut], *, seed: int
) -> AccuracyCurve:
    """Fit expected accuracy to rows of regions left out, against their DI to the other regions.

    The interval is that of one more region: how much six differ is how much it may differ. Beyond
    the DI that nearly all rows stay below, the lower end is 0.
    """
    parts: list[tuple[NDArray[np.float64], NDArray[np.bool_], str]] = []
    for name, out in left_out.items():
        others = [table for other, table in tables.items() if other != name]
        source = aggregate_prototypes(concatenate_samples(*others))
        folds = np.unique(source.region_ids, return_inverse=True)[1].astype(np.int32)
        area = fit_applicability(
            source.features, weigh_features(out.model), folds, fold_rule=FOLD_RULE
        )
        di = compute_dissimilarity(area, np.ascontiguousarray(tables[name].features.T))
        codes = np.asarray(out.model.legend.codes)[
            np.nan_to_num(out.probability, nan=-1.0).argmax(axis=0)
        ]
        known = np.isfinite(di) & np.isfinite(out.probability[0])
        is_right = codes[known] == tables[name].classes[known]
        parts.append((di[known].astype(np.float64), is_right, name))
    di = np.concatenate([part for part, _, _ in parts])
    curve = fit_profile(
        di,
        np.concatenate([is_right for _, is_right, _ in parts]),
        groups=np.concatenate([np.full(len(part), name) for part, _, name in parts]),
        seed=seed,
    )
    half = _measure_region_spread(curve, [(part, is_right) for part, is_right, _ in parts])
    value = np.array(curve.value)
    return replace(
        curve,
        low=tuple(np.clip(value - half, 0, 1).tolist()),
        high=tuple(np.clip(value + half, 0, 1).tolist()),
        largest_di=float(np.quantile(di, FAMILIAR_SHARE)),
        method="isotonic; interval for one more region (Student's t)",
        rows=f"{len(parts)} reference regions, each by a model that never saw it",
    )


def _measure_region_spread(
    curve: AccuracyCurve, parts: list[tuple[NDArray[np.float64], NDArray[np.bool_]]]
) -> float:
    """Return half the prediction interval of one more region around the curve.

    How far each region's accuracy lies from what the curve says of its rows; the mean's own
    interval would promise a new region far too much.
    """
    gaps = [
        float(is_right.mean() - predict_accuracy(curve, di).value.mean()) for di, is_right in parts
    ]
    n = len(gaps)
    spread = float(np.std(gaps, ddof=1)) * float(np.sqrt(1 + 1 / n))
    return float(stdtrit(n - 1, 0.5 + curve.level / 2)) * spread


def write_accuracy_curve(curve: AccuracyCurve) -> bytes:
    """Return the curve as it ships."""
    return canonical_json(curve)
