"""A spec file becomes the spec it describes, or one sentence; old content ids stay."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from geotransfer.core.identity import to_plain
from geotransfer.core.spec import (
    BANDS,
    FORMULAS,
    S2_SEMIANNUAL,
    S2_SEMIANNUAL_CLIMATE,
    STATISTICS,
    FeatureSpec,
    parse_spec,
)
from geotransfer.core.spec_file import CALENDARS, KEYS, N_INPUTS, parse_spec_file
from geotransfer.errors import DefinitionInvalid
from geotransfer.store.shipped import BASELINE, BASELINE_CARD, locate_shipped

DEFAULT = """
name: mine
periods: half-years
bands: [blue, green, red, nir, swir_1, swir_2, red_edge_1, red_edge_2, red_edge_3]
statistics: [geomedian, edev, sdev, bcdev]
indices:
  NDVI: {formula: normalized_difference, inputs: [nir, red]}
  LAI: {formula: leaf_area_index, inputs: [nir, red, blue]}
  MNDWI: {formula: normalized_difference, inputs: [green, swir_1]}
"""


def parse(text: str) -> FeatureSpec:
    return parse_spec_file(yaml.safe_load(text), where="mine.yaml")


def test_old_content_ids_stay_and_the_shipped_baseline_is_of_the_default_spec() -> None:
    assert S2_SEMIANNUAL.spec_id.startswith("c15fe6e1419a7189366f849d507ae333")
    assert S2_SEMIANNUAL_CLIMATE.spec_id.startswith("233357da8668a1bc9f3953b1f8ce0a8c")
    card = json.loads(locate_shipped(BASELINE_CARD).read_text())
    assert card["version"]["lineage"]["spec_id"] == S2_SEMIANNUAL.spec_id
    model = json.loads(locate_shipped(BASELINE).read_text())
    assert model["content"]["spec"] == to_plain(S2_SEMIANNUAL)


def test_the_default_spec_could_be_a_file() -> None:
    spec = parse(DEFAULT)
    assert spec.measured == S2_SEMIANNUAL.measured
    assert spec.periods == S2_SEMIANNUAL.periods
    assert spec.bands == BANDS
    assert parse_spec(to_plain(spec)).spec_id == spec.spec_id


def test_one_band_on_many_dates() -> None:
    spec = parse(
        "{name: dates, bands: [ndvi], statistics: first, periods: [2017-05-01, 2017-05-21]}"
    )
    assert spec.measured_names == ("ndvi_d20170501", "ndvi_d20170521")
    assert spec.find_period("2017-05-21T10:00:00Z") == "d20170521"
    assert spec.find_period("2017-05-22T10:00:00Z") is None
    assert spec.find_period("2016-05-21T10:00:00Z") is None


def test_an_annual_embedding_of_sixty_four_bands() -> None:
    spec = parse(
        "{name: embedding, bands: A00..A63, statistics: first, periods: year, min_valid: 1}"
    )
    assert len(spec.measured) == 64
    assert (spec.bands[0], spec.bands[63]) == ("A00", "A63")
    assert spec.find_period("2020-12-31") == "year"


def test_monthly_statistics_with_columns_that_combine_them() -> None:
    spec = parse("""
name: months
bands: [ndvi]
statistics: [median, maximum]
periods: months
gap_filling: linear
derived:
  highest: {formula: maximum, inputs: ["ndvi_maximum_*"]}
  amplitude: {formula: range, inputs: ["ndvi_m0*", "ndvi_m1*"]}
""")
    assert spec.measured_names[:3] == ("ndvi_m01", "ndvi_maximum_m01", "ndvi_m02")
    assert len(spec.derived[0].inputs) == 12
    assert spec.gap_filling == "linear"


def test_layers_come_last_and_need_no_period() -> None:
    spec = parse("{name: hills, bands: [red], layers: [slope], statistics: [medoid]}")
    assert spec.layers == ("slope",)
    assert spec.measured[-1].statistic == "static"
    alone = parse("{name: alone, layers: [slope, elevation]}")
    assert alone.periods == ()
    assert alone.bands == ()


def test_every_formula_says_how_many_columns_it_reads() -> None:
    assert set(N_INPUTS) == set(FORMULAS)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[1, 2]", "not a mapping"),
        ("{bands: [red]}", "'name' is missing"),
        ("{name: Ä, bands: [red]}", "name 'Ä'"),
        ("{name: x, band: [red]}", "'band' is not known"),
        ("{name: x}", "neither bands nor layers"),
        ("{name: x, bands: {red: 1}}", "'bands' is no list"),
        ("{name: x, bands: [red, red]}", "'red' is listed twice"),
        ("{name: x, bands: ['re d']}", "'re d'"),
        ("{name: x, bands: [red], periods: weekly}", "'weekly' is not known"),
        ("{name: x, bands: [red], periods: {a: [0]}}", "months from 1 to 12"),
        ("{name: x, bands: [red], periods: {a: [1, 2], b: [2]}}", "share days"),
        ("{name: x, bands: [red], periods: {a: [1], b: {start: 2020-07-01}}}", "share days"),
        ("{name: x, bands: [red], periods: {a: {start: '2020-02-30'}}}", "no day"),
        (
            "{name: x, bands: [red], periods: {a: {start: 2021-01-01, end: 2020-01-01}}}",
            "ends before",
        ),
        ("{name: x, bands: [red], statistics: [mode]}", "'mode' is not known"),
        ("{name: x, bands: [red], statistics: [static]}", "'static' is not known"),
        ("{name: x, bands: [red], statistics: [edev]}", "need a centre"),
        ("{name: x, bands: [red], indices: {I: {formula: eval, inputs: [red]}}}", "'eval' is not"),
        ("{name: x, bands: [red], indices: {I: {formula: negative, inputs: [nir]}}}", "'nir_year'"),
        (
            "{name: x, bands: [red], derived: {d: {formula: share, inputs: [red_year]}}}",
            "at least 2",
        ),
        (
            "{name: x, bands: [red], derived: {red_year: {formula: negative, inputs: red_year}}}",
            "two",
        ),
        ("{name: x, bands: [red], min_valid: -1}", "min_valid"),
        ("{name: x, bands: [red], gap_filling: spline}", "'spline'"),
        ("{name: x, bands: [red], gap_filling: linear}", "fewer than three"),
        ("{name: x, bands: b0..b99999}", "4001 columns"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_kind_sentence(text: str, told: str) -> None:
    with pytest.raises(DefinitionInvalid) as caught:
        parse(text)
    message = str(caught.value)
    assert told in message
    assert message.startswith("mine.yaml: ")
    assert message.endswith(".")
    assert "; " in message, "the remedy follows"


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 40) | st.floats(allow_nan=True)
    | st.sampled_from([*KEYS, *STATISTICS, *CALENDARS, "red", "nir", "a*", "2020-01-01", ""]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["red", "formula", "inputs", "months", "start"]), inner),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(KEYS), PLAIN, max_size=6))
def test_whatever_is_in_a_file_it_is_a_spec_or_a_sentence(plain: dict[str, Any]) -> None:
    try:
        spec = parse_spec_file({"name": "any", "bands": ["red"], **plain}, where="f.yaml")
    except DefinitionInvalid as error:
        told = str(error)
    else:
        assert parse_spec(to_plain(spec)) == spec
        return
    assert told.startswith("f.yaml: ")
