"""Queries: which scenes of a catalog are wanted, and how many were passed over for which reason."""

from __future__ import annotations

import calendar
import json
import re
from collections import Counter
from dataclasses import dataclass
from datetime import date

from shapely.geometry import MultiPolygon, box, shape
from shapely.geometry.base import BaseGeometry
from shapely.prepared import prep

from geotransfer.errors import InputError

Bounds = tuple[float, float, float, float]

_DAY = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which scenes are wanted; the default wants all."""

    outline: str = ""
    """GeoJSON geometry in EPSG:4326; empty: anywhere."""
    start: date | None = None
    end: date | None = None
    """Last day, included."""
    max_cloud_percent: float | None = None
    """Scenes that state no cloud cover are kept."""
    collections: tuple[str, ...] = ()
    """Of a STAC API; empty: every one it has."""


def parse_period(text: str) -> tuple[date | None, date | None]:
    """Return first and last day of ``2021``, ``2021-01/2021-12`` or ``2021-03-05/..``.

    Raises
    ------
    InputError
        The text is no period.
    """
    first, separator, last = text.strip().partition("/")
    try:
        start = None if first in ("", "..") else _parse_day(first, is_end=False)
        end = _parse_end(last) if separator else _parse_day(first, is_end=True)
    except ValueError:
        raise InputError(
            f"the period {text!r} cannot be read; write it as 2021-01/2021-12,"
            " 2021-03-05/2021-04-30 or 2021."
        ) from None
    if start and end and start > end:
        raise InputError(f"the period {text!r} ends before it begins; exchange the two.")
    return start, end


def _parse_end(text: str) -> date | None:
    return None if text in ("", "..") else _parse_day(text, is_end=True)


def _parse_day(text: str, *, is_end: bool) -> date:
    found = _DAY.fullmatch(text.strip())
    if found is None:
        raise ValueError(text)
    year, month, day = (int(part) if part else None for part in found.groups())
    year = year or 0
    month = month or (12 if is_end else 1)
    return date(year, month, day or (calendar.monthrange(year, month)[1] if is_end else 1))


def make_footprint(bounds: Bounds) -> BaseGeometry:
    """Return bounds in degrees as a geometry; two boxes where they cross the antimeridian."""
    west, south, east, north = bounds
    if west <= east:
        return box(west, south, east, north)
    return MultiPolygon([box(west, south, 180, north), box(-180, south, east, north)])


class Sieve:
    """Applies a query, and counts what it does not admit."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self._outline = prep(shape(json.loads(query.outline))) if query.outline else None
        self.passed_over: Counter[str] = Counter()

    def admits_date(self, sensed_at: str) -> bool:
        """Whether an ISO 8601 time falls into the period; an unknown one does."""
        day = sensed_at[:10]
        start, end = self._query.start, self._query.end
        is_early = start is not None and day < start.isoformat()
        is_late = end is not None and day > end.isoformat()
        if day and (is_early or is_late):
            self.passed_over["outside the period"] += 1
            return False
        return True

    def admits_cloud(self, cloud_percent: object) -> bool:
        """Whether a cloud cover is low enough; one that is not stated is."""
        limit = self._query.max_cloud_percent
        if limit is None or not isinstance(cloud_percent, int | float) or cloud_percent <= limit:
            return True
        self.passed_over[f"more than {limit:g} % cloud"] += 1
        return False

    def admits_place(self, bounds: Bounds) -> bool:
        """Whether bounds in degrees touch the outline."""
        if self._outline is None or self._outline.intersects(make_footprint(bounds)):
            return True
        self.passed_over["outside the region"] += 1
        return False
