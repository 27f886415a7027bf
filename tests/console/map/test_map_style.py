from __future__ import annotations

import dataclasses
import json
from typing import Any

from geotransfer.console.map.component import make_data
from geotransfer.console.map.spec import (
    Label,
    MapSpec,
    Mark,
    RasterLayer,
    Swipe,
    VectorLayer,
    View,
)
from geotransfer.console.map.style import build_style
from geotransfer.console.palettes import LIGHT

BEFORE = RasterLayer(layer_id="before", name="Map of 2023", url="/geo/r/before/tilejson.json")
AFTER = RasterLayer(layer_id="after", name="Map of 2024", url="/geo/r/{z}/{x}/{y}.png")
VECTORS = (
    VectorLayer(layer_id="outline", name="Outline", url="/geo/o.geojson", is_dashed=True),
    VectorLayer(
        layer_id="areas",
        name="Areas",
        url="/geo/a.geojson",
        mark=Mark.FILL,
        color_property="color",
        id_property="id",
        selected_id="7",
    ),
    VectorLayer(
        layer_id="points", name="Points", url="/geo/p.geojson", mark=Mark.CIRCLE, is_clustered=True
    ),
)
SPEC = MapSpec(
    description="Two maps",
    view=View(bounds=(1, 2, 3, 4)),
    rasters=(BEFORE, AFTER),
    vectors=VECTORS,
    label=Label(name="crop", color="#e69f00"),
)


def list_ids(style: dict[str, Any]) -> list[str]:
    return [layer["id"] for layer in style["layers"]]


def find_layer(style: dict[str, Any], layer_id: str) -> dict[str, Any]:
    return next(layer for layer in style["layers"] if layer["id"] == layer_id)


def test_ground_lies_under_rasters_under_vectors_under_what_is_drawn() -> None:
    ids = list_ids(build_style(SPEC))
    order = [
        "water",
        "land",
        "before",
        "after",
        "names",
        "outline",
        "areas",
        "points",
        "drawn|area",
    ]
    places = [ids.index(layer_id) for layer_id in order]
    assert places == sorted(places)
    assert len(ids) == len(set(ids))


def test_every_layer_has_its_source_on_this_origin() -> None:
    style = build_style(SPEC)
    for layer in style["layers"]:
        assert layer["type"] == "background" or layer["source"] in style["sources"]
    assert style["sources"]["before"]["url"].startswith("/")
    assert style["sources"]["after"]["tiles"] == [AFTER.url]
    assert "://" not in json.dumps(style)


def test_opacity_and_visibility_leave_sources_alone() -> None:
    faint = dataclasses.replace(AFTER, opacity=0.3, is_visible=False)
    one, other = build_style(SPEC), build_style(dataclasses.replace(SPEC, rasters=(BEFORE, faint)))
    assert one["sources"] == other["sources"]
    changed = [a["id"] for a, b in zip(one["layers"], other["layers"], strict=True) if a != b]
    assert changed == ["after"]
    assert find_layer(other, "after")["paint"]["raster-opacity"] == 0.3
    assert find_layer(other, "after")["layout"]["visibility"] == "none"


def test_classes_show_their_pixels_and_photographs_are_smooth() -> None:
    smooth = dataclasses.replace(AFTER, is_smooth=True)
    style = build_style(dataclasses.replace(SPEC, rasters=(BEFORE, smooth)))
    assert find_layer(style, "before")["paint"]["raster-resampling"] == "nearest"
    assert find_layer(style, "after")["paint"]["raster-resampling"] == "linear"


def test_each_side_of_a_swipe_hides_the_other_raster() -> None:
    spec = dataclasses.replace(SPEC, swipe=Swipe(before="before", after="after"))
    styles = make_data(spec, key="k")["styles"]
    shown = {
        side: [
            layer["id"]
            for layer in style["layers"]
            if layer["type"] == "raster" and layer["layout"]["visibility"] == "visible"
        ]
        for side, style in styles.items()
    }
    assert shown == {"after": ["after"], "before": ["before"]}
    assert make_data(spec, key="k")["swipe"] == ["Map of 2023", "Map of 2024"]
    assert "before" not in make_data(SPEC, key="k")["styles"]


def test_themes_have_every_colour_a_style_names() -> None:
    names = set()

    def collect(value: object) -> None:
        if isinstance(value, str) and value.startswith("@"):
            names.add(value[1:])
        for inner in value.values() if isinstance(value, dict) else ():
            collect(inner)
        for inner in value if isinstance(value, list) else ():
            collect(inner)

    collect(build_style(SPEC))
    assert names <= set(dataclasses.asdict(LIGHT))
    assert {"water", "land", "text", "halo", "outline"} <= names


def test_equal_specs_are_equal_bytes() -> None:
    one = make_data(SPEC, key="k")
    other = make_data(dataclasses.replace(SPEC), key="k")
    assert json.dumps(one) == json.dumps(other)
    # The browser gets addresses, never features.
    assert len(json.dumps(one)) < 12_000
