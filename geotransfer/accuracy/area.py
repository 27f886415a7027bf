"""Accuracy and area of a map from a stratified sample of reference labels.

One estimator serves both designs: strata that are the map's classes (Olofsson et al. 2014, doi
10.1016/j.rse.2014.02.015) and strata that are not, such as points drawn on the baseline's map that
now judge a fine-tuned one (Stehman 2014, doi 10.1080/01431161.2014.930207). Every figure is a ratio
Σ W_h ȳ_h / Σ W_h x̄_h, its standard error the delta method's, F1 included; for strata that are map
classes these are Olofsson's equations 4–11.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geotransfer.accuracy.intervals import (
    Floats,
    check_level,
    unknown_share,
)
from geotransfer.accuracy.matrix import (
    count_matrix,
    estimate_users,
    index_codes,
)
from geotransfer.accuracy.strata import (
    bound_by_resampling,
    bound_by_size,
    find_error,
    list_figures,
    list_influences,
)
from geotransfer.core.estimate import ErrorMatrix, Estimate, Evaluation
from geotransfer.core.legend import Legend
from geotransfer.errors import InputError, TableInvalid

Interval = Literal["small-sample", "bootstrap"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaFigure:
    """An estimate with its standard error."""

    estimate: Estimate
    standard_error: float | None
    """From the design's variance formula; None where the figure is unknown or some stratum has a
    single row, which says nothing about spread (the interval holds all the same)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaAccuracy:
    """What a stratified sample says about a map and the area of each class."""

    class_names: tuple[str, ...]
    matrix: ErrorMatrix
    """Counts of the sample, unweighted."""
    cell_shares: tuple[tuple[float, ...], ...]
    """Estimated share of the area in each cell, ``[map][reference]``; sums to 1."""
    overall: AreaFigure
    balanced: AreaFigure
    users: tuple[AreaFigure, ...]
    producers: tuple[AreaFigure, ...]
    f1: tuple[AreaFigure, ...]
    shares: tuple[AreaFigure, ...]
    """Share of the area that truly is each class."""
    areas_km2: tuple[AreaFigure, ...]
    """The same in km²."""
    is_indicative: bool
    """True where labels are no probability sample: the figures then describe the labels' places,
    and no statement about the whole area follows."""

    def to_evaluation(self) -> Evaluation:
        """Return the accuracy as a design-based evaluation; refused where only indicative."""
        if self.is_indicative:
            raise InputError(
                "Labels that are no probability sample cannot give a design-based accuracy; draw"
                " places at random, or report separated folds."
            )
        return Evaluation(
            estimand="design-based",
            separation_km=None,
            matrix=self.matrix,
            overall=self.overall.estimate,
            balanced=self.balanced.estimate,
            auc=None,
            users=tuple(figure.estimate for figure in self.users),
            producers=tuple(figure.estimate for figure in self.producers),
            f1=tuple(figure.estimate for figure in self.f1),
            note="Weighted by area: figures describe the whole map.",
        )


def estimate_olofsson(
    matrix: ErrorMatrix,
    mapped_km2: Sequence[float],
    *,
    is_probability_sample: bool,
    seed: int,
    level: float = 0.95,
    interval: Interval = "small-sample",
) -> AreaAccuracy:
    """Return area-weighted accuracy and area where the strata are the map's classes.

    Also right for a simple random sample, whose rows are then weighted to the map's known areas.

    Parameters
    ----------
    matrix
        Counts, map classes (the strata) in rows.
    mapped_km2
        Area the map gives each class, in the matrix's order; ``measure_mapped_km2`` counts it.
    is_probability_sample
        Whether every place of a class had the same known chance to be labelled. If not, all
        figures are marked indicative.
    interval
        ``small-sample`` joins the strata's Wilson intervals for overall accuracy and shares, and
        draws from posteriors for ratios; it covers best (decision 0006). ``bootstrap`` resamples
        within strata.

    Raises
    ------
    InputError
        A class with mapped area and no row: nothing is known about that part of the map.
    """
    counts = np.asarray(matrix.counts, dtype=np.float64)
    k = len(counts)
    strata = np.zeros((k, k, k))
    strata[np.arange(k), np.arange(k)] = counts
    prior = np.repeat(np.eye(k)[:, :, None], k, axis=2) / k
    result = _estimate_strata(
        strata,
        prior,
        np.asarray(mapped_km2, dtype=np.float64),
        matrix,
        matrix.class_names,
        sampled_shares=np.zeros(k),
        is_probability_sample=is_probability_sample,
        seed=seed,
        level=level,
        interval=interval,
    )
    # Within one stratum rows are a plain random sample, for which Wilson's interval is better.
    method = _name_method("wilson", is_probability_sample)
    users = tuple(
        replace(figure, estimate=replace(wilson, method=method)) if wilson.n else figure
        for figure, wilson in zip(result.users, estimate_users(matrix, level=level), strict=True)
    )
    return replace(result, users=users)


def _name_method(method: str, is_probability_sample: bool) -> str:
    return method if is_probability_sample else f"indicative {method}"


def estimate_stehman(
    strata: ArrayLike,
    map_codes: ArrayLike,
    reference_codes: ArrayLike,
    legend: Legend,
    stratum_km2: Mapping[Any, float],
    *,
    is_probability_sample: bool,
    seed: int,
    unit_km2: float = 0.0,
    level: float = 0.95,
    interval: Interval = "small-sample",
) -> AreaAccuracy:
    """Return area-weighted accuracy and area where strata and map classes differ.

    Parameters
    ----------
    strata
        Stratum of each row, ``n`` values that are keys of ``stratum_km2``.
    map_codes, reference_codes
        Legend codes, shape ``(n,)``.
    stratum_km2
        Area of each stratum; looked up by name, never by position.
    unit_km2
        Area of one sampled unit (a pixel), for the finite population correction 1 − n_h/N_h; 0
        (the default) leaves it out, which matters only where a stratum is nearly all labelled.

    Raises
    ------
    InputError
        A stratum with area and no row, or a row of a stratum without area.
    """
    mapped = index_codes(map_codes, legend, where="map_codes")
    reference = index_codes(reference_codes, legend, where="reference_codes")
    matrix = count_matrix(map_codes, reference_codes, legend)
    row_strata = np.asarray(strata).tolist()
    if len(row_strata) != len(mapped):
        raise TableInvalid(
            f"strata has {len(row_strata)} rows, map_codes {len(mapped)}; give one of each a row."
        )
    names = list(stratum_km2)
    places = {name: place for place, name in enumerate(names)}
    stranger = next((name for name in row_strata if name not in places), None)
    if stranger is not None:
        raise InputError(f"Stratum {stranger!r} has rows but no area; add it to stratum_km2.")
    k = len(legend.classes)
    cells = np.zeros((len(names), k, k))
    rows = np.array([places[name] for name in row_strata], dtype=np.intp)
    np.add.at(cells, (rows, mapped, reference), 1)
    area_km2 = np.array([stratum_km2[name] for name in names], dtype=np.float64)
    sizes = cells.sum(axis=(1, 2))
    sampled_shares = np.zeros(len(names))
    np.divide(sizes * unit_km2, area_km2, out=sampled_shares, where=area_km2 > 0)
    if unit_km2 < 0 or sampled_shares.max(initial=0) > 1:
        raise InputError(
            f"Rows of {unit_km2} km² cover more than their stratum's area; give the area of one"
            " sampled unit, in km²."
        )
    return _estimate_strata(
        cells,
        np.full(cells.shape, 1 / k**2),
        area_km2,
        matrix,
        [str(name) for name in names],
        sampled_shares=sampled_shares,
        is_probability_sample=is_probability_sample,
        seed=seed,
        level=level,
        interval=interval,
    )


def _estimate_strata(
    cells: Floats,
    prior: Floats,
    area_km2: Floats,
    matrix: ErrorMatrix,
    stratum_names: Sequence[str],
    *,
    sampled_shares: Floats,
    is_probability_sample: bool,
    seed: int,
    level: float,
    interval: Interval,
) -> AreaAccuracy:
    """Estimate from counts per stratum and cell, ``cells[stratum, map, reference]``."""
    check_level(level)
    used = _check_strata(cells, area_km2, stratum_names, interval)
    cells, prior = cells[used], prior[used]
    total_km2 = float(area_km2.sum())
    weights = area_km2[used] / total_km2
    k = cells.shape[-1]
    sizes = cells.sum(axis=(1, 2))
    within = cells / sizes[:, None, None]
    shares = np.tensordot(weights, within, axes=1)
    occurs = shares.sum(axis=0) > 0

    values = list_figures(shares, occurs)
    bound = bound_by_size if interval == "small-sample" else bound_by_resampling
    ends, methods = bound(cells, prior, weights, occurs, level, np.random.default_rng(seed))
    influences = list_influences(shares, occurs)

    def estimate(position: int) -> AreaFigure:
        value = float(values[position])
        if not np.isfinite(value):
            return AreaFigure(estimate=unknown_share(level, reason="no-rows"), standard_error=None)
        value = min(value, 1.0)  # rounding
        low, high = ends[position]
        return AreaFigure(
            estimate=Estimate(
                value=value,
                # Draws of a share observed to be 0 or 1 stay inside it.
                low=min(low, value),
                high=max(high, value),
                level=level,
                method=_name_method(methods[position], is_probability_sample),
                n=int(sizes.sum()),
            ),
            standard_error=find_error(
                influences[position], within, sizes, weights, sampled_shares[used]
            ),
        )

    figures = [estimate(position) for position in range(len(values))]
    overall, balanced, *rest = figures
    users, producers, f1, true_shares = (tuple(rest[i * k : (i + 1) * k]) for i in range(4))
    return AreaAccuracy(
        class_names=matrix.class_names,
        matrix=matrix,
        cell_shares=tuple(tuple(float(share) for share in row) for row in shares),
        overall=overall,
        balanced=balanced,
        users=users,
        producers=producers,
        f1=f1,
        shares=true_shares,
        areas_km2=tuple(_scale(figure, total_km2) for figure in true_shares),
        is_indicative=not is_probability_sample,
    )


def _check_strata(
    cells: Floats, area_km2: Floats, names: Sequence[str], interval: Interval
) -> NDArray[np.bool_]:
    """Return which strata have area; refuse one with area and too few rows."""
    if area_km2.shape != (len(cells),) or not np.isfinite(area_km2).all() or area_km2.min() < 0:
        raise InputError(
            f"Areas are {area_km2.tolist()} for {len(cells)} strata; give one area in km² each."
        )
    used = np.asarray(area_km2 > 0)
    if not used.any():
        raise InputError("No stratum has any area; count the map's areas first.")
    sizes = cells.sum(axis=(1, 2))
    needed = 1 if interval == "small-sample" else 2
    short = np.flatnonzero(used & (sizes < needed))
    if len(short):
        raise InputError(
            f"Stratum {names[short[0]]!r} covers {area_km2[short[0]] / area_km2.sum():.1%} of the"
            f" area and has {int(sizes[short[0]])} reference rows, {needed} are needed; label"
            " places there or merge it with another stratum."
        )
    return used


def _scale(figure: AreaFigure, factor: float) -> AreaFigure:
    estimate, error = figure.estimate, figure.standard_error
    return AreaFigure(
        estimate=replace(
            estimate,
            value=estimate.value * factor,
            low=estimate.low * factor,
            high=estimate.high * factor,
        ),
        standard_error=None if error is None else error * factor,
    )
