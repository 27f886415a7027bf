"""Ship: accuracy against dissimilarity, learned on every reference region by models without it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from geotransfer.accuracy.profile import fit_profile
from geotransfer.applicability.area import fit_applicability
from geotransfer.applicability.search import compute_dissimilarity
from geotransfer.core.applicability import AccuracyCurve
from geotransfer.core.identity import canonical_json
from geotransfer.transfer.model import Model
from geotransfer.transfer.rehearsal import LeftOut
from geotransfer.transfer.samples import Samples, aggregate_prototypes, concatenate_samples

FOLD_RULE = "leave-one-region-out"


def weigh_features(model: Model) -> NDArray[np.float64]:
    """Return the gain of each feature, summed over the global model's ensembles."""
    gains = [trees.booster.feature_importance("gain") for trees in model.scores.trees]
    return np.asarray(np.sum(gains, axis=0), dtype=np.float64)


def make_accuracy_curve(
    tables: Mapping[str, Samples], left_out: Mapping[str, LeftOut], *, seed: int
) -> AccuracyCurve:
    """Fit expected accuracy to rows of regions left out, against their DI to the other regions.

    Regions are the units of the bootstrap: how much six differ is how much one more may differ.
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
    profile = fit_profile(
        np.concatenate([di for di, _, _ in parts]),
        np.concatenate([is_right for _, is_right, _ in parts]),
        groups=np.concatenate([np.full(len(di), name) for di, _, name in parts]),
        seed=seed,
    )
    return AccuracyCurve(
        di=profile.di,
        low=profile.low,
        value=profile.value,
        high=profile.high,
        largest_di=profile.largest_di,
        level=profile.level,
        method=profile.method.replace("block", "region"),
        n=profile.n,
        rows=f"{len(parts)} reference regions, each by a model that never saw it",
    )


def write_accuracy_curve(curve: AccuracyCurve) -> bytes:
    """Return the curve as it ships."""
    return canonical_json(curve)
