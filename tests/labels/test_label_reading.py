"""Every format, encoding and reference system gives the same labels."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geotransfer.core.spec import S2_SEMIANNUAL
from geotransfer.errors import LabelsInvalid
from geotransfer.labels import ColumnChoice, FaultKind, LabelTable, preview_labels, read_labels
from tests.labels.label_files import (
    Labels,
    make_labels,
    project,
    write_csv,
    write_geojson,
    write_geoparquet,
    write_vector,
    zip_files,
)

UTM = "EPSG:32631"
LABELS = make_labels()
SQUARES = make_labels(outlines=True)


def rows_of(labels: Labels) -> list[tuple[object, ...]]:
    return [
        (x, y, name, day)
        for (x, y), name, day in zip(labels.xy.tolist(), labels.names, labels.days, strict=True)
    ]


def text_of(delimiter: str = ",", *, comma: bool = False) -> str:
    rows = rows_of(LABELS)
    if comma:
        rows = [(str(x).replace(".", ","), str(y).replace(".", ","), *r) for x, y, *r in rows]
    return write_csv(delimiter.join(("Lon", "LAT", "Class", "Date")), rows, delimiter)


def assert_same(table: LabelTable, labels: Labels, *, tolerance: float = 1e-7) -> None:
    assert not table.faults
    assert table.class_names.tolist() == list(labels.names)
    assert table.dates.format() == list(labels.days)
    # A distance between shapes does not depend on the corner an outline starts at.
    assert shapely.hausdorff_distance(table.geometry, labels.geometry).max() < tolerance


@pytest.mark.parametrize(
    ("data", "name"),
    [
        pytest.param(text_of().encode(), "a.csv", id="comma"),
        pytest.param(text_of(";").encode(), "a.csv", id="semicolon"),
        pytest.param(text_of(";", comma=True).encode(), "a.csv", id="decimal comma"),
        pytest.param(text_of("\t", comma=True).encode(), "a.tsv", id="tab"),
        pytest.param(text_of("|").encode(), "a.txt", id="bar"),
        pytest.param(text_of().encode("utf-8-sig"), "a.csv", id="UTF-8 with mark"),
        pytest.param(text_of().encode("utf-16"), "a.csv", id="UTF-16"),
        pytest.param(text_of().encode("utf-16-be"), "a.csv", id="UTF-16 without mark"),
        pytest.param(text_of().encode("utf-32"), "a.csv", id="UTF-32"),
        pytest.param(text_of().encode("latin-1"), "a.csv", id="Latin-1"),
        pytest.param(text_of().replace("\n", "\r\n").encode(), "a.csv", id="CRLF"),
        pytest.param(text_of().replace("\n", "\r").encode(), "a.csv", id="CR"),
        pytest.param(b"sep=;\r\n" + text_of(";").encode(), "a.csv", id="sep line"),
        pytest.param(write_geojson(LABELS), "a.geojson", id="GeoJSON"),
        pytest.param(write_geojson(LABELS).decode().encode("utf-16"), "a.json", id="wide GeoJSON"),
        pytest.param(write_geojson(LABELS, UTM), "a.geojson", id="GeoJSON UTM"),
        pytest.param(write_vector(LABELS, "GPKG")["labels.gpkg"], "a.gpkg", id="GeoPackage"),
        pytest.param(
            write_vector(LABELS, "GPKG", crs=UTM)["labels.gpkg"], "a.gpkg", id="GeoPackage UTM"
        ),
        pytest.param(zip_files(write_vector(LABELS, "ESRI Shapefile")), "a.zip", id="Shapefile"),
        pytest.param(
            zip_files(write_vector(LABELS, "ESRI Shapefile", crs=UTM), folder="deep/er/"),
            "a.zip",
            id="Shapefile UTM in folders",
        ),
        pytest.param(write_geoparquet(LABELS), "a.parquet", id="GeoParquet"),
        pytest.param(write_geoparquet(LABELS, UTM), "a.geoparquet", id="GeoParquet UTM"),
    ],
)
def test_every_format_gives_the_same_labels(data: bytes, name: str) -> None:
    assert_same(read_labels(data, name), LABELS)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (write_geojson(SQUARES, UTM), "a.geojson"),
        (write_vector(SQUARES, "GPKG", crs="EPSG:3857")["labels.gpkg"], "a.gpkg"),
        (zip_files(write_vector(SQUARES, "ESRI Shapefile")), "a.zip"),
        (write_geoparquet(SQUARES, "EPSG:3035"), "a.parquet"),
    ],
)
def test_outlines_arrive_as_they_are(data: bytes, name: str) -> None:
    table = read_labels(data, name)
    assert set(shapely.get_type_id(table.geometry)) == {3}
    assert_same(table, SQUARES)


def test_wkt_with_semicolons_and_a_stated_system() -> None:
    projected = project(LABELS.geometry, UTM)
    rows = [
        (f"SRID=32631;{shapely.to_wkt(g, rounding_precision=6)}", n, d)
        for g, n, d in zip(projected, LABELS.names, LABELS.days, strict=True)
    ]
    quoted = [(f'"{g}"', n, d) for g, n, d in rows]
    table = read_labels(write_csv("Geometrie;class;date", quoted, ";").encode(), "a.csv")
    assert_same(table, LABELS)
    assert (table.crs.crs, table.crs.source) == (UTM, "stated by the file")
    assert ("geometry", "Geometrie", "by what it holds") in [
        (g.role, g.column, g.why) for g in table.guesses
    ]


def test_x_and_y_need_a_system_and_take_it_from_choice_or_column() -> None:
    xy = shapely.get_coordinates(project(LABELS.geometry, UTM))
    rows = [(*p, n, d) for p, n, d in zip(xy.tolist(), LABELS.names, LABELS.days, strict=True)]
    data = write_csv("x,y,class,date", rows).encode()
    with pytest.raises(LabelsInvalid, match=r"a\.csv: it says no CRS.*choose the CRS"):
        read_labels(data, "a.csv")
    table = read_labels(data, "a.csv", columns=ColumnChoice(crs="32631"))
    assert_same(table, LABELS)
    assert table.crs.source == "chosen"
    coded = write_csv("x,y,class,date,EPSG", [(*row, 32631) for row in rows]).encode()
    assert_same(read_labels(coded, "a.csv"), LABELS)
    mixed = write_csv("x,y,class,date,EPSG", [(*r, 32631 + i % 2) for i, r in enumerate(rows)])
    with pytest.raises(LabelsInvalid, match="several CRS"):
        read_labels(mixed.encode(), "a.csv")
    with pytest.raises(LabelsInvalid, match="not the code of a CRS"):
        read_labels(data, "a.csv", columns=ColumnChoice(crs="+proj=utm +zone=31"))


def test_unsaid_system_is_assumed_aloud_where_coordinates_are_degrees() -> None:
    rows = [(x, y, n) for x, y, n, _ in rows_of(LABELS)]
    table = read_labels(write_csv("x,y,class", rows).encode(), "a.csv")
    assert table.crs.source == "assumed"
    assert any("says no CRS" in warning for warning in table.warnings)
    files = write_vector(LABELS, "ESRI Shapefile")
    del files["labels.prj"]
    assert read_labels(zip_files(files), "a.zip").crs.source == "assumed"


def test_a_table_of_unmarked_code_page_keeps_its_accents() -> None:
    for encoding in ("UTF-8", "ISO-8859-1"):
        files = write_vector(LABELS, "ESRI Shapefile", encoding=encoding)
        files.pop("labels.cpg", None)
        assert read_labels(zip_files(files), "a.zip").class_names[0] == "forêt claire"


def test_several_layers_have_to_be_chosen_from() -> None:
    package = write_vector(LABELS, "GPKG", layers=("2019 été", "old"))["labels.gpkg"]
    archive = zip_files(write_vector(LABELS, "ESRI Shapefile", layers=("new", "old")))
    for data, name, layers in (
        (package, "a.gpkg", ("2019 été", "old")),
        (archive, "a.zip", ("new", "old")),
    ):
        preview = preview_labels(data, name)
        assert preview.layers == layers
        assert preview.layer is None
        with pytest.raises(LabelsInvalid, match=r"several layers; choose one of .*'old'"):
            read_labels(data, name)
        with pytest.raises(LabelsInvalid, match="there is no layer 'none'"):
            read_labels(data, name, layer="none")
        table = read_labels(data, name, layer=layers[0])
        assert_same(table, LABELS)
        assert (table.layer, table.layers) == (layers[0], layers)
        assert preview_labels(data, name, layer="old").n_rows == len(LABELS.names)


def test_a_geopackage_left_in_write_ahead_mode_is_read() -> None:
    data = bytearray(write_vector(LABELS, "GPKG")["labels.gpkg"])
    data[18] = data[19] = 2
    assert_same(read_labels(bytes(data), "a.gpkg"), LABELS)


def test_rows_are_counted_as_lines_of_the_file() -> None:
    text = (
        'lon,lat,note,class\n\n4.1,50.1,"two\nlines",crop\n4.2,50.2,,crop\n,,,\n\n4.3,50.3,a,crop\n'
    )
    table = read_labels(text.encode(), "a.csv")
    # The lines are 3 (to 4), 5, 6 (only delimiters) and 8; an empty record is no row.
    assert table.rows.tolist() == [3, 5, 8]
    assert table.row_word == "line"


def test_content_decides_over_the_name() -> None:
    table = read_labels(write_geojson(LABELS), "labels.csv")
    assert_same(table, LABELS)
    assert table.warnings[0] == ("labels.csv is a GeoJSON file by its content and was read as one.")


def test_rows_that_cannot_be_read_stay_with_their_fault() -> None:
    text = (
        "lon,lat,class\n4.1,50.1,crop\n,50.2,crop\nabc,50.2,crop\n4°21,50,crop\n4.2,50.3\n"
        "4.2,inf,crop\n4.3,50.3,crop,more\n4.4,50.4,crop,\n4.5,50.4,crop\n4.6,50.4,crop\n"
    )
    table = read_labels(text.encode(), "a.csv")
    found = {int(table.rows[i]): (f.kind, f.reason) for i, f in table.faults.items()}
    assert found == {
        3: (FaultKind.PLACE_MISSING, "column 'lon' is empty"),
        4: (FaultKind.PLACE_UNREADABLE, "'abc' in column 'lon' is no finite number"),
        5: (
            FaultKind.PLACE_UNREADABLE,
            "'4°21' in column 'lon' is in degrees, minutes, seconds",
        ),
        6: (FaultKind.ROW, "it has 2 cells where the header has 3"),
        7: (FaultKind.PLACE_UNREADABLE, "'inf' in column 'lat' is no finite number"),
        8: (FaultKind.ROW, "it has 4 cells where the header has 3"),
    }


@pytest.mark.parametrize(
    ("data", "name", "message"),
    [
        (b"", "a.csv", "a.csv is empty (0 bytes)"),
        (b" \n\n", "a.csv", "a.csv is empty"),
        (b"lon,lat,class\n", "a.csv", "line 1 is a header and no label follows"),
        (b"lon\n4\n5\n", "a.csv", "is one cell under every delimiter"),
        (b"4.1,50.1,crop\n4.2,50.2,crop\n", "a.csv", "holds numbers where column names belong"),
        (b"lon;lat;class\n1,2,crop\n1,3,crop\n", "a.csv", "line 1 has 3 cells but line 2 has 1"),
        (b"lon,lat,class\n4,1,50,2,crop\n4,1,50,1,crop\n", "a.csv", "decimal commas"),
        (b'lon,lat,class\n4,50,"crop\n4,51,crop\n', "a.csv", "quotation mark that is not closed"),
        (b"lon,lat,a,b\n4,50,,\n4,51,,\n", "a.csv", "no column looks like the class"),
        (b"place,note,class\na,b,crop\n", "a.csv", "no column says where a label is"),
        (b'{"type":"FeatureCollection","features":[]}', "a.json", "it holds no feature"),
        (b'{"type":"Point","coordinates":[4,50]}', "a.json", "its type is 'Point'"),
        (b"[1, 2]", "a.json", "no GeoJSON FeatureCollection"),
        (b'{"type":"FeatureCollection","features":[{"type":', "a.json", "cut off at line 1"),
        (b'{"a":' * 5000, "a.json", "nested too deep"),
        (b'{"a":' + b"9" * 5000 + b"}", "a.json", "thousands of digits"),
        (b"\x80\x04\x95\x10", "a.csv", "a Python pickle, which is never opened"),
        (b"\x00\x00\x27\x0a" + bytes(100), "labels.shp", "zip its .shp, .shx, .dbf and .prj"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_sentence(
    data: bytes, name: str, message: str
) -> None:
    with pytest.raises(LabelsInvalid) as raised:
        read_labels(data, name)
    text = str(raised.value)
    assert message in text
    assert text.startswith(name)
    assert text.endswith(".")
    assert "\n" not in text


def test_an_archive_says_what_it_lacks() -> None:
    files = write_vector(LABELS, "ESRI Shapefile")
    without = {name: data for name, data in files.items() if not name.endswith(".shx")}
    with pytest.raises(LabelsInvalid, match=r"labels\.shx is missing in the archive"):
        read_labels(zip_files(without), "a.zip")
    with pytest.raises(LabelsInvalid, match=r"holds no Shapefile \(.shp\), but 'labels.csv'"):
        read_labels(zip_files({"labels.csv": text_of().encode()}), "a.zip")


def test_columns_are_guessed_chosen_and_refused() -> None:
    text = (
        "id,easting,northing,Código,kind\n1,4.1,50.1,7,crop\n2,4.2,50.2,8,crop\n3,4.3,50.3,9,no\n"
    )
    preview = preview_labels(text.encode(), "a.csv")
    assert {(g.role, g.column, g.why) for g in preview.guesses} == {
        ("longitude", "easting", "by its name"),
        ("latitude", "northing", "by its name"),
        ("class_name", "kind", "by what it holds"),
    }
    choice = ColumnChoice(class_name="Código")
    assert read_labels(text.encode(), "a.csv", columns=choice).class_names.tolist() == list("789")
    with pytest.raises(LabelsInvalid, match="there is no column 'cover'; choose one of 'id'"):
        read_labels(text.encode(), "a.csv", columns=ColumnChoice(class_name="cover"))


def test_personal_columns_are_dropped_unless_kept() -> None:
    text = (
        "lon,lat,class,E-Mail,who,contact nr,field_team,plot\n"
        "4.1,50.1,crop,,Ana Lima,+32 470 12 34 56,a@b.org,1\n"
        "4.2,50.2,crop,x,Jean-Luc Petit,0032 470 123457,north,2\n"
        "4.3,50.3,crop,y,Mary O'Neil,+32 2 123 45 67,south,3\n"
    )
    table = read_labels(text.encode(), "a.csv")
    assert {column.name: column.kind for column in table.personal} == {
        "E-Mail": "e-mail addresses",
        "who": "names",
        "contact nr": "telephone numbers",
        "field_team": "e-mail addresses",
    }
    assert list(table.given) == ["lon", "lat", "class", "plot"]
    assert list(table.numbers) == ["plot"]
    assert sum("left out" in warning for warning in table.warnings) == 4
    kept = read_labels(text.encode(), "a.csv", columns=ColumnChoice(keep=("who",)))
    assert "who" in kept.given
    assert "E-Mail" not in kept.given
    shown = preview_labels(text.encode(), "a.csv").first_rows
    assert "Ana Lima" not in str(shown)


def test_a_column_of_names_is_known_by_its_name_alone() -> None:
    text = "lon,lat,class,Farmer,mobile\n4.1,50.1,crop,7,1234\n4.2,50.2,crop,7,1234\n"
    table = read_labels(text.encode(), "a.csv")
    assert [(c.name, c.kind) for c in table.personal] == [
        ("Farmer", "names"),
        ("mobile", "telephone numbers"),
    ]
    assert not table.numbers


def test_dates_dotted_plots_and_codes_are_not_personal() -> None:
    text = "lon,lat,class,seen,plot,ref\n" + "".join(
        f"4.{i},50.{i},crop,0{i}.05.2019,0{i}.5,{i}12345678\n" for i in range(1, 9)
    )
    assert not read_labels(text.encode(), "a.csv").personal


@pytest.mark.parametrize("delimiter", [",", " "])
def test_a_table_with_a_specs_columns_needs_no_places_and_no_order(delimiter: str) -> None:
    rng = np.random.default_rng(1)
    names = list(rng.permutation(S2_SEMIANNUAL.measured_names))
    values = rng.random((5, len(names))).round(5)
    header = delimiter.join(["Class", *names])
    rows = [(i % 2, *row) for i, row in enumerate(values.tolist())]
    text = write_csv(("# " if delimiter == " " else "") + header, rows, delimiter)
    table = read_labels(text.encode(), "a.csv")
    assert table.spec_names == (S2_SEMIANNUAL.name,)
    assert not table.has_places
    for name, column in zip(names, values.T, strict=True):
        assert table.numbers[name].tolist() == column.tolist()
    short = write_csv(
        delimiter.join(["Class", *names[1:]]), [(r[0], *r[2:]) for r in rows], delimiter
    )
    with pytest.raises(LabelsInvalid, match="no column says where"):
        read_labels(short.encode(), "a.csv")


def test_reading_needs_no_raster_or_model_library() -> None:
    code = (
        "import sys, geotransfer.labels;"
        "heavy = {'rasterio', 'xarray', 'dask', 'distributed', 'lightgbm', 'numba'};"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


CELLS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=12
).filter(lambda t: " ".join(t.split()) == t and not t.startswith("'"))


@settings(max_examples=60, deadline=None)
@given(
    order=st.permutations(["longitude", "latitude", "class", "date", "note"]),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    rows=st.lists(
        st.tuples(
            st.floats(-180, 180),
            st.floats(-90, 90),
            CELLS.filter(lambda t: len(t) > 1),
            st.dates(min_value=dt.date(1990, 1, 1)).map(str),
            CELLS,
        ),
        min_size=1,
        max_size=6,
    ),
)
def test_any_order_delimiter_and_encoding_reads_the_same_rows(
    order: list[str], delimiter: str, encoding: str, rows: list[tuple[object, ...]]
) -> None:
    names = ("longitude", "latitude", "class", "date", "note")
    quoted = [
        [
            f'"{str(dict(zip(names, row, strict=True))[c]).replace(chr(34), chr(34) * 2)}"'
            for c in order
        ]
        for row in rows
    ]
    text = write_csv(delimiter.join(order), quoted, delimiter)
    table = read_labels(text.encode(encoding), "a.csv")
    assert shapely.get_coordinates(table.geometry).tolist() == [[r[0], r[1]] for r in rows]
    assert [n or "blank" for n in table.class_names] == [
        "blank" if str(r[2]).casefold() in ("nan", "<na>", "null", "#n/a") else r[2] for r in rows
    ]
    assert table.rows.tolist() == list(range(2, len(rows) + 2))


def test_the_files_of_a_folder_are_untouched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for data, name in (
        (write_geoparquet(LABELS), "a.parquet"),
        (write_geojson(LABELS), "a.json"),
    ):
        read_labels(data, name)
    assert not list(tmp_path.iterdir())
