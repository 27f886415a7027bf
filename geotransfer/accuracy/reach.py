"""Reach: the share of a region where the map is right often enough to be used.

A region without labels cannot say at which confidence its map may be trusted; other regions can.
The cutoff is learned on their leave-one-region-out rows with a guarantee that survives the search
for it, and the region's own separated rows, where there are any, may veto it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr
from scipy.stats import binom

from geotransfer.accuracy.intervals import Floats, check_level, estimate_wilson
from geotransfer.core.estimate import Estimate
from geotransfer.errors import InputError, TableInvalid

CUTOFFS = (
    0.999,
    *(round(0.995 - 0.005 * step, 3) for step in range(9)),
    *(round(0.95 - 0.01 * step, 2) for step in range(46)),
    *(round(0.45 - 0.05 * step, 2) for step in range(10)),
)
"""Cutoffs tried, from the strictest to 0 (everything). Fixed before any row is seen."""
STARTS = (0.9, 0.75)
"""Cutoffs from which the search goes down; fixed, too (decision 0006)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Share of a region's area where the map may be trusted, and why."""

    share: Estimate
    cutoff: float | None
    """Lowest confidence trusted; None where none is."""
    accuracy: Estimate | None
    """Overall accuracy of the region's own separated rows at or above the cutoff; None without."""
    reason: str
    """A sentence for the reader of the share."""


def choose_confidence_cutoff(
    confidence: ArrayLike,
    correct: ArrayLike,
    *,
    target: float,
    level: float = 0.95,
    groups: Sequence[object] | NDArray[np.generic] | None = None,
) -> float | None:
    """Return the lowest confidence at or above which accuracy is proved to be ``target``.

    With probability ``level`` or more, rows of the same population are right in at least
    ``target`` of cases at or above the cutoff, although many cutoffs were looked at: from each of
    two fixed starts the search goes down a fixed list and stops at the first cutoff that fails, and
    each start has half of the error to spend. Fixed-sequence testing, Angelopoulos et al.
    2021 (Learn then Test), arXiv 2110.01052. None where no cutoff passes.

    Parameters
    ----------
    confidence
        Probability of the class shown, 0–1, shape ``(n,)``.
    correct
        Whether the map was right, shape ``(n,)``: rows of *other* regions, each predicted by a
        model that had not seen its region.
    target
        Overall accuracy asked for, between 0 and 1.
    groups
        Region of each row, where the cutoff is for another region (on the reference regions a
        cutoff learned without failed in four of six), or its block. Rows of one group are right or
        wrong together, so that groups count and not rows; a t test of groups then joins the exact
        binomial one, and the guarantee is approximate. None: rows are independent.
    """
    values, right = _check_rows(confidence, correct)
    _check_target(target)
    if groups is not None and len(groups) != len(values):
        raise TableInvalid(
            f"groups has {len(groups)} rows, confidence {len(values)}; give one of each a row."
        )
    error = (1 - check_level(level)) / len(STARTS)
    units = None if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    lowest = inf
    for start in STARTS:
        for cutoff in CUTOFFS[CUTOFFS.index(start) :]:
            is_above = values >= cutoff
            above_units = None if units is None else units[is_above]
            if _test_accuracy(right[is_above], target, above_units) > error:
                break
            lowest = min(lowest, cutoff)
    return None if lowest == inf else lowest


def _test_accuracy(right: Floats, target: float, units: NDArray[np.intp] | None) -> float:
    """Return the p value of "accuracy is below ``target``"; small: it is not."""
    n = len(right)
    if not n:
        return 1.0
    exact = float(binom.sf(right.sum() - 1, n, target))
    if units is None:
        return exact
    sizes = np.bincount(units)
    surplus = (np.bincount(units, right) - target * sizes)[sizes > 0]
    n_units = len(surplus)
    if n_units < 2:
        return 1.0
    spread = sqrt(n_units * surplus.var(ddof=1))
    # Groups that all agree say nothing about their spread; the binomial test then stands alone.
    by_group = float(stdtr(n_units - 1, -surplus.sum() / spread)) if spread else exact
    return max(exact, by_group)


def estimate_reach(
    confidence: ArrayLike,
    *,
    cutoff: float | None,
    target: float,
    own_confidence: ArrayLike,
    own_correct: ArrayLike,
    is_whole_area: bool,
    level: float = 0.95,
) -> Reach:
    """Return the share of a region with confidence at or above ``cutoff``.

    Zero, with the reason, where no cutoff was found or where the region's own rows at or above it
    are right less often than ``target``.

    Parameters
    ----------
    confidence
        Confidence of every place of the region, any shape; NaN (no answer) is not trusted and
        counts in the area.
    cutoff
        From ``choose_confidence_cutoff`` on other regions.
    own_confidence, own_correct
        The region's own rows, predicted at a separation, shape ``(m,)``; empty where it has none.
    is_whole_area
        True where ``confidence`` holds every pixel; False where it is a sample of places, whose
        share has an interval.
    """
    places = np.asarray(confidence, dtype=np.float64).ravel()
    _check_target(target)
    check_level(level)
    if not len(places):
        raise InputError("The region has no place with a confidence; predict its map first.")
    own_values, own_right = _check_rows(own_confidence, own_correct)
    n = len(places)
    if cutoff is None:
        reason = f"At no confidence are the other regions right in {target:.0%} of cases."
        none = Estimate(value=0.0, low=0.0, high=0.0, level=level, method="no-cutoff", n=n)
        return Reach(share=none, cutoff=None, accuracy=None, reason=reason)
    share = _estimate_share(int((places >= cutoff).sum()), n, is_whole_area, level)
    above = own_right[own_values >= cutoff]
    if not len(above):
        reason = (
            f"At a confidence of {cutoff:g} or more the other regions are right in at least"
            f" {target:.0%} of cases; no label of its own checks that here."
        )
        return Reach(share=share, cutoff=cutoff, accuracy=None, reason=reason)
    accuracy = estimate_wilson(int(above.sum()), len(above), level)
    if accuracy.value >= target:
        reason = (
            f"At a confidence of {cutoff:g} or more the other regions are right in at least"
            f" {target:.0%} of cases, and {accuracy.value:.0%} of {accuracy.n} own rows are."
        )
        return Reach(share=share, cutoff=cutoff, accuracy=accuracy, reason=reason)
    reason = (
        f"At a confidence of {cutoff:g} or more only {accuracy.value:.0%} of {accuracy.n} own"
        f" rows are right, which is below the target of {target:.0%}."
    )
    # Where the own rows leave the target possible, so does the interval.
    high = share.high if accuracy.high >= target else 0.0
    vetoed = Estimate(value=0.0, low=0.0, high=high, level=level, method="vetoed", n=n)
    return Reach(share=vetoed, cutoff=cutoff, accuracy=accuracy, reason=reason)


def _estimate_share(n_trusted: int, n: int, is_whole_area: bool, level: float) -> Estimate:
    if not is_whole_area:
        return estimate_wilson(n_trusted, n, level)
    share = n_trusted / n
    return Estimate(value=share, low=share, high=share, level=level, method="whole-area", n=n)


def _check_target(target: float) -> None:
    if not 0 < target < 1:
        raise InputError(f"target {target} is not between 0 and 1; write 80 % as 0.8.")


def _check_rows(confidence: ArrayLike, correct: ArrayLike) -> tuple[Floats, Floats]:
    values = np.asarray(confidence, dtype=np.float64)
    right = np.asarray(correct, dtype=np.float64)
    if values.ndim != 1 or values.shape != right.shape:
        raise TableInvalid("confidence and correct differ in length; give one of each a row.")
    if len(values) and not (values.min() >= 0 and values.max() <= 1):
        raise TableInvalid("A confidence is not between 0 and 1; leave out rows without an answer.")
    return values, right
