"""Compiled loops that replay a tree ensemble over blocks of rows.

A tree with at most 32 leaves is replayed as its splits, parents first: every row starts in leaf 0,
and split *s* of leaf *o* moves the rows of *o* whose value lies above the threshold to leaf *s+1*.
With values and leaf ids as single bytes this is two comparisons and a select per row, without a
branch or a gather, so the compiler puts 32 or 64 rows into one instruction.

A value becomes a byte by counting its feature's distinct thresholds below it (its *code*); a linear
grid of cells over the thresholds gives the count but for the few thresholds inside the cell.
Leaf values are added as 32-bit integers, which is exact in any order: a row's result depends
neither on its neighbours nor on where a block begins.

Bounds over boxes run the other way: the extreme leaves in reach are merged from the leaves up.

How the loops are written matters to numba: they count with unsigned integers, else wrap-around
indexing stops vectorisation; functions called inside them take whole arrays and call no further
ones, else every call counts references. Entry points are compiled for one signature only: numba's
cache names its files by position, and two processes that first compile different signatures would
overwrite each other's.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

MAX_LEAVES = 32
MAX_CODES = 254
"""Distinct thresholds one code column can tell apart: 255 codes in a signed byte."""
LOWEST_CODE = -127
HIGHEST_CODE = 127
N_CELLS = 2048
SPLITS_PER_PASS = 5
"""Splits applied to a row between loading and storing its leaf id."""
TREES_PER_STEP = 4
BLOCK = 1024
"""Rows per block: the codes of a hundred columns stay in the second-level cache."""
MAX_MERGE_ROWS = 6
"""Partial results a tree of 32 leaves needs at once when its larger side is merged first, plus one
for a leaf."""

RAW, SIGMOID, SOFTMAX, SIGMOID_PER_CLASS = range(4)
"""What ``predict_rows`` writes: raw scores, or probabilities by the named function."""

_ZERO = np.float32(1e-35)
"""LightGBM takes smaller magnitudes for zero."""
_NONE_BELOW = np.int8(127)
_NONE_ABOVE = np.int8(-1)
_U = np.uint64

Array = NDArray[Any]


class Plan(NamedTuple):
    """An ensemble as flat arrays; what an index counts is named in brackets."""

    feature: Array
    """[column] int64, feature the code column is computed from."""
    cell_origin: Array
    """[column] float32, lowest threshold."""
    cell_scale: Array
    """[column] float32, cells per unit."""
    cell_base: Array
    """[column, cell] uint8, thresholds in lower cells."""
    thresholds: Array
    """[column, position] float32, ascending, padded with +inf."""
    n_compares: Array
    """[column] int64, largest number of thresholds in one cell."""
    missing_code: Array
    """[column] int8, code of a missing value."""
    is_zero_missing: Array
    """[column] bool, zeros count as missing, too."""
    first_split: Array
    """[tree + 1] int64, into the splits in replay order; each tree padded to whole passes."""
    split_column: Array
    """[split] uint16"""
    split_code: Array
    """[split] int8, rows with a larger code move."""
    split_owner: Array
    """[split] int8, leaf that is split; −1 in padding."""
    leaf_value: Array
    """[tree, leaf] int32, fixed point."""
    first_merge: Array
    """[tree + 1] int64, into the same splits in merge order, without padding."""
    merge_column: Array
    """[merge] uint16"""
    merge_code: Array
    """[merge] int8"""
    merge_row: Array
    """[merge, 2] uint8, rows that hold the left and right result; the left takes the merged one."""
    merge_rank: Array
    """[merge, 2] int8, rank of the left and right leaf, −1 where it is a split."""
    ranked_value: Array
    """[tree, rank] int32, leaf values in ascending order."""
    group_class: Array
    """[group] int64, class the trees of a group vote for."""
    group_tree: Array
    """[group + 1] int64, first tree; whole steps of ``TREES_PER_STEP``."""
    group_unit: Array
    """[group] float64, raw score per unit of the fixed-point sum."""


@njit(nogil=True, cache=True)
def find_cell(value: Any, origin: Any, scale: Any) -> Any:
    """Return the cell of a value: never decreasing in it; NaN falls into cell 0."""
    position = (value - origin) * scale
    position = position if position > np.float32(0) else np.float32(0)
    position = position if position < np.float32(N_CELLS - 1) else np.float32(N_CELLS - 1)
    return np.int16(np.int32(position))


@njit(nogil=True, cache=True)
def _encode_column(
    column: int, origins: Array, scales: Array, bases: Array,
    thresholds: Array, n_compares: Array, missing_codes: Array,
    flat: Array, offset: int, row_stride: int, n_rows: int,
    cells: Array, nearest: Array, codes: Array,
) -> None:  # fmt: skip
    """Write the codes of one column's values to ``codes[column]``."""
    origin, scale = origins[column], scales[column]
    base, sorted_thresholds, code = bases[column], thresholds[column], codes[column]
    missing = missing_codes[column]
    first, step = _U(offset), _U(row_stride)
    # Look-ups and arithmetic in loops of their own: only then is the arithmetic vectorised.
    for r in range(_U(n_rows)):
        cells[r] = find_cell(flat[first + r * step], origin, scale)
    for r in range(_U(n_rows)):
        code[r] = np.int8(np.int64(base[_U(cells[r])]) + LOWEST_CODE)
    for j in range(_U(n_compares[column])):
        for r in range(_U(n_rows)):
            nearest[r] = sorted_thresholds[_U(base[_U(cells[r])]) + j]
        for r in range(_U(n_rows)):
            code[r] += np.int8(flat[first + r * step] > nearest[r])
    for r in range(_U(n_rows)):
        value = flat[first + r * step]
        code[r] = code[r] if value == value else missing


@njit(nogil=True, cache=True)
def _encode_zeros(
    column: int, missing_codes: Array,
    flat: Array, offset: int, row_stride: int, n_rows: int, codes: Array,
) -> None:  # fmt: skip
    missing, code = missing_codes[column], codes[column]
    for r in range(_U(n_rows)):
        if abs(flat[_U(offset) + r * _U(row_stride)]) <= _ZERO:
            code[r] = missing


@njit(nogil=True, cache=True)
def _replay_tree(
    first_split: int, end_split: int, columns: Array, thresholds: Array, owners: Array,
    codes: Array, leaves: Array, k: int,
) -> None:  # fmt: skip
    """Write the leaf ids of all rows to ``leaves[k]``."""
    leaf = leaves[k]
    for r in range(_U(BLOCK)):
        leaf[r] = 0
    for split in range(first_split, end_split, SPLITS_PER_PASS):
        s = _U(split)
        moved = split - first_split + 1
        c0, t0, o0 = codes[_U(columns[s])], thresholds[s], owners[s]
        c1, t1, o1 = codes[_U(columns[s + _U(1)])], thresholds[s + _U(1)], owners[s + _U(1)]
        c2, t2, o2 = codes[_U(columns[s + _U(2)])], thresholds[s + _U(2)], owners[s + _U(2)]
        c3, t3, o3 = codes[_U(columns[s + _U(3)])], thresholds[s + _U(3)], owners[s + _U(3)]
        c4, t4, o4 = codes[_U(columns[s + _U(4)])], thresholds[s + _U(4)], owners[s + _U(4)]
        i0, i1, i2 = np.int8(moved), np.int8(moved + 1), np.int8(moved + 2)
        i3, i4 = np.int8(moved + 3), np.int8(moved + 4)
        for r in range(_U(BLOCK)):
            current = leaf[r]
            current = i0 if (c0[r] > t0) & (current == o0) else current
            current = i1 if (c1[r] > t1) & (current == o1) else current
            current = i2 if (c2[r] > t2) & (current == o2) else current
            current = i3 if (c3[r] > t3) & (current == o3) else current
            current = i4 if (c4[r] > t4) & (current == o4) else current
            leaf[r] = current


@njit(nogil=True, cache=True)
def _sum_pairs(values: Array, tree: int, tables: Array, k: int) -> None:
    """Write the sums of all leaf pairs of two trees to ``tables[k]``."""
    even, odd, table = values[tree], values[tree + 1], tables[k]
    # A constant width would be unrolled before it can be vectorised.
    width = _U(values.shape[1])
    for j in range(width):
        value = odd[j]
        for i in range(width):
            table[j * width + i] = value + even[i]


@njit(nogil=True, cache=True)
def _join_leaves(leaves: Array, joined: Array, k: int) -> None:
    even, odd, both = leaves[2 * k], leaves[2 * k + 1], joined[k]
    for r in range(_U(BLOCK)):
        both[r] = np.uint16(np.uint8(even[r])) | (np.uint16(np.uint8(odd[r])) << np.uint16(5))


@njit(nogil=True, cache=True)
def _add_values(joined: Array, tables: Array, total: Array) -> None:
    joined_0, joined_1, table_0, table_1 = joined[0], joined[1], tables[0], tables[1]
    for r in range(_U(BLOCK)):
        total[r] += table_0[_U(joined_0[r])] + table_1[_U(joined_1[r])]


@njit(nogil=True, cache=True)
def _add_group(total: Array, unit: float, raw: Array, k: int) -> None:
    score = raw[k]
    for r in range(_U(BLOCK)):
        score[r] += total[r] * unit


@njit(nogil=True, cache=True)
def _write_block(
    raw: Array, n_rows: int, start: int, steepness: float, output: int, out: Array
) -> None:
    n_classes = raw.shape[0]
    for r in range(n_rows):
        if output == RAW:
            for k in range(n_classes):
                out[k, start + r] = raw[k, r]
        elif output == SIGMOID:
            probability = 1.0 / (1.0 + math.exp(-steepness * raw[0, r]))
            out[0, start + r] = 1.0 - probability
            out[1, start + r] = probability
        elif output == SIGMOID_PER_CLASS:
            for k in range(n_classes):
                out[k, start + r] = 1.0 / (1.0 + math.exp(-steepness * raw[k, r]))
        else:
            largest = raw[0, r]
            for k in range(1, n_classes):
                largest = max(largest, raw[k, r])
            total = 0.0
            for k in range(n_classes):
                weight = math.exp(steepness * (raw[k, r] - largest))
                out[k, start + r] = weight
                total += weight
            for k in range(n_classes):
                out[k, start + r] /= total


@njit(nogil=True, cache=True)
def predict_rows(
    plan: Plan, flat: Array, feature_stride: int, row_stride: int,
    first_row: int, end_row: int,
    n_classes: int, steepness: float, output: int, out: Array,
) -> None:  # fmt: skip
    """Predict rows ``first_row`` to ``end_row`` into ``out[:, row]``, float64.

    The value of feature f in row r is ``flat[f * feature_stride + r * row_stride]``, float32.
    """
    feature, origins, scales, bases = (
        plan.feature, plan.cell_origin, plan.cell_scale, plan.cell_base,
    )  # fmt: skip
    thresholds, n_compares, missing_codes = plan.thresholds, plan.n_compares, plan.missing_code
    first_split, columns, split_codes, owners = (
        plan.first_split, plan.split_column, plan.split_code, plan.split_owner,
    )  # fmt: skip
    values = plan.leaf_value
    codes = np.zeros((feature.size, BLOCK), np.int8)
    cells = np.empty(BLOCK, np.int16)
    nearest = np.empty(BLOCK, np.float32)
    leaves = np.empty((TREES_PER_STEP, BLOCK), np.int8)
    joined = np.empty((2, BLOCK), np.uint16)
    tables = np.empty((2, MAX_LEAVES * MAX_LEAVES), np.int32)
    total = np.empty(BLOCK, np.int32)
    raw = np.empty((n_classes, BLOCK), np.float64)
    for start in range(first_row, end_row, BLOCK):
        n_rows = min(BLOCK, end_row - start)
        for column in range(feature.size):
            offset = feature[column] * feature_stride + start * row_stride
            _encode_column(
                column, origins, scales, bases, thresholds, n_compares, missing_codes,
                flat, offset, row_stride, n_rows, cells, nearest, codes,
            )  # fmt: skip
            if plan.is_zero_missing[column]:
                _encode_zeros(column, missing_codes, flat, offset, row_stride, n_rows, codes)
        raw[:] = 0.0
        for group in range(plan.group_class.size):
            total[:] = 0
            for tree in range(plan.group_tree[group], plan.group_tree[group + 1], TREES_PER_STEP):
                for k in range(TREES_PER_STEP):
                    first, end = first_split[tree + k], first_split[tree + k + 1]
                    _replay_tree(first, end, columns, split_codes, owners, codes, leaves, k)
                for k in range(2):
                    _sum_pairs(values, tree + 2 * k, tables, k)
                    _join_leaves(leaves, joined, k)
                _add_values(joined, tables, total)
            _add_group(total, plan.group_unit[group], raw, plan.group_class[group])
        _write_block(raw, n_rows, start, steepness, output, out)


@njit(nogil=True, cache=True)
def _order_codes(
    column: int, missing_codes: Array, is_zero_missing: bool,
    low_flat: Array, low_offset: int, low_stride: int,
    high_flat: Array, high_offset: int, high_stride: int,
    n_rows: int, low_codes: Array, high_codes: Array,
) -> None:  # fmt: skip
    """Turn the codes of a box's ends into the smallest and largest code inside it."""
    missing = missing_codes[column]
    low_code, high_code = low_codes[column], high_codes[column]
    for r in range(_U(n_rows)):
        low = low_flat[_U(low_offset) + r * _U(low_stride)]
        high = high_flat[_U(high_offset) + r * _U(high_stride)]
        smallest = min(low_code[r], high_code[r])
        largest = max(low_code[r], high_code[r])
        # Missing at one end only: missing or anything.
        is_unknown = (low == low) != (high == high)
        low_code[r] = np.int8(LOWEST_CODE) if is_unknown else smallest
        high_code[r] = np.int8(HIGHEST_CODE) if is_unknown else largest
    if not is_zero_missing:
        return
    for r in range(_U(n_rows)):
        low = low_flat[_U(low_offset) + r * _U(low_stride)]
        high = high_flat[_U(high_offset) + r * _U(high_stride)]
        if max(abs(low), abs(high)) <= _ZERO:
            low_code[r] = high_code[r] = missing
        elif min(low, high) <= _ZERO and max(low, high) >= -_ZERO:
            low_code[r] = min(low_code[r], missing)
            high_code[r] = max(high_code[r], missing)


@njit(nogil=True, cache=True)
def _merge_tree(
    first_merge: int, end_merge: int, columns: Array, thresholds: Array,
    rows: Array, ranks: Array, low_codes: Array, high_codes: Array,
    lowest: Array, highest: Array,
) -> int:  # fmt: skip
    """Write the ranks of the extreme leaves in reach to a row of ``lowest`` and ``highest``."""
    if first_merge == end_merge:
        lowest[0] = 0
        highest[0] = 0
        return 0
    for m in range(_U(first_merge), _U(end_merge)):
        for side in range(_U(2)):
            rank = ranks[m, side]
            if rank >= 0:
                low_leaf, high_leaf = lowest[_U(rows[m, side])], highest[_U(rows[m, side])]
                for r in range(_U(BLOCK)):
                    low_leaf[r] = rank
                    high_leaf[r] = rank
        low_code, high_code = low_codes[_U(columns[m])], high_codes[_U(columns[m])]
        threshold = thresholds[m]
        left, right = _U(rows[m, 0]), _U(rows[m, 1])
        low_left, low_right, high_left, high_right = (
            lowest[left], lowest[right], highest[left], highest[right],
        )  # fmt: skip
        for r in range(_U(BLOCK)):
            # All loads first: a load under a condition stops vectorisation.
            low_a, low_b, high_a, high_b = low_left[r], low_right[r], high_left[r], high_right[r]
            is_left, is_right = low_code[r] <= threshold, high_code[r] > threshold
            low_a = low_a if is_left else _NONE_BELOW
            low_b = low_b if is_right else _NONE_BELOW
            high_a = high_a if is_left else _NONE_ABOVE
            high_b = high_b if is_right else _NONE_ABOVE
            low_left[r] = min(low_a, low_b)
            high_left[r] = max(high_a, high_b)
    return int(rows[end_merge - 1, 0])


@njit(nogil=True, cache=True)
def _add_ranked(ranks: Array, row: int, values: Array, tree: int, total: Array) -> None:
    rank, value = ranks[row], values[tree]
    for r in range(_U(BLOCK)):
        total[r] += value[_U(rank[r])]


@njit(nogil=True, cache=True)
def bound_rows(
    plan: Plan,
    low_flat: Array, low_feature_stride: int, low_row_stride: int,
    high_flat: Array, high_feature_stride: int, high_row_stride: int,
    first_row: int, end_row: int, out_low: Array, out_high: Array,
) -> None:  # fmt: skip
    """Bound the raw scores of boxes ``first_row`` to ``end_row`` into ``out_low``, ``out_high``.

    Both outputs are ``(n_classes, n)`` float64. Sums of integers, then of floats in one order:
    rounding keeps the order, so the score of any point of a box lies between them exactly.
    """
    feature, origins, scales, bases = (
        plan.feature, plan.cell_origin, plan.cell_scale, plan.cell_base,
    )  # fmt: skip
    thresholds, n_compares, missing_codes = plan.thresholds, plan.n_compares, plan.missing_code
    first_merge, columns, merge_codes = plan.first_merge, plan.merge_column, plan.merge_code
    rows, ranks, values = plan.merge_row, plan.merge_rank, plan.ranked_value
    low_codes = np.zeros((feature.size, BLOCK), np.int8)
    high_codes = np.zeros((feature.size, BLOCK), np.int8)
    cells = np.empty(BLOCK, np.int16)
    nearest = np.empty(BLOCK, np.float32)
    lowest = np.empty((MAX_MERGE_ROWS, BLOCK), np.int8)
    highest = np.empty((MAX_MERGE_ROWS, BLOCK), np.int8)
    total_low = np.empty(BLOCK, np.int32)
    total_high = np.empty(BLOCK, np.int32)
    raw_low = np.empty((out_low.shape[0], BLOCK), np.float64)
    raw_high = np.empty((out_low.shape[0], BLOCK), np.float64)
    for start in range(first_row, end_row, BLOCK):
        n_rows = min(BLOCK, end_row - start)
        for column in range(feature.size):
            low_offset = feature[column] * low_feature_stride + start * low_row_stride
            _encode_column(
                column, origins, scales, bases, thresholds, n_compares, missing_codes,
                low_flat, low_offset, low_row_stride, n_rows, cells, nearest, low_codes,
            )  # fmt: skip
            high_offset = feature[column] * high_feature_stride + start * high_row_stride
            _encode_column(
                column, origins, scales, bases, thresholds, n_compares, missing_codes,
                high_flat, high_offset, high_row_stride, n_rows, cells, nearest, high_codes,
            )  # fmt: skip
            _order_codes(
                column, missing_codes, plan.is_zero_missing[column],
                low_flat, low_offset, low_row_stride, high_flat, high_offset, high_row_stride,
                n_rows, low_codes, high_codes,
            )  # fmt: skip
        raw_low[:] = 0.0
        raw_high[:] = 0.0
        for group in range(plan.group_class.size):
            total_low[:] = 0
            total_high[:] = 0
            for tree in range(plan.group_tree[group], plan.group_tree[group + 1]):
                row = _merge_tree(
                    first_merge[tree], first_merge[tree + 1], columns, merge_codes, rows, ranks,
                    low_codes, high_codes, lowest, highest,
                )  # fmt: skip
                _add_ranked(lowest, row, values, tree, total_low)
                _add_ranked(highest, row, values, tree, total_high)
            unit, k = plan.group_unit[group], plan.group_class[group]
            _add_group(total_low, unit, raw_low, k)
            _add_group(total_high, unit, raw_high, k)
        out_low[:, start : start + n_rows] = raw_low[:, :n_rows]
        out_high[:, start : start + n_rows] = raw_high[:, :n_rows]
