from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from geotransfer.accuracy.folds import assign_blocks
from geotransfer.errors import JobCancelled, TableInvalid
from geotransfer.transfer.budget import (
    draw_apart_in_rain,
    draw_blocks,
    forecast_gain,
    measure_budget,
)
from geotransfer.transfer.fine_tune import fine_tune
from geotransfer.transfer.samples import CalibrationSet
from geotransfer.transfer.strategies import GaussianProcess, RegionalOnly

ARMS = (GaussianProcess(), RegionalOnly())


def test_no_block_is_on_both_sides(make):
    xy = make(300, seed=2).xy_km
    for seed in range(5):
        draw = draw_blocks(xy, 100.0, seed=seed)
        blocks = assign_blocks(xy, 100.0, seed=seed)
        assert not set(blocks[draw.pool]) & set(blocks[draw.holdout])
        assert sorted([*draw.pool, *draw.holdout]) == list(range(300))


def test_rows_held_out_by_rain_differ_from_every_label():
    rain = np.random.default_rng(0).uniform(0, 600, (400, 2))
    draw = draw_apart_in_rain(rain, 30, seed=1)
    for row in draw.holdout:
        assert (np.abs(rain[draw.pool] - rain[row]).max(axis=1) > 50).all()
    # And no row that may be held out is left behind.
    rest = set(range(400)) - set(draw.holdout) - set(draw.pool)
    for row in rest:
        assert (np.abs(rain[draw.pool] - rain[row]).max(axis=1) <= 50).any()


def test_the_curve_rises_and_knows_its_distance(baseline, make):
    curve = measure_budget(
        baseline, make(400, seed=51), None, strategies=ARMS, sizes=(20, 160), n_draws=4
    )
    assert curve.list_strategies() == ("keep_global", "gp_correction", "regional_only")
    few, many = (curve.find_point("gp_correction", n) for n in (20, 160))
    assert many.auc.value > few.auc.value
    assert many.gain.value > 0
    assert many.median_distance_km < few.median_distance_km
    assert curve.find_point("keep_global", 20).gain.value == 0
    assert curve.separation == "blocks of 100 km"
    assert many.gain.low < many.gain.value < many.gain.high


def test_equal_seeds_give_equal_curves(baseline, make):
    samples = make(150, seed=52)
    curves = [
        measure_budget(baseline, samples, None, strategies=ARMS[:1], n_draws=2, seed=3)
        for _ in range(2)
    ]
    assert curves[0] == curves[1]


def test_positions_are_needed_and_must_differ(baseline, labels, make):
    with pytest.raises(TableInvalid, match="bring coordinates"):
        measure_budget(baseline, make(40, has_position=False), None, strategies=ARMS)
    one_place = replace(labels, xy_km=np.zeros((len(labels), 2)))
    with pytest.raises(TableInvalid, match="one place"):
        measure_budget(baseline, one_place, None, strategies=ARMS)


def test_cancel_is_heard(baseline, labels):
    def stop():
        raise JobCancelled("cancelled")

    with pytest.raises(JobCancelled):
        measure_budget(baseline, labels, None, strategies=ARMS, check=stop)


def test_a_forecast_starts_at_the_verdict_and_widens(baseline, labels):
    verdict = fine_tune(baseline, CalibrationSet(labels), None, strategies=ARMS[:1]).verdict
    sizes = (len(labels), 2 * len(labels), 20 * len(labels))
    now, double, far = forecast_gain(verdict.gain, verdict.n_labels, sizes)
    assert now.gain.value == pytest.approx(verdict.gain.value)
    assert double.gain.value > now.gain.value
    widths = [f.gain.high - f.gain.low for f in (now, double, far)]
    assert widths == sorted(widths)
    assert widths[0] < widths[2]
