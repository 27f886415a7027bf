"""The compiled part of the geomedian: one call composites a run of rows."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

MAX_STEPS = 1000
TOLERANCE = 1e-7


@njit(cache=True, nogil=True)
def _median_of(values, n):  # type: ignore[no-untyped-def]
    ordered = np.sort(values[:n])
    half = n // 2
    return ordered[half] if n % 2 == 1 else 0.5 * (ordered[half - 1] + ordered[half])


@njit(cache=True, nogil=True)
def _minimize(x, n, n_bands, y):  # type: ignore[no-untyped-def]
    """Modified Weiszfeld steps (Vardi & Zhang 2000, doi 10.1073/pnas.97.4.1423) from the mean."""
    if n_bands == 1:
        y[0] = _median_of(x[:, 0].copy(), n)
        return
    spread = 0.0
    for b in range(n_bands):
        y[b] = x[:n, b].mean()
        spread = max(spread, x[:n, b].max() - x[:n, b].min())
    if spread == 0.0 or n <= 2:
        return
    pull = np.empty(n_bands)
    for _ in range(MAX_STEPS):
        total = 0.0
        pull[:] = 0.0
        n_equal = 0
        for i in range(n):
            square = 0.0
            for b in range(n_bands):
                square += (x[i, b] - y[b]) ** 2
            if square <= (1e-12 * spread) ** 2:
                n_equal += 1
                continue
            weight = 1.0 / math.sqrt(square)
            total += weight
            for b in range(n_bands):
                pull[b] += weight * (x[i, b] - y[b])
        size = 0.0
        for b in range(n_bands):
            size += pull[b] ** 2
        size = math.sqrt(size)
        if size <= n_equal or total == 0.0:
            return
        step = (1.0 - n_equal / size) / total
        for b in range(n_bands):
            y[b] += step * pull[b]
        if step * size < TOLERANCE * spread:
            return


@njit(cache=True, nogil=True)
def composite_rows(dn, valid, shift, scale, with_mads, median, edev, sdev, bcdev, count):  # type: ignore[no-untyped-def]
    """Fill the outputs of the rows given; ``shift`` is offset/scale, arrays as in the caller."""
    n_times, n_bands, n_rows, n_cols = dn.shape
    x = np.empty((n_times, n_bands))
    y = np.empty(n_bands)
    e = np.empty(n_times)
    s = np.empty(n_times)
    c = np.empty(n_times)
    for row in range(n_rows):
        for col in range(n_cols):
            n = 0
            for t in range(n_times):
                usable = valid[t, row, col]
                for b in range(n_bands):
                    x[n, b] = np.float64(dn[t, b, row, col]) + shift
                    usable = usable and x[n, b] == x[n, b]
                n += usable
            count[row, col] = n
            if n == 0:
                median[:, row, col] = np.nan
                edev[row, col] = np.nan
                sdev[row, col] = np.nan
                bcdev[row, col] = np.nan
                continue
            _minimize(x, n, n_bands, y)
            norm_y = 0.0
            for b in range(n_bands):
                median[b, row, col] = y[b] * scale
                norm_y += y[b] ** 2
            if not with_mads:
                edev[row, col] = np.nan
                sdev[row, col] = np.nan
                bcdev[row, col] = np.nan
                continue
            for i in range(n):
                square = 0.0
                norm = 0.0
                dot = 0.0
                above = 0.0
                below = 0.0
                for b in range(n_bands):
                    square += (x[i, b] - y[b]) ** 2
                    norm += x[i, b] ** 2
                    dot += x[i, b] * y[b]
                    above += abs(x[i, b] - y[b])
                    below += abs(x[i, b] + y[b])
                e[i] = math.sqrt(square)
                if norm > 0.0 and norm_y > 0.0:
                    s[i] = max(0.0, 1.0 - dot / math.sqrt(norm * norm_y))
                else:
                    s[i] = 0.0 if norm == norm_y else 1.0
                if below > 0.0:
                    c[i] = above / below
                else:
                    c[i] = 0.0 if above == 0.0 else 1.0
            edev[row, col] = _median_of(e, n) * scale
            sdev[row, col] = _median_of(s, n)
            bcdev[row, col] = _median_of(c, n)
