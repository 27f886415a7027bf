"""Numbers and dates as people write them."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geotransfer.labels.dates import parse_dates
from geotransfer.labels.numerals import parse_number_column, parse_numbers
from geotransfer.labels.raw import fill_objects


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4.35", 4.35),
        (" 4,35 ", 4.35),
        ("-4,35", -4.35),
        ("−4.35", -4.35),
        ("+4.35", 4.35),
        ("652 000,5", 652000.5),
        ("652'000.5", 652000.5),
        ("1.652.000,5", 1652000.5),
        ("1,652,000.5", 1652000.5),
        ("1,652,000", 1652000.0),
        ("5e-1", 0.5),
        (",5", 0.5),
    ],
)
def test_numbers_are_read_as_written(text: str, value: float) -> None:
    assert parse_numbers(fill_objects([text])).tolist() == [value]


@pytest.mark.parametrize(
    "text", ["", "x", "4.3.5", "1_000", "0x10", "4,3,5", "4°30", "four", "--4"]
)
def test_what_is_no_number_is_missing(text: str) -> None:
    assert np.isnan(parse_numbers(fill_objects([text]))).all()


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_numbers_round_trip_with_either_mark(values: list[float]) -> None:
    dots = [repr(v) for v in values]
    commas = [text.replace(".", ",") for text in dots]
    assert parse_numbers(fill_objects(dots)).tolist() == values
    assert parse_numbers(fill_objects(commas)).tolist() == values


def test_a_column_is_of_numbers_only_if_every_cell_is() -> None:
    assert parse_number_column(fill_objects(["1", "", "n/a", "2,5"])) is not None
    assert parse_number_column(fill_objects(["1", "two"])) is None
    assert parse_number_column(fill_objects(["", "NA"])) is None


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("2019-05-03", ("2019-05-03", "2019-05-03")),
        ("2019-5-3", ("2019-05-03", "2019-05-03")),
        ("2019-05-03T10:00:00Z", ("2019-05-03", "2019-05-03")),
        ("2019-05-03 10:00:00+02:00", ("2019-05-03", "2019-05-03")),
        ("2019/05/03", ("2019-05-03", "2019-05-03")),
        ("20190503", ("2019-05-03", "2019-05-03")),
        ("23.05.2019", ("2019-05-23", "2019-05-23")),
        ("23/5/2019", ("2019-05-23", "2019-05-23")),
        ("2020-02", ("2020-02-01", "2020-02-29")),
        ("2019", ("2019-01-01", "2019-12-31")),
        ("2020-02-29", ("2020-02-29", "2020-02-29")),
    ],
)
def test_a_date_is_the_span_it_may_mean(text: str, span: tuple[str, str]) -> None:
    dates = parse_dates(fill_objects([text]), name="date")
    assert (str(dates.starts[0]), str(dates.ends[0])) == span
    assert not dates.unreadable[0]


@pytest.mark.parametrize(
    "text", ["2019-02-29", "2019-13-01", "2019-00-10", "31.04.2019", "43560", "soon", "1819-01-01"]
)
def test_what_is_no_date_is_unreadable(text: str) -> None:
    dates = parse_dates(fill_objects([text]), name="date")
    assert dates.unreadable[0]
    assert np.isnat(dates.starts[0])


def test_a_column_settles_whether_day_or_month_comes_first() -> None:
    day_first = parse_dates(fill_objects(["03/04/2019", "25/04/2019"]), name="d")
    month_first = parse_dates(fill_objects(["03/04/2019", "04/25/2019"]), name="d")
    open_order = parse_dates(fill_objects(["03/04/2019", "", "n/a"]), name="d")
    assert str(day_first.starts[0]) == "2019-04-03"
    assert str(month_first.starts[0]) == "2019-03-04"
    assert not day_first.warnings
    assert not month_first.warnings
    assert "read as day/month/year" in open_order.warnings[0]
    assert open_order.unreadable.tolist() == [False, False, False]


@given(st.lists(st.dates(dt.date(1900, 1, 1), dt.date(2200, 12, 31)), min_size=1))
def test_dates_round_trip(days: list[dt.date]) -> None:
    dates = parse_dates(fill_objects([day.isoformat() for day in days]), name="date")
    assert dates.starts.tolist() == days
    assert dates.format() == [day.isoformat() for day in days]


def test_years_given_as_numbers_are_years() -> None:
    dates = parse_dates(np.array([2019.0, np.nan]), name="year")
    assert dates.format() == ["2019", ""]
