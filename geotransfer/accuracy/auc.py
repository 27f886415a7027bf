"""Area under the ROC curve: the chance that a positive row scores above a negative one."""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit

from geotransfer.accuracy.intervals import find_quantile, unknown_share
from geotransfer.core.estimate import Estimate

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_CHUNK_CELLS = 4_000_000
"""Most resample × row weights held at once (32 MB)."""


def measure_auc(scores: NDArray[np.floating], positive: Bools) -> float:
    """Return the AUC of ``scores``, shape ``(n,)``; equal scores count half.

    At least one row of each kind is needed. Mann and Whitney 1947, doi
    10.1214/aoms/1177730491.
    """
    negatives = np.sort(scores[~positive])
    return float(_rank_among(negatives, scores[positive]).mean() / len(negatives))


def resample_auc(
    scores: NDArray[np.floating],
    positive: Bools,
    unit_counts: Floats,
    units: NDArray[np.intp],
) -> Floats:
    """Return one AUC a bootstrap resample, NaN where a resample holds one kind only.

    Parameters
    ----------
    scores, positive
        Shape ``(n,)``.
    unit_counts
        How often each unit is drawn, ``(n_draws, n_units)``.
    units
        Unit of each row, 0 … n_units − 1, shape ``(n,)``.
    """
    negatives = np.flatnonzero(~positive)
    negatives = negatives[np.argsort(scores[negatives], kind="stable")]
    positives = np.flatnonzero(positive)
    below = np.searchsorted(scores[negatives], scores[positives], side="left")
    not_above = np.searchsorted(scores[negatives], scores[positives], side="right")
    n_draws = len(unit_counts)
    auc = np.full(n_draws, np.nan)
    step = max(1, _CHUNK_CELLS // max(1, len(scores)))
    for start in range(0, n_draws, step):
        part = unit_counts[start : start + step]
        weights = part[:, units[positives]]
        cumulative = np.zeros((len(part), len(negatives) + 1))
        np.cumsum(part[:, units[negatives]], axis=1, out=cumulative[:, 1:])
        wins = np.einsum("ij,ij->i", weights, cumulative[:, below] + cumulative[:, not_above]) / 2
        pairs = weights.sum(axis=1) * cumulative[:, -1]
        np.divide(wins, pairs, out=auc[start : start + step], where=pairs > 0)
    return auc


def estimate_auc(scores: NDArray[np.floating], positive: Bools, *, level: float = 0.95) -> Estimate:
    """Return the AUC of independent rows with an interval.

    DeLong's variance on the logit scale (DeLong et al. 1988, doi 10.2307/2531595); where every
    pair is ordered alike, or one kind has a single row, Newcombe's score-like interval. Beside a
    bootstrap of rows it covers better with few rows and high AUC, at no draws. One kind only:
    unknown, 0–1.
    """
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return unknown_share(level, reason="one-class")
    above, below = (np.sort(scores[kind]) for kind in (positive, ~positive))
    wins = _rank_among(below, above) / n_negative
    losses = _rank_among(above, below) / n_positive
    auc = float(wins.mean())
    low, high = bound_auc(auc, n_positive, n_negative, level)
    method = "newcombe"
    if 0 < auc < 1 and min(n_positive, n_negative) > 1:
        variance = wins.var(ddof=1) / n_positive + losses.var(ddof=1) / n_negative
        half = find_quantile(level) * sqrt(variance) / (auc * (1 - auc))
        low, high = (float(expit(logit(auc) + sign * half)) for sign in (-1, 1))
        method = "delong-logit"
    return Estimate(value=auc, low=low, high=high, level=level, method=method, n=len(scores))


def _rank_among(ordered: NDArray[np.floating], values: NDArray[np.floating]) -> Floats:
    """Return how many of ``ordered`` lie below each value, equal ones counting half."""
    below = np.searchsorted(ordered, values, side="left")
    return (below + np.searchsorted(ordered, values, side="right")) / 2


def bound_auc(auc: float, n_positive: int, n_negative: int, level: float) -> tuple[float, float]:
    """Return score-like ends for an AUC; they do not collapse at 0 or 1.

    Solves |A − AUC| = z·SE(A) with the variance of Hanley and McNeil 1982; Newcombe 2006
    (method 5), doi 10.1002/sim.2324.
    """
    z = find_quantile(level)
    half = (n_positive + n_negative) / 2 - 1

    def miss(a: float) -> float:
        spread = 1 + half * (1 - a) / (2 - a) + half * a / (1 + a)
        return abs(a - auc) - z * sqrt(a * (1 - a) * spread / (n_positive * n_negative))

    def find_end(end: float) -> float:
        # A hair inside both ends: at an AUC of 0 or 1 the equation also holds at the AUC itself.
        near, far = (x + (1e-12 if x < other else -1e-12) for x, other in ((auc, end), (end, auc)))
        return end if auc == end or miss(far) <= 0 else float(brentq(miss, near, far))

    return find_end(0.0), find_end(1.0)
