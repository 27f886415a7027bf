"""How far one observation moves a pixel's score, learned from the pixels computed anew."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

N_BINS = 96
LOW, HIGH = 1e-2, 1e4
_EDGES = np.geomspace(LOW, HIGH, N_BINS + 1)

MEMORY = 0.9
"""What a refresh still weighs at the next one: noise changes with the season and the number of
dates."""
MIN_PIXELS = 200
"""Fewer pixels tell nothing; until there are more, everything is computed."""

EXPONENT = 0.75
"""k unknown observations count as k^0.75: independent ones move a median as √k, ones that all say
the same as k."""
POWERS = np.arange(256, dtype=np.float32) ** np.float32(EXPONENT)


def measure_debt(pending: NDArray[np.uint8], counts: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Return how much a pixel's features may have moved, in units of its own deviations.

    The pull of one observation on a geometric median is bounded, however far away it lies: with n
    observations it moves the median by about 1/n of their deviation (the influence function,
    Vardi & Zhang 2000). So the debt of k unknown observations is k^0.75 / n, added over periods.

    Parameters
    ----------
    pending
        Observations the features do not know, shape (period, n).
    counts
        Observations they know, shape (period, n).

    Returns
    -------
    Shape (n,); infinite where a period knows none and there is one.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        share = POWERS[pending] / counts
    share[pending == 0] = 0
    return np.asarray(share.sum(axis=0, dtype=np.float32))


def count_moves(
    before: NDArray[np.float32], after: NDArray[np.float32], debt: NDArray[np.float32]
) -> NDArray[np.int64]:
    """Count how far scores moved per unit of debt, shape (N_BINS,)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        moves = np.abs(after - before) / debt
    moves = moves[np.isfinite(moves)].astype(np.float64)
    return np.histogram(np.clip(moves, LOW, HIGH), bins=_EDGES)[0]


def remember(counts: Sequence[float], fresh: Sequence[float]) -> tuple[float, ...]:
    """Add fresh counts to what is remembered of the earlier ones."""
    old = np.asarray(counts if len(counts) == N_BINS else np.zeros(N_BINS))
    return tuple(float(n) for n in np.round(MEMORY * old + np.asarray(fresh), 3))


def find_reach(counts: Sequence[float], quantile: float) -> float:
    """Return the move per unit of debt that ``quantile`` of the pixels stay within; may be inf."""
    total = np.cumsum(counts) if len(counts) == N_BINS else np.zeros(1)
    if total[-1] < MIN_PIXELS or quantile >= 1:
        return float("inf")
    return float(_EDGES[1:][np.searchsorted(total, quantile * total[-1])])
