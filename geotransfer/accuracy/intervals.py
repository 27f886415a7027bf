"""Confidence intervals for shares: exact where they can be, honest with ten rows, never empty."""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv, ndtr, ndtri, stdtrit

from geotransfer.core.estimate import Estimate
from geotransfer.errors import InputError

Floats = NDArray[np.float64]

N_DRAWS = 1000
"""Resamples per interval: the end points of a 95 % interval then rest on 25 draws each."""


def check_level(level: float) -> float:
    """Return ``level`` if it is a confidence level between 0 and 1; else raise ``InputError``."""
    if not 0 < level < 1:
        raise InputError(f"level {level} is not between 0 and 1; give 0.95 for a 95 % interval.")
    return level


def find_quantile(level: float) -> float:
    """Return the two-sided standard normal quantile: 1.96 for ``level`` 0.95."""
    return float(ndtri(0.5 + check_level(level) / 2))


def unknown_share(level: float, *, reason: str) -> Estimate:
    """Return the figure of a share no row speaks about: 0.5 in the interval 0–1, ``n`` = 0.

    A share such as the producer's accuracy of a class that has no reference row is neither 0 nor
    1 nor NaN: nothing is known. Pages test ``n == 0``; ``method`` carries the reason.
    """
    return Estimate(value=0.5, low=0.0, high=1.0, level=level, method=reason, n=0)


def bound_wilson(n_success: ArrayLike, n: ArrayLike, level: float = 0.95) -> tuple[Floats, Floats]:
    """Return the ends of Wilson's score interval, element by element; 0–1 where ``n`` is 0.

    Counts may be fractional (an effective sample size). Wilson 1927, doi
    10.1080/01621459.1927.10502953.
    """
    k, total = np.broadcast_arrays(np.asarray(n_success, float), np.asarray(n, float))
    z2 = find_quantile(level) ** 2
    centre = (k + z2 / 2) / (total + z2)
    known = np.maximum(total, 1e-300)
    half = np.sqrt(z2 * (np.maximum(k * (total - k), 0) / known + z2 / 4)) / (total + z2)
    # Rounding must not leave the ends a hair inside 0, 1 or the observed share.
    low = np.where(k <= 0, 0.0, np.maximum(centre - half, 0.0))
    high = np.where(k >= total, 1.0, np.minimum(centre + half, 1.0))
    return low, high


def estimate_wilson(n_success: int, n: int, level: float = 0.95) -> Estimate:
    """Return a share of independent rows with Wilson's score interval."""
    if n == 0:
        return unknown_share(check_level(level), reason="no-rows")
    low, high = bound_wilson(n_success, n, level)
    return Estimate(
        value=n_success / n, low=float(low), high=float(high), level=level, method="wilson", n=n
    )


def bound_clopper_pearson(
    n_success: ArrayLike, n: ArrayLike, level: float = 0.95
) -> tuple[Floats, Floats]:
    """Return the ends of the exact interval, whose coverage never falls below ``level``.

    Each end alone is a one-sided bound at 1 − (1 − level)/2. Clopper and Pearson 1934, doi
    10.1093/biomet/26.4.404.
    """
    k, total = np.broadcast_arrays(np.asarray(n_success, float), np.asarray(n, float))
    tail = (1 - check_level(level)) / 2
    inside_low, inside_high = k > 0, k < total
    low = np.zeros(k.shape)
    high = np.ones(k.shape)
    low[inside_low] = betaincinv(k[inside_low], (total - k + 1)[inside_low], tail)
    high[inside_high] = betaincinv((k + 1)[inside_high], (total - k)[inside_high], 1 - tail)
    return low, high


def estimate_clopper_pearson(n_success: int, n: int, level: float = 0.95) -> Estimate:
    """Return a share of independent rows with the exact interval of Clopper and Pearson."""
    if n == 0:
        return unknown_share(check_level(level), reason="no-rows")
    low, high = bound_clopper_pearson(n_success, n, level)
    return Estimate(
        value=n_success / n,
        low=float(low),
        high=float(high),
        level=level,
        method="clopper-pearson",
        n=n,
    )


def bound_sum(weights: Floats, values: Floats, lows: Floats, highs: Floats) -> tuple[float, float]:
    """Return the ends for Σ weight · share of independent shares, from the shares' own intervals.

    Each side adds its squared distances, so that the result is as asymmetric as the parts and not
    empty where every share is 1. Weights are positive and add up to 1. Zou and Donner 2008, doi
    10.1002/sim.3095.
    """
    centre = float(weights @ values)
    low = centre - sqrt(float(((weights * (values - lows)) ** 2).sum()))
    high = centre + sqrt(float(((weights * (highs - values)) ** 2).sum()))
    return max(low, 0.0), min(high, 1.0)


def bound_draws(draws: Floats, level: float, *, n_units: int | None = None) -> tuple[float, float]:
    """Return the percentile ends of resampled figures; draws that are NaN are left out.

    ``n_units``, the number of independent units resampled (spatial blocks), widens the percentiles
    as a t interval is wider than a normal one: with few units plain percentiles fall short.
    Hesterberg 2015, doi 10.1080/00031305.2015.1089789. Without a defined draw: 0–1.
    """
    draws = draws[np.isfinite(draws)]
    tail = (1 - check_level(level)) / 2
    if n_units is not None:
        if n_units < 2:
            return 0.0, 1.0
        tail = float(ndtr(sqrt(n_units / (n_units - 1)) * stdtrit(n_units - 1, tail)))
    if not len(draws):
        return 0.0, 1.0
    low, high = np.quantile(draws, (tail, 1 - tail))
    return float(low), float(high)


def draw_unit_counts(n_units: int, n_draws: int, rng: np.random.Generator) -> Floats:
    """Return how often each unit is drawn in each bootstrap resample, ``(n_draws, n_units)``."""
    drawn = rng.integers(0, n_units, size=(n_draws, n_units))
    drawn += np.arange(n_draws)[:, None] * n_units
    counts = np.bincount(drawn.ravel(), minlength=n_draws * n_units)
    return counts.reshape(n_draws, n_units).astype(np.float64)


def draw_dirichlet(
    counts: Floats, prior: Floats, *, n_draws: int, rng: np.random.Generator
) -> Floats:
    """Return draws of the shares behind each stratum's counts, ``(n_draws, n_strata, n_cells)``.

    A stratum's shares, given its counts, follow a Dirichlet distribution of counts + prior (for
    two cells a Beta). A prior of 0 marks a cell that cannot occur; 1 over the number of possible
    cells each is a good choice for all figures at once (Berger, Bernardo and Sun 2015, doi
    10.1214/14-BA915). Cells never seen keep a chance, so that no interval is empty.
    """
    draws = rng.standard_gamma(counts + prior, size=(n_draws, *counts.shape))
    return np.asarray(draws / draws.sum(axis=-1, keepdims=True))


def resample_strata(counts: Floats, *, n_draws: int, rng: np.random.Generator) -> Floats:
    """Return bootstrap shares within strata, ``(n_draws, n_strata, n_cells)``.

    Each stratum draws one row less than it has: resamples of full size would vary too little, by
    (n − 1)/n. Strata need two rows. Rao and Wu 1988, doi 10.1080/01621459.1988.10478591.
    """
    sizes = counts.sum(axis=-1)
    shares = counts / sizes[:, None]
    n_drawn = np.rint(sizes - 1).astype(np.int64)
    draws = rng.multinomial(n_drawn, shares, size=(n_draws, len(counts)))
    return np.asarray(draws / n_drawn[:, None])
