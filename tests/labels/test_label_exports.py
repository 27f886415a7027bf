"""What is written can be read back, and no spreadsheet runs it."""

from __future__ import annotations

import csv
import io

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geotransfer.core.legend import CROPLAND, Legend, LegendClass
from geotransfer.labels import (
    CheckedLabels,
    check_labels,
    read_labels,
    write_labels_csv,
    write_rejected_csv,
)
from geotransfer.labels.exports import guard_cell
from tests.labels.label_files import OUTLINE, make_labels, write_csv, write_geojson

EVIL = ("=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1+1", " =1+1", "\u00a0=1+1", "＝1+1")


def check(data: bytes, name: str, legend: Legend = CROPLAND) -> CheckedLabels:
    return check_labels(
        read_labels(data, name),
        region_outline=OUTLINE,
        imagery_bounds=None,
        imagery_period=None,
        legend=legend,
    )


def read_cells(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


@pytest.mark.parametrize("cell", EVIL)
def test_a_formula_is_made_text(cell: str) -> None:
    assert guard_cell(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "crop", "-4.35", "+4,35", "-1e-05", "4-5", "a=b"])
def test_numbers_and_words_stay(cell: str) -> None:
    assert guard_cell(cell) == cell


def test_rejected_rows_carry_reason_and_their_own_cells() -> None:
    text = (
        "lon,lat,class,=note,e-mail\n"
        "4.1,50.1,crop,fine,a@b.org\n"
        "-4.5,50.1,crop,=cmd|' /C calc'!A0,a@b.org\n"
        '4.2,50.2,"=HYPERLINK(""x"")",+evil,\n'
    )
    cells = read_cells(write_rejected_csv(check(text.encode(), "a.csv")))
    assert cells[0] == ["line", "problem", "reason", "remedy", "lon", "lat", "class", "'=note"]
    assert [row[0] for row in cells[1:]] == ["3", "4"]
    assert cells[1][4:] == ["-4.5", "50.1", "crop", "'=cmd|' /C calc'!A0"]
    assert cells[2][4:] == ["4.2", "50.2", '\'=HYPERLINK("x")', "'+evil"]
    assert cells[1][1] == "outside the region"


def test_an_export_without_rejected_rows_is_a_header() -> None:
    checked = check(b"lon,lat,class\n4.1,50.1,crop\n", "a.csv")
    assert len(read_cells(write_rejected_csv(checked))) == 1
    none = check(b"lon,lat,class\n9,9,crop\n", "a.csv")
    assert len(read_cells(write_labels_csv(none))) == 1


def test_good_outlines_are_read_back_exactly() -> None:
    labels = make_labels(outlines=True)
    checked = check(write_geojson(type(labels)(labels.geometry, ["crop"] * 12, labels.days)), "a")
    again = read_labels(write_labels_csv(checked), "b.csv")
    assert shapely.equals_identical(again.geometry, checked.good.geometry).all()
    assert again.dates.format() == list(labels.days)
    assert again.numbers["source feature"].tolist() == list(range(1, 13))


NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=2
)


@settings(max_examples=60, deadline=None)
@given(
    name=NAMES.map(lambda t: " ".join(t.split())).filter(
        lambda t: (
            len(t) > 1
            and t[0] not in "'\ufeff"
            and t.casefold() not in ("nan", "<na>", "null", "#n/a")
        )
    ),
    order=st.permutations(["longitude", "latitude", "class", "date", "height"]),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    rows=st.lists(
        st.tuples(
            st.floats(4, 6),
            st.floats(50, 52),
            st.sampled_from(["2019-04-03", "2019-04", "2019", ""]),
            st.floats(allow_nan=False, allow_infinity=False),
        ),
        min_size=1,
        max_size=5,
        unique_by=lambda row: (round(row[0], 4), round(row[1], 4)),
    ),
)
def test_good_rows_round_trip_for_any_order_and_delimiter(
    name: str, order: list[str], delimiter: str, rows: list[tuple[float, float, str, float]]
) -> None:
    legend = Legend(name="one", classes=(LegendClass(code=4, name=name, color="#000000"),))
    cells = [
        dict(zip(("longitude", "latitude", "date", "height"), row, strict=True)) | {"class": name}
        for row in rows
    ]
    quoted = [
        ['"' + str(row[column]).replace('"', '""') + '"' for column in order] for row in cells
    ]
    first = check(write_csv(delimiter.join(order), quoted, delimiter).encode(), "a.csv", legend)
    again = check(write_labels_csv(first), "b.csv", legend)
    assert not first.rejected
    assert not again.rejected
    assert again.class_names == first.class_names == (name,) * len(rows)
    assert shapely.equals_identical(again.good.geometry, first.good.geometry).all()
    assert again.good.dates.format() == [row[2] for row in rows]
    assert again.good.numbers["height"].tolist() == [row[3] for row in rows]
    assert write_labels_csv(again).splitlines()[0].startswith(b"\xef\xbb\xbflon,lat,class,date")
