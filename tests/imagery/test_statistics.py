"""Each compositing rule against a slow, obvious one: pixel by pixel, valid dates only."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geotransfer.core.spec import DEVIATIONS, STATISTICS, Column, FeatureSpec, Period
from geotransfer.core.spec_file import parse_spec_file
from geotransfer.errors import SpecMismatch
from geotransfer.imagery.composite import compose_measured
from geotransfer.imagery.stack import Stack
from geotransfer.imagery.statistics import RULES, summarize

BANDS = ("red", "nir")


def take_slowly(statistic: str, seen: np.ndarray) -> np.ndarray:
    """One pixel: ``seen`` (date, band) in digital numbers of valid dates, oldest first."""
    if statistic == "first":
        chosen = seen[0]
    elif statistic == "last":
        chosen = seen[-1]
    elif statistic == "medoid":
        totals = [sum(np.linalg.norm(one - two) for two in seen) for one in seen]
        chosen = seen[int(np.argmin(totals))]
    elif statistic == "greenest":
        index = [(nir - red) / (nir + red) if nir + red > 0 else 0.0 for red, nir in seen]
        chosen = seen[int(np.argmax(index))]
    elif statistic == "spread":
        chosen = seen.std(axis=0)
    elif statistic in ("p10", "p90"):
        chosen = np.percentile(seen, float(statistic[1:]), axis=0)
    else:
        function = {
            "median": np.median, "mean": np.mean, "minimum": np.min, "maximum": np.max,
        }[statistic]  # fmt: skip
        chosen = function(seen, axis=0)
    return chosen * 1e-4


@pytest.mark.parametrize("statistic", sorted(RULES))
@given(seed=st.integers(0, 10_000), n_dates=st.integers(1, 7))
def test_a_rule_is_what_it_is_for_one_pixel(statistic: str, seed: int, n_dates: int) -> None:
    rng = np.random.default_rng(seed)
    dn = rng.integers(1, 9000, (n_dates, 2, 3, 2)).astype(np.int16)
    valid = rng.random((n_dates, 3, 2)) < 0.6
    found = summarize(statistic, dn, valid, BANDS)
    for y, x in np.ndindex(3, 2):
        seen = dn[valid[:, y, x], :, y, x].astype(np.float64)
        if not len(seen):
            assert np.isnan(found[:, y, x]).all()
        else:
            expected = take_slowly(statistic, seen)
            np.testing.assert_allclose(found[:, y, x], expected, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("statistic", sorted(RULES))
def test_what_is_not_valid_never_counts_and_nothing_gives_nothing(statistic: str) -> None:
    rng = np.random.default_rng(1)
    dn = rng.integers(1, 9000, (6, 2, 4, 4)).astype(np.int16)
    valid = rng.random((6, 4, 4)) < 0.5
    spoilt = np.where(valid[:, None], dn, np.int16(-32000))
    np.testing.assert_array_equal(
        summarize(statistic, dn, valid, BANDS), summarize(statistic, spoilt, valid, BANDS)
    )
    assert np.isnan(summarize(statistic, dn[:0], valid[:0], BANDS)).all()


def test_every_statistic_of_a_spec_has_a_rule_or_a_kernel() -> None:
    assert {"geomedian", "static", *DEVIATIONS, *RULES} == set(STATISTICS)


def test_the_greenest_date_needs_bands_to_tell() -> None:
    dn = np.ones((1, 1, 2, 2), dtype=np.int16)
    with pytest.raises(SpecMismatch, match="nir and red"):
        summarize("greenest", dn, np.ones((1, 2, 2), dtype=bool), ("blue",))


def test_several_rules_of_one_spec_come_from_one_stack() -> None:
    spec = parse_spec_file(
        {
            "name": "mixed",
            "bands": ["red", "nir"],
            "statistics": ["median", "spread", "medoid"],
            "periods": {
                "early": [1, 2, 3, 4, 5, 6],
                "late": {"start": "2020-07-01", "end": "2020-12-31"},
            },
            "indices": {"NDVI": {"formula": "normalized_difference", "inputs": ["nir", "red"]}},
            "layers": ["slope"],
        },
        where="mixed",
    )
    rng = np.random.default_rng(3)
    stack = Stack(
        dn=rng.integers(100, 5000, (5, 2, 3, 3)).astype(np.int16),
        valid=np.ones((5, 3, 3), dtype=bool),
        dates=("2020-02-01", "2020-03-01", "2020-04-01", "2020-08-01", "2020-09-01"),
        read_bytes=0,
    )
    slope = np.full((1, 3, 3), 7, dtype=np.float32)
    made = compose_measured(stack, spec, static=slope)
    row = spec.measured_names.index
    early = stack.dn[:3].astype(np.float64) * 1e-4
    np.testing.assert_allclose(
        made.values[row("nir_early")], np.median(early[:, 1], axis=0), rtol=1e-5
    )
    np.testing.assert_allclose(
        made.values[row("red_spread_early")], early[:, 0].std(axis=0), rtol=1e-4
    )
    np.testing.assert_array_equal(made.values[row("slope")], slope[0])
    assert np.isfinite(made.values).all()
    assert made.counts.tolist()[0][0][0] == 3


def test_days_outside_every_period_are_not_counted() -> None:
    spec = FeatureSpec(
        name="one-day",
        version=1,
        periods=(
            Period(name="d", months=tuple(range(1, 13)), start="2020-03-01", end="2020-03-01"),
        ),
        measured=(Column(name="red_d", statistic="mean", band="red", period="d"),),
        derived=(),
    )
    stack = Stack(
        dn=np.array([10, 20, 30], dtype=np.int16).reshape(3, 1, 1, 1),
        valid=np.ones((3, 1, 1), dtype=bool),
        dates=("2020-02-29", "2020-03-01", "2021-03-01"),
        read_bytes=0,
    )
    made = compose_measured(stack, spec)
    assert made.values.item() == pytest.approx(0.002)
    assert made.counts.item() == 1
