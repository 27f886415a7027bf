"""Simulated years in memory: the refresh's own functions on arrays, against full recomputation."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geotransfer.change.audit import (
    Block,
    add_evidence,
    count_blocks,
    count_draws,
    draw_blocks,
    find_block,
    find_bound,
)
from geotransfer.change.judgement import QUANTILES, Kept, Rule
from geotransfer.change.reach import find_reach, remember
from geotransfer.change.update import TilePixels, add_pending, judge_state, update_pixels
from geotransfer.core.audit import Evidence
from geotransfer.core.spec import S2_SEMIANNUAL as SPEC
from geotransfer.core.spec import Period
from geotransfer.imagery.masks import find_bad
from geotransfer.imagery.observations import Observation
from geotransfer.imagery.sensors import SENTINEL_2
from geotransfer.settings import read_settings
from geotransfer.store.shipped import BASELINE, locate_shipped
from geotransfer.testing.ground import Ground, add_changes, simulate_scene_arrays
from geotransfer.testing.placement import spread_changes, spread_dates
from geotransfer.testing.world import build_world
from geotransfer.transfer.model import Model
from geotransfer.transfer.model_file import load_model
from geotransfer.workflows.tile import predict_pixels

FIRST_YEAR, YEAR = 2022, 2023
N_BEFORE, N_SCENES = 24, 73
N_EVENTS = 4
"""Scenes before the year, scenes of the year (five days apart), days on which land changes."""


def load_global_model() -> Model:
    return load_model(locate_shipped(BASELINE).read_bytes())


def make_ground(seed: int, *, size_px: int, changed_share: float) -> Ground:
    """A target region of the simulated world whose land changes in the second year."""
    world = build_world(
        ("eastern", "western"), 1.0, seed, folder=Path("/nowhere"), size_px=size_px,
        changed_share=0.0,
    )  # fmt: skip
    ground = world.targets[0].ground
    if changed_share:
        ground = add_changes(ground, spread_changes(YEAR, N_EVENTS), changed_share=changed_share)
    return ground


def observe(ground: Ground, date: dt.date) -> Observation:
    """Take a scene as the reader would: normalised numbers, cloud mask grown."""
    arrays = simulate_scene_arrays(ground, date)
    bad = find_bad(arrays.scl, SENTINEL_2.masks["scl"])
    valid = (arrays.dn != 0).all(axis=0) & ~bad
    dn = np.where(valid, np.minimum(arrays.dn, 32_000), 0).astype(np.int16)
    return Observation(
        scene_id=date.isoformat(), day=date.isoformat(), dn=dn.reshape(len(dn), -1),
        valid=valid.ravel(),
    )  # fmt: skip


@dataclass(frozen=True, eq=False, kw_only=True)
class Step:
    """One refresh of a simulated year, and what full recomputation would show."""

    day: dt.date
    ours: np.ndarray
    """Class of each pixel, shape (n,)."""
    full: np.ndarray
    n_computed: int
    n_judged: int
    stale_share: float
    evidence: Evidence
    is_certified: bool
    bound: float
    detector: float
    """Strictness in force."""


def run_year(
    seed: int, *, size_px: int, changed_share: float, n_steps: int, n_scenes: int = N_SCENES
) -> Iterator[Step]:
    """Refresh ``n_steps`` times over the first ``n_scenes`` scenes of a year; yields every step."""
    settings = read_settings({})
    model = load_global_model()
    ground = make_ground(seed, size_px=size_px, changed_share=changed_share)
    shape = (size_px, size_px)
    n = size_px * size_px
    inside = np.ones(n, dtype=bool)

    def predict(values: np.ndarray, counts: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        return predict_pixels(model, values, counts, None)

    seen: list[Observation] = []

    def list_seen(periods: Sequence[Period]) -> list[Observation]:
        return [o for o in seen if any(p.holds(o.day) for p in periods)]

    def advance(state: TilePixels, new: list[Observation], rule: Rule, forced: np.ndarray | None):
        touched = np.zeros((len(SPEC.periods), n), dtype=np.uint8)
        for found in new:
            for number, period in enumerate(SPEC.periods):
                if period.holds(found.day):
                    touched[number] += found.valid
        state = add_pending(state, touched, inside)
        kept = judge_state(state, rule=rule, forced=forced)
        return update_pixels(
            state, kept, spec=SPEC, load_values=lambda: state.values,
            load_observations=list_seen, predict=predict,
        )  # fmt: skip

    everything = Rule(quantile=1.0, reach=float("inf"))
    blank = TilePixels(
        values=np.full((len(SPEC.measured), n), np.nan, dtype=np.float32),
        counts=np.zeros((len(SPEC.periods), n), dtype=np.uint16),
        layers=np.tile(np.array([[255], [65535], [0]], dtype=np.uint16), n),
        pending=np.zeros((len(SPEC.periods), n), dtype=np.uint8),
        age=np.zeros(n, dtype=np.uint8),
    )
    before = [observe(ground, date) for date in spread_dates(FIRST_YEAR, N_BEFORE)]
    seen += before
    full = advance(blank, before, everything, None).state
    ours, moves, strictness, evidence = full, (), 0, Evidence()
    forced: np.ndarray | None = None
    for number, dates in enumerate(
        np.array_split(spread_dates(YEAR, N_SCENES)[:n_scenes], n_steps)
    ):
        new = [observe(ground, date) for date in dates]
        seen += new
        full = advance(full, new, everything, None).state
        while True:
            quantile = QUANTILES[strictness]
            rule = Rule(quantile=quantile, reach=find_reach(moves, quantile))
            update = advance(ours, new, rule, forced)
            ours, moves = update.state, remember(moves, update.moves.tolist())
            judged = update.kept == Kept.JUDGED
            is_stale = judged & (ours.layers[0] != full.layers[0])
            # The audit computes what full recomputation computes: the truth is at hand.
            per_block = count_blocks(judged, shape)
            ages = count_blocks(np.where(judged, ours.age, 0), shape) // np.maximum(per_block, 1)
            blocks = [
                Block(tile_id="r000c000", number=i, n_judged=int(k), age=int(a))
                for i, (k, a) in enumerate(zip(per_block, ages, strict=True))
                if k
            ]
            n_judged = int(judged.sum())
            drawn = draw_blocks(
                blocks, count_draws(n_judged, n, settings.audit_blocks), seed=seed * 1000 + number
            )
            stale = count_blocks(is_stale, shape)
            evidence = add_evidence(
                evidence, [(int(stale[b.number]), b.n_judged) for b in drawn],
                n_judged=n_judged, n_pixels=n, audit_blocks=settings.audit_blocks,
            )  # fmt: skip
            bound = find_bound(evidence, tolerance=settings.stale_tolerance)
            yield Step(
                day=dates[-1],
                ours=ours.layers[0].copy(),
                full=full.layers[0].copy(),
                n_computed=int((update.kept == Kept.COMPUTE).sum()),
                n_judged=n_judged,
                stale_share=float(is_stale.mean()),
                evidence=evidence,
                is_certified=bound.is_certified,
                bound=bound.bound,
                detector=quantile,
            )
            forced = np.zeros(n, dtype=bool)
            for block in drawn:
                pixels = find_block(block.number, shape)
                forced[pixels] = is_stale[pixels]
            if not (bound.is_certified and bound.bound > settings.stale_tolerance):
                break
            # Tightened: what this detector kept is computed, and a new audit begins.
            strictness = min(strictness + 1, len(QUANTILES) - 1)
            new, evidence, forced = [], Evidence(), np.ones(n, dtype=bool)


@dataclass(frozen=True, kw_only=True)
class BoundRun:
    """What one year said about the bound."""

    holds: bool
    """Every certified bound was at or above the mean stale share up to then."""
    bound: float | None
    """The last certified bound."""
    stale_share: float
    end_share: float
    """Share of pixels that differ from full recomputation at the end."""
    n_tightened: int


def check_bound(seed: int, *, size_px: int, changed_share: float, n_steps: int) -> BoundRun:
    """Run a year and compare each certified bound with the truth it bounds."""
    shares: list[float] = []
    every: list[float] = []
    holds, bound, n_tightened, detector = True, None, 0, None
    for step in run_year(seed, size_px=size_px, changed_share=changed_share, n_steps=n_steps):
        if detector not in (None, step.detector):
            shares, n_tightened = [], n_tightened + 1
        detector = step.detector
        shares.append(step.stale_share)
        every.append(step.stale_share)
        if step.is_certified:
            bound = step.bound
            holds = holds and step.bound >= float(np.mean(shares))
    return BoundRun(
        holds=holds, bound=bound, stale_share=float(np.mean(every)),
        end_share=float((step.ours != step.full).mean()), n_tightened=n_tightened,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class YearRun:
    """What a year of five-day refreshes said."""

    stale_share: float
    year_diff: float
    delays_days: tuple[float, ...]
    """Days each clearly changed pixel waited longer than with full recomputation."""
    computed_share: float


def follow_year(seed: int, *, size_px: int, changed_share: float, n_scenes: int) -> YearRun:
    """Run a year with one refresh a scene; clear changes are those full recomputation shows too."""
    ground = make_ground(seed, size_px=size_px, changed_share=changed_share)
    dates = spread_dates(YEAR, N_SCENES)[:n_scenes]
    steps = list(
        run_year(
            seed, size_px=size_px, changed_share=changed_share, n_steps=n_scenes, n_scenes=n_scenes
        )
    )
    ours = np.stack([step.ours for step in steps])
    full = np.stack([step.full for step in steps])
    was, now = ground.find_truth(dates[0]).ravel(), ground.find_truth(dates[-1]).ravel()
    # Clear: the full map had the old class, ends with the new one, and both maps agree at the end.
    clear = (was != now) & (full[0] == was) & (full[-1] == now) & (ours[-1] == now)
    days = np.array([(step.day - dates[0]).days for step in steps])
    return YearRun(
        stale_share=float(np.mean([step.stale_share for step in steps])),
        year_diff=float((ours[-1] != full[-1]).mean()),
        delays_days=tuple(
            (
                _find_arrival(ours[:, clear], now[clear], days)
                - _find_arrival(full[:, clear], now[clear], days)
            ).tolist()
        ),
        computed_share=float(np.mean([step.n_computed for step in steps])) / size_px**2,
    )


def _find_arrival(maps: np.ndarray, now: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Day from which on each pixel shows its new class for good."""
    is_wrong = maps != now
    last_wrong = len(days) - 1 - is_wrong[::-1].argmax(axis=0)
    first_right = np.where(is_wrong.any(axis=0), np.minimum(last_wrong + 1, len(days) - 1), 0)
    return days[first_right].astype(float)
