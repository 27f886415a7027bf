"""Gap filling: columns of a period without any observation, from the periods beside it.

Off unless a spec asks for it. A value is only ever put between two that were seen, and each pixel
says how many of its periods are filled in.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geotransfer.core.spec import FeatureSpec

MIN_SEEN_SHARE = 0.5
"""A pixel seen in fewer of its periods is not filled in: it would be more guess than picture."""


def fill_gaps(
    values: NDArray[np.float32], counts: NDArray[np.uint16], spec: FeatureSpec
) -> NDArray[np.uint8]:
    """Interpolate unseen periods linearly, in place, where the spec asks for it.

    Parameters
    ----------
    values
        Shape (n_measured, y, x), rows of the spec; formulas of measured columns are computed later.
    counts
        Valid observations, shape (n_periods, y, x).

    Returns
    -------
    Periods filled in, shape (y, x); zero everywhere without gap filling.

    Notes
    -----
    Periods of calendar months close to a circle: December lies between November and January. Spans
    of days do not, and their ends stay open.
    """
    filled = np.zeros(counts.shape[1:], dtype=np.uint8)
    if not spec.gap_filling:
        return filled
    seen = counts > 0
    before, after, weight, can_fill = _find_neighbours(seen, spec)
    filled[...] = can_fill.sum(axis=0)
    if not can_fill.any():
        return filled
    number = {period.name: k for k, period in enumerate(spec.periods)}
    series: dict[tuple[str, str], dict[int, int]] = {}
    for row, column in enumerate(spec.measured):
        if column.statistic and column.period:
            series.setdefault((column.statistic, column.band), {})[number[column.period]] = row
    for rows_by_period in series.values():
        if len(rows_by_period) == len(spec.periods):
            rows = [rows_by_period[k] for k in range(len(spec.periods))]
            known = values[rows]
            left = np.take_along_axis(known, before, axis=0)
            right = np.take_along_axis(known, after, axis=0)
            between = left + weight * (right - left)
            values[rows] = np.where(can_fill, between, known)
    return filled


def _find_neighbours(
    seen: NDArray[np.bool_], spec: FeatureSpec
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32], NDArray[np.bool_]]:
    """Return the seen period before and after each one, the weight of the latter, and where both
    exist and the period itself is unseen; all of shape (period, y, x)."""
    n = len(seen)
    is_round = not any(period.start or period.end for period in spec.periods)
    before = np.full(seen.shape, -1, dtype=np.int64)
    after = np.full(seen.shape, -1, dtype=np.int64)
    # Distances in periods; walking the circle twice finds a neighbour across the year's end.
    far = np.full(seen.shape[1:], -1, dtype=np.int64)
    for step in range(2 * n if is_round else n):
        far = np.where(seen[step % n], step, far)
        if not is_round or step >= n:
            before[step % n] = far
    near = np.full(seen.shape[1:], -1, dtype=np.int64)
    for step in range(2 * n - 1 if is_round else n - 1, -1, -1):
        near = np.where(seen[step % n], step, near)
        if step < n:
            after[step] = near
    place = np.arange(n)[:, None, None]
    gap_before = place + n - before if is_round else place - before
    gap_after = after - place
    has_both = (before >= 0) & (after >= 0)
    enough = seen.mean(axis=0) >= MIN_SEEN_SHARE
    can_fill = ~seen & has_both & enough[None]
    total = np.maximum(gap_before + gap_after, 1)
    weight = (gap_before / total).astype(np.float32)
    return np.maximum(before, 0) % n, np.maximum(after, 0) % n, weight, can_fill
