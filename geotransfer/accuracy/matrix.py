"""Error matrices of rows: counts, the figures read from them, and their intervals.

Rows of a matrix are map classes, columns reference classes (Olofsson et al. 2014). Every figure
here describes the *rows it was given*; for shares of a mapped area see ``accuracy.area``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geotransfer.accuracy.auc import estimate_auc, resample_auc
from geotransfer.accuracy.intervals import (
    N_DRAWS,
    Floats,
    bound_draws,
    bound_sum,
    check_level,
    draw_unit_counts,
    estimate_wilson,
    unknown_share,
)
from geotransfer.core.estimate import ErrorMatrix, Estimate, Evaluation
from geotransfer.core.legend import NODATA_CLASS, Legend
from geotransfer.errors import TableInvalid

Indices = NDArray[np.intp]


def index_codes(codes: ArrayLike, legend: Legend, *, where: str) -> Indices:
    """Return each code's position in the legend, shape ``(n,)``.

    Raises ``TableInvalid`` for a code the legend does not have, and so for nodata: a row without
    an answer is neither right nor wrong and must be left out, and counted, before.
    """
    values = np.asarray(codes)
    if values.ndim != 1:
        raise TableInvalid(f"{where} has {values.ndim} dimensions; give one code a row.")
    known = np.asarray(legend.codes)
    order = np.argsort(known)
    place = np.minimum(np.searchsorted(known[order], values), len(known) - 1)
    found = order[place]
    strangers = np.flatnonzero(known[found] != values)
    if len(strangers):
        code = values[strangers[0]]
        remedy = (
            "leave out rows the map has no answer for, and say how many"
            if code == NODATA_CLASS
            else "map it to one of the legend's classes or leave the row out"
        )
        raise TableInvalid(
            f"{where}: row {strangers[0]} holds {code}, which is no class of legend"
            f" {legend.name!r} ({len(strangers)} such rows); {remedy}."
        )
    return found


def count_matrix(map_codes: ArrayLike, reference_codes: ArrayLike, legend: Legend) -> ErrorMatrix:
    """Return the error matrix of ``n`` rows: map classes in rows, reference classes in columns.

    Both arguments are legend codes, shape ``(n,)``. Raises ``TableInvalid`` for other codes (255,
    nodata, among them) or unequal lengths.
    """
    mapped = index_codes(map_codes, legend, where="map_codes")
    reference = index_codes(reference_codes, legend, where="reference_codes")
    return _build_matrix(_count_cells(mapped, reference, len(legend.classes)), legend)


def _count_cells(mapped: Indices, reference: Indices, k: int) -> NDArray[np.int64]:
    if len(mapped) != len(reference):
        raise TableInvalid(
            f"map_codes has {len(mapped)} rows, reference_codes {len(reference)}; give one of each"
            " a row."
        )
    return np.bincount(mapped * k + reference, minlength=k * k).reshape(k, k)


def _build_matrix(cells: NDArray[np.int64], legend: Legend) -> ErrorMatrix:
    return ErrorMatrix(
        class_names=legend.names, counts=tuple(tuple(int(c) for c in row) for row in cells)
    )


def estimate_users(matrix: ErrorMatrix, *, level: float = 0.95) -> tuple[Estimate, ...]:
    """Return user's accuracy per class (of what the map calls c, the share truly c), Wilson.

    A class the map never shows is unknown: interval 0–1, ``n`` 0 (see ``unknown_share``).
    """
    cells = np.asarray(matrix.counts)
    return _estimate_shares(np.diag(cells), cells.sum(axis=1), level)


def estimate_producers(matrix: ErrorMatrix, *, level: float = 0.95) -> tuple[Estimate, ...]:
    """Return producer's accuracy per class (of what truly is c, the share found), Wilson.

    A class without reference rows is unknown: interval 0–1, ``n`` 0 (see ``unknown_share``).
    """
    cells = np.asarray(matrix.counts)
    return _estimate_shares(np.diag(cells), cells.sum(axis=0), level)


def estimate_overall(matrix: ErrorMatrix, *, level: float = 0.95) -> Estimate:
    """Return the share of rows on the diagonal with Wilson's interval."""
    return estimate_wilson(int(np.trace(np.asarray(matrix.counts))), matrix.n, level)


def estimate_balanced(matrix: ErrorMatrix, *, level: float = 0.95) -> Estimate:
    """Return the mean producer's accuracy of the classes that occur in the reference.

    The interval joins the classes' Wilson intervals (Zou and Donner 2008), so that it is not
    empty where every row is right.
    """
    known = [share for share in estimate_producers(matrix, level=level) if share.n]
    if not known:
        return unknown_share(level, reason="no-rows")
    low, high = bound_sum(
        np.full(len(known), 1 / len(known)),
        np.array([share.value for share in known]),
        np.array([share.low for share in known]),
        np.array([share.high for share in known]),
    )
    value = float(np.mean([share.value for share in known]))
    return Estimate(value=value, low=low, high=high, level=level, method="wilson-mean", n=matrix.n)


def estimate_f1(matrix: ErrorMatrix, *, level: float = 0.95) -> tuple[Estimate, ...]:
    """Return the F1 score per class, 2J/(1 + J) of the share J.

    J = hits / (hits + false alarms + misses) is a plain share of the rows that the map or the
    reference calls c, so that Wilson's interval of J, carried through the rising function, is
    F1's. A class that neither shows is unknown: interval 0–1, ``n`` 0.
    """
    cells = np.asarray(matrix.counts)
    hits = np.diag(cells)
    return tuple(
        share
        if not share.n
        else Estimate(
            value=_double_share(share.value),
            low=_double_share(share.low),
            high=_double_share(share.high),
            level=level,
            method=share.method,
            n=share.n,
        )
        for share in _estimate_shares(hits, cells.sum(axis=0) + cells.sum(axis=1) - hits, level)
    )


def _double_share(share: float) -> float:
    return 2 * share / (1 + share)


def _estimate_shares(
    hits: NDArray[np.int64], totals: NDArray[np.int64], level: float
) -> tuple[Estimate, ...]:
    return tuple(estimate_wilson(int(k), int(n), level) for k, n in zip(hits, totals, strict=True))


def evaluate_rows(
    map_codes: ArrayLike,
    reference_codes: ArrayLike,
    probability: ArrayLike | None,
    legend: Legend,
    *,
    estimand: str,
    separation_km: float | None,
    groups: Sequence[object] | NDArray[np.generic] | None,
    seed: int,
    level: float = 0.95,
) -> Evaluation:
    """Return every figure of ``n`` evaluated rows with its interval.

    Without ``groups`` rows count as independent: Wilson intervals, DeLong's for the AUC. With
    ``groups`` (the spatial block of each row) whole blocks are resampled, because neighbouring
    rows are right or wrong together; no interval is then narrower than that of independent rows,
    and with a single block nothing is known (0–1). All rows are pooled first and measured once:
    a mean over folds of unequal size misleads.

    Parameters
    ----------
    map_codes, reference_codes
        Legend codes, shape ``(n,)``.
    probability
        Probability (or any score) of the second class of a two-class legend, shape ``(n,)``;
        ignored for longer legends. None: no AUC.
    estimand
        What the figures estimate, as ``Evaluation.estimand``.
    separation_km
        Smallest distance of an evaluated row to a training row, if one was kept.
    groups
        Block of each row, ``n`` hashable values, or None.
    seed
        Of the bootstrap of blocks: equal arguments give equal intervals.

    Raises
    ------
    TableInvalid
        For codes outside the legend, unequal lengths, or a probability that is not finite.
    """
    check_level(level)
    mapped = index_codes(map_codes, legend, where="map_codes")
    reference = index_codes(reference_codes, legend, where="reference_codes")
    k = len(legend.classes)
    matrix = _build_matrix(_count_cells(mapped, reference, k), legend)
    n = matrix.n
    if not n:
        raise TableInvalid("map_codes has no rows; give labels that the model has not seen.")
    notes = [
        f"Class {name!r} does not occur in the reference rows: its producer's accuracy is unknown."
        for name, total in zip(legend.names, np.bincount(reference, minlength=k), strict=True)
        if not total
    ]
    # One figure a line, in the order of measure_figures.
    figures = [
        estimate_overall(matrix, level=level),
        estimate_balanced(matrix, level=level),
        *estimate_users(matrix, level=level),
        *estimate_producers(matrix, level=level),
        *estimate_f1(matrix, level=level),
    ]
    auc = None
    scores = None if probability is None or k != 2 else _check_scores(probability, n)
    if scores is not None and len(np.unique(reference)) < 2:
        scores = None
        notes.append("All reference rows are of one class: there is no AUC.")
    if scores is not None:
        auc = estimate_auc(scores, reference == 1, level=level)
    if groups is not None:
        units = _index_groups(groups, n)
        n_units = int(units.max()) + 1
        notes.append(f"Intervals rest on {n_units} spatial blocks.")
        unit_counts = draw_unit_counts(n_units, N_DRAWS, np.random.default_rng(seed))
        draws = _resample_figures(mapped, reference, k, unit_counts, units)
        figures = [
            _widen(figure, bound_draws(column, level, n_units=n_units))
            for figure, column in zip(figures, draws.T, strict=True)
        ]
        if scores is not None and auc is not None:
            aucs = resample_auc(scores, reference == 1, unit_counts, units)
            auc = _widen(auc, bound_draws(aucs, level, n_units=n_units))
    return Evaluation(
        estimand=estimand,
        separation_km=separation_km,
        matrix=matrix,
        overall=figures[0],
        balanced=figures[1],
        auc=auc,
        users=tuple(figures[2 : 2 + k]),
        producers=tuple(figures[2 + k : 2 + 2 * k]),
        f1=tuple(figures[2 + 2 * k :]),
        note=" ".join(notes),
    )


def _index_groups(groups: Sequence[object] | NDArray[np.generic], n: int) -> Indices:
    if len(groups) != n:
        raise TableInvalid(f"groups has {len(groups)} rows, map_codes {n}; give one of each a row.")
    return np.unique(np.asarray(groups), return_inverse=True)[1].astype(np.intp)


def _check_scores(probability: ArrayLike, n: int) -> Floats:
    scores = np.asarray(probability, dtype=np.float64)
    if scores.shape != (n,):
        raise TableInvalid(
            f"probability has shape {scores.shape}, map_codes {n} rows; give one value a row, of"
            " the second class."
        )
    if not np.isfinite(scores).all():
        row = int(np.flatnonzero(~np.isfinite(scores))[0])
        raise TableInvalid(
            f"probability: row {row} is not finite; leave out rows the model cannot answer."
        )
    return scores


def _resample_figures(
    mapped: Indices, reference: Indices, k: int, unit_counts: Floats, units: Indices
) -> Floats:
    """Return the figures of each resample, ``(n_draws, 2 + 3k)``."""
    n_units = unit_counts.shape[1]
    cell = (units * k + mapped) * k + reference
    unit_cells = np.bincount(cell, minlength=n_units * k * k).reshape(n_units, k * k)
    draws = (unit_counts @ unit_cells).reshape(-1, k, k)
    return measure_figures(draws, occurs=np.isin(np.arange(k), reference))


def measure_figures(cells: Floats, *, occurs: NDArray[np.bool_]) -> Floats:
    """Return overall, balanced, then user's, producer's and F1 per class, ``(…, 2 + 3k)``.

    Parameters
    ----------
    cells
        Counts or shares, ``(…, k, k)``, map classes in rows; undefined figures are NaN.
    occurs
        Classes of the balanced accuracy, shape ``(k,)``.
    """
    hits = np.einsum("...ii->...i", cells)
    map_totals, reference_totals = cells.sum(axis=-1), cells.sum(axis=-2)
    found = _divide(hits, reference_totals)
    return np.concatenate(
        (
            (hits.sum(axis=-1) / cells.sum(axis=(-1, -2)))[..., None],
            found[..., occurs].mean(axis=-1)[..., None],
            _divide(hits, map_totals),
            found,
            _divide(2 * hits, map_totals + reference_totals),
        ),
        axis=-1,
    )


def _divide(part: Floats, whole: Floats) -> Floats:
    """Return part / whole, NaN where a resample holds nothing to divide by."""
    share = np.full(part.shape, np.nan)
    np.divide(part, whole, out=share, where=whole > 0)
    return share


def _widen(figure: Estimate, ends: tuple[float, float]) -> Estimate:
    """Return ``figure`` with the wider of its own interval and ``ends`` on either side.

    Blocks that happen to agree, or all rows right, would otherwise give an interval narrower than
    independent rows could.
    """
    if not figure.n:
        return figure
    return replace(
        figure,
        low=min(figure.low, ends[0]),
        high=max(figure.high, ends[1]),
        method="block-bootstrap",
    )
