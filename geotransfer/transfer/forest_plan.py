"""From LightGBM's model text to the flat arrays the compiled loops read.

LightGBM compares doubles and takes magnitudes up to 1e-35 for zero. Both are folded into the
thresholds: a float32 value exceeds a double exactly if it exceeds the largest float32 not above it,
and a threshold beside zero is moved to the edge of what counts as zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geotransfer.errors import ModelInvalid
from geotransfer.transfer.forest_kernel import (
    HIGHEST_CODE,
    LOWEST_CODE,
    MAX_CODES,
    MAX_LEAVES,
    N_CELLS,
    SPLITS_PER_PASS,
    TREES_PER_STEP,
    Plan,
    find_cell,
)

MAX_RAW_ERROR = 1e-6
"""Largest error of a steepness-weighted score that fixed-point leaf values may cause."""

_TREES_PER_GROUP = 32
_SMALLEST_REACH = 1e-9
_ZERO = np.float32(1e-35)
_CATEGORICAL, _DEFAULT_LEFT = 1, 2
_MISSING_NONE, _MISSING_ZERO, _MISSING_NAN = 0, 1, 2


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

    def read(name: str, dtype: type, size: int) -> NDArray[np.generic]:
        values = np.array(fields[name].split() if size else [], dtype=dtype)
        if values.size != size:
            raise ValueError(f"{name} has {values.size} values in place of {size}")
        return values

    return Tree(
        feature=read("split_feature", np.int64, n_splits),  # type: ignore[arg-type]
        threshold=read("threshold", np.float64, n_splits),  # type: ignore[arg-type]
        decision=read("decision_type", np.int64, n_splits),  # type: ignore[arg-type]
        left=read("left_child", np.int64, n_splits),  # type: ignore[arg-type]
        right=read("right_child", np.int64, n_splits),  # type: ignore[arg-type]
        leaf_value=read("leaf_value", np.float64, n_leaves),  # type: ignore[arg-type]
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


@dataclass(frozen=True, eq=False)
class _Column:
    feature: int
    missing: int
    is_default_left: bool
    thresholds: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class _Split:
    key: tuple[int, int, bool]
    threshold: np.float32
    owner: int


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
    replays = [_order_splits(tree) for tree in ensemble.trees]
    columns, column_of = _collect_columns([split for splits, _ in replays for split in splits])
    encoders = _plan_encoders(columns)

    split_column: list[int] = []
    split_code: list[int] = []
    split_owner: list[int] = []
    first_split = [0]
    n_splits: list[int] = []
    leaf_value: list[NDArray[np.int32]] = []
    group_class: list[int] = []
    group_tree = [0]
    group_unit: list[float] = []
    raw_error = 0.0

    n_classes = ensemble.n_classes
    for k in range(n_classes):
        members = range(k, len(ensemble.trees), n_classes)
        for start in range(0, len(members), _TREES_PER_GROUP):
            group = members[start : start + _TREES_PER_GROUP]
            reach = sum(float(np.abs(ensemble.trees[t].leaf_value).max()) for t in group)
            scale = (2**31 - 2 * _TREES_PER_GROUP) / max(reach, _SMALLEST_REACH)
            raw_error += len(group) * 0.5 / scale
            for t in group:
                splits, leaf_order = replays[t]
                for split in splits:
                    column, position = column_of[split.key][float(split.threshold)]
                    split_column.append(column)
                    split_code.append(LOWEST_CODE + position)
                    split_owner.append(split.owner)
                _pad(split_column, split_code, split_owner)
                first_split.append(len(split_column))
                n_splits.append(len(splits))
                values = np.zeros(MAX_LEAVES, np.int32)
                ordered = ensemble.trees[t].leaf_value[leaf_order]
                values[: ordered.size] = np.rint(ordered * scale).astype(np.int32)
                leaf_value.append(values)
            for _ in range(-len(group) % TREES_PER_STEP):
                first_split.append(len(split_column))
                n_splits.append(0)
                leaf_value.append(np.zeros(MAX_LEAVES, np.int32))
            group_class.append(k)
            group_tree.append(len(n_splits))
            group_unit.append(1.0 / scale)
    if not raw_error * ensemble.steepness <= MAX_RAW_ERROR:
        raise ForestUnsupported("Leaf values are too large for the fast path's fixed point")

    values_of = np.array(leaf_value, np.int32).reshape(-1, MAX_LEAVES)
    rank_order = np.array(
        [_rank_leaves(v, n + 1) for v, n in zip(values_of, n_splits, strict=True)], np.int64
    ).reshape(-1, MAX_LEAVES)
    plan = Plan(
        *encoders,
        split_column=np.array(split_column, np.uint16),
        split_code=np.array(split_code, np.int8),
        split_owner=np.array(split_owner, np.int8),
        first_split=np.array(first_split, np.int64),
        n_splits=np.array(n_splits, np.int64),
        leaf_value=values_of,
        leaf_rank=np.argsort(rank_order, axis=1).astype(np.int8),
        ranked_value=np.ascontiguousarray(np.take_along_axis(values_of, rank_order, axis=1)),
        group_class=np.array(group_class, np.int64),
        group_tree=np.array(group_tree, np.int64),
        group_unit=np.array(group_unit, np.float64),
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


def _order_splits(tree: Tree) -> tuple[list[_Split], NDArray[np.int64]]:
    """List a tree's splits parents first, and its leaves by the id they end up with.

    The left child keeps its parent's id, the right child gets the next free one.
    """
    splits: list[_Split] = []
    leaf_of = np.zeros(tree.leaf_value.size, np.int64)
    pending = [(0 if tree.feature.size else -1, 0)]
    while pending:
        node, owner = pending.pop()
        if node < 0:
            leaf_of[owner] = -1 - node
            continue
        decision = int(tree.decision[node])
        missing = decision >> 2 & 3
        # Without missing values the default direction means nothing: one column serves both.
        default_left = missing != _MISSING_NONE and bool(decision & _DEFAULT_LEFT)
        threshold = _fold_threshold(float(tree.threshold[node]))
        splits.append(_Split((int(tree.feature[node]), missing, default_left), threshold, owner))
        pending.append((int(tree.left[node]), owner))
        pending.append((int(tree.right[node]), len(splits)))
    return splits, leaf_of


def _fold_threshold(threshold: float) -> np.float32:
    """Return the float32 t such that ``x > t`` decides as LightGBM does for float32 x."""
    with np.errstate(over="ignore"):
        folded = np.float32(threshold)
    if float(folded) > threshold:
        folded = np.nextafter(folded, np.float32(-np.inf))
    if -float(_ZERO) <= threshold < 0:
        return np.nextafter(-_ZERO, np.float32(-np.inf))
    if 0 <= threshold < float(_ZERO):
        return _ZERO
    return folded


def _collect_columns(
    splits: Sequence[_Split],
) -> tuple[list[_Column], dict[tuple[int, int, bool], dict[float, tuple[int, int]]]]:
    """Share out the thresholds to code columns: threshold → (column, position in it)."""
    thresholds: dict[tuple[int, int, bool], set[float]] = {}
    for split in splits:
        thresholds.setdefault(split.key, set()).add(float(split.threshold))
    columns: list[_Column] = []
    column_of: dict[tuple[int, int, bool], dict[float, tuple[int, int]]] = {}
    for key in sorted(thresholds):
        ordered = sorted(thresholds[key])
        column_of[key] = {}
        for start in range(0, len(ordered), MAX_CODES):
            part = ordered[start : start + MAX_CODES]
            column_of[key].update({t: (len(columns), i) for i, t in enumerate(part)})
            columns.append(_Column(*key, np.array(part, np.float32)))
    return columns, column_of


def _plan_encoders(columns: Sequence[_Column]) -> tuple[NDArray[np.generic], ...]:
    """Return the fields of ``Plan`` up to ``is_zero_missing``."""
    n_columns = len(columns)
    origin = np.zeros(n_columns, np.float32)
    scale = np.zeros(n_columns, np.float32)
    base = np.zeros((n_columns, N_CELLS), np.uint8)
    n_compares = np.ones(n_columns, np.int64)
    missing_code = np.zeros(n_columns, np.int8)
    for c, column in enumerate(columns):
        values = column.thresholds
        origin[c] = values[0]
        with np.errstate(over="ignore", divide="ignore"):
            scale[c] = np.float32(N_CELLS - 1) / (values[-1] - values[0]) if values.size > 1 else 0
        cells = [find_cell(value, origin[c], scale[c]) for value in values]
        base[c] = np.searchsorted(cells, np.arange(N_CELLS))
        n_compares[c] = np.bincount(cells).max()
        if column.missing == _MISSING_NONE:
            missing_code[c] = LOWEST_CODE + np.searchsorted(values, np.float32(0))
        else:
            missing_code[c] = LOWEST_CODE if column.is_default_left else HIGHEST_CODE
    width = MAX_CODES + int(n_compares.max(initial=1))
    padded = np.full((n_columns, width), np.inf, np.float32)
    for c, column in enumerate(columns):
        padded[c, : column.thresholds.size] = column.thresholds
    return (
        np.array([column.feature for column in columns], np.int64),
        origin,
        scale,
        base,
        padded,
        n_compares,
        missing_code,
        np.array([column.missing == _MISSING_ZERO for column in columns], np.bool_),
    )


def _pad(split_column: list[int], split_code: list[int], split_owner: list[int]) -> None:
    missing = -len(split_column) % SPLITS_PER_PASS
    split_column.extend([0] * missing)
    split_code.extend([HIGHEST_CODE] * missing)
    split_owner.extend([-1] * missing)


def _rank_leaves(values: NDArray[np.int32], n_leaves: int) -> NDArray[np.int64]:
    """Return leaf ids by ascending value, unused ids last."""
    return np.concatenate(
        [np.argsort(values[:n_leaves], kind="stable"), np.arange(n_leaves, MAX_LEAVES)]
    )
