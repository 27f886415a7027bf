"""Suggested places as the map draws them."""

from __future__ import annotations

import json

from geotransfer.console.palettes import USEFULNESS
from geotransfer.core.suggestion import Place, Suggestion

DRAWN_COLOR = "#d6336c"
"""Of a probability sample, whose places are all worth the same; none of a class's colours."""


def make_places_document(suggestion: Suggestion, number: str = "") -> bytes:
    """Return places, or the one of a number, as GeoJSON points with a colour and a text.

    A drawn place does not say what the map shows there: who labels it must not know.
    """
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [place.lon, place.lat]},
            "properties": {
                "place": str(place.number),
                "color": _find_color(place),
                "text": _describe(place),
            },
        }
        for place in suggestion.places
        if number in ("", str(place.number))
    ]
    document = {"type": "FeatureCollection", "features": features}
    return json.dumps(document, separators=(",", ":")).encode()


def _find_color(place: Place) -> str:
    return DRAWN_COLOR if place.usefulness is None else USEFULNESS.color(place.usefulness)


def _describe(place: Place) -> str:
    if place.usefulness is None:
        return f"place {place.number}"
    return f"place {place.number}: usefulness {place.usefulness:.0%}"
