"""A model: one frozen value that turns measured columns into class probabilities.

The latent score of a place is ``g + w(d) · (s · (l − g) + c)``: g the calibrated score of the
global trees, l that of local trees (if the strategy has any) with share s, c the Gaussian-process
correction (if any), and w(d) a weight that falls to zero at ``within_km`` from the nearest label,
where the global model is all that remains.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from geotransfer.core.legend import Legend
from geotransfer.core.spec import FeatureSpec
from geotransfer.errors import SpecMismatch
from geotransfer.imagery.features import derive_features
from geotransfer.transfer.correction import predict_correction
from geotransfer.transfer.gaussian_process import Kernel, Projection
from geotransfer.transfer.trees import Trees

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

TAPER_SHARE = 0.2
"""The last part of ``within_km`` over which local knowledge fades: no seam in the map."""


PART_ROWS = 1 << 15
"""Rows a thread predicts at a time: their predictors, four times the input, stay near the cache."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Scores:
    """Trees whose raw scores, averaged, are scaled to honest logits."""

    trees: tuple[Trees, ...]
    slopes: tuple[float, ...]
    """One a tree ensemble."""
    intercepts: tuple[float, ...]
    """One a latent score: one for two classes, else one a class."""

    def predict(self, features: Float32, *, n_threads: int = 1) -> Float64:
        """Calibrated latent scores, shape (n_latent, n), of ``features`` (n_features, n)."""
        total = np.zeros((len(self.intercepts), features.shape[1]))
        for trees, slope in zip(self.trees, self.slopes, strict=True):
            total += slope * trees.predict_raw(features, n_threads=n_threads)
        return np.asarray(total + np.array(self.intercepts)[:, None])


@dataclass(frozen=True, eq=False, kw_only=True)
class Correction:
    """A fitted Gaussian-process correction."""

    kernel: Kernel
    points: Float64
    """Shape (n_labels, n_components)."""
    alpha: Float64
    """Shape (n_labels, n_latent)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Model:
    """Everything a prediction needs; ``dump_model`` writes it, its content id names it."""

    spec: FeatureSpec
    legend: Legend
    kind: str
    """Name of the strategy that made it, ``baseline`` for a global model."""
    scores: Scores
    """The global model."""
    projection: Projection
    source_region_ids: tuple[str, ...]
    """Regions whose samples trained the global model: it must not be judged there."""
    source_id: str
    """Content id of the samples that trained it."""
    local: Scores | None = None
    local_share: float = 0.0
    correction: Correction | None = None
    labels_xy_km: Float64 | None = None
    """Shape (n_labels, 2), where the calibration labels lie; None for a baseline."""
    within_km: float | None = None
    """Beyond this distance from every label the global model answers; None: no limit."""
    labels_id: str | None = None
    """Content id of the calibration set."""
    kernel: Kernel | None = None
    """Of a correction, its lengths learned on the source regions; None: not learned."""
    notes: tuple[str, ...] = ()
    """What a reader must know, for example a class without labels."""

    @property
    def is_global(self) -> bool:
        """Whether it is a baseline: no label of a target region has touched it."""
        return self.local is None and self.correction is None

    @property
    def notices(self) -> tuple[str, ...]:
        """What whoever uses its predictions should hear: ensembles that LightGBM itself predicts,
        because they cannot be replayed or showed a difference when they were."""
        parts = [self.scores, *([self.local] if self.local is not None else [])]
        found = [trees.forest.notice for scores in parts for trees in scores.trees]
        return tuple(dict.fromkeys(notice for notice in found if notice is not None))

    def predict(
        self, measured: Float32, xy_km: Float64 | None = None, *, n_threads: int = 1
    ) -> Float32:
        """Return class probabilities; the same bits for any chunking and thread count.

        Parameters
        ----------
        measured
            Shape (n_measured, n), rows in the order of ``spec.measured``.
        xy_km
            Shape (2, n), positions in EPSG:6933; needed only for a fine-tuned model. Without
            positions a correction knows features alone, and ``within_km`` cannot be kept.

        Returns
        -------
        Shape (n_classes, n) in the legend's order; NaN in every class where any feature is missing.

        Raises
        ------
        SpecMismatch
            The number of measured columns is not the spec's.
        """
        out = np.empty((len(self.legend.classes), measured.shape[1]), dtype=np.float32)
        for part, latent in self._score(measured, xy_km, n_threads):
            out[:, part] = to_probability(latent)
        return out

    def predict_latent(
        self, measured: Float32, xy_km: Float64 | None = None, *, n_threads: int = 1
    ) -> Float64:
        """Latent scores, shape (n_latent, n): a logit for two classes, else one score a class."""
        out = np.empty((len(self.scores.intercepts), measured.shape[1]))
        for part, latent in self._score(measured, xy_km, n_threads):
            out[:, part] = latent
        return out

    def _score(
        self, measured: Float32, xy_km: Float64 | None, n_threads: int
    ) -> Iterator[tuple[slice, Float64]]:
        """Yield latent scores part by part; NaN where any feature is missing."""
        if measured.ndim != 2 or len(measured) != len(self.spec.measured):
            raise SpecMismatch(
                f"the features have shape {measured.shape}, the model reads the"
                f" {len(self.spec.measured)} measured columns of spec {self.spec.name!r}; compute"
                " them with that spec."
            )
        n = measured.shape[1]
        if xy_km is not None and xy_km.shape != (2, n):
            raise SpecMismatch(f"xy_km must have shape (2, {n}).")
        step = PART_ROWS * max(n_threads, 1)
        for start in range(0, n, step):
            part = slice(start, min(start + step, n))
            place = None if xy_km is None else xy_km[:, part]
            yield part, self._score_part(measured[:, part], place, n_threads)

    def _score_part(self, measured: Float32, xy_km: Float64 | None, n_threads: int) -> Float64:
        present = np.asarray(np.isfinite(measured).all(axis=0))
        latent = np.full((len(self.scores.intercepts), measured.shape[1]), np.nan)
        if not present.any():
            return latent
        # Gathering costs as much as predicting a few rows in vain.
        rows = None if present.mean() > 0.9 else np.flatnonzero(present)
        if rows is not None:
            measured = measured[:, rows]
            xy_km = None if xy_km is None else xy_km[:, rows]
        features = derive_features(self.spec, measured)
        missing = ~np.isfinite(features).all(axis=0)
        if missing.any():
            features[:, missing] = 0
        found = self._score_features(features, xy_km, n_threads)
        found[:, missing] = np.nan
        if rows is None:
            return found
        latent[:, rows] = found
        return latent

    def _score_features(self, features: Float32, xy_km: Float64 | None, n_threads: int) -> Float64:
        latent = self.scores.predict(features, n_threads=n_threads)
        if self.is_global:
            return latent
        shift = np.zeros_like(latent)
        if self.local is not None:
            local = self.local.predict(features, n_threads=n_threads)
            shift += self.local_share * (local - latent)
        if self.correction is not None:
            shift += predict_correction(
                features,
                xy_km,
                projection=self.projection,
                kernel=self.correction.kernel,
                points=self.correction.points,
                labels_xy_km=self.labels_xy_km,
                alpha=self.correction.alpha,
                n_threads=n_threads,
            )
        if self.within_km is not None and self.labels_xy_km is not None and xy_km is not None:
            shift *= weigh_distance(
                measure_distance(xy_km, self.labels_xy_km), within_km=self.within_km
            )
        return np.asarray(latent + shift)


def measure_distance(xy_km: Float64, labels_xy_km: Float64) -> Float64:
    """Distance in km of each place (2, n) to its nearest label (n_labels, 2)."""
    distance_km, _ = cKDTree(labels_xy_km).query(np.ascontiguousarray(xy_km.T))
    return np.asarray(distance_km)


def weigh_distance(distance_km: Float64, *, within_km: float) -> Float64:
    """Weight of local knowledge: 1 near labels, falling linearly to 0 at ``within_km``."""
    fade_km = TAPER_SHARE * within_km
    return np.clip((within_km - distance_km) / max(fade_km, 1e-9), 0.0, 1.0)


def to_probability(latent: Float64) -> Float64:
    """Class probabilities (n_classes, n) of latent scores (1, n) or (n_classes, n)."""
    if len(latent) == 1:
        second = 1 / (1 + np.exp(-np.clip(latent[0], -60, 60)))
        return np.stack([1 - second, second])
    powers = np.exp(latent - latent.max(axis=0, initial=-np.inf))
    # Added class by class: a reduction along the axis may add in another order.
    total = np.zeros(latent.shape[1])
    for row in powers:
        total += row
    return np.asarray(powers / total)


def explain_model(
    model: Model, measured: Float32, xy_km: Float64 | None = None, *, n_threads: int = 1
) -> tuple[tuple[str, ...], Float64]:
    """Split the latent score of two-class models into contributions.

    Returns
    -------
    Names of the rows and values of shape (n_latent, n_features + 2, n): every feature through the
    trees, ``base`` (intercept and mean score) and ``local labels`` (what calibration added). They
    add up to the latent score; NaN where a feature is missing.
    """
    features = derive_features(model.spec, measured)
    rows = np.flatnonzero(np.isfinite(features).all(axis=0))
    names = (*model.spec.names, "base", "local labels")
    n_latent = len(model.scores.intercepts)
    out = np.full((n_latent, len(names), measured.shape[1]), np.nan)
    if not len(rows):
        return names, out
    table = np.ascontiguousarray(features[:, rows])
    parts = np.zeros((n_latent, len(names) - 1, len(rows)))
    for trees, slope in zip(model.scores.trees, model.scores.slopes, strict=True):
        parts += slope * trees.explain(table, n_threads=n_threads)
    parts[:, -1] += np.array(model.scores.intercepts)[:, None]
    latent = model.predict_latent(measured, xy_km, n_threads=n_threads)[:, rows]
    out[:, :-1, rows] = parts
    out[:, -1, rows] = latent - model.scores.predict(table, n_threads=n_threads)
    return names, out
