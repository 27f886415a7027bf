"""How much an upload may hold: each limit says why, and messages name it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from geotransfer.errors import LabelsInvalid

MAX_UPLOAD_BYTES = 100 * 2**20
"""An upload holds at most 100 MiB: ten times what 100,000 labels with features need."""
MAX_UNPACKED_BYTES = 256 * 2**20
"""An archive or compressed table unpacks to at most 256 MiB, counted while it unpacks."""
MAX_ARCHIVE_MEMBERS = 100
"""An archive holds at most 100 files: a Shapefile has three to eight."""
MAX_ROWS = 500_000
"""A label file holds at most 500,000 rows: five times what checks in seconds."""
MAX_COLUMNS = 1_000
"""A label file holds at most 1,000 columns: more than any feature spec measures."""
MAX_CELL_CHARS = 131_072
"""A cell of a delimited file holds at most 131,072 characters: some 3,500 corners as WKT."""
MAX_JSON_PARTS = 10_000_000
"""A GeoJSON holds at most 10,000,000 brackets: each becomes an object in memory."""
MAX_VERTICES = 10_000
"""One label has at most 10,000 corners: a field has tens, a coastline has more."""
MAX_TOTAL_VERTICES = 5_000_000
"""All labels of a file together have at most 5,000,000 corners."""
MAX_LABEL_AREA_KM2 = 25.0
"""One label covers at most 25 km²: larger ones are outlines, not places somebody looked at."""
MAX_OVERLAPS = 2_000_000
"""At most 2,000,000 pairs of overlapping labels are compared; a warning says when it was more."""
SAME_PLACE_DEGREES = 1e-5
"""Points that agree after rounding to 0.00001° (about a metre) are at one place."""
ONE_PIXEL_M = 10.0
"""Labels whose extent is at most 10 m lie in one pixel of the sharpest Sentinel-2 band."""
MAX_GIVEN_CLASSES = 50
"""Suggestions are looked up for the 50 most frequent unknown class names; the rest are listed."""


@contextmanager
def refuse_unreadable(file_name: str, what: str, *, remedy: str) -> Iterator[None]:
    """Turn whatever a file parser raises on bytes it cannot read into one sentence.

    Parsers of foreign bytes raise errors of many unrelated types; to the user all mean the same.
    Only calls into such a parser belong inside the block.

    Raises
    ------
    LabelsInvalid
        ``file_name: what cannot be read (why); remedy.``
    """
    try:
        yield
    except LabelsInvalid:
        raise
    except MemoryError as error:
        raise LabelsInvalid(
            f"{file_name}: {what} asks for more memory than there is; {remedy}."
        ) from error
    except Exception as error:
        why = shorten(str(error)) or type(error).__name__
        raise LabelsInvalid(f"{file_name}: {what} cannot be read ({why}); {remedy}.") from error


def shorten(text: str, *, limit: int = 60) -> str:
    """Return ``text`` on one line of printable characters, cut to ``limit`` with an ellipsis."""
    line = "".join(c if c.isprintable() else " " for c in text[: 4 * limit])
    line = " ".join(line.split()).rstrip(" .")
    return line if len(line) <= limit else line[: limit - 1] + "…"
