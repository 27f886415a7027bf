from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from sklearn.metrics import (
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from geotransfer.accuracy.matrix import (
    count_matrix,
    estimate_balanced,
    estimate_f1,
    estimate_overall,
    estimate_producers,
    estimate_users,
    evaluate_rows,
)
from geotransfer.core.estimate import ErrorMatrix, Estimate, Evaluation
from geotransfer.core.legend import CROPLAND, Legend, LegendClass
from geotransfer.errors import TableInvalid

THREE = Legend(
    name="three",
    # Codes neither sorted nor contiguous: positions, not codes, order the matrix.
    classes=tuple(
        LegendClass(code=code, name=name, color="#000000")
        for code, name in ((7, "forest"), (2, "water"), (40, "crop"))
    ),
)
CODES = np.array(THREE.codes)


def evaluate(
    mapped: np.ndarray, reference: np.ndarray, probability: object = None, **options: object
) -> Evaluation:
    arguments = {"estimand": "random", "separation_km": None, "groups": None, "seed": 0}
    return evaluate_rows(
        mapped,
        reference,
        probability,
        options.pop("legend", CROPLAND),
        **{**arguments, **options},
    )


def list_estimates(evaluation: Evaluation) -> list[Estimate]:
    parts = [evaluation.overall, evaluation.balanced, *evaluation.users, *evaluation.producers]
    return [*parts, *evaluation.f1, *([evaluation.auc] if evaluation.auc else [])]


rows = st.integers(1, 60).flatmap(
    lambda n: st.tuples(
        *[npst.arrays(np.int64, n, elements=st.integers(0, 2)) for _ in range(2)],
        npst.arrays(np.int64, n, elements=st.integers(0, 4)),
    )
)


def test_rows_are_the_map_and_columns_the_reference() -> None:
    matrix = count_matrix([1, 1, 1, 0], [0, 0, 1, 1], CROPLAND)
    assert matrix.counts == ((0, 1), (2, 1))
    # sklearn's is transposed.
    assert (confusion_matrix([0, 0, 1, 1], [1, 1, 1, 0]) == np.array(matrix.counts).T).all()


def test_users_accuracy_is_of_map_rows_and_producers_of_reference_columns() -> None:
    matrix = ErrorMatrix(class_names=("a", "b"), counts=((8, 2), (12, 78)))
    assert [u.value for u in estimate_users(matrix)] == [0.8, 78 / 90]
    assert [p.value for p in estimate_producers(matrix)] == [0.4, 78 / 80]
    assert [u.n for u in estimate_users(matrix)] == [10, 90]
    assert [p.n for p in estimate_producers(matrix)] == [20, 80]
    assert estimate_overall(matrix).value == 0.86


@settings(deadline=None, max_examples=60)
@given(rows)
def test_figures_equal_an_independent_implementation(
    drawn: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    mapped, reference = CODES[drawn[0]], CODES[drawn[1]]
    matrix = count_matrix(mapped, reference, THREE)
    for position, code in enumerate(THREE.codes):
        options = {"labels": [code], "average": "macro"}
        users, producers, f1 = (
            estimate(matrix)[position]
            for estimate in (estimate_users, estimate_producers, estimate_f1)
        )
        if users.n:
            assert users.value == pytest.approx(precision_score(reference, mapped, **options))
        if producers.n:
            assert producers.value == pytest.approx(recall_score(reference, mapped, **options))
        if f1.n:
            assert f1.value == pytest.approx(f1_score(reference, mapped, **options))
    known = [p.value for p in estimate_producers(matrix) if p.n]
    assert estimate_balanced(matrix).value == pytest.approx(np.mean(known))


@settings(deadline=None, max_examples=60)
@given(rows)
def test_transposing_swaps_users_and_producers(
    drawn: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    mapped, reference = CODES[drawn[0]], CODES[drawn[1]]
    one, other = count_matrix(mapped, reference, THREE), count_matrix(reference, mapped, THREE)
    assert estimate_users(one) == estimate_producers(other)
    assert estimate_overall(one) == estimate_overall(other)
    assert estimate_f1(one) == estimate_f1(other)


@settings(deadline=None, max_examples=60)
@given(rows, st.booleans())
def test_every_estimate_lies_in_its_interval_and_none_is_nan(
    drawn: tuple[np.ndarray, np.ndarray, np.ndarray], grouped: bool
) -> None:
    mapped, reference, groups = drawn
    evaluation = evaluate(
        CODES[mapped], CODES[reference], legend=THREE, groups=groups if grouped else None
    )
    for estimate in list_estimates(evaluation):
        assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
        assert estimate.high > estimate.low


def test_balanced_accuracy_equals_sklearns() -> None:
    rng = np.random.default_rng(1)
    reference, mapped = CODES[rng.integers(0, 3, 200)], CODES[rng.integers(0, 3, 200)]
    balanced = estimate_balanced(count_matrix(mapped, reference, THREE))
    assert balanced.value == pytest.approx(balanced_accuracy_score(reference, mapped))


@settings(deadline=None, max_examples=60)
@given(
    st.integers(2, 40).flatmap(
        lambda n: st.tuples(
            npst.arrays(np.bool_, n), npst.arrays(np.int64, n, elements=st.integers(0, 5))
        )
    )
)
def test_auc_equals_sklearns_with_ties(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    positive, scores = drawn
    positive[:2] = True, False
    evaluation = evaluate(positive * 1, positive * 1, scores / 5)
    assert evaluation.auc is not None
    assert evaluation.auc.value == pytest.approx(roc_auc_score(positive, scores))


def test_a_class_without_reference_rows_is_unknown_and_said_so() -> None:
    evaluation = evaluate(np.array([0, 1, 0, 0]), np.zeros(4, int), np.array([0.1, 0.9, 0.2, 0.3]))
    crop = evaluation.producers[1]
    assert (crop.n, crop.low, crop.high) == (0, 0, 1)
    assert evaluation.auc is None
    assert "'crop' does not occur" in evaluation.note
    assert "no AUC" in evaluation.note
    assert evaluation.balanced.value == 0.75


def test_a_class_the_map_never_shows_is_unknown_to_its_user() -> None:
    evaluation = evaluate(np.zeros(4, int), np.array([0, 1, 0, 0]))
    assert (evaluation.users[1].n, evaluation.users[1].low, evaluation.users[1].high) == (0, 0, 1)
    assert evaluation.producers[1].value == 0


@pytest.mark.parametrize("grouped", [False, True])
def test_all_rows_right_does_not_mean_certainty(grouped: bool) -> None:
    reference = np.arange(20) % 2
    groups = np.arange(20) // 2 if grouped else None
    evaluation = evaluate(reference, reference, reference * 0.5, groups=groups)
    for estimate in list_estimates(evaluation):
        assert estimate.value == estimate.high == 1
        assert estimate.low < 0.9


def test_nodata_and_strange_codes_are_refused_with_their_row() -> None:
    with pytest.raises(TableInvalid, match=r"map_codes: row 1 holds 255.*leave out rows"):
        count_matrix([0, 255], [0, 1], CROPLAND)
    with pytest.raises(TableInvalid, match="reference_codes: row 0 holds 9"):
        count_matrix([0, 1], [9, 1], CROPLAND)
    with pytest.raises(TableInvalid, match="2 rows, reference_codes 1"):
        count_matrix([0, 1], [1], CROPLAND)


def test_a_probability_that_is_missing_is_refused_not_ranked() -> None:
    with pytest.raises(TableInvalid, match="probability: row 1 is not finite"):
        evaluate(np.array([0, 1]), np.array([0, 1]), np.array([0.1, np.nan]))
    with pytest.raises(TableInvalid, match="one value a row"):
        evaluate(np.array([0, 1]), np.array([0, 1]), np.ones((2, 2)))
    with pytest.raises(TableInvalid, match="groups has 1 rows"):
        evaluate(np.array([0, 1]), np.array([0, 1]), groups=["a"])
    with pytest.raises(TableInvalid, match="no rows"):
        evaluate(np.zeros(0, int), np.zeros(0, int))


def test_one_block_says_nothing() -> None:
    evaluation = evaluate(
        np.array([0, 1, 1, 0]), np.array([0, 1, 0, 1]), np.arange(4.0), groups=["a"] * 4
    )
    assert all((e.low, e.high) == (0, 1) for e in list_estimates(evaluation))


def test_equal_seeds_give_equal_intervals_and_block_names_do_not_matter() -> None:
    rng = np.random.default_rng(3)
    reference, mapped, blocks = (
        rng.integers(0, 2, 90),
        rng.integers(0, 2, 90),
        rng.integers(0, 9, 90),
    )
    scores = rng.random(90)
    first = evaluate(mapped, reference, scores, groups=blocks)
    again = evaluate(mapped, reference, scores, groups=[f"block {b}" for b in blocks])
    assert first == again
    assert first != evaluate(mapped, reference, scores, groups=blocks, seed=1)


def draw_blocks(rng: np.random.Generator, n_blocks: int) -> tuple[np.ndarray, ...]:
    """Return map, reference, score and block of rows whose quality differs between blocks."""
    block = np.repeat(np.arange(n_blocks), 12)
    skill = np.repeat(rng.beta(4, 1, n_blocks), 12)
    reference = (rng.random(len(block)) < 0.4).astype(int)
    mapped = np.where(rng.random(len(block)) < skill, reference, 1 - reference)
    return mapped, reference, mapped + rng.normal(0, 0.5, len(block)), block


def cover_overall(n_blocks: int, n_runs: int) -> tuple[float, float]:
    """Return coverage of the 95 % intervals by blocks and by rows; the truth is 0.8."""
    rng = np.random.default_rng(11)
    inside = np.zeros(2)
    for _ in range(n_runs):
        mapped, reference, _, block = draw_blocks(rng, n_blocks)
        for position, groups in enumerate((block, None)):
            overall = evaluate(mapped, reference, groups=groups).overall
            inside[position] += overall.low <= 0.8 <= overall.high
    by_blocks, by_rows = inside / n_runs
    return float(by_blocks), float(by_rows)


def test_block_intervals_cover_where_row_intervals_do_not() -> None:
    by_blocks, by_rows = cover_overall(25, 150)
    assert by_blocks > 0.89
    assert by_rows < by_blocks - 0.05


@pytest.mark.slow
@pytest.mark.parametrize("n_blocks", [8, 15, 40])
def test_block_intervals_cover_at_every_number_of_blocks(n_blocks: int) -> None:
    by_blocks, _ = cover_overall(n_blocks, 1000)
    assert 0.91 <= by_blocks <= 0.98
