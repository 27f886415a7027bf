from __future__ import annotations

import numpy as np
import pytest

from geotransfer.core.legend import CROPLAND
from geotransfer.errors import LeakRefused, TableInvalid
from geotransfer.transfer.model_file import dump_model
from geotransfer.transfer.rehearsal import (
    judge_left_out,
    rehearse_region,
    train_left_out,
)
from geotransfer.transfer.samples import concatenate_samples
from geotransfer.transfer.strategies import GaussianProcess
from geotransfer.transfer.trees import Training

SMALL = (Training(n_trees=8, n_leaves=7, learning_rate=0.2),)
FAST = (GaussianProcess(),)


@pytest.fixture(scope="module")
def tables(make):
    return {
        name: make(150, region_id=name, seed=60 + i, signal=0.5)
        for i, name in enumerate(("alpha", "beta", "gamma"))
    }


@pytest.fixture(scope="module")
def left_out(tables):
    return train_left_out(tables, CROPLAND, trainings=SMALL)


def test_no_model_has_seen_the_region_it_is_judged_on(tables, left_out):
    for name, result in left_out.items():
        assert name not in result.model.source_region_ids
        assert result.evaluation.estimand == "leave-one-region-out"
        assert result.evaluation.matrix.n == len(tables[name])


def test_the_regions_own_classes_change_nothing_in_its_model(tables, left_out):
    from dataclasses import replace

    changed = {**tables, "beta": replace(tables["beta"], classes=1 - tables["beta"].classes)}
    again = train_left_out(changed, CROPLAND, trainings=SMALL, regions=("beta",))
    assert dump_model(again["beta"].model) == dump_model(left_out["beta"].model)


def test_threads_change_nothing(tables, left_out):
    again = train_left_out(tables, CROPLAND, trainings=SMALL, n_threads=3)
    for name, result in again.items():
        assert dump_model(result.model) == dump_model(left_out[name].model)


def test_a_region_the_model_knows_is_refused(tables, left_out):
    with pytest.raises(LeakRefused, match="alpha trained this model"):
        judge_left_out(left_out["beta"].model, tables["alpha"], "alpha")
    with pytest.raises(LeakRefused, match="left it out"):
        rehearse_region(left_out["beta"].model, tables["alpha"], tables["gamma"])
    with pytest.raises(LeakRefused, match="left it out"):
        rehearse_region(left_out["beta"].model, tables["beta"], tables["beta"])
    with pytest.raises(TableInvalid, match="three regions"):
        train_left_out({"alpha": tables["alpha"]}, CROPLAND)


def test_a_region_with_positions_is_rehearsed_at_both_distances(tables, left_out):
    source = concatenate_samples(tables["alpha"], tables["gamma"])
    report = rehearse_region(
        left_out["beta"].model, tables["beta"], source, strategies=FAST, sizes=(20, 40), n_draws=2
    )
    assert [c.separation for c in report.curves] == ["blocks of 100 km", "cells of 5 km"]
    assert report.region_id == "beta"


def test_without_positions_rain_keeps_rows_apart_and_is_named(make, left_out):
    table = make(150, region_id="delta", seed=9, has_position=False)
    rain = np.random.default_rng(1).uniform(0, 900, (150, 2))
    source = make(50, region_id="alpha", seed=10)
    report = rehearse_region(
        left_out["beta"].model,
        table, source, rain_mm=rain, strategies=FAST, sizes=(20,), n_draws=3,
    )  # fmt: skip
    assert [c.separation for c in report.curves] == ["rain differs by 50 mm"]
    assert report.curves[0].points[0].median_distance_km is None
    nothing = rehearse_region(left_out["beta"].model, table, source, strategies=FAST)
    assert nothing.curves == ()
