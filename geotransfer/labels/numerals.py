"""Numbers as people write them: decimal commas, thousands marks, typographic minus signs."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geotransfer.labels.raw import fill_objects

Float64 = NDArray[np.float64]

_MINUS = str.maketrans(
    {"−": "-", "–": "-", "\u00a0": "", "\u202f": "", "\u2009": "", "'": "", " ": ""}
)
_NO_VALUE = frozenset({"", "na", "n/a", "nan", "null", "none", "-", "#n/a", "<na>"})
_DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+(?:[eE][-+]?\d+)?")
_DOT_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:\.\d{3})+,\d+")
_COMMA_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:,\d{3}){2,}(?:\.\d*)?|[-+]?\d{1,3}(?:,\d{3})+\.\d*")


def parse_numbers(column: NDArray[Any]) -> Float64:
    """Read a column as numbers.

    Parameters
    ----------
    column
        Shape (n,), ``float64`` or text.

    Returns
    -------
    Shape (n,); NaN where a cell is empty or is no number. A single comma is a decimal comma.
    """
    if column.dtype == np.float64:
        return column
    values = _parse_plain(column)
    # The column as it stands is tried first; only what failed is read cell by cell.
    for index in np.flatnonzero(np.isnan(values)).tolist():
        text = column[index].translate(_MINUS)
        if text:
            values[index] = _parse_written(text)
    return values


def _parse_plain(column: NDArray[Any]) -> Float64:
    values = np.asarray(pd.to_numeric(column, errors="coerce"), dtype=np.float64)
    return values.copy() if not values.flags.writeable else values


def _parse_written(text: str) -> float:
    if _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    elif _DOT_THOUSANDS.fullmatch(text):
        text = text.replace(".", "").replace(",", ".")
    elif _COMMA_THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    elif "_" in text or not text[-1:].isdigit():
        return np.nan
    try:
        return float(text)
    except ValueError:
        return np.nan


def is_blank(column: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell for each cell whether it is empty or one of the usual words for *no value*."""
    if column.dtype == np.float64:
        return np.asarray(np.isnan(column))
    return np.array([cell.strip().casefold() in _NO_VALUE for cell in column.tolist()], dtype=bool)


def parse_number_column(column: NDArray[Any]) -> Float64 | None:
    """Read a column whose every cell is a number or blank; None where it is not, or all blank."""
    if column.dtype == np.float64:
        return column
    # A look at the first cells spares reading long text columns whole.
    head = [cell for cell in column[:50].tolist() if cell.strip().casefold() not in _NO_VALUE]
    if head and np.isnan(parse_numbers(fill_objects(head))).all():
        return None
    values = parse_numbers(column)
    missing = np.isnan(values)
    if missing.all() or not is_blank(column[missing]).all():
        return None
    return values
