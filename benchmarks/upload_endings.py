"""Take an upload through the whole reader and judge how it ends.

Used by ``benchmarks.upload_arms`` and by the tests of ``geotransfer.labels``.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyogrio

from benchmarks.hostile_uploads import HostileUpload
from geotransfer.core.legend import CROPLAND
from geotransfer.errors import LabelsInvalid
from geotransfer.labels import (
    check_labels,
    preview_labels,
    read_labels,
    write_labels_csv,
    write_rejected_csv,
)

OUTLINE = json.dumps(
    {"type": "Polygon", "coordinates": [[[4, 50], [6, 50], [6, 52], [4, 52], [4, 50]]]}
)
PERIOD = (dt.date(2019, 1, 1), dt.date(2020, 1, 1))


@dataclass(frozen=True)
class Ending:
    """How an upload ended."""

    ok: bool
    why: str
    """Why it is not ok, or empty."""
    messages: tuple[str, ...]


def upload(case: HostileUpload) -> Ending:
    """Take an upload through preview, reading, checking and both exports; judge how it ends.

    Good is: the user is told, in words the case expects, one sentence that names the file and a
    remedy, or rows rejected with reasons; the exports hold no formula; no file is left behind,
    neither in the working or temporary folder (both private here) nor open nor in GDAL's memory.
    """
    data = case.make()
    with _private_folder() as folder:
        before = _list_files(folder)
        told, why = _take_upload(data, case.file_name)
        left = _list_files(folder) - before
    if not why and not re.search(case.expect, "\n".join(told)):
        why = f"the user is not told /{case.expect}/"
    if not why and left:
        why = f"files left behind: {sorted(left)}"
    return Ending(not why, why, told)


def _take_upload(data: bytes, file_name: str) -> tuple[tuple[str, ...], str]:
    """Return what the user is told, and what is wrong with it."""
    try:
        preview_labels(data, file_name)
        checked = check_labels(
            read_labels(data, file_name),
            region_outline=OUTLINE,
            imagery_bounds=(4, 50, 6, 52),
            imagery_period=PERIOD,
            legend=CROPLAND,
        )
        exports = (write_rejected_csv(checked), write_labels_csv(checked))
    except LabelsInvalid as error:
        return (str(error),), _judge_sentence(str(error), file_name)
    except Exception as error:  # noqa: BLE001 - what ends otherwise is the finding
        return (), f"traceback: {type(error).__name__}: {error}"
    told = (*(f"{item.reason}; {item.remedy}" for item in checked.rejected), *checked.warnings)
    return told, "an export holds a formula" if any(map(_holds_formula, exports)) else ""


@contextmanager
def _private_folder() -> Iterator[Path]:
    """Make a new folder the working and the temporary one, so that stray files show."""
    here, temporary = Path.cwd(), tempfile.tempdir
    with tempfile.TemporaryDirectory() as name:
        try:
            os.chdir(name)
            tempfile.tempdir = name
            yield Path(name)
        finally:
            os.chdir(here)
            tempfile.tempdir = temporary


def _judge_sentence(text: str, file_name: str) -> str:
    if file_name not in text:
        return "the file is not named"
    if ";" not in text and ":" not in text:
        return "there is no remedy"
    if "\n" in text or len(text) > 400 or not text.endswith(".") or "Traceback" in text:
        return "it is not one sentence"
    return ""


def _list_files(folder: Path) -> set[str]:
    found = {str(path) for path in folder.rglob("*")}
    found |= {f"in GDAL's memory: {line}" for line in pyogrio.vsi_listtree("/vsimem/")}
    return found | {f"open: {path}" for path in Path("/dev/fd").iterdir()}


def _holds_formula(export: bytes) -> bool:
    cells = (c for row in csv.reader(io.StringIO(export.decode("utf-8-sig"))) for c in row)
    return any(
        cell.lstrip().startswith(("=", "+", "-", "@", "\t", "\r"))
        and not re.fullmatch(r"[-+]?(\d[\d.]*|\.\d+)(e[-+]?\d+)?", cell)
        for cell in cells
    )
