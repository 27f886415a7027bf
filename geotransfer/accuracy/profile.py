"""Expected accuracy against dissimilarity: how right the map is where it resembles its training.

Accuracy may only fall as the dissimilarity index (DI) grows. A falling isotonic regression of 0/1
correctness says by how much, without the window of a moving average; whole blocks are resampled for
its interval. The idea is that of CAST's error profiles (Meyer and Pebesma 2021, doi
10.1111/2041-210X.13650); isotonic regression: Barlow et al. 1972.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import isotonic_regression

from geotransfer.accuracy.intervals import (
    Floats,
    bound_wilson,
    check_level,
    draw_unit_counts,
)
from geotransfer.core.applicability import AccuracyCurve
from geotransfer.errors import InputError, TableInvalid

N_DRAWS = 300
_BIN_ROWS = 20
"""Fewest rows in a bin: single rows at the ends would pull the curve to 0 or 1."""
_MOST_BINS = 60


class ExpectedAccuracy(NamedTuple):
    """Accuracy with its interval at given places; three arrays of one shape, NaN where DI is."""

    low: Floats
    value: Floats
    high: Floats


def fit_profile(
    di: ArrayLike,
    correct: ArrayLike,
    *,
    seed: int,
    groups: Sequence[object] | NDArray[np.generic] | None = None,
    level: float = 0.95,
) -> AccuracyCurve:
    """Fit expected accuracy to rows predicted by models that had not seen them.

    Parameters
    ----------
    di
        Dissimilarity of each row to the training rows *of the fold that predicted it*, shape
        ``(n,)``, at least 0.
    correct
        Whether the prediction was right, shape ``(n,)``. Pool the rows of all folds (global
        validation): means over unequal folds mislead.
    groups
        Spatial block of each row; whole blocks are then resampled.

    Raises
    ------
    TableInvalid
        Unequal lengths, or a DI that is negative or not finite.
    InputError
        Fewer rows than one bin.
    """
    check_level(level)
    x = np.asarray(di, dtype=np.float64)
    right = np.asarray(correct, dtype=np.float64)
    if x.ndim != 1 or x.shape != right.shape or (groups is not None and len(groups) != len(x)):
        raise TableInvalid("di, correct and groups differ in length; give one value of each a row.")
    if not np.isfinite(x).all() or x.min(initial=0) < 0:
        raise TableInvalid("di holds values that are no dissimilarity; leave those rows out.")
    if len(x) < _BIN_ROWS:
        raise InputError(f"{len(x)} rows give no profile; evaluate at least {_BIN_ROWS}.")
    n = len(x)
    units = (
        np.arange(n) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    )
    n_units = int(units.max()) + 1

    bins = _cut_bins(x)
    n_bins = int(bins.max()) + 1
    sizes = np.bincount(bins)
    knots = np.bincount(bins, x) / sizes
    hits = np.bincount(bins, right)
    value = _fit_falling(hits / sizes, sizes)

    # Rows and hits of each unit in each bin; a resample is a sum of units.
    place = units * n_bins + bins
    unit_sizes = np.bincount(place, minlength=n_units * n_bins).reshape(n_units, n_bins)
    unit_hits = np.bincount(place, right, minlength=n_units * n_bins).reshape(n_units, n_bins)
    counts = draw_unit_counts(n_units, N_DRAWS, np.random.default_rng(seed))
    drawn_sizes, drawn_hits = counts @ unit_sizes, counts @ unit_hits
    draws = np.empty((N_DRAWS, n_bins))
    for draw, (size, hit) in enumerate(zip(drawn_sizes, drawn_hits, strict=True)):
        full = size > 0
        draws[draw] = np.interp(
            knots, knots[full], _fit_falling(hit[full] / size[full], size[full])
        )
    tail = (1 - level) / 2
    low, high = np.quantile(draws, (tail, 1 - tail), axis=0)

    # Where all rows of a step are right every resample is, too: no narrower than Wilson's interval.
    step = np.append(0, np.cumsum(np.diff(value) != 0))
    step_low, step_high = bound_wilson(np.bincount(step, hits), np.bincount(step, sizes), level)
    low = np.minimum.accumulate(np.minimum(low, step_low[step]))
    high = np.maximum.accumulate(np.maximum(high, step_high[step])[::-1])[::-1]
    return AccuracyCurve(
        di=tuple(knots.tolist()),
        low=tuple(np.minimum(low, value).tolist()),
        value=tuple(value.tolist()),
        high=tuple(np.maximum(high, value).tolist()),
        largest_di=float(x.max()),
        level=level,
        method="isotonic, row-bootstrap" if groups is None else "isotonic, block-bootstrap",
        n=n,
    )


def predict_accuracy(curve: AccuracyCurve, di: ArrayLike) -> ExpectedAccuracy:
    """Return expected accuracy at each DI, any shape.

    Beyond the largest DI measured the lower end is 0 and value and upper end stay at their last:
    accuracy there is at most that, and nobody has measured how much less. NaN stays NaN.
    """
    x = np.asarray(di, dtype=np.float64)
    low, value, high = (
        np.interp(x, curve.di, knots) for knots in (curve.low, curve.value, curve.high)
    )
    low = np.where(x > curve.largest_di, 0.0, low)
    return ExpectedAccuracy(low=low, value=value, high=high)


def _cut_bins(x: Floats) -> NDArray[np.intp]:
    """Return each row's bin, 0 …; bins rise with ``x`` and equal values share one."""
    order = np.argsort(x, kind="stable")
    n_bins = int(np.clip(len(x) // _BIN_ROWS, 1, _MOST_BINS))
    bins = np.empty(len(x), np.intp)
    bins[order] = np.arange(len(x)) * n_bins // len(x)
    first = np.searchsorted(x[order], x, side="left")
    return np.unique(bins[order][first], return_inverse=True)[1].astype(np.intp)


def _fit_falling(share: Floats, weight: NDArray[np.number]) -> Floats:
    return np.asarray(isotonic_regression(share, weights=weight, increasing=False).x)
