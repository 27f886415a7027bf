"""A label table: rows of place, class and date, with what was found out while reading them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from numpy.typing import NDArray

from geotransfer.labels.columns import ColumnGuess
from geotransfer.labels.dates import Dates
from geotransfer.labels.numerals import Float64
from geotransfer.labels.personal import PersonalColumn
from geotransfer.labels.positions import CrsFound, find_positions
from geotransfer.labels.raw import Fault, Int64, Objects


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelTable:
    """Labels of one file, rows in its order. Nothing has been judged yet."""

    file_name: str
    format: str
    """``CSV``, ``GeoJSON``, ``GeoPackage``, ``Shapefile``, ``GeoParquet`` or ``Parquet``."""
    layer: str | None
    layers: tuple[str, ...]
    row_word: str
    """What a row is called where the user sees it: ``line``, ``feature`` or ``row``."""
    rows: Int64
    """Shape (n,), number of each row as the user counts it, from 1."""
    geometry: Objects
    """Shape (n,), shapely geometries in EPSG:4326 (longitude first), None where there is none."""
    has_places: bool
    """False for a feature table without positions."""
    class_names: Objects
    """Shape (n,), class of each row as given, without spaces around it; empty where missing."""
    dates: Dates
    """Shape (n,) spans of days."""
    numbers: Mapping[str, Float64]
    """Shape (n,) each: columns of numbers that are no place, class or date; NaN where empty."""
    given: Mapping[str, NDArray[Any]]
    """Shape (n,) each: every column as the file has it, but for dropped personal data."""
    spec_names: tuple[str, ...]
    """Feature specs all of whose measured columns are in ``numbers``."""
    faults: Mapping[int, Fault]
    """Rows, by index, that could not be read."""
    guesses: tuple[ColumnGuess, ...]
    personal: tuple[PersonalColumn, ...]
    """Columns that look like personal data, dropped unless ``kept``."""
    crs: CrsFound
    warnings: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    @cached_property
    def positions(self) -> Float64:
        """Longitude and latitude of a point inside each geometry, shape (n, 2); NaN without one."""
        return find_positions(self.geometry)

    def take(self, chosen: Int64) -> LabelTable:
        """Return some rows, by index; their faults are left behind."""
        return replace(
            self,
            rows=self.rows[chosen],
            geometry=self.geometry[chosen],
            class_names=self.class_names[chosen],
            dates=self.dates.take(chosen),
            numbers={name: values[chosen] for name, values in self.numbers.items()},
            given={name: values[chosen] for name, values in self.given.items()},
            faults={},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelPreview:
    """What a page shows before the user has chosen layer and columns."""

    file_name: str
    format: str
    layers: tuple[str, ...]
    layer: str | None
    """None where a layer has to be chosen first; then nothing below is filled."""
    n_rows: int
    columns: tuple[str, ...]
    first_rows: tuple[tuple[str, ...], ...]
    """The first rows as text, cells in the order of ``columns``; personal columns are masked."""
    has_geometry: bool
    """True where the format carries geometry, so that no place column need be chosen."""
    guesses: tuple[ColumnGuess, ...]
    personal: tuple[PersonalColumn, ...]
    crs: str | None
    """What the file says, shortened; None where it says nothing."""
    delimiter: str
    encoding: str
    warnings: tuple[str, ...]
