"""Deviations of a group of pixels around their geometric medians, one lane a pixel."""

from __future__ import annotations

from typing import Any

from geotransfer.imagery.lanes import (
    Rows,
    choose,
    compiled,
    fma,
    larger,
    load,
    magnitude,
    root,
    smaller,
    spread,
    store,
)


@compiled
def find_middle(f: Rows, values: int, n: int) -> Any:
    """The median of n rows, which it sorts: Batcher's merge exchange, Knuth's algorithm 5.2.2M."""
    half = 1
    while 2 * half < n:
        half *= 2
    p = half
    while p > 0:
        q, r, step = half, 0, p
        while True:
            for i in range(n - step):
                if i & p == r:
                    a, b = load(f, values + i), load(f, values + i + step)
                    store(f, values + i, smaller(a, b))
                    store(f, values + i + step, larger(a, b))
            if q == p:
                break
            step, q, r = q - p, q // 2, p
        p //= 2
    return (load(f, values + (n - 1) // 2) + load(f, values + n // 2)) * 0.5


@compiled
def measure_deviations(
    f: Rows, x: int, n: int, n_bands: int, y: int, shift: float, out: int
) -> None:
    """Median Euclidean, cosine and Bray-Curtis distance of the dates from y, to three rows."""
    zero, one, above = spread(f, 0.0), spread(f, 1.0), spread(f, shift)
    euclid, cosine, bray = out + 3, out + 3 + n, out + 3 + 2 * n
    norm_y = zero
    for b in range(n_bands):
        t = load(f, y + b) + above
        norm_y = fma(t, t, norm_y)
    norm_y = root(norm_y)
    for i in range(n):
        square, norm, apart, together = zero, zero, zero, zero
        for b in range(n_bands):
            t, m = load(f, x + i * n_bands + b), load(f, y + b)
            step = t - m
            square = fma(step, step, square)
            apart = apart + magnitude(step)
            t = t + above
            norm = fma(t, t, norm)
            together = together + magnitude(t + (m + above))
        norm = root(norm)
        # 1 − cos = (|x−m|² − (|x|−|m|)²) / 2|x||m|, which does not cancel where the angle is small.
        step = norm - norm_y
        product = norm * norm_y
        t = larger(fma(zero - step, step, square), zero) / (product + product)
        differs = choose(square > 0.0, one, zero)
        store(f, euclid + i, root(square))
        store(f, cosine + i, choose(product > 0.0, t, differs))
        store(f, bray + i, choose(together > 0.0, apart / together, differs))
    store(f, out, find_middle(f, euclid, n))
    store(f, out + 1, find_middle(f, cosine, n))
    store(f, out + 2, find_middle(f, bray, n))
