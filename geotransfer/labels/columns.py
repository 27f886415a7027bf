"""Which column means what: by its name, else by what it holds."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geotransfer.errors import LabelsInvalid
from geotransfer.labels.numerals import is_blank, parse_numbers
from geotransfer.labels.raw import RawTable, as_text

NAMES: Mapping[str, tuple[str, ...]] = {
    "longitude": (
        "longitude", "lon", "lng", "long", "decimallongitude", "longitudewgs84", "londd", "x",
        "xcoord", "coordx", "xcoordinate", "pointx", "easting", "east", "utme", "utmx",
        "longitud", "langengrad", "laengengrad", "rechtswert",
    ),
    "latitude": (
        "latitude", "lat", "decimallatitude", "latitudewgs84", "latdd", "y", "ycoord", "coordy",
        "ycoordinate", "pointy", "northing", "north", "utmn", "utmy",
        "latitud", "breitengrad", "hochwert",
    ),
    "geometry": ("wkt", "geometry", "geom", "thegeom", "wktgeom", "geometrywkt", "geomwkt",
                 "footprint", "polygon", "shape"),
    "class_name": (
        "class", "label", "classname", "labelname", "landcover", "landuse", "lulc", "lc",
        "landcoverclass", "croptype", "crop", "cover", "coverclass", "category", "reference",
        "referenceclass", "classlabel", "classid", "classcode", "code", "type", "target",
        "klasse", "classe", "clase", "categorie", "categoria", "nutzung", "name",
    ),
    "date": (
        "date", "observationdate", "obsdate", "dateobserved", "observedat", "observed",
        "surveydate", "samplingdate", "sampledate", "collectiondate", "validtime", "datetime",
        "timestamp", "time", "year", "datum", "fecha", "data", "annee", "jahr",
    ),
    "crs": ("crs", "epsg", "srid", "epsgcode", "coordinatesystem", "srs"),
}  # fmt: skip
"""Column names by role, as ``fold_name`` folds them; the earlier name wins."""
DEGREE_NAMES = frozenset(
    {"longitude", "lon", "lng", "long", "decimallongitude", "longitudewgs84", "londd", "longitud",
     "langengrad", "laengengrad"}
)  # fmt: skip
"""Names of a longitude column that say *degrees* by themselves; ``x`` does not."""
_WKT = re.compile(r"\s*(?:SRID=\d+;\s*)?(?:MULTI)?(?:POINT|POLYGON|LINESTRING)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnChoice:
    """What the user says of a file; whatever is None is guessed."""

    longitude: str | None = None
    """Column of longitude, or of x or easting."""
    latitude: str | None = None
    """Column of latitude, or of y or northing."""
    geometry: str | None = None
    """Column of WKT."""
    class_name: str | None = None
    date: str | None = None
    crs: str | None = None
    """Authority code of the coordinates, for example ``EPSG:32631``; wins over the file's own."""
    keep: tuple[str, ...] = ()
    """Columns to keep although they look like personal data."""


@dataclass(frozen=True, slots=True)
class ColumnGuess:
    """The column a role was given to, and why."""

    role: str
    """``longitude``, ``latitude``, ``geometry``, ``class_name``, ``date`` or ``crs``."""
    column: str
    why: str
    """``chosen``, ``by its name`` or ``by what it holds``."""


def fold_name(name: str) -> str:
    """Return a name without case, accents, spaces and punctuation, for comparison."""
    folded = unicodedata.normalize("NFKD", name.casefold())
    return "".join(c for c in folded if c.isalnum())


_ROLE_NAMES = frozenset(name for names in NAMES.values() for name in names)


def count_known_names(names: Sequence[str], *, spec_names: frozenset[str] = frozenset()) -> int:
    """Return how many of ``names`` are column names a label file is known to use."""
    return sum(name in spec_names or fold_name(name) in _ROLE_NAMES for name in names)


def guess_columns(table: RawTable, choice: ColumnChoice) -> tuple[ColumnGuess, ...]:
    """Give each role a column: the chosen one, else one by name, else one by content.

    Raises
    ------
    LabelsInvalid
        A chosen column does not exist.
    """
    given: dict[str, ColumnGuess] = {}

    def give(role: str, column: str | None, why: str) -> None:
        if column is not None and role not in given:
            given[role] = ColumnGuess(role, column, why)

    for role in ("longitude", "latitude", "geometry", "class_name", "date"):
        column = getattr(choice, role)
        if column is not None and column not in table.columns:
            raise LabelsInvalid(
                f"{table.file_name}: there is no column {column!r}; choose one of"
                f" {list_columns(table)}."
            )
        give(role, column, "chosen")
    if table.geometry is not None:
        for role in ("longitude", "latitude", "geometry"):
            given.pop(role, None)
        roles: tuple[str, ...] = ("class_name", "date")
    else:
        roles = ("longitude", "latitude", "geometry", "date", "class_name", "crs")
    for role in roles:
        taken = {guess.column for guess in given.values()}
        give(role, _find_by_name(table, role, taken), "by its name")
    if "geometry" in given and given["geometry"].why != "chosen":
        column = given["geometry"].column
        if not _holds_wkt(table.columns[column], share=0.0):
            del given["geometry"]
    if table.geometry is None and "geometry" not in given and not _has_both(given):
        wkt = next((n for n, c in table.columns.items() if _holds_wkt(c, share=0.5)), None)
        give("geometry", wkt, "by what it holds")
    _drop_second_place(given)
    taken = {guess.column for guess in given.values()}
    give("class_name", _find_class_by_content(table, taken), "by what it holds")
    return tuple(given.values())


def _has_both(given: Mapping[str, ColumnGuess]) -> bool:
    return "longitude" in given and "latitude" in given


def _drop_second_place(given: dict[str, ColumnGuess]) -> None:
    """Keep one way to say where: the chosen one, else geometry."""
    chosen_pair = any(given[r].why == "chosen" for r in ("longitude", "latitude") if r in given)
    if "geometry" in given and not (chosen_pair and given["geometry"].why != "chosen"):
        given.pop("longitude", None)
        given.pop("latitude", None)
    elif "geometry" in given:
        del given["geometry"]


def _find_by_name(table: RawTable, role: str, taken: set[str]) -> str | None:
    folded: dict[str, str] = {}
    for name in table.columns:
        folded.setdefault(fold_name(name), name)
    for wanted in NAMES[role]:
        column = folded.get(wanted)
        if column is not None and column not in taken:
            return column
    return None


def _holds_wkt(column: NDArray[Any], *, share: float) -> bool:
    """Tell whether more than a share of the first cells begin like WKT."""
    if column.dtype == np.float64:
        return False
    head = [text for text in column[:200].tolist() if text.strip()][:20]
    return sum(bool(_WKT.match(text)) for text in head) > share * len(head)


def _find_class_by_content(table: RawTable, taken: set[str]) -> str | None:
    """The one text column that repeats few values, if there is exactly one."""
    candidates = []
    for name, column in table.columns.items():
        if name in taken or column.dtype == np.float64:
            continue
        texts = [t for t in as_text(column[:2000]).tolist() if t]
        few = len(set(texts)) <= max(2, len(texts) // 5)
        if texts and few and np.isnan(parse_numbers(column[:50])).all():
            candidates.append(name)
    return candidates[0] if len(candidates) == 1 else None


def list_columns(table: RawTable, *, limit: int = 12) -> str:
    """Return the names of a table's columns for a message."""
    names = [repr(name) for name in table.columns]
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return (", ".join(names[:limit]) + more) or "none"


def find_guess(guesses: Sequence[ColumnGuess], role: str) -> str | None:
    """Return the column that ``role`` was given, or None."""
    return next((guess.column for guess in guesses if guess.role == role), None)


def read_single_value(column: NDArray[Any]) -> str | None:
    """Return the one value a column repeats, or None where it has several or none."""
    values = set(as_text(column[~is_blank(column)]).tolist())
    return values.pop() if len(values) == 1 else None
