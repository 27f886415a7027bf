"""Where a map may be trusted: inside or outside, how far, how dense, and near which samples.

Features are ``(f, n)`` float32: one row a feature, pixels in any order (neighbours next to each
other are fastest). A pixel with a feature that is not finite is not measured. A pixel's answer does
not depend on its neighbours, on chunks or on threads, to the bit, so blocks can be mapped in Dask.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from geotransfer.applicability import search_kernel
from geotransfer.applicability.area import (
    Applicability,
    find_limit,
    list_points,
    weight_features,
)
from geotransfer.errors import SpecMismatch

Float32 = NDArray[np.float32]

NODATA = 255
"""Value of the inside map where a feature is not finite."""
MAX_POINTS = 50
"""Samples counted at most, unless asked otherwise: beyond it, more support means little."""
SPAN = 4096
"""Pixels a thread takes at a time."""


def find_inside(
    applicability: Applicability, features: Float32, *, n_threads: int = 1
) -> NDArray[np.uint8]:
    """Return 1 where a pixel is inside the area of applicability, 0 outside, 255 not measured.

    Agrees with ``compute_dissimilarity(…) <= applicability.threshold`` to the bit, at a fraction of
    the cost: the search ends at the first sample that is near enough.
    """
    limit = find_limit(applicability.mean_distance, applicability.threshold)
    answers, _ = _search(
        search_kernel.INSIDE, applicability, features, limit=limit, n_threads=n_threads
    )
    return np.where(answers < 0, NODATA, answers).astype(np.uint8)


def compute_dissimilarity(
    applicability: Applicability, features: Float32, *, n_threads: int = 1
) -> Float32:
    """Return the dissimilarity index ``(n,)``; NaN where not measured."""
    return find_nearest(applicability, features, n_threads=n_threads)[0]


def find_nearest(
    applicability: Applicability, features: Float32, *, n_threads: int = 1
) -> tuple[Float32, NDArray[np.int32]]:
    """Return each pixel's dissimilarity index and the row of its nearest training sample.

    Among equally near samples, the one first in the table. NaN and −1 where not measured; inf and
    −1 where a feature is beyond any sensible value.
    """
    rows, squares = _search(
        search_kernel.NEAREST, applicability, features, limit=0.0, n_threads=n_threads
    )
    di = (np.sqrt(squares.astype(np.float64)) / applicability.mean_distance).astype(np.float32)
    return di, rows


def count_local_points(
    applicability: Applicability,
    features: Float32,
    *,
    max_points: int = MAX_POINTS,
    n_threads: int = 1,
) -> NDArray[np.int32]:
    """Return the local point density: samples with a DI below the threshold, −1 not measured.

    Counted up to ``max_points``. Schumacher et al. 2025, doi 10.5194/gmd-18-10185-2025.
    """
    if max_points < 1:
        raise ValueError(f"max_points is {max_points}; give at least 1")
    limit = find_limit(applicability.mean_distance, applicability.threshold, is_strict=True)
    answers, _ = _search(
        search_kernel.COUNT,
        applicability,
        features,
        limit=limit,
        max_count=max_points,
        n_threads=n_threads,
    )
    return answers


def list_nearest(
    applicability: Applicability, pixel: Float32, *, n_nearest: int = 5
) -> tuple[NDArray[np.int32], Float32]:
    """Return rows and DIs of the training samples nearest to one pixel ``(f,)``, nearest first.

    Both are empty where a feature is not finite.
    """
    _check_features(applicability, pixel[:, np.newaxis])
    if not np.isfinite(pixel).all():
        return np.empty(0, np.int32), np.empty(0, np.float32)
    point = weight_features(
        np.asarray(pixel, dtype=np.float32)[np.newaxis],
        applicability.columns,
        applicability.center,
        applicability.scale,
    )
    gaps = list_points(applicability).astype(np.float64) - point
    di = np.sqrt((gaps**2).sum(axis=1)) / applicability.mean_distance
    order = np.argsort(di, kind="stable")[:n_nearest]
    return applicability.sample_rows[order], di[order].astype(np.float32)


def _check_features(applicability: Applicability, features: Float32) -> None:
    expected = len(applicability.feature_names)
    if features.ndim != 2 or features.shape[0] != expected:
        raise SpecMismatch(
            f"features have shape {features.shape}, but the area of applicability was fitted on"
            f" {expected} features; derive the same spec, one row a feature."
        )


def _search(
    question: int,
    applicability: Applicability,
    features: Float32,
    *,
    limit: float,
    n_threads: int,
    max_count: int = 1,
) -> tuple[NDArray[np.int32], Float32]:
    features = np.ascontiguousarray(features, dtype=np.float32)
    _check_features(applicability, features)
    n = features.shape[1]
    answers = np.empty(n, dtype=np.int32)
    squares = np.empty(n if question == search_kernel.NEAREST else 0, dtype=np.float32)
    index = applicability.index

    def search(first: int) -> None:
        search_kernel.search_span(
            question,
            features,
            first,
            min(first + SPAN, n),
            applicability.columns,
            applicability.center,
            applicability.scale,
            index.rotation,
            index.points,
            index.rows,
            index.heads,
            index.leaf_low,
            index.leaf_high,
            index.group_low,
            index.group_high,
            index.radius,
            limit,
            max_count,
            squares,
            answers,
        )

    starts = range(0, n, SPAN)
    if n_threads == 1 or len(starts) == 1:
        for first in starts:
            search(first)
    else:
        with ThreadPoolExecutor(n_threads) as pool:
            list(pool.map(search, starts))
    return answers, squares
