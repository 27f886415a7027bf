from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geotransfer.console.map.spec import (
    Drawing,
    DrawnFeature,
    MapSpec,
    RasterLayer,
    Swipe,
    VectorLayer,
    View,
    parse_event,
)
from geotransfer.errors import InputError

SPEC = MapSpec(description="A map", view=View())
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
places = st.tuples(st.floats(-180, 180), st.floats(-90, 90))


@pytest.mark.parametrize(
    "url",
    [
        "https://tiles.example/{z}/{x}/{y}.png",
        "//tiles.example/{z}/{x}/{y}.png",
        "geo/raster/r/class/tilejson.json",
        "/\\tiles.example/x.png",
        "javascript:alert(1)",
        "data:image/png;base64,AAAA",
        "",
    ],
)
def test_only_paths_of_this_origin_are_taken(url: str) -> None:
    with pytest.raises(InputError, match="not on this origin"):
        RasterLayer(layer_id="a", name="A", url=url)
    with pytest.raises(InputError, match="not on this origin"):
        VectorLayer(layer_id="a", name="A", url=url)
    with pytest.raises(InputError, match="not on this origin"):
        MapSpec(description="", view=View(), base_url=url)


def test_contradictions_are_refused() -> None:
    layer = RasterLayer(layer_id="a", name="A", url="/geo/a")
    vector = VectorLayer(layer_id="a", name="A", url="/geo/a")
    with pytest.raises(InputError, match="'a' is used twice"):
        MapSpec(description="", view=View(), rasters=(layer,), vectors=(vector,))
    with pytest.raises(InputError, match="swipe names layer 'b'"):
        MapSpec(description="", view=View(), rasters=(layer,), swipe=Swipe(before="a", after="b"))
    with pytest.raises(InputError, match="opacity is 2"):
        RasterLayer(layer_id="a", name="A", url="/geo/a", opacity=2)


@given(places)
def test_click_and_view_are_read(place: tuple[float, float]) -> None:
    lon, lat = place
    event = parse_event(
        {
            "click": {"lon": lon, "lat": lat, "layer": "points", "feature": "p1"},
            "view": {"center": [lon, lat], "zoom": 3, "bounds": [-1, -2, 3, 4]},
        },
        SPEC,
    )
    assert event.click is not None
    assert (event.click.lon, event.click.lat) == place
    assert (event.click.layer_id, event.click.feature_id) == ("points", "p1")
    assert event.view is not None
    assert event.view.center == place
    assert event.view.bounds == (-1, -2, 3, 4)


@given(
    st.dictionaries(st.sampled_from(["click", "view", "drawn", "other"]), json_values),
    st.lists(json_values, max_size=3),
)
def test_nothing_a_browser_sends_breaks_a_page(state: dict[str, Any], features: list[Any]) -> None:
    state.setdefault("drawn", {"revision": 0, "features": features})
    event = parse_event(state, SPEC)
    for feature in event.drawn:
        assert feature.geometry["type"] in ("Point", "Polygon")


@given(st.lists(places, min_size=3, max_size=8))
def test_drawn_features_are_read_whole(corners: list[tuple[float, float]]) -> None:
    ring = [list(corner) for corner in (*corners, corners[0])]
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [ring]},
            "properties": {"label": "crop", "color": "#e69f00"},
        },
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": ring[0]}},
        {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring[:-1]]}},
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": [200, 0]}},
    ]
    drawn = parse_event({"drawn": {"revision": 0, "features": features}}, SPEC).drawn
    closed = ring[:-1][0] == ring[:-1][-1] and len(ring) > 4
    assert len(drawn) == (3 if closed else 2)  # the open ring and the impossible point are not
    assert drawn[0].label == "crop"
    assert drawn[0].geometry["coordinates"] == [[tuple(place) for place in ring]]


def test_what_was_drawn_before_the_page_changed_it_is_not_told() -> None:
    saved = DrawnFeature(geometry={"type": "Point", "coordinates": (1.0, 2.0)}, label="crop")
    spec = MapSpec(description="", view=View(), drawing=Drawing(revision=5, features=(saved,)))
    stale = {"drawn": {"revision": 4, "features": []}}
    assert parse_event(stale, spec).drawn == (saved,)
    assert parse_event({}, spec).drawn == (saved,)
    cleared = {"drawn": {"revision": 5, "features": []}}
    assert parse_event(cleared, spec).drawn == ()
