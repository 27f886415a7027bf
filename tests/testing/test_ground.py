"""Simulated ground and scenes: known truth, known noise, the same for the same seed."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import shift as shift_by_splines

from geotransfer.core.spec import BANDS
from geotransfer.testing.atmosphere import SHADOW, draw_sky
from geotransfer.testing.ground import (
    OFFSET_DN,
    SCALE,
    Ground,
    _shift_picture,
    add_changes,
    build_ground,
    simulate_scene_arrays,
)
from geotransfer.testing.land import UnitKind
from geotransfer.testing.placement import spread_dates
from geotransfer.testing.spectra import reflect_units
from geotransfer.testing.statistics import load_statistics

DAY = dt.date(2022, 3, 7)
YEAR = [dt.date(2022, 1, 3) + dt.timedelta(days=5 * i) for i in range(73)]


@pytest.fixture(scope="module")
def ground() -> Ground:
    statistics = load_statistics()
    return build_ground(
        [statistics["eastern"]], statistics["western"], shift=1.0, seed=(4, 1), size_px=128
    )


def test_the_same_seed_gives_the_same_scene(ground: Ground) -> None:
    statistics = load_statistics()
    again = build_ground(
        [statistics["eastern"]], statistics["western"], shift=1.0, seed=(4, 1), size_px=128
    )
    first, second = simulate_scene_arrays(ground, DAY), simulate_scene_arrays(again, DAY)
    np.testing.assert_array_equal(first.dn, second.dn)
    np.testing.assert_array_equal(first.scl, second.scl)
    other = build_ground(
        [statistics["eastern"]], statistics["western"], shift=1.0, seed=(5, 1), size_px=128
    )
    assert (simulate_scene_arrays(other, DAY).dn != first.dn).mean() > 0.9


def test_a_scene_has_the_agreed_form(ground: Ground) -> None:
    scene = simulate_scene_arrays(ground, DAY)
    assert scene.dn.shape == (len(BANDS), 128, 128)
    assert scene.dn.dtype == np.uint16
    assert scene.scl.shape == (128, 128)
    assert scene.scl.dtype == np.uint8
    np.testing.assert_array_equal(scene.dn[0] == 0, scene.scl == 0)


def test_an_exact_picture_is_the_ground_itself(ground: Ground) -> None:
    scene = simulate_scene_arrays(ground, DAY, with_noise=False)
    table = reflect_units(ground.spectra, ground.find_unit_classes(DAY), DAY.timetuple().tm_yday)
    expected = table[ground.land.unit_of].transpose(2, 0, 1) * ground.texture
    np.testing.assert_allclose(scene.dn * SCALE, np.maximum(expected, SCALE), atol=0.51 * SCALE)


def test_the_new_baseline_shows_the_same_reflectance(ground: Ground) -> None:
    old = simulate_scene_arrays(ground, DAY, with_offset=False)
    new = simulate_scene_arrays(ground, DAY, with_offset=True)
    seen = old.scl != 0
    assert (old.baseline, new.baseline) == ("03.01", "04.00")
    assert (old.offset, new.offset) == (0.0, -0.1)
    np.testing.assert_array_equal(new.dn[:, seen], old.dn[:, seen] + OFFSET_DN)
    assert not new.dn[:, ~seen].any()
    np.testing.assert_array_equal(new.scl, old.scl)


@settings(max_examples=40, deadline=None)
@given(y=st.floats(-0.3, 0.3), x=st.floats(-0.3, 0.3), seed=st.integers(0, 99))
def test_shift_equals_the_slow_reference(y: float, x: float, seed: int) -> None:
    picture = np.random.default_rng(seed).random((2, 9, 11), np.float32)
    slow = np.stack([shift_by_splines(band, (-y, -x), order=1, mode="nearest") for band in picture])
    np.testing.assert_allclose(_shift_picture(picture, y, x), slow, atol=1e-5)


def test_noise_is_of_the_agreed_size(ground: Ground) -> None:
    gains, residuals = [], []
    for date in YEAR:
        noisy = simulate_scene_arrays(ground, date)
        exact = simulate_scene_arrays(ground, date, with_noise=False)
        clear = np.isin(noisy.scl, (4, 5))
        if clear.mean() < 0.98:
            continue
        band = BANDS.index("nir")
        x = exact.dn[band][clear] * SCALE
        y = noisy.dn[band][clear] * SCALE
        slope, intercept = np.polyfit(x, y, 1)
        gains.append((y.mean() / x.mean()) - 1)
        residuals.append((y - slope * x - intercept).std())
    assert len(gains) > 10
    # One standard deviation is 1 to 3 percent in gain, and up to 2 percent more in offset.
    assert 0.008 < np.std(gains) < 0.04
    assert min(residuals) > 0.002


def test_shadows_darken_and_some_are_missed() -> None:
    missed = known = 0
    for seed in range(40):
        sky = draw_sky(np.random.default_rng(seed), (128, 128))
        if sky.cloud is None or sky.shadow is None:
            continue
        deep = (sky.shadow > 0.3) & ~sky.is_cloud
        known += int((deep & sky.is_shadow).sum())
        missed += int((deep & ~sky.is_shadow).sum())
        assert not (sky.is_shadow & sky.is_cloud).any()
    assert 0.15 < missed / (missed + known) < 0.45


def test_missed_shadow_is_darker_than_the_ground(ground: Ground) -> None:
    found = []
    for date in YEAR:
        scene = simulate_scene_arrays(ground, date)
        if (scene.scl == SHADOW).sum() < 200:
            continue
        exact = simulate_scene_arrays(ground, date, with_noise=False)
        dark = scene.scl == SHADOW
        band = BANDS.index("nir")
        found.append(scene.dn[band][dark].mean() / exact.dn[band][dark].mean())
    assert np.median(found) < 0.85


@pytest.mark.parametrize("share", [0.0, 0.02, 0.1, 0.5])
def test_change_covers_the_share_it_says(ground: Ground, share: float) -> None:
    changed = add_changes(ground, YEAR[1::6], changed_share=share)
    before, after = ground.find_truth(YEAR[-1]), changed.find_truth(YEAR[-1])
    assert (before != after).mean() == pytest.approx(share, abs=0.008)
    union = np.zeros(ground.shape, bool)
    for event in changed.events:
        mask = changed.find_mask(event)
        assert not (union & mask).any(), "a unit changes once"
        union |= mask
        the_day_before = changed.find_truth(event.date - dt.timedelta(days=1))
        assert (the_day_before[mask] == event.from_code).all()
        assert (changed.find_truth(event.date)[mask] == event.to_code).all()
        assert (ground.land.kinds[event.units] != UnitKind.ROAD).all()
    np.testing.assert_array_equal(union, before != after)


def test_change_leaves_other_pixels_and_earlier_dates_alone(ground: Ground) -> None:
    changed = add_changes(ground, [DAY], changed_share=0.1)
    (mask,) = [sum(changed.find_mask(event) for event in changed.events).astype(bool)]
    earlier = DAY - dt.timedelta(days=1)
    np.testing.assert_array_equal(
        simulate_scene_arrays(ground, earlier).dn, simulate_scene_arrays(changed, earlier).dn
    )
    before = simulate_scene_arrays(ground, DAY, with_noise=False).dn
    after = simulate_scene_arrays(changed, DAY, with_noise=False).dn
    np.testing.assert_array_equal(after[:, ~mask], before[:, ~mask])
    assert (after[:, mask] != before[:, mask]).mean() > 0.9


def test_later_changes_do_not_move_earlier_ones(ground: Ground) -> None:
    once = add_changes(ground, YEAR[10:12], changed_share=0.05)
    twice = add_changes(once, YEAR[40:41], changed_share=0.05)
    assert twice.events[: len(once.events)] == once.events
    kept = replace(twice, events=twice.events[len(once.events) :])
    units = np.concatenate([event.units for event in kept.events])
    assert not np.isin(units, np.concatenate([event.units for event in once.events])).any()


def test_every_period_sees_the_ground(ground: Ground) -> None:
    scenes = [(d, simulate_scene_arrays(ground, d)) for d in spread_dates(2022, 24)]
    for half in (range(1, 7), range(7, 13)):
        valid = sum(np.isin(s.scl, (4, 5, 6)).astype(int) for d, s in scenes if d.month in half)
        assert (valid >= 3).mean() > 0.95
