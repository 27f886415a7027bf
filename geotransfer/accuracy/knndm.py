"""Folds whose separation matches the prediction task: k-fold nearest neighbour distance matching.

Linnenbrink et al. 2024, doi 10.5194/gmd-17-5897-2024. Random folds flatter where labels cluster,
wide blocks are too harsh; these folds choose a separation such that a tested label is as far from
training labels as a place of the map is from labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial import cKDTree
from scipy.stats import ks_2samp, wasserstein_distance

from geotransfer.errors import InputError, TableInvalid

Floats = NDArray[np.float64]
Folds = NDArray[np.intp]

N_CANDIDATES = 100
"""Most numbers of clusters tried."""
MOST_ROWS = 10_000
"""Clustering holds all pairs of labels: 400 MB."""
_N_NEIGHBOURS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class KnndmFolds:
    """Folds and the three distance distributions they rest on; distances in km."""

    folds: Folds
    """Fold of each label, 0 … n_folds − 1, shape ``(n,)``."""
    mismatch_km: float
    """Wasserstein distance between how far tested labels and map places are from labels."""
    n_clusters: int | None
    """Clusters dealt into folds; None where labels do not cluster and folds are random."""
    label_distance_km: Floats
    """Of each label to the nearest other label, ``(n,)``."""
    place_distance_km: Floats
    """Of each place to predict to the nearest label, ``(m,)``."""
    fold_distance_km: Floats
    """Of each label to the nearest label of another fold, ``(n,)``."""


def assign_knndm_folds(
    labels_xy_km: Floats,
    places_xy_km: Floats,
    *,
    n_folds: int = 10,
    most_share: float = 0.5,
    seed: int,
) -> KnndmFolds:
    """Assign labels to folds for the places a map will predict.

    Pool the predictions of all folds and measure once: the folds differ in size.

    Parameters
    ----------
    labels_xy_km
        Shape ``(n, 2)``, projected positions in km.
    places_xy_km
        Shape ``(m, 2)``: places that stand for the area to predict (some 1,000 regular points).
    most_share
        Largest share of labels in one fold, between 1/n_folds and 1.
    seed
        Of random folds, used where labels do not cluster.

    Raises
    ------
    InputError
        Fewer than ``n_folds`` + 2 labels or more than 10,000, or labels in too few places.
    """
    labels = _check_positions(labels_xy_km, "labels_xy_km")
    places = _check_positions(places_xy_km, "places_xy_km")
    n = len(labels)
    if n_folds < 2 or not 1 / n_folds < most_share < 1:
        raise InputError(
            f"{n_folds} folds of at most {most_share:.0%} of the labels cannot be made; give two or"
            " more folds and a share above 1/folds and below 1."
        )
    if not n_folds + 2 <= n <= MOST_ROWS:
        raise InputError(
            f"{n} labels cannot be cut into {n_folds} kNNDM folds, which need {n_folds + 2} to"
            f" {MOST_ROWS}; use fewer folds, or spatial blocks."
        )
    tree = cKDTree(labels)
    neighbours = tree.query(labels, k=min(_N_NEIGHBOURS, n))
    label_km = neighbours[0][:, 1]
    place_km = tree.query(places)[0]

    def finish(folds: Folds, n_clusters: int | None) -> KnndmFolds:
        fold_km = _measure_fold_distance(labels, folds, *neighbours)
        return KnndmFolds(
            folds=folds,
            mismatch_km=float(wasserstein_distance(fold_km, place_km)),
            n_clusters=n_clusters,
            label_distance_km=label_km,
            place_distance_km=place_km,
            fold_distance_km=fold_km,
        )

    # Labels nearer to each other than places are to labels: clustered.
    if ks_2samp(label_km, place_km, alternative="greater", method="asymp").pvalue >= 0.05:
        shuffled = np.random.default_rng(seed).permutation(n)
        return finish(shuffled % n_folds, None)

    merges = linkage(labels, method="ward")
    numbers = np.unique(
        np.rint(np.exp(np.linspace(np.log(n_folds), np.log(n - 2), N_CANDIDATES))).astype(int)
    )
    best: KnndmFolds | None = None
    for number in numbers:
        clusters = fcluster(merges, number, criterion="maxclust") - 1
        n_clusters = int(clusters.max()) + 1
        if n_clusters < n_folds:  # labels on top of each other
            continue
        folds = deal_clusters(labels, clusters, n_folds)
        if np.bincount(folds).max() > most_share * n:
            continue
        found = finish(folds, n_clusters)
        if best is None or found.mismatch_km < best.mismatch_km:
            best = found
    if best is None:
        raise InputError(
            f"The labels lie in too few places for {n_folds} folds; label other places, or use"
            " fewer folds."
        )
    return best


def deal_clusters(labels_xy_km: Floats, clusters: NDArray[np.integer], n_folds: int) -> Folds:
    """Return the fold of each label, given the cluster of each, 0 … n_clusters − 1.

    Clusters are ordered along the first principal axis of their centres. One that holds a fold's
    share of the labels or more is a fold; the others are dealt in turn to the folds left over.
    """
    n = len(clusters)
    sizes = np.bincount(clusters)
    centres = np.column_stack(
        [np.bincount(clusters, labels_xy_km[:, axis]) / sizes for axis in (0, 1)]
    )
    order = np.argsort(_project_first_axis(centres), kind="stable")
    is_large = sizes[order] >= n / n_folds
    fold_of = np.empty(len(sizes), np.intp)
    n_large = int(is_large.sum())
    fold_of[order[is_large]] = np.arange(n_large)
    left = np.arange(n_large, n_folds) if n_large < n_folds else np.arange(n_folds)
    fold_of[order[~is_large]] = np.resize(left, len(sizes) - n_large)
    return np.asarray(fold_of[clusters])


def _project_first_axis(centres: Floats) -> Floats:
    centred = centres - centres.mean(axis=0)
    axis = np.linalg.svd(centred, full_matrices=False)[2][0]
    # The sign of an axis is arbitrary; fix it, so that folds are the same on every machine.
    return np.asarray(centred @ (axis * np.sign(axis[np.argmax(np.abs(axis))])))


def _measure_fold_distance(
    labels: Floats, folds: Folds, distance_km: Floats, neighbours: Folds
) -> Floats:
    """Return the distance of each label to the nearest of another fold, ``(n,)``.

    ``distance_km`` and ``neighbours``: each label's nearest labels, nearest first, ``(n, k)``.
    """
    is_other = folds[neighbours] != folds[:, None]
    nearest = distance_km[np.arange(len(labels)), is_other.argmax(axis=1)]
    # Labels deep inside their fold: search the other folds.
    is_deep = ~is_other.any(axis=1)
    for fold in np.unique(folds[is_deep]):
        rows = np.flatnonzero(is_deep & (folds == fold))
        nearest[rows] = cKDTree(labels[folds != fold]).query(labels[rows])[0]
    return np.asarray(nearest, dtype=np.float64)


def _check_positions(xy_km: Floats, name: str) -> Floats:
    positions = np.asarray(xy_km, dtype=np.float64)
    if positions.ndim != 2 or positions.shape[1] != 2 or not len(positions):
        raise TableInvalid(f"{name} has shape {positions.shape}; give (n, 2) positions in km.")
    if not np.isfinite(positions).all():
        raise TableInvalid(f"{name} has positions that are not finite; leave those rows out.")
    return positions
