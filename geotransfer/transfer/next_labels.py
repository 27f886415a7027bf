"""Where to label next: places that would teach the model most, or a probability sample.

The two are not the same. Ranked places make the model better and can never say how large an area
is; a probability sample says that, and teaches less for each label.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from geotransfer.errors import InputError
from geotransfer.imagery.features import derive_features
from geotransfer.transfer.curation import cluster_rows
from geotransfer.transfer.gaussian_process import measure_variance
from geotransfer.transfer.kernel_learning import KERNEL
from geotransfer.transfer.model import Model, to_probability
from geotransfer.transfer.samples import Samples

Float64 = NDArray[np.float64]
Integers = NDArray[np.int64]

MAX_PLACES = 20_000
"""Candidate places weighed at once."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Suggestions:
    """Candidate places worth a label, the most useful first."""

    rows: Integers
    """Shape (k,), positions among the candidates."""
    xy_km: Float64
    """Shape (k, 2), EPSG:6933, kilometres."""
    usefulness: Float64
    """Shape (k,), 0–1, the product of the next three, the best place 1."""
    applicability_gap: Float64
    """Shape (k,), 0–1: how unlike the source samples the place is."""
    uncertainty: Float64
    """Shape (k,), 0–1: entropy of the model's classes there."""
    coverage: Float64
    """Shape (k,), 0–1: share of the knowledge that no label has given yet, times how much of the
    region resembles the place."""


def suggest_labels(
    model: Model,
    measured: NDArray[np.float32],
    xy_km: Float64,
    *,
    n_labels: int,
    labels: Samples | None = None,
    source: Samples | None = None,
) -> Suggestions:
    """Rank places by applicability gap × uncertainty × coverage.

    The candidates are cut into as many clusters of like neighbours (features and position) as
    labels are wanted, and each cluster offers its most useful place: near duplicates are never
    suggested together.

    Parameters
    ----------
    measured
        Shape (n_measured, n), candidates spread over the region, at most ``MAX_PLACES``.
    xy_km
        Shape (2, n), their positions (EPSG:6933).
    labels
        Labels that exist already.
    source
        Samples or prototypes that trained the global model; None: every place counts as alike.

    Raises
    ------
    InputError
        Too few or too many candidates with all features.
    """
    features = derive_features(model.spec, measured)
    valid = np.flatnonzero(np.isfinite(features).all(axis=0))
    if not 0 < n_labels <= len(valid):
        raise InputError(
            f"{n_labels} places cannot be chosen among {len(valid)} candidates with all features;"
            " ask for fewer, or bring scenes that cover more."
        )
    if len(valid) > MAX_PLACES:
        raise InputError(
            f"{len(valid)} candidates are more than {MAX_PLACES}; thin them evenly first."
        )
    points = model.projection.project(np.ascontiguousarray(features[:, valid].T))
    places = np.ascontiguousarray(xy_km[:, valid].T)
    latent = model.predict_latent(
        np.ascontiguousarray(measured[:, valid]), np.ascontiguousarray(xy_km[:, valid])
    )
    probability = np.clip(to_probability(latent), 1e-12, 1)
    uncertainty = -(probability * np.log(probability)).sum(axis=0) / np.log(len(probability))
    gap = _measure_gap(model, points, source)
    fresh = _measure_fresh_share(model, points, places, labels)
    joint = np.concatenate([points / KERNEL.feature_length, places / KERNEL.position_km], axis=1)
    groups = cluster_rows(joint, n_labels)
    largest = max(len(group) for group in groups)
    score = gap * uncertainty * fresh
    best = np.array([group[int(score[group].argmax())] for group in groups])
    size = np.array([len(group) for group in groups]) / largest
    coverage = fresh[best] * size
    total = gap[best] * uncertainty[best] * coverage
    order = np.argsort(-total, kind="stable")
    best = best[order]
    return Suggestions(
        rows=valid[best],
        xy_km=places[best],
        usefulness=total[order] / max(float(total.max()), 1e-12),
        applicability_gap=gap[best],
        uncertainty=uncertainty[best],
        coverage=coverage[order],
    )


def draw_probability_sample(n_places: int, n_labels: int, *, seed: int) -> Integers:
    """Draw places with equal chances, without return: a sample that area estimates may use.

    Rows come in the order of drawing, so the first ones are a sample too if labelling stops early.
    """
    if not 0 < n_labels <= n_places:
        raise InputError(f"{n_labels} places cannot be drawn from {n_places}; ask for fewer.")
    return np.random.default_rng(seed).permutation(n_places)[:n_labels].astype(np.int64)


def _measure_gap(model: Model, points: Float64, source: Samples | None) -> Float64:
    """How far each place is from the source's samples, against their own usual distance."""
    if source is None:
        return np.ones(len(points))
    known = model.projection.project(source.features)
    tree = cKDTree(known)
    usual = float(np.median(tree.query(known[: min(len(known), 2000)], k=2)[0][:, 1]))
    distance, _ = tree.query(points)
    ratio = distance / max(usual, 1e-12)
    return np.asarray(ratio / (1 + ratio))


def _measure_fresh_share(
    model: Model, points: Float64, places: Float64, labels: Samples | None
) -> Float64:
    """Share of the correction's variance that the existing labels leave."""
    if labels is None or not len(labels):
        return np.ones(len(points))
    known = model.projection.project(labels.features)
    # Every label counts as uncertain as can be: what it teaches then depends on its place alone.
    latent = np.zeros((len(labels), 1))
    kernel = model.kernel or KERNEL
    rest = measure_variance(kernel, (known, labels.xy_km), (points, places), latent)
    return np.clip(rest / kernel.variance, 0.0, 1.0)
