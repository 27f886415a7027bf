"""An upload on the map before it is kept: all rows that have a place, none on the disk."""

from __future__ import annotations

import json

import pytest

from geotransfer.console import previews
from geotransfer.console.previews import keep_preview, make_preview, read_preview
from geotransfer.core.legend import CROPLAND
from geotransfer.labels.checking import check_labels
from geotransfer.labels.reading import read_labels

OUTLINE = json.dumps({"type": "Polygon", "coordinates": [[[0, 0], [9, 0], [9, 2], [0, 2], [0, 0]]]})
ROWS = b"lon,lat,class\n1,1,crop\n8,1,non-crop\n1,8,crop\n,1,crop\n400,1,crop\n2,1,maize\n"


def test_every_row_with_a_place_is_seen_with_its_class_or_reason() -> None:
    checked = check_labels(
        read_labels(ROWS, "points.csv"), region_outline=OUTLINE, imagery_bounds=None,
        imagery_period=None, legend=CROPLAND,
    )  # fmt: skip
    document, bounds = make_preview(checked)
    features = json.loads(document)["features"]
    told = {
        tuple(f["geometry"]["coordinates"]): (f["properties"]["text"], f["properties"]["color"])
        for f in features
    }
    colors = {item.name: item.color for item in CROPLAND.classes}
    assert told[(1, 1)] == ("line 2: crop", colors["crop"])
    assert told[(8, 1)] == ("line 3: non-crop", colors["non-crop"])
    assert told[(1, 8)][0].startswith("line 4: rejected, ")
    assert told[(1, 8)][1] == previews.REJECTED_COLOR
    assert len(features) == 4  # the one without latitude and the one off the earth have no place
    assert bounds == (1, 1, 8, 1)  # of the good ones: the exchanged row lies far away


def test_the_oldest_previews_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(previews, "MAX_DOCUMENTS", 2)
    names = [keep_preview(f"document {i}".encode()) for i in range(3)]
    assert [read_preview(name) for name in names] == [None, b"document 1", b"document 2"]
    monkeypatch.setattr(previews, "MAX_BYTES", 12)
    large = keep_preview(b"larger than all others")
    assert read_preview(large) is not None  # what was asked for last is always there
    assert read_preview(names[2]) is None
    assert read_preview("unknown") is None
