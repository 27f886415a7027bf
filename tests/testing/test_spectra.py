"""Simulated spectra: composites of the drawn courses land where the tables are."""

from __future__ import annotations

import numpy as np
import pytest

from geotransfer.core.spec import BANDS
from geotransfer.testing.spectra import (
    CLASS_SPREAD,
    NOISE_SHARE,
    Spectra,
    draw_spectra,
    mix_statistics,
    reflect_units,
    weigh_second_half,
)
from geotransfer.testing.statistics import COLUMNS, load_statistics

N_UNITS = 1500
FIRST_HALF = np.arange(1, 182, 3)
SECOND_HALF = np.arange(183, 366, 3)


@pytest.fixture(scope="module")
def spectra() -> Spectra:
    eastern = load_statistics()["eastern"]
    means, roots = mix_statistics([eastern], eastern, 1.0)
    return draw_spectra(np.random.default_rng(1), N_UNITS, means, roots)


def find_series(spectra: Spectra, code: int, days: np.ndarray) -> np.ndarray:
    classes = np.full(N_UNITS, code, np.uint8)
    return np.stack([reflect_units(spectra, classes, float(day)) for day in days])


@pytest.mark.parametrize("code", [0, 1])
@pytest.mark.parametrize(("season", "days"), [("S1", FIRST_HALF), ("S2", SECOND_HALF)])
def test_medians_land_near_the_real_ones(
    spectra: Spectra, code: int, season: str, days: np.ndarray
) -> None:
    statistics = load_statistics()["eastern"]
    log_median = np.log(np.median(find_series(spectra, code, days), axis=0))
    columns = [COLUMNS.index(f"{band}_{season}") for band in BANDS]
    mean = statistics.means[code, columns]
    spread = np.sqrt(np.diag(statistics.covariances[code]))[columns]
    assert np.abs((log_median.mean(axis=0) - mean) / spread).max() < 0.25
    ratio = log_median.std(axis=0) / (CLASS_SPREAD * spread)
    assert ratio.min() > 0.85
    assert ratio.max() < 1.15


@pytest.mark.parametrize("code", [0, 1])
def test_deviations_land_near_the_real_ones(spectra: Spectra, code: int) -> None:
    statistics = load_statistics()["eastern"]
    series = find_series(spectra, code, FIRST_HALF).astype(np.float64)
    # Scenes add noise in every direction; the drawn courses leave room for it.
    rng = np.random.default_rng(2)
    length = np.linalg.norm(series, axis=-1, keepdims=True)
    noise = NOISE_SHARE / np.sqrt(len(BANDS)) * rng.standard_normal(series.shape)
    series += length * noise
    median = np.median(series, axis=0)
    euclidean = np.median(np.linalg.norm(series - median, axis=-1), axis=0)
    cosine = 1 - (series * median).sum(-1) / (
        np.linalg.norm(series, axis=-1) * np.linalg.norm(median, axis=-1)
    )
    for name, raw in (("edev", euclidean), ("sdev", np.median(cosine, axis=0))):
        column = COLUMNS.index(f"{name}_S1")
        spread = np.sqrt(statistics.covariances[code, column, column])
        assert abs(-np.log(raw).mean() - statistics.means[code, column]) < 0.35 * spread


def test_reflectance_is_positive_and_continuous(spectra: Spectra) -> None:
    classes = np.arange(N_UNITS).astype(np.uint8) % 2
    days = np.arange(1.0, 366.0)
    year = np.stack([reflect_units(spectra, classes, day) for day in days])
    assert year.min() > 0
    assert year.max() <= 0.951
    daily = np.abs(np.diff(np.log(year), axis=0))
    # Also over New Year: the year is a circle.
    turn = np.abs(np.log(year[0]) - np.log(reflect_units(spectra, classes, 366.25)))
    assert np.quantile(daily, 0.999) < 0.12
    assert np.quantile(turn, 0.999) < 0.12


def test_half_years_weigh_where_they_are() -> None:
    assert weigh_second_half(91) < 0.01
    assert weigh_second_half(274) > 0.99
    assert weigh_second_half(181.5) == pytest.approx(0.5)


def test_shift_runs_from_the_sources_through_the_own_region() -> None:
    statistics = load_statistics()
    sources, own = [statistics["eastern"], statistics["sahel"]], statistics["western"]
    mixture, _ = mix_statistics(sources, own, 0.0)
    np.testing.assert_allclose(mixture, [s.means for s in sources])
    real, _ = mix_statistics(sources, own, 1.0)
    np.testing.assert_allclose(real, [own.means, own.means])
    further, _ = mix_statistics(sources, own, 1.5)
    centre = (sources[0].means + sources[1].means) / 2
    np.testing.assert_allclose(further[0] - own.means, 0.5 * (own.means - centre))


def test_a_class_change_shows(spectra: Spectra) -> None:
    before = reflect_units(spectra, np.zeros(N_UNITS, np.uint8), 100.0)
    after = reflect_units(spectra, np.ones(N_UNITS, np.uint8), 100.0)
    moved = np.linalg.norm(after - before, axis=1) / np.linalg.norm(before, axis=1)
    assert np.median(moved) > 0.15
