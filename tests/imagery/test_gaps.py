"""Gap filling against a slow, obvious one; off unless asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from geotransfer.core.spec import FeatureSpec
from geotransfer.core.spec_file import parse_spec_file
from geotransfer.imagery.gaps import MIN_SEEN_SHARE, fill_gaps

ROUND = parse_spec_file(
    {"name": "r", "bands": ["a", "b"], "statistics": ["mean"], "periods": "months",
     "gap_filling": "linear"},
    where="r",
)  # fmt: skip
LINE = parse_spec_file(
    {"name": "l", "bands": ["a"], "statistics": ["mean", "maximum"], "gap_filling": "linear",
     "periods": {f"p{k}": {"start": f"202{k}-01-01", "end": f"202{k}-12-31"} for k in range(6)}},
    where="l",
)  # fmt: skip


def fill_slowly(series: list[float | None], *, is_round: bool) -> list[float | None]:
    n = len(series)
    if sum(v is not None for v in series) < MIN_SEEN_SHARE * n:
        return series
    out = list(series)
    for k in range(n):
        if series[k] is not None:
            continue
        reach = range(1, n) if is_round else range(1, k + 1)
        back = next((d for d in reach if series[(k - d) % n] is not None), None)
        reach = range(1, n) if is_round else range(1, n - k)
        ahead = next((d for d in reach if series[(k + d) % n] is not None), None)
        if back is not None and ahead is not None:
            left, right = series[(k - back) % n], series[(k + ahead) % n]
            assert left is not None
            assert right is not None
            out[k] = left + (right - left) * back / (back + ahead)
    return out


@given(st.integers(0, 100_000), st.sampled_from([ROUND, LINE]))
def test_filled_values_lie_on_the_line_between_their_neighbours(
    seed: int, spec: FeatureSpec
) -> None:
    rng = np.random.default_rng(seed)
    counts = (rng.random((len(spec.periods), 2, 2)) < rng.uniform(0.3, 0.95)).astype(np.uint16)
    values = rng.random((len(spec.measured), 2, 2)).astype(np.float32)
    for row, column in enumerate(spec.measured):
        period = [p.name for p in spec.periods].index(column.period)
        values[row][counts[period] == 0] = np.nan
    before = values.copy()
    filled = fill_gaps(values, counts, spec)
    expected = before.copy()
    for key in dict.fromkeys((c.statistic, c.band) for c in spec.measured):
        rows = [r for r, c in enumerate(spec.measured) if (c.statistic, c.band) == key]
        for y, x in np.ndindex(2, 2):
            series = [None if np.isnan(v) else float(v) for v in before[rows, y, x]]
            done = fill_slowly(series, is_round=spec is ROUND)
            expected[rows, y, x] = [np.nan if v is None else v for v in done]
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-6)
    rows = [r for r, c in enumerate(spec.measured) if c.band == "a" and c.statistic == "mean"]
    n_new = np.isfinite(values[rows]).sum(axis=0) - np.isfinite(before[rows]).sum(axis=0)
    np.testing.assert_array_equal(filled, n_new)


def test_nothing_is_filled_unless_the_spec_asks() -> None:
    values = np.full((24, 1, 1), np.nan, dtype=np.float32)
    values[::4] = 1
    counts = np.zeros((12, 1, 1), dtype=np.uint16)
    counts[::2] = 1
    before = values.copy()
    assert fill_gaps(values, counts, replace(ROUND, gap_filling="")).max() == 0
    np.testing.assert_array_equal(values, before)
