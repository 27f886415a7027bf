"""The geometric median and its deviations, against slow and obvious references."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geotransfer.errors import SceneInvalid
from geotransfer.imagery.geomedian import Composite, compute_geomedian

Array = NDArray[np.float64]
FIELDS = ("median", "edev", "sdev", "bcdev", "count")


# --- Slow and obvious -------------------------------------------------------------------------


def sum_distances(x: Array, y: Array) -> Array:
    """Σ|x_t − y| for ``x`` (time, band, pixel) and ``y`` (band, pixel)."""
    return np.linalg.norm(x - y, axis=1).sum(axis=0)


def find_minimiser(x: Array) -> Array:
    """Geometric median in float64 of (time, band, pixel): (band, pixel).

    The best date if it passes Kuhn's optimality test, else damped Newton steps in the space of the
    bands, started one Vardi-Zhang step away from it.
    """
    _, n_bands, n_pixels = x.shape
    of_dates = np.stack([sum_distances(x, date) for date in x])
    best = of_dates.argmin(axis=0)
    y = x[best, :, np.arange(n_pixels)].T.copy()
    step = x - y
    distance = np.linalg.norm(step, axis=1)
    inverse = np.where(distance > 0, 1 / np.where(distance > 0, distance, 1), 0)
    pull = (step * inverse[:, None]).sum(axis=0)
    length = np.linalg.norm(pull, axis=0)
    n_equal = (distance == 0).sum(axis=0)
    moving = length > n_equal * (1 + 1e-12)
    share = np.where(moving, 1 - n_equal / np.maximum(length, 1e-300), 0)
    y += pull * share / np.maximum(inverse.sum(axis=0), 1e-300)
    for _ in range(200):
        p = np.flatnonzero(moving)
        if p.size == 0:
            return y
        step = x[..., p] - y[:, p]
        distance = np.maximum(np.linalg.norm(step, axis=1), 1e-300)
        gradient = -(step / distance[:, None]).sum(axis=0)
        hessian = -np.einsum("tap,tbp,tp->pab", step, step, distance**-3.0)
        hessian += (1 / distance).sum(axis=0)[:, None, None] * np.eye(n_bands)
        move = -np.linalg.solve(hessian, gradient.T[..., None])[..., 0].T
        value = sum_distances(x[..., p], y[:, p])
        size = np.ones(p.size)
        for _ in range(60):
            is_worse = sum_distances(x[..., p], y[:, p] + size * move) > value
            if not is_worse.any():
                break
            size[is_worse] /= 2
        size[is_worse] = 0
        y[:, p] += size * move
        moving[p] = np.linalg.norm(size * move, axis=0) > 1e-9
    raise AssertionError("the reference did not converge")


def measure_deviations(x: Array, y: Array) -> tuple[Array, Array, Array]:
    """Medians over time of the Euclidean, cosine and Bray-Curtis distance, by definition."""
    euclid = np.linalg.norm(x - y, axis=1)
    lengths = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=0)
    cosine = 1 - (x * y).sum(axis=1) / lengths
    bray = np.abs(x - y).sum(axis=1) / np.abs(x + y).sum(axis=1)
    return np.median(euclid, axis=0), np.median(cosine, axis=0), np.median(bray, axis=0)


# --- Scenes -----------------------------------------------------------------------------------


def make_scenes(n_times: int, n_bands: int, shape: tuple[int, int], seed: int) -> NDArray[np.int16]:
    """Textured scenes: a spectrum a pixel, a gain a date, noise, and some missed clouds."""
    rng = np.random.default_rng(seed)
    base = rng.uniform(200, 4000, (1, n_bands, *shape))
    scenes = base * rng.normal(1, 0.12, (n_times, 1, *shape))
    scenes += rng.normal(0, 80, (n_times, n_bands, *shape))
    cloud = rng.uniform(4000, 9000, (n_times, 1, *shape)) + rng.normal(0, 200, scenes.shape)
    scenes = np.where(rng.random((n_times, 1, *shape)) < 0.05, cloud, scenes)
    return np.rint(scenes).astype(np.int16)


def make_seasons(n_times: int, shape: tuple[int, int], seed: int) -> NDArray[np.int16]:
    """Two states a pixel with little noise: narrow, nearly flat valleys of the objective."""
    rng = np.random.default_rng(seed)
    states = rng.uniform(200, 4000, (2, 9, *shape))
    which = rng.integers(0, 2, (n_times, 1, *shape))
    scenes = np.where(which == 0, states[0], states[1]) + rng.normal(0, 40, (n_times, 9, *shape))
    return np.rint(scenes).astype(np.int16)


def make_masks(n_times: int, shape: tuple[int, int], seed: int) -> NDArray[np.bool_]:
    return np.random.default_rng(seed + 1).random((n_times, *shape)) > 1 / 3


def all_valid(dn: NDArray[np.generic]) -> NDArray[np.bool_]:
    return np.ones((dn.shape[0], *dn.shape[2:]), np.bool_)


def flatten(array: NDArray[np.generic]) -> Array:
    return array.reshape(*array.shape[:-2], -1).astype(np.float64)


def assert_same_bits(a: Composite, b: Composite, note: str = "") -> None:
    for name in FIELDS:
        left, right = getattr(a, name), getattr(b, name)
        assert left.shape == right.shape, (name, note)
        assert left.tobytes() == right.tobytes(), (name, note)


# --- Exactness --------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [*range(3, 13), 16, 20, 24])
def test_it_is_the_minimiser_for_every_number_of_dates(n: int) -> None:
    dn = make_scenes(n, 9, (40, 40), seed=n)
    found = flatten(compute_geomedian(dn, all_valid(dn)).median)
    x = flatten(dn) * 1e-4
    best = find_minimiser(x * 1e4) * 1e-4
    distance = np.linalg.norm(found - best, axis=0)
    assert np.median(distance) <= 1e-5
    assert np.quantile(distance, 0.999) <= 1e-3
    assert (sum_distances(x, found) / sum_distances(x, best)).max() - 1 < 1e-5


@pytest.mark.parametrize("n", [4, 6, 7, 12])
def test_it_finds_the_bottom_of_flat_valleys(n: int) -> None:
    dn = make_seasons(n, (40, 40), seed=n)
    found = flatten(compute_geomedian(dn, all_valid(dn)).median)
    distance = np.linalg.norm(found - find_minimiser(flatten(dn)) * 1e-4, axis=0)
    assert np.median(distance) <= 1e-5
    assert np.quantile(distance, 0.999) <= 1e-3


@pytest.mark.parametrize("n_times", [6, 12, 24])
def test_no_point_tried_is_better(n_times: int) -> None:
    dn = make_scenes(n_times, 9, (32, 32), seed=n_times)
    valid = make_masks(n_times, (32, 32), n_times)
    found = flatten(compute_geomedian(dn, valid).median)
    for p in range(0, 1024, 7):
        x = flatten(dn)[:, :, p][valid.reshape(n_times, -1)[:, p]] * 1e-4
        if len(x) == 0:
            continue
        rivals = np.stack([x.mean(axis=0), np.median(x, axis=0), *x])
        values = np.linalg.norm(x[None] - rivals[:, None], axis=2).sum(axis=1)
        assert np.linalg.norm(x - found[:, p], axis=1).sum() <= values.min() * (1 + 1e-6) + 1e-7


@pytest.mark.parametrize("n_times", [5, 12])
def test_the_objective_is_no_worse_than_geomads(n_times: int) -> None:
    geomad = pytest.importorskip("geomad")
    dn = make_scenes(n_times, 9, (48, 48), seed=3)
    x = flatten(dn) * 1e-4
    their_input = np.ascontiguousarray((dn * np.float32(1e-4)).transpose(2, 3, 1, 0))
    theirs = geomad.nangeomedian_pcm(their_input, eps=1e-4, maxiters=1000, num_threads=1)
    ours = sum_distances(x, flatten(compute_geomedian(dn, all_valid(dn)).median))
    other = sum_distances(x, flatten(theirs.transpose(2, 0, 1)))
    assert (ours <= other * (1 + 2e-6)).all()
    assert ours.mean() < other.mean()


@pytest.mark.parametrize(("n_bands", "offset"), [(9, 0.0), (3, -0.1), (1, 0.0), (40, 0.0)])
def test_deviations_follow_their_definition(n_bands: int, offset: float) -> None:
    for n_times in (3, 4, 9, 13):
        dn = make_scenes(n_times, n_bands, (16, 16), seed=n_times) + np.int16(1500)
        found = compute_geomedian(dn, all_valid(dn), offset=offset)
        x = flatten(dn) * 1e-4 + offset
        expected = measure_deviations(x, flatten(found.median))
        for name, value in zip(("edev", "sdev", "bcdev"), expected, strict=True):
            np.testing.assert_allclose(
                flatten(getattr(found, name)), value, rtol=2e-5, atol=2e-7, err_msg=name
            )


# --- Definitions at the edges -----------------------------------------------------------------


def compose_one(x: object, **arguments: object) -> Composite:
    """Composite one pixel given as rows of dates, in float32 and with scale 1."""
    dn = np.asarray(x, np.float32)[:, :, None, None]
    options: dict[str, object] = {"scale": 1.0, **arguments}
    return compute_geomedian(dn, all_valid(dn), **options)  # type: ignore[arg-type]


def test_no_valid_date_is_nan() -> None:
    dn = make_scenes(5, 3, (4, 4), seed=0)
    found = compute_geomedian(dn, np.zeros((5, 4, 4), np.bool_))
    assert (found.count == 0).all()
    assert all(np.isnan(getattr(found, name)).all() for name in FIELDS[:4])


def test_no_date_at_all_is_nan() -> None:
    found = compute_geomedian(np.empty((0, 3, 4, 5), np.int16), np.empty((0, 4, 5), np.bool_))
    assert found.median.shape == (3, 4, 5)
    assert np.isnan(found.median).all()
    assert (found.count == 0).all()


def test_one_date_is_itself_without_deviation() -> None:
    dn = make_scenes(1, 9, (8, 8), seed=0)
    found = compute_geomedian(dn, all_valid(dn))
    np.testing.assert_allclose(found.median, dn[0] * 1e-4, rtol=1e-6)
    assert (found.edev == 0).all()
    assert (found.sdev == 0).all()
    assert (found.bcdev == 0).all()


def test_two_dates_meet_in_the_middle() -> None:
    found = compose_one([[0, 0], [6, 8]])
    np.testing.assert_array_equal(found.median[:, 0, 0], [3, 4])
    assert found.edev[0, 0] == 5


def test_equal_dates_are_their_value() -> None:
    dn = np.full((7, 9, 5, 5), 1234, np.int16)
    found = compute_geomedian(dn, all_valid(dn))
    np.testing.assert_allclose(found.median, 0.1234, rtol=1e-6)
    assert (found.edev == 0).all()
    assert (found.sdev == 0).all()
    assert (found.bcdev == 0).all()


def test_zeros_have_defined_deviations() -> None:
    dn = np.zeros((4, 3, 2, 2), np.int16)
    found = compute_geomedian(dn, all_valid(dn))
    assert all((getattr(found, name) == 0).all() for name in FIELDS[:4])
    # A spectrum of zeros has no direction: cosine distance 1 from any that has one.
    found = compose_one([[0, 0], [0, 0], [0, 0], [1, 1], [2, 0]])
    np.testing.assert_array_equal(found.median[:, 0, 0], [0, 0])
    assert found.sdev[0, 0] == 0
    found = compose_one([[0, 0], [0, 0], [1, 1], [1, 1], [1, 1]])
    np.testing.assert_array_equal(found.median[:, 0, 0], [1, 1])
    assert found.sdev[0, 0] == 0
    found = compose_one([[0, 0], [0, 0], [0, 0], [0, 0]])
    assert found.bcdev[0, 0] == 0


def test_reflectances_that_cancel_have_bray_curtis_distance_one() -> None:
    found = compose_one([[1, -2], [-1, 2], [-1, 2]])
    np.testing.assert_array_equal(found.median[:, 0, 0], [-1, 2])
    dn = np.array([[1, -2], [1, -2], [-1, 2], [-1, 2], [-1, 2]], np.float32)[:, :, None, None]
    valid = all_valid(dn)
    assert np.isfinite(compute_geomedian(dn, valid, scale=1.0).bcdev).all()


def test_one_band_is_the_ordinary_median() -> None:
    for n in range(1, 30):
        dn = make_scenes(n, 1, (9, 9), seed=n)
        found = compute_geomedian(dn, all_valid(dn)).median
        np.testing.assert_allclose(found, np.median(dn, axis=0) * 1e-4, rtol=1e-6)


@pytest.mark.parametrize("n", range(3, 14))
def test_dates_on_a_line_give_the_median_along_it(n: int) -> None:
    rng = np.random.default_rng(n)
    places = rng.integers(-40, 40, (n, 1, 12, 12))
    direction = rng.integers(-9, 10, (1, 5, 12, 12))
    dn = (2000 + places * direction).astype(np.int16)
    expected = 2000 + np.median(places, axis=0) * direction[0]
    found = compute_geomedian(dn, all_valid(dn)).median
    np.testing.assert_allclose(found, expected * 1e-4, rtol=2e-6)


def test_half_the_dates_each_of_two_states_meet_in_the_middle() -> None:
    for n in (2, 4, 8):
        rows = [[1000, 200, 50]] * (n // 2) + [[3000, 100, 650]] * (n // 2)
        for order in (rows, rows[::-1], rows[::2] + rows[1::2]):
            found = compose_one(order)
            np.testing.assert_array_equal(found.median[:, 0, 0], [2000, 150, 350])


def test_fewer_than_half_bad_dates_cannot_carry_it_away() -> None:
    dn = make_scenes(11, 6, (16, 16), seed=5)
    spoiled = dn.copy()
    spoiled[:5] = 32767
    clean = flatten(dn[5:])
    centre = clean.mean(axis=0)
    radius = np.linalg.norm(clean - centre, axis=1).max(axis=0)
    found = flatten(compute_geomedian(spoiled, all_valid(spoiled)).median) * 1e4
    # Lopuhaä & Rousseeuw 1991: the bound for 5 bad of 11 is 2·6/(6−5) radii.
    assert (np.linalg.norm(found - centre, axis=0) <= 12 * radius).all()


def test_missing_values_drop_the_date() -> None:
    rng = np.random.default_rng(2)
    dn = (make_scenes(9, 4, (12, 12), seed=2) * 1e-4).astype(np.float32)
    valid = make_masks(9, (12, 12), 2)
    broken = dn.copy()
    hit = rng.random(dn.shape) < 0.05
    broken[hit] = rng.choice(np.array([np.nan, np.inf, -np.inf, -3.4e38], np.float32), hit.sum())
    expected = compute_geomedian(dn, valid & ~hit.any(axis=1), scale=1.0)
    assert_same_bits(compute_geomedian(broken, valid, scale=1.0), expected)


def test_count_is_the_number_of_valid_dates() -> None:
    dn, valid = make_scenes(24, 2, (20, 20), seed=1), make_masks(24, (20, 20), 1)
    np.testing.assert_array_equal(compute_geomedian(dn, valid).count, valid.sum(axis=0))


def test_data_types_agree_to_the_bit() -> None:
    dn, valid = make_scenes(8, 5, (20, 20), seed=4), make_masks(8, (20, 20), 4)
    dn = np.maximum(dn, 0)
    expected = compute_geomedian(dn, valid)
    assert_same_bits(compute_geomedian(dn.astype(np.uint16), valid), expected)
    assert_same_bits(compute_geomedian(dn.astype(np.float32), valid), expected)
    large = dn.astype(np.uint16) + np.uint16(40000)
    assert_same_bits(
        compute_geomedian(large, valid), compute_geomedian(large.astype(np.float32), valid)
    )


def test_inputs_may_be_read_only_strided_or_swapped() -> None:
    dn, valid = make_scenes(6, 4, (10, 14), seed=4), make_masks(6, (10, 14), 4)
    expected = compute_geomedian(dn, valid)
    locked, locked_valid = dn.copy(), valid.copy()
    locked.flags.writeable = locked_valid.flags.writeable = False
    assert_same_bits(compute_geomedian(locked, locked_valid), expected)
    strided = np.asfortranarray(dn)
    assert_same_bits(compute_geomedian(strided, np.asfortranarray(valid)), expected)
    swapped = dn.astype(">i2")
    assert_same_bits(compute_geomedian(swapped, valid), expected)


def test_without_deviations_the_median_is_the_same() -> None:
    dn, valid = make_scenes(6, 4, (10, 14), seed=4), make_masks(6, (10, 14), 4)
    full, bare = compute_geomedian(dn, valid), compute_geomedian(dn, valid, with_mads=False)
    assert full.median.tobytes() == bare.median.tobytes()
    assert np.isnan(bare.edev).all()
    assert np.isnan(bare.sdev).all()
    assert np.isnan(bare.bcdev).all()


@pytest.mark.parametrize("arguments", [{"scale": 0.0}, {"scale": -1.0}, {"offset": float("nan")}])
def test_a_scale_that_cannot_be_used_is_named(arguments: dict[str, float]) -> None:
    dn = make_scenes(3, 2, (2, 2), seed=0)
    with pytest.raises(SceneInvalid, match="Scale"):
        compute_geomedian(dn, all_valid(dn), **arguments)


def test_wrong_shapes_and_types_are_refused() -> None:
    dn = make_scenes(3, 2, (2, 2), seed=0)
    with pytest.raises(ValueError, match="mask"):
        compute_geomedian(dn, np.ones((2, 2), np.bool_))
    with pytest.raises(TypeError, match="float64"):
        compute_geomedian(dn.astype(np.float64), all_valid(dn))  # type: ignore[arg-type]


# --- Nothing depends on anything else ---------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    n_times=st.integers(1, 14),
    n_bands=st.integers(1, 10),
    rows=st.integers(1, 24),
    cols=st.integers(1, 90),
    cut=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    n_threads=st.integers(1, 4),
    kind=st.sampled_from(["int16", "uint16", "float32"]),
    seed=st.integers(0, 10_000),
)
def test_chunks_and_threads_do_not_change_a_bit(
    n_times: int,
    n_bands: int,
    rows: int,
    cols: int,
    cut: tuple[float, float],
    n_threads: int,
    kind: str,
    seed: int,
) -> None:
    dn = np.maximum(make_scenes(n_times, n_bands, (rows, cols), seed), 0).astype(kind)
    valid = make_masks(n_times, (rows, cols), seed)
    whole = compute_geomedian(dn, valid)
    at, across = round(cut[0] * rows), round(cut[1] * cols)
    for y in (slice(0, at), slice(at, rows)):
        for x in (slice(0, across), slice(across, cols)):
            part = compute_geomedian(dn[:, :, y, x], valid[:, y, x], n_threads=n_threads)
            expected = Composite(*(getattr(whole, name)[..., y, x].copy() for name in FIELDS))
            assert_same_bits(part, expected)


@pytest.mark.parametrize("scenes", ["textured", "seasons", "quantised"])
def test_company_and_position_do_not_change_a_bit(scenes: str) -> None:
    """Whoever shares the group, and in whichever lane: the same bits. Quick and exact solver."""
    n_times, shape = 10, (64, 64)
    if scenes == "textured":
        dn = make_scenes(n_times, 9, shape, seed=8)
    elif scenes == "seasons":
        dn = make_seasons(n_times, shape, seed=8)
    else:
        rng = np.random.default_rng(8)
        dn = rng.integers(0, 4, (n_times, 9, *shape)).astype(np.int16)
    valid = make_masks(n_times, shape, 8)
    whole = compute_geomedian(dn, valid)
    order = np.random.default_rng(9).permutation(64 * 64)

    def shuffle(array: NDArray[np.generic]) -> NDArray[np.generic]:
        flat = array.reshape(*array.shape[:-2], -1)[..., order]
        return np.ascontiguousarray(flat.reshape(*array.shape[:-2], 4096, 1))

    expected = Composite(*(shuffle(getattr(whole, name)) for name in FIELDS))
    assert_same_bits(compute_geomedian(shuffle(dn), shuffle(valid)), expected)
    for y, x in ((0, 0), (31, 17), (63, 63), (5, 40)):
        alone = compute_geomedian(dn[:, :, y : y + 1, x : x + 1], valid[:, y : y + 1, x : x + 1])
        cell = (..., slice(y, y + 1), slice(x, x + 1))
        assert_same_bits(alone, Composite(*(getattr(whole, n)[cell].copy() for n in FIELDS)))


def test_many_spans_and_threads_do_not_change_a_bit() -> None:
    dn = make_scenes(5, 3, (300, 512), seed=3)
    valid = make_masks(5, (300, 512), 3)
    one = compute_geomedian(dn, valid)
    for n_threads in (2, 3, 8):
        assert_same_bits(compute_geomedian(dn, valid, n_threads=n_threads), one)


def test_callers_in_several_threads_do_not_meet() -> None:
    dn, valid = make_scenes(7, 6, (80, 80), seed=6), make_masks(7, (80, 80), 6)
    expected = compute_geomedian(dn, valid)
    found: list[Composite] = []
    threads = [
        threading.Thread(target=lambda: found.append(compute_geomedian(dn, valid)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for composite in found:
        assert_same_bits(composite, expected)


# --- Symmetries -------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(n=st.integers(3, 13), seed=st.integers(0, 10_000))
def test_the_order_of_dates_does_not_matter(n: int, seed: int) -> None:
    dn = make_scenes(n, 7, (12, 12), seed)
    order = np.random.default_rng(seed).permutation(n)
    a, b = compute_geomedian(dn, all_valid(dn)), compute_geomedian(dn[order], all_valid(dn))
    # Rounding differs with the order; so may which solver's answer is good enough.
    for name in FIELDS[:4]:
        difference = np.abs(getattr(a, name) - getattr(b, name))
        assert np.quantile(difference, 0.9) <= 1e-6
        assert difference.max() <= 1e-3


@settings(max_examples=15, deadline=None)
@given(n=st.integers(3, 13), seed=st.integers(0, 10_000), shift=st.integers(-3000, 3000))
def test_it_moves_with_its_dates(n: int, seed: int, shift: int) -> None:
    dn = make_scenes(n, 7, (12, 12), seed)
    moved = dn + np.int16(shift)
    a, b = compute_geomedian(dn, all_valid(dn)), compute_geomedian(moved, all_valid(dn))
    np.testing.assert_allclose(b.median, a.median + shift * 1e-4, rtol=0, atol=1e-6)
    np.testing.assert_allclose(b.edev, a.edev, rtol=0, atol=1e-6)
    offset = compute_geomedian(dn, all_valid(dn), offset=shift * 1e-4)
    np.testing.assert_allclose(offset.median, b.median, rtol=0, atol=1e-6)
    np.testing.assert_allclose(offset.sdev, b.sdev, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("factor", [0.5, 2.0**-13, 2.0**-45, 2.0**35])
def test_it_scales_with_its_dates(factor: float) -> None:
    dn = make_scenes(8, 7, (24, 24), seed=1).astype(np.float32)
    valid = make_masks(8, (24, 24), 1)
    a = compute_geomedian(dn, valid, scale=1.0)
    b = compute_geomedian(dn * np.float32(factor), valid, scale=1.0)
    # A power of two changes no rounding, so nothing else may change either.
    np.testing.assert_array_equal(b.median, a.median * np.float32(factor))
    np.testing.assert_array_equal(b.edev, a.edev * np.float32(factor))
    np.testing.assert_array_equal(b.sdev, a.sdev)
    np.testing.assert_array_equal(b.bcdev, a.bcdev)


def test_it_turns_with_its_dates() -> None:
    dn = make_scenes(9, 6, (24, 24), seed=1).astype(np.float64) * 1e-4
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))
    turned = np.einsum("ab,tbyx->tayx", turn, dn).astype(np.float32)
    valid = all_valid(dn)
    a = compute_geomedian(dn.astype(np.float32), valid, scale=1.0)
    b = compute_geomedian(turned, valid, scale=1.0)
    difference = np.abs(np.einsum("ab,byx->ayx", turn, a.median) - b.median)
    assert np.quantile(difference, 0.9) <= 1e-6
    assert difference.max() <= 1e-3


@pytest.mark.parametrize(("n_times", "n_bands"), [(100, 2), (60, 10), (3, 64), (12, 64), (68, 1)])
def test_any_number_of_dates_and_bands(n_times: int, n_bands: int) -> None:
    dn = make_scenes(n_times, n_bands, (8, 8), seed=7)
    valid = make_masks(n_times, (8, 8), 7)
    found = compute_geomedian(dn, valid)
    for y, x in ((0, 0), (3, 5), (7, 7)):
        pixel = dn[valid[:, y, x]][:, :, y, x].astype(np.float64)
        best = np.median(pixel, axis=0)
        if n_bands > 1 and len(pixel) > 2:
            best = find_minimiser(pixel[:, :, None])[:, 0]
        np.testing.assert_allclose(found.median[:, y, x], best * 1e-4, rtol=0, atol=1e-4)


# --- Real scenes ------------------------------------------------------------------------------


def read_scenes(folder: Path, names: tuple[str, ...]) -> NDArray[np.generic]:
    """Read ``scenes/<date>/<name>.tif``: (time, band, y, x)."""
    rasterio = pytest.importorskip("rasterio")
    dates = []
    for date in sorted((folder / "scenes").iterdir()):
        bands = []
        for name in names:
            with rasterio.open(date / f"{name}.tif") as file:
                bands.append(file.read(1))
        dates.append(bands)
    return np.array(dates)


@pytest.mark.reference
def test_a_real_year_over_belgium(reference_data: Path) -> None:
    names = ("blue", "green", "red", "nir", "swir16", "swir22", *(f"rededge{i}" for i in (1, 2, 3)))
    dn = read_scenes(reference_data / "worldcereal-belgium-2021", names).astype(np.uint16)
    valid = (dn != 65535).all(axis=1)
    found = compute_geomedian(dn, valid)
    counts = np.unique(found.count)
    assert counts.min() >= 3
    x, mask = flatten(dn), valid.reshape(len(valid), -1)
    for n in counts:
        pixels = np.flatnonzero(found.count.reshape(-1) == n)
        chosen = np.stack([x[mask[:, p], :, p] for p in pixels], axis=-1)
        here = flatten(found.median)[:, pixels]
        distance = np.linalg.norm(here - find_minimiser(chosen) * 1e-4, axis=0)
        assert np.median(distance) <= 1e-5
        assert np.quantile(distance, 0.999) <= 1e-3
        expected = measure_deviations(chosen * 1e-4, here)
        for name, value in zip(("edev", "sdev", "bcdev"), expected, strict=True):
            ours = getattr(found, name).reshape(-1)[pixels]
            np.testing.assert_allclose(ours, value, rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.reference
def test_a_real_series_of_one_band_over_slovenia(reference_data: Path) -> None:
    stack = read_scenes(reference_data / "slovenia-series-2015-2017", ("ndvi", "cloud"))
    ndvi, valid = stack[:, :1].astype(np.int16), stack[:, 1] == 0
    found = compute_geomedian(ndvi, valid)
    values = np.where(valid, ndvi[:, 0].astype(np.float64), np.nan)
    np.testing.assert_allclose(found.median[0], np.nanmedian(values, axis=0) * 1e-4, rtol=1e-6)
    np.testing.assert_array_equal(found.count, valid.sum(axis=0))


# --- The cache --------------------------------------------------------------------------------

REPORT = """
import json
import numpy as np
from numba.core import event
from geotransfer.imagery.geomedian import compute_geomedian
rng = np.random.default_rng(0)
dn = rng.integers(0, 3000, (6, 4, 20, 20)).astype(np.int16)
with event.install_recorder("numba:compile") as recorder:
    found = compute_geomedian(dn, rng.random((6, 20, 20)) > 0.3)
    compute_geomedian(dn.astype(np.float32)[:, :2], rng.random((6, 20, 20)) > 0.3)
print(json.dumps([len(recorder.buffer), found.median.tobytes().hex()[:4000]]))
"""


def start_process(cache: Path | None) -> subprocess.Popen[str]:
    environment = {**os.environ, **({"NUMBA_CACHE_DIR": str(cache)} if cache else {})}
    return subprocess.Popen(
        [sys.executable, "-c", REPORT], env=environment, stdout=subprocess.PIPE, text=True
    )


def read_report(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, _ = process.communicate(timeout=280)
    assert process.returncode == 0
    n_compiled, digest = json.loads(out)
    return n_compiled, digest


def test_a_second_process_compiles_nothing() -> None:
    compute_geomedian(np.ones((1, 1, 1, 1), np.int16), np.ones((1, 1, 1), np.bool_))
    n_compiled, _ = read_report(start_process(None))
    assert n_compiled == 0


@pytest.mark.slow
def test_of_processes_that_start_at_once_one_compiles(tmp_path: Path) -> None:
    reports = [read_report(p) for p in [start_process(tmp_path) for _ in range(4)]]
    assert sorted(n_compiled > 0 for n_compiled, _ in reports) == [False, False, False, True]
    assert len({digest for _, digest in reports}) == 1
