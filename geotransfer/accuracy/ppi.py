"""Prediction-powered area: few labels and a whole map give a narrower interval than labels alone.

θ = λ·mean_map(f) + mean_labels(Y − λ f): the map says how much, labels correct it. Unbiased
whatever the map's quality; λ is tuned so that a useless map costs nothing. Angelopoulos et al. 2023
(PPI++), arXiv 2311.01453; in survey sampling the difference (λ = 1) and regression estimators.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geotransfer.accuracy.intervals import Floats, bound_wilson, check_level
from geotransfer.core.estimate import Estimate
from geotransfer.errors import InputError, TableInvalid

_PRIOR_ROWS = 2
"""Rows' worth of a map that says nothing, added to the spread. With few labels and a good map no
label may contradict it, and the observed spread would be 0 (as in Agresti and Coull 1998)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapSummary:
    """What the whole map says about one class: moments of its probability, or of 0 and 1."""

    n: int
    """Pixels with an answer."""
    mean: float
    variance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PoweredShare:
    """Share of the area that truly is the class, from labels and map together."""

    share: Estimate
    standard_error: float
    area_km2: Estimate
    labels_only: Estimate
    """The share from the same labels without the map."""
    power: float
    """λ, 0–1: how far the map was trusted."""
    is_indicative: bool
    """True where labels are no probability sample."""


def summarize_map(values: ArrayLike) -> MapSummary:
    """Return the summary of a map's values, any shape; NaN (no answer) is left out."""
    known = np.asarray(values, dtype=np.float64).ravel()
    known = known[~np.isnan(known)]
    if not len(known):
        raise InputError("The map has no pixel with an answer; compute it before its area.")
    return MapSummary(n=len(known), mean=float(known.mean()), variance=float(known.var()))


def estimate_powered_share(
    reference: ArrayLike,
    predicted: ArrayLike,
    whole_map: MapSummary,
    *,
    total_km2: float,
    is_probability_sample: bool,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    level: float = 0.95,
) -> PoweredShare:
    """Return the share and area of a class from labelled places and the whole map.

    The interval is Wilson's at the effective number of labels (decision 0006 has its measured
    coverage). It falls short where a good map meets few labels of a rare class: nominal 95 % held
    in 84 % of cases with 30 labels, 88 % with 100, of a class on 5 % of the area. Place labels by
    map class there and use ``estimate_olofsson``.

    Parameters
    ----------
    reference
        Whether each label is the class, 0/1 or bool, shape ``(n,)``.
    predicted
        What the map says at each label, shape ``(n,)``, in the map's own values (probability 0–1,
        or 0/1). From a model that has not seen these labels, or their out-of-fold predictions.
    whole_map
        Summary of the map the predictions belong to.
    total_km2
        Area of the map.
    is_probability_sample
        Whether places were drawn with known chances. If not, the figures are marked indicative.
    weights
        Area each label stands for, proportional to 1/(its chance to be drawn), shape ``(n,)``;
        None where all chances were equal.
    strata
        Stratum of each label, where places were drawn within strata, shape ``(n,)``.

    Raises
    ------
    TableInvalid
        Unequal lengths, or values that are no labels, shares or weights.
    InputError
        Fewer than three labels, or a stratum with a single one.
    """
    check_level(level)
    truth = _check_column(reference, None, "reference")
    n = len(truth)
    said = _check_column(predicted, n, "predicted")
    weight = np.ones(n) if weights is None else _check_column(weights, n, "weights")
    if not np.isin(truth, (0.0, 1.0)).all():
        raise TableInvalid("reference must be 0 or 1; give whether each label is the class.")
    if weight.min(initial=1) <= 0:
        raise TableInvalid("weights must be above 0; give the area each label stands for.")
    if n < 3:
        raise InputError(f"{n} labels cannot give an area; label at least three places.")
    strata_of = np.zeros(n, np.intp) if strata is None else _index_strata(strata, n)
    weight = weight / weight.sum()

    def covary(a: Floats, b: Floats) -> float:
        return _covary(weight * (a - weight @ a), weight * (b - weight @ b), strata_of)

    map_variance = whole_map.variance / whole_map.n
    spread = covary(said, said) + map_variance
    n_free = n - int(strata_of.max()) - 1
    is_tunable = spread > 0 and n_free > 1
    power = float(np.clip(covary(truth, said) / spread, 0, 1)) if is_tunable else 0.0

    # Labels of equal weight that would say as much (Kish).
    n_even = 1 / float(weight @ weight)

    def estimate(factor: float, method: str) -> tuple[Estimate, float]:
        rest = truth - factor * said
        value = float(np.clip(np.round(factor * whole_map.mean + weight @ rest, 12), 0, 1))
        hedged = (value * n_even + 1) / (n_even + 2)
        variance = max(covary(rest, rest), 0.0)
        if factor:
            # Tuning λ on the same labels makes the rest look smaller than it is.
            variance *= n_free / (n_free - 1)
            variance += _PRIOR_ROWS * hedged * (1 - hedged) / n_even**2
            variance += factor**2 * map_variance
        # Labels that all agree show no spread: they then count as they are.
        n_effective = hedged * (1 - hedged) / variance if variance > 1e-12 else n_even
        low, high = bound_wilson(value * n_effective, n_effective, level)
        interval = Estimate(
            value=value,
            low=min(float(low), value),
            high=max(float(high), value),
            level=level,
            method=method if is_probability_sample else f"indicative {method}",
            n=n,
        )
        return interval, float(np.sqrt(variance))

    share, error = estimate(power, "ppi++" if power else "effective-wilson")
    labels_only, _ = estimate(0.0, "effective-wilson")
    return PoweredShare(
        share=share,
        standard_error=error,
        area_km2=replace(
            share,
            value=share.value * total_km2,
            low=share.low * total_km2,
            high=share.high * total_km2,
        ),
        labels_only=labels_only,
        power=power,
        is_indicative=not is_probability_sample,
    )


def _check_column(values: ArrayLike, n: int | None, name: str) -> Floats:
    column = np.asarray(values, dtype=np.float64)
    if column.ndim != 1 or (n is not None and len(column) != n):
        raise TableInvalid(f"{name} has shape {column.shape}; give one value a label.")
    if not np.isfinite(column).all():
        row = int(np.flatnonzero(~np.isfinite(column))[0])
        raise TableInvalid(f"{name}: row {row} is not finite; leave out labels without an answer.")
    return column


def _index_strata(strata: ArrayLike, n: int) -> NDArray[np.intp]:
    names, index = np.unique(np.asarray(strata), return_inverse=True)
    if len(index) != n:
        raise TableInvalid(f"strata has {len(index)} rows, reference {n}; give one of each a row.")
    single = np.flatnonzero(np.bincount(index) < 2)
    if len(single):
        raise InputError(
            f"Stratum {str(names[single[0]])!r} has a single label; add one or merge strata."
        )
    return index.astype(np.intp)


def _covary(a: Floats, b: Floats, strata: NDArray[np.intp]) -> float:
    """Return the covariance of two sums of independent rows, within strata."""
    sizes = np.bincount(strata)
    products = np.bincount(strata, a * b) - np.bincount(strata, a) * np.bincount(strata, b) / sizes
    return float((products * sizes / (sizes - 1)).sum())
