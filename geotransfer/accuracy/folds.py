"""Spatial folds: rows that judge are kept away from rows that train.

Blocks and folds come from hashes of where a row lies, so a row never changes its fold when labels
are added.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Float64 = NDArray[np.float64]
Integers = NDArray[np.int64]

BLOCK_SIZES_KM = (
    100.0, 50.0, 25.0, 10.0, 5.0, 2.5, 1.0, 0.5, 0.25, 0.1, 0.05, 0.02,
)  # fmt: skip
"""Sides a block may have; the data choose among them."""


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scramble 64-bit integers (the finaliser of SplitMix64; Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        z = values + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def draw_origin(block_km: float, seed: int) -> Float64:
    """Return the grid's origin for a seed, in [0, ``block_km``)²."""
    bits = _mix(_mix(np.array([2 * seed, 2 * seed + 1], dtype=np.uint64)))
    return (bits >> np.uint64(11)).astype(np.float64) / 2.0**53 * block_km


def assign_blocks(xy_km: Float64, block_km: float, *, seed: int = 0) -> Integers:
    """Return the id of the square block each position lies in.

    Parameters
    ----------
    xy_km
        Shape (n, 2), projected positions (EPSG:6933), kilometres.
    block_km
        Side of a block.
    seed
        Moves the grid's origin.

    Returns
    -------
    Shape (n,): equal for rows of one block, on every machine and whatever other rows there are.
    """
    cells = np.floor((xy_km + draw_origin(block_km, seed)) / block_km).astype(np.int64)
    # Two 32-bit halves: blocks are told apart anywhere on Earth down to a few metres.
    return ((cells[:, 0] & 0xFFFFFFFF) << 31) | (cells[:, 1] & 0x7FFFFFFF)


def assign_folds(block_ids: Integers, n_folds: int, *, seed: int = 0) -> Integers:
    """Return the fold of each row, 0 … n_folds − 1, from a hash of its block alone.

    Folds differ in size, and one may be empty where blocks are few.
    """
    salt = _mix(np.array([seed], dtype=np.uint64))[0]
    mixed = _mix(block_ids.astype(np.uint64) ^ salt)
    return (mixed % np.uint64(n_folds)).astype(np.int64)


def choose_block_km(xy_km: Float64, *, min_blocks: int = 10, seed: int = 0) -> float | None:
    """Return the largest block side that leaves at least ``min_blocks`` populated blocks.

    None where even the smallest blocks do not: the rows lie in one place.
    """
    for block_km in BLOCK_SIZES_KM:
        if len(np.unique(assign_blocks(xy_km, block_km, seed=seed))) >= min_blocks:
            return block_km
    return None


def measure_separation(xy_km: Float64, others_xy_km: Float64) -> Float64:
    """Distance in km of each position (n, 2) to the nearest of ``others_xy_km`` (m, 2)."""
    distance_km, _ = cKDTree(others_xy_km).query(xy_km)
    return np.asarray(distance_km)
