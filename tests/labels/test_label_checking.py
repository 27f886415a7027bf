"""Every row that cannot be used is refused with its reason; the others pass untouched."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geotransfer.core.legend import CROPLAND, Legend, LegendClass
from geotransfer.core.spec import S2_SEMIANNUAL
from geotransfer.errors import LabelsInvalid
from geotransfer.labels import CheckedLabels, FaultKind, check_labels, read_labels
from geotransfer.labels.raw import Fault
from geotransfer.labels.sieve import Sieve
from tests.labels.label_files import OUTLINE, make_labels, write_csv, write_geojson

PERIOD = (dt.date(2019, 1, 1), dt.date(2020, 1, 1))
COVER = Legend(
    name="couvert",
    classes=(
        LegendClass(code=3, name="Forêt claire", color="#009e73"),
        LegendClass(code=0, name="non-crop", color="#9a8f97"),
        LegendClass(code=7, name="crop", color="#e69f00"),
    ),
)


def check(text: str | bytes, name: str = "a.csv", **options: object) -> CheckedLabels:
    chosen: dict[str, object] = {
        "region_outline": OUTLINE,
        "imagery_bounds": (4.0, 50.0, 5.5, 52.0),
        "imagery_period": PERIOD,
        "legend": CROPLAND,
    }
    data = text.encode() if isinstance(text, str) else text
    return check_labels(read_labels(data, name), **(chosen | options))  # type: ignore[arg-type]


def kinds(checked: CheckedLabels) -> dict[int, FaultKind]:
    return {item.row: item.kind for item in checked.rejected}


def test_each_bad_row_has_its_reason_and_the_good_ones_go_on() -> None:
    checked = check(
        "lon,lat,class,date\n"
        "4.10,50.10,crop,2019-05-01\n"  # 2 good
        "4.20,50.20,non-crop,\n"  # 3 good, without a date
        ",50.20,crop,2019-05-01\n"  # 4
        "50.30,4.30,crop,2019-05-01\n"  # 5 exchanged
        "8.00,50.20,crop,2019-05-01\n"  # 6 outside the region
        "5.80,50.20,crop,2019-05-01\n"  # 7 outside the imagery
        "4.40,95.00,crop,2019-05-01\n"  # 8
        "200.1,50.00,crop,2019-05-01\n"  # 9
        "4.50,50.20,,2019-05-01\n"  # 10
        "4.60,50.20,maize,2019-05-01\n"  # 11
        "4.70,50.20,crop,last May\n"  # 12
        "4.80,50.20,crop,2018-12-31\n"  # 13
        "4.100001,50.100001,crop,2019-06-01\n"  # 14 repeats 2
        "4.90,50.20,crop,2019\n"  # 15 and 16 contradict each other
        "4.90,50.20,non-crop,2019-07\n"
        "5.00,50.20,Non Crop,2019-12-31\n"  # 17 good
    )
    assert kinds(checked) == {
        4: FaultKind.PLACE_MISSING,
        5: FaultKind.SWAPPED,
        6: FaultKind.OUTSIDE_REGION,
        7: FaultKind.OUTSIDE_IMAGERY,
        8: FaultKind.OFF_EARTH,
        9: FaultKind.OFF_EARTH,
        10: FaultKind.CLASS_MISSING,
        11: FaultKind.CLASS_UNKNOWN,
        12: FaultKind.DATE_UNREADABLE,
        13: FaultKind.OTHER_DATE,
        14: FaultKind.DUPLICATE,
        15: FaultKind.CONFLICT,
        16: FaultKind.CONFLICT,
    }
    assert checked.good.rows.tolist() == [2, 3, 17]
    assert checked.class_names == ("crop", "non-crop", "non-crop")
    assert checked.codes.tolist() == [1, 0, 0]
    reasons = {item.row: item.reason for item in checked.rejected}
    assert reasons[14] == "it repeats place and class of line 2"
    assert reasons[15] == "it says 'crop', but line 16 says 'non-crop' at the same place"
    assert "(2019-01-01 to 2019-12-31)" in reasons[13]
    assert all(item.remedy for item in checked.rejected)
    assert any("1 label without a date" in warning for warning in checked.warnings)
    assert any("'Non Crop' → 'non-crop'" in warning for warning in checked.warnings)
    assert checked.n_by_kind[FaultKind.CONFLICT] == 2


def test_exchanged_coordinates_are_said_and_turned_only_on_request() -> None:
    text = "lon,lat,class\n50.1,4.1,crop\n50.2,4.2,non-crop\n4.3,50.3,crop\n"
    said = check(text)
    assert set(kinds(said).values()) == {FaultKind.SWAPPED}
    assert any("in 2 of 3 labels longitude and latitude look exchanged" in w for w in said.warnings)
    fixed = check(text, fix_swapped=True)
    assert not fixed.rejected
    assert shapely.get_coordinates(fixed.good.geometry).tolist() == [
        [4.1, 50.1],
        [4.2, 50.2],
        [4.3, 50.3],
    ]
    assert any("were exchanged in 2 labels, as you chose" in w for w in fixed.warnings)


def test_other_dates_pass_only_on_request() -> None:
    text = "lon,lat,class,date\n4.1,50.1,crop,2017\n4.2,50.2,non-crop,2020-01-01\n"
    assert set(kinds(check(text)).values()) == {FaultKind.OTHER_DATE}
    accepted = check(text, accept_other_dates=True)
    assert not accepted.rejected
    assert any("2 labels dated outside" in warning for warning in accepted.warnings)
    assert not check(text, imagery_period=None).rejected


def test_classes_are_matched_by_name_spelling_code_and_choice() -> None:
    given = [
        "Forêt claire",
        "FORET_CLAIRE",
        "7",
        "0.000e+00",
        "noncrop",
        "champ",
        "eau",
        "foret clair",
    ]
    rows = [(4 + i / 10, 50.5, name) for i, name in enumerate(given)]
    text = write_csv("lon,lat,class", rows)
    mapping = {"champ": "crop", "eau": ""}
    checked = check(text, legend=COVER, mapping=mapping)
    how = {match.given: (match.class_name, match.how) for match in checked.mapping.matches}
    assert how == {
        "Forêt claire": ("Forêt claire", "same name"),
        "FORET_CLAIRE": ("Forêt claire", "same but for spelling"),
        "7": ("crop", "code of the legend"),
        "0.000e+00": ("non-crop", "code of the legend"),
        "noncrop": ("non-crop", "same but for spelling"),
        "champ": ("crop", "chosen"),
        "eau": (None, "left out"),
        "foret clair": (None, "unknown"),
    }
    assert checked.codes.tolist() == [3, 3, 7, 0, 0, 7]
    assert checked.mapping.unknown[0].suggestions == ("Forêt claire",)
    assert kinds(checked) == {8: FaultKind.CLASS_LEFT_OUT, 9: FaultKind.CLASS_UNKNOWN}
    assert "map it to 'Forêt claire'" in checked.rejected[1].remedy
    # What was proposed can be given back as the choice, and changes nothing.
    again = check(text, legend=COVER, mapping=checked.mapping.used)
    assert again.codes.tolist() == checked.codes.tolist()
    with pytest.raises(LabelsInvalid, match="mapped to 'wheat', which legend 'couvert'"):
        check(text, legend=COVER, mapping={"champ": "wheat"})


def test_outlines_are_judged_as_outlines() -> None:
    def feature(shape: shapely.Geometry, name: str) -> dict[str, object]:
        geometry = json.loads(shapely.to_geojson(shape))
        return {"type": "Feature", "properties": {"class": name}, "geometry": geometry}

    circle = shapely.Point(4.5, 51).buffer(0.01, quad_segs=5000)
    bow = shapely.Polygon([(4.1, 51), (4.101, 51.001), (4.101, 51), (4.1, 51.001)])
    features = [
        feature(shapely.box(4.2, 50.2, 4.201, 50.201), "crop"),  # 1 good
        feature(shapely.box(4.2005, 50.2, 4.2015, 50.201), "crop"),  # 2 overlaps its own class
        feature(shapely.box(4.3, 50.2, 4.301, 50.201), "crop"),  # 3 and 4: another class on top
        feature(shapely.box(4.3001, 50.2, 4.3011, 50.201), "non-crop"),
        feature(shapely.box(4.4, 50.2, 4.401, 50.201), "crop"),  # 5 a sliver shared with 6
        feature(shapely.box(4.4009, 50.2, 4.4019, 50.201), "non-crop"),
        feature(shapely.Point(4.45, 50.2), "crop"),  # 7 in the outline 8 of another class
        feature(shapely.box(4.4495, 50.1995, 4.4505, 50.2005), "non-crop"),
        feature(circle, "crop"),  # 9
        feature(bow, "crop"),  # 10
        feature(shapely.box(4.1, 50.1, 4.9, 50.9), "crop"),  # 11
        feature(shapely.LineString([(4.1, 50.1), (4.2, 50.2)]), "crop"),  # 12
        feature(shapely.MultiPoint([(4.61, 50.1), (4.62, 50.2)]), "crop"),  # 13
        feature(shapely.MultiPoint([(4.71, 50.1)]), "crop"),  # 14 good, one part
        feature(shapely.Polygon(), "crop"),  # 15
        feature(shapely.box(4.2, 50.2, 4.201, 50.201), "crop"),  # 16 repeats 1
    ]
    document = json.dumps({"type": "FeatureCollection", "features": features})
    checked = check(document, "a.geojson")
    assert kinds(checked) == {
        3: FaultKind.CONFLICT,
        4: FaultKind.CONFLICT,
        7: FaultKind.CONFLICT,
        8: FaultKind.CONFLICT,
        9: FaultKind.TOO_LARGE,
        10: FaultKind.OUTLINE_INVALID,
        11: FaultKind.TOO_LARGE,
        12: FaultKind.NOT_A_PLACE,
        13: FaultKind.NOT_A_PLACE,
        15: FaultKind.PLACE_MISSING,
        16: FaultKind.DUPLICATE,
    }
    assert checked.good.geometry[-1].geom_type == "Point"


def test_one_class_one_pixel_and_nothing_good_are_said() -> None:
    one = check("lon,lat,class\n4.1,50.1,crop\n4.10005,50.1,crop\n")
    assert any("all good labels are of class 'crop'" in warning for warning in one.warnings)
    assert any("in one pixel" in warning for warning in one.warnings)
    two = check("lon,lat,class\n4.1,50.1,crop\n4.2,50.1,non-crop\n")
    assert not any("pixel" in w or "all good" in w for w in two.warnings)
    none = check("lon,lat,class\n9,9,crop\n")
    assert any("no label is good" in warning for warning in none.warnings)
    assert len(none.good) == 0


def test_feature_tables_must_be_complete_and_are_compared_by_features() -> None:
    names = S2_SEMIANNUAL.measured_names
    values = np.random.default_rng(1).random((5, len(names))).round(5).tolist()
    values[1] = values[0]
    values[3][4] = ""
    values[4] = values[2]
    rows = [(c, *row) for c, row in zip([1, 1, 0, 1, 1], values, strict=True)]
    checked = check(write_csv(",".join(("Class", *names)), rows))
    assert kinds(checked) == {
        3: FaultKind.DUPLICATE,
        4: FaultKind.CONFLICT,
        5: FaultKind.FEATURE_MISSING,
        6: FaultKind.CONFLICT,
    }
    assert names[4] in checked.rejected[2].reason
    assert any("says no places" in warning for warning in checked.warnings)


def test_a_label_in_the_sea_of_a_region_of_islands_is_outside() -> None:
    islands = shapely.MultiPolygon([shapely.box(4, 50, 4.5, 51), shapely.box(5, 50, 5.5, 51)])
    text = "lon,lat,class\n4.2,50.5,crop\n4.7,50.5,crop\n5.2,50.5,non-crop\n"
    checked = check(text, region_outline=shapely.to_geojson(islands))
    assert kinds(checked) == {3: FaultKind.OUTSIDE_REGION}


def test_fifty_thousand_labels_pass() -> None:
    rng = np.random.default_rng(3)
    xy = np.column_stack([rng.uniform(4, 5.5, 50_000), rng.uniform(50, 52, 50_000)])
    rows = [(f"{x:.7f}", f"{y:.7f}", i % 2) for i, (x, y) in enumerate(xy.tolist())]
    checked = check(write_csv("lon,lat,class", rows))
    assert len(checked.good) + len(checked.rejected) == 50_000
    assert set(checked.n_by_kind) <= {FaultKind.DUPLICATE, FaultKind.CONFLICT}


def test_many_outlines_on_top_of_each_other_end_in_reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geotransfer.labels.duplicates.MAX_OVERLAPS", 100)
    labels = make_labels(60, outlines=True)
    shapes = shapely.box(4.5, 51, 4.51 + np.arange(60) * 1e-4, 51.01)
    text = write_geojson(type(labels)(shapes, ["crop", "non-crop"] * 30, labels.days))
    checked = check(text, "a.geojson")
    assert any("more than 100 pairs of overlapping labels" in w for w in checked.warnings)


def test_a_row_keeps_the_first_reason_it_was_refused_for() -> None:
    sieve = Sieve(3)
    first, second = (Fault(kind, "why", "what") for kind in (FaultKind.ROW, FaultKind.CONFLICT))
    sieve.refuse({1: first})
    sieve.refuse({1: second, 2: second})
    sieve.refuse_where(np.array([True, True, False]), FaultKind.DUPLICATE, "again", "nothing")
    assert {i: fault.kind for i, fault in sieve.faults.items()} == {
        0: FaultKind.DUPLICATE,
        1: FaultKind.ROW,
        2: FaultKind.CONFLICT,
    }
    assert not sieve.open.any()


@pytest.mark.reference
def test_real_labels_of_central_africa_are_read_and_nearly_all_good(reference_data: Path) -> None:
    folder = reference_data / "deafrica-cropland-2019" / "central"
    outline = read_labels_outline(folder / "region.geojson")
    checked = check_labels(
        read_labels((folder / "labels.geojson").read_bytes(), "labels.geojson"),
        region_outline=outline,
        imagery_bounds=None,
        imagery_period=PERIOD,
        legend=CROPLAND,
    )
    assert len(checked.table) > 3_000
    assert len(checked.good) > 0.9 * len(checked.table)
    assert {m.how for m in checked.mapping.matches} == {"code of the legend"}
    assert set(checked.n_by_kind) <= {
        FaultKind.DUPLICATE,
        FaultKind.CONFLICT,
        FaultKind.OUTSIDE_REGION,
    }


@pytest.mark.reference
def test_a_real_feature_table_is_taken_as_it_is(reference_data: Path) -> None:
    path = reference_data / "deafrica-cropland-2019" / "eastern" / "training_data.txt"
    checked = check(path.read_bytes(), path.name)
    assert checked.table.spec_names == ("s2-semiannual", "s2-semiannual-climate")
    assert len(checked.table) == 4_444
    assert set(checked.n_by_kind) <= {FaultKind.DUPLICATE, FaultKind.CONFLICT}
    table = np.loadtxt(path, skiprows=1)
    row = int(checked.good.rows[-1]) - 2
    assert checked.good.numbers["nir_S2"][-1] in table[row]


def read_labels_outline(path: Path) -> str:
    """A region's outline, any CRS, as GeoJSON in EPSG:4326."""
    document = json.loads(path.read_text())
    for feature in document["features"]:
        feature["properties"] = {"class": "outline"}
    table = read_labels(json.dumps(document).encode(), "region.geojson")
    return str(shapely.to_geojson(shapely.union_all(table.geometry)))


NAMES = st.sampled_from(["crop", "non-crop", "maize", ""])
LONGITUDES = st.sampled_from(["4.1", "4.100001", "4.2", "5.7", "7.5", "", "x", "50.3"])
LATITUDES = st.sampled_from(["50.1", "50.3", "4.2", "95", ""])
DAYS = st.sampled_from(["", "2019-03-01", "2019", "2018-06", "soon"])


def explain_slowly(rows: list[tuple[str, str, str, str]]) -> dict[int, str]:
    """The same rules row by row, on points only, as one would write them first."""
    found: dict[int, str] = {}
    places: dict[tuple[int, int], list[tuple[int, str]]] = {}
    for line, (lon, lat, name, day) in enumerate(rows, start=2):
        if not lon or not lat:
            # The first coordinate at fault is the one that is explained.
            found[line] = "place cannot be read" if lon == "x" else "no place"
            continue
        if lon == "x":
            found[line] = "place cannot be read"
            continue
        x, y = float(lon), float(lat)
        inside = 4 <= x <= 6 and 50 <= y <= 52
        if not inside and 4 <= y <= 6 and 50 <= x <= 52:
            found[line] = "longitude and latitude swapped"
        elif abs(y) > 90:
            found[line] = "not on earth"
        elif not inside:
            found[line] = "outside the region"
        elif x > 5.5:
            found[line] = "outside the imagery"
        elif not name:
            found[line] = "no class"
        elif name == "maize":
            found[line] = "unknown class"
        elif day == "soon":
            found[line] = "date cannot be read"
        elif day == "2018-06":
            found[line] = "outside the imagery's period"
        else:
            places.setdefault((round(x * 1e5), round(y * 1e5)), []).append((line, name))
    for here in places.values():
        if len({name for _, name in here}) > 1:
            found |= {line: "conflicting labels" for line, _ in here}
        else:
            found |= {line: "duplicate" for line, _ in here[1:]}
    return found


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(LONGITUDES, LATITUDES, NAMES, DAYS), min_size=1, max_size=12))
def test_the_vectorised_rules_agree_with_the_slow_ones(
    rows: list[tuple[str, str, str, str]],
) -> None:
    header = "lon,lat,class,date"
    kept = [row for row in rows if any(row)]
    if not kept:
        return
    # A row that certainly holds a date keeps the column from being taken for none.
    kept.append(("4.9", "51", "crop", "2019-03-01"))
    checked = check(write_csv(header, kept))
    assert {row: str(kind) for row, kind in kinds(checked).items()} == explain_slowly(kept)
    assert sorted([*kinds(checked), *checked.good.rows.tolist()]) == [
        line for line, _ in enumerate(kept, start=2)
    ]
