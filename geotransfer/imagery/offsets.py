"""Offsets: does a Sentinel-2 scene carry the 1000 that processing baseline 04.00 adds?

Metadata about it are sometimes wrong, and a wrong offset moves every band by a tenth of
reflectance, which no model survives. Two signs are read from the pixels, both from the dark end of
each band (the fifth percentile of clear pixels), which changes far less over a year than its
middle:

* against the other scenes of the place: a wrong offset lifts or lowers *every* band by 0.1 alike,
  which seasons, snow, haze and smoke do not;
* by itself: reflectance below zero in most bands means that an offset was taken off which was
  never there; dark ends at a tenth, equal in blue and red, mean one that was left on (bright soils
  are red, shadows and water are not this bright).

Scenes made before baseline 04.00 cannot carry it and anchor the others. Nothing is corrected in
silence: where pixels agree with the description it is applied, where they contradict it the scene
is left out with its figures, and ``--offset`` settles it by hand.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

OFFSET = 0.1
"""Reflectance that 1000 digital numbers are."""
CHECKED_BANDS = ("blue", "green", "red", "nir", "swir_1", "swir_2")
MIN_BANDS = 3
MIN_CLEAR_PX = 100
DARK_SHARE = 0.05
MIN_OTHERS = 2
"""Other scenes needed to compare with."""

TOLERANCE = 0.05
"""Half the offset: the median band of a scene is nearer to one group than to the other."""
FIT_TOLERANCE = 0.045
"""The median band of a scene that is accused lies this near to a tenth: half way is weather."""
BAND_TOLERANCE, MIN_FITTING = 0.065, 2 / 3
"""At most this far from a shift lies at least this share of the bands, or it is the weather."""
MINORITY = 0.25
"""Fewer than this share of the scenes are the ones that are wrong, if nothing else tells."""
BELOW_ZERO = -0.02
FLAT_LOW, FLAT_HIGH, FLAT_SPAN = 0.095, 0.175, 0.035
"""A dark end left a tenth too high: all bands above the first, blue below the second, red within
the third of blue."""


class OffsetOutcome(StrEnum):
    """What the pixels say about a scene's offset."""

    AGREES = "pixels agree with the description"
    TOO_HIGH = "pixels lie a tenth above: an offset was left on"
    TOO_LOW = "pixels lie a tenth below: an offset was taken off that was not there"
    UNDECIDED = (
        "the scenes fall into two groups a tenth apart, and the pixels do not tell which is right"
    )
    UNKNOWN = "too few clear pixels or bands to tell; the description is taken at its word"


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetCheck:
    """One scene's offset, judged."""

    scene_id: str
    outcome: OffsetOutcome
    shift: float | None
    """Median over the bands of the dark end minus that of the other scenes; None: none to compare
    with."""
    levels: tuple[tuple[str, float], ...]
    """Dark end of each band as described."""

    @property
    def detail(self) -> str:
        """Figures in a sentence's middle."""
        told = ", ".join(f"{band} {level:.3f}" for band, level in self.levels)
        beside = "" if self.shift is None else f"; {self.shift:+.3f} against the other scenes"
        return f"dark ends {told}{beside}"


def measure_levels(sample: Float32, bands: Sequence[str]) -> dict[str, float] | None:
    """Return the dark end of each band of a scene's sample, shape (band, y, x).

    None where fewer than ``MIN_CLEAR_PX`` pixels are clear in every band.
    """
    clear = np.isfinite(sample).all(axis=0)
    if int(clear.sum()) < MIN_CLEAR_PX:
        return None
    found = np.quantile(sample[:, clear].astype(np.float64), DARK_SHARE, axis=1)
    return {band: float(level) for band, level in zip(bands, found, strict=True)}


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetReport:
    """All scenes of one place, judged together."""

    checks: tuple[OffsetCheck, ...]
    is_common_visible: bool
    """Whether an error that *all* scenes share would be seen here; over bright soil it is not."""


def check_offsets(
    levels: Sequence[tuple[str, dict[str, float] | None]],
    others: Sequence[dict[str, float]] = (),
    *,
    anchors: Collection[str] = (),
) -> OffsetReport:
    """Judge the offset of each scene.

    Parameters
    ----------
    levels
        Scene id and dark ends (``measure_levels``) of each scene to judge.
    others
        Dark ends of scenes of the same place that were accepted before.
    anchors
        Ids of scenes that cannot carry the offset: made before processing baseline 04.00.

    Returns
    -------
    One check a scene, in the order given.
    """
    told = [(scene_id, own) for scene_id, own in levels if own and len(own) >= MIN_BANDS]
    bands = [b for b in CHECKED_BANDS if all(b in own for _, own in told)]
    beside = [own for own in others if set(bands) <= set(own)]
    rows = np.array([[own[b] for b in bands] for own in (*(o for _, o in told), *beside)])
    outcomes: dict[str, tuple[OffsetOutcome, float | None]] = {}
    is_visible = False
    if len(bands) >= MIN_BANDS and len(rows):
        groups, reference = _group(rows)
        is_anchor = np.array(
            [scene_id in anchors for scene_id, _ in told] + [True] * len(beside), dtype=bool
        )
        judged = _judge_groups(rows, groups, is_anchor, bands)
        base = np.median(rows[groups == 0], axis=0)
        is_visible = _judge_alone(base + OFFSET, bands) is OffsetOutcome.TOO_HIGH
        for row, (scene_id, _) in enumerate(told):
            shift = float(np.median(rows[row] - reference)) if len(rows) > MIN_OTHERS else None
            outcomes[scene_id] = (judged[row], shift)
    checks = tuple(
        OffsetCheck(
            scene_id=scene_id,
            outcome=outcomes.get(scene_id, (OffsetOutcome.UNKNOWN, None))[0],
            shift=outcomes.get(scene_id, (OffsetOutcome.UNKNOWN, None))[1],
            levels=tuple((own or {}).items()),
        )
        for scene_id, own in levels
    )
    return OffsetReport(checks=checks, is_common_visible=is_visible)


def _group(rows: Float64) -> tuple[NDArray[np.int64], Float64]:
    """Part scenes into those of the largest group (0), a tenth above (1) and a tenth below (-1).

    Scenes that differ otherwise (clouds without a mask, snow) count as 0. Returns the groups and
    the dark ends of the largest, shape (n_bands,).
    """
    gaps = np.median(rows[:, None] - rows[None, :], axis=2)
    centre = int(np.minimum(np.abs(gaps), TOLERANCE).sum(axis=0).argmin())
    near = np.abs(gaps[:, centre]) <= TOLERANCE
    reference = np.median(rows[near], axis=0)
    shifts = rows - reference
    groups = np.zeros(len(rows), dtype=np.int64)
    for sign in (1, -1):
        rest = np.abs(shifts - sign * OFFSET)
        fits = np.median(rest, axis=1) < FIT_TOLERANCE
        fits &= (rest <= BAND_TOLERANCE).mean(axis=1) >= MIN_FITTING - 1e-9
        groups[fits & (np.median(rest, axis=1) < np.median(np.abs(shifts), axis=1))] = sign
    return groups, reference


def _judge_groups(
    rows: Float64, groups: NDArray[np.int64], is_anchor: NDArray[np.bool_], bands: Sequence[str]
) -> list[OffsetOutcome]:
    """Say of each scene what its group is: right, too high, too low, or not to be told."""
    present = sorted(set(groups.tolist()))
    if len(rows) <= MIN_OTHERS:
        return [_judge_alone(row, bands) for row in rows]
    alone = {g: _judge_alone(np.median(rows[groups == g], axis=0), bands) for g in present}
    right = _find_right(groups, present, alone, is_anchor)
    if right is None:
        told = dict.fromkeys(present, OffsetOutcome.UNDECIDED)
    else:
        told = {
            g: OffsetOutcome.AGREES
            if g == right
            else (OffsetOutcome.TOO_HIGH if g > right else OffsetOutcome.TOO_LOW)
            for g in present
        }
        if alone[right] is not OffsetOutcome.AGREES and not is_anchor[groups == right].any():
            told[right] = alone[right]
    outcomes = [told[g] for g in groups.tolist()]
    for row, outcome in enumerate(outcomes):
        if outcome is OffsetOutcome.AGREES and not is_anchor[row]:
            outcomes[row] = _judge_alone(rows[row], bands)
    return outcomes


def _find_right(
    groups: NDArray[np.int64],
    present: Sequence[int],
    alone: Mapping[int, OffsetOutcome],
    is_anchor: NDArray[np.bool_],
) -> int | None:
    """Return the group whose description is right; None where nothing tells."""
    anchored = [g for g in present if is_anchor[groups == g].any()]
    if len(anchored) == 1:
        return anchored[0]
    possible = [g for g in present if alone[g] is OffsetOutcome.AGREES]
    if len(possible) == 1 or len(present) == 1:
        return (possible or list(present))[0]
    sizes = {g: int((groups == g).sum()) for g in present}
    largest = max(present, key=lambda g: (sizes[g], g == 0))
    rest = sum(sizes.values()) - sizes[largest]
    return largest if rest < MINORITY * len(groups) and largest in (possible or present) else None


def _judge_alone(levels: Float64, bands: Sequence[str]) -> OffsetOutcome:
    """Judge dark ends, shape (n_bands,), without any other scene."""
    if (levels < BELOW_ZERO).mean() >= 0.5:
        return OffsetOutcome.TOO_LOW
    named = dict(zip(bands, levels.tolist(), strict=True))
    if levels.min() < FLAT_LOW or "blue" not in named or "red" not in named:
        return OffsetOutcome.AGREES
    is_flat = named["blue"] <= FLAT_HIGH and abs(named["red"] - named["blue"]) <= FLAT_SPAN
    return OffsetOutcome.TOO_HIGH if is_flat else OffsetOutcome.AGREES
