"""Which pixels must be computed anew, which are kept, and why: pure functions on arrays.

A pixel's class is kept if no observation entered; if none it may get can give it a class; or, by
judgement, if its score lies farther from the next class than its unknown observations are likely to
have moved it. How far they move scores is measured in this region, with this model, on the pixels
computed anew (``reach``). What this is robust to, and which detectors it was measured against, is
in ``docs/decisions/0015-only-if-changed.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numba
import numpy as np
from numpy.typing import NDArray

from geotransfer.change.reach import POWERS
from geotransfer.core.identity import content_id
from geotransfer.core.legend import NODATA_CLASS

JUDGEMENT_VERSION = 1
"""Grows when the same state and observations give other decisions."""

QUANTILES = (0.96, 0.985, 0.997, 1.0)
"""The detector's strictness, step by step: a kept pixel's score lies farther from the next class
than this share of pixels moved. Beyond the last everything is computed."""

MAX_DEBT = 1.0
"""No pixel is kept that knows fewer observations than it ignores: debt cannot grow for ever."""

_SCALE = 10_000
_LOGITS = np.zeros(1 << 16, dtype=np.float32)
_known = np.clip(np.arange(_SCALE + 1), 0.5, _SCALE - 0.5)
_LOGITS[: _SCALE + 1] = np.log(_known / (_SCALE - _known))
_LOGS = np.zeros(1 << 16, dtype=np.float32)
_LOGS[: _SCALE + 1] = np.log(np.clip(np.arange(_SCALE + 1), 0.5, None) / _SCALE)


class Kept(IntEnum):
    """What became of a pixel."""

    UNTOUCHED = 0
    """Every observation is known."""
    NO_ANSWER = 1
    """A period without any observation: no answer, whatever the others say. Exact."""
    JUDGED = 2
    """Kept by judgement."""
    COMPUTE = 3


UNTOUCHED, NO_ANSWER, JUDGED, COMPUTE = (kind.value for kind in Kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How strictly pixels are judged."""

    quantile: float
    reach: float
    """From ``find_reach``; infinite: nothing is kept by judgement."""

    @property
    def detector_id(self) -> str:
        """Id of what an audit judges; the reach is measured anew at every refresh."""
        return name_detector(self.quantile)


def name_detector(quantile: float) -> str:
    """Return the id of the detector of a strictness."""
    return content_id(["judgement", JUDGEMENT_VERSION, quantile])[:16]


def measure_margin(shown: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Return the log odds of the first class against the second, from stored probabilities.

    Parameters
    ----------
    shown
        Probability layers of a map, uint16 at 1e-4, shape (layer, n): with two classes only the
        second's.

    Returns
    -------
    Shape (n,), at least 0; 0 where there is no answer.
    """
    if len(shown) == 1:
        return np.asarray(np.abs(_LOGITS[shown[0]]))
    ranked = np.sort(np.where(shown > _SCALE, 0, shown), axis=0)
    return np.asarray(_LOGS[ranked[-1]] - _LOGS[ranked[-2]])


def measure_lead(shown: NDArray[np.uint16], before: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Return the log odds of the class that led ``before`` against the one that came second.

    Negative where the lead was lost. Both of shape (layer, n); NaN where either has no answer.
    """
    if len(shown) == 1:
        lead = np.where(before[0] > _SCALE // 2, _LOGITS[shown[0]], -_LOGITS[shown[0]])
    else:
        order = np.argsort(np.where(before > _SCALE, 0, before), axis=0, kind="stable")
        first, second = (
            np.take_along_axis(shown, order[rank : rank + 1 or None], axis=0)[0]
            for rank in (-1, -2)
        )
        lead = _LOGS[first] - _LOGS[second]
    known = (shown[0] <= _SCALE) & (before[0] <= _SCALE)
    return np.where(known, lead, np.float32(np.nan)).astype(np.float32)


def judge_pixels(
    *,
    pending: NDArray[np.uint8],
    counts: NDArray[np.uint16],
    layers: NDArray[np.uint16],
    rule: Rule,
) -> NDArray[np.uint8]:
    """Decide for every pixel; values of ``Kept``, shape (n,).

    Parameters
    ----------
    pending, counts
        Unknown and known observations, shape (period, n).
    layers
        The map as it is, shape (layer, n): class, probabilities, observations.
    """
    kept = np.empty(pending.shape[1], dtype=np.uint8)
    _judge(
        np.ascontiguousarray(pending),
        np.ascontiguousarray(counts),
        np.ascontiguousarray(measure_margin(layers[1:-1])),
        # A copy: the kernel is compiled for arrays it could write into, unlike a file in place.
        np.array(layers[0]),
        np.float32(rule.reach),
        POWERS,
        kept,
    )
    return kept


@numba.njit(
    "void(u1[:,::1], u2[:,::1], f4[::1], u2[::1], f4, f4[::1], u1[::1])", nogil=True, cache=True
)
def _judge(
    pending: NDArray[np.uint8],
    counts: NDArray[np.uint16],
    margin: NDArray[np.float32],
    codes: NDArray[np.uint16],
    reach: np.float32,
    powers: NDArray[np.float32],
    kept: NDArray[np.uint8],
) -> None:
    n_periods = pending.shape[0]
    for i in range(kept.size):
        debt, share = np.float32(0), np.float32(0)
        is_blind = False
        for p in range(n_periods):
            unknown, known = pending[p, i], counts[p, i]
            if known == 0:
                is_blind |= unknown == 0
                debt = np.float32(np.inf) if unknown > 0 else debt
            else:
                debt += powers[unknown] / np.float32(known)
                share += np.float32(unknown) / np.float32(known)
        if debt == 0:
            kept[i] = UNTOUCHED
        elif is_blind and codes[i] == NODATA_CLASS:
            kept[i] = NO_ANSWER
        elif margin[i] > reach * debt and share <= MAX_DEBT:
            kept[i] = JUDGED
        else:
            kept[i] = COMPUTE
