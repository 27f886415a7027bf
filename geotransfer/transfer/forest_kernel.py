"""Compiled loops that replay a tree ensemble over blocks of rows.

A tree with at most 32 leaves is replayed as its splits, parents first: every row starts in leaf 0,
and split *s* of leaf *o* moves the rows of *o* whose value lies above the threshold to leaf *s+1*.
With values and leaf ids as single bytes this is two comparisons and a select per row, without a
branch or a gather, so the compiler puts 32 or 64 rows into one instruction.

A value becomes a byte by counting its feature's distinct thresholds below it (its *code*); a linear
grid of cells over the thresholds gives the count but for the few thresholds inside the cell.
Leaf values are added as 32-bit integers, which is exact in any order: a row's result depends
neither on its neighbours nor on where a block begins.

All loops count with unsigned integers, else numba's wrap-around indexing stops vectorisation. Every
entry point is compiled for one signature only: numba's cache names its data files by position, and
two processes that first compile different signatures would overwrite each other's.
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
N_CELLS = 2048
SPLITS_PER_PASS = 5
"""Splits applied to a row between loading and storing its leaf id."""
TREES_PER_STEP = 4
BLOCK = 1024
"""Rows per block: codes of a hundred columns stay in the second-level cache."""

LOWEST_CODE = -127
HIGHEST_CODE = 127

RAW, SIGMOID, SOFTMAX, SIGMOID_PER_CLASS = range(4)
"""What ``predict_rows`` writes: raw scores, or probabilities by the named function."""

_ZERO = np.float32(1e-35)
"""LightGBM takes smaller magnitudes for zero."""

_U = np.uint64


class Plan(NamedTuple):
    """An ensemble as flat arrays; what each index counts is named in brackets."""

    feature: NDArray[np.int64]
    """[column] feature the code column is computed from."""
    cell_origin: NDArray[np.float32]
    """[column] lowest threshold."""
    cell_scale: NDArray[np.float32]
    """[column] cells per unit."""
    cell_base: NDArray[np.uint8]
    """[column, cell] thresholds in lower cells."""
    thresholds: NDArray[np.float32]
    """[column, position] ascending, padded with +inf."""
    n_compares: NDArray[np.int64]
    """[column] largest number of thresholds in one cell."""
    missing_code: NDArray[np.int8]
    """[column] code of a missing value."""
    is_zero_missing: NDArray[np.bool_]
    """[column] zeros count as missing, too."""
    split_column: NDArray[np.uint16]
    """[split] in replay order, tree after tree, each padded to whole passes."""
    split_code: NDArray[np.int8]
    """[split] rows with a larger code move."""
    split_owner: NDArray[np.int8]
    """[split] leaf that is split; −1 in padding."""
    first_split: NDArray[np.int64]
    """[tree + 1]"""
    n_splits: NDArray[np.int64]
    """[tree] without padding."""
    leaf_value: NDArray[np.int32]
    """[tree, leaf] fixed point."""
    leaf_rank: NDArray[np.int8]
    """[tree, leaf] position of the leaf's value in ascending order."""
    ranked_value: NDArray[np.int32]
    """[tree, rank]"""
    group_class: NDArray[np.int64]
    """[group] class the trees of a group vote for."""
    group_tree: NDArray[np.int64]
    """[group + 1] first tree; whole steps of ``TREES_PER_STEP``."""
    group_unit: NDArray[np.float64]
    """[group] raw score per unit of the fixed-point sum."""


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def find_cell(value: Any, origin: Any, scale: Any) -> Any:
    """Return the cell of a value: never decreasing in it; NaN falls into cell 0."""
    position = (value - origin) * scale
    position = position if position > np.float32(0) else np.float32(0)
    position = position if position < np.float32(N_CELLS - 1) else np.float32(N_CELLS - 1)
    return np.int16(np.int32(position))


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _encode_column(plan, column, flat, offset, row_stride, n_rows, cells, codes):  # type: ignore
    origin = plan.cell_origin[column]
    scale = plan.cell_scale[column]
    base = plan.cell_base[column]
    thresholds = plan.thresholds[column]
    missing = plan.missing_code[column]
    n_compares = plan.n_compares[column]
    for r in range(_U(n_rows)):
        cells[r] = find_cell(flat[offset + r * row_stride], origin, scale)
    if n_compares <= 1:
        for r in range(_U(n_rows)):
            value = flat[offset + r * row_stride]
            below = base[_U(cells[r])]
            code = np.int8(np.int64(below) + np.int64(value > thresholds[_U(below)]) - 127)
            codes[r] = code if value == value else missing
    else:
        for r in range(_U(n_rows)):
            value = flat[offset + r * row_stride]
            below = _U(base[_U(cells[r])])
            count = np.int64(below) - 127
            for j in range(_U(n_compares)):
                count += np.int64(value > thresholds[below + j])
            codes[r] = np.int8(count) if value == value else missing


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _encode_zeros(flat, offset, row_stride, n_rows, missing, codes):  # type: ignore
    for r in range(_U(n_rows)):
        if abs(flat[offset + r * row_stride]) <= _ZERO:
            codes[r] = missing


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _replay_pass(plan, split, first_id, codes, leaf):  # type: ignore
    s = _U(split)
    columns, thresholds, owners = plan.split_column, plan.split_code, plan.split_owner
    c0, t0, o0 = codes[_U(columns[s])], thresholds[s], owners[s]
    c1, t1, o1 = codes[_U(columns[s + _U(1)])], thresholds[s + _U(1)], owners[s + _U(1)]
    c2, t2, o2 = codes[_U(columns[s + _U(2)])], thresholds[s + _U(2)], owners[s + _U(2)]
    c3, t3, o3 = codes[_U(columns[s + _U(3)])], thresholds[s + _U(3)], owners[s + _U(3)]
    c4, t4, o4 = codes[_U(columns[s + _U(4)])], thresholds[s + _U(4)], owners[s + _U(4)]
    i0 = np.int8(first_id)
    i1 = np.int8(first_id + 1)
    i2 = np.int8(first_id + 2)
    i3 = np.int8(first_id + 3)
    i4 = np.int8(first_id + 4)
    for r in range(_U(BLOCK)):
        current = leaf[r]
        current = i0 if (c0[r] > t0) & (current == o0) else current
        current = i1 if (c1[r] > t1) & (current == o1) else current
        current = i2 if (c2[r] > t2) & (current == o2) else current
        current = i3 if (c3[r] > t3) & (current == o3) else current
        current = i4 if (c4[r] > t4) & (current == o4) else current
        leaf[r] = current


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _replay_tree(plan, tree, codes, leaf):  # type: ignore
    for r in range(_U(BLOCK)):
        leaf[r] = 0
    first = plan.first_split[tree]
    for split in range(first, plan.first_split[tree + 1], SPLITS_PER_PASS):
        _replay_pass(plan, split, split - first + 1, codes, leaf)


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _sum_pairs(even, odd, table, n_leaves):  # type: ignore
    # The width is an argument: a constant one would be unrolled before it can be vectorised.
    for j in range(_U(MAX_LEAVES)):
        value = odd[j]
        for i in range(_U(n_leaves)):
            table[j * _U(MAX_LEAVES) + i] = value + even[i]


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _join_leaves(even, odd, joined):  # type: ignore
    for r in range(_U(BLOCK)):
        joined[r] = np.uint16(np.uint8(even[r])) | (np.uint16(np.uint8(odd[r])) << np.uint16(5))


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _add_values(joined_0, table_0, joined_1, table_1, total):  # type: ignore
    for r in range(_U(BLOCK)):
        total[r] += table_0[_U(joined_0[r])] + table_1[_U(joined_1[r])]


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _write_block(raw, n_rows, start, steepness, output, out):  # type: ignore
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


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def predict_rows(  # type: ignore
    plan, flat, feature_stride, row_stride, first_row, end_row, n_classes, steepness, output, out
):
    """Predict rows ``first_row`` to ``end_row`` into ``out[:, row]``, float64.

    The value of feature f in row r is ``flat[f * feature_stride + r * row_stride]``, float32.
    """
    n_columns = plan.feature.size
    codes = np.zeros((n_columns, BLOCK), np.int8)
    cells = np.empty(BLOCK, np.int16)
    leaves = np.empty((TREES_PER_STEP, BLOCK), np.int8)
    joined = np.empty((2, BLOCK), np.uint16)
    tables = np.empty((2, MAX_LEAVES * MAX_LEAVES), np.int32)
    total = np.empty(BLOCK, np.int32)
    raw = np.empty((n_classes, BLOCK), np.float64)
    for start in range(first_row, end_row, BLOCK):
        n_rows = min(BLOCK, end_row - start)
        for column in range(n_columns):
            offset = _U(plan.feature[column] * feature_stride + start * row_stride)
            _encode_column(plan, column, flat, offset, _U(row_stride), n_rows, cells, codes[column])
            if plan.is_zero_missing[column]:
                missing = plan.missing_code[column]
                _encode_zeros(flat, offset, _U(row_stride), n_rows, missing, codes[column])
        raw[:] = 0.0
        for group in range(plan.group_class.size):
            total[:] = 0
            for tree in range(plan.group_tree[group], plan.group_tree[group + 1], TREES_PER_STEP):
                for k in range(TREES_PER_STEP):
                    _replay_tree(plan, tree + k, codes, leaves[k])
                for k in range(2):
                    even, odd = tree + 2 * k, tree + 2 * k + 1
                    _sum_pairs(plan.leaf_value[even], plan.leaf_value[odd], tables[k], MAX_LEAVES)
                    _join_leaves(leaves[2 * k], leaves[2 * k + 1], joined[k])
                _add_values(joined[0], tables[0], joined[1], tables[1], total)
            unit = plan.group_unit[group]
            scores = raw[plan.group_class[group]]
            for r in range(_U(BLOCK)):
                scores[r] += total[r] * unit
        _write_block(raw, n_rows, start, steepness, output, out)


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _bracket_codes(  # type: ignore
    low_flat, low_offset, low_stride, high_flat, high_offset, high_stride, n_rows,
    missing, is_zero_missing, low_codes, high_codes,
):  # fmt: skip
    for r in range(_U(n_rows)):
        low = low_flat[low_offset + r * low_stride]
        high = high_flat[high_offset + r * high_stride]
        smallest = min(low_codes[r], high_codes[r])
        largest = max(low_codes[r], high_codes[r])
        if (low == low) != (high == high):
            # Missing or anything: the widest box.
            smallest, largest = np.int8(LOWEST_CODE), np.int8(HIGHEST_CODE)
        elif is_zero_missing and min(low, high) <= _ZERO and max(low, high) >= -_ZERO:
            if max(abs(low), abs(high)) <= _ZERO:
                smallest = largest = missing
            else:
                smallest, largest = min(smallest, missing), max(largest, missing)
        low_codes[r], high_codes[r] = smallest, largest


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _merge_leaves(low_code, high_code, threshold, lowest_o, highest_o, lowest_n, highest_n):  # type: ignore
    for r in range(_U(BLOCK)):
        stays = low_code[r] <= threshold
        moves = high_code[r] > threshold
        lowest_stay = lowest_o[r] if stays else np.int8(127)
        lowest_move = lowest_n[r] if moves else np.int8(127)
        lowest_o[r] = min(lowest_stay, lowest_move)
        highest_stay = highest_o[r] if stays else np.int8(-1)
        highest_move = highest_n[r] if moves else np.int8(-1)
        highest_o[r] = max(highest_stay, highest_move)


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _bound_tree(plan, tree, low_codes, high_codes, lowest, highest):  # type: ignore
    """Leave in ``lowest[0]`` and ``highest[0]`` the ranks of the extreme leaves in reach.

    The replay run backwards: children are merged into the leaf they were split from.
    """
    n_splits = plan.n_splits[tree]
    first = plan.first_split[tree]
    for k in range(n_splits + 1):
        rank = plan.leaf_rank[tree, k]
        for r in range(_U(BLOCK)):
            lowest[k, r] = rank
            highest[k, r] = rank
    for s in range(n_splits - 1, -1, -1):
        split = _U(first + s)
        column = _U(plan.split_column[split])
        owner = _U(plan.split_owner[split])
        _merge_leaves(
            low_codes[column], high_codes[column], plan.split_code[split],
            lowest[owner], highest[owner], lowest[s + 1], highest[s + 1],
        )  # fmt: skip


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _add_ranked(ranks, values, total):  # type: ignore
    for r in range(_U(BLOCK)):
        total[r] += values[_U(ranks[r])]


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def bound_rows(  # type: ignore
    plan, low_flat, low_feature_stride, low_row_stride,
    high_flat, high_feature_stride, high_row_stride, first_row, end_row, out_low, out_high,
):  # fmt: skip
    """Bound the raw scores of boxes ``first_row`` to ``end_row``: ``out_low``, ``out_high``.

    Both outputs are ``(n_classes, n)`` float64. Sums of integers, then of floats in one order:
    rounding keeps the order, so the score of any point of a box lies between them exactly.
    """
    n_columns = plan.feature.size
    n_classes = out_low.shape[0]
    low_codes = np.zeros((n_columns, BLOCK), np.int8)
    high_codes = np.zeros((n_columns, BLOCK), np.int8)
    cells = np.empty(BLOCK, np.int16)
    lowest = np.empty((MAX_LEAVES, BLOCK), np.int8)
    highest = np.empty((MAX_LEAVES, BLOCK), np.int8)
    total_low = np.empty(BLOCK, np.int32)
    total_high = np.empty(BLOCK, np.int32)
    raw_low = np.empty((n_classes, BLOCK), np.float64)
    raw_high = np.empty((n_classes, BLOCK), np.float64)
    for start in range(first_row, end_row, BLOCK):
        n_rows = min(BLOCK, end_row - start)
        for c in range(n_columns):
            low_offset = _U(plan.feature[c] * low_feature_stride + start * low_row_stride)
            high_offset = _U(plan.feature[c] * high_feature_stride + start * high_row_stride)
            low_stride, high_stride = _U(low_row_stride), _U(high_row_stride)
            _encode_column(plan, c, low_flat, low_offset, low_stride, n_rows, cells, low_codes[c])
            _encode_column(
                plan, c, high_flat, high_offset, high_stride, n_rows, cells, high_codes[c]
            )
            _bracket_codes(
                low_flat, low_offset, low_stride, high_flat, high_offset, high_stride, n_rows,
                plan.missing_code[c], plan.is_zero_missing[c], low_codes[c], high_codes[c],
            )  # fmt: skip
        raw_low[:] = 0.0
        raw_high[:] = 0.0
        for group in range(plan.group_class.size):
            total_low[:] = 0
            total_high[:] = 0
            for tree in range(plan.group_tree[group], plan.group_tree[group + 1]):
                _bound_tree(plan, tree, low_codes, high_codes, lowest, highest)
                _add_ranked(lowest[0], plan.ranked_value[tree], total_low)
                _add_ranked(highest[0], plan.ranked_value[tree], total_high)
            unit = plan.group_unit[group]
            k = plan.group_class[group]
            for r in range(_U(BLOCK)):
                raw_low[k, r] += total_low[r] * unit
                raw_high[k, r] += total_high[r] * unit
        out_low[:, start : start + n_rows] = raw_low[:, :n_rows]
        out_high[:, start : start + n_rows] = raw_high[:, :n_rows]
