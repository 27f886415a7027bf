"""The robustness index: do neighbours in feature space share class, or region?

After PathoROB (Kömen et al. 2025, arXiv:2507.17845), with regions in the place of medical centres.
1: neighbours share the class whatever their region; 0: features cluster by region, and what was
learnt in one region is not near in another.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from geotransfer.accuracy.intervals import bound_draws, draw_unit_counts
from geotransfer.core.estimate import Estimate
from geotransfer.errors import TableInvalid

Float64 = NDArray[np.float64]

N_NEIGHBORS = 10
"""Neighbours looked at; 5 and 25 gave the same order of the six African regions."""
MAX_ROWS = 150
"""Rows drawn from each class and region of a pair, at most."""
N_RESAMPLES = 400
"""Bootstrap resamples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRobustness:
    """The index between two regions: which regions are entangled, which apart."""

    region_a: str
    region_b: str
    index: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Robustness:
    """The index over all pairs of regions, and each pair's."""

    index: Estimate
    """Mean over pairs; the interval resamples rows, not regions."""
    pairs: tuple[PairRobustness, ...]
    """Pairs of regions that have two classes in common, in alphabetical order."""


def measure_robustness(
    points: NDArray[np.floating],
    classes: NDArray[np.integer],
    regions: NDArray[np.str_],
    *,
    blocks: NDArray[np.integer] | None = None,
    n_neighbors: int = N_NEIGHBORS,
    max_rows: int = MAX_ROWS,
    level: float = 0.95,
    seed: int = 0,
) -> Robustness:
    """Measure the robustness index of labelled rows.

    For each pair of regions and each pair of classes, the same number of rows is drawn from the
    four combinations, so that neither prevalence nor sample size decides. Among the nearest
    neighbours, SO counts those of the same class and other region, OS those of the other class and
    same region; the index is ΣSO / (ΣSO + ΣOS).

    Parameters
    ----------
    points
        ``(n, a)``: features, weighted as distances should be (``list_points``).
    classes, regions
        ``(n,)``.
    blocks
        ``(n,)``: rows of one block (field, cell) are not counted as each other's neighbours.
    max_rows
        Rows drawn from each combination, at most.

    Raises
    ------
    TableInvalid
        No two regions have two classes in common, with two rows each.
    """
    rng = np.random.default_rng(seed)
    pairs = []
    draws = []
    for region_a, region_b in combinations(sorted(set(regions.tolist())), 2):
        found = [
            _count_quad(points, classes, regions, blocks, quad, n_neighbors, rng)
            for quad in _draw_quads(classes, regions, (region_a, region_b), max_rows, rng)
        ]
        if not found:
            continue
        values = np.array([_divide(so.sum(), os.sum()) for so, os in found])
        resampled = np.mean([_resample_index(so, os, rng) for so, os in found], axis=0)
        low, high = bound_draws(resampled, level)
        n = sum(len(so) for so, _ in found)
        estimate = Estimate(
            value=float(values.mean()),
            low=low, high=high, level=level, method="row-bootstrap", n=n,
        )  # fmt: skip
        pairs.append(PairRobustness(region_a=region_a, region_b=region_b, index=estimate))
        draws.append(resampled)
    if not pairs:
        raise TableInvalid(
            "no two regions have two classes in common, so the robustness index is not defined;"
            " give labelled rows of at least two regions."
        )
    low, high = bound_draws(np.mean(draws, axis=0), level)
    return Robustness(
        index=Estimate(
            value=float(np.mean([pair.index.value for pair in pairs])),
            low=low,
            high=high,
            level=level,
            method="row-bootstrap",
            n=sum(pair.index.n for pair in pairs),
        ),
        pairs=tuple(pairs),
    )


def _draw_quads(
    classes: NDArray[np.integer],
    regions: NDArray[np.str_],
    pair: tuple[str, str],
    max_rows: int,
    rng: np.random.Generator,
) -> list[NDArray[np.int64]]:
    """Return rows, equally many of each of two regions × two classes, for all pairs of classes."""
    quads = []
    for two in combinations(sorted(set(classes.tolist())), 2):
        cells = [
            np.flatnonzero((regions == region) & (classes == label))
            for region in pair
            for label in two
        ]
        n_rows = min(max_rows, *(len(cell) for cell in cells))
        if n_rows >= 2:
            quads.append(
                np.concatenate([rng.choice(cell, n_rows, replace=False) for cell in cells])
            )
    return quads


def _count_quad(
    points: NDArray[np.floating],
    classes: NDArray[np.integer],
    regions: NDArray[np.str_],
    blocks: NDArray[np.integer] | None,
    rows: NDArray[np.int64],
    n_neighbors: int,
    rng: np.random.Generator,
) -> tuple[Float64, Float64]:
    """Count SO and OS among each row's neighbours."""
    # Equal distances (duplicate rows) must not favour whoever was listed first.
    rows = rng.permutation(rows)
    distances = cdist(points[rows], points[rows])
    np.fill_diagonal(distances, np.inf)
    if blocks is not None:
        distances[blocks[rows][:, np.newaxis] == blocks[rows]] = np.inf
    near = np.argsort(distances, axis=1, kind="stable")[:, :n_neighbors]
    is_allowed = np.isfinite(np.take_along_axis(distances, near, axis=1))
    same_class = classes[rows][near] == classes[rows][:, np.newaxis]
    same_region = regions[rows][near] == regions[rows][:, np.newaxis]
    so = (same_class & ~same_region & is_allowed).sum(axis=1)
    os = (~same_class & same_region & is_allowed).sum(axis=1)
    return so.astype(np.float64), os.astype(np.float64)


def _divide(so: float, os: float) -> float:
    """Return the index; without a telling neighbour neither class nor region wins: one half."""
    return so / (so + os) if so + os > 0 else 0.5


def _resample_index(so: Float64, os: Float64, rng: np.random.Generator) -> Float64:
    counts = draw_unit_counts(len(so), N_RESAMPLES, rng)
    tops, rests = counts @ so, counts @ os
    both = tops + rests
    index: Float64 = np.divide(tops, both, out=np.full(N_RESAMPLES, 0.5), where=both > 0)
    return index
