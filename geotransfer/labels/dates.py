"""Dates as people write them, each as the span of days it may mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geotransfer.labels.raw import as_text, fill_objects

Days = NDArray[np.datetime64]

_TIME = r"(?:[T ]\d{1,2}:\d{2}.*)?"
_PATTERNS = (
    rf"(?P<year>\d{{4}})-(?P<month>\d{{1,2}})-(?P<day>\d{{1,2}}){_TIME}",
    rf"(?P<year>\d{{4}})[/.](?P<month>\d{{1,2}})[/.](?P<day>\d{{1,2}}){_TIME}",
    r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})",
    r"(?P<year>\d{4})[-/](?P<month>\d{1,2})",
    r"(?P<year>\d{4})",
)
_LOCAL = rf"(?P<first>\d{{1,2}})[/.-](?P<second>\d{{1,2}})[/.-](?P<year>\d{{4}}){_TIME}"


@dataclass(frozen=True, eq=False)
class Dates:
    """Spans of days, one a row: ``2019`` is a year long, ``2019-04-03`` a day."""

    starts: Days
    """Shape (n,), first day; NaT where a cell is empty or unreadable."""
    ends: Days
    """Shape (n,), last day, included."""
    unreadable: NDArray[np.bool_]
    """Shape (n,), cells that hold something that is no date."""
    warnings: tuple[str, ...] = ()

    def take(self, chosen: NDArray[np.int64]) -> Dates:
        """Return some rows, by index."""
        return Dates(self.starts[chosen], self.ends[chosen], self.unreadable[chosen], self.warnings)

    def format(self) -> list[str]:
        """Return each span as it is best written: a day, a month, a year, or nothing."""
        texts = []
        for start, end in zip(self.starts, self.ends, strict=True):
            if np.isnat(start):
                texts.append("")
            elif start == end:
                texts.append(str(start))
            elif end - start < np.timedelta64(32, "D"):
                texts.append(str(start)[:7])
            else:
                texts.append(str(start)[:4])
        return texts


def parse_dates(column: NDArray[Any], *, name: str) -> Dates:
    """Read a column as dates.

    ISO 8601 dates with or without a time, year-month, year, ``YYYYMMDD`` and local ``d/m/Y`` or
    ``m/d/Y`` (by slash, dot or hyphen) are read; a local order that the column does not settle is
    taken as day first, with a warning.

    Parameters
    ----------
    column
        Shape (n,), text or numbers.
    name
        The column's name, for the warning.
    """
    codes, texts = pd.factorize(as_text(column))
    # A field campaign has few days: each spelling is read once.
    spellings = pd.Series(fill_objects(list(texts)), dtype="str")
    n = len(spellings)
    year, month, day = (np.full(n, np.nan) for _ in range(3))
    for pattern in _PATTERNS:
        found = spellings.str.extract(f"^{pattern}$")
        hit = found["year"].notna().to_numpy() & np.isnan(year)
        parts = {part: found[part].to_numpy(dtype=float, na_value=np.nan) for part in found}
        year[hit] = parts["year"][hit]
        month[hit] = parts.get("month", np.full(n, np.nan))[hit]
        day[hit] = parts.get("day", np.full(n, np.nan))[hit]
    local = spellings.str.extract(f"^{_LOCAL}$").astype("float64").to_numpy()
    hit = ~np.isnan(local[:, 0])
    warnings: tuple[str, ...] = ()
    if hit.any():
        first, second = local[hit, 0], local[hit, 1]
        month_first = bool((second > 12).any() and not (first > 12).any())
        if not (first > 12).any() and not (second > 12).any():
            warnings = (
                (
                    f"column {name!r}: dates such as {spellings[hit].iloc[0]!r} were read as"
                    " day/month/year; write YYYY-MM-DD if that is wrong."
                ),
            )
        day[hit], month[hit] = (second, first) if month_first else (first, second)
        year[hit] = local[hit, 2]
    starts, ends = _span_days(year, month, day)
    blank = spellings.str.casefold().isin(["", "na", "n/a", "nan", "nat", "null", "none", "-"])
    unreadable = np.isnat(starts) & ~blank.to_numpy(dtype=bool)
    return Dates(starts[codes], ends[codes], unreadable[codes], warnings)


def _span_days(
    year: NDArray[np.float64], month: NDArray[np.float64], day: NDArray[np.float64]
) -> tuple[Days, Days]:
    """First and last day of each date; NaT where year, month or day cannot be."""
    starts = np.full(len(year), np.datetime64("NaT"), dtype="datetime64[D]")
    ends = starts.copy()
    ok = (year >= 1900) & (year <= 2200)
    ok &= np.isnan(month) | ((month >= 1) & (month <= 12))
    months = (np.where(ok, year, 1970) - 1970).astype(np.int64) * 12
    months += np.where(ok & ~np.isnan(month), month - 1, 0).astype(np.int64)
    first = months.astype("datetime64[M]")
    # A span without a month is a year long, one without a day a month.
    after = (months + np.where(np.isnan(month), 12, 1)).astype("datetime64[M]")
    start = first.astype("datetime64[D]")
    end = after.astype("datetime64[D]") - np.timedelta64(1, "D")
    dated = ok & ~np.isnan(day)
    ok &= np.isnan(day) | ((day >= 1) & (day <= (end - start).astype(np.int64) + 1))
    one_day = start + np.where(dated & ok, day - 1, 0).astype("timedelta64[D]")
    start = np.where(dated, one_day, start)
    end = np.where(dated, one_day, end)
    starts[ok], ends[ok] = start[ok], end[ok]
    return starts, ends
