"""Bring a tile up to date: from its state and new observations to its next state.

Pure functions on arrays, pixels in one line: the refresh uses them on tiles from disk, the
benchmark on simulated ones in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geotransfer.change.judgement import Kept, Rule, judge_pixels, measure_lead, measure_margin
from geotransfer.change.reach import count_moves, measure_debt
from geotransfer.core.spec import FeatureSpec, Period
from geotransfer.imagery.composite import compose_measured
from geotransfer.imagery.features import evaluate_column
from geotransfer.imagery.observations import Observation, gather_stack

CHUNK = 1 << 15
"""Pixels computed at a time, which bounds their stack's memory."""

Predict = Callable[[NDArray[np.float32], NDArray[np.uint16], NDArray[np.intp]], NDArray[np.uint16]]
"""From measured columns (column, n), counts (period, n), pixels (n,) to map layers (layer, n)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class TilePixels:
    """State of a tile's pixels; whatever the unknown observations say is not in ``values``.

    Attributes
    ----------
    values
        Measured columns, shape (column, n).
    counts
        Observations they know, shape (period, n).
    layers
        The map: class, probabilities, observations; shape (layer, n).
    pending
        Observations they do not know, shape (period, n); at most 255 are counted.
    age
        Refreshes since a pixel with unknown observations was last up to date, shape (n,).
    """

    values: NDArray[np.float32]
    counts: NDArray[np.uint16]
    layers: NDArray[np.uint16]
    pending: NDArray[np.uint8]
    age: NDArray[np.uint8]


@dataclass(frozen=True, eq=False, kw_only=True)
class Update:
    """What an update did.

    Attributes
    ----------
    state
        The state after it.
    kept
        Values of ``Kept``, shape (n,).
    moves
        How far scores moved per unit of debt, for ``reach.remember``.
    """

    state: TilePixels
    kept: NDArray[np.uint8]
    moves: NDArray[np.int64]

    @property
    def is_changed(self) -> bool:
        """Whether any pixel was computed."""
        return bool((self.kept == Kept.COMPUTE).any())


def add_pending(
    state: TilePixels, touched: NDArray[np.uint8], inside: NDArray[np.bool_]
) -> TilePixels:
    """Return the state with further unknown observations, shape (period, n)."""
    total = state.pending.astype(np.uint16) + np.where(inside, touched, 0)
    return replace(state, pending=np.minimum(total, 255).astype(np.uint8))


def judge_state(
    state: TilePixels, *, rule: Rule, forced: NDArray[np.bool_] | None = None
) -> NDArray[np.uint8]:
    """Decide for every pixel; values of ``Kept``, shape (n,).

    Parameters
    ----------
    state
        With the unknown observations counted (``add_pending``).
    forced
        Pixels that judgement may not keep, shape (n,).
    """
    kept = judge_pixels(pending=state.pending, counts=state.counts, layers=state.layers, rule=rule)
    if forced is not None:
        kept[forced & (kept == Kept.JUDGED)] = Kept.COMPUTE
    return kept


def update_pixels(
    state: TilePixels,
    kept: NDArray[np.uint8],
    *,
    spec: FeatureSpec,
    load_values: Callable[[], NDArray[np.float32]],
    load_observations: Callable[[Sequence[Period]], Sequence[Observation]],
    predict: Predict,
) -> Update:
    """Compute the pixels that are not kept.

    Parameters
    ----------
    state
        With the unknown observations counted (``add_pending``). Without measured columns where
        they need not be read unless some pixel is computed.
    kept
        From ``judge_state``.
    load_values, load_observations
        Give the measured columns (column, n), and all observations in some periods, known and
        unknown.
    """
    pixels = np.flatnonzero(kept == Kept.COMPUTE)
    is_open = kept != Kept.UNTOUCHED
    age = np.where(is_open, np.minimum(state.age, 254) + 1, 0).astype(np.uint8)
    if not len(pixels):
        nothing = np.zeros(0, dtype=np.float32)
        return Update(
            state=replace(state, age=age),
            kept=kept,
            moves=count_moves(nothing, nothing, nothing),
        )
    # What is loaded here is nobody else's and may be written into.
    state = replace(state, values=state.values.copy() if len(state.values) else load_values())
    unknown = np.asarray(state.pending[:, pixels].any(axis=1))
    periods = [period for i, period in enumerate(spec.periods) if unknown[i]]
    values, counts = compute_pixels(state, load_observations(periods), pixels, spec=spec)
    layers = predict(values, counts, pixels)
    before = state.layers[1:-1, pixels]
    moves = count_moves(
        measure_margin(before),
        measure_lead(layers[1:-1], before),
        measure_debt(state.pending[:, pixels], state.counts[:, pixels]),
    )
    following = replace(
        state,
        counts=state.counts.copy(),
        layers=state.layers.copy(),
        pending=state.pending.copy(),
        age=age,
    )
    following.values[:, pixels] = values
    following.counts[:, pixels] = counts
    following.layers[:, pixels] = layers
    following.pending[:, pixels] = 0
    following.age[pixels] = 0
    return Update(state=following, kept=kept, moves=moves)


def compute_pixels(
    state: TilePixels,
    observations: Sequence[Observation],
    pixels: NDArray[np.intp],
    *,
    spec: FeatureSpec,
) -> tuple[NDArray[np.float32], NDArray[np.uint16]]:
    """Measure some pixels anew from all observations, in the periods with unknown ones.

    Returns
    -------
    Measured columns (column, n) and counts (period, n): bit for bit those of a full computation.
    """
    values, counts = state.values[:, pixels], state.counts[:, pixels]
    for number, period in enumerate(spec.periods):
        seen = [o for o in observations if period.holds(o.day)]
        rows = np.array(
            [
                row
                for row, column in enumerate(spec.measured)
                if column.statistic not in ("", "static") and column.period == period.name
            ],
            dtype=np.intp,
        )
        chosen = np.flatnonzero(state.pending[number, pixels])
        for start in range(0, len(chosen), CHUNK):
            part = chosen[start : start + CHUNK]
            if not seen:
                values[np.ix_(rows, part)] = np.nan
                counts[number, part] = 0
                continue
            measured = compose_measured(gather_stack(seen, pixels[part]), spec)
            values[np.ix_(rows, part)] = measured.values[rows, 0]
            counts[number, part] = measured.counts[number, 0]
    by_name = {name: values[row] for row, name in enumerate(spec.measured_names)}
    for row, column in enumerate(spec.measured):
        if column.formula:
            values[row] = evaluate_column(column, by_name)
    return values, counts
