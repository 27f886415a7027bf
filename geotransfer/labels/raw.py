"""A label file as its format gives it, before anybody has said which column means what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]
Objects = NDArray[np.object_]


class FaultKind(StrEnum):
    """Why a row cannot be used."""

    ROW = "row cannot be read"
    PLACE_MISSING = "no place"
    PLACE_UNREADABLE = "place cannot be read"
    NOT_A_PLACE = "not a point or polygon"
    OUTLINE_INVALID = "outline is invalid"
    TOO_LARGE = "outline is too large"
    OFF_EARTH = "not on earth"
    SWAPPED = "longitude and latitude swapped"
    OUTSIDE_REGION = "outside the region"
    OUTSIDE_IMAGERY = "outside the imagery"
    CLASS_MISSING = "no class"
    CLASS_UNKNOWN = "unknown class"
    CLASS_LEFT_OUT = "class left out"
    DATE_UNREADABLE = "date cannot be read"
    OTHER_DATE = "outside the imagery's period"
    FEATURE_MISSING = "feature without a value"
    DUPLICATE = "duplicate"
    CONFLICT = "conflicting labels"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why one row cannot be used, and what to do."""

    kind: FaultKind
    reason: str
    remedy: str


@dataclass(frozen=True, eq=False, kw_only=True)
class RawTable:
    """What a file holds: named columns, perhaps geometry, and where each row stands in the file."""

    file_name: str
    format: str
    """As shown to people: ``CSV``, ``GeoJSON``, ``GeoPackage``, ``Shapefile``, ``GeoParquet``."""
    row_word: str
    """What a row is called where the user sees it: ``line``, ``feature`` or ``row``."""
    rows: Int64
    """Shape (n,), number of each row as the user counts it, from 1."""
    columns: Mapping[str, NDArray[Any]]
    """Shape (n,) each: ``float64`` where the format says number, else text as objects."""
    geometry: Objects | None = None
    """Shape (n,), shapely geometries in ``crs``, None where a row has none."""
    crs: str | None = None
    """What the file says of its coordinate reference system, as any text pyproj reads."""
    crs_source: str = "stated by the file"
    """``stated by the file``, or ``by the format`` where the format has one system only."""
    faults: Mapping[int, Fault] = field(default_factory=dict)
    """Rows (by index) that could not be read."""
    layers: tuple[str, ...] = ()
    layer: str | None = None
    delimiter: str = ""
    encoding: str = ""
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows)


def as_text(column: NDArray[Any]) -> Objects:
    """Return a column as stripped text; whole numbers without a decimal point, NaN as empty."""
    if column.dtype == np.float64:
        texts = [
            "" if np.isnan(v) else str(int(v)) if v.is_integer() else repr(v)
            for v in column.tolist()
        ]
    else:
        texts = [value.strip() for value in column.tolist()]
    return fill_objects(texts)


def fill_objects(values: list[Any]) -> Objects:
    """Return a one-dimensional object array; numpy must not look inside the values."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
