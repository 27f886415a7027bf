"""A Gaussian-process correction of a global logit: local labels speak where they are near.

The latent logit of a place is the global model's calibrated logit plus a Gaussian process over
features and position. Its Laplace approximation (Rasmussen & Williams 2006, chapter 3) is found by
a fixed majorising curvature (Böhning 1992, doi 10.1007/BF00048682): one factorisation serves every
step, for two classes and for many. Away from labels the kernel vanishes and the global model is
what remains.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.special import softmax

Float64 = NDArray[np.float64]

MAX_BALANCE = 5.0
MAX_STEPS = 1000
TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """Covariance of the correction at two places.

    ``features · F + position · P + product · F · P + near · F · N`` with F and P the
    squared-exponential correlations of whitened components (length ``feature_length``) and of
    position (length ``position_km``), and N that of position at a quarter of the length: what a
    label says of the valley it lies in reaches less far than what it says of the country.
    """

    features: float
    position: float
    product: float
    near: float = 0.0
    feature_length: float = 5.0
    position_km: float = 100.0

    @property
    def variance(self) -> float:
        """Prior variance of the correction at one place."""
        return self.features + self.position + self.product + self.near


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Projection:
    """Whitened principal components of the source samples' features."""

    centre: Float64
    """Shape (n_features,)."""
    scale: Float64
    """Shape (n_features,), standard deviations."""
    axes: Float64
    """Shape (n_features, n_components), each scaled to unit variance on the source."""

    def project(self, features: NDArray[np.float32]) -> Float64:
        """Project ``features`` (n, n_features) to components (n, n_components)."""
        return np.asarray(((features - self.centre) / self.scale) @ self.axes, dtype=np.float64)


def fit_projection(
    features: NDArray[np.float32], weights: Float64, *, n_components: int = 20
) -> Projection:
    """Find the whitened principal components of standardised features; NaN rows are left out."""
    valid = np.isfinite(features).all(axis=1)
    table, mass = features[valid].astype(np.float64), weights[valid] / weights[valid].sum()
    centre = mass @ table
    scale = np.sqrt(mass @ (table - centre) ** 2)
    scale = np.where(scale > 1e-12, scale, 1.0)
    table = (table - centre) / scale
    values, vectors = np.linalg.eigh((table * mass[:, None]).T @ table)
    n_components = min(n_components, int((values > 1e-9).sum()))
    order = np.argsort(values)[::-1][:n_components]
    axes = vectors[:, order] / np.sqrt(values[order])
    # An eigenvector's sign is arbitrary: the largest entry is made positive.
    signs = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(n_components)])
    return Projection(centre=centre, scale=scale, axes=axes * signs)


def square_distances(a: Float64, b: Float64) -> Float64:
    """Return squared Euclidean distances, shape (len(a), len(b))."""
    total = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None] - 2 * (a @ b.T)
    return np.asarray(np.maximum(total, 0.0))


def evaluate_kernel(
    kernel: Kernel,
    points: tuple[Float64, Float64 | None],
    others: tuple[Float64, Float64 | None],
) -> Float64:
    """Covariance between two sets of (components, positions in km); shape (n, m).

    Where positions are not known, everything counts as one place and nothing as near.
    """
    by_features = np.exp(-square_distances(points[0], others[0]) / (2 * kernel.feature_length**2))
    if points[1] is None or others[1] is None:
        return np.asarray((kernel.features + kernel.product) * by_features + kernel.position)
    # Centred first: EPSG:6933 coordinates are thousands of kilometres from their origin.
    origin = others[1].mean(axis=0)
    by_position = np.exp(
        -square_distances(points[1] - origin, others[1] - origin) / (2 * kernel.position_km**2)
    )
    return np.asarray(
        kernel.features * by_features
        + kernel.position * by_position
        + kernel.product * by_features * by_position
        # A quarter of the length is the sixteenth power.
        + kernel.near * by_features * by_position**16
    )


def _predict_classes(latent: Float64) -> Float64:
    """Probabilities (n, k) of a latent (n, 1) logit of the second class or (n, k) scores."""
    if latent.shape[1] == 1:
        latent = np.concatenate([np.zeros_like(latent), latent], axis=1)
    return np.asarray(softmax(latent, axis=1))


def fit_correction(
    covariance: Float64, prior: Float64, targets: NDArray[np.int64], weights: Float64
) -> Float64:
    """Find the posterior mode; return ``alpha`` with correction = covariance* @ alpha.

    Parameters
    ----------
    covariance
        Shape (n, n), of the labelled places among themselves.
    prior
        Shape (n, 1), the global logit of the second of two classes, or (n, k), a score a class.
    targets
        Shape (n,), index of each label's class.
    weights
        Shape (n,), above 0: how many labels each counts for.

    Returns
    -------
    Shape (n, 1) or (n, k): at the mode, what the labels say beyond what the model expects.
    """
    n, n_latent = prior.shape
    curvature = (0.25 if n_latent == 1 else 0.5) * weights
    factor = cho_factor(covariance + np.diag(1 / curvature), lower=True)
    observed = np.zeros((n, max(n_latent, 2)))
    observed[np.arange(n), targets] = 1
    alpha = np.zeros_like(prior)
    for _ in range(MAX_STEPS):
        shift = covariance @ alpha
        surprise = (observed - _predict_classes(prior + shift))[:, -n_latent:]
        surprise *= (weights / curvature)[:, None]
        step = cho_solve(factor, shift + surprise) - alpha
        alpha = alpha + step
        if np.abs(step).max() < TOLERANCE:
            break
    return np.asarray(alpha)


def balance_classes(targets: NDArray[np.int64], weights: Float64) -> Float64:
    """Return weights with which every class present counts the same, and which average 1.

    Labels for calibration are seldom a probability sample: how many of each class there are is
    the choice of whoever drew them and says little about the region. A single label counts at
    most ``MAX_BALANCE`` times its own weight.
    """
    mass = np.bincount(targets, weights=weights)
    fair = weights.sum() / (mass > 0).sum()
    factor = np.clip(fair / np.maximum(mass, 1e-12), 1 / MAX_BALANCE, MAX_BALANCE)
    balanced = weights * factor[targets]
    return np.asarray(balanced / balanced.mean())


def _curvature_at(latent: Float64) -> Float64:
    p = _predict_classes(latent)[:, 1]
    return np.asarray(p * (1 - p))


def measure_variance(
    kernel: Kernel,
    labelled: tuple[Float64, Float64 | None],
    places: tuple[Float64, Float64 | None],
    latent: Float64,
) -> Float64:
    """Posterior variance of the correction at ``places``, shape (m,).

    ``latent`` (n, 1) is the logit at the labels after correction. The variance equals the
    kernel's own, ``kernel.variance``, where labels do not reach.
    """
    covariance = evaluate_kernel(kernel, labelled, labelled)
    root = np.sqrt(_curvature_at(latent))
    lower = np.linalg.cholesky(np.eye(len(root)) + root[:, None] * covariance * root[None])
    cross = evaluate_kernel(kernel, labelled, places)
    solved = solve_triangular(lower, root[:, None] * cross, lower=True)
    has_places = labelled[1] is not None and places[1] is not None
    prior = kernel.variance if has_places else kernel.variance - kernel.near
    return np.asarray(prior - (solved**2).sum(axis=0))
