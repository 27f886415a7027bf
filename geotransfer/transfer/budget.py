"""The label-budget curve: accuracy against the number of labels, on rows kept apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from geotransfer.accuracy.folds import assign_blocks, choose_block_km, measure_separation
from geotransfer.core.budget import BudgetCurve, BudgetForecast, BudgetPoint
from geotransfer.core.estimate import Estimate
from geotransfer.errors import TableInvalid
from geotransfer.transfer.baseline import index_classes
from geotransfer.transfer.choice import GLOBAL
from geotransfer.transfer.fine_tune import check_inputs
from geotransfer.transfer.gain import GP_PRIOR, GainPrior, measure_macro_auc
from geotransfer.transfer.model import Model, to_probability
from geotransfer.transfer.samples import Samples
from geotransfer.transfer.strategies import Strategy
from geotransfer.transfer.threads import limit_blas

Float64 = NDArray[np.float64]
Integers = NDArray[np.int64]

HOLDOUT_SHARE = 0.4
"""Share of the blocks held out in a draw."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Draw:
    """One split of a region's rows: a pool that labels are drawn from, and rows held out."""

    pool: Integers
    """Row indices in random order: the first n are the calibration set of size n, so that larger
    sets contain smaller ones."""
    holdout: Integers


def draw_blocks(xy_km: Float64, block_km: float, *, seed: int) -> Draw:
    """Hold out whole blocks of a grid whose origin the seed moves."""
    blocks = assign_blocks(xy_km, block_km, seed=seed)
    unique, block_of_row = np.unique(blocks, return_inverse=True)
    rng = np.random.default_rng([seed, 1])
    is_held = np.zeros(len(unique), dtype=bool)
    is_held[rng.permutation(len(unique))[: max(1, round(HOLDOUT_SHARE * len(unique)))]] = True
    held = is_held[block_of_row]
    return Draw(pool=rng.permutation(np.flatnonzero(~held)), holdout=np.flatnonzero(held))


def draw_apart_in_rain(rain_mm: Float64, n_labels: int, *, seed: int, apart_mm: float = 50) -> Draw:
    """Draw labels at random and hold out the rows whose rain differs from every label's.

    ``rain_mm`` has shape (n, 2), the two half-years; a row is held out if it differs from each
    label by more than ``apart_mm`` in at least one. For tables without positions.
    """
    rng = np.random.default_rng([seed, 2])
    pool = rng.permutation(len(rain_mm))[:n_labels]
    gap = np.abs(rain_mm[:, None] - rain_mm[None, pool]).max(axis=2)
    return Draw(pool=pool, holdout=np.flatnonzero((gap > apart_mm).all(axis=1)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One strategy in one draw with one number of labels."""

    strategy: str
    n_labels: int
    auc: float
    gain: float
    distance_km: float


def trace_draw(
    baseline: Model,
    samples: Samples,
    source: Samples | None,
    draw: Draw,
    *,
    sizes: tuple[int, ...],
    strategies: tuple[Strategy, ...],
    seed: int,
    check: Callable[[], None] = lambda: None,
) -> list[Trace]:
    """Score the global model and every strategy for each number of labels of one draw."""
    held = samples.take(draw.holdout)
    targets = index_classes(baseline.legend, held.classes, where="held-out rows")
    measured = np.ascontiguousarray(held.measured.T)
    xy = None if held.xy_km is None else np.ascontiguousarray(held.xy_km.T)

    def score(model: Model) -> float:
        latent = model.predict_latent(measured, xy)
        return float(measure_macro_auc(to_probability(latent), targets)[0])

    reference = score(baseline)
    traces: list[Trace] = []
    for n in sizes:
        if n > len(draw.pool):
            continue
        labels = samples.take(draw.pool[:n])
        if len(np.unique(labels.classes)) < 2 or not np.isfinite(reference):
            continue
        distance = np.nan
        if held.xy_km is not None and labels.xy_km is not None:
            distance = float(np.median(measure_separation(held.xy_km, labels.xy_km)))
        traces.append(
            Trace(strategy=GLOBAL.name, n_labels=n, auc=reference, gain=0.0, distance_km=distance)
        )
        for strategy in strategies:
            check()
            if n < strategy.min_labels or (strategy.needs_source and source is None):
                continue
            model = strategy.fit(baseline, labels, source, seed=seed, n_threads=1)
            auc = score(model)
            traces.append(
                Trace(
                    strategy=strategy.name,
                    n_labels=n,
                    auc=auc,
                    gain=auc - reference,
                    distance_km=distance,
                )
            )
    return traces


def summarize_traces(
    traces: list[Trace], *, separation: str, n_draws: int, n_holdout: int
) -> BudgetCurve:
    """Average draws; the interval is that of the mean over draws (Student's t)."""
    keys = dict.fromkeys((t.strategy, t.n_labels) for t in traces)
    points = []
    for strategy, n in keys:
        rows = [t for t in traces if (t.strategy, t.n_labels) == (strategy, n)]
        gains = np.array([t.gain for t in rows])
        distances = [t.distance_km for t in rows if np.isfinite(t.distance_km)]
        points.append(
            BudgetPoint(
                strategy=strategy,
                n_labels=n,
                auc=_average(np.array([t.auc for t in rows])),
                gain=_average(gains),
                spread=float(gains.std(ddof=1)) if len(gains) > 1 else 0.0,
                median_distance_km=float(np.median(distances)) if distances else None,
            )
        )
    order = list(dict.fromkeys(p.strategy for p in points))
    points.sort(key=lambda p: (order.index(p.strategy), p.n_labels))
    return BudgetCurve(
        separation=separation, n_draws=n_draws, n_holdout=n_holdout, points=tuple(points)
    )


def measure_budget(
    baseline: Model,
    labels: Samples,
    source: Samples | None,
    *,
    strategies: tuple[Strategy, ...],
    sizes: tuple[int, ...] | None = None,
    n_draws: int = 10,
    block_km: float | None = None,
    seed: int = 0,
    check: Callable[[], None] = lambda: None,
) -> BudgetCurve:
    """Draw the curve from a region's own labels, whole blocks held out.

    Parameters
    ----------
    sizes
        Numbers of labels; None: from ten in steps that double, up to what the pool holds.
    block_km
        Side of the blocks; None: chosen from the labels' positions.
    check
        Called between fits; raises to cancel.

    Raises
    ------
    TableInvalid
        The labels have no positions, or lie in one place.
    LeakRefused
        The labels' region trained the baseline, or is among the source samples.
    """
    check_inputs(baseline, labels, source)
    if labels.xy_km is None:
        raise TableInvalid("a budget curve needs the labels' positions; bring coordinates.")
    side = block_km or choose_block_km(labels.xy_km, min_blocks=5, seed=seed)
    if side is None:
        raise TableInvalid("all labels lie in one place; spread them over the region.")
    if sizes is None:
        largest = int(len(labels) * (1 - HOLDOUT_SHARE))
        sizes = tuple(n for n in (10, 20, 40, 80, 160, 320, 640, 1280, 2560) if n <= largest)
    traces: list[Trace] = []
    held: list[int] = []
    with limit_blas():
        for k in range(n_draws):
            draw = draw_blocks(labels.xy_km, side, seed=seed + k)
            held.append(len(draw.holdout))
            traces += trace_draw(
                baseline,
                labels,
                source,
                draw,
                sizes=sizes,
                strategies=strategies,
                seed=seed + k,
                check=check,
            )
    return summarize_traces(
        traces,
        separation=f"blocks of {side:g} km",
        n_draws=n_draws,
        n_holdout=int(np.median(held)),
    )


def forecast_gain(
    gain_now: Estimate,
    now: int,
    sizes: tuple[int, ...],
    *,
    prior: GainPrior = GP_PRIOR,
    level: float = 0.90,
) -> tuple[BudgetForecast, ...]:
    """Expect the gain of more labels: the gain of ``now``, moved along the rehearsed curve.

    A forecast widens with the step: each doubling of the number of labels adds a third of the
    spread between regions.
    """
    half = (gain_now.high - gain_now.low) / 2
    out = []
    for n in sizes:
        value = gain_now.value + prior.interpolate(n) - prior.interpolate(now)
        extra = prior.deviation / 3 * abs(float(np.log2(n / max(now, 1))))
        wide = float(np.hypot(half, 1.645 * extra))
        gain = Estimate(
            value=value,
            low=value - wide,
            high=value + wide,
            level=level,
            method="rehearsed curve through this region's gain",
            n=now,
        )
        out.append(BudgetForecast(n_labels=n, gain=gain))
    return tuple(out)


def _average(values: Float64) -> Estimate:
    n = len(values)
    mean = float(values.mean())
    half = 0.0
    if n > 1:
        half = float(stdtrit(n - 1, 0.975) * values.std(ddof=1) / np.sqrt(n))
    return Estimate(
        value=mean, low=mean - half, high=mean + half, method="mean over draws, Student's t", n=n
    )
