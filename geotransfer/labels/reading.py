"""Upload → label table: one reader for every format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geotransfer.core.spec import SPECS, FeatureSpec
from geotransfer.errors import LabelsInvalid
from geotransfer.labels.columns import (
    DEGREE_NAMES,
    ColumnChoice,
    ColumnGuess,
    find_guess,
    fold_name,
    guess_columns,
    list_columns,
    read_single_value,
)
from geotransfer.labels.dates import Dates, parse_dates
from geotransfer.labels.formats import list_layers, read_raw
from geotransfer.labels.geometries import parse_wkt
from geotransfer.labels.limits import shorten
from geotransfer.labels.numerals import Float64, is_blank, parse_number_column, parse_numbers
from geotransfer.labels.personal import PersonalColumn, find_personal_columns
from geotransfer.labels.positions import CrsFound, check_chosen_crs, count_vertices, to_lonlat
from geotransfer.labels.raw import Fault, FaultKind, Objects, RawTable, as_text, fill_objects
from geotransfer.labels.table import LabelPreview, LabelTable

_PREVIEW_ROWS = 8
_HIDDEN = "•••"
_NO_CLASS = frozenset({"nan", "<na>", "null", "#n/a"})


def preview_labels(
    data: bytes, file_name: str, *, layer: str | None = None, specs: Iterable[FeatureSpec] = ()
) -> LabelPreview:
    """Look at a file without deciding anything: layers, columns, guesses, personal data.

    Parameters
    ----------
    specs
        Feature specs known besides the shipped ones.

    Raises
    ------
    LabelsInvalid
        The file cannot be read as a whole.
    """
    layers = list_layers(data, file_name)
    if len(layers) > 1 and layer is None:
        return LabelPreview(
            file_name=file_name, format="", layers=layers, layer=None, n_rows=0, columns=(),
            first_rows=(), has_geometry=True, guesses=(), personal=(), crs=None, delimiter="",
            encoding="", warnings=(),
        )  # fmt: skip
    raw = read_raw(data, file_name, layer=layer, spec_names=_measured_names(_join_specs(specs)))
    guesses = guess_columns(raw, ColumnChoice())
    personal = _find_personal(raw, guesses, _read_numbers(raw, guesses), keep=())
    hidden = {column.name for column in personal}
    shown = [
        [_HIDDEN] * min(len(raw), _PREVIEW_ROWS)
        if name in hidden
        else [shorten(text) for text in as_text(column[:_PREVIEW_ROWS]).tolist()]
        for name, column in raw.columns.items()
    ]
    return LabelPreview(
        file_name=raw.file_name,
        format=raw.format,
        layers=raw.layers,
        layer=raw.layer,
        n_rows=len(raw),
        columns=tuple(raw.columns),
        first_rows=tuple(zip(*shown, strict=True)),
        has_geometry=raw.geometry is not None,
        guesses=guesses,
        personal=personal,
        crs=None if raw.crs is None else shorten(raw.crs),
        delimiter=raw.delimiter,
        encoding=raw.encoding,
        warnings=raw.warnings,
    )


def read_labels(
    data: bytes,
    file_name: str,
    *,
    layer: str | None = None,
    columns: ColumnChoice | None = None,
    specs: Iterable[FeatureSpec] = (),
) -> LabelTable:
    """Read labels: points or polygons of any reference system, as EPSG:4326.

    CSV of any delimiter and encoding (WKT, lon/lat, or x/y with a CRS), GeoJSON, GeoPackage,
    zipped Shapefile, GeoParquet and Parquet; the bytes decide, not the name. Nothing is written
    anywhere. Rows that cannot be read stay in the table with their fault.

    Parameters
    ----------
    layer
        Needed where a file has several.
    columns
        What the user chose; the rest is guessed, and the guesses are in the result.
    specs
        Feature specs known besides the shipped ones. A table that carries all measured columns of
        one, in any order, needs no places.

    Raises
    ------
    LabelsInvalid
        The file as a whole cannot be used: one sentence with the remedy.
    """
    choice = columns or ColumnChoice()
    known_specs = _join_specs(specs)
    raw = read_raw(data, file_name, layer=layer, spec_names=_measured_names(known_specs))
    guesses = guess_columns(raw, choice)
    class_column = find_guess(guesses, "class_name")
    if class_column is None:
        raise LabelsInvalid(
            f"{raw.file_name}: no column looks like the class; choose one of {list_columns(raw)}."
        )
    dates, guesses = _read_dates(raw, guesses)
    numbers = _read_numbers(raw, guesses)
    personal = _find_personal(raw, guesses, numbers, keep=choice.keep)
    dropped = {column.name for column in personal if not column.kept}
    given = {name: column for name, column in raw.columns.items() if name not in dropped}
    numbers = {name: values for name, values in numbers.items() if name in given}
    carried = tuple(s.name for s in known_specs if set(s.measured_names) <= set(numbers))
    raw, geometry, crs = _place_rows(raw, guesses, choice, can_lack_places=bool(carried))
    return LabelTable(
        file_name=raw.file_name,
        format=raw.format,
        layer=raw.layer,
        layers=raw.layers,
        row_word=raw.row_word,
        rows=raw.rows,
        geometry=geometry if geometry is not None else fill_objects([None] * len(raw)),
        has_places=geometry is not None,
        class_names=_read_class_names(raw.columns[class_column]),
        dates=dates,
        numbers=numbers,
        given=given,
        spec_names=carried,
        faults=raw.faults,
        guesses=guesses,
        personal=personal,
        crs=crs,
        warnings=(*raw.warnings, *dates.warnings, *_warn_personal(personal)),
    )


def _join_specs(specs: Iterable[FeatureSpec]) -> tuple[FeatureSpec, ...]:
    return (*SPECS.values(), *specs)


def _measured_names(specs: Iterable[FeatureSpec]) -> frozenset[str]:
    return frozenset(name for spec in specs for name in spec.measured_names)


def _read_class_names(column: NDArray[Any]) -> Objects:
    """Class names with single blanks; only what programs write for *no value* counts as none."""
    texts = [" ".join(text.split()) for text in as_text(column).tolist()]
    return fill_objects(["" if text.casefold() in _NO_CLASS else text for text in texts])


def _read_dates(
    raw: RawTable, guesses: tuple[ColumnGuess, ...]
) -> tuple[Dates, tuple[ColumnGuess, ...]]:
    """Read the dates; a column that was only guessed and holds no single date is none."""
    guess = next((g for g in guesses if g.role == "date"), None)
    empty = np.full(len(raw), np.datetime64("NaT"), dtype="datetime64[D]")
    none = Dates(empty, empty, np.zeros(len(raw), dtype=bool))
    if guess is None:
        return none, guesses
    dates = parse_dates(raw.columns[guess.column], name=guess.column)
    if guess.why != "chosen" and np.isnat(dates.starts).all():
        return none, tuple(g for g in guesses if g.role != "date")
    return dates, guesses


def _read_numbers(raw: RawTable, guesses: tuple[ColumnGuess, ...]) -> dict[str, Float64]:
    """Columns of numbers that have no other role."""
    roles = {guess.column for guess in guesses}
    parsed = {n: parse_number_column(c) for n, c in raw.columns.items() if n not in roles}
    return {name: values for name, values in parsed.items() if values is not None}


def _find_personal(
    raw: RawTable,
    guesses: tuple[ColumnGuess, ...],
    numbers: Mapping[str, Float64],
    *,
    keep: tuple[str, ...],
) -> tuple[PersonalColumn, ...]:
    roles = frozenset(guess.column for guess in guesses)
    return find_personal_columns(raw.columns, roles=roles, numeric=frozenset(numbers), keep=keep)


def _warn_personal(personal: tuple[PersonalColumn, ...]) -> tuple[str, ...]:
    return tuple(
        f"column {column.name!r} looks like {column.kind} and was"
        + (" kept, as you chose." if column.kept else " left out; keep it on purpose if you must.")
        for column in personal
    )


def _place_rows(
    raw: RawTable,
    guesses: tuple[ColumnGuess, ...],
    choice: ColumnChoice,
    *,
    can_lack_places: bool,
) -> tuple[RawTable, Objects | None, CrsFound]:
    """Give every row its geometry in EPSG:4326."""
    name = raw.file_name
    faults = dict(raw.faults)
    stated, source = raw.crs, raw.crs_source
    longitude, latitude = find_guess(guesses, "longitude"), find_guess(guesses, "latitude")
    wkt = find_guess(guesses, "geometry")
    if raw.geometry is not None:
        geometry = raw.geometry
    elif wkt is not None:
        geometry, unreadable, srids = parse_wkt(raw.columns[wkt])
        faults = unreadable | faults
        if len(srids) > 1:
            raise LabelsInvalid(
                f"{name}: column {wkt!r} mixes the CRS {', '.join(sorted(srids))}; write one file"
                " for each."
            )
        stated, source = next(iter(srids), None), "stated by the file"
    elif longitude is not None and latitude is not None:
        geometry, unreadable = _read_points(raw, longitude, latitude)
        faults = unreadable | faults
        if fold_name(longitude) in DEGREE_NAMES:
            stated, source = "EPSG:4326", "by the column names"
    elif can_lack_places:
        return raw, None, CrsFound("", "assumed")
    else:
        raise LabelsInvalid(
            f"{name}: no column says where a label is (longitude and latitude, x and y, or WKT);"
            f" choose among {list_columns(raw)}."
        )
    crs_column = find_guess(guesses, "crs")
    if crs_column is not None:
        said = read_single_value(raw.columns[crs_column])
        if said is None:
            raise LabelsInvalid(
                f"{name}: column {crs_column!r} states several CRS or none; write one file for"
                " each, or choose the CRS."
            )
        stated, source = check_chosen_crs(said, file_name=name), "stated by the file"
    if choice.crs is not None:
        stated, source = check_chosen_crs(choice.crs, file_name=name), "chosen"
    count_vertices(geometry, file_name=name)
    geometry, crs = to_lonlat(geometry, stated, file_name=name, source=source)
    warnings = raw.warnings
    if crs.source == "assumed":
        warnings = (
            *warnings,
            (
                f"{name} says no CRS; its coordinates were taken as longitude and latitude"
                " (EPSG:4326). Choose the CRS if that is wrong."
            ),
        )
    faults |= _find_unplaced(geometry, faults, crs)
    return replace(raw, faults=faults, warnings=warnings), geometry, crs


def _find_unplaced(
    geometry: Objects, faults: Mapping[int, Fault], crs: CrsFound
) -> dict[int, Fault]:
    """Rows whose coordinates are not finite, or became so under the projection."""
    bounds = shapely.bounds(geometry)
    lost = ~np.isfinite(bounds).all(axis=1) & ~shapely.is_missing(geometry)
    lost &= ~shapely.is_empty(geometry)
    fault = Fault(
        FaultKind.PLACE_UNREADABLE,
        f"its coordinates are not finite, or lie outside what {crs.crs} can describe",
        "check them, and the CRS",
    )
    return {index: fault for index in np.flatnonzero(lost).tolist() if index not in faults}


def _read_points(raw: RawTable, longitude: str, latitude: str) -> tuple[Objects, dict[int, Fault]]:
    columns = (raw.columns[longitude], raw.columns[latitude])
    x, y = (parse_numbers(column) for column in columns)
    points = fill_objects([None] * len(raw))
    ok = np.isfinite(x) & np.isfinite(y)
    points[ok] = shapely.points(x[ok], y[ok])
    faults: dict[int, Fault] = {}
    for index in np.flatnonzero(~ok).tolist():
        faults[index] = _explain_point(raw, (longitude, latitude), (x, y), index)
    return points, faults


def _explain_point(
    raw: RawTable, names: tuple[str, str], values: tuple[Float64, Float64], index: int
) -> Fault:
    for name, numbers in zip(names, values, strict=True):
        if np.isfinite(numbers[index]):
            continue
        cell = raw.columns[name][index : index + 1]
        text = as_text(cell)[0]
        if is_blank(cell)[0]:
            return Fault(
                FaultKind.PLACE_MISSING, f"column {name!r} is empty", "write its coordinate"
            )
        if "°" in text or '"' in text or "'" in text:
            return Fault(
                FaultKind.PLACE_UNREADABLE,
                f"{shorten(text, limit=30)!r} in column {name!r} is in degrees, minutes, seconds",
                "write decimal degrees such as 4.3517",
            )
        return Fault(
            FaultKind.PLACE_UNREADABLE,
            f"{shorten(text, limit=30)!r} in column {name!r} is no finite number",
            "write its coordinate as a number",
        )
    raise AssertionError("a point with two finite coordinates has no fault")
