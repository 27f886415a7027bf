"""The forest must answer as LightGBM does, for every value, however the rows come."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geotransfer.errors import ModelInvalid, SpecMismatch
from geotransfer.transfer import forest as forest_module
from geotransfer.transfer import forest_kernel
from geotransfer.transfer.forest import Forest, compile_forest, make_probes
from geotransfer.transfer.forest_kernel import BLOCK, MAX_MERGE_ROWS
from geotransfer.transfer.forest_plan import Ensemble, Tree, parse_model, plan_forest

UGLY = np.array(
    [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-35, -1e-35, 2e-35, 1e-36, -1e-36, 1e-45, 3.4e38],
    np.float32,
)


def make_table(n_rows: int, n_features: int, seed: int) -> np.ndarray:
    """Band-major features: smooth, stepped, heavy-tailed and ugly ones."""
    random = np.random.default_rng(seed)
    table = random.normal(size=(n_features, n_rows)).astype(np.float32)
    table[1] = np.round(table[1] * 2) / 2
    table[2] = np.exp(3 * table[2])
    table[3][random.random(n_rows) < 0.3] = 0
    table[4][random.random(n_rows) < 0.2] = np.nan
    table[5] = random.choice(UGLY, n_rows)
    return table


def train(
    n_trees: int = 60,
    *,
    n_classes: int = 1,
    seed: int = 0,
    categorical: tuple[int, ...] = (),
    **params: object,
) -> str:
    table = make_table(3000, 8, seed)
    random = np.random.default_rng(seed + 1)
    score = table[0] + np.sin(3 * table[1]) + np.nan_to_num(table[4]) * table[0] + table[3]
    score = score + 0.3 * np.isfinite(table[5]) + random.normal(size=3000) * 0.3
    label = np.searchsorted(
        np.quantile(score, np.linspace(0, 1, max(2, n_classes) + 1)[1:-1]), score
    )
    defaults = {
        "objective": "binary" if n_classes == 1 else "multiclass",
        "num_leaves": 31,
        "min_data_in_leaf": 5,
        "verbose": -1,
        "num_threads": 1,
        "seed": seed,
    }
    if n_classes > 1:
        defaults["num_class"] = n_classes
    data = lightgbm.Dataset(table.T.copy(), label, categorical_feature=list(categorical))
    booster = lightgbm.train(defaults | params, data, num_boost_round=n_trees)
    return str(booster.model_to_string())


MODELS = {
    "binary": {},
    "leaves_32": {"num_leaves": 32},
    "small": {"num_leaves": 4, "n_trees": 3},
    "one_tree": {"n_trees": 1},
    "steep": {"sigmoid": 2.5},
    "missing_is_zero": {"zero_as_missing": True},
    "missing_is_ignored": {"use_missing": False},
    "many_thresholds": {"max_bin": 2000, "min_data_in_bin": 1, "n_trees": 150},
    "multiclass": {"n_classes": 4, "n_trees": 20},
    "one_versus_all": {"n_classes": 3, "objective": "multiclassova", "n_trees": 20},
    "random_forest": {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6},
    "stumps_of_one_leaf": {"min_gain_to_split": 1e9, "n_trees": 5},
}


@pytest.fixture(scope="module", params=MODELS)
def model_text(request: pytest.FixtureRequest) -> str:
    return train(**MODELS[request.param])


@pytest.fixture(scope="module")
def binary_text() -> str:
    return train()


@pytest.fixture(scope="module")
def binary(binary_text: str) -> Forest:
    return compile_forest(binary_text)


def predict_with_lightgbm(text: str, table: np.ndarray, *, raw: bool = False) -> np.ndarray:
    booster = lightgbm.Booster(model_str=text)
    answer = booster.predict(np.ascontiguousarray(table.T), raw_score=raw, num_threads=1)
    return np.asarray(answer)


def descend(tree: Tree, values: list[float]) -> int:
    """Find a row's leaf as LightGBM's source does: in doubles, node by node."""
    node = 0 if tree.feature.size else -1
    while node >= 0:
        value = float(values[tree.feature[node]])
        decision = int(tree.decision[node])
        missing = decision >> 2 & 3
        if abs(value) <= float(np.float32(1e-35)):
            value = 0.0
        if np.isnan(value) and missing != 2:
            value = 0.0
        if (missing == 1 and value == 0.0) or (missing == 2 and np.isnan(value)):
            goes_left = bool(decision & 2)
        else:
            goes_left = value <= tree.threshold[node]
        node = int(tree.left[node] if goes_left else tree.right[node])
    return -1 - node


def test_probabilities_equal_lightgbm(model_text: str) -> None:
    forest = compile_forest(model_text)
    assert forest.notice is None
    table = np.hstack([make_table(3000, 8, 7), make_probes(parse_model(model_text))])
    expected = predict_with_lightgbm(model_text, table)
    found = forest.predict_probability(table)
    assert found.shape == (table.shape[1], max(2, forest.n_classes))
    if forest.n_classes == 1:
        expected = np.stack([1 - expected, expected], axis=1)
    assert np.abs(found - expected).max() <= 1e-6
    raw = predict_with_lightgbm(model_text, table, raw=True)
    assert forest.predict_raw(table).shape == raw.shape
    assert np.abs(forest.predict_raw(table) - raw).max() <= forest.raw_error + 1e-9


def test_leaves_equal_the_obvious_descent(binary: Forest, binary_text: str) -> None:
    ensemble = parse_model(binary_text)
    table = make_probes(ensemble)[:, :200]
    expected = [
        sum(tree.leaf_value[descend(tree, row)] for tree in ensemble.trees)
        for row in table.T.tolist()
    ]
    np.testing.assert_allclose(binary.predict_raw(table), expected, rtol=0, atol=binary.raw_error)


def test_probes_hold_every_threshold_and_special_value(binary_text: str) -> None:
    ensemble = parse_model(binary_text)
    probes = make_probes(ensemble)
    for tree in ensemble.trees:
        for feature, threshold in zip(tree.feature, tree.threshold, strict=True):
            assert np.float32(threshold) in probes[feature]
    for row in probes:
        assert np.isnan(row).any()
        assert {np.inf, -np.inf} <= set(row.tolist())
        assert np.signbit(row[row == 0]).any()


# Trees nobody would train, written as model text: thresholds at the edges of float32 and of zero.

EDGES = st.sampled_from(
    [0.0, -0.0, 1e-35, -1e-35, 1.0000000180025095e-35, -1.0000000180025095e-35, 9e-36, -9e-36,
     1e-45, -1e-45, 1e-300, -1e-300, 1.1e-35, -1.1e-35, 1e300, -1e300, 3.4028234663852886e38,
     1.0, 1.0000000001, 0.9999999999, 0.1, -0.1, 16777217.0, 1e-20, 1e20]
)  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(UGLY.tolist()),
    EDGES.map(lambda t: float(np.float32(min(max(t, -3e38), 3e38)))),
    st.floats(width=32),
)


@st.composite
def ensembles(draw: st.DrawFn) -> Ensemble:
    n_features = draw(st.integers(1, 4))
    trees = []
    for _ in range(draw(st.integers(1, 6))):
        n_leaves = draw(st.integers(1, 12))
        left, right = np.full(n_leaves - 1, -1), np.full(n_leaves - 1, -1)
        places: list[tuple[int, bool]] = []
        for node in range(n_leaves - 1):
            if node:
                parent, is_left = places.pop(draw(st.integers(0, len(places) - 1)))
                (left if is_left else right)[parent] = node
            places += [(node, True), (node, False)]
        for leaf, (parent, is_left) in enumerate(places):
            (left if is_left else right)[parent] = -1 - leaf
        size = n_leaves - 1
        trees.append(
            Tree(
                feature=np.array([draw(st.integers(0, n_features - 1)) for _ in range(size)], int),
                threshold=np.array([draw(EDGES | st.floats(-9, 9)) for _ in range(size)], float),
                decision=np.array(
                    [draw(st.sampled_from([0, 2, 4, 6, 8, 10])) for _ in range(size)], int
                ),
                left=left,
                right=right,
                leaf_value=np.array([draw(st.floats(-1, 1)) for _ in range(n_leaves)]),
                is_linear=False,
            )
        )
    return Ensemble(
        n_features=n_features, n_classes=1, objective="binary", steepness=1.0,
        trees=tuple(trees),
    )  # fmt: skip


def write_model(ensemble: Ensemble) -> str:
    def join(values: np.ndarray) -> str:
        return " ".join(repr(v) for v in values.tolist())

    blocks = []
    for number, tree in enumerate(ensemble.trees):
        zeros = np.zeros(tree.feature.size, int)
        counts = np.ones(tree.leaf_value.size, int)
        blocks.append(
            f"Tree={number}\nnum_leaves={tree.leaf_value.size}\nnum_cat=0\n"
            f"split_feature={join(tree.feature)}\nsplit_gain={join(zeros)}\n"
            f"threshold={join(tree.threshold)}\ndecision_type={join(tree.decision)}\n"
            f"left_child={join(tree.left)}\nright_child={join(tree.right)}\n"
            f"leaf_value={join(tree.leaf_value)}\nleaf_weight={join(counts)}\n"
            f"leaf_count={join(counts)}\ninternal_value={join(zeros)}\n"
            f"internal_weight={join(zeros)}\ninternal_count={join(zeros)}\n"
            "is_linear=0\nshrinkage=1\n\n\n"
        )
    names = " ".join(f"f{i}" for i in range(ensemble.n_features))
    infos = " ".join("[-1:1]" for _ in range(ensemble.n_features))
    sizes = " ".join(str(len(block)) for block in blocks)
    return (
        "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\n"
        f"max_feature_idx={ensemble.n_features - 1}\nobjective=binary sigmoid:1\n"
        f"feature_names={names}\nfeature_infos={infos}\ntree_sizes={sizes}\n\n"
        + "".join(blocks)
        + "end of trees\n\nfeature_importances:\n\nparameters:\nend of parameters\n"
    )


@settings(max_examples=60, deadline=None)
@given(ensembles(), st.data())
def test_any_tree_any_value(ensemble: Ensemble, data: st.DataObject) -> None:
    text = write_model(ensemble)
    forest = compile_forest(text)
    assert forest.notice is None
    row = st.lists(VALUES, min_size=ensemble.n_features, max_size=ensemble.n_features)
    table = np.array(data.draw(st.lists(row, min_size=1, max_size=20)), np.float32).T
    expected = predict_with_lightgbm(text, table, raw=True)
    np.testing.assert_allclose(forest.predict_raw(table), expected, rtol=0, atol=1e-6)


def test_thresholds_of_one_cell_are_all_compared() -> None:
    """Two thresholds far away squeeze 200 others into one cell of the grid."""
    inner = np.linspace(0.1, 0.2, 200)
    thresholds = np.concatenate([inner, [1e9, -1e9]])
    trees = tuple(
        Tree(
            feature=np.zeros(1, int), threshold=np.array([t]), decision=np.array([2]),
            left=np.array([-1]), right=np.array([-2]), leaf_value=np.array([0.0, 1 / 256]),
            is_linear=False,
        )
        for t in thresholds
    )  # fmt: skip
    ensemble = Ensemble(n_features=1, n_classes=1, objective="binary", steepness=1, trees=trees)
    assert plan_forest(ensemble)[0].n_compares.max() == 200
    forest = compile_forest(write_model(ensemble))
    values = np.sort(np.concatenate([inner.astype(np.float32), np.float32([-2e9, 0, 2e9])]))
    counts = (values[:, None].astype(float) > thresholds).sum(axis=1)
    np.testing.assert_allclose(forest.predict_raw(values[None]) * 256, counts, atol=1e-4)


def test_results_do_not_depend_on_chunks_threads_or_layout(binary: Forest) -> None:
    table = make_table(5 * BLOCK + 123, 8, 3)
    whole = binary.predict_probability(table)
    assert np.array_equal(whole, binary.predict_probability(table, n_threads=3))
    rows = np.ascontiguousarray(table.T)
    assert np.array_equal(whole, binary.predict_probability(rows.T, n_threads=2))
    for size in (1, 17, BLOCK - 1, BLOCK + 1):
        part = [
            binary.predict_probability(table[:, a : a + size]) for a in range(0, 3 * size, size)
        ]
        assert np.array_equal(whole[: 3 * size], np.concatenate(part))
    wide = np.zeros((16, 2 * table.shape[1]), np.float32)
    view = wide[::2, 1::2]
    view[:] = table
    assert np.array_equal(whole, binary.predict_probability(view))
    assert np.array_equal(whole[::-1], binary.predict_probability(table[:, ::-1]))
    table.flags.writeable = False
    assert np.array_equal(whole, binary.predict_probability(table))
    buffers: list[pickle.PickleBuffer] = []
    sent = pickle.dumps(binary, protocol=5, buffer_callback=buffers.append)
    # As Dask sends it: the arrays arrive read-only.
    received = pickle.loads(sent, buffers=[bytes(b) for b in buffers])  # noqa: S301
    assert np.array_equal(whole, received.predict_probability(table))
    assert binary.predict_probability(table[:, :0]).shape == (0, 2)


def test_loops_are_compiled_for_one_signature(binary: Forest) -> None:
    """Two signatures of one loop would share a cache file between processes."""
    test_results_do_not_depend_on_chunks_threads_or_layout(binary)
    table = make_table(10, 8, 3)
    binary.bound_raw(table, np.ascontiguousarray(table.T).T)
    compile_forest(train(**MODELS["multiclass"])).predict_probability(table)
    counts = {
        name: len(loop.signatures)
        for name, loop in vars(forest_kernel).items()
        if hasattr(loop, "signatures")
    }
    assert counts["predict_rows"] == counts["bound_rows"] == 1
    assert max(counts.values()) == 1, counts


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"num_leaves": 63, "n_trees": 10}, "leaves"),
        ({"linear_tree": True, "n_trees": 3}, "linear"),
        ({"categorical": (1,), "n_trees": 10, "min_data_per_group": 5}, "categorical"),
    ],
)
def test_what_cannot_be_replayed_is_left_to_lightgbm(params: dict[str, object], words: str) -> None:
    text = train(**params)  # type: ignore[arg-type]
    forest = compile_forest(text)
    assert forest.notice is not None
    assert words in forest.notice
    assert "LightGBM itself predicts" in forest.notice
    table = make_table(500, 8, 7)
    expected = predict_with_lightgbm(text, table)
    assert np.array_equal(forest.predict_probability(table)[:, 1], expected)
    assert np.array_equal(forest.predict_raw(table), predict_with_lightgbm(text, table, raw=True))
    low, high = forest.bound_raw(table, table)
    assert np.isneginf(low).all()
    assert np.isposinf(high).all()


def test_a_failed_parity_check_is_visible_and_harmless(
    binary_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plan_wrongly(ensemble: Ensemble) -> tuple[object, float]:
        plan, error = plan_forest(ensemble)
        codes = plan.split_code.copy()
        codes[np.flatnonzero(plan.split_owner >= 0)[7]] += 1
        return plan._replace(split_code=codes), error

    monkeypatch.setattr(forest_module, "plan_forest", plan_wrongly)
    forest = compile_forest(binary_text)
    assert forest.notice is not None
    assert "differs from LightGBM" in forest.notice
    table = make_table(500, 8, 7)
    expected = predict_with_lightgbm(binary_text, table)
    assert np.array_equal(forest.predict_probability(table)[:, 1], expected)


def test_leaf_values_too_large_for_fixed_point_are_left_to_lightgbm() -> None:
    table = make_table(500, 8, 7)
    label = 1e9 * table[0]
    params = {"objective": "regression", "verbose": -1, "num_threads": 1}
    booster = lightgbm.train(params, lightgbm.Dataset(table.T.copy(), label), 5)
    text = booster.model_to_string()
    forest = compile_forest(text)
    assert forest.notice is not None
    assert "fixed point" in forest.notice
    assert np.array_equal(forest.predict_raw(table), predict_with_lightgbm(text, table))
    with pytest.raises(ModelInvalid, match="not trained to classify"):
        forest.predict_probability(table)


def test_wrong_features_are_refused(binary: Forest) -> None:
    table = make_table(10, 8, 3)
    with pytest.raises(SpecMismatch, match=r"\(8, n\)"):
        binary.predict_raw(table.T)
    with pytest.raises(SpecMismatch, match="float64"):
        binary.predict_raw(table.astype(np.float64))
    with pytest.raises(SpecMismatch, match="upper"):
        binary.bound_raw(table, table[:, :5])


@pytest.mark.parametrize("damage", ["", "tree\n", "cut", "loop"])
def test_damaged_text_is_refused(binary_text: str, damage: str) -> None:
    text = damage
    if damage == "cut":
        text = binary_text[: len(binary_text) // 2]
    elif damage == "loop":
        text = binary_text.replace("left_child=1 ", "left_child=2 ", 1)
        assert text != binary_text
    with pytest.raises(ModelInvalid):
        compile_forest(text)


# Bounds


def reach_extremes(tree: Tree, low: list[float], high: list[float]) -> tuple[float, float]:
    """Walk down every branch a box can take, cutting the box at each split."""

    def walk(node: int, low: list[float], high: list[float]) -> list[float]:
        if node < 0:
            return [float(tree.leaf_value[-1 - node])]
        f, threshold = int(tree.feature[node]), float(tree.threshold[node])
        decision = int(tree.decision[node])
        left, right = int(tree.left[node]), int(tree.right[node])
        if np.isnan(low[f]):
            if decision >> 2 & 3 == 2:
                return walk(left if decision & 2 else right, low, high)
            return walk(left if threshold >= 0 else right, low, high)
        leaves: list[float] = []
        if low[f] <= threshold:
            cut = high.copy()
            cut[f] = min(high[f], threshold)
            leaves += walk(left, low, cut)
        if high[f] > threshold:
            cut = low.copy()
            cut[f] = max(low[f], float(np.nextafter(threshold, np.inf)))
            leaves += walk(right, cut, high)
        return leaves

    def snap(ends: list[float]) -> list[float]:
        return [0.0 if abs(end) <= float(np.float32(1e-35)) else end for end in ends]

    leaves = walk(0 if tree.feature.size else -1, snap(low), snap(high))
    return min(leaves), max(leaves)


def make_boxes(n_rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    centre = make_table(n_rows, 8, seed)
    width = random.choice(np.float32([0, 0.01, 0.3, 3]), centre.shape)
    with np.errstate(invalid="ignore"):
        return centre - width, centre + width


def test_bounds_equal_the_obvious_walk(binary: Forest, binary_text: str) -> None:
    ensemble = parse_model(binary_text)
    low, high = make_boxes(150, 11)
    found_low, found_high = binary.bound_raw(low, high)
    for row in range(low.shape[1]):
        extremes = [
            reach_extremes(tree, low[:, row].tolist(), high[:, row].tolist())
            for tree in ensemble.trees
        ]
        expected_low, expected_high = np.sum(extremes, axis=0)
        assert -2.1 * binary.raw_error <= found_low[row] - expected_low <= 1e-12
        assert -1e-12 <= found_high[row] - expected_high <= 2.1 * binary.raw_error


def test_no_point_of_a_box_leaves_its_bounds(model_text: str) -> None:
    forest = compile_forest(model_text)
    random = np.random.default_rng(5)
    low, high = make_boxes(BLOCK + 300, 13)
    bound_low, bound_high = forest.bound_raw(low, high)
    points = [low, high]
    for _ in range(20):
        with np.errstate(invalid="ignore", over="ignore"):
            width = high - low
            point = low + width * random.random(low.shape).astype(np.float32)
        inside = np.where(np.isfinite(width), np.clip(point, low, high), low)
        points.append(inside)
        straddles = (low <= 0) & (high >= 0) & (random.random(low.shape) < 0.3)
        points.append(np.where(straddles, np.float32(0), inside))
    for point in points:
        raw = predict_with_lightgbm(model_text, point.astype(np.float32), raw=True)
        assert (bound_low <= raw).all()
        assert (raw <= bound_high).all()


def test_bounds_of_a_point_are_its_score(model_text: str) -> None:
    forest = compile_forest(model_text)
    table = make_table(300, 8, 17)
    low, high = forest.bound_raw(table, table)
    raw = forest.predict_raw(table)
    np.testing.assert_allclose(low, raw - forest.raw_error, rtol=0, atol=1e-12)
    np.testing.assert_allclose(high, raw + forest.raw_error, rtol=0, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(ensembles(), st.data())
def test_any_tree_any_box(ensemble: Ensemble, data: st.DataObject) -> None:
    """A box's bounds hold the scores of all its special values."""
    forest = compile_forest(write_model(ensemble))
    pair = st.tuples(VALUES, VALUES).map(
        lambda ends: (min(ends), max(ends)) if ends[0] == ends[0] and ends[1] == ends[1]
        else (float("nan"), float("nan"))
    )  # fmt: skip
    n = ensemble.n_features
    boxes = np.array(data.draw(st.lists(pair, min_size=n, max_size=n)), np.float32)
    bound_low, bound_high = forest.bound_raw(boxes[:, :1], boxes[:, 1:])
    random = np.random.default_rng(0)
    edges = np.concatenate([UGLY, *(t.threshold.clip(-3e38, 3e38) for t in ensemble.trees)])
    edges = edges[np.isfinite(edges)].astype(np.float32)
    points = np.empty((n, 200), np.float32)
    for f, (low, high) in enumerate(boxes):
        inside = edges[(low <= edges) & (edges <= high)]
        points[f] = random.choice(np.append(inside, [low, high]).astype(np.float32), 200)
    raw = forest.predict_raw(points)
    assert (bound_low <= raw).all()
    assert (raw <= bound_high).all()


def test_merging_needs_few_rows_for_any_shape_of_tree() -> None:
    """A full tree of 32 leaves needs most rows; a chain of splits two."""
    full = Tree(
        feature=np.zeros(31, int), threshold=np.arange(31.0), decision=np.full(31, 2),
        left=np.array([2 * i + 1 if i < 15 else -1 - 2 * (i - 15) for i in range(31)]),
        right=np.array([2 * i + 2 if i < 15 else -2 - 2 * (i - 15) for i in range(31)]),
        leaf_value=np.linspace(-1, 1, 32), is_linear=False,
    )  # fmt: skip
    chain = Tree(
        feature=np.zeros(31, int), threshold=np.arange(31.0), decision=np.full(31, 2),
        left=-1 - np.arange(31), right=np.append(np.arange(1, 31), -32),
        leaf_value=np.linspace(-1, 1, 32), is_linear=False,
    )  # fmt: skip
    for tree, n_rows in ((full, MAX_MERGE_ROWS), (chain, 2)):
        ensemble = Ensemble(
            n_features=1, n_classes=1, objective="binary", steepness=1, trees=(tree,)
        )
        assert len(np.unique(plan_forest(ensemble)[0].merge_row)) == n_rows


def test_missing_at_one_end_may_be_anything(binary: Forest) -> None:
    low, high = make_boxes(50, 19)
    low[0], high[0] = np.nan, 0
    bound_low, bound_high = binary.bound_raw(low, high)
    for value in (np.nan, -np.inf, -1, 0, 1, np.inf):
        low[0] = high[0] = value
        part_low, part_high = binary.bound_raw(low, high)
        assert (bound_low <= part_low).all()
        assert (part_high <= bound_high).all()


def test_bounds_do_not_depend_on_chunks_threads_or_layout(binary: Forest) -> None:
    low, high = make_boxes(3 * BLOCK + 7, 23)
    whole = np.stack(binary.bound_raw(low, high))
    assert np.array_equal(whole, np.stack(binary.bound_raw(low, high, n_threads=2)))
    rows = np.ascontiguousarray(low.T)
    assert np.array_equal(whole, np.stack(binary.bound_raw(rows.T, high)))
    part = np.stack(binary.bound_raw(low[:, 100:1300], high[:, 100:1300]))
    assert np.array_equal(whole[:, 100:1300], part)


@pytest.mark.slow
def test_processes_that_start_cold_together_agree(
    binary: Forest, binary_text: str, tmp_path: Path
) -> None:
    (tmp_path / "model.txt").write_text(binary_text)
    table = make_table(2000, 8, 29)
    np.save(tmp_path / "table.npy", table)
    program = (
        "import sys, numpy as np, pathlib, hashlib\n"
        "from geotransfer.transfer.forest import compile_forest\n"
        "f = compile_forest(pathlib.Path('model.txt').read_text())\n"
        "t = np.load('table.npy')\n"
        "print(f.notice, hashlib.sha256(f.predict_probability(t).tobytes()).hexdigest(),"
        " hashlib.sha256(np.stack(f.bound_raw(t, t)).tobytes()).hexdigest())"
    )
    environment = os.environ | {
        "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONPATH": str(Path(forest_module.__file__).parents[2]),
    }
    answers = set()
    for n_together in (2, 1):  # cold, then from the cache the first two left
        running = [
            subprocess.Popen(
                [sys.executable, "-c", program], cwd=tmp_path, env=environment,
                stdout=subprocess.PIPE, text=True,
            )
            for _ in range(n_together)
        ]  # fmt: skip
        for process in running:
            out, _ = process.communicate(timeout=250)
            assert process.returncode == 0
            answers.add(out)
    assert len(answers) == 1, json.dumps(sorted(answers))
    assert answers.pop().startswith("None")
