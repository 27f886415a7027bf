"""Updates of a tile: what is computed equals full computation bit for bit, the rest stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from geotransfer.change.judgement import Kept, Rule
from geotransfer.change.update import TilePixels, add_pending, judge_state, update_pixels
from geotransfer.core.spec import S2_SEMIANNUAL as SPEC
from geotransfer.core.spec import Period
from geotransfer.imagery.composite import compose_measured
from geotransfer.imagery.observations import Observation, gather_stack
from geotransfer.imagery.stack import Stack

N = 700
EVERYTHING = Rule(quantile=1.0, reach=float("inf"))


def observe(seed: int, day: str, scene_id: str = "") -> Observation:
    rng = np.random.default_rng(seed)
    valid = rng.random(N) < 0.5
    dn = np.where(valid, rng.integers(100, 4000, (9, N)), 0).astype(np.int16)
    return Observation(scene_id=scene_id or day, day=day, dn=dn, valid=valid)


OBSERVATIONS = [
    observe(number, f"2022-{month:02d}-{day:02d}")
    for number, (month, day) in enumerate(
        (m, d) for m in (1, 2, 4, 5, 6, 7, 8, 10, 11) for d in (3, 18)
    )
]


def stack_slowly(observations: Sequence[Observation]) -> Stack:
    """Merge whole scenes day by day, the first that shows the ground wins."""
    days: dict[str, list[Observation]] = {}
    for found in sorted(observations, key=lambda o: (o.day, o.scene_id)):
        days.setdefault(found.day, []).append(found)
    dn = np.zeros((len(days), 9, 1, N), np.int16)
    valid = np.zeros((len(days), 1, N), bool)
    for step, members in enumerate(days.values()):
        for found in members:
            fresh = found.valid & ~valid[step, 0]
            dn[step, :, 0, fresh] = found.dn[:, fresh].T
            valid[step, 0] |= fresh
    return Stack(dn=dn, valid=valid, dates=tuple(days), read_bytes=0)


def predict(values: np.ndarray, counts: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """A score that any bit of a feature moves; no answer where one is missing."""
    score = np.nan_to_num(values).sum(axis=0, dtype=np.float64)
    shown = ((np.sin(score) + 1) * 5000).astype(np.uint16)
    known = np.isfinite(values).all(axis=0)
    return np.stack(
        [
            np.where(known, shown > 5000, 255),
            np.where(known, shown, 65535),
            counts.sum(axis=0),
        ]
    ).astype(np.uint16)


def compute_whole(observations: Sequence[Observation]) -> TilePixels:
    measured = compose_measured(stack_slowly(observations), SPEC)
    values, counts = measured.values[:, 0], measured.counts[:, 0]
    return TilePixels(
        values=values,
        counts=counts,
        layers=predict(values, counts, np.arange(N)),
        pending=np.zeros((2, N), np.uint8),
        age=np.zeros(N, np.uint8),
    )


def advance(
    state: TilePixels,
    seen: Sequence[Observation],
    new: Sequence[Observation],
    rule: Rule,
    forced: np.ndarray | None = None,
):
    touched = np.zeros((2, N), np.uint8)
    for found in new:
        touched[0 if found.day[5:7] <= "06" else 1] += found.valid
    state = add_pending(state, touched, np.ones(N, bool))

    def list_seen(periods: Sequence[Period]) -> list[Observation]:
        return [o for o in seen if any(p.holds(o.day) for p in periods)]

    return update_pixels(
        state, judge_state(state, rule=rule, forced=forced), spec=SPEC,
        load_values=lambda: state.values, load_observations=list_seen, predict=predict,
    )  # fmt: skip


def assert_same(one: TilePixels, two: TilePixels, pixels: np.ndarray | slice = slice(None)) -> None:
    np.testing.assert_array_equal(one.values[:, pixels], two.values[:, pixels])
    np.testing.assert_array_equal(one.counts[:, pixels], two.counts[:, pixels])
    np.testing.assert_array_equal(one.layers[:, pixels], two.layers[:, pixels])


@pytest.mark.parametrize("order", range(4))
def test_updating_scene_by_scene_is_computing_whole_bit_for_bit(order: int) -> None:
    rng = np.random.default_rng(order)
    scenes = [OBSERVATIONS[i] for i in rng.permutation(len(OBSERVATIONS))]
    again = observe(99, scenes[2].day, scene_id="zz: the same day again")
    scenes.insert(9, again)
    state = compute_whole(scenes[:8])
    for number in range(8, len(scenes)):
        update = advance(state, scenes[: number + 1], [scenes[number]], EVERYTHING)
        untouched = ~scenes[number].valid & ~state.pending.any(axis=0)
        assert (update.kept[untouched] == Kept.UNTOUCHED).all()
        assert_same(update.state, state, untouched)
        state = update.state
    settled = ~state.pending.any(axis=0)
    assert settled.mean() > 0.98
    assert_same(state, compute_whole(scenes), settled)
    # What is left has a period that nothing showed: no answer, whatever the other says.
    np.testing.assert_array_equal(state.layers[0], compute_whole(scenes).layers[0])


def test_kept_pixels_keep_everything_and_remember_what_they_do_not_know() -> None:
    state = compute_whole(OBSERVATIONS[:-2])
    loose = Rule(quantile=0.9, reach=2.0)
    update = advance(state, OBSERVATIONS[:-1], [OBSERVATIONS[-2]], loose)
    judged = update.kept == Kept.JUDGED
    assert 0.05 < judged.mean() < 0.5
    assert_same(update.state, state, judged)
    assert (update.state.pending[1, judged] == 1).all()
    assert (update.state.age[judged] == 1).all()
    computed = update.kept == Kept.COMPUTE
    assert_same(update.state, compute_whole(OBSERVATIONS[:-1]), computed)
    assert not update.state.pending[:, computed].any()
    assert update.moves.sum() > 0

    # The next scene: whatever is computed now knows both.
    second = advance(update.state, OBSERVATIONS, [OBSERVATIONS[-1]], loose)
    late = judged & (second.kept == Kept.COMPUTE)
    assert late.any()
    assert_same(second.state, compute_whole(OBSERVATIONS), late)
    still = judged & (second.kept == Kept.JUDGED)
    assert (second.state.age[still] == 2).all()

    # Forcing them brings the whole tile up to date.
    third = advance(second.state, OBSERVATIONS, [], loose, forced=np.ones(N, bool))
    assert_same(third.state, compute_whole(OBSERVATIONS))


def test_a_pixel_with_an_empty_period_has_no_answer_whatever_the_other_shows() -> None:
    spring = [o for o in OBSERVATIONS if o.day < "2022-07"]
    state = compute_whole(spring[:-1])
    assert (state.layers[0] == 255).all()
    update = advance(state, spring, spring[-1:], EVERYTHING)
    assert set(update.kept[spring[-1].valid]) == {Kept.NO_ANSWER}
    first = next(o for o in OBSERVATIONS if o.day >= "2022-07")
    second = advance(update.state, [*spring, first], [first], EVERYTHING)
    assert_same(second.state, compute_whole([*spring, first]), first.valid)


def test_pending_observations_count_to_255_and_only_inside() -> None:
    state = replace(compute_whole(OBSERVATIONS), pending=np.full((2, N), 250, np.uint8))
    inside = np.arange(N) < 10
    told = add_pending(state, np.full((2, N), 9, np.uint8), inside).pending
    assert set(told[:, inside].ravel()) == {255}
    assert set(told[:, ~inside].ravel()) == {250}


def test_gathered_pixels_are_those_of_the_whole_stack() -> None:
    scenes = [*OBSERVATIONS[:6], observe(50, OBSERVATIONS[1].day, "z"), OBSERVATIONS[9]]
    whole = stack_slowly(scenes)
    pixels = np.flatnonzero(np.random.default_rng(1).random(N) < 0.2)
    found = gather_stack(scenes, pixels)
    assert found.dates == whole.dates
    np.testing.assert_array_equal(found.valid, whole.valid[..., pixels])
    shown = np.broadcast_to(found.valid[:, None], found.dn.shape)
    np.testing.assert_array_equal(found.dn[shown], whole.dn[..., pixels][shown])
