"""The audit of what judgement kept: which blocks are drawn, and what they prove.

A block is 32 × 32 pixels of one tile. Draws are random by a seed and independent given the map, a
block's chance in proportion to its pixels kept by judgement; so neither clustering within tiles nor
the place of a change can deceive the bound, and no model of the land is assumed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geotransfer.core.audit import Evidence

BLOCK_PX = 32
ALPHA = 0.05
"""The bound fails with at most this probability, over all looks together."""

_STAKES = np.array([0.97, 0.9, 0.7, 0.4])
"""Betting fractions, mixed: the first pays where blocks hardly differ, the last where they do."""
_SHARES = np.array([0.55, 0.25, 0.12, 0.08])

CERTAIN_SHARE = 0.6
"""Certified once a spotless record would have a bound of at most this share of the tolerance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block with pixels kept by judgement."""

    tile_id: str
    number: int
    """Row by row in its tile."""
    n_judged: int
    age: int
    """Refreshes since its pixels were up to date, the mean, rounded."""


def name_stratum(age: int) -> str:
    """Return the stratum of an age in refreshes."""
    if age <= 2:
        return str(max(age, 1))
    low = 1 << (age - 1).bit_length() - 1
    return f"{low + 1}–{2 * low}"


def count_blocks(values: NDArray[np.generic], shape: tuple[int, int]) -> NDArray[np.int64]:
    """Add up pixels, in one line, by blocks of a tile of ``shape`` (y, x), row by row."""
    height, width = shape
    rows, cols = -(-height // BLOCK_PX), -(-width // BLOCK_PX)
    padded = np.zeros((rows * BLOCK_PX, cols * BLOCK_PX), dtype=np.int64)
    padded[:height, :width] = values.reshape(shape)
    counts = padded.reshape(rows, BLOCK_PX, cols, BLOCK_PX).sum(axis=(1, 3))
    return np.asarray(counts.ravel(), dtype=np.int64)


def find_block(number: int, shape: tuple[int, int]) -> NDArray[np.intp]:
    """Return a block's pixels in its tile of ``shape`` (y, x), pixels in one line."""
    height, width = shape
    cols = -(-width // BLOCK_PX)
    top, left = number // cols * BLOCK_PX, number % cols * BLOCK_PX
    ys = np.arange(top, min(top + BLOCK_PX, height))
    xs = np.arange(left, min(left + BLOCK_PX, width))
    return np.asarray((ys[:, None] * width + xs).ravel(), dtype=np.intp)


def count_draws(n_judged: int, n_pixels: int, audit_blocks: int) -> int:
    """Return how many blocks to draw: ``audit_blocks`` for a map kept whole, less in proportion."""
    return math.ceil(audit_blocks * n_judged / n_pixels) if n_pixels else 0


def draw_blocks(blocks: Sequence[Block], n_draws: int, *, seed: int) -> tuple[Block, ...]:
    """Draw blocks, each in proportion to its judged pixels; one may come twice.

    The blocks are lined up by age, tile and place, each as long as its judged pixels, the line is
    cut into ``n_draws`` equal parts and one point drawn in each. Every part of the region and every
    age is thus drawn from in its proportion.
    """
    line = sorted((b for b in blocks if b.n_judged), key=lambda b: (b.age, b.tile_id, b.number))
    if not line or not n_draws:
        return ()
    ends = np.cumsum([b.n_judged for b in line])
    parts = np.arange(n_draws) + np.random.default_rng(seed).random(n_draws)
    found = np.searchsorted(ends, parts / n_draws * ends[-1], side="right")
    return tuple(line[min(i, len(line) - 1)] for i in found.tolist())


def add_evidence(
    evidence: Evidence,
    stale: Sequence[tuple[int, int]],
    *,
    n_judged: int,
    n_pixels: int,
    audit_blocks: int,
) -> Evidence:
    """Add one audit to the evidence.

    Parameters
    ----------
    stale
        Stale and judged pixels of each drawn block, in the order of the draws.
    n_judged, n_pixels
        Pixels kept by judgement in the region, and its pixels.
    audit_blocks
        As in ``count_draws``.
    """
    weight = audit_blocks * n_judged / n_pixels if n_pixels else 0.0
    n, total, spread = evidence.n_blocks, evidence.total, evidence.spread
    for n_stale, n_block in stale:
        value = weight / len(stale) * n_stale / n_block
        # What the draw is compared with must be known before it.
        guess = total / (n + 1)
        spread += (value - guess) ** 2
        total += value
        n += 1
    return Evidence(
        n_blocks=n,
        n_pixels=evidence.n_pixels + sum(b for _, b in stale),
        n_stale=evidence.n_stale + sum(s for s, _ in stale),
        total=total,
        spread=spread,
        effort=evidence.effort + audit_blocks,
        weight=evidence.weight + weight,
    )


def bound_total(evidence: Evidence) -> float:
    """Return the upper bound of the sum of expected values of all draws so far.

    With X in [0, 1], any guess g made before it and a stake s below 1,
    exp(s(E X − X) − ψ(s)(X − g)²), ψ(s) = −ln(1 − s) − s, has expectation at most 1 (Fan, Grama &
    Liu 2015, doi 10.1214/EJP.v20-3496; Howard et al. 2021, doi 10.1214/20-AOS1991). Products over
    draws, mixed over stakes, exceed 1/α at any time with probability at most α (Ville). Expected
    values may change from draw to draw: the bound is of their sum.
    """
    penalty = -np.log1p(-_STAKES) - _STAKES

    def grow(total: float) -> float:
        gains = _STAKES * (total - evidence.total) - penalty * evidence.spread
        top = float((gains + np.log(_SHARES)).max())
        return top + math.log(float(np.exp(gains + np.log(_SHARES) - top).sum()))

    low, high = evidence.total, evidence.total + 1.0
    while grow(high) < -math.log(ALPHA):
        high = evidence.total + 2 * (high - evidence.total)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if grow(middle) < -math.log(ALPHA) else (low, middle)
    return high


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """What the evidence says; shares are means over the refreshes audited."""

    share: float
    """Estimated stale share of the region's pixels."""
    bound: float
    """Its one-sided 95 % upper bound, valid at every look."""
    bound_kept: float
    """The bound as a share of the pixels kept by judgement."""
    kept_share: float
    is_certified: bool
    needed_blocks: int


def find_bound(evidence: Evidence, *, tolerance: float) -> Bound:
    """Turn evidence into a bound of the stale share, and say whether it is enough."""
    if not evidence.effort:
        return Bound(
            share=0.0, bound=1.0, bound_kept=1.0, kept_share=0.0, is_certified=False,
            needed_blocks=0,
        )  # fmt: skip
    total = bound_total(evidence)
    kept_share = evidence.weight / evidence.effort
    spotless = bound_total(Evidence())
    needed = spotless / (CERTAIN_SHARE * tolerance) if tolerance else math.inf
    progress = evidence.effort / needed
    return Bound(
        share=evidence.total / evidence.effort,
        bound=min(total / evidence.effort, kept_share),
        bound_kept=min(total / evidence.weight, 1.0) if evidence.weight else 0.0,
        kept_share=kept_share,
        is_certified=progress >= 1,
        needed_blocks=math.ceil(evidence.n_blocks / progress) if progress else 0,
    )


def count_strata(
    blocks: Sequence[Block], drawn: Sequence[Block], stale: Mapping[tuple[str, int], int]
) -> tuple[tuple[str, int, int, int, int], ...]:
    """Return name, pixels kept, blocks drawn, their pixels and the stale ones, a stratum each."""
    rows: dict[str, list[int]] = {}
    for block in sorted(blocks, key=lambda b: b.age):
        if block.n_judged:
            rows.setdefault(name_stratum(block.age), [0, 0, 0, 0])[0] += block.n_judged
    for block in drawn:
        row = rows[name_stratum(block.age)]
        row[1] += 1
        row[2] += block.n_judged
        row[3] += stale[block.tile_id, block.number]
    return tuple((name, *row) for name, row in rows.items())  # type: ignore[misc]
