from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from geotransfer.accuracy.folds import measure_separation
from geotransfer.core.identity import to_plain
from geotransfer.core.spec import S2_SEMIANNUAL
from geotransfer.core.verdict import VerdictKind
from geotransfer.errors import JobCancelled, LeakRefused, SpecMismatch, TableInvalid
from geotransfer.transfer.choice import Folds, plan_blocks, plan_knndm, plan_random
from geotransfer.transfer.fine_tune import fine_tune
from geotransfer.transfer.model_file import dump_model
from geotransfer.transfer.samples import CalibrationSet, HoldoutSet
from geotransfer.transfer.strategies import GaussianProcess

FAST = (GaussianProcess(),)


def tune(baseline, samples, **options):
    return fine_tune(baseline, CalibrationSet(samples), None, strategies=FAST, **options)


@pytest.fixture(scope="module")
def labels(make):
    return make(140, seed=11)


@pytest.fixture(scope="module")
def tuned(baseline, labels):
    return tune(baseline, labels, places_xy_km=labels.xy_km)


def test_holdout_rows_cannot_train(baseline, labels):
    with pytest.raises(LeakRefused, match="HoldoutSet"):
        fine_tune(baseline, HoldoutSet(labels), None)  # type: ignore[arg-type]


def test_a_region_that_trained_the_baseline_is_refused(baseline, labels):
    known = replace(labels, region_ids=np.full(len(labels), "beta"))
    with pytest.raises(LeakRefused, match="'beta' trained the global model"):
        tune(baseline, known)


def test_source_rows_of_the_target_region_are_refused(baseline, labels, make):
    with pytest.raises(LeakRefused, match="leave it out of the source"):
        fine_tune(baseline, CalibrationSet(labels), make(40, seed=3))


def test_labels_of_another_spec_are_refused(baseline, labels):
    other = replace(labels, spec=replace(S2_SEMIANNUAL, version=2))
    with pytest.raises(SpecMismatch, match="choose a model of the same spec"):
        tune(baseline, other)


def test_an_unknown_class_is_named(baseline, labels):
    with pytest.raises(TableInvalid, match="class code 6 is not in legend 'cropland'"):
        tune(baseline, replace(labels, classes=labels.classes + 6))


def test_helpful_labels_are_offered_with_reasons_and_reach(tuned, labels):
    verdict = tuned.verdict
    assert verdict.kind is VerdictKind.USE_FINE_TUNED
    assert verdict.strategy == "gp_correction"
    assert tuned.model.within_km == verdict.within_km > 0
    assert verdict.reach_share == 1.0
    assert verdict.chance_of_gain >= verdict.confidence
    assert f"within {verdict.within_km:g} km" in verdict.reasons[0]
    assert dict(verdict.class_counts) == {
        "non-crop": int((labels.classes == 0).sum()),
        "crop": int((labels.classes == 1).sum()),
    }


def test_both_accuracies_are_shown_and_named(tuned):
    verdict = tuned.verdict
    assert verdict.random.estimand == "random"
    assert verdict.random.separation_km is None
    assert "flatters" in verdict.random.note
    assert verdict.separated.estimand == "spatial-blocks"
    assert verdict.separated.separation_km == pytest.approx(verdict.block_km / 10)
    assert verdict.global_separated.matrix.n == verdict.separated.matrix.n


def test_a_verdict_is_plain_data(tuned):
    assert json.loads(json.dumps(to_plain(tuned.verdict), allow_nan=False))


def test_misleading_labels_are_not_offered(baseline, make):
    """Classes that depend on nothing: no model may be called better."""
    rng = np.random.default_rng(0)
    samples = make(200, seed=3, signal=1.0)
    wrong = replace(samples, classes=rng.permutation(samples.classes))
    verdict = tune(baseline, wrong).verdict
    assert verdict.kind is VerdictKind.NO_MEASURABLE_GAIN
    assert "no better than a coin" in verdict.reasons[0]
    assert verdict.strategy == "keep_global"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda s: s.take(np.arange(5)), "5 labels are too few"),
        (lambda s: s.take(np.flatnonzero(s.classes == 1)), "All labels show 'crop'"),
        (
            lambda s: s.take(
                np.concatenate([np.flatnonzero(s.classes == 1), np.flatnonzero(s.classes == 0)[:2]])
            ),
            "Fewer than two classes have 3 labels",
        ),
        (lambda s: replace(s, xy_km=np.full((len(s), 2), 40.0)), "All labels lie in one place"),
    ],
)
def test_too_few_or_too_narrow_labels_keep_the_global_model(baseline, labels, change, reason):
    result = tune(baseline, change(labels))
    assert result.verdict.kind is VerdictKind.TOO_FEW_LABELS
    assert reason in result.verdict.reasons[0]
    assert result.model is baseline


def test_without_positions_no_gain_is_claimed(baseline, make):
    result = tune(baseline, make(120, seed=11, has_position=False))
    verdict = result.verdict
    assert verdict.kind is VerdictKind.NO_MEASURABLE_GAIN
    assert verdict.gain is None
    assert verdict.separated is None
    assert verdict.random is not None
    assert "bring coordinates" in verdict.reasons[0]


def test_same_bytes_for_any_number_of_threads(baseline, labels, source):
    results = [
        fine_tune(baseline, CalibrationSet(labels), source, seed=4, n_threads=n) for n in (1, 2)
    ]
    assert dump_model(results[0].model) == dump_model(results[1].model)
    assert to_plain(results[0].verdict) == to_plain(results[1].verdict)
    assert {s.strategy for s in results[0].verdict.strategies} == {
        "keep_global", "gp_correction", "pooled", "average", "refit_leaves", "regional_only",
    }  # fmt: skip


def test_progress_rises_and_cancel_is_heard_between_steps(baseline, labels):
    seen: list[float] = []
    tune(baseline, labels, progress=lambda share, what: seen.append(share))
    assert seen == sorted(seen)
    assert seen[0] == 0
    assert seen[-1] == 1

    calls = iter(range(100))
    with pytest.raises(JobCancelled):
        tune(baseline, labels, should_stop=lambda: next(calls) > 2)


def test_no_label_near_a_held_out_block_trains_for_it(labels):
    folds = plan_blocks(labels)
    assert folds is not None
    for k in range(5):
        test, train = folds.split(k, labels.xy_km)
        assert not (test & train).any()
        if test.any() and train.any():
            gap = np.sqrt(
                ((labels.xy_km[test][:, None] - labels.xy_km[train][None]) ** 2).sum(axis=2)
            )
            assert gap.min() >= folds.buffer_km
            assert not set(folds.groups[test]) & set(folds.groups[train])


def test_where_the_map_is_known_folds_are_as_far_from_labels_as_its_places(make):
    """Two towns with labels, a map of the wide land between: random folds would flatter."""
    rng = np.random.default_rng(2)
    samples = make(120, seed=5)
    towns = np.array([[0.0, 0.0], [300.0, 0.0], [0.0, 300.0], [300.0, 300.0], [150.0, 150.0]])
    spread = replace(samples, xy_km=towns[np.arange(120) % 5] + rng.normal(0, 4, (120, 2)))
    places = rng.uniform(0, 300, (500, 2))
    blocks = plan_blocks(spread)
    matched = plan_knndm(spread, places, blocks)
    assert matched is not None
    assert (matched.groups == blocks.groups).all()
    assert matched.buffer_km == 0
    to_map = np.median(measure_separation(places, spread.xy_km))

    def distance(folds) -> float:
        gaps = []
        for k in range(5):
            test, train = folds.split(k, spread.xy_km)
            if test.any() and train.any():
                gaps += measure_separation(spread.xy_km[test], spread.xy_km[train]).tolist()
        return float(np.median(gaps))

    assert abs(distance(matched) - to_map) < abs(distance(plan_random(spread)) - to_map)
    assert plan_knndm(spread, None, blocks) is None
    assert plan_knndm(spread, places, None) is None
    assert plan_knndm(spread.take(np.arange(6)), places, blocks) is None


def test_the_choice_uses_those_folds_and_the_gain_stays_that_of_new_blocks(baseline, labels):
    with_map = tune(baseline, labels, places_xy_km=labels.xy_km).verdict
    without = tune(baseline, labels).verdict
    assert with_map.gain == without.gain
    assert with_map.separated == without.separated
    assert with_map.strategies != without.strategies


def test_random_folds_are_named_as_such_and_keep_rows_when_labels_are_added(labels):
    few = plan_random(labels.take(np.arange(40)))
    all_rows = plan_random(labels)
    assert few.block_km is None
    assert (all_rows.fold[:40] == few.fold).all()


def test_three_classes_give_a_verdict(land_baseline, make):
    result = tune(land_baseline, make(120, seed=41, codes=(3, 5, 9)))
    assert result.verdict.separated.auc is None
    assert result.verdict.gain is not None
    assert len(result.verdict.class_counts) == 3


def test_folds_hold_out_every_row_once(labels):
    folds = plan_blocks(labels)
    assert isinstance(folds, Folds)
    held = sum(folds.split(k, labels.xy_km)[0].astype(int) for k in range(5))
    assert (held == 1).all()
