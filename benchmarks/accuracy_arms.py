"""Do the accuracy package's intervals hold what they say? Coverage and width, by simulation.

Everything here is simulated: a population of pixels with known truth, from which reference labels
are drawn by design. Thresholds, sample sizes and seeds were fixed before the first run.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from geotransfer.accuracy.area import AreaFigure, estimate_olofsson, estimate_stehman
from geotransfer.accuracy.matrix import count_matrix
from geotransfer.accuracy.ppi import PoweredShare, estimate_powered_share, summarize_map
from geotransfer.core.estimate import Estimate
from geotransfer.core.legend import CROPLAND

SEED = 0
SIDE_PX = 600
PREVALENCE = 0.4
RIGHT = 0.85
N_LABELS = (50, 100, 300)
N_HEADLINE = 100
"""Labels the figures rest on; the other sizes are printed as arms."""
N_DRAWS = 1000
N_DRAWS_QUICK = 250
COVERAGE = (0.93, 0.97)
WIDTH = 0.75


@dataclass(frozen=True)
class Population:
    """Pixels with known truth: truth, map, another map (the strata), probability; shape (n,)."""

    truth: NDArray[np.int64]
    mapped: NDArray[np.int64]
    stratum: NDArray[np.int64]
    probability: NDArray[np.float64]


def simulate_population(seed: int) -> Population:
    """Fields of crop on 40 % of the area; a map 85 % right in either class, its errors in patches.

    The strata of the second design are an older map, 75 % right.
    """
    rng = np.random.default_rng(seed)

    def draw_surface(smooth_px: float) -> NDArray[np.float64]:
        surface = gaussian_filter(rng.normal(size=(SIDE_PX, SIDE_PX)), smooth_px).ravel()
        return np.asarray(np.argsort(np.argsort(surface)) / surface.size, dtype=np.float64)

    truth = (draw_surface(6) < PREVALENCE).astype(np.int64)

    def draw_map(right: float) -> NDArray[np.int64]:
        errors = draw_surface(3)
        mapped = truth.copy()
        for code in (0, 1):
            of_class = truth == code
            wrong = errors > np.quantile(errors[of_class], right)
            mapped[of_class & wrong] = 1 - code
        return mapped

    # A calibrated probability whose class at 0.5 is about 85 % right.
    signal = rng.normal(size=truth.size) + np.where(truth == 1, 1.04, -1.04)
    probability = 1 / (1 + np.exp(-(2.08 * signal + np.log(PREVALENCE / (1 - PREVALENCE)))))
    return Population(
        truth=truth, mapped=draw_map(RIGHT), stratum=draw_map(0.75), probability=probability
    )


def measure_accuracy(quick: bool) -> dict[str, Any]:
    """Return the figures ``design_coverage`` and ``ppi_width`` with all arms.

    Parameters
    ----------
    quick
        Fewer draws: 250 in place of 1,000.
    """
    population = simulate_population(SEED)
    n_draws = N_DRAWS_QUICK if quick else N_DRAWS
    arms: dict[str, dict[str, float]] = {}
    for n in N_LABELS:
        arms |= _measure_designs(population, n, n_draws)
        arms |= _measure_powered(population, n, n_draws)
    shown = {
        name: arms[f"{name}, n={N_HEADLINE}"]["coverage"]
        for name in ("overall · small-sample", "area · small-sample", "ppi · class map")
    }
    worst = max(shown.values(), key=lambda share: abs(share - 0.95))
    width = arms[f"ppi · class map, n={N_HEADLINE}"]["width_over_labels_only"]
    listed = ", ".join(f"{name} {share:.3f}" for name, share in shown.items())
    return {
        "figures": [
            {
                "id": "design_coverage",
                "value": worst,
                "holds": COVERAGE[0] <= worst <= COVERAGE[1],
                "n": n_draws,
                "seed": SEED,
                "note": f"Simulated population, {N_HEADLINE} labels, nominal 0.95: {listed}.",
            },
            {
                "id": "ppi_width",
                "value": width,
                "holds": width <= WIDTH,
                "n": n_draws,
                "seed": SEED,
                "note": "Mean width over mean width of Wilson's interval from the labels alone;"
                f" class map (0/1), {RIGHT:.0%} right, prevalence {PREVALENCE},"
                f" {N_HEADLINE} labels drawn at random.",
            },
        ],
        "arms": arms,
    }


class _Tally:
    """Coverage and width of one arm."""

    def __init__(self) -> None:
        self.inside: list[bool] = []
        self.widths: list[float] = []
        self.labels_only: list[float] = []

    def add(self, low: float, high: float, truth: float, labels_only: float = np.nan) -> None:
        self.inside.append(low <= truth <= high)
        self.widths.append(high - low)
        self.labels_only.append(labels_only)

    def report(self) -> dict[str, float]:
        """Return coverage, mean width and, where known, its ratio to the labels alone."""
        found = {"coverage": float(np.mean(self.inside)), "width": float(np.mean(self.widths))}
        if np.isfinite(self.labels_only).all():
            found["width_over_labels_only"] = found["width"] / float(np.mean(self.labels_only))
        return found


def _measure_designs(population: Population, n: int, n_draws: int) -> dict[str, dict[str, float]]:
    truths = {
        "overall": float((population.truth == population.mapped).mean()),
        "area": float(population.truth.mean()),
    }
    tallies: dict[str, _Tally] = {}

    def tally(arm: str, truth: float, low: float, high: float) -> None:
        tallies.setdefault(f"{arm}, n={n}", _Tally()).add(low, high, truth)

    def tally_figures(design: str, overall: AreaFigure, area: AreaFigure, method: str) -> None:
        for name, figure in (("overall", overall), ("area", area)):
            estimate = figure.estimate
            tally(f"{name} · {design}{method}", truths[name], estimate.low, estimate.high)
            if method == "small-sample" and figure.standard_error is not None:
                half = 1.96 * figure.standard_error
                value = estimate.value
                tally(f"{name} · {design}wald", truths[name], value - half, value + half)

    for seed, rows in _draw_stratified(population.mapped, n, n_draws):
        truth, mapped = population.truth[rows], population.mapped[rows]
        matrix = count_matrix(mapped, truth, CROPLAND)
        areas = np.bincount(population.mapped).astype(float).tolist()
        for interval in ("small-sample", "bootstrap"):
            found = estimate_olofsson(
                matrix, areas, is_probability_sample=True, seed=seed, interval=interval
            )
            tally_figures("", found.overall, found.shares[1], interval)
    stratum_areas = dict(enumerate(np.bincount(population.stratum).astype(float).tolist()))
    for seed, rows in _draw_stratified(population.stratum, n, n_draws):
        found = estimate_stehman(
            population.stratum[rows],
            population.mapped[rows],
            population.truth[rows],
            CROPLAND,
            stratum_areas,
            is_probability_sample=True,
            seed=seed,
        )
        tally_figures("other strata, ", found.overall, found.shares[1], "small-sample")
    return {arm: tally_.report() for arm, tally_ in tallies.items()}


def _draw_stratified(
    strata: NDArray[np.int64], n: int, n_draws: int
) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Yield seed and rows of samples with half of the labels in each of two strata."""
    members = [np.flatnonzero(strata == code) for code in (0, 1)]
    for seed in range(n_draws):
        rng = np.random.default_rng((SEED, 1, n, seed))
        yield seed, np.concatenate([rng.choice(rows, n // 2, replace=False) for rows in members])


def _measure_powered(population: Population, n: int, n_draws: int) -> dict[str, dict[str, float]]:
    truth = float(population.truth.mean())
    maps: dict[str, NDArray[np.float64]] = {
        "class map": population.mapped.astype(np.float64),
        "probability map": population.probability,
    }
    tallies = {name: _Tally() for name in ("labels only", *maps)}
    summaries = {name: summarize_map(values) for name, values in maps.items()}

    def width(estimate: Estimate) -> float:
        return estimate.high - estimate.low

    for seed in range(n_draws):
        rng = np.random.default_rng((SEED, 2, n, seed))
        rows = rng.choice(len(population.truth), n, replace=False)
        for name, values in maps.items():
            found: PoweredShare = estimate_powered_share(
                population.truth[rows],
                values[rows],
                summaries[name],
                total_km2=1.0,
                is_probability_sample=True,
            )
            plain = found.labels_only
            tallies[name].add(found.share.low, found.share.high, truth, width(plain))
            if name == "class map":
                tallies["labels only"].add(plain.low, plain.high, truth, width(plain))
    return {f"ppi · {name}, n={n}": tally.report() for name, tally in tallies.items()}


def main(show: Callable[[str], None] = print) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Coverage and width of the accuracy intervals.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="fewer draws, within a minute")
    options = parser.parse_args()
    found = measure_accuracy(options.quick)
    if options.json:
        show(json.dumps(found))
        return
    for figure in found["figures"]:
        mark = "holds" if figure["holds"] else "does not hold"
        show(f"{figure['id']}: {figure['value']:.3f} {mark}. {figure['note']}")
    for arm, report in found["arms"].items():
        show(f"  {arm}: " + ", ".join(f"{name} {value:.3f}" for name, value in report.items()))


if __name__ == "__main__":
    main()
