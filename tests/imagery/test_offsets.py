"""Wrong offsets are found, right ones are left alone, and what cannot be told is not."""

from __future__ import annotations

import numpy as np
import pytest

from geotransfer.imagery.offsets import (
    CHECKED_BANDS,
    OffsetOutcome,
    OffsetReport,
    check_offsets,
    measure_levels,
)

GREEN = np.array([0.03, 0.05, 0.05, 0.16, 0.15, 0.08])
"""Dark ends of a place with fields and trees."""
BRIGHT = np.array([0.13, 0.19, 0.28, 0.36, 0.42, 0.36])
"""Dark ends of a desert."""


def draw_levels(place: np.ndarray, n: int, seed: int = 0) -> list[dict[str, float]]:
    """Scenes over a year: seasons move near and short-wave infrared, haze lifts blue most."""
    rng = np.random.default_rng(seed)
    season = (
        0.03 * np.sin(np.linspace(0, 2 * np.pi, n))[:, None] * np.array([0, 0, 0.3, 1, 0.8, 0.5])
    )
    haze = rng.exponential(0.006, (n, 1)) * np.array([2, 1.5, 1, 0.5, 0.2, 0.1])
    rows = np.maximum(place + season + haze + rng.normal(0, 0.004, (n, 6)), 0.001)
    return [dict(zip(CHECKED_BANDS, row.tolist(), strict=True)) for row in rows]


def lift(levels: dict[str, float], by: float) -> dict[str, float]:
    return {band: value + by for band, value in levels.items()}


def check(levels: list[dict[str, float]], **known: object) -> OffsetReport:
    named = [(f"s{i}", found) for i, found in enumerate(levels)]
    return check_offsets(named, **known)  # type: ignore[arg-type]


def outcomes(report: OffsetReport) -> list[OffsetOutcome]:
    return [found.outcome for found in report.checks]


@pytest.mark.parametrize("place", [GREEN, BRIGHT], ids=["green", "bright"])
@pytest.mark.parametrize("seed", range(5))
def test_right_scenes_agree(place: np.ndarray, seed: int) -> None:
    assert set(outcomes(check(draw_levels(place, 12, seed)))) == {OffsetOutcome.AGREES}


@pytest.mark.parametrize("place", [GREEN, BRIGHT], ids=["green", "bright"])
@pytest.mark.parametrize(
    ("shift", "told"), [(0.1, OffsetOutcome.TOO_HIGH), (-0.1, OffsetOutcome.TOO_LOW)]
)
@pytest.mark.parametrize("seed", range(5))
def test_one_wrong_scene_is_found_and_no_other(
    place: np.ndarray, shift: float, told: OffsetOutcome, seed: int
) -> None:
    levels = draw_levels(place, 12, seed)
    wrong = seed * 2
    levels[wrong] = lift(levels[wrong], shift)
    found = outcomes(check(levels))
    assert found[wrong] is told
    assert set(found[:wrong] + found[wrong + 1 :]) == {OffsetOutcome.AGREES}


@pytest.mark.parametrize("shift", [0.1, -0.1])
def test_when_most_or_all_are_wrong_a_green_place_still_tells(shift: float) -> None:
    told = OffsetOutcome.TOO_HIGH if shift > 0 else OffsetOutcome.TOO_LOW
    levels = draw_levels(GREEN, 12)
    report = check([lift(found, shift) if i < 8 else found for i, found in enumerate(levels)])
    assert outcomes(report) == [told] * 8 + [OffsetOutcome.AGREES] * 4
    assert outcomes(check([lift(found, shift) for found in levels])) == [told] * 12
    assert check(levels).is_common_visible


def test_over_bright_soil_two_groups_are_not_guessed_at_and_a_common_error_is_said_unseen() -> None:
    levels = draw_levels(BRIGHT, 12)
    mixed = [lift(found, 0.1) if i % 2 else found for i, found in enumerate(levels)]
    report = check(mixed)
    assert set(outcomes(report)) == {OffsetOutcome.UNDECIDED}
    assert not report.is_common_visible
    assert set(outcomes(check([lift(found, 0.1) for found in levels]))) == {OffsetOutcome.AGREES}


def test_scenes_older_than_the_offset_settle_who_is_right() -> None:
    levels = draw_levels(BRIGHT, 12)
    mixed = [lift(found, 0.1) if i >= 3 else found for i, found in enumerate(levels)]
    report = check(mixed, anchors={"s0", "s1"})
    assert outcomes(report) == [OffsetOutcome.AGREES] * 3 + [OffsetOutcome.TOO_HIGH] * 9


def test_a_later_scene_is_compared_with_those_accepted_before() -> None:
    before = draw_levels(BRIGHT, 8)
    new = lift(draw_levels(BRIGHT, 1, seed=9)[0], 0.1)
    report = check([new], others=before)
    assert outcomes(report) == [OffsetOutcome.TOO_HIGH]
    assert report.checks[0].shift == pytest.approx(0.1, abs=0.03)
    assert "against the other scenes" in report.checks[0].detail


def test_snow_and_smoke_are_weather_not_offsets() -> None:
    levels = draw_levels(GREEN, 10)
    snow = dict(zip(CHECKED_BANDS, [0.55, 0.52, 0.5, 0.48, 0.1, 0.06], strict=True))
    smoke = dict(zip(CHECKED_BANDS, [0.16, 0.13, 0.1, 0.18, 0.16, 0.08], strict=True))
    # In the median band near a tenth above, as an offset would be; half of the bands are not.
    plume = dict(zip(CHECKED_BANDS, [0.209, 0.229, 0.229, 0.265, 0.255, 0.185], strict=True))
    found = outcomes(check([*levels, snow, smoke, plume]))
    assert set(found) == {OffsetOutcome.AGREES}


def test_too_little_to_tell_is_said() -> None:
    levels = draw_levels(GREEN, 4)
    two_bands = {band: levels[0][band] for band in ("blue", "red")}
    named: list[tuple[str, dict[str, float] | None]] = [("a", None), ("b", two_bands)]
    report = check_offsets([*named, *((f"s{i}", x) for i, x in enumerate(levels))])
    assert outcomes(report)[:2] == [OffsetOutcome.UNKNOWN] * 2
    assert set(outcomes(report)[2:]) == {OffsetOutcome.AGREES}
    assert check_offsets([]).checks == ()


def test_dark_ends_need_enough_clear_pixels() -> None:
    rng = np.random.default_rng(0)
    sample = rng.uniform(0.02, 0.5, (3, 40, 40)).astype(np.float32)
    levels = measure_levels(sample, ("blue", "red", "nir"))
    assert levels is not None
    assert levels["red"] == pytest.approx(np.quantile(sample[1], 0.05), abs=1e-6)
    sample[0, 5:] = np.nan
    assert measure_levels(sample[:, :6, :6], ("blue", "red", "nir")) is None
