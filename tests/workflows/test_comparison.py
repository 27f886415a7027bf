"""Two models side by side: differences only where both were judged on the same rows."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geotransfer.core.estimate import Estimate
from geotransfer.core.region import RegionKind
from geotransfer.errors import NotFound
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.comparison import (
    LEFT_OUT,
    find_contender,
    list_contenders,
    pair_figures,
    subtract,
)
from geotransfer.workflows.prepare import add_reference_regions
from geotransfer.workflows.refresh import refresh
from tests.workflows.conftest import Mapped


@st.composite
def estimates(draw: st.DrawFn) -> Estimate:
    value = draw(st.floats(0, 1))
    low, high = draw(st.floats(0, 0.5)), draw(st.floats(0, 0.5))
    return Estimate(value=value, low=value - low, high=value + high, method="test", n=10)


@given(estimates(), estimates())
def test_a_difference_turned_round_is_its_mirror_image(a: Estimate, b: Estimate) -> None:
    ahead, back = subtract(a, b), subtract(b, a)
    assert ahead.value == pytest.approx(-back.value)
    assert (ahead.low, ahead.high) == pytest.approx((-back.high, -back.low))
    widths = [e.high - e.low for e in (a, b)]
    assert max(widths) - 1e-9 <= ahead.high - ahead.low <= math.fsum(widths) + 1e-9


def test_reference_regions_are_never_subtracted(workspace: Workspace) -> None:
    add_reference_regions(workspace, actor="test")
    first, second = (find_contender(workspace, r, LEFT_OUT) for r in ("eastern", "western"))
    assert first.region.kind is RegionKind.TABLE
    assert first.evaluation is not None
    pairs = pair_figures(first, second)
    assert {"balanced accuracy", "AUC", "reach"} <= {pair.name for pair in pairs}
    assert all(pair.difference is None for pair in pairs)
    assert all(pair.difference is None for pair in pair_figures(first, first))
    # Another model there has other rows; another one here has the same.
    there, here = replace(second, key="other"), replace(first, key="other")
    assert all(pair.difference is None for pair in pair_figures(first, there))
    found = {pair.name: pair.difference for pair in pair_figures(first, here)}
    assert found["balanced accuracy"] is not None
    assert found["balanced accuracy"].value == 0


def test_a_map_has_its_model_to_compare(mapped: Mapped) -> None:
    workspace, region_id = mapped.workspace, mapped.region.region_id
    assert list_contenders(workspace, region_id) == ()
    done = refresh(workspace, region_id, actor="test")
    (only,) = list_contenders(workspace, region_id)
    assert (only.map_id, only.name, only.gates) == (done.map_id, "baseline", ())
    assert only.cost.cpu_s == done.cost.cpu_s
    with pytest.raises(NotFound, match="choose another one"):
        find_contender(workspace, region_id, "no such model")
