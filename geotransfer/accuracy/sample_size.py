"""How many reference labels a map needs, and in which of its classes to place them."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np
from numpy.typing import NDArray

from geotransfer.errors import InputError

Floats = NDArray[np.float64]


def size_sample(
    mapped_km2: Sequence[float], expected_users: Sequence[float], *, target_se: float
) -> int:
    """Return how many labels give the overall accuracy a standard error of ``target_se``.

    n = (Σ W_i S_i / SE)² with S_i = sqrt(U_i (1 − U_i)), U_i the expected user's accuracy of class
    i: Olofsson et al. 2014, equation 13 (large population).
    """
    weights, spreads = _weigh_strata(mapped_km2, expected_users)
    if not target_se > 0:
        raise InputError(f"target_se is {target_se}; give a standard error above 0, such as 0.01.")
    # Rounding must not ask for one label more.
    return ceil(float((weights * spreads).sum() / target_se) ** 2 - 1e-9)


def allocate_sample(
    n: int,
    mapped_km2: Sequence[float],
    *,
    expected_users: Sequence[float] | None = None,
    floor: int = 50,
) -> tuple[int, ...]:
    """Return how many of ``n`` labels each map class gets; they add up to ``n``.

    Every class with area gets ``floor`` labels first (fewer where ``n`` does not suffice), so that
    rare classes can be judged; the rest is shared out in proportion to area, or, where
    ``expected_users`` is given, to area times spread (Neyman). Olofsson et al. 2014, section 5.1.
    """
    weights, spreads = _weigh_strata(mapped_km2, expected_users or [0.5] * len(mapped_km2))
    shares = weights * spreads
    shares = weights if not shares.sum() else shares / shares.sum()
    present = weights > 0
    base = np.where(present, min(floor, n // int(present.sum())), 0)
    rest = (n - int(base.sum())) * shares
    counts = base + np.floor(rest).astype(np.int64)
    # Largest remainders first; equal ones in class order.
    for place in np.argsort(-(rest - np.floor(rest)), kind="stable")[: n - int(counts.sum())]:
        counts[place] += 1
    return tuple(int(count) for count in counts)


def _weigh_strata(
    mapped_km2: Sequence[float], expected_users: Sequence[float]
) -> tuple[Floats, Floats]:
    areas = np.asarray(mapped_km2, dtype=np.float64)
    users = np.asarray(expected_users, dtype=np.float64)
    if areas.shape != users.shape or not areas.sum() > 0 or areas.min() < 0:
        raise InputError("Give each map class its area in km² and one expected user's accuracy.")
    if users.min() < 0 or users.max() > 1:
        raise InputError("An expected user's accuracy lies between 0 and 1; write 90 % as 0.9.")
    return areas / areas.sum(), np.sqrt(users * (1 - users))
