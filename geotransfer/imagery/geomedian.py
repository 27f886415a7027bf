"""The geometric median of a pixel's dates, and the three deviations around it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geotransfer.errors import SceneInvalid
from geotransfer.imagery.geomedian_kernel import composite_rows


@dataclass(frozen=True, slots=True)
class Composite:
    """One composite of many dates.

    Attributes
    ----------
    median
        Geometric median, reflectance, ``(band, y, x)``; NaN where no date is valid.
    edev, sdev, bcdev
        Median Euclidean (reflectance), cosine and Bray-Curtis distance of the valid dates from the
        geometric median, raw (not yet ``-ln``), ``(y, x)``; NaN where no date is valid, and
        everywhere if they were not asked for.
    count
        Valid dates, ``(y, x)``.
    """

    median: NDArray[np.float32]
    edev: NDArray[np.float32]
    sdev: NDArray[np.float32]
    bcdev: NDArray[np.float32]
    count: NDArray[np.uint16]


def compute_geomedian(
    dn: NDArray[np.int16] | NDArray[np.uint16] | NDArray[np.float32],
    valid: NDArray[np.bool_],
    *,
    scale: float = 1e-4,
    offset: float = 0.0,
    n_threads: int = 1,
    with_mads: bool = True,
) -> Composite:
    """Return the geometric median over time of every pixel, and three deviations around it.

    Parameters
    ----------
    dn
        Digital numbers ``(time, band, y, x)``; reflectance is ``dn * scale + offset``.
    valid
        Which dates count, ``(time, y, x)``. A date with NaN in any band never counts.
    scale, offset
        From digital number to reflectance; ``scale`` is positive.
    n_threads
        Threads; they do not change any bit of the result.
    with_mads
        Whether to compute the deviations.
    """
    if dn.ndim != 4 or valid.shape != (dn.shape[0], *dn.shape[2:]):
        raise ValueError(
            f"dn {dn.shape} must be (time, band, y, x) and valid {valid.shape} its mask."
        )
    if not (np.isfinite(scale) and scale > 0 and np.isfinite(offset)):
        raise SceneInvalid(f"Scale {scale} and offset {offset} must be finite and scale positive.")
    _, n_bands, n_rows, n_cols = dn.shape
    contiguous, mask = np.ascontiguousarray(dn), np.ascontiguousarray(valid)
    out = Composite(
        np.empty((n_bands, n_rows, n_cols), np.float32),
        np.empty((n_rows, n_cols), np.float32),
        np.empty((n_rows, n_cols), np.float32),
        np.empty((n_rows, n_cols), np.float32),
        np.empty((n_rows, n_cols), np.uint16),
    )

    def composite(rows: slice) -> None:
        composite_rows(
            contiguous[:, :, rows],
            mask[:, rows],
            offset / scale,
            scale,
            with_mads,
            out.median[:, rows],
            out.edev[rows],
            out.sdev[rows],
            out.bcdev[rows],
            out.count[rows],
        )

    strips = [slice(start, start + 16) for start in range(0, n_rows, 16)]
    with ThreadPoolExecutor(max(1, n_threads)) as pool:
        list(pool.map(composite, strips))
    return out
