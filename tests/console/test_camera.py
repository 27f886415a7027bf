"""Where a map looks, in an address: written and read back, and never trusted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geotransfer.console.camera import format_view, parse_view
from geotransfer.console.map.spec import SeenView


@given(st.floats(-180, 180), st.floats(-85, 85), st.floats(0, 21))
def test_what_is_written_is_read_back(lon: float, lat: float, zoom: float) -> None:
    view = parse_view(format_view(SeenView(center=(lon, lat), zoom=zoom, bounds=(0, 0, 1, 1))))
    assert view is not None
    assert view.center == pytest.approx((lon, lat), abs=1e-5)
    assert view.zoom == pytest.approx(zoom, abs=0.01)


@pytest.mark.parametrize(
    "text",
    [None, "", "1,2", "1,2,3,4", "a,b,c", "nan,1,1", "1,inf,1", "1,2,nan", "181,0,1", "0,86,1",
     "0,0,22", "0,0,-1", "<script>,0,1"],
)  # fmt: skip
def test_whatever_else_is_no_view(text: str | None) -> None:
    assert parse_view(text) is None
