"""Good and rejected rows as CSV that a spreadsheet opens without running anything in it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geotransfer.labels.checking import CheckedLabels
from geotransfer.labels.delimited import ACTIVE_CELL
from geotransfer.labels.raw import as_text

_NUMBER = re.compile(r"[-+]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][-+]?\d+)?")
REJECTED_COLUMNS = ("row", "problem", "reason", "remedy")
"""First columns of the rejected rows; the file's own follow."""


def guard_cell(text: str) -> str:
    """Return a cell that no spreadsheet runs as a formula; plain numbers stay as they are.

    An apostrophe is put before text that begins with ``=``, ``+``, ``-``, ``@`` or their wide
    forms, also behind blanks, and before text that begins with a tab or line end (OWASP, *CSV
    injection*). ``read_labels`` takes it away again.
    """
    if not ACTIVE_CELL.match(text) or _NUMBER.fullmatch(text):
        return text
    return f"'{text}"


def write_rejected_csv(checked: CheckedLabels) -> bytes:
    """Return the rejected rows with row number, problem, reason, remedy and their own cells.

    UTF-8 with a byte-order mark, as spreadsheets expect; personal columns that were left out of
    the table are not in it.
    """
    table = checked.table
    index = np.array([item.index for item in checked.rejected], dtype=np.int64)
    given = [as_text(column[index]).tolist() for column in table.given.values()]
    cells = [list(row) for row in zip(*given, strict=True)] or [[]] * len(index)
    lines = (
        [str(item.row), str(item.kind), item.reason, item.remedy, *row]
        for item, row in zip(checked.rejected, cells, strict=True)
    )
    header = (table.row_word, *REJECTED_COLUMNS[1:], *table.given)
    return _write_csv(header, lines)


def write_labels_csv(checked: CheckedLabels) -> bytes:
    """Return the good rows: place, class of the legend, date, row in the file, numbers.

    ``read_labels`` reads it back to the same places, classes, dates and numbers. Points as ``lon``
    and ``lat``; as ``wkt`` where there is an outline among them. UTF-8 with a byte-order mark.
    """
    good = checked.good
    columns: dict[str, list[str]] = {}
    if good.has_places and (shapely.get_type_id(good.geometry) == 0).all():
        columns["lon"] = _write_numbers(shapely.get_x(good.geometry))
        columns["lat"] = _write_numbers(shapely.get_y(good.geometry))
    elif good.has_places:
        columns["wkt"] = shapely.to_wkt(good.geometry, rounding_precision=-1).tolist()
    columns["class"] = list(checked.class_names)
    columns["date"] = good.dates.format()
    columns[f"source {good.row_word}"] = [str(row) for row in good.rows.tolist()]
    for name, values in good.numbers.items():
        if name not in columns:
            columns[name] = _write_numbers(values)
    return _write_csv(tuple(columns), zip(*columns.values(), strict=True))


def _write_numbers(values: NDArray[Any]) -> list[str]:
    return [str(text) for text in as_text(values).tolist()]


def _write_csv(header: Sequence[str], lines: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([guard_cell(cell) for cell in header])
    writer.writerows([guard_cell(cell) for cell in line] for line in lines)
    return b"\xef\xbb\xbf" + text.getvalue().encode()
