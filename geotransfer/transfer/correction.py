"""The Gaussian-process correction on many pixels: plain loops, the same bits in any chunking.

Every number is made by additions and multiplications of one pixel's own values in one order, so
neither the size of a block nor the number of threads can change a bit. A matrix library gives no
such promise.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import njit
from numpy.typing import NDArray

from geotransfer.transfer.gaussian_process import Kernel, Projection

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

_BLOCK = 512
_LOG2_E = np.float32(1.4426950408889634)
_HALF = np.float32(0.5)
_LEAST = np.float32(0.0046)
# Minimax polynomial of 2**f on [-0.5, 0.5]: Taylor terms of exp(f ln 2), error below 3e-8.
_C1 = np.float32(0.6931471805599453)
_C2 = np.float32(0.2402265069591007)
_C3 = np.float32(0.05550410866482158)
_C4 = np.float32(0.009618129107628477)
_C5 = np.float32(0.0013333558146428443)
_C6 = np.float32(0.00015403530393381608)


@njit(nogil=True, cache=True)
def _exponentiate(values: Float32, bits: NDArray[np.int32], powers: Float32) -> None:
    """Replace ``values`` (none positive) by their exponential; ``powers`` views ``bits``."""
    for p in range(values.shape[0]):
        y = max(values[p] * _LOG2_E, np.float32(-126.0))
        whole = np.int32(y - _HALF)
        f = y - np.float32(whole)
        bits[p] = (whole + np.int32(127)) << np.int32(23)
        values[p] = np.float32(1.0) + f * (
            _C1 + f * (_C2 + f * (_C3 + f * (_C4 + f * (_C5 + f * _C6))))
        )
    for p in range(values.shape[0]):
        values[p] *= powers[p]


@njit(nogil=True, cache=True)
def _correct_range(
    start: int,
    stop: int,
    features: Float32,
    centre: Float32,
    inverse_scale: Float32,
    axes: Float32,
    points: Float32,
    alpha: Float32,
    xy_km: Float32,
    labels_xy_km: Float32,
    amplitudes: Float32,
    rates: Float32,
    out: Float32,
) -> None:
    n_features, n_components = axes.shape
    n_labels, n_latent = alpha.shape
    has_position = labels_xy_km.shape[0] > 0
    z = np.empty((n_components, _BLOCK), np.float32)
    x = np.empty(_BLOCK, np.float32)
    by_features = np.empty(_BLOCK, np.float32)
    by_position = np.empty(_BLOCK, np.float32)
    bits = np.empty(_BLOCK, np.int32)
    powers = bits.view(np.float32)
    for begin in range(start, stop, _BLOCK):
        size = min(_BLOCK, stop - begin)
        z[:] = np.float32(0)
        for j in range(n_features):
            for p in range(size):
                x[p] = (features[j, begin + p] - centre[j]) * inverse_scale[j]
            for k in range(n_components):
                axis = axes[j, k]
                for p in range(size):
                    z[k, p] += x[p] * axis
        for i in range(n_labels):
            by_features[:] = np.float32(0)
            for k in range(n_components):
                point = points[i, k]
                for p in range(size):
                    gap = z[k, p] - point
                    by_features[p] += gap * gap
            for p in range(size):
                by_features[p] *= rates[0]
            _exponentiate(by_features, bits, powers)
            if has_position:
                for p in range(size):
                    east = xy_km[0, begin + p] - labels_xy_km[i, 0]
                    north = xy_km[1, begin + p] - labels_xy_km[i, 1]
                    by_position[p] = (east * east + north * north) * rates[1]
                _exponentiate(by_position, bits, powers)
            else:
                by_position[:] = np.float32(1)
            for p in range(size):
                f, q = by_features[p], by_position[p]
                # The near correlation, at a quarter of the length, is q to the sixteenth.
                # Held above the smallest numbers, which are slow and change nothing.
                near = max(q, _LEAST)
                near *= near
                near *= near
                near *= near
                near *= near
                by_features[p] = amplitudes[1] * q + f * (
                    amplitudes[0] + amplitudes[2] * q + amplitudes[3] * near
                )
            for c in range(n_latent):
                weight = alpha[i, c]
                for p in range(size):
                    out[c, begin + p] += weight * by_features[p]


def predict_correction(
    features: Float32,
    xy_km: Float64 | None,
    *,
    projection: Projection,
    kernel: Kernel,
    points: Float64,
    labels_xy_km: Float64 | None,
    alpha: Float64,
    n_threads: int = 1,
) -> Float32:
    """Evaluate a fitted correction.

    Parameters
    ----------
    features
        Shape (n_features, n), finite where an answer is wanted.
    xy_km
        Shape (2, n), positions in EPSG:6933; None: everything counts as one place, nothing as near.
    points, labels_xy_km, alpha
        The labels' components (n_labels, n_components), positions (n_labels, 2) or None, and
        weights (n_labels, n_latent).

    Returns
    -------
    Shape (n_latent, n): to be added to the global logit.
    """
    n = features.shape[1]
    out = np.zeros((alpha.shape[1], n), np.float32)
    near = kernel.near
    if xy_km is None or labels_xy_km is None:
        near = 0.0
        places, labels = np.zeros((2, 0), np.float32), np.zeros((0, 2), np.float32)
    else:
        # Centred in double precision: single precision resolves 0.5 m only near the origin.
        origin = labels_xy_km[0]
        places = np.ascontiguousarray(xy_km - origin[:, None], dtype=np.float32)
        labels = np.ascontiguousarray(labels_xy_km - origin, dtype=np.float32)
    arguments = (
        np.ascontiguousarray(features, dtype=np.float32),
        projection.centre.astype(np.float32),
        (1 / projection.scale).astype(np.float32),
        np.ascontiguousarray(projection.axes, dtype=np.float32),
        np.ascontiguousarray(points, dtype=np.float32),
        np.ascontiguousarray(alpha, dtype=np.float32),
        places,
        labels,
        np.array([kernel.features, kernel.position, kernel.product, near], np.float32),
        np.array(
            [-0.5 / kernel.feature_length**2, -0.5 / kernel.position_km**2],
            np.float32,
        ),
        out,
    )
    step = max(_BLOCK, -(-n // max(n_threads, 1)))
    ranges = [(begin, min(begin + step, n)) for begin in range(0, n, step)]
    if len(ranges) <= 1:
        for begin, end in ranges:
            _correct_range(begin, end, *arguments)
        return out
    with ThreadPoolExecutor(len(ranges)) as pool:
        for task in [pool.submit(_correct_range, b, e, *arguments) for b, e in ranges]:
            task.result()
    return out
