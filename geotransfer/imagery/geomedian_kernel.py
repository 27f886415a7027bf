"""The compiled span of pixels: copy, group by number of dates, solve, measure deviations, write.

A pixel waits in the queue of its number of valid dates until 32 of them make a group; no group has
a mask. What the quick solver leaves waits in a second queue for the exact one. Since lanes do not
influence each other, who shares a group with whom cannot be seen in the result.

Rows of ``f`` (float32; n dates, b bands, T dates at most, Q = T(T+1)/2):
    Q·b queued pixels, the queue of n from row b·n(n−1)/2, a row for each date and band;
    Q·b pixels left for the exact solver, likewise; Q their weights so far;
    T² + 10T scratch of the quick solver; b + 3 + 3T outputs and scratch of the deviations.
Rows of ``d`` (float64): scratch of the exact solver.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from geotransfer.imagery import geomedian_deviations, geomedian_solvers, lanes
from geotransfer.imagery.geomedian_deviations import find_middle, measure_deviations
from geotransfer.imagery.geomedian_solvers import weigh_exactly, weigh_quickly
from geotransfer.imagery.lanes import (
    WIDTH,
    Rows,
    compiled,
    fma,
    load,
    peek,
    poke,
    store,
)

Numbers = NDArray[np.int64]

HALF = WIDTH // 2

BLOCK = 512
"""Pixels copied at a time: long enough runs to read, and the copies stay in the cache."""

WINDOW = 64
"""Pixels ordered by their number of dates at a time: what is read for them stays in the first."""

MISSING = 1e15
"""Magnitude from which a float value counts as missing, as NaN does; squares stay finite below."""


def count_rows(n_times: int, n_bands: int) -> tuple[int, int]:
    """Return the rows that ``f`` and ``d`` need."""
    queued = n_times * (n_times + 1) // 2
    quick = n_times * (n_times + 10) + n_bands + 3 + 3 * n_times
    exact = n_times * (1 + n_bands + 2 * n_times + 9)
    return queued * (2 * n_bands + 1) + quick, exact


@compiled
def _mix_dates(f: Rows, x: int, n: int, n_bands: int, w: int, y: int) -> None:
    """The weighted sum of the dates, to the rows ``y``."""
    for b in range(n_bands):
        t = load(f, x + b) * load(f, w)
        for i in range(1, n):
            t = fma(load(f, x + i * n_bands + b), load(f, w + i), t)
        store(f, y + b, t)


@compiled
def _write_group(
    f: Rows,
    x: int,
    n: int,
    n_bands: int,
    y: int,
    pixels: Numbers,
    fill: int,
    planes: NDArray[np.float32],
    scale: float,
    shift: float,
) -> None:
    """Write the medians in the rows ``y`` and, if there are planes for them, the deviations."""
    if planes.shape[0] > n_bands:
        measure_deviations(f, x, n, n_bands, y, shift, y + n_bands)
        store(f, y + n_bands, load(f, y + n_bands) * scale)
    for b in range(n_bands):
        store(f, y + b, (load(f, y + b) + shift) * scale)
    for k in range(planes.shape[0]):
        plane = planes[k]
        for lane in range(fill):
            poke(plane, peek(pixels, lane), peek(f, (y + k) * WIDTH + lane))


@compiled
def _repeat_lane(f: Rows, first: int, n_rows: int, fill: int) -> None:
    """Fill the empty lanes of a group with its first pixel."""
    for row in range(first, first + n_rows):
        for lane in range(fill, WIDTH):
            f[row * WIDTH + lane] = f[row * WIDTH]


@compiled
def _solve_left(
    f: Rows,
    d: Rows,
    n: int,
    n_times: int,
    fills: Numbers,
    pixels: Numbers,
    planes: NDArray[np.float32],
    n_bands: int,
    scale: float,
    shift: float,
) -> None:
    """Compute and write the queue of what the quick solver left, half a group at a time."""
    n_queued = n_times * (n_times + 1) // 2
    x = (n_queued + n * (n - 1) // 2) * n_bands
    w = n_queued * 2 * n_bands + n * (n - 1) // 2
    y = n_queued * (2 * n_bands + 1) + n_times * (n_times + 10)
    fill = fills[1, n]
    fills[1, n] = 0
    _repeat_lane(f, x, n * n_bands, fill)
    _repeat_lane(f, w, n, fill)
    for start in range(0, fill, HALF):
        for row in range(n):
            for lane in range(HALF):
                d[row * HALF + lane] = f[(w + row) * WIDTH + start + lane]
        for row in range(n * n_bands):
            for lane in range(HALF):
                d[(n + row) * HALF + lane] = f[(x + row) * WIDTH + start + lane]
        weigh_exactly(d, n, n, n_bands, n + n * n_bands, 0)
        for row in range(n):
            for lane in range(HALF):
                f[(w + row) * WIDTH + start + lane] = d[row * HALF + lane]
    _mix_dates(f, x, n, n_bands, w, y)
    _write_group(f, x, n, n_bands, y, pixels[1, n], fill, planes, scale, shift)


@compiled
def _solve_group(
    f: Rows,
    d: Rows,
    n: int,
    n_times: int,
    fills: Numbers,
    pixels: Numbers,
    planes: NDArray[np.float32],
    n_bands: int,
    scale: float,
    shift: float,
) -> None:
    """Compute and write the queue of ``n`` dates; lanes not certified move to the second queue."""
    n_queued = n_times * (n_times + 1) // 2
    x = n * (n - 1) // 2 * n_bands
    dist = n_queued * (2 * n_bands + 1)
    w = dist + n * n
    y = dist + n_times * (n_times + 10)
    fill = fills[0, n]
    fills[0, n] = 0
    _repeat_lane(f, x, n * n_bands, fill)
    left = np.uint64(0)
    if n_bands == 1:
        for i in range(n):
            store(f, w + i, load(f, x + i))
        store(f, y, find_middle(f, w, n))
    elif n <= 2:
        for b in range(n_bands):
            store(f, y + b, (load(f, x + b) + load(f, x + (n - 1) * n_bands + b)) * 0.5)
    else:
        left = weigh_quickly(f, x, n, n_bands, dist)
        _mix_dates(f, x, n, n_bands, w, y)
    _write_group(f, x, n, n_bands, y, pixels[0, n], fill, planes, scale, shift)
    for lane in range(fill):
        if (left >> np.uint64(lane)) & np.uint64(1):
            k = fills[1, n]
            to = n_queued * n_bands
            for row in range(x, x + n * n_bands):
                f[(to + row) * WIDTH + k] = f[row * WIDTH + lane]
            to = n_queued * 2 * n_bands + n * (n - 1) // 2
            for row in range(n):
                f[(to + row) * WIDTH + k] = f[(w + row) * WIDTH + lane]
            pixels[1, n, k] = pixels[0, n, lane]
            fills[1, n] = k + 1
            if k + 1 == WIDTH:
                _solve_left(f, d, n, n_times, fills, pixels, planes, n_bands, scale, shift)


@compiled
def _copy_block(
    whole: NDArray[np.int16],
    real: NDArray[np.float32],
    is_signed: bool,
    valid: NDArray[np.uint8],
    n_pixels: int,
    first: int,
    size: int,
    copy: Rows,
    stride: int,
    usable: NDArray[np.uint8],
    n_valid: Numbers,
) -> None:
    """Copy a block of pixels to float32 rows, one for each date and band, and count valid dates.

    Rows of the input are often a power of two apart, where everything read for one pixel would
    compete for the same few cache lines; rows of the copy are not.
    """
    n_times = valid.size // n_pixels
    n_bands = max(whole.size, real.size) // valid.size
    n_valid[:size] = 0
    for time in range(n_times):
        mask = usable[time * stride : time * stride + size]
        at = time * n_pixels + first
        flags = valid[at : at + size]
        for p in range(size):
            mask[p] = flags[p]
        for band in range(n_bands):
            row = time * n_bands + band
            to = copy[row * stride : row * stride + size]
            at = row * n_pixels + first
            if real.size > 0:
                values = real[at : at + size]
                for p in range(size):
                    to[p] = values[p]
                    mask[p] &= abs(values[p]) < MISSING
            elif is_signed:
                numbers = whole[at : at + size]
                for p in range(size):
                    to[p] = numbers[p]
            else:
                numbers = whole[at : at + size]
                for p in range(size):
                    to[p] = np.uint16(numbers[p])
        for p in range(size):
            n_valid[p] += mask[p]


@compiled
def _queue_pixel(
    f: Rows,
    copy: Rows,
    stride: int,
    usable: NDArray[np.uint8],
    p: int,
    n: int,
    n_times: int,
    n_bands: int,
    lane: int,
    dates: Numbers,
) -> None:
    """Copy the valid dates of one pixel to its lane of the queue of ``n`` dates."""
    k = 0
    for time in range(n_times):
        poke(dates, k, time)
        k += peek(usable, time * stride + p)
    to = n * (n - 1) // 2 * n_bands * WIDTH + lane
    for i in range(n):
        at = peek(dates, i) * n_bands * stride + p
        for _ in range(n_bands):
            poke(f, to, peek(copy, at))
            to += WIDTH
            at += stride


def _define_span(sources: int) -> Any:
    # numba looks a cached function up by the time of its own file and by what it closes over; it
    # does not see that a function it calls has changed. Closing over the sources makes it see.
    def composite_span(
        whole: NDArray[np.int16],
        real: NDArray[np.float32],
        is_signed: bool,
        valid: NDArray[np.uint8],
        first: int,
        last: int,
        scale: float,
        shift: float,
        f: Rows,
        d: Rows,
        copy: Rows,
        planes: NDArray[np.float32],
        counts: NDArray[np.uint16],
    ) -> None:
        sources  # noqa: B018
        n_pixels = counts.size
        n_times = valid.size // n_pixels
        n_bands = max(whole.size, real.size) // valid.size
        stride = copy.size // (n_times * n_bands)
        usable = np.empty(n_times * stride, np.uint8)
        n_valid = np.empty(BLOCK, np.int64)
        order = np.empty(WINDOW, np.int64)
        dates = np.empty(n_times + 1, np.int64)
        starts = np.empty(n_times + 2, np.int64)
        fills = np.zeros((2, n_times + 1), np.int64)
        pixels = np.empty((2, n_times + 1, WIDTH), np.int64)
        while first < last:
            size = min(BLOCK, last - first)
            _copy_block(
                whole, real, is_signed, valid, n_pixels, first, size, copy, stride, usable, n_valid
            )
            for start in range(0, size, WINDOW):
                stop = min(start + WINDOW, size)
                starts[:] = 0
                for p in range(start, stop):
                    starts[n_valid[p] + 1] += 1
                    counts[first + p] = n_valid[p]
                for n in range(n_times):
                    starts[n + 1] += starts[n]
                for p in range(start, stop):
                    order[starts[n_valid[p]]] = p
                    starts[n_valid[p]] += 1
                for k in range(stop - start):
                    p = order[k]
                    n = n_valid[p]
                    if n == 0:
                        planes[:, first + p] = np.nan
                        continue
                    lane = fills[0, n]
                    _queue_pixel(f, copy, stride, usable, p, n, n_times, n_bands, lane, dates)
                    pixels[0, n, lane] = first + p
                    fills[0, n] = lane + 1
                    if lane + 1 == WIDTH:
                        _solve_group(f, d, n, n_times, fills, pixels, planes, n_bands, scale, shift)
            first += size
        for n in range(1, n_times + 1):
            if fills[0, n] > 0:
                _solve_group(f, d, n, n_times, fills, pixels, planes, n_bands, scale, shift)
            if fills[1, n] > 0:
                _solve_left(f, d, n, n_times, fills, pixels, planes, n_bands, scale, shift)

    try:
        return compiled(cache=True, nogil=True)(composite_span)
    except RuntimeError:
        # Nowhere to write a cache: compiled anew by each process.
        return compiled(nogil=True)(composite_span)


def _read_sources() -> int:
    digest = hashlib.sha256()
    for module in (lanes, geomedian_solvers, geomedian_deviations):
        digest.update(Path(str(module.__file__)).read_bytes())
    return int.from_bytes(digest.digest()[:7], "big")


composite_span = _define_span(_read_sources())
"""Composite the pixels from ``first`` to before ``last``; see ``geomedian.compute_geomedian``."""


def _read_only(element: types.Type) -> types.Array:
    return types.Array(element, 1, "C", readonly=True)


SIGNATURE = types.void(
    _read_only(types.int16),
    _read_only(types.float32),
    types.boolean,
    _read_only(types.uint8),
    types.int64,
    types.int64,
    types.float32,
    types.float32,
    types.float32[::1],
    types.float64[::1],
    types.float32[::1],
    types.float32[:, ::1],
    types.uint16[::1],
)
"""The one signature, for every data type, number of dates and number of bands."""
