"""Lanes do IEEE arithmetic, each by itself, as numpy does it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from geotransfer.imagery.lanes import (
    ROW_BYTES,
    Rows,
    bits,
    choose,
    compiled,
    empty_rows,
    fma,
    inverse_root,
    larger,
    load,
    magnitude,
    peek,
    poke,
    root,
    smaller,
    spread,
    store,
)


@compiled
def apply_all(a: Rows) -> int:
    x, y, z = load(a, 0), load(a, 1), load(a, 2)
    store(a, 3, x + y)
    store(a, 4, x - y)
    store(a, 5, x * 3.0)
    store(a, 6, 1 / y)
    store(a, 7, root(magnitude(x)))
    store(a, 8, fma(x, y, z))
    store(a, 9, smaller(x, y))
    store(a, 10, larger(x, y))
    store(a, 11, choose((x < y) | ((x > z) & ~(y >= z)), x, spread(a, 7)))
    poke(a, 0, peek(a, 1))
    return bits(x <= z)


@compiled
def invert_roots(a: Rows, n: int) -> None:
    for i in range(n):
        store(a, i, inverse_root(load(a, i)))


def make_rows(n_rows: int, dtype: type) -> NDArray[np.floating]:
    return empty_rows(n_rows, dtype).reshape(n_rows, -1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_operation_is_numpys(dtype: type) -> None:
    rows = make_rows(12, dtype)
    rows[:3] = np.random.default_rng(0).normal(size=rows[:3].shape)
    rows[1, 3], rows[0, 5] = 0, np.nan
    x, y, z = rows[:3].copy()
    mask = apply_all(rows.reshape(-1))
    with np.errstate(all="ignore"):
        expected = [
            x + y,
            x - y,
            x * dtype(3),
            1 / y,
            np.sqrt(np.abs(x)),
            None,
            np.where(x < y, x, y),
            np.where(x > y, x, y),
            np.where((x < y) | ((x > z) & ~(y >= z)), x, dtype(7)),
        ]
    for row, value in enumerate(expected, 3):
        if value is not None:
            np.testing.assert_array_equal(rows[row], value, err_msg=str(row))
    assert [bool(int(mask) >> lane & 1) for lane in range(x.size)] == list(x <= z)
    assert rows[0, 0] == x[1]


def test_fma_rounds_once() -> None:
    rows = make_rows(12, np.float32)
    rows[:3] = np.random.default_rng(0).normal(size=rows[:3].shape)
    x, y, z = rows[:3].astype(np.float64)
    apply_all(rows.reshape(-1))
    # Products of float32 are exact in float64, so rounding the sum twice differs at most in ties.
    np.testing.assert_array_equal(rows[8], (x * y + z).astype(np.float32))


def test_inverse_root_is_as_exact_as_it_says() -> None:
    n_rows = 2000
    rows = make_rows(n_rows, np.float32)
    rows[:] = np.exp(np.random.default_rng(0).uniform(-80, 80, rows.shape))
    expected = 1 / np.sqrt(rows.astype(np.float64))
    invert_roots(rows.reshape(-1), n_rows)
    assert np.abs(rows / expected - 1).max() < 5e-6


def test_rows_are_aligned() -> None:
    for n_rows in (1, 7):
        rows = empty_rows(n_rows, np.float64)
        assert rows.nbytes == n_rows * ROW_BYTES
        assert rows.ctypes.data % 64 == 0
