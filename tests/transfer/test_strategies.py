from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from geotransfer.errors import InputError
from geotransfer.transfer.gain import measure_macro_auc
from geotransfer.transfer.model import to_probability
from geotransfer.transfer.strategies import (
    Average,
    GaussianProcess,
    KeepGlobal,
    Pooled,
    RefitLeaves,
    RegionalOnly,
    shift_prior,
    spread_rows,
)

ALL = (KeepGlobal(), GaussianProcess(), RegionalOnly(), Pooled(), RefitLeaves(), Average())


def score(model, samples) -> float:
    latent = model.predict_latent(
        np.ascontiguousarray(samples.measured.T), np.ascontiguousarray(samples.xy_km.T)
    )
    targets = np.searchsorted(np.array(model.legend.codes), samples.classes)
    return float(measure_macro_auc(to_probability(latent), targets)[0])


@pytest.mark.parametrize("strategy", ALL, ids=lambda s: s.name)
def test_every_strategy_gives_a_named_model_that_keeps_its_labels_id(
    strategy, baseline, labels, source
):
    model = strategy.fit(baseline, labels, source, seed=0, n_threads=1)
    if strategy.name == "keep_global":
        assert model is baseline
        return
    assert model.kind == strategy.name
    assert model.labels_id == labels.content_id
    assert model.source_region_ids == baseline.source_region_ids
    assert not model.is_global


@pytest.mark.parametrize("name", ["gp_correction", "average"])
def test_labels_help_where_the_region_differs(name, baseline, labels, source, make):
    strategy = next(s for s in ALL if s.name == name)
    held = make(400, seed=77)
    model = strategy.fit(baseline, labels, source, seed=0, n_threads=1)
    assert score(model, held) > score(baseline, held) + 0.02


def test_a_correction_far_from_its_labels_changes_nothing(baseline, labels, make):
    model = GaussianProcess().fit(baseline, labels, None, seed=0, n_threads=1)
    model = replace(model, correction=replace(model.correction, kernel=replace(
        model.correction.kernel, features=0.0)))  # fmt: skip
    far = make(30, seed=5)
    measured = np.ascontiguousarray(far.measured.T)
    xy = np.ascontiguousarray(far.xy_km.T) + 5000
    np.testing.assert_allclose(
        model.predict(measured, xy), baseline.predict(measured, xy), atol=1e-6
    )


def test_an_average_of_logits_is_half_of_both(baseline, labels, source, make):
    held = make(50, seed=8)
    measured, xy = np.ascontiguousarray(held.measured.T), np.ascontiguousarray(held.xy_km.T)
    one, two, both = (
        s.fit(baseline, labels, source, seed=0, n_threads=1).predict_latent(measured, xy)
        for s in (GaussianProcess(), Pooled(), Average())
    )
    np.testing.assert_allclose(both, (one + two) / 2, atol=1e-5)


def test_three_classes_work_and_improve(land_baseline, make):
    labels = make(90, seed=31, codes=(3, 5, 9))
    held = make(400, seed=32, codes=(3, 5, 9))
    model = GaussianProcess().fit(land_baseline, labels, None, seed=0, n_threads=1)
    assert model.correction.alpha.shape == (90, 3)
    assert score(model, held) > score(land_baseline, held)
    assert model.notes == ()


@pytest.mark.parametrize("strategy", ALL[1:3], ids=lambda s: s.name)
def test_a_class_without_labels_is_kept_and_stated(strategy, land_baseline, make):
    labels = make(60, seed=33, codes=(3, 5, 9))
    labels = labels.take(np.flatnonzero(labels.classes != 9))
    model = strategy.fit(land_baseline, labels, None, seed=0, n_threads=1)
    assert model.notes == (
        "No label shows 'fields'; that class is mapped as the global model sees it.",
    )
    assert (model.correction.alpha[:, 2] == 0).all()
    measured = np.ascontiguousarray(make(200, seed=34, codes=(3, 5, 9)).measured.T)
    assert model.predict(measured).shape == (3, 200)


def test_pooling_without_a_source_says_what_is_missing(baseline, labels):
    with pytest.raises(InputError, match="source samples or prototypes"):
        Pooled().fit(baseline, labels, None, seed=0, n_threads=1)


def test_known_class_shares_move_the_cut_never_the_ranking(baseline, labels):
    moved = shift_prior(baseline, (0.9, 0.1), (0.5, 0.5))
    measured = np.ascontiguousarray(labels.measured.T)
    before, after = baseline.predict_latent(measured)[0], moved.predict_latent(measured)[0]
    np.testing.assert_allclose(after - before, np.log(0.1 / 0.9), atol=1e-12)
    with pytest.raises(InputError, match="add up to"):
        shift_prior(baseline, (0.9, 0.2), (0.5, 0.5))
    with pytest.raises(InputError, match="above 0"):
        shift_prior(baseline, (1.0, 0.0), (0.5, 0.5))


def test_shares_of_three_classes_move_each_score(land_baseline):
    moved = shift_prior(land_baseline, (0.2, 0.2, 0.6), (0.4, 0.4, 0.2))
    np.testing.assert_allclose(
        np.subtract(moved.scores.intercepts, land_baseline.scores.intercepts),
        np.log([0.5, 0.5, 3.0]),
    )


def test_of_many_labels_the_spread_ones_are_taken(baseline, make):
    labels = make(300, seed=12)
    crowd = np.arange(250)
    xy = labels.xy_km.copy()
    xy[crowd] = xy[0]
    labels = replace(labels, xy_km=xy, measured=np.where(
        np.arange(300)[:, None] < 250, labels.measured[:1], labels.measured))  # fmt: skip
    rows = spread_rows(baseline, labels, 51)
    assert len(np.unique(rows)) == 51
    assert (rows >= 250).sum() == 50
    assert (np.diff(rows) > 0).all()
    assert spread_rows(baseline, labels, 300).tolist() == list(range(300))
