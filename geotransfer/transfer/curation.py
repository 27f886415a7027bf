"""Curation of the source: the fifth of the samples that trains an equal model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geotransfer.errors import InputError
from geotransfer.transfer.gaussian_process import fit_projection
from geotransfer.transfer.samples import Samples

Float64 = NDArray[np.float64]
Integers = NDArray[np.int64]


def cluster_rows(points: Float64, n_clusters: int) -> list[Integers]:
    """Split rows into ``n_clusters`` groups of neighbours, always halving the widest.

    A k-d tree grown by total variance: the group whose squares sum to most is cut at the median of
    the component in which it varies most. The order of the groups is that of their making.
    """
    if not 0 < n_clusters <= len(points):
        raise InputError(f"{n_clusters} clusters cannot be made of {len(points)} rows.")

    def weigh(rows: Integers) -> float:
        return float(points[rows].var(axis=0).sum() * len(rows)) if len(rows) > 1 else -1.0

    groups = [np.arange(len(points))]
    spreads = [weigh(groups[0])]
    while len(groups) < n_clusters:
        widest = int(np.argmax(spreads))
        rows = groups[widest]
        axis = int(points[rows].var(axis=0).argmax())
        order = rows[np.argsort(points[rows, axis], kind="stable")]
        half = len(order) // 2
        groups[widest], spreads[widest] = order[:half], weigh(order[:half])
        groups.append(order[half:])
        spreads.append(weigh(order[half:]))
    return groups


def curate_samples(samples: Samples, *, share: float = 0.2, seed: int = 0) -> Samples:
    """Keep a share of the samples that covers the whole: one drawn from each cluster.

    Clusters are made within each region and class on whitened components of the features, as many
    as rows are kept, so that rare surroundings keep a row and crowds lose most of theirs. A row
    carries the weight of its cluster.

    Parameters
    ----------
    share
        Share of the rows of each region and class to keep, above 0, at most 1.
    """
    if not 0 < share <= 1:
        raise InputError(f"share is {share}; give a number above 0, at most 1.")
    rng = np.random.default_rng(seed)
    points = fit_projection(samples.features, samples.weights).project(samples.features)
    kept: list[int] = []
    weights: list[float] = []
    for region_id in np.unique(samples.region_ids):
        for code in np.unique(samples.classes):
            rows = np.flatnonzero((samples.region_ids == region_id) & (samples.classes == code))
            if not len(rows):
                continue
            for group in cluster_rows(points[rows], max(1, round(share * len(rows)))):
                members = rows[group]
                mass = samples.weights[members]
                kept.append(int(rng.choice(members, p=mass / mass.sum())))
                weights.append(float(mass.sum()))
    order = np.argsort(kept)
    curated = samples.take(np.array(kept)[order])
    return Samples(
        spec=curated.spec,
        measured=curated.measured,
        classes=curated.classes,
        weights=np.array(weights)[order],
        xy_km=curated.xy_km,
        region_ids=curated.region_ids,
    )
