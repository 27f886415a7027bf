"""Compositing rules as rows of one table: how a period's observations become one value a pixel.

Every rule reads digital numbers ``(time, band, y, x)`` and ``valid`` ``(time, y, x)`` and gives
reflectance ``(band, y, x)``, float32, NaN where no date is valid. Dates that are not valid never
count, whatever their numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from geotransfer.errors import SpecMismatch
from geotransfer.imagery.scene_windows import DN_SCALE

Float32 = NDArray[np.float32]
Rule = Callable[[NDArray[np.int16], NDArray[np.bool_], Sequence[str]], Float32]

_SCALE = np.float32(DN_SCALE)


def find_quantile(
    dn: NDArray[np.int16], valid: NDArray[np.bool_], share: float
) -> NDArray[np.float32]:
    """Return the quantile of the valid dates, interpolated linearly (Hyndman and Fan's type 7)."""
    count = valid.sum(axis=0)
    ranked = np.sort(np.where(valid[:, None], dn.astype(np.float32), np.float32(np.inf)), axis=0)
    place = np.maximum(count - 1, 0) * share
    low = np.floor(place).astype(np.int64)
    high = np.minimum(low + 1, np.maximum(count - 1, 0))
    weight = (place - low).astype(np.float32)
    below = np.take_along_axis(ranked, low[None, None], axis=0)[0]
    above = np.take_along_axis(ranked, high[None, None], axis=0)[0]
    with np.errstate(invalid="ignore"):
        found = (below * (1 - weight) + above * weight) * _SCALE
    return _blank(found, count)


def make_quantile(share: float) -> Rule:
    """Return the rule that takes a quantile of each band.

    The median is the mean of the middle two where dates are even.
    """
    return lambda dn, valid, bands: find_quantile(dn, valid, share)


def find_mean(
    dn: NDArray[np.int16], valid: NDArray[np.bool_], bands: Sequence[str]
) -> NDArray[np.float32]:
    """Return the mean of each band."""
    count = valid.sum(axis=0)
    total = np.where(valid[:, None], dn, 0).sum(axis=0, dtype=np.int64)
    return _blank(total / np.maximum(count, 1) * DN_SCALE, count)


def find_spread(
    dn: NDArray[np.int16], valid: NDArray[np.bool_], bands: Sequence[str]
) -> NDArray[np.float32]:
    """Return the standard deviation of each band over the dates (0 where there is one)."""
    count = np.maximum(valid.sum(axis=0), 1)
    wide = np.where(valid[:, None], dn, 0).astype(np.float64)
    centre = wide.sum(axis=0) / count
    squares = np.where(valid[:, None], wide - centre, 0) ** 2
    return _blank(np.sqrt(squares.sum(axis=0) / count) * DN_SCALE, valid.sum(axis=0))


def take_first(
    dn: NDArray[np.int16], valid: NDArray[np.bool_], bands: Sequence[str]
) -> NDArray[np.float32]:
    """Return the earliest valid observation."""
    return _take(dn, valid, valid.argmax(axis=0))


def take_last(
    dn: NDArray[np.int16], valid: NDArray[np.bool_], bands: Sequence[str]
) -> NDArray[np.float32]:
    """Return the latest valid observation."""
    return _take(dn, valid, len(valid) - 1 - valid[::-1].argmax(axis=0))


def take_medoid(
    dn: NDArray[np.int16], valid: NDArray[np.bool_], bands: Sequence[str]
) -> NDArray[np.float32]:
    """Return the observation whose distances to all others add up to least; the earlier of equals.

    Flood 2013, doi 10.3390/rs5126481, with Euclidean distances in all bands.
    """
    wide = dn.astype(np.float32)
    total = np.zeros(valid.shape, dtype=np.float32)
    for i in range(len(dn)):
        for j in range(i):
            gap = np.sqrt(((wide[i] - wide[j]) ** 2).sum(axis=0))
            both = valid[i] & valid[j]
            total[i] += np.where(both, gap, 0)
            total[j] += np.where(both, gap, 0)
    return _take(dn, valid, np.where(valid, total, np.inf).argmin(axis=0))


def take_greenest(
    dn: NDArray[np.int16], valid: NDArray[np.bool_], bands: Sequence[str]
) -> NDArray[np.float32]:
    """Return the observation of highest NDVI, the earlier of equals (Holben 1986).

    The index is that of bands ``nir`` and ``red``, or a band called ``ndvi``.
    """
    names = list(bands)
    if "ndvi" in names:
        index: NDArray[np.floating] = dn[:, names.index("ndvi")].astype(np.float32)
    elif {"nir", "red"} <= set(names):
        nir, red = (dn[:, names.index(n)].astype(np.float32) for n in ("nir", "red"))
        index = (nir - red) / np.where(nir + red > 0, nir + red, np.float32(np.inf))
    else:
        raise SpecMismatch(
            "statistic 'greenest' needs the bands nir and red, or a band ndvi; add them to the spec"
            " or choose 'medoid'."
        )
    return _take(dn, valid, np.where(valid, index, -np.inf).argmax(axis=0))


def _take(
    dn: NDArray[np.int16], valid: NDArray[np.bool_], step: NDArray[np.int64]
) -> NDArray[np.float32]:
    chosen = np.take_along_axis(dn, step[None, None], axis=0)[0] * _SCALE
    return _blank(chosen, valid.sum(axis=0))


def _blank(values: NDArray[np.floating], count: NDArray[np.int64]) -> NDArray[np.float32]:
    return np.where(count > 0, values, np.float32(np.nan)).astype(np.float32)


RULES: Mapping[str, Rule] = {
    "median": make_quantile(0.5),
    "mean": find_mean,
    "minimum": make_quantile(0.0),
    "maximum": make_quantile(1.0),
    "p10": make_quantile(0.1),
    "p90": make_quantile(0.9),
    "spread": find_spread,
    "first": take_first,
    "last": take_last,
    "medoid": take_medoid,
    "greenest": take_greenest,
}
"""Statistic of a spec → rule. The geometric median and its deviations are a kernel of their own
(``imagery/geomedian.py``)."""


def summarize(
    statistic: str, dn: NDArray[np.int16], valid: NDArray[np.bool_], bands: Sequence[str]
) -> NDArray[np.float32]:
    """Apply one rule, shape (band, y, x); NaN everywhere where there is no date at all."""
    if not len(dn):
        return np.full(dn.shape[1:], np.nan, dtype=np.float32)
    return RULES[statistic](dn, valid, bands)
