"""All distances between training samples: their mean, the nearest in another fold, how many near.

Brute force, 64 samples at a time, in a fixed order of addition: the same bits for any number of
threads.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import njit
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

LANES = 64
"""Samples measured together."""
ROWS = 256
"""Samples in one task of a thread."""


@njit(nogil=True, cache=True)
def measure_rows(
    points: Float32,
    blocks: Float32,
    folds: NDArray[np.int32],
    first: int,
    last: int,
    limit: float,
    means: NDArray[np.float64],
    nearest: Float32,
    counts: NDArray[np.int32],
) -> None:
    """Measure the samples ``first`` to ``last`` − 1 against all; see ``measure_pairs``."""
    n, n_axes = points.shape
    squares = np.empty(LANES, dtype=np.float32)
    sums = np.empty(LANES)
    smallest = np.empty(LANES, dtype=np.float32)
    for sample in range(first, last):
        point = points[sample]
        fold = folds[sample]
        sums[:] = 0.0
        smallest[:] = np.inf
        count = 0
        for index in range(blocks.shape[0]):
            block = blocks[index]
            squares[:] = np.float32(0)
            for axis in range(0, n_axes, 8):
                q0, q1, q2, q3 = point[axis], point[axis + 1], point[axis + 2], point[axis + 3]
                q4, q5, q6, q7 = point[axis + 4], point[axis + 5], point[axis + 6], point[axis + 7]
                part = block[axis * LANES : (axis + 8) * LANES]
                for lane in range(LANES):
                    d0 = q0 - part[lane]
                    d1 = q1 - part[lane + LANES]
                    d2 = q2 - part[lane + 2 * LANES]
                    d3 = q3 - part[lane + 3 * LANES]
                    d4 = q4 - part[lane + 4 * LANES]
                    d5 = q5 - part[lane + 5 * LANES]
                    d6 = q6 - part[lane + 6 * LANES]
                    d7 = q7 - part[lane + 7 * LANES]
                    squares[lane] += ((d0 * d0 + d4 * d4) + (d2 * d2 + d6 * d6)) + (
                        (d1 * d1 + d5 * d5) + (d3 * d3 + d7 * d7)
                    )
            n_lanes = min(LANES, n - index * LANES)
            part_folds = folds[index * LANES : index * LANES + n_lanes]
            for lane in range(n_lanes):
                square = squares[lane]
                sums[lane] += np.sqrt(np.float64(square))
                other = square if part_folds[lane] != fold else np.float32(np.inf)
                smallest[lane] = min(smallest[lane], other)
                count += 1 if other <= limit else 0
        means[sample] = sums.sum() / (n - 1)
        nearest[sample] = smallest.min()
        counts[sample] = count


def measure_pairs(
    points: Float32, folds: NDArray[np.int32], *, limit: float = -1.0, n_threads: int = 1
) -> tuple[NDArray[np.float64], Float32, NDArray[np.int32]]:
    """Measure every sample against all others.

    Parameters
    ----------
    points
        ``(n, n_axes)``, ``n_axes`` a multiple of 8, n ≥ 2.
    folds
        ``(n,)``: fold of each sample.
    limit
        Square distance up to which a sample counts as near.

    Returns
    -------
    Each sample's mean distance to all others; its smallest square distance to a sample of another
    fold; the number of samples of other folds within ``limit``.
    """
    n, n_axes = points.shape
    n_blocks = -(-n // LANES)
    padded = np.zeros((n_blocks * LANES, n_axes), dtype=np.float32)
    padded[:n] = points
    blocks = np.ascontiguousarray(
        padded.reshape(n_blocks, LANES, n_axes).transpose(0, 2, 1)
    ).reshape(n_blocks, n_axes * LANES)
    means = np.empty(n)
    nearest = np.empty(n, dtype=np.float32)
    counts = np.empty(n, dtype=np.int32)

    def measure(first: int) -> None:
        last = min(first + ROWS, n)
        measure_rows(points, blocks, folds, first, last, limit, means, nearest, counts)

    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(measure, range(0, n, ROWS)))
    return means, nearest, counts
