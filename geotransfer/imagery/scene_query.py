"""Queries: which scenes of a catalog are wanted, and how many were passed over for which reason."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import date

from shapely.geometry import MultiPolygon, box, shape
from shapely.geometry.base import BaseGeometry
from shapely.prepared import prep

Bounds = tuple[float, float, float, float]


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
