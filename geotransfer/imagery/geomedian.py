"""The geometric median of a pixel's dates, and the three deviations around it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geotransfer.errors import SceneInvalid
from geotransfer.imagery.geomedian_kernel import BLOCK, SIGNATURE, composite_span, count_rows
from geotransfer.imagery.lanes import empty_rows

SPAN = 1 << 16
"""Most pixels a thread takes at a time."""


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

    The geometric median minimises the sum of Euclidean distances to the valid dates (Roberts et al.
    2017, doi 10.1109/TGRS.2017.2723896). The deviations are medians over the valid dates x of their
    distance from it, m (Roberts, Dunn & Mueller 2018, doi 10.1109/IGARSS.2018.8518312): Euclidean
    |x−m|, cosine 1 − x·m/|x||m|, Bray-Curtis Σ|x_b−m_b| / Σ|x_b+m_b|.

    Where definitions leave a choice:

    * No valid date: NaN. One: that date, deviations 0. Two: their midpoint.
    * The minimiser is unique unless the dates lie on a line and their number is even; then it is
      the midpoint of the two in the middle. One band is therefore the ordinary median.
    * The median of an even number of distances is the mean of the two in the middle.
    * Cosine distance with a spectrum of zeros: 0 from another of zeros, else 1. Bray-Curtis 0/0 is
      0; with a positive numerator over zero (reflectances that cancel) it is 1.

    Every pixel is computed by itself: no bit of it depends on the other pixels, on how the input is
    cut in ``y`` and ``x``, or on ``n_threads``. The order of dates shows in the last digits only.
    Distance to the true minimiser: see ``docs/decisions/0003-geomedian-kernel.md``.

    Parameters
    ----------
    dn
        Digital numbers ``(time, band, y, x)``; reflectance is ``dn * scale + offset``. Used in
        place if C-contiguous, else copied. Memory besides: up to 128 · time² · band bytes a thread.
    valid
        Which dates count, ``(time, y, x)``. A date with NaN, or a magnitude of 1e15 and more, in
        any band never counts.
    scale, offset
        From digital number to reflectance; ``scale`` is positive.
    n_threads
        Threads.
    with_mads
        Whether to compute the deviations.

    Raises
    ------
    SceneInvalid
        If ``scale`` or ``offset`` cannot be used.
    """
    if dn.ndim != 4 or valid.shape != (dn.shape[0], *dn.shape[2:]):
        raise ValueError(
            f"dn {dn.shape} must be (time, band, y, x) and valid {valid.shape} its mask."
        )
    if (
        dn.dtype.newbyteorder("=") not in (np.int16, np.uint16, np.float32)
        or valid.dtype != np.bool_
    ):
        raise TypeError(f"dn is {dn.dtype}, not int16, uint16 or float32; valid is {valid.dtype}.")
    if not (np.isfinite(scale) and scale > 0 and np.isfinite(offset)):
        raise SceneInvalid(f"Scale {scale} and offset {offset} must be finite and scale positive.")
    _, n_bands, *shape = dn.shape
    planes = np.empty((n_bands + 3, *shape), np.float32)
    count = np.zeros(shape, np.uint16)
    if dn.size > 0:
        wanted = planes if with_mads else planes[:n_bands]
        _composite(dn, valid, float(scale), float(offset), n_threads, wanted, count)
        planes[len(wanted) :] = np.nan
    else:
        planes[:] = np.nan
    return Composite(planes[:n_bands], planes[-3], planes[-2], planes[-1], count)


def _composite(
    dn: NDArray[Any],
    valid: NDArray[np.bool_],
    scale: float,
    offset: float,
    n_threads: int,
    planes: NDArray[np.float32],
    count: NDArray[np.uint16],
) -> None:
    """Fill ``planes`` and ``count``, span by span."""
    _compile_once()
    n_times, n_bands, *_ = dn.shape
    n_pixels = count.size
    values = np.require(dn, dn.dtype.newbyteorder("="), ["C", "A"]).reshape(-1)
    # One signature for every data type: integers in one array, floats in the other, one is empty.
    nothing = values[:0]
    whole, real = (nothing, values) if dn.dtype.kind == "f" else (values, nothing)
    mask = np.require(valid, requirements=["C"]).reshape(-1).view(np.uint8)
    step = min(SPAN, -(-n_pixels // (4 * n_threads * BLOCK)) * BLOCK) if n_threads > 1 else SPAN
    starts: SimpleQueue[int] = SimpleQueue()
    for start in range(0, n_pixels, step):
        starts.put(start)

    def work() -> None:
        f_rows, d_rows = count_rows(n_times, n_bands)
        f, d = empty_rows(f_rows, np.float32), empty_rows(d_rows, np.float64)
        copy = np.empty(n_times * n_bands * (BLOCK + 16), np.float32)
        with suppress(Empty):
            while True:
                start = starts.get_nowait()
                composite_span(
                    whole.view(np.int16),
                    real.view(np.float32),
                    dn.dtype.kind == "i",
                    mask,
                    start,
                    min(start + step, n_pixels),
                    np.float32(scale),
                    np.float32(offset / scale),
                    f,
                    d,
                    copy,
                    planes.reshape(-1, n_pixels),
                    count.reshape(-1),
                )

    n_workers = min(n_threads, starts.qsize())
    if n_workers <= 1:
        work()
        return
    with ThreadPoolExecutor(n_workers) as pool:
        for worker in [pool.submit(work) for _ in range(n_workers)]:
            worker.result()


_compiling = threading.Lock()


def _compile_once() -> None:
    """Compile, or load what another process compiled. Of many that start at once, one compiles."""
    with _compiling:
        if composite_span.signatures:
            return
        with _hold_cache(composite_span.stats.cache_path):
            composite_span.compile(SIGNATURE)
            composite_span.disable_compile()


@contextmanager
def _hold_cache(folder: str | None) -> Iterator[None]:
    if folder is None or fcntl is None:
        yield
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    with (Path(folder) / "geomedian.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


try:
    import fcntl
except ImportError:  # Windows: every process may compile; the cache's own writes are atomic.
    fcntl = None  # type: ignore[assignment]
