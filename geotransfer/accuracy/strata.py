"""Figures of a stratified sample as ratios of weighted means: values, spreads, interval ends.

Counts are ``cells[stratum, map, reference]``; weights are the strata's shares of the area. Figures
come in one order: overall, balanced, then user's, producer's, F1 and true share per class.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geotransfer.accuracy.intervals import (
    Floats,
    bound_draws,
    bound_sum,
    bound_wilson,
    draw_dirichlet,
    resample_strata,
)
from geotransfer.accuracy.matrix import measure_figures

N_DRAWS = 4000
"""Draws per interval; they are cheap, and the ends should not depend on the seed."""

Ends = list[tuple[float, float]]


def list_figures(shares: Floats, occurs: NDArray[np.bool_]) -> Floats:
    """Return overall, balanced, user's, producer's, F1 and true share, ``(…, 2 + 4k)``."""
    return np.concatenate((measure_figures(shares, occurs=occurs), shares.sum(axis=-2)), axis=-1)


def list_influences(shares: Floats, occurs: NDArray[np.bool_]) -> list[Floats]:
    """Return each figure's influence per cell, in the order of ``list_figures``.

    A ratio Y/X has influence (y − R·x)/X: its variance is that of the influence's mean.
    """
    k = len(shares)
    classes = range(k)
    whole = np.ones((k, k))

    def influence(part: Floats, base: Floats) -> Floats:
        total = float((shares * base).sum())
        if not total:
            return np.full((k, k), np.nan)
        ratio = float((shares * part).sum()) / total
        return (part - ratio * base) / total

    hits = [np.outer(unit, unit) for unit in np.eye(k)]
    rows = [np.outer(unit, np.ones(k)) for unit in np.eye(k)]
    columns = [row.T for row in rows]
    users = [influence(hits[c], rows[c]) for c in classes]
    producers = [influence(hits[c], columns[c]) for c in classes]
    f1 = [influence(2 * hits[c], rows[c] + columns[c]) for c in classes]
    balanced = np.mean([producers[c] for c in classes if occurs[c]], axis=0)
    true_shares = [influence(column, whole) for column in columns]
    return [influence(np.eye(k), whole), balanced, *users, *producers, *f1, *true_shares]


def find_error(
    influence: Floats, within: Floats, sizes: Floats, weights: Floats, sampled_shares: Floats
) -> float | None:
    """Return the standard error of a figure, sqrt Σ W_h² (1 − n_h/N_h) s_h² / n_h."""
    if sizes.min() < 2:
        return None
    means = (within * influence).sum(axis=(1, 2))
    squares = (within * influence**2).sum(axis=(1, 2))
    spread = np.maximum(squares - means**2, 0) / (sizes - 1)
    return float(np.sqrt((weights**2 * (1 - sampled_shares) * spread).sum()))


def bound_by_size(
    cells: Floats,
    prior: Floats,
    weights: Floats,
    occurs: NDArray[np.bool_],
    level: float,
    rng: np.random.Generator,
) -> tuple[Ends, list[str]]:
    """Return each figure's ends and method, honest with few rows."""
    k = cells.shape[-1]
    flat, flat_prior = cells.reshape(len(cells), -1), prior.reshape(len(cells), -1)
    drawn = draw_dirichlet(flat, flat_prior, n_draws=N_DRAWS, rng=rng)
    ends = _bound_columns(drawn, weights, occurs, level)
    methods = ["stratified-dirichlet"] * len(ends)
    # Overall accuracy and true shares are sums over strata of plain shares.
    sums = {0: np.eye(k)} | {2 + 3 * k + c: np.eye(k)[[c] * k] for c in range(k)}
    sizes = cells.sum(axis=(1, 2))
    for position, part in sums.items():
        hits = (cells * part).sum(axis=(1, 2))
        ends[position] = bound_sum(weights, hits / sizes, *bound_wilson(hits, sizes, level))
        methods[position] = "stratified-wilson"
    return ends, methods


def bound_by_resampling(
    cells: Floats,
    _prior: Floats,
    weights: Floats,
    occurs: NDArray[np.bool_],
    level: float,
    rng: np.random.Generator,
) -> tuple[Ends, list[str]]:
    """Return each figure's ends and method by the bootstrap within strata."""
    drawn = resample_strata(cells.reshape(len(cells), -1), n_draws=N_DRAWS, rng=rng)
    ends = _bound_columns(drawn, weights, occurs, level)
    return ends, ["stratified-bootstrap"] * len(ends)


def _bound_columns(drawn: Floats, weights: Floats, occurs: NDArray[np.bool_], level: float) -> Ends:
    k = len(occurs)
    cell_draws = np.einsum("h,bhc->bc", weights, drawn).reshape(-1, k, k)
    return [bound_draws(column, level) for column in list_figures(cell_draws, occurs).T]
