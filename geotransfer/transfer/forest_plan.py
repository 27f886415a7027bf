"""From LightGBM's model text to the flat arrays the compiled loops read.

LightGBM compares doubles and takes magnitudes up to 1e-35 for zero. Both are folded into the
thresholds: a float32 value exceeds a double exactly if it exceeds the largest float32 not above it,
and a threshold beside zero is moved to the edge of what counts as zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geotransfer.errors import ModelInvalid
from geotransfer.transfer.forest_kernel import (
    HIGHEST_CODE,
    LOWEST_CODE,
    MAX_CODES,
    MAX_LEAVES,
    MAX_MERGE_ROWS,
    N_CELLS,
    SPLITS_PER_PASS,
    TREES_PER_STEP,
    Plan,
    find_cell,
)

MAX_ERROR = 1e-6
"""Largest error of a steepness-weighted score that fixed-point leaf values may cause."""

_TREES_PER_GROUP = 32
_SMALLEST_REACH = 1e-9
_ZERO = np.float32(1e-35)
_CATEGORICAL, _DEFAULT_LEFT = 1, 2
_MISSING_NONE, _MISSING_ZERO = 0, 1


class ForestUnsupported(Exception):
    """The ensemble cannot be replayed; the message says why, as the start of a sentence."""


@dataclass(frozen=True, eq=False)
class Tree:
    """One tree in LightGBM's layout: children ≥ 0 are splits, −1 − k is leaf k."""

    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    decision: NDArray[np.int64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    leaf_value: NDArray[np.float64]
    is_linear: bool


@dataclass(frozen=True, eq=False)
class Ensemble:
    """What a model text says."""

    n_features: int
    n_classes: int
    """Scores per row: 1 for binary models."""
    objective: str
    """First word of the objective, empty where the model has none."""
    steepness: float
    """Factor of the raw score inside the logistic or softmax function."""
    trees: tuple[Tree, ...]
    """Class k owns trees k, k + n_classes, …"""


def parse_model(text: str) -> Ensemble:
    """Read LightGBM's model text (versions 3 and 4).

    Raises
    ------
    ModelInvalid
        The text is not such a model, or is damaged.
    """
    try:
        head, *rest = text.split("\nTree=")
        header = _parse_fields(head)
        n_classes = int(header["num_tree_per_iteration"])
        n_features = int(header["max_feature_idx"]) + 1
        objective, *options = header.get("objective", "").split() or [""]
        settings = dict(option.partition(":")[::2] for option in options)
        trees = tuple(_parse_tree(_parse_fields(block.partition("\n\n\n")[0])) for block in rest)
        if not head.startswith("tree\n") or len(header["tree_sizes"].split()) != len(trees):
            raise ValueError("trees are missing")
        for tree in trees:
            _check_tree(tree, n_features)
        # A random forest's probabilities come from the mean over its trees, its raw scores do not.
        n_rounds = len(trees) // n_classes if "average_output" in head.splitlines() else 1
        return Ensemble(
            n_features=n_features,
            n_classes=n_classes,
            objective=objective,
            steepness=float(settings.get("sigmoid", 1.0)) / max(1, n_rounds),
            trees=trees,
        )
    except (KeyError, ValueError, IndexError) as error:
        raise ModelInvalid(
            f"The model text cannot be read ({error}); store the model again from its training run."
        ) from error


def _parse_fields(block: str) -> dict[str, str]:
    return dict(line.partition("=")[::2] for line in block.split("\n") if "=" in line)


def _parse_tree(fields: dict[str, str]) -> Tree:
    n_leaves = int(fields["num_leaves"])
    n_splits = n_leaves - 1

    def read(name: str, dtype: type, size: int) -> NDArray[Any]:
        values: NDArray[Any] = np.array(fields[name].split() if size else [], dtype=dtype)
        if values.size != size:
            raise ValueError(f"{name} has {values.size} values in place of {size}")
        return values

    return Tree(
        feature=read("split_feature", np.int64, n_splits),
        threshold=read("threshold", np.float64, n_splits),
        decision=read("decision_type", np.int64, n_splits),
        left=read("left_child", np.int64, n_splits),
        right=read("right_child", np.int64, n_splits),
        leaf_value=read("leaf_value", np.float64, n_leaves),
        is_linear=fields.get("is_linear", "0").strip() == "1",
    )


def _check_tree(tree: Tree, n_features: int) -> None:
    children = np.concatenate([tree.left, tree.right])
    n_splits = tree.feature.size
    expected = np.concatenate([np.arange(1, n_splits), -1 - np.arange(tree.leaf_value.size)])
    if n_splits and not np.array_equal(np.sort(children), np.sort(expected)):
        raise ValueError("a tree's children do not form a tree")
    if n_splits and not (tree.feature.min() >= 0 and tree.feature.max() < n_features):
        raise ValueError("a tree splits a feature the model does not have")
    if np.isnan(tree.threshold).any() or not np.isfinite(tree.leaf_value).all():
        raise ValueError("a threshold or leaf value is not a number")


_Merge = tuple[int, int, int, int, int]
"""Split, rows of its left and right result, ranks of its left and right leaf."""


@dataclass(frozen=True, eq=False)
class _Column:
    feature: int
    missing: int
    is_default_left: bool
    thresholds: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class _Group:
    class_index: int
    members: tuple[int, ...]
    """Numbers of its trees."""
    unit: float


def plan_forest(ensemble: Ensemble) -> tuple[Plan, float]:
    """Lay an ensemble out for ``predict_rows``; also return the bound of the raw score's error.

    Raises
    ------
    ForestUnsupported
        A tree has too many leaves, categorical splits or linear leaves, or the leaf values are too
        large for fixed point.
    """
    for number, tree in enumerate(ensemble.trees):
        _check_supported(number, tree)
    groups = _group_trees(ensemble)
    raw_error = sum(len(group.members) * 0.5 * group.unit for group in groups)
    if not raw_error * ensemble.steepness <= MAX_ERROR:
        raise ForestUnsupported("Leaf values are too large for the fast path's fixed point")
    columns, column_of, code_of = _collect_columns(ensemble.trees)
    first_node = np.cumsum([0, *(tree.feature.size for tree in ensemble.trees)])

    splits: list[tuple[int, int]] = []
    merges: list[_Merge] = []
    first_split, first_merge, group_tree = [0], [0], [0]
    values: list[NDArray[np.int32]] = []
    ranked: list[NDArray[np.int32]] = []
    for group in groups:
        for member in (*group.members, *[None] * (-len(group.members) % TREES_PER_STEP)):
            value, rank_value = np.zeros((2, MAX_LEAVES), np.int32)
            if member is not None:
                tree, node = ensemble.trees[member], int(first_node[member])
                owners, leaf_order = _order_splits(tree)
                fixed = np.rint(tree.leaf_value / group.unit).astype(np.int32)
                order = np.argsort(fixed, kind="stable")
                value[: fixed.size], rank_value[: fixed.size] = fixed[leaf_order], fixed[order]
                splits += [(node + split, owner) for split, owner in owners]
                splits += [(-1, -1)] * (-len(splits) % SPLITS_PER_PASS)
                merges += [(node + m[0], *m[1:]) for m in _order_merges(tree, np.argsort(order))]
            values.append(value)
            ranked.append(rank_value)
            first_split.append(len(splits))
            first_merge.append(len(merges))
        group_tree.append(len(values))

    # Padding reads the last node of this table: no code is larger than its threshold.
    column_of, code_of = np.append(column_of, 0), np.append(code_of, HIGHEST_CODE)
    split_table = np.array(splits, np.int64).reshape(-1, 2)
    merge_table = np.array(merges, np.int64).reshape(-1, 5)
    plan = Plan(
        **_plan_encoders(columns),
        first_split=np.array(first_split, np.int64),
        split_column=column_of[split_table[:, 0]].astype(np.uint16),
        split_code=code_of[split_table[:, 0]].astype(np.int8),
        split_owner=split_table[:, 1].astype(np.int8),
        leaf_value=np.array(values, np.int32).reshape(-1, MAX_LEAVES),
        first_merge=np.array(first_merge, np.int64),
        merge_column=column_of[merge_table[:, 0]].astype(np.uint16),
        merge_code=code_of[merge_table[:, 0]].astype(np.int8),
        merge_row=merge_table[:, 1:3].astype(np.uint8),
        merge_rank=merge_table[:, 3:5].astype(np.int8),
        ranked_value=np.array(ranked, np.int32).reshape(-1, MAX_LEAVES),
        group_class=np.array([group.class_index for group in groups], np.int64),
        group_tree=np.array(group_tree, np.int64),
        group_unit=np.array([group.unit for group in groups], np.float64),
    )
    return plan, raw_error


def _check_supported(number: int, tree: Tree) -> None:
    n_leaves = tree.leaf_value.size
    if n_leaves > MAX_LEAVES:
        raise ForestUnsupported(
            f"Tree {number} has {n_leaves} leaves and the fast path takes {MAX_LEAVES}"
        )
    if tree.is_linear:
        raise ForestUnsupported(f"Tree {number} has linear leaves, which the fast path cannot take")
    if (tree.decision & _CATEGORICAL).any():
        raise ForestUnsupported(
            f"Tree {number} splits a categorical feature, which the fast path cannot take"
        )


def _group_trees(ensemble: Ensemble) -> list[_Group]:
    """Divide each class's trees into groups whose values share one fixed-point unit."""
    groups = []
    for k in range(ensemble.n_classes):
        own = range(k, len(ensemble.trees), ensemble.n_classes)
        for start in range(0, len(own), _TREES_PER_GROUP):
            part = tuple(own[start : start + _TREES_PER_GROUP])
            reach = sum(float(np.abs(ensemble.trees[n].leaf_value).max()) for n in part)
            # Rounding may add half a unit per tree to the sum.
            groups.append(_Group(k, part, max(reach, _SMALLEST_REACH) / (2**31 - 2 * len(part))))
    return groups


def _order_splits(tree: Tree) -> tuple[list[tuple[int, int]], list[int]]:
    """List a tree's (split, leaf it divides) parents first, and its leaves by their final id.

    The left child keeps its parent's id, the right child gets the next free one.
    """
    left, right = tree.left.tolist(), tree.right.tolist()
    splits: list[tuple[int, int]] = []
    leaf_of = [0] * tree.leaf_value.size
    pending = [(0 if left else -1, 0)]
    while pending:
        node, owner = pending.pop()
        if node < 0:
            leaf_of[owner] = -1 - node
            continue
        splits.append((node, owner))
        pending.append((left[node], owner))
        pending.append((right[node], len(splits)))
    return splits, leaf_of


def _order_merges(tree: Tree, rank_of: NDArray[np.int64]) -> list[_Merge]:
    """List a tree's splits children first, with the rows their two results are found in.

    The child that needs more rows goes first, which keeps the number of rows at its least
    (Sethi and Ullman 1970, doi 10.1145/321607.321620).
    """
    left, right, rank = tree.left.tolist(), tree.right.tolist(), rank_of.tolist()
    merges: list[_Merge] = []
    free = list(range(MAX_MERGE_ROWS))

    def count_rows(node: int) -> int:
        if node < 0:
            return 1
        a, b = count_rows(left[node]), count_rows(right[node])
        need[node] = max(a, b) + (a == b)
        return need[node]

    def merge(node: int) -> int:
        if node < 0:
            return free.pop()
        a, b = left[node], right[node]
        if need.get(a, 1) >= need.get(b, 1):
            row_a = merge(a)
            row_b = merge(b)
        else:
            row_b = merge(b)
            row_a = merge(a)
        free.append(row_b)
        rank_a, rank_b = (int(rank[-1 - child]) if child < 0 else -1 for child in (a, b))
        merges.append((node, row_a, row_b, rank_a, rank_b))
        return row_a

    need: dict[int, int] = {}
    if left:
        count_rows(0)
        merge(0)
    return merges


def fold_thresholds(thresholds: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return float32 t such that ``x > t`` decides as LightGBM does for every float32 x."""
    with np.errstate(over="ignore"):
        folded = thresholds.astype(np.float32)
        down = np.nextafter(folded, np.float32(-np.inf))
    folded = np.where(folded.astype(np.float64) > thresholds, down, folded)
    below_zero = (thresholds >= -np.float64(_ZERO)) & (thresholds < 0)
    above_zero = (thresholds >= 0) & (thresholds < np.float64(_ZERO))
    folded[below_zero] = np.nextafter(-_ZERO, np.float32(-np.inf))
    folded[above_zero] = _ZERO
    return folded


def _collect_columns(
    trees: Sequence[Tree],
) -> tuple[list[_Column], NDArray[np.int64], NDArray[np.int64]]:
    """Share the thresholds out to code columns, as many as a feature needs.

    Also returns the code column of every split and the code of its threshold, tree after tree.
    """
    none = np.zeros(0, np.int64)
    feature = np.concatenate([none, *(tree.feature for tree in trees)])
    decision = np.concatenate([none, *(tree.decision for tree in trees)])
    edges = fold_thresholds(np.concatenate([none, *(tree.threshold for tree in trees)]))
    missing = decision >> 2 & 3
    # Without missing values the default direction means nothing: one column serves both.
    default_left = np.where(missing != _MISSING_NONE, decision & _DEFAULT_LEFT, 0)
    keys, key_of = np.unique(
        np.stack([feature, missing, default_left]), axis=1, return_inverse=True
    )
    columns: list[_Column] = []
    column_of, code_of = np.zeros((2, feature.size), np.int64)
    for number, key in enumerate(keys.T.tolist()):
        members = np.flatnonzero(key_of == number)
        ordered, position = np.unique(edges[members], return_inverse=True)
        column_of[members] = len(columns) + position // MAX_CODES
        code_of[members] = LOWEST_CODE + position % MAX_CODES
        for start in range(0, ordered.size, MAX_CODES):
            part = ordered[start : start + MAX_CODES]
            columns.append(_Column(key[0], key[1], key[2] != 0, part))
    return columns, column_of, code_of


def _plan_encoders(columns: Sequence[_Column]) -> dict[str, NDArray[Any]]:
    """Return the fields of ``Plan`` that turn values into codes."""
    n_columns = len(columns)
    origin = np.zeros(n_columns, np.float32)
    scale = np.zeros(n_columns, np.float32)
    base = np.zeros((n_columns, N_CELLS), np.uint8)
    n_compares = np.ones(n_columns, np.int64)
    missing_code = np.zeros(n_columns, np.int8)
    for c, column in enumerate(columns):
        values = column.thresholds
        origin[c] = values[0]
        # Edges may be infinite; then all share one cell and each is compared.
        with np.errstate(over="ignore", invalid="ignore"):
            width = values[-1] - values[0]
            scale[c] = np.float32(N_CELLS - 1) / width if width > 0 else 0
        cells = np.array([find_cell(value, origin[c], scale[c]) for value in values])
        base[c] = np.searchsorted(cells, np.arange(N_CELLS))
        n_compares[c] = np.bincount(cells).max()
        if column.missing == _MISSING_NONE:
            missing_code[c] = LOWEST_CODE + np.searchsorted(values, np.float32(0))
        else:
            missing_code[c] = LOWEST_CODE if column.is_default_left else HIGHEST_CODE
    thresholds = np.full((n_columns, MAX_CODES + int(n_compares.max(initial=1))), np.inf)
    for c, column in enumerate(columns):
        thresholds[c, : column.thresholds.size] = column.thresholds
    return {
        "feature": np.array([column.feature for column in columns], np.int64),
        "cell_origin": origin,
        "cell_scale": scale,
        "cell_base": base,
        "thresholds": thresholds.astype(np.float32),
        "n_compares": n_compares,
        "missing_code": missing_code,
        "is_zero_missing": np.array([c.missing == _MISSING_ZERO for c in columns], np.bool_),
    }
