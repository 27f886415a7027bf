"""How much better one model is than another on the same rows, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from geotransfer.accuracy.auc import resample_auc
from geotransfer.accuracy.intervals import draw_unit_counts
from geotransfer.core.estimate import Estimate

Float64 = NDArray[np.float64]
Integers = NDArray[np.int64]

N_RESAMPLES = 500
CONFLICT_INFLATION = 1.4
"""How much less certain than their bootstrap says held-out labels are when they contradict."""
CONFLICT = 1.645
"""Standard deviations from the rehearsals at which labels are believed to tell of another case."""


def measure_macro_auc(
    scores: Float64,
    targets: Integers,
    *,
    unit_counts: Float64 | None = None,
    units: Integers | None = None,
) -> Float64:
    """AUC of class scores: of the second of two classes, else the mean one-against-rest.

    Parameters
    ----------
    scores
        Shape (n_classes, n), or (1, n) for two classes.
    targets
        Shape (n,), index of each row's class.
    unit_counts, units
        Bootstrap: how often each unit is drawn (n_draws, n_units), unit of each row (n,).

    Returns
    -------
    Shape (n_draws,), one value without a bootstrap; NaN where one class only was drawn.
    """
    if unit_counts is None or units is None:
        unit_counts, units = np.ones((1, 1)), np.zeros(len(targets), dtype=np.int64)
    if len(scores) <= 2:
        return resample_auc(scores[-1], targets == 1, unit_counts, units)
    parts = [
        resample_auc(scores[k], targets == k, unit_counts, units)
        for k in range(len(scores))
        if 0 < (targets == k).sum() < len(targets)
    ]
    return np.asarray(np.mean(parts, axis=0)) if parts else np.full(len(unit_counts), np.nan)


def measure_gain(
    scores: Float64,
    reference_scores: Float64,
    targets: Integers,
    groups: Integers,
    *,
    seed: int,
    level: float = 0.95,
) -> tuple[Estimate, float]:
    """Paired AUC gain over a reference with a bootstrap over groups of neighbouring rows.

    Returns
    -------
    The gain with its interval, and the bootstrap's standard error.
    """
    _, units = np.unique(groups, return_inverse=True)
    rng = np.random.default_rng(seed)
    counts = draw_unit_counts(int(units.max()) + 1, N_RESAMPLES, rng)
    value = float(
        (measure_macro_auc(scores, targets) - measure_macro_auc(reference_scores, targets))[0]
    )
    draws = measure_macro_auc(scores, targets, unit_counts=counts, units=units) - measure_macro_auc(
        reference_scores, targets, unit_counts=counts, units=units
    )
    draws = draws[np.isfinite(draws)]
    # With few blocks a bootstrap is too sure; the usual correction widens it.
    n_units = counts.shape[1]
    error = float(draws.std() * np.sqrt(n_units / max(n_units - 1, 1))) if len(draws) > 1 else 1.0
    z = float(ndtri(0.5 + level / 2))
    return (
        Estimate(
            value=value,
            low=value - z * error,
            high=value + z * error,
            level=level,
            method="paired AUC, block bootstrap",
            n=len(targets),
        ),
        error,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GainPrior:
    """What the correction gained in rehearsals on blocks without labels, before any is seen."""

    n_labels: tuple[int, ...]
    """Numbers of labels rehearsed, rising."""
    means: tuple[float, ...]
    """Mean AUC gain at each."""
    deviation: float
    """Standard deviation of the true gain over regions and sets of labels."""
    holdout_error: float
    """Standard error of a gain measured on a few dozen held-out blocks."""
    error_inflation: float
    """How much less certain held-out labels are than their bootstrap says."""

    def interpolate(self, n_labels: int) -> float:
        """Mean gain for a number of labels, linear in its logarithm, flat beyond both ends."""
        return float(np.interp(np.log(max(n_labels, 1)), np.log(self.n_labels), self.means))


GP_PRIOR = GainPrior(
    n_labels=(10, 30, 50, 100, 200, 300, 1000),
    means=(0.005, 0.014, 0.023, 0.034, 0.049, 0.058, 0.075),
    deviation=0.016,
    holdout_error=0.024,
    error_inflation=2.5,
)
"""Rehearsed on three regions, 100 km blocks; how it was measured is in docs/decisions/0024."""


def predict_gain(
    observed: float, error: float, *, prior: GainPrior, n_labels: int, level: float = 0.90
) -> tuple[Estimate, float]:
    """Join rehearsals and the labels' own held-out blocks into the gain to expect elsewhere.

    The true gain has a normal prior from rehearsals; ``observed``, the paired gain on held-out
    labels, is known to ``error``; what new held-out blocks would show has their own error on top
    (Gelman et al. 2013, section 2.5). Where the labels disagree with the rehearsals by more than
    chance allows, this is not a region like those rehearsed, and the prior is widened to fit.

    Returns
    -------
    The expected gain with the interval that predicts what new blocks would show, and the
    probability that the true gain is above zero.
    """
    mean = prior.interpolate(n_labels)
    noise = max(prior.error_inflation * error, 1e-6)
    heard = max(CONFLICT_INFLATION * error, 1e-6)
    surprise = abs(observed - mean) / float(np.hypot(prior.deviation, heard))
    deviation = prior.deviation * max(1.0, surprise / CONFLICT)
    precision = 1 / deviation**2 + 1 / noise**2
    value = (mean / deviation**2 + observed / noise**2) / precision
    spread = precision**-0.5
    half = float(ndtri(0.5 + level / 2)) * float(np.hypot(spread, prior.holdout_error))
    estimate = Estimate(
        value=value,
        low=value - half,
        high=value + half,
        level=level,
        method="rehearsals joined with held-out blocks; predicts new blocks",
        n=n_labels,
    )
    return estimate, float(ndtr(value / spread))
