"""Reach: the share of a region where the map may be trusted at the accuracy asked for.

The map is trusted where its confidence is at or above a cutoff. The cutoff is learned on *other*
regions' leave-one-region-out rows, and a region's own separated rows must then agree with it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from geotransfer.accuracy.reach import choose_confidence_cutoff, estimate_reach
from geotransfer.core.decode import from_plain
from geotransfer.core.estimate import Estimate
from geotransfer.core.fact import RefreshDone
from geotransfer.store.shipped import REGIONS, locate_shipped

LEVEL = 0.95
N_BINS = 100
MAX_PLACES = 200_000
"""Places that stand for a whole area; enough for a share to be exact to 0.001 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceRows:
    """Judged rows by confidence, in equal bins from 0 to 1."""

    n: tuple[int, ...]
    n_correct: tuple[int, ...]

    @staticmethod
    def bin_rows(judged: tuple[NDArray[np.float64], NDArray[np.bool_]]) -> ConfidenceRows:
        """Bin rows of confidence and correctness."""
        confidence, is_correct = judged
        place = np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)
        return ConfidenceRows(
            n=tuple(int(v) for v in np.bincount(place, minlength=N_BINS)),
            n_correct=tuple(int(v) for v in np.bincount(place[is_correct], minlength=N_BINS)),
        )

    def expand(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return rows again, each with the lower edge of its bin as confidence."""
        edges = np.arange(N_BINS) / N_BINS
        right, wrong = np.array(self.n_correct), np.array(self.n) - np.array(self.n_correct)
        confidence = np.concatenate([np.repeat(edges, right), np.repeat(edges, wrong)])
        is_correct = np.repeat([True, False], [right.sum(), wrong.sum()])
        return confidence, is_correct


def find_cutoff_for(regions: Sequence[ConfidenceRows], target: float) -> float | None:
    """Return the confidence cutoff that rows of some regions prove, or None.

    Regions count, not rows: how much they differ from each other is how much one more may differ.
    Learned on rows alone, the cutoff missed the target in four of the six regions left out; with
    regions as groups in one.
    """
    expanded = [rows.expand() for rows in regions]
    sizes = [len(confidence) for confidence, _ in expanded]
    return choose_confidence_cutoff(
        np.concatenate([confidence for confidence, _ in expanded]),
        np.concatenate([is_correct for _, is_correct in expanded]),
        target=target,
        level=LEVEL,
        groups=np.repeat(np.arange(len(sizes)), sizes),
    )


@lru_cache(maxsize=4)
def find_cutoff(target: float) -> float | None:
    """Return the cutoff for a region outside the reference regions: all of these vouch for it."""
    document = json.loads(locate_shipped(REGIONS).read_text(encoding="utf-8"))
    rows = [from_plain(ConfidenceRows, entry["confidence"]) for entry in document["regions"]]
    return find_cutoff_for(rows, target)


def measure_table_reach(rows: ConfidenceRows, cutoff: float | None, target: float) -> Estimate:
    """Return the share of a table region's samples that may be trusted."""
    confidence, is_correct = rows.expand()
    return estimate_reach(
        confidence,
        cutoff=cutoff,
        target=target,
        own_confidence=confidence,
        own_correct=is_correct,
        is_whole_area=False,
    ).share


def measure_reach(
    done: RefreshDone,
    *,
    confidence: NDArray[np.float64],
    is_correct: NDArray[np.bool_],
    cutoff: float | None,
    target: float,
) -> Estimate:
    """Return the share of a mapped region that may be trusted.

    Pixels without enough valid observations count in the area and are never trusted.

    Parameters
    ----------
    confidence, is_correct
        The region's own evaluation rows, shape (m,).
    """
    return estimate_reach(
        _expand_area(done),
        cutoff=cutoff,
        target=target,
        own_confidence=confidence,
        own_correct=is_correct,
        is_whole_area=True,
    ).share


def _expand_area(done: RefreshDone) -> NDArray[np.float64]:
    """Return confidences that stand for the area, in proportion; NaN where observations lack."""
    counts = np.array(done.confidence_counts, dtype=np.float64)
    scale = min(1.0, MAX_PLACES / max(done.n_pixels, 1))
    known = np.repeat(np.arange(N_BINS) / N_BINS, np.rint(counts * scale).astype(int))
    n_unknown = round((done.n_pixels - counts.sum()) * scale)
    return np.concatenate([known, np.full(n_unknown, np.nan)])
