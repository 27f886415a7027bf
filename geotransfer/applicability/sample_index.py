"""An index over training samples that answers "how near?" exactly.

Importance weights spike the spectrum: a few principal axes hold nearly all variance. Each sample is
therefore summarised by its *head*: 15 principal components φ and the norm r of all that is left.
For two points the head bounds the distance d from both sides,

    |φ−φ'|² + (r−r')²  ≤  d²  ≤  |φ−φ'|² + (r+r')²,

so most questions are settled without reading all features. Samples lie in leaves of 64 neighbours,
leaves in groups of 16, each with a bounding box of heads; all are laid out lane by lane.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geotransfer.applicability.search_kernel import GROUP, HEAD, LEAF

Float32 = NDArray[np.float32]

PAD = np.float32(1e17)
"""Coordinate of an empty place: farther than anything, and its square is finite in float32."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SampleIndex:
    """Samples in weighted feature space, arranged for searching. Arrays are never written to."""

    points: Float32
    """``(n_places, n_axes)``: samples leaf by leaf; empty places hold ``PAD``."""
    rows: NDArray[np.int32]
    """``(n_places,)``: the sample's row in the table it came from; −1 in empty places."""
    rotation: NDArray[np.float64]
    """``(15, n_axes)``: principal axes, a hair short, so that the rest's norm is a norm."""
    heads: Float32
    """``(n_leaves, 16·64)``: in each leaf, axis by axis."""
    leaf_low: Float32
    """``(n_groups, 16·16)``: lower corners of the leaves' boxes; in each group, axis by axis."""
    leaf_high: Float32
    """The same for the upper corners."""
    group_low: Float32
    """``(n_packs, 16·16)``: the same for the groups' boxes, in packs of 16."""
    group_high: Float32
    radius: float
    """Largest norm of a sample: how much float32 rounding can matter."""


def build_index(points: Float32, sample_rows: NDArray[np.int32]) -> SampleIndex:
    """Arrange ``points`` ``(n, n_axes)``, float32, ``n_axes`` a multiple of 8, for searching.

    ``sample_rows`` ``(n,)`` names them. Points should be centred; answers do not depend on it,
    speed does.
    """
    n, n_axes = points.shape
    wide = points.astype(np.float64)
    rotation = find_axes(wide)
    head = summarize(wide, rotation).astype(np.float32)
    order = _order_samples(head)
    n_leaves = -(-n // LEAF)
    n_groups = -(-n_leaves // GROUP)
    rows = np.full(n_leaves * LEAF, -1, dtype=np.int32)
    rows[:n] = sample_rows[order]
    placed = np.full((n_leaves * LEAF, n_axes), PAD, dtype=np.float32)
    placed[:n] = points[order]
    heads = np.full((n_groups * GROUP * LEAF, HEAD), PAD, dtype=np.float32)
    heads[:n] = head[order]
    leaf_heads = heads.reshape(n_groups * GROUP, LEAF, HEAD)
    low = leaf_heads.min(axis=1)
    # An empty place must not widen a box, and an empty leaf must stay far away.
    high = np.where(leaf_heads < PAD, leaf_heads, -PAD).max(axis=1)
    high = np.where(low < PAD, high, PAD)
    n_packs = -(-n_groups // GROUP)
    group_low = np.full((n_packs * GROUP, HEAD), PAD, dtype=np.float32)
    group_high = np.full((n_packs * GROUP, HEAD), PAD, dtype=np.float32)
    group_low[:n_groups] = low.reshape(n_groups, GROUP, HEAD).min(axis=1)
    filled = np.where(high < PAD, high, -PAD)
    group_high[:n_groups] = filled.reshape(n_groups, GROUP, HEAD).max(axis=1)
    return SampleIndex(
        points=placed,
        rows=rows,
        rotation=rotation,
        heads=_lay_lanes(leaf_heads[:n_leaves]),
        leaf_low=_lay_lanes(low.reshape(n_groups, GROUP, HEAD)),
        leaf_high=_lay_lanes(high.reshape(n_groups, GROUP, HEAD)),
        group_low=_lay_lanes(group_low.reshape(n_packs, GROUP, HEAD)),
        group_high=_lay_lanes(group_high.reshape(n_packs, GROUP, HEAD)),
        radius=float(np.sqrt((wide**2).sum(axis=1).max())),
    )


def find_axes(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the first 15 principal axes ``(15, n_axes)``; zero rows where there are fewer.

    They are shortened by 1e-12: then |x|² − |φ|² is a positive form even after rounding, its
    root r is a norm, and the bounds above hold without exception.
    """
    _, axes = np.linalg.eigh(points.T @ points / len(points))
    rotation = np.zeros((HEAD - 1, points.shape[1]))
    kept = min(HEAD - 1, points.shape[1])
    rotation[:kept] = axes[:, ::-1][:, :kept].T * (1 - 1e-12)
    return rotation


def summarize(points: NDArray[np.float64], rotation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the heads ``(n, 16)`` of ``points``."""
    head = np.empty((len(points), HEAD))
    head[:, :-1] = points @ rotation.T
    rest = (points**2).sum(axis=1) - (head[:, :-1] ** 2).sum(axis=1)
    head[:, -1] = np.sqrt(np.maximum(rest, 0))
    return head


def _order_samples(head: Float32) -> NDArray[np.int64]:
    """Return an order in which neighbours share leaves: halve along the widest side, repeatedly.

    Cuts fall on multiples of the leaf, then of the group, so that every leaf but the last is full.
    """
    done: list[NDArray[np.int64]] = []
    pending = [np.arange(len(head))]
    while pending:
        part = pending.pop()
        if len(part) <= LEAF:
            done.append(part)
            continue
        values = head[part]
        axis = int(np.argmax(values.max(axis=0) - values.min(axis=0)))
        unit = LEAF * GROUP if len(part) > LEAF * GROUP else LEAF
        middle = max(unit, round(len(part) / 2 / unit) * unit)
        ranks = np.argsort(values[:, axis], kind="stable")
        pending += [part[ranks[middle:]], part[ranks[:middle]]]
    return np.concatenate(done)


def _lay_lanes(corners: Float32) -> Float32:
    """Turn ``(n, lane, axis)`` into ``(n, axis · lane)``."""
    return np.ascontiguousarray(corners.transpose(0, 2, 1)).reshape(len(corners), -1)
