"""Suggested places as files for field and desktop tools; filled in, they can be uploaded as labels.

The column ``class`` is empty: whoever visits a place writes it. Nothing else need come back: a
probability sample is recognised by its places.
"""

from __future__ import annotations

import csv
import io
import json

from geotransfer.core.suggestion import Place, Suggestion
from geotransfer.labels.exports import guard_cell

RANKED_COLUMNS = ("usefulness", "applicability_gap", "uncertainty", "coverage")
DRAWN_COLUMNS = ("chance",)
"""Inclusion probability."""
DIGITS = 6


def describe_place(place: Place, suggestion: Suggestion) -> dict[str, str | int | float | None]:
    """Return a place's columns but for its position, in order."""
    figures = DRAWN_COLUMNS if suggestion.strata else RANKED_COLUMNS
    row: dict[str, str | int | float | None] = {
        "class": "",
        "place": place.number,
        "map_class": place.map_class,
    }
    for name in figures:
        value = getattr(place, name)
        row[name] = None if value is None else float(f"{value:.{DIGITS}g}")
    return row


def write_places_geojson(suggestion: Suggestion) -> bytes:
    """Return the places as GeoJSON points (RFC 7946), longitude first."""
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [place.lon, place.lat]},
            "properties": describe_place(place, suggestion),
        }
        for place in suggestion.places
    ]
    document = {"type": "FeatureCollection", "features": features}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def write_places_csv(suggestion: Suggestion) -> bytes:
    """Return the places as CSV: UTF-8 with a byte-order mark, as spreadsheets expect."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    rows = [
        {"lon": place.lon, "lat": place.lat, **describe_place(place, suggestion)}
        for place in suggestion.places
    ]
    writer.writerow(list(rows[0]) if rows else ["lon", "lat", "class"])
    for row in rows:
        writer.writerow(["" if v is None else guard_cell(str(v)) for v in row.values()])
    return b"\xef\xbb\xbf" + text.getvalue().encode()
