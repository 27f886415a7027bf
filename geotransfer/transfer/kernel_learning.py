"""Length scales of the correction, learned on source regions.

A source region whose samples have positions is practised on as if it were a target: a global score
that never saw it, a few labels, rows held out by block and by cell. The kernel that serves these
best goes into the model; the region the model will be used in takes no part.

Amplitudes are fixed: learned on two regions they serve the third no better and harm more often.
Marginal likelihood lost too (docs/decisions/0023): it asks how well labels explain each other where
labels are, not how well they speak of places without.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geotransfer.accuracy.folds import assign_blocks
from geotransfer.transfer.gain import measure_macro_auc
from geotransfer.transfer.gaussian_process import (
    Kernel,
    balance_classes,
    evaluate_kernel,
    fit_correction,
)

Float64 = NDArray[np.float64]
Integers = NDArray[np.int64]

KERNEL = Kernel(features=0.5, position=0.5, product=1.0, near=4.0)
"""Where learning starts, and what is used where no source region has positions."""

GRID: dict[str, tuple[float, ...]] = {
    "position_km": (35.0, 50.0, 70.0, 100.0, 140.0, 200.0),
    "feature_length": (2.5, 3.5, 5.0, 7.0, 10.0),
}
"""Lengths tried, one after the other."""
SITUATIONS = ((5.0, 100), (5.0, 200), (100.0, 50), (100.0, 100), (100.0, 200))
"""Side of the squares held out in km, and number of labels."""
N_DRAWS = 4
MAX_HELD = 800
"""Held-out rows scored a draw."""
MIN_STEP = 2e-3
"""A smaller gain is noise and moves nothing."""
MAX_ROUNDS = 3


@dataclass(frozen=True, eq=False, kw_only=True)
class Practice:
    """A source region to practise on."""

    points: Float64
    """Shape (n, n_components), whitened components of the features."""
    xy_km: Float64
    """Shape (n, 2)."""
    latent: Float64
    """Shape (n, n_latent), calibrated scores of trees that never saw the region."""
    targets: Integers
    """Shape (n,), index of each row's class."""


@dataclass(frozen=True, eq=False)
class _Trial:
    practice: Practice
    labels: Integers
    held: Integers


def learn_kernel(
    practices: Sequence[Practice],
    *,
    start: Kernel = KERNEL,
    seed: int = 0,
    check: Callable[[], None] = lambda: None,
) -> Kernel:
    """Return the kernel that serves labels of other regions best.

    What is compared is the mean of AUC and balanced accuracy over regions, situations and draws.
    One length after the other climbs ``GRID`` from ``start`` until none gains ``MIN_STEP``. Without
    a region large enough to practise on, ``start`` comes back.
    """
    trials = [
        trial
        for practice in practices
        for side_km, n_labels in SITUATIONS
        for k in range(N_DRAWS)
        if (trial := _draw_trial(practice, side_km, n_labels, seed=seed + k)) is not None
    ]
    if not trials:
        return start
    kernel, best = start, _score_kernel(start, trials)
    for _ in range(MAX_ROUNDS):
        before = best
        for name, values in GRID.items():
            for direction in (1, -1):
                while True:
                    check()
                    at = values.index(getattr(kernel, name)) + direction
                    if not 0 <= at < len(values):
                        break
                    tried = replace(kernel, **{name: values[at]})
                    score = _score_kernel(tried, trials)
                    if score < best + MIN_STEP:
                        break
                    kernel, best = tried, score
        if best == before:
            break
    return kernel


def make_practices(
    points: Float64,
    positions_km: Float64,
    latent: Float64,
    targets: Integers,
    region_ids: NDArray[np.str_],
) -> list[Practice]:
    """Cut source rows into regions to practise on; rows without a position are left out.

    Parameters
    ----------
    points, positions_km, latent, targets, region_ids
        Shapes (n, n_components), (n, 2) with NaN where a position is not known, (n_latent, n), (n,)
        and (n,).
    """
    known = np.isfinite(positions_km).all(axis=1)
    return [
        Practice(
            points=points[rows],
            xy_km=positions_km[rows],
            latent=np.ascontiguousarray(latent[:, rows].T),
            targets=targets[rows],
        )
        for region_id in np.unique(region_ids[known])
        for rows in [np.flatnonzero(known & (region_ids == region_id))]
    ]


def _draw_trial(practice: Practice, side_km: float, n_labels: int, *, seed: int) -> _Trial | None:
    """Hold out two fifths of the squares, draw labels from the rest; None: not enough of either."""
    blocks = np.unique(assign_blocks(practice.xy_km, side_km, seed=seed), return_inverse=True)[1]
    rng = np.random.default_rng([seed, n_labels, round(side_km)])
    n_blocks = int(blocks.max()) + 1
    is_held = np.zeros(n_blocks, dtype=bool)
    is_held[rng.permutation(n_blocks)[: max(1, round(0.4 * n_blocks))]] = True
    held = rng.permutation(np.flatnonzero(is_held[blocks]))[:MAX_HELD]
    labels = rng.permutation(np.flatnonzero(~is_held[blocks]))[:n_labels]
    if (
        len(labels) < n_labels
        or min(len(np.unique(practice.targets[rows])) for rows in (labels, held)) < 2
    ):
        return None
    return _Trial(practice, labels, held)


def _score_kernel(kernel: Kernel, trials: Sequence[_Trial]) -> float:
    """Mean of AUC and balanced accuracy on the held-out rows."""
    scores = []
    for trial in trials:
        p = trial.practice
        labelled = (p.points[trial.labels], p.xy_km[trial.labels])
        targets = p.targets[trial.labels]
        alpha = fit_correction(
            evaluate_kernel(kernel, labelled, labelled),
            p.latent[trial.labels],
            targets,
            balance_classes(targets, np.ones(len(targets))),
        )
        places = (p.points[trial.held], p.xy_km[trial.held])
        latent = (p.latent[trial.held] + evaluate_kernel(kernel, places, labelled) @ alpha).T
        truth = p.targets[trial.held]
        full = latent if len(latent) > 1 else np.concatenate([np.zeros_like(latent), latent])
        predicted = full.argmax(axis=0)
        balanced = np.mean([(predicted[truth == k] == k).mean() for k in np.unique(truth)])
        scores.append((float(measure_macro_auc(full, truth)[0]) + float(balanced)) / 2)
    return float(np.mean(scores))
