"""Descriptions of plain folders of GeoTIFFs: one small YAML file, ``scenes.yaml``.

It says which bands there are, how dates stand in the file names, and what the numbers mean. Names
are matched by literal text and a few placeholders, never by a pattern language of their own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geotransfer.core.definition import check_keys, parse_sensor, read_number, refuse
from geotransfer.core.sensor import MaskRule
from geotransfer.errors import NotFound
from geotransfer.imagery.sensors import SENSORS
from geotransfer.imagery.signers import load_yaml

FILE_NAMES = ("scenes.yaml", "scenes.yml")
MAX_WILDCARDS = 8
KEYS = ("name", "files", "bands", "scale", "offset", "nodata", "mask", "sensor")
DIGITS = {"YYYY": 4, "MM": 2, "DD": 2, "DOY": 3, "hh": 2, "mm": 2, "ss": 2}
"""Placeholders of a date in a file name, by their number of digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderDescription:
    """What a description file says."""

    path: Path
    name: str
    pattern: re.Pattern[str]
    is_by_path: bool
    """Whether the pattern is of the path below the folder, not of the file's name alone."""
    bands: Mapping[str, str]
    """Word in the file's name, or number of the file's band → our band name."""
    is_multi_band: bool
    scale: float | None
    """None: as each file states."""
    offset: float | None
    nodata: float | None
    has_nodata: bool
    """Whether the description says what nodata is; ``nodata: none`` says that there is none."""
    mask_key: str
    mask_rule: MaskRule | None
    sensor: str


def find_description(location: Path) -> Path | None:
    """Return the description file that a location is or holds, or None."""
    if location.suffix.lower() in (".yaml", ".yml"):
        if not location.is_file():
            raise NotFound(f"{location}: there is no such file; check the path.")
        return location
    return next((location / name for name in FILE_NAMES if (location / name).is_file()), None)


def read_description(path: Path) -> FolderDescription:
    """Read a description file.

    Raises
    ------
    DefinitionInvalid
        One sentence that names the key and the remedy.
    """
    where = str(path)
    data = check_keys(
        load_yaml(path), known=KEYS, needed=("files", "bands"), where=where, what="description"
    )
    bands = _read_bands(data["bands"], where)
    is_multi_band = all(key.isdigit() for key in bands)
    mask_key, mask_rule = _read_mask(data, where, is_multi_band=is_multi_band)
    keys = [*bands, *([mask_key] if mask_key and not mask_key.isdigit() else [])]
    text = data["files"]
    if not isinstance(text, str) or not text.strip():
        raise refuse(where, "'files' is no text", "write files: 'S2_{YYYY}{MM}{DD}_{band}.tif'")
    nodata = data.get("nodata")
    has_nodata = "nodata" in data
    return FolderDescription(
        path=path,
        name=str(data.get("name") or path.absolute().parent.name),
        pattern=_compile_pattern(text, keys, where, is_multi_band=is_multi_band),
        is_by_path="/" in text,
        bands=bands,
        is_multi_band=is_multi_band,
        scale=_read_optional(data, "scale", where),
        offset=_read_optional(data, "offset", where),
        nodata=None if nodata in (None, "none") else read_number(nodata, "nodata", where=where),
        has_nodata=has_nodata,
        mask_key=mask_key,
        mask_rule=mask_rule,
        sensor=_read_sensor(data, where),
    )


def _read_optional(data: Mapping[str, Any], key: str, where: str) -> float | None:
    if data.get(key) is None:
        return None
    value = read_number(data[key], key, where=where)
    if key == "scale" and value <= 0:
        raise refuse(where, f"the scale is {value:g}", "give a positive number")
    return value


def _read_bands(plain: Any, where: str) -> dict[str, str]:
    bands = {str(k): str(k) for k in plain} if isinstance(plain, list) else plain
    if not isinstance(bands, Mapping) or not bands:
        raise refuse(where, "'bands' is no mapping", "write bands: {B04: red, B08: nir}")
    found = {str(key): str(ours) for key, ours in bands.items()}
    numbers = [key.isdigit() for key in found]
    if any(numbers) and not all(numbers):
        raise refuse(
            where, "'bands' mixes words and numbers", "use words of the names, or band numbers"
        )
    if any(key.isdigit() and not 1 <= int(key) <= 65535 for key in found):
        raise refuse(where, "a band number is 0", "count a file's bands from 1")
    twice = [ours for ours, n in Counter(found.values()).items() if n > 1]
    if twice:
        raise refuse(where, f"two bands are called {twice[0]!r}", "rename one")
    return found


def _read_sensor(data: Mapping[str, Any], where: str) -> str:
    sensor = str(data.get("sensor") or "sentinel-2-l2a")
    if sensor not in SENSORS:
        raise refuse(where, f"the sensor {sensor!r} is not known", f"use {', '.join(SENSORS)}")
    return sensor


def _read_mask(
    data: Mapping[str, Any], where: str, *, is_multi_band: bool
) -> tuple[str, MaskRule | None]:
    mask = data.get("mask")
    if mask is None:
        return "", None
    known = ("band", "kind", "bad", "dilate_px")
    rows = check_keys(mask, known=known, needed=("band", "kind"), where=where, what="mask")
    key = str(rows["band"])
    if key.isdigit() and not is_multi_band:
        raise refuse(where, f"the mask is band {key} of one-band files", "give its word")
    rule = {name: value for name, value in rows.items() if name != "band"}
    sensor = parse_sensor(
        {"name": "folder", "bands": {"a": "red"}, "masks": {key: rule}}, where=where
    )
    return key, sensor.masks[key]


def _compile_pattern(
    text: str, keys: Sequence[str], where: str, *, is_multi_band: bool
) -> re.Pattern[str]:
    """Turn literal text with placeholders into an expression; nothing else of it has a meaning."""
    seen: set[str] = set()
    n_wild = 0
    parts: list[str] = []
    for literal, name in re.findall(r"([^{}]*)(?:\{([^{}]*)\})?", text):
        parts.append(re.escape(literal))
        if not name:
            continue
        if name in seen:
            parts.append(f"(?P={name})")
        elif name in DIGITS:
            parts.append(rf"(?P<{name}>\d{{{DIGITS[name]}}})")
        elif name == "band":
            words = "|".join(re.escape(key) for key in sorted(keys, key=len, reverse=True))
            parts.append(f"(?P<band>{words})")
        elif name == "*" or re.fullmatch(r"[a-z]{1,20}", name):
            n_wild += 1
            parts.append(r"[^/]*?" if name == "*" else f"(?P<{name}>[^/]+?)")
        else:
            raise refuse(
                where,
                f"'files' has the placeholder {{{name}}}",
                f"use {', '.join(f'{{{key}}}' for key in (*DIGITS, 'band', 'tile', '*'))}",
            )
        if name != "*":
            seen.add(name)
    if text.count("{") != text.count("}") or n_wild > MAX_WILDCARDS:
        raise refuse(where, f"'files' is {text!r}", "close every brace; use few placeholders")
    if not {"YYYY", "MM", "DD"} <= seen and not {"YYYY", "DOY"} <= seen:
        raise refuse(where, "'files' has no date", "write {YYYY}{MM}{DD}, or {YYYY}{DOY}")
    if ("band" in seen) == (is_multi_band and not any(not key.isdigit() for key in keys)):
        remedy = "leave {band} out" if is_multi_band else "write {band} where the band's word is"
        raise refuse(where, "'files' and 'bands' contradict each other", remedy)
    return re.compile("".join(parts))
