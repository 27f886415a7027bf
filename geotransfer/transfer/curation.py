"""Curation of the source: the fifth of the samples that trains an equal model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from geotransfer.errors import InputError
from geotransfer.transfer.gaussian_process import fit_projection
from geotransfer.transfer.samples import Samples, concatenate_samples

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


def curate_samples(
    samples: Samples, *, share: float = 0.2, seed: int = 0, opinion: Float64 | None = None
) -> Samples:
    """Keep a share of the samples that covers the whole: one drawn from each cluster.

    Clusters are made within each region and class on whitened components of the features, as many
    as rows are kept, so that rare surroundings keep a row and crowds lose most of theirs. A row
    carries the weight of its cluster.

    Parameters
    ----------
    share
        Share of the rows of each region and class to keep, above 0, at most 1.
    opinion
        Shape (n, n_codes), shares of the class codes in rising order: what a model trained on all
        samples says of each. A kept sample then comes back once for each code, its weight split by
        these shares, so that it passes on what the samples left out have taught (distillation;
        Hinton et al. 2015, arXiv:1503.02531). None: its own class counts alone.
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
    rows = np.array(kept)[order]
    curated = replace(samples.take(rows), weights=np.array(weights)[order])
    if opinion is None:
        return curated
    codes = np.unique(samples.classes)
    if opinion.shape != (len(samples), len(codes)):
        raise InputError(
            f"the opinion has shape {opinion.shape}; give a share of each of the {len(codes)}"
            f" classes for each of the {len(samples)} samples."
        )
    parts = [
        replace(
            curated,
            classes=np.full(len(rows), code),
            weights=curated.weights * opinion[rows, k],
        )
        for k, code in enumerate(codes)
    ]
    return concatenate_samples(parts[0], *parts[1:])
