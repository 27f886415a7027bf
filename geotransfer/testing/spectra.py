"""Simulated spectra: what each unit of land reflects on each day of the year."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geotransfer.core.spec import BANDS
from geotransfer.testing.statistics import (
    COLUMNS,
    RegionStatistics,
    factor_covariance,
)

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

_N_BANDS = len(BANDS)
_FIRST, _SECOND = ([COLUMNS.index(f"{band}_{season}") for band in BANDS] for season in ("S1", "S2"))

GREEN_UP = np.array([-0.5, -0.1, -0.9, 0.8, -0.35, -0.6, -0.2, 0.5, 0.7])
"""Direction of ln(reflectance) as vegetation grows: red and SWIR fall, NIR rises."""

NOISE_SHARE = 0.035
"""Part of the drawn MADs that scene noise already makes, relative to the spectrum's length."""
CLASS_SPREAD = 0.85
"""Draws spread this much less than the samples. One Gaussian a class separates the classes less
well than the samples' real, many-peaked distribution does; this makes up for it."""
AMPLITUDE = 1.1
"""Blending between half-years and few dates lower MADs by about a tenth; this gives it back."""
PHASE_SPREAD_DAYS = 15
_SINE_MEDIAN = np.sqrt(0.5)
"""Median of |sin| over whole periods."""
_LOG_LIMITS = np.log([0.004, 0.95])


@dataclass(frozen=True, eq=False, kw_only=True)
class Spectra:
    """Yearly course of every unit's spectrum, under each class it may have.

    Attributes
    ----------
    log_levels
        ln(reflectance) in the middle of each half-year, (class, half-year, unit, band).
    brightness
        Amplitude of what moves all bands alike, in ln(reflectance), (class, half-year, unit).
    growth
        Amplitude along ``directions``, (class, half-year, unit).
    directions
        Movement in ln(reflectance) that keeps the spectrum's length, (class, half-year, unit,
        band); an amplitude of 1 moves the spectrum by its own length.
    phases
        Day of the year at which growth begins, and that of the brightness cycle, (class, 2, unit).
    """

    log_levels: Float64
    brightness: Float64
    growth: Float64
    directions: Float64
    phases: Float64


def mix_statistics(
    sources: Sequence[RegionStatistics], own: RegionStatistics, shift: float
) -> tuple[Float64, Float64]:
    """Return means and covariance roots of a region that lies ``shift`` away from its sources.

    Parameters
    ----------
    sources
        Real regions the world's source regions are drawn from.
    shift
        0: the region is a mixture of the sources; 1: it is as its own real region; beyond 1 its
        class means move on along the same line.

    Returns
    -------
    Means (source, class, column) and roots (source, class, column, column).
    """
    means = np.stack([s.means for s in sources])
    covariances = np.stack([s.covariances for s in sources])
    within = min(shift, 1.0)
    beyond = max(shift - 1.0, 0.0)
    mixed_means = (1 - within) * means + within * own.means
    mixed_means = mixed_means + beyond * (own.means - means.mean(axis=0))
    mixed = (1 - within) * covariances + within * own.covariances
    roots = CLASS_SPREAD * np.stack(
        [[factor_covariance(c) for c in per_class] for per_class in mixed]
    )
    return mixed_means, roots


def draw_spectra(rng: np.random.Generator, n_units: int, means: Float64, roots: Float64) -> Spectra:
    """Draw each unit's yearly course so that its composites lie near a draw from the tables.

    Each unit follows one of the sources, chosen evenly. The half-year levels become the geometric
    medians; the drawn Euclidean and cosine MADs are split into movement along the spectrum
    (brightness) and across it (growth): a cosine distance s is an angle of √(2s).
    """
    source = rng.integers(len(means), size=n_units)
    n_classes = means.shape[1]
    normal = np.clip(rng.standard_normal((n_classes, n_units, len(COLUMNS))), -3, 3)
    # Each class is drawn anew: land that changes class looks different, not only by its mean.
    drawn = np.stack(
        [_draw_class(means[:, c], roots[:, c], source, normal[c]) for c in range(n_classes)]
    )
    levels = np.stack([drawn[:, :, _FIRST], drawn[:, :, _SECOND]], axis=1)
    log_levels = np.clip(levels, *_LOG_LIMITS)
    spectrum = np.exp(log_levels)
    length = np.linalg.norm(spectrum, axis=-1)

    def find_mad(name: str) -> Float64:
        columns = [COLUMNS.index(f"{name}_{season}") for season in ("S1", "S2")]
        return np.asarray(np.exp(-drawn[:, :, columns]).transpose(0, 2, 1))

    relative = np.clip(AMPLITUDE * find_mad("edev") / length, 0.02, 0.5)
    across = np.minimum(AMPLITUDE * np.sqrt(2 * find_mad("sdev")), 0.95 * relative)
    along = np.sqrt(relative**2 - across**2)
    growth = np.sqrt(np.maximum(across**2 - NOISE_SHARE**2 / 2, 0.005**2))
    brightness = np.sqrt(np.maximum(along**2 - NOISE_SHARE**2 / 2, 0.005**2))

    direction = GREEN_UP + 0.25 * rng.standard_normal((1, 1, n_units, _N_BANDS))
    energy = spectrum**2
    # Taking out the mean (weighted by energy) leaves what is across the spectrum.
    direction = direction - (energy * direction).sum(-1, keepdims=True) / energy.sum(
        -1, keepdims=True
    )
    moved = np.linalg.norm(spectrum * direction, axis=-1)
    direction *= (length / moved)[..., np.newaxis]

    common = rng.uniform(0, 365.25, (n_classes, 2, 1))
    phases = common + rng.normal(0, PHASE_SPREAD_DAYS, (n_classes, 2, n_units))
    return Spectra(
        log_levels=log_levels,
        brightness=brightness,
        growth=growth,
        directions=direction,
        phases=phases,
    )


def _draw_class(
    means: Float64, roots: Float64, source: NDArray[np.int64], normal: Float64
) -> Float64:
    """Return draws (unit, column) from the source each unit follows."""
    drawn = np.empty_like(normal)
    for i, (mean, root) in enumerate(zip(means, roots, strict=True)):
        follows = source == i
        drawn[follows] = mean + normal[follows] @ root.T
    return drawn


def weigh_second_half(day_of_year: float) -> float:
    """Return the weight of July–December, 0–1; it changes within about two weeks of each turn."""
    angle = 2 * np.pi * (day_of_year - 181.5) / 365.25
    return float(0.5 + 0.5 * np.tanh(5 * np.sin(angle)))


def reflect_units(spectra: Spectra, classes: NDArray[np.uint8], day_of_year: float) -> Float32:
    """Return each unit's reflectance on a day, (unit, band); ``classes`` is its class then."""
    unit = np.arange(len(classes))
    late = weigh_second_half(day_of_year)

    def blend(values: Float64) -> Float64:
        return np.asarray((1 - late) * values[classes, 0, unit] + late * values[classes, 1, unit])

    def cycle(which: int, per_year: int) -> Float64:
        turns = per_year * (day_of_year - spectra.phases[classes, which, unit]) / 365.25
        return np.asarray(np.sin(2 * np.pi * turns) / _SINE_MEDIAN)

    # Whole periods in a half-year: the median of each cycle is zero, that of its size is one.
    grown = blend(spectra.growth) * cycle(0, 2)
    brighter = blend(spectra.brightness) * cycle(1, 4)
    log_reflectance = blend(spectra.log_levels) + brighter[:, np.newaxis]
    log_reflectance += np.clip(grown[:, np.newaxis] * blend(spectra.directions), -1.2, 1.2)
    return np.exp(np.clip(log_reflectance, *_LOG_LIMITS)).astype(np.float32)
