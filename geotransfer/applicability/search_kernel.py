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

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

# The index takes its layout from here: compiled code cached on disk is renewed when this file
# changes, not when another does.
HEAD = 16
"""Axes of a head: 15 components and the norm of the rest."""
LEAF = 64
"""Samples in a leaf."""
GROUP = 16
"""Leaves in a group."""
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


@njit(nogil=True, cache=True)
def weight_block(
    features: Float32,
    first: int,
    n: int,
    columns: NDArray[np.int32],
    center: Float32,
    scale: Float32,
    block: Float64,
    norms: Float64,
) -> None:
    """Weight ``n`` ≤ 32 pixels into ``block``, and find their squared norms.

    A norm is NaN where any feature, used or not, is not finite.
    """
    norms[:] = 0.0
    for column in range(features.shape[0]):
        # Slices start at zero, which lets the compiler use vectors.
        row = features[column, first : first + n]
        for lane in range(n):
            norms[lane] += np.float64(row[lane] * np.float32(0))
    for axis in range(columns.shape[0]):
        row = features[columns[axis], first : first + n]
        out = block[axis * LANES : axis * LANES + n]
        shift = center[axis]
        factor = scale[axis]
        for lane in range(n):
            value = np.float64((row[lane] - shift) * factor)
            out[lane] = value
            norms[lane] += value * value


@njit(nogil=True, cache=True, fastmath=True)
def rotate_block(rotation: Float64, block: Float64, heads: Float64) -> None:
    """Fill the first 15 axes of ``heads`` with the principal components of a block.

    Three components and four axes at a time, to keep sums in registers.
    """
    heads[:] = 0.0
    for c in range(0, HEAD - 1, 3):
        h0 = heads[c * LANES : (c + 1) * LANES]
        h1 = heads[(c + 1) * LANES : (c + 2) * LANES]
        h2 = heads[(c + 2) * LANES : (c + 3) * LANES]
        for axis in range(0, rotation.shape[1], 4):
            r = rotation[c]
            i0, i1, i2, i3 = r[axis], r[axis + 1], r[axis + 2], r[axis + 3]
            r = rotation[c + 1]
            j0, j1, j2, j3 = r[axis], r[axis + 1], r[axis + 2], r[axis + 3]
            r = rotation[c + 2]
            k0, k1, k2, k3 = r[axis], r[axis + 1], r[axis + 2], r[axis + 3]
            b0 = block[axis * LANES : (axis + 1) * LANES]
            b1 = block[(axis + 1) * LANES : (axis + 2) * LANES]
            b2 = block[(axis + 2) * LANES : (axis + 3) * LANES]
            b3 = block[(axis + 3) * LANES : (axis + 4) * LANES]
            for lane in range(LANES):
                v0, v1, v2, v3 = b0[lane], b1[lane], b2[lane], b3[lane]
                h0[lane] += i0 * v0 + i1 * v1 + i2 * v2 + i3 * v3
                h1[lane] += j0 * v0 + j1 * v1 + j2 * v2 + j3 * v3
                h2[lane] += k0 * v0 + k1 * v1 + k2 * v2 + k3 * v3


@njit(nogil=True, cache=True, fastmath=True)
def bound_boxes(head: Float32, low: Float32, high: Float32, bounds: Float32) -> None:
    """Fill ``bounds`` with squared distances to 16 boxes."""
    zero = np.float32(0)
    for lane in range(GROUP):
        bounds[lane] = zero
    for axis in range(0, HEAD, 4):
        q0, q1, q2, q3 = head[axis], head[axis + 1], head[axis + 2], head[axis + 3]
        i = axis * GROUP
        for lane in range(GROUP):
            j = i + lane
            g0 = max(low[j] - q0, q0 - high[j], zero)
            g1 = max(low[j + GROUP] - q1, q1 - high[j + GROUP], zero)
            g2 = max(low[j + 2 * GROUP] - q2, q2 - high[j + 2 * GROUP], zero)
            g3 = max(low[j + 3 * GROUP] - q3, q3 - high[j + 3 * GROUP], zero)
            bounds[lane] += g0 * g0 + g1 * g1 + g2 * g2 + g3 * g3


@njit(nogil=True, cache=True, fastmath=True)
def bound_samples(head: Float32, leaf: Float32, bounds: Float32, cut: float) -> np.float32:
    """Fill ``bounds`` with squared head distances to 64 samples; return the smallest.

    Stops after eight axes where these alone exceed ``cut``.
    """
    smallest: np.float32 = bounds[0]
    for half in range(2):
        i = half * 8
        q0, q1, q2, q3 = head[i], head[i + 1], head[i + 2], head[i + 3]
        q4, q5, q6, q7 = head[i + 4], head[i + 5], head[i + 6], head[i + 7]
        i *= LEAF
        for lane in range(LEAF):
            j = i + lane
            d0 = q0 - leaf[j]
            d1 = q1 - leaf[j + LEAF]
            d2 = q2 - leaf[j + 2 * LEAF]
            d3 = q3 - leaf[j + 3 * LEAF]
            d4 = q4 - leaf[j + 4 * LEAF]
            d5 = q5 - leaf[j + 5 * LEAF]
            d6 = q6 - leaf[j + 6 * LEAF]
            d7 = q7 - leaf[j + 7 * LEAF]
            total = d0 * d0 + d1 * d1 + d2 * d2 + d3 * d3 + d4 * d4 + d5 * d5 + d6 * d6 + d7 * d7
            bounds[lane] = total if half == 0 else bounds[lane] + total
        smallest = bounds[0]
        for lane in range(1, LEAF):
            if bounds[lane] < smallest:
                smallest = bounds[lane]
        if smallest > cut:
            break
    return smallest


@njit(nogil=True, cache=True)
def widen(square: float, slack: float) -> float:
    """Return a square radius that surely holds all whose measured square is at most ``square``."""
    if square < 0.0:
        return -1.0
    radius = np.sqrt(square) * (1.0 + RELATIVE_SLACK) + slack
    return float(radius * radius)


@njit(nogil=True, cache=True)
def narrow(square: float, slack: float) -> float:
    """Return a square radius all of whose samples surely measure less than ``square``; or −1."""
    if square < 0.0:
        return -1.0
    radius = np.sqrt(square) * (1.0 - RELATIVE_SLACK) - slack
    return float(radius * radius) if radius > 0.0 else -1.0


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
    block = np.zeros(n_axes * LANES)
    block_heads = np.zeros(HEAD * LANES)
    norms = np.zeros(LANES)
    head = np.zeros(HEAD, dtype=np.float32)
    point = np.zeros(n_axes, dtype=np.float32)
    group_bounds = np.empty(group_low.shape[0] * GROUP, dtype=np.float32)
    leaf_bounds = np.empty(GROUP, dtype=np.float32)
    bounds = np.empty(LEAF, dtype=np.float32)
    hint = 0
    for start in range(first, last, LANES):
        n = min(LANES, last - start)
        weight_block(features, start, n, columns, center, scale, block, norms)
        rotate_block(rotation, block, block_heads)
        for lane in range(n):
            pixel = start + lane
            norm = norms[lane]
            if not np.isfinite(norm):
                answers[pixel] = -1
                if question == NEAREST:
                    squares[pixel] = np.nan
                continue
            if norm > FAR:
                answers[pixel] = 0
                if question == NEAREST:
                    answers[pixel] = -1
                    squares[pixel] = np.inf
                continue
            slack = ABSOLUTE_SLACK * (np.sqrt(norm) + radius)
            rest = norm
            for axis in range(HEAD - 1):
                value = block_heads[axis * LANES + lane]
                head[axis] = value
                rest -= value * value
            head[HEAD - 1] = np.sqrt(max(rest, 0.0))
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
                    gap = head[axis] - heads[hint // LEAF, axis * LEAF + hint % LEAF]
                    total += gap * gap
                both = head[HEAD - 1] * heads[hint // LEAF, (HEAD - 1) * LEAF + hint % LEAF]
                if total + np.float32(4) * both <= sure:
                    answers[pixel] = 1
                    continue
            elif question == NEAREST:
                for axis in range(n_axes):
                    point[axis] = block[axis * LANES + lane]
                is_copied = True
                best = measure_distance(point, points[hint])
                nearest = hint
                cut = widen(float(best), slack)
            for pack in range(group_low.shape[0]):
                part = group_bounds[pack * GROUP : (pack + 1) * GROUP]
                bound_boxes(head, group_low[pack], group_high[pack], part)
            is_open = True
            while is_open:
                group = int(np.argmin(group_bounds))
                if group_bounds[group] > cut:
                    break
                group_bounds[group] = np.inf
                bound_boxes(head, leaf_low[group], leaf_high[group], leaf_bounds)
                while is_open:
                    leaf_lane = int(np.argmin(leaf_bounds))
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
                            both = head[HEAD - 1] * heads[leaf, (HEAD - 1) * LEAF + place]
                            is_near = bounds[place] + np.float32(4) * both <= sure
                        else:
                            is_near = False
                        if not is_near:
                            if not is_copied:
                                for axis in range(n_axes):
                                    point[axis] = block[axis * LANES + lane]
                                is_copied = True
                            square = measure_distance(point, points[sample])
                            if question == NEAREST:
                                if square < best or (
                                    square == best and rows[sample] < rows[nearest]
                                ):
                                    best = square
                                    nearest = sample
                                    cut = widen(float(best), slack)
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
