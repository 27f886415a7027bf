from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from geotransfer.accuracy.area import (
    AreaAccuracy,
    AreaFigure,
    estimate_olofsson,
    estimate_stehman,
)
from geotransfer.core.estimate import ErrorMatrix
from geotransfer.core.legend import CROPLAND, Legend, LegendClass
from geotransfer.errors import InputError

FOREST = ErrorMatrix(
    class_names=("deforestation", "forest gain", "stable forest", "stable non-forest"),
    counts=((66, 0, 5, 4), (0, 55, 8, 12), (1, 0, 153, 11), (2, 1, 9, 313)),
)
"""Worked example of Olofsson et al. 2014, table 8."""
FOREST_PX = (200_000.0, 150_000.0, 3_200_000.0, 6_450_000.0)

LETTERS = Legend(
    name="letters",
    classes=tuple(LegendClass(code=i, name=n, color="#000000") for i, n in enumerate("ABCD")),
)
STRATA = list("A" * 10 + "B" * 10 + "C" * 10 + "D" * 10)
MAPPED = ["ABCD".index(x) for x in "A" * 7 + "BBB" + "A" + "B" * 11 + "C" * 6 + "BB" + "D" * 10]
TRUTH = ["ABCD".index(x) for x in "AAAAACBABCABBBBBAABBCCCCCDDBBADDDDDDDCCB"]
UNITS = {"A": 40_000.0, "B": 30_000.0, "C": 20_000.0, "D": 10_000.0}
"""Worked example of Stehman 2014, table 2: 40 pixels of four strata."""


def olofsson(counts: object, areas: object, **options: object) -> AreaAccuracy:
    matrix = ErrorMatrix(
        class_names=tuple("abcd"[: len(counts)]), counts=tuple(tuple(row) for row in counts)
    )
    return estimate_olofsson(matrix, areas, **{"is_probability_sample": True, "seed": 0, **options})


def stehman(**options: object) -> AreaAccuracy:
    arguments = {"is_probability_sample": True, "seed": 0, "unit_km2": 1.0, **options}
    return estimate_stehman(
        arguments.pop("strata", STRATA), MAPPED, TRUTH, LETTERS, arguments.pop("areas", UNITS),
        **arguments,
    )  # fmt: skip


def list_figures(result: AreaAccuracy) -> list[AreaFigure]:
    per_class = (*result.users, *result.producers, *result.f1, *result.shares)
    return [result.overall, result.balanced, *per_class]


def half_width(figure: AreaFigure) -> float:
    assert figure.standard_error is not None
    return 1.96 * figure.standard_error


def test_the_worked_example_of_olofsson_2014() -> None:
    result = estimate_olofsson(FOREST, FOREST_PX, is_probability_sample=True, seed=0)
    # Table 9 and section 5.2; areas in pixels of 30 m: 235,086 ± 68,418 pixels = 21,158 ha.
    assert result.areas_km2[0].estimate.value == pytest.approx(235_086, abs=1)
    assert half_width(result.areas_km2[0]) == pytest.approx(68_418, abs=1)
    hectares = [figure.estimate.value * 0.09 for figure in result.areas_km2]
    assert hectares == pytest.approx([21_158, 11_686, 285_770, 581_386], abs=1)
    assert result.overall.estimate.value == pytest.approx(0.947, abs=5e-4)
    assert half_width(result.overall) == pytest.approx(0.018, abs=5e-4)
    assert [u.estimate.value for u in result.users] == pytest.approx(
        [0.88, 0.73, 0.93, 0.96], abs=5e-3
    )
    assert [half_width(u) for u in result.users] == pytest.approx(
        [0.07, 0.10, 0.04, 0.02], abs=5e-3
    )
    assert [p.estimate.value for p in result.producers] == pytest.approx(
        [0.75, 0.85, 0.93, 0.96], abs=5e-3
    )
    # The paper prints 0.23 and 0.01 for the second and fourth; its own equation 7 gives these.
    assert [half_width(p) for p in result.producers] == pytest.approx(
        [0.213, 0.254, 0.034, 0.018], abs=5e-4
    )
    assert result.cell_shares[0][0] == pytest.approx(0.0176)
    assert np.sum(result.cell_shares) == pytest.approx(1)


def test_the_worked_example_of_stehman_2014() -> None:
    result = stehman()
    assert result.shares[0].estimate.value == pytest.approx(0.35)
    assert result.shares[2].estimate.value == pytest.approx(0.20)
    assert result.overall.estimate.value == pytest.approx(0.63)
    assert result.users[1].estimate.value == pytest.approx(0.574, abs=5e-4)
    assert result.producers[1].estimate.value == pytest.approx(0.794, abs=5e-4)
    assert result.cell_shares[1][2] == pytest.approx(0.08)
    errors = [
        figure.standard_error
        for figure in (result.shares[0], result.shares[2], result.overall, result.users[1])
    ]
    assert errors == pytest.approx([0.082, 0.064, 0.085, 0.125], abs=5e-4)
    assert result.producers[1].standard_error == pytest.approx(0.1165, abs=5e-5)


def spell_out_olofsson(counts: np.ndarray, areas: np.ndarray) -> dict[str, np.ndarray]:
    """Equations 2–11 of Olofsson et al. 2014, term by term."""
    k = len(counts)
    n, w = counts.sum(axis=1), areas / areas.sum()
    p = w[:, None] * counts / n[:, None]
    users = np.diag(counts) / n
    share = p.sum(axis=0)
    producers = np.diag(p) / share
    users_var = users * (1 - users) / (n - 1)
    producers_var = np.empty(k)
    for j in range(k):
        truly_j = sum(areas[i] * counts[i, j] / n[i] for i in range(k))
        own = areas[j] ** 2 * (1 - producers[j]) ** 2 * users_var[j]
        others = sum(
            areas[i] ** 2 * counts[i, j] / n[i] * (1 - counts[i, j] / n[i]) / (n[i] - 1)
            for i in range(k)
            if i != j
        )
        producers_var[j] = (own + producers[j] ** 2 * others) / truly_j**2
    return {
        "overall": np.array([np.trace(p), np.sqrt((w**2 * users_var).sum())]),
        "users": np.array([users, np.sqrt(users_var)]),
        "producers": np.array([producers, np.sqrt(producers_var)]),
        "shares": np.array(
            [share, np.sqrt(((w[:, None] * p - p**2) / (n[:, None] - 1)).sum(axis=0))]
        ),
    }


counted = st.integers(2, 4).flatmap(
    lambda k: st.tuples(
        npst.arrays(np.int64, (k, k), elements=st.integers(0, 40)),
        npst.arrays(np.float64, k, elements=st.floats(0.1, 1000)),
    )
)


@settings(deadline=None, max_examples=40)
@given(counted)
def test_equal_to_olofssons_equations_spelled_out(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    counts, areas = drawn
    counts = counts + 2 * np.eye(len(counts), dtype=int)
    result = olofsson(counts, areas)
    expected = spell_out_olofsson(counts, areas)
    for name, pair in expected.items():
        found = getattr(result, name)
        figures = found if isinstance(found, tuple) else (found,)
        assert [f.estimate.value for f in figures] == pytest.approx(np.ravel(pair[0]).tolist())
        assert [f.standard_error for f in figures] == pytest.approx(
            np.ravel(pair[1]).tolist(), abs=1e-9
        )


@settings(deadline=None, max_examples=40)
@given(counted, st.booleans())
def test_every_interval_holds_its_value(
    drawn: tuple[np.ndarray, np.ndarray], is_probability_sample: bool
) -> None:
    counts, areas = drawn
    counts = counts + np.eye(len(counts), dtype=int)
    result = olofsson(counts, areas, is_probability_sample=is_probability_sample)
    for figure in list_figures(result):
        assert 0 <= figure.estimate.low <= figure.estimate.value <= figure.estimate.high <= 1
        assert figure.estimate.method.startswith("indicative") is not is_probability_sample
    total = sum(figure.estimate.value for figure in result.areas_km2)
    assert total == pytest.approx(areas.sum())


def test_proportional_sampling_gives_the_raw_counts() -> None:
    result = olofsson([[54, 6], [8, 32]], [60, 40])
    assert result.overall.estimate.value == pytest.approx(0.86)
    assert result.shares[1].estimate.value == pytest.approx(0.38)


def test_a_transposed_matrix_is_another_result() -> None:
    # Peers put reference classes in rows; the same numbers then mean something else.
    counts = np.array([[45, 5], [20, 30]])
    assert olofsson(counts, [80, 20]).overall != olofsson(counts.T, [80, 20]).overall


def test_strata_are_found_by_name_not_by_frequency_or_order() -> None:
    expected = stehman()
    backwards = dict(reversed(UNITS.items()))
    shuffled = stehman(areas=backwards)
    assert shuffled.overall.standard_error == pytest.approx(expected.overall.standard_error)
    assert shuffled.shares[0].estimate.value == pytest.approx(0.35)
    # Unequal sample sizes, in an order that differs from that of their frequency.
    strata = ["rare", "rare", *["common"] * 6]
    mapped, truth = [1, 1, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 1]
    result = estimate_stehman(
        strata, mapped, truth, CROPLAND, {"rare": 10.0, "common": 90.0},
        is_probability_sample=True, seed=0,
    )  # fmt: skip
    assert result.overall.estimate.value == pytest.approx(0.1 * 1 / 2 + 0.9 * 5 / 6)


def test_strata_that_are_the_map_classes_agree_with_olofsson() -> None:
    rng = np.random.default_rng(0)
    mapped = np.repeat([0, 1], [60, 40])
    truth = np.where(rng.random(100) < 0.85, mapped, 1 - mapped)
    areas = {0: 70.0, 1: 30.0}
    general = estimate_stehman(
        mapped, mapped, truth, CROPLAND, areas, is_probability_sample=True, seed=0
    )
    special = estimate_olofsson(general.matrix, [70.0, 30.0], is_probability_sample=True, seed=0)
    for one, other in zip(list_figures(general), list_figures(special), strict=True):
        assert one.estimate.value == pytest.approx(other.estimate.value)
        assert one.standard_error == pytest.approx(other.standard_error)


def test_the_error_of_f1_is_the_delta_methods() -> None:
    # Not the sum of |partial| × SE terms that a peer takes: the spread over samples is the judge.
    rng = np.random.default_rng(1)
    truths = np.array([0.92, 0.75])
    found = []
    for _ in range(400):
        right = rng.binomial(100, truths)
        counts = [[right[0], 100 - right[0]], [100 - right[1], right[1]]]
        found.append(olofsson(counts, [70, 30]).f1[1].estimate.value)
    claimed = olofsson([[92, 8], [25, 75]], [70, 30]).f1[1].standard_error
    assert claimed == pytest.approx(np.std(found), rel=0.1)


def test_a_stratum_with_one_row_has_an_interval_but_no_standard_error() -> None:
    result = olofsson([[50, 3], [0, 1]], [95, 5])
    assert result.overall.standard_error is None
    assert result.overall.estimate.low < result.overall.estimate.value
    assert result.areas_km2[1].standard_error is None


def test_all_rows_right_does_not_mean_certainty() -> None:
    result = olofsson([[30, 0], [0, 20]], [95, 5])
    for figure in list_figures(result):
        assert figure.estimate.high - figure.estimate.low > 0.004
    # One crop row among the 95 % mapped as non-crop would outweigh much of the crop found.
    assert result.producers[1].estimate.low < 0.7


@pytest.mark.parametrize("interval", ["small-sample", "bootstrap"])
def test_a_mapped_class_without_rows_is_refused_by_name(interval: str) -> None:
    with pytest.raises(InputError, match=r"'b' covers 5.0% of the area and has 0 reference rows"):
        olofsson([[50, 3], [0, 0]], [95, 5], interval=interval)
    # Nothing mapped there, nothing needed there.
    assert olofsson([[50, 3], [0, 0]], [95, 0], interval=interval).users[1].estimate.n == 0


def test_strata_without_area_and_bad_areas_are_refused() -> None:
    with pytest.raises(InputError, match="Stratum 'D' has rows but no area"):
        stehman(areas={"A": 1.0, "B": 1.0, "C": 1.0})
    with pytest.raises(InputError, match="one area in km² each"):
        olofsson([[5, 3], [0, 4]], [1.0, -1.0])
    with pytest.raises(InputError, match="cover more than their stratum"):
        stehman(unit_km2=5000.0)
    with pytest.raises(InputError, match="2 are needed"):
        olofsson([[50, 3], [0, 1]], [95, 5], interval="bootstrap")


def test_labels_that_are_no_probability_sample_stay_indicative() -> None:
    result = olofsson([[50, 3], [4, 41]], [60, 40], is_probability_sample=False)
    assert result.is_indicative
    assert {f.estimate.method for f in list_figures(result)} == {
        "indicative stratified-wilson",
        "indicative stratified-dirichlet",
        "indicative wilson",
    }
    with pytest.raises(InputError, match="no probability sample"):
        result.to_evaluation()
    evaluation = olofsson([[50, 3], [4, 41]], [60, 40]).to_evaluation()
    assert evaluation.estimand == "design-based"
    assert evaluation.overall.method == "stratified-wilson"


def test_a_fully_labelled_population_has_no_standard_error() -> None:
    # Finite population correction: nothing is left to guess.
    result = estimate_stehman(
        ["a", "a", "b", "b"], [0, 1, 1, 1], [0, 0, 1, 0], CROPLAND, {"a": 2.0, "b": 2.0},
        is_probability_sample=True, seed=0, unit_km2=1.0,
    )  # fmt: skip
    assert result.overall.standard_error == 0


def cover(counts_per_stratum: list[int], n_runs: int, strata_are_classes: bool) -> dict[str, float]:
    """Return how often nominal 95 % intervals hold the truth of a simulated population."""
    rng = np.random.default_rng(7)
    weights = np.array([0.7, 0.3])
    # Per stratum, the shares of (map, reference) cells 00 01 10 11.
    if strata_are_classes:
        cells = np.array([[0.92, 0.08, 0.0, 0.0], [0.0, 0.0, 0.25, 0.75]])
    else:
        cells = np.array([[0.80, 0.08, 0.05, 0.07], [0.15, 0.08, 0.07, 0.70]])
    truth = (weights @ cells).reshape(2, 2)
    truths = {
        "overall": np.trace(truth),
        "share": truth[:, 1].sum(),
        "producers": truth[1, 1] / truth[:, 1].sum(),
        "f1": 2 * truth[1, 1] / (truth[1].sum() + truth[:, 1].sum()),
    }
    inside = dict.fromkeys(truths, 0)
    for run in range(n_runs):
        drawn = rng.multinomial(counts_per_stratum, cells)
        stratum, cell = (np.repeat(x.ravel(), drawn.ravel()) for x in np.indices(drawn.shape))
        result = estimate_stehman(
            stratum, cell // 2, cell % 2, CROPLAND, {0: 70.0, 1: 30.0},
            is_probability_sample=True, seed=run,
        ) if not strata_are_classes else olofsson(
            [drawn[0, :2], drawn[1, 2:]], [70.0, 30.0], seed=run
        )  # fmt: skip
        figures = {
            "overall": result.overall,
            "share": result.shares[1],
            "producers": result.producers[1],
            "f1": result.f1[1],
        }
        for name, figure in figures.items():
            inside[name] += figure.estimate.low <= truths[name] <= figure.estimate.high
    return {name: count / n_runs for name, count in inside.items()}


@pytest.mark.parametrize("strata_are_classes", [True, False])
def test_intervals_cover_lightly(strata_are_classes: bool) -> None:
    coverage = cover([50, 50], 150, strata_are_classes)
    assert min(coverage.values()) > 0.89, coverage


@pytest.mark.slow
@pytest.mark.parametrize("strata_are_classes", [True, False])
@pytest.mark.parametrize("counts", [[20, 20], [70, 30], [50, 50], [200, 100]])
def test_intervals_cover(counts: list[int], strata_are_classes: bool) -> None:
    coverage = cover(counts, 1000, strata_are_classes)
    assert all(0.91 <= share <= 0.985 for share in coverage.values()), coverage
