"""Solvers of the geometric median for groups of pixels, one lane a pixel.

**The idea.** The minimiser of Σ|x_i − y| is a weighted mean of the n dates, y = Σ w_i x_i, and the
squared distance of date i from it is (Dw)_i − ½wᵀDw with D_ij = |x_i − x_j|². So D is computed once
and each step works on n weights, whatever the number of bands. Weiszfeld's step is w ← g with
g_i ∝ 1/d_i; its error shrinks by the largest eigenvalue of C_ij = cos(x_i − y, x_j − y)·√(g_i g_j),
a matrix of trace 1, whose Frobenius norm therefore bounds how far a small step is from the end.

**Two solvers.** Pixels with the same number of valid dates are computed in groups, one lane each.

* ``weigh_quickly`` (float32, 32 lanes): a fixed number of Weiszfeld steps with Anderson mixing of
  depth one, least squares taken in the metric of the bands (−rᵀDr = |Σ r_i x_i|²). A lane is done
  if the bound certifies it, or if the medoid passes the exact optimality test (Kuhn 1973).
* ``weigh_exactly`` (float64, 16 lanes), for the few lanes left: Newton's method with backtracking.
  With c the solution of (diag(d_i³Σ1/d) − XᵀX)c = d², X the differences x_i − y, the step is Xc:
  again n × n and free of bands. Dates on a line get the median along the line.

No lane influences another and lanes that are done stay as they are, so grouping, and with it
chunks, threads and the position in the block, cannot change a bit of the result.

Weiszfeld 1937; Vardi & Zhang 2000, doi 10.1073/pnas.97.4.1423; Walker & Ni 2011, doi
10.1137/10078356X (Anderson mixing); Kuhn 1973, doi 10.1007/BF01584648.
"""

from __future__ import annotations

from typing import Any

from geotransfer.imagery.lanes import (
    Rows,
    bits,
    choose,
    compiled,
    fma,
    inverse_root,
    larger,
    load,
    magnitude,
    root,
    smaller,
    spread,
    store,
)

N_STEPS = 9
"""Mixed Weiszfeld steps of the quick solver."""

TOLERANCE = 3e-3
"""Certified error that is good enough, as a share of the dates' harmonic mean distance."""

ROUNDING = 5e-6
"""Relative error of the weights of the quick solver, from its inverse roots."""

MAX_MIX = 100.0
"""Largest share of the step before in a mixed step."""

NEAREST_SHARE = 1e-2
"""And as a share of the distance of the nearest date, beyond which the bound is not valid."""

MAX_NEWTON_STEPS = 80
"""Steps of the exact solver; four or five are usual, some thirty the most seen."""

MAX_HALVINGS = 50
"""Halvings of one step before it counts as unable to improve."""


@compiled
def _measure(a: Rows, x: int, n: int, n_bands: int, dist: int, total: int) -> None:
    """Squared distances between dates (n × n rows), and each date's summed distance (n rows)."""
    zero = spread(a, 0.0)
    for i in range(n):
        above = zero
        for j in range(i):
            square = zero
            for b in range(n_bands):
                step = load(a, x + i * n_bands + b) - load(a, x + j * n_bands + b)
                square = fma(step, step, square)
            store(a, dist + i * n + j, square)
            store(a, dist + j * n + i, square)
            distance = root(square)
            above = above + distance
            store(a, total + j, load(a, total + j) + distance)
        store(a, dist + i * n + i, zero)
        store(a, total + i, above)


@compiled
def _multiply(a: Rows, dist: int, n: int, v: int, out: int) -> None:
    """Matrix times vector; four rows at a time, so that a loaded element serves four times."""
    zero = spread(a, 0.0)
    i = 0
    while i + 4 <= n:
        row = dist + i * n
        s0, s1, s2, s3 = zero, zero, zero, zero
        for j in range(n):
            t = load(a, v + j)
            s0 = fma(load(a, row + j), t, s0)
            s1 = fma(load(a, row + n + j), t, s1)
            s2 = fma(load(a, row + 2 * n + j), t, s2)
            s3 = fma(load(a, row + 3 * n + j), t, s3)
        store(a, out + i, s0)
        store(a, out + i + 1, s1)
        store(a, out + i + 2, s2)
        store(a, out + i + 3, s3)
        i += 4
    while i < n:
        s0 = zero
        for j in range(n):
            s0 = fma(load(a, dist + i * n + j), load(a, v + j), s0)
        store(a, out + i, s0)
        i += 1


@compiled
def _half_dot(a: Rows, n: int, u: int, v: int) -> Any:
    s = spread(a, 0.0)
    for i in range(n):
        s = fma(load(a, u + i), load(a, v + i), s)
    return s * 0.5


@compiled
def _pick(a: Rows, n: int, dist: int, key: int, sign: float, row: int) -> Any:
    """The date with the largest ``sign * key``, its key, and its row of the matrix in ``row``."""
    best, date = load(a, key) * sign, spread(a, 0.0)
    for j in range(n):
        store(a, row + j, load(a, dist + j))
    for i in range(1, n):
        t = load(a, key + i) * sign
        is_more = t > best
        best = choose(is_more, t, best)
        date = choose(is_more, spread(a, i), date)
        for j in range(n):
            store(a, row + j, choose(is_more, load(a, dist + i * n + j), load(a, row + j)))
    return date, best * sign


@compiled
def _test_medoid(a: Rows, n: int, dist: int, total: int, inverse: int, spare: int) -> Any:
    """Whether the date with the least summed distance, the medoid, is the minimiser (Kuhn 1973).

    It is if the sum of unit vectors from it to the others is no longer than the number of dates
    that coincide with it. Returns the medoid, its summed distance, that number and that length, and
    leaves the inverse distances from it in ``inverse``.
    """
    zero, one = spread(a, 0.0), spread(a, 1.0)
    medoid, least = _pick(a, n, dist, total, -1.0, inverse)
    n_equal, weight = zero, zero
    for j in range(n):
        square = load(a, inverse + j)
        coincides = square <= 0.0
        t = choose(coincides, zero, one / root(square))
        n_equal = n_equal + choose(coincides, one, zero)
        weight = weight + t
        store(a, inverse + j, t)
    _multiply(a, dist, n, inverse, spare)
    # What cancels in the difference is known to the precision of its terms: the slack.
    slack = weight * least
    pull = slack - _half_dot(a, n, inverse, spare)
    return medoid, least, n_equal, larger(pull, zero), slack


@compiled
def weigh_quickly(f: Rows, x: int, n: int, n_bands: int, dist: int) -> Any:
    """Weights of the n dates, left in the rows after ``dist``; returns the lanes not certified."""
    w, total = dist + n * n, dist + n * n + n
    v, r, dr = total + n, total + 2 * n, total + 3 * n
    t, dt, t_old, dt_old = total + 4 * n, total + 5 * n, total + 6 * n, total + 7 * n
    zero, one = spread(f, 0.0), spread(f, 1.0)
    _measure(f, x, n, n_bands, dist, total)
    # Start near the medoid: weights fall with the eighth power of the summed distance.
    least = load(f, total)
    for i in range(1, n):
        least = smaller(load(f, total + i), least)
    s = zero
    for i in range(n):
        far = load(f, total + i)
        near = choose(far > 0.0, least / far, one)
        near = near * near
        near = near * near
        near = near * near
        store(f, w + i, near)
        s = s + near
    s = one / s
    for i in range(n):
        store(f, w + i, load(f, w + i) * s)
    _multiply(f, dist, n, w, v)
    offset = _half_dot(f, n, w, v)
    s, s_old, top, mix = zero, zero, zero, zero
    for step in range(N_STEPS):
        # t = 1/d, so that g = ts.
        s, top = zero, zero
        floor = offset * 1e-6
        for i in range(n):
            inverse = inverse_root(larger(load(f, v + i) - offset, floor))
            s = s + inverse
            top = larger(inverse, top)
            store(f, t + i, inverse)
        s = one / s
        _multiply(f, dist, n, t, dt)
        if step == N_STEPS - 1:
            break  # The last product is for the certificate.
        re, ee = zero, zero
        for i in range(n):
            a = load(f, t + i) * s - load(f, w + i)
            da = load(f, dt + i) * s - load(f, v + i)
            if step > 0:
                db = da - load(f, dr + i)
                re = fma(a, db, re)
                ee = fma(a - load(f, r + i), db, ee)
            store(f, r + i, a)
            store(f, dr + i, da)
        mix = choose(ee < 0.0, re / ee, zero)
        mix = smaller(larger(mix, zero - MAX_MIX), zero + MAX_MIX)
        new, old = (one - mix) * s, mix * s_old
        offset = zero
        for i in range(n):
            a, da = load(f, t + i) * new, load(f, dt + i) * new
            if step > 0:
                a = fma(load(f, t_old + i), old, a)
                da = fma(load(f, dt_old + i), old, da)
            store(f, w + i, a)
            store(f, v + i, da)
            offset = fma(a, da, offset)
        offset = offset * 0.5
        s_old = s
        t, dt, t_old, dt_old = t_old, dt_old, t, dt
    # Certify: the last step g − w over 1 − ‖C‖, against what is good enough. −½rᵀDr = |Σ r_i x_i|²
    # because the r_i add up to zero; of the other sign it is rounding, and no better for that.
    rr = zero
    for i in range(n):
        g = load(f, t + i) * s
        rr = fma(g - load(f, w + i), load(f, dt + i) * s - load(f, v + i), rr)
        store(f, w + i, g)
    for i in range(n):
        a = load(f, t + i)
        store(f, dr + i, one / (a * a))
    norm = zero
    for i in range(n):
        square = load(f, dr + i)
        a = zero
        for j in range(i):
            c = (square + load(f, dr + j) - load(f, dist + i * n + j)) * load(f, t + j)
            a = fma(c * c, load(f, w + j), a)
        g, c = load(f, w + i), load(f, t + i)
        norm = fma(a * 0.5, c * c * g, fma(g, g, norm))
    # A step as small as the rounding of the weights certifies nothing.
    gap = one - root(norm)
    reach = smaller((gap * TOLERANCE - ROUNDING) * (s * n), gap * NEAREST_SHARE / top)
    reach = larger(reach, zero)
    uncertain = ~(magnitude(rr) * 0.5 < reach * reach)
    # Where one date has most of the weight, the minimiser may be that date.
    if bits(uncertain & (top * s > 0.4)) != 0:
        medoid, _, n_equal, pull, slack = _test_medoid(f, n, dist, total, t, dt)
        is_medoid = pull + slack * 1e-5 < n_equal * n_equal
        is_medoid = is_medoid & uncertain & (top * s > 0.4)
        for i in range(n):
            only = choose(medoid == spread(f, i), one, zero)
            store(f, w + i, choose(is_medoid, only, load(f, w + i)))
        uncertain = uncertain & ~is_medoid
    return bits(uncertain)


@compiled
def _weigh_line(d: Rows, n: int, dist: int, total: int, middle: int, place: int, spare: int) -> Any:
    """Weights of the median along a line; returns the lanes whose dates do lie on one."""
    zero, one = spread(d, 0.0), spread(d, 1.0)
    # The date farthest from all is an end of the line, the date farthest from that one the other.
    _pick(d, n, dist, total, 1.0, place)
    for j in range(n):
        store(d, place + j, root(load(d, place + j)))
    _, length = _pick(d, n, dist, place, 1.0, spare)
    detour = zero
    for j in range(n):
        detour = larger(load(d, place + j) + root(load(d, spare + j)) - length, detour)
    for i in range(n):
        t = load(d, place + i)
        rank = zero
        for j in range(n):
            other = load(d, place + j)
            is_before = other <= t if j < i else other < t
            rank = rank + choose(is_before, one, zero)
        t = choose(rank == spread(d, (n - 1) // 2), one, zero)
        t = t + choose(rank == spread(d, n // 2), one, zero)
        store(d, middle + i, t * 0.5)
    return detour <= length * 1e-13


@compiled
def _sum_distances(d: Rows, n: int, v: int, dv: int, share: Any, offset: Any) -> Any:
    """The objective after ``share`` of the step whose product with D is ``dv``."""
    zero = spread(d, 0.0)
    s = zero
    for i in range(n):
        s = s + root(larger(fma(share, load(d, dv + i), load(d, v + i)) - offset, zero))
    return s


@compiled
def weigh_exactly(d: Rows, x: int, n: int, n_bands: int, dist: int, w: int) -> None:
    """Improve the weights in ``w`` to the minimiser. Scratch rows follow ``dist``."""
    a = dist + n * n
    v, p, dp, c, r, g = (
        a + n * n,
        a + n * n + n,
        a + n * n + 2 * n,
        a + n * n + 3 * n,
        a + n * n + 4 * n,
        a + n * n + 5 * n,
    )
    total, middle = g + n, g + 2 * n
    zero, one = spread(d, 0.0), spread(d, 1.0)
    _measure(d, x, n, n_bands, dist, total)
    on_line = _weigh_line(d, n, dist, total, middle, p, dp)
    medoid, least, n_equal, pull, slack = _test_medoid(d, n, dist, total, g, dp)
    is_medoid = pull <= n_equal * n_equal + slack * 1e-14
    done = on_line | is_medoid
    # Start from the weights given if they beat the medoid, else from the first step away from it
    # (Vardi & Zhang): every later point is better than any date, so none is met on the way.
    s = zero
    for i in range(n):
        s = s + load(d, w + i)
    for i in range(n):
        store(d, w + i, load(d, w + i) / s)
    _multiply(d, dist, n, w, v)
    is_better = _sum_distances(d, n, v, v, zero, _half_dot(d, n, w, v)) < least
    s = zero
    for i in range(n):
        s = s + load(d, g + i)
    away = one - n_equal / root(pull)
    for i in range(n):
        t = choose(medoid == spread(d, i), one - away, zero) + away * (load(d, g + i) / s)
        store(d, w + i, choose(is_better, load(d, w + i), t))
    _multiply(d, dist, n, w, v)
    offset = _half_dot(d, n, w, v)
    value = _sum_distances(d, n, v, v, zero, offset)
    for _ in range(MAX_NEWTON_STEPS):
        if bits(~done) == 0:
            break
        s = zero
        for i in range(n):
            square = larger(load(d, v + i) - offset, offset * 1e-24)
            t = root(square)
            store(d, c + i, square)
            store(d, r + i, square)
            store(d, g + i, t)
            s = s + one / t
        # The matrix diag(d³ Σ1/d) − XᵀX and its factors L·diag·Lᵀ; the inverse pivots go to p.
        for i in range(n):
            square = load(d, r + i)
            for j in range(i):
                t = load(d, dist + i * n + j) - square - load(d, r + j)
                store(d, a + i * n + j, t * 0.5)
            t = square * load(d, g + i) * s
            store(d, a + i * n + i, t - square)
        for i in range(n):
            pivot = load(d, a + i * n + i)
            floor = pivot * 1e-14
            for j in range(i):
                t = load(d, a + i * n + j)
                for k in range(j):
                    t = t - load(d, a + i * n + k) * load(d, a + j * n + k)
                # Row i holds L·diag until its end, so that each product needs one row of each kind.
                store(d, a + i * n + j, t)
            for j in range(i):
                t = load(d, a + i * n + j)
                scaled = t * load(d, p + j)
                pivot = pivot - t * scaled
                store(d, a + i * n + j, scaled)
            store(d, p + i, one / larger(pivot, floor))
        # Solve for c in place; the step in weights is p = c − w Σc.
        for i in range(n):
            t = load(d, c + i)
            for k in range(i):
                t = t - load(d, a + i * n + k) * load(d, c + k)
            store(d, c + i, t)
        for i in range(n):
            store(d, c + i, load(d, c + i) * load(d, p + i))
        for i in range(n - 2, -1, -1):
            t = load(d, c + i)
            for k in range(i + 1, n):
                t = t - load(d, a + k * n + i) * load(d, c + k)
            store(d, c + i, t)
        slope, t = zero, zero
        for i in range(n):
            slope = slope + load(d, g + i) - s * load(d, r + i) * load(d, c + i)
            t = t + load(d, c + i)
        for i in range(n):
            store(d, p + i, load(d, c + i) - t * load(d, w + i))
        _multiply(d, dist, n, p, dp)
        linear, quadratic = _half_dot(d, n, p, v) * 2.0, _half_dot(d, n, p, dp)
        share, taken, found, best = one, zero, done, value
        for _ in range(MAX_HALVINGS):
            t = _sum_distances(d, n, v, dp, share, offset + share * (linear + share * quadratic))
            is_good = ~found & (t <= value + share * slope * 1e-4)
            taken = choose(is_good, share, taken)
            best = choose(is_good, t, best)
            found = found | is_good
            if bits(~found) == 0:
                break
            share = share * 0.5
        value = best
        for i in range(n):
            store(d, w + i, fma(taken, load(d, p + i), load(d, w + i)))
            store(d, v + i, fma(taken, load(d, dp + i), load(d, v + i)))
        offset = _half_dot(d, n, w, v)
        # −quadratic is the squared length of the step; nothing taken means nothing to gain.
        t = spread(d, 1e-7 * n) / s
        done = done | (taken <= 0.0) | (zero - taken * taken * quadratic <= t * t)
    is_medoid = is_medoid | ~(value < least)
    for i in range(n):
        t = choose(medoid == spread(d, i), one, zero)
        t = choose(is_medoid, t, load(d, w + i))
        store(d, w + i, choose(on_line, load(d, middle + i), t))
