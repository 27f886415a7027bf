"""Legend and sensor files: the row they describe, or one sentence."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from geotransfer.core.decode import from_plain
from geotransfer.core.definition import parse_legend, parse_sensor
from geotransfer.core.identity import to_plain
from geotransfer.core.legend import CLASS_COLORS, Legend
from geotransfer.core.sensor import MaskKind, Sensor
from geotransfer.errors import DefinitionInvalid


def test_a_legend_of_four_classes_gets_colours_where_it_brings_none() -> None:
    legend = parse_legend(
        {
            "name": "cover",
            "classes": [
                {"code": 3, "name": "maize"},
                {"code": 7, "name": "forest", "color": "#00FF00"},
                {"code": 11, "name": "water"},
                {"code": 254, "name": "town"},
            ],
        },
        where="cover.yaml",
    )
    assert legend.codes == (3, 7, 11, 254)
    assert legend.classes[1].color == "#00ff00"
    assert legend.classes[2].color == CLASS_COLORS[2]
    assert not legend.is_binary
    names = dict(zip(legend.codes, legend.names, strict=True))
    assert names[11] == "water"
    assert names.get(12) is None


@pytest.mark.parametrize(
    ("classes", "told"),
    [
        ([{"code": 1, "name": "a"}], "at least two"),
        ("a, b", "at least two"),
        ([{"code": 1, "name": "a"}, {"code": 1, "name": "b"}], "the code 1"),
        ([{"code": 1, "name": "a"}, {"code": 2, "name": "A"}], "the name 'a'"),
        ([{"code": 255, "name": "a"}, {"code": 2, "name": "b"}], "from 0 to 254"),
        ([{"code": True, "name": "a"}, {"code": 2, "name": "b"}], "the code True"),
        ([{"code": 1, "name": " "}, {"code": 2, "name": "b"}], "no name"),
        ([{"code": 1, "name": "a", "color": "red"}, {"code": 2, "name": "b"}], "color 'red'"),
        ([{"code": 1}, {"code": 2, "name": "b"}], "'name' is missing"),
        ([7, {"code": 2, "name": "b"}], "class 1 is not a mapping"),
    ],
)
def test_a_legend_that_cannot_be_used_is_one_sentence(classes: Any, told: str) -> None:
    with pytest.raises(DefinitionInvalid, match=told):
        parse_legend({"name": "x", "classes": classes}, where="x.yaml")


SENSOR = """
name: planet
bands: {B1: blue, B2: green, B3: red, "stack:4": nir}
scale: 0.0001
nodata: 0
collections: [planetscope]
masks:
  udm: {kind: classes, bad: [1, 2], dilate_px: 3}
"""


def test_a_sensor_names_bands_of_files_scale_and_masks() -> None:
    sensor = parse_sensor(yaml.safe_load(SENSOR), where="planet.yaml")
    assert sensor.bands["stack:4"] == "nir"
    assert (sensor.scale, sensor.offset, sensor.nodata) == (0.0001, 0.0, 0.0)
    assert sensor.masks["udm"].kind is MaskKind.CLASSES
    assert sensor.masks["udm"].dilate_px == 3
    assert from_plain(Sensor, to_plain(sensor)) == sensor


def test_a_sensor_without_a_mask_is_accepted() -> None:
    sensor = parse_sensor({"name": "plain", "bands": ["ndvi"]}, where="plain.yaml")
    assert sensor.masks == {}
    assert sensor.bands == {"ndvi": "ndvi"}
    assert sensor.collections == ("plain",)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"bands": []}, "no bands"),
        ({"bands": {"B1": "re d"}}, "band name 're d'"),
        ({"scale": 0}, "scale is 0"),
        ({"scale": "one"}, "no number"),
        ({"scale": True}, "no number"),
        ({"nodata": "none"}, "no number"),
        ({"masks": [1]}, "no mapping|not a mapping"),
        ({"masks": {"m": {"kind": "fuzzy"}}}, "kind 'fuzzy'"),
        ({"masks": {"m": {"kind": "bits"}}}, "lists no bad bits"),
        ({"masks": {"m": {"kind": "bits", "bad": [40]}}}, "bit 40"),
        ({"masks": {"m": {"kind": "classes", "bad": [-1]}}}, "whole numbers"),
        ({"masks": {"m": {"kind": "flag", "bad": [1]}}}, "flag and lists"),
        ({"masks": {"m": {"kind": "flag", "dilate_px": 1000}}}, "from 0 to 100"),
        ({"wavelength": 1}, "'wavelength' is not known"),
    ],
)
def test_a_sensor_that_cannot_be_used_is_one_sentence(change: dict[str, Any], told: str) -> None:
    with pytest.raises(DefinitionInvalid, match=told) as caught:
        parse_sensor({**yaml.safe_load(SENSOR), **change}, where="s.yaml")
    assert str(caught.value).startswith("s.yaml: ")


SCRAPS = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 300) | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["code", "name", "color", "kind", "bad"]), inner)
    ),
    max_leaves=8,
)


@given(SCRAPS, SCRAPS)
def test_scraps_are_rows_or_sentences(one: Any, two: Any) -> None:
    for parse, plain in (
        (parse_legend, {"name": "x", "classes": one}),
        (parse_sensor, {"name": "x", "bands": one, "masks": two}),
        (parse_sensor, one),
    ):
        try:
            assert isinstance(parse(plain, where="f"), Legend | Sensor)
        except DefinitionInvalid as error:
            told = str(error)
        else:
            continue
        assert told.startswith("f: ")
