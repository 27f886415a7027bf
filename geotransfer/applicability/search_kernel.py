"""The compiled search: for each pixel, is a sample near, which is nearest, how many are near.

One traversal serves all three questions; they differ in the radius searched and in what a candidate
does. Every answer rests on one function, ``measure_distance``, that adds in a fixed order. Bounds
only decide what need not be measured, and leave room for rounding, so a pixel's answer is the same
to the bit whatever was asked before it: chunks and threads do not show.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from geotransfer.applicability.sample_index import GROUP, HEAD, LEAF

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

INSIDE, NEAREST, COUNT = 0, 1, 2
"""The questions: is any sample within the limit; which is nearest; how many are within it."""
LANES = 32
"""Pixels summarised together."""
RELATIVE_SLACK = 1e-5
"""More than float32 rounding can change a distance of 110 features, relative to it."""
ABSOLUTE_SLACK = 1e-6
"""The same relative to the norms of the two points: heads are stored in float32."""
FAR = 1e30
"""Squared norm beyond which a pixel is farther than anything and is not searched."""


@njit(nogil=True, cache=True)
def measure_distance(a: Float32, b: Float32) -> np.float32:
    """Return the squared distance of two points whose length is a multiple of 8."""
    # Eight sums in a fixed order: the compiler may use vectors, but not reorder.
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = np.float32(0)
    for k in range(0, a.shape[0], 8):
        d0 = a[k] - b[k]
        d1 = a[k + 1] - b[k + 1]
        d2 = a[k + 2] - b[k + 2]
        d3 = a[k + 3] - b[k + 3]
        d4 = a[k + 4] - b[k + 4]
        d5 = a[k + 5] - b[k + 5]
        d6 = a[k + 6] - b[k + 6]
        d7 = a[k + 7] - b[k + 7]
        s0 += d0 * d0
        s1 += d1 * d1
        s2 += d2 * d2
        s3 += d3 * d3
        s4 += d4 * d4
        s5 += d5 * d5
        s6 += d6 * d6
        s7 += d7 * d7
    return ((s0 + s4) + (s2 + s6)) + ((s1 + s5) + (s3 + s7))


@njit(nogil=True, cache=True, fastmath={"contract", "nsz"})
def summarize_block(
    features: Float32,
    first: int,
    n: int,
    columns: NDArray[np.int32],
    center: Float32,
    scale: Float32,
    rotation: Float64,
    block: Float64,
    heads: Float64,
    norms: Float64,
) -> None:
    """Weight ``n`` ≤ 32 pixels into ``block`` (axis, lane); find heads (axis, lane) and norms.

    A norm is NaN where any feature, used or not, is not finite.
    """
    for lane in range(LANES):
        norms[lane] = 0.0
    for column in range(features.shape[0]):
        for lane in range(n):
            norms[lane] += features[column, first + lane] * np.float32(0)
    for axis in range(columns.shape[0]):
        column = columns[axis]
        for lane in range(n):
            value = (features[column, first + lane] - center[axis]) * scale[axis]
            block[axis, lane] = value
            norms[lane] += np.float64(value) * np.float64(value)
    for start in range(0, HEAD - 1, 3):
        for lane in range(LANES):
            heads[start, lane] = 0.0
            heads[start + 1, lane] = 0.0
            heads[start + 2, lane] = 0.0
        for axis in range(columns.shape[0]):
            r0 = rotation[start, axis]
            r1 = rotation[start + 1, axis]
            r2 = rotation[start + 2, axis]
            for lane in range(LANES):
                value64 = block[axis, lane]
                heads[start, lane] += r0 * value64
                heads[start + 1, lane] += r1 * value64
                heads[start + 2, lane] += r2 * value64
    for lane in range(n):
        rest = norms[lane]
        for axis in range(HEAD - 1):
            rest -= heads[axis, lane] * heads[axis, lane]
        heads[HEAD - 1, lane] = np.sqrt(max(rest, 0.0))


@njit(nogil=True, cache=True, fastmath=True)
def bound_boxes(head: Float32, low: Float32, high: Float32, first: int, bounds: Float32) -> None:
    """Fill ``bounds[first:first + 16]`` with squared distances to 16 boxes (axis, box)."""
    for lane in range(GROUP):
        total = np.float32(0)
        for axis in range(HEAD):
            q = head[axis]
            gap = max(max(low[axis, first + lane] - q, q - high[axis, first + lane]), np.float32(0))
            total += gap * gap
        bounds[first + lane] = total


@njit(nogil=True, cache=True, fastmath=True)
def bound_samples(head: Float32, leaf: Float32, bounds: Float32, cut: float) -> float:
    """Fill ``bounds`` with squared head distances to 64 samples; return the smallest.

    Stops after eight axes where these alone exceed ``cut``.
    """
    q0, q1, q2, q3, q4, q5, q6, q7 = (
        head[0], head[1], head[2], head[3], head[4], head[5], head[6], head[7],
    )  # fmt: skip
    smallest = np.float32(np.inf)
    for lane in range(LEAF):
        d0 = q0 - leaf[0, lane]
        d1 = q1 - leaf[1, lane]
        d2 = q2 - leaf[2, lane]
        d3 = q3 - leaf[3, lane]
        d4 = q4 - leaf[4, lane]
        d5 = q5 - leaf[5, lane]
        d6 = q6 - leaf[6, lane]
        d7 = q7 - leaf[7, lane]
        total = d0 * d0 + d1 * d1 + d2 * d2 + d3 * d3 + d4 * d4 + d5 * d5 + d6 * d6 + d7 * d7
        bounds[lane] = total
        smallest = min(smallest, total)
    if smallest > cut:
        return smallest
    q0, q1, q2, q3, q4, q5, q6, q7 = (
        head[8], head[9], head[10], head[11], head[12], head[13], head[14], head[15],
    )  # fmt: skip
    smallest = np.float32(np.inf)
    for lane in range(LEAF):
        d0 = q0 - leaf[8, lane]
        d1 = q1 - leaf[9, lane]
        d2 = q2 - leaf[10, lane]
        d3 = q3 - leaf[11, lane]
        d4 = q4 - leaf[12, lane]
        d5 = q5 - leaf[13, lane]
        d6 = q6 - leaf[14, lane]
        d7 = q7 - leaf[15, lane]
        total = bounds[lane] + (
            d0 * d0 + d1 * d1 + d2 * d2 + d3 * d3 + d4 * d4 + d5 * d5 + d6 * d6 + d7 * d7
        )
        bounds[lane] = total
        smallest = min(smallest, total)
    return smallest


@njit(nogil=True, cache=True)
def widen(square: float, slack: float) -> float:
    """Return a square radius that surely holds all whose measured square is at most ``square``."""
    radius = np.sqrt(square) * (1.0 + RELATIVE_SLACK) + slack
    return radius * radius


@njit(nogil=True, cache=True)
def narrow(square: float, slack: float) -> float:
    """Return a square radius all of whose samples surely measure less than ``square``; or −1."""
    radius = np.sqrt(square) * (1.0 - RELATIVE_SLACK) - slack
    return radius * radius if radius > 0.0 else -1.0


@njit(nogil=True, cache=True)
def search_span(
    question: int,
    features: Float32,
    first: int,
    last: int,
    columns: NDArray[np.int32],
    center: Float32,
    scale: Float32,
    rotation: Float64,
    points: Float32,
    rows: NDArray[np.int32],
    heads: Float32,
    leaf_low: Float32,
    leaf_high: Float32,
    group_low: Float32,
    group_high: Float32,
    radius: float,
    limit: float,
    max_count: int,
    squares: Float32,
    answers: NDArray[np.int32],
) -> None:
    """Answer ``question`` for the pixels ``first`` to ``last`` − 1.

    ``limit`` is the largest square distance that counts as near. Fills ``answers`` with 1 or 0
    (INSIDE), the nearest sample's row, the lowest among equals (NEAREST; its squared distance goes
    to ``squares``), or the number of near samples up to ``max_count`` (COUNT); −1 where a feature
    is not finite.
    """
    n_axes = columns.shape[0]
    n_leaves = heads.shape[0]
    block = np.zeros((n_axes, LANES))
    block_heads = np.zeros((HEAD, LANES))
    norms = np.zeros(LANES)
    head = np.zeros(HEAD, dtype=np.float32)
    point = np.zeros(n_axes, dtype=np.float32)
    group_bounds = np.empty(group_low.shape[1], dtype=np.float32)
    leaf_bounds = np.empty(GROUP, dtype=np.float32)
    bounds = np.empty(LEAF, dtype=np.float32)
    hint = 0
    for start in range(first, last, LANES):
        n = min(LANES, last - start)
        summarize_block(
            features, start, n, columns, center, scale, rotation, block, block_heads, norms
        )
        for lane in range(n):
            pixel = start + lane
            norm = norms[lane]
            if not np.isfinite(norm):
                answers[pixel] = -1
                squares[pixel] = np.nan
                continue
            if norm > FAR:
                answers[pixel] = -1 if question == NEAREST else 0
                squares[pixel] = np.inf
                continue
            slack = ABSOLUTE_SLACK * (np.sqrt(norm) + radius)
            for axis in range(HEAD):
                head[axis] = block_heads[axis, lane]
            is_copied = False
            nearest = -1
            best = np.float32(np.inf)
            count = 0
            cut = widen(limit, slack)
            sure = narrow(limit, slack)
            # The sample that answered for the previous pixel often answers again.
            if question == INSIDE:
                total = np.float32(0)
                for axis in range(HEAD):
                    gap = head[axis] - heads[hint // LEAF, axis, hint % LEAF]
                    total += gap * gap
                rest = head[HEAD - 1] * heads[hint // LEAF, HEAD - 1, hint % LEAF]
                if total + np.float32(4) * rest <= sure:
                    answers[pixel] = 1
                    continue
            elif question == NEAREST:
                for axis in range(n_axes):
                    point[axis] = block[axis, lane]
                is_copied = True
                best = measure_distance(point, points[hint])
                nearest = hint
                cut = widen(best, slack)
            for group in range(0, group_low.shape[1], GROUP):
                bound_boxes(head, group_low, group_high, group, group_bounds)
            is_open = True
            while is_open:
                group = np.argmin(group_bounds)
                if group_bounds[group] > cut:
                    break
                group_bounds[group] = np.inf
                bound_boxes(head, leaf_low[group], leaf_high[group], 0, leaf_bounds)
                while is_open:
                    leaf_lane = np.argmin(leaf_bounds)
                    if leaf_bounds[leaf_lane] > cut:
                        break
                    leaf_bounds[leaf_lane] = np.inf
                    leaf = group * GROUP + leaf_lane
                    if leaf >= n_leaves or bound_samples(head, heads[leaf], bounds, cut) > cut:
                        continue
                    for place in range(LEAF):
                        if bounds[place] > cut:
                            continue
                        sample = leaf * LEAF + place
                        if question != NEAREST:
                            rest = head[HEAD - 1] * heads[leaf, HEAD - 1, place]
                            is_near = bounds[place] + np.float32(4) * rest <= sure
                        else:
                            is_near = False
                        if not is_near:
                            if not is_copied:
                                for axis in range(n_axes):
                                    point[axis] = block[axis, lane]
                                is_copied = True
                            square = measure_distance(point, points[sample])
                            if question == NEAREST:
                                if square < best or (
                                    square == best and rows[sample] < rows[nearest]
                                ):
                                    best = square
                                    nearest = sample
                                    cut = widen(best, slack)
                                continue
                            is_near = square <= limit
                        if is_near:
                            count += 1
                            hint = sample
                            if question == INSIDE or count >= max_count:
                                is_open = False
                                break
            if question == NEAREST:
                hint = nearest
                answers[pixel] = rows[nearest]
                squares[pixel] = best
            else:
                answers[pixel] = count
