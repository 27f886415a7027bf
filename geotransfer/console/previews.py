"""What was uploaded but not kept: points for the map, by URL, held in memory for a while only."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from geotransfer.labels.checking import CheckedLabels

MAX_DOCUMENTS = 24
MAX_BYTES = 200_000_000
REJECTED_COLOR = "#c51b7d"
"""Between the themes' grounds and none of the shipped classes' colours."""
MAX_REASON = 120

_lock = threading.Lock()
_documents: OrderedDict[str, bytes] = OrderedDict()


def keep_preview(document: bytes) -> str:
    """Hold a document for the map and return its name; the oldest are let go.

    Nothing reaches the disk: an upload that was not kept is gone when the server stops. The name is
    a hash of the whole content, so only who has the rows can know it.
    """
    name = blake2b(document, digest_size=20).hexdigest()
    with _lock:
        _documents[name] = document
        _documents.move_to_end(name)
        while len(_documents) > MAX_DOCUMENTS or (
            len(_documents) > 1 and sum(map(len, _documents.values())) > MAX_BYTES
        ):
            _documents.popitem(last=False)
    return name


def read_preview(name: str) -> bytes | None:
    """Return a held document, or None."""
    with _lock:
        return _documents.get(name)


def make_preview(checked: CheckedLabels) -> tuple[bytes, tuple[float, float, float, float] | None]:
    """Return good and rejected labels as points with their class or reason, and the good's bounds.

    Rows without a place on earth are left out; they are in the table of rejected rows.
    """
    colors = {item.name: item.color for item in checked.legend.classes}
    word = checked.table.row_word
    places = checked.table.positions
    features: list[dict[str, Any]] = []

    def add(lon: float, lat: float, **properties: object) -> None:
        if not (-180 <= lon <= 180 and -90 <= lat <= 90):  # also when it is not a number
            return
        features.append(
            {
                "type": "Feature",
                "geometry": {"type": "Point", "coordinates": [round(lon, 6), round(lat, 6)]},
                "properties": properties,
            }
        )

    for item in checked.rejected:
        lon, lat = places[item.index].tolist()
        add(
            lon,
            lat,
            color=REJECTED_COLOR,
            text=f"{word} {item.row}: rejected, {item.reason}"[:MAX_REASON],
        )
    good = checked.good
    for (lon, lat), name, row in zip(
        good.positions.tolist(), checked.class_names, good.rows.tolist(), strict=True
    ):
        add(lon, lat, color=colors[name], text=f"{word} {row}: {name}")
    document = {"type": "FeatureCollection", "features": features}
    if not features:
        return json.dumps(document).encode(), None
    # A row with exchanged coordinates lies on another continent: it must not shrink the others.
    shown = features[-len(good) :] if len(good) and good.has_places else features
    xy = np.array([feature["geometry"]["coordinates"] for feature in shown])
    bounds = (*xy.min(axis=0).tolist(), *xy.max(axis=0).tolist())
    return json.dumps(document, separators=(",", ":")).encode(), bounds
