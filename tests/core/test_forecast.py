from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geotransfer.core.forecast import UnitCosts

costs = st.floats(0.01, 1e4)
values = st.floats(0.01, 1e4)


@given(costs, costs, values)
def test_at_break_even_cost_equals_value(first: float, again: float, value: float) -> None:
    unit = UnitCosts(first=first, again=again)
    later = unit.break_even_later_year(value)
    assert unit.spend_later_year(later) == pytest.approx(value)
    n = unit.break_even_first_year(value)
    if n >= 1:
        assert unit.spend_first_year(n) == pytest.approx(value)
    else:
        assert unit.spend_first_year(1) > value, "even one map is too dear"


def test_refreshes_that_cost_nothing_pay_at_any_cadence() -> None:
    unit = UnitCosts(first=2, again=0)
    assert unit.break_even_first_year(3) == unit.break_even_later_year(0.1) == math.inf
    assert unit.break_even_first_year(1) == 0.5
