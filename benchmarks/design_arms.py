"""Design-based intervals on a simulated population: how often they cover, how wide they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from geotransfer.accuracy.area import estimate_olofsson
from geotransfer.accuracy.matrix import count_matrix
from geotransfer.accuracy.ppi import estimate_powered_share, summarize_map
from geotransfer.core.legend import CROPLAND

N_PIXELS = 200_000
PREVALENCE = 0.4
MAP_ACCURACY = 0.85
N_LABELS = 100


def measure_design(n_draws: int) -> dict[str, Any]:
    """Coverage of nominal 95 % intervals and the width PPI++ saves; seed 0."""
    rng = np.random.default_rng(0)
    truth = (rng.random(N_PIXELS) < PREVALENCE).astype(np.int64)
    mapped = np.where(rng.random(N_PIXELS) < MAP_ACCURACY, truth, 1 - truth)
    accuracy, share = float((truth == mapped).mean()), float(truth.mean())
    mapped_km2 = np.bincount(mapped, minlength=2) / N_PIXELS * 1000
    whole_map = summarize_map(mapped)
    hits: dict[str, list[bool]] = {"overall": [], "area": [], "ppi": []}
    ratios = []
    strata = [np.flatnonzero(mapped == k) for k in (0, 1)]
    for draw in range(n_draws):
        rows = np.concatenate(
            [rng.choice(stratum, N_LABELS // 2, replace=False) for stratum in strata]
        )
        olofsson = estimate_olofsson(
            count_matrix(mapped[rows], truth[rows], CROPLAND),
            mapped_km2.tolist(),
            is_probability_sample=True,
            seed=draw,
        )
        overall, area = olofsson.overall.estimate, olofsson.areas_km2[1].estimate
        hits["overall"].append(overall.low <= accuracy <= overall.high)
        hits["area"].append(area.low <= share * 1000 <= area.high)
        simple = rng.choice(N_PIXELS, N_LABELS, replace=False)
        powered = estimate_powered_share(
            truth[simple], mapped[simple], whole_map, total_km2=1000, is_probability_sample=True
        )
        hits["ppi"].append(powered.share.low <= share <= powered.share.high)
        ratios.append(
            (powered.share.high - powered.share.low)
            / (powered.labels_only.high - powered.labels_only.low)
        )
    coverage = {name: float(np.mean(values)) for name, values in hits.items()}
    worst = max(coverage.values(), key=lambda value: abs(value - 0.95))
    return {
        "coverage": coverage,
        "worst": worst,
        "ppi_width": float(np.mean(ratios)),
        "n": n_draws,
    }
