"""Definition files of legends and sensors: plain parts in, frozen rows or one sentence out.

Specs have a module of their own, ``core/spec_file.py``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from geotransfer.core.legend import CLASS_COLORS, NODATA_CLASS, Legend, LegendClass
from geotransfer.core.sensor import MaskKind, MaskRule, Sensor
from geotransfer.errors import DefinitionInvalid

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,59}")
BAND = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
COLOR = re.compile(r"#[0-9a-fA-F]{6}")

DN_REACH = 3.2
"""Stacks hold scaled values as int16 at 1e-4, so bands must lie within ± this."""


def refuse(where: str, what: str, remedy: str) -> DefinitionInvalid:
    """Return the error of a definition: file, what is wrong, what to do."""
    return DefinitionInvalid(f"{where}: {what}; {remedy}.")


def check_keys(
    plain: Any, *, known: Sequence[str], needed: Sequence[str], where: str, what: str
) -> Mapping[str, Any]:
    """Return a mapping whose keys are all known and none is lacking."""
    if not isinstance(plain, Mapping):
        raise refuse(where, f"the {what} is not a mapping", f"write {', '.join(known)}")
    unknown = [str(key) for key in plain if key not in known]
    if unknown:
        raise refuse(where, f"{what}: {unknown[0]!r} is not known", f"use {', '.join(known)}")
    missing = [key for key in needed if key not in plain]
    if missing:
        raise refuse(where, f"{what}: {missing[0]!r} is missing", "add it")
    return plain


def check_name(value: Any, *, where: str) -> str:
    """Return a row's name: lower case, so that it can stand in a command or address."""
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise refuse(
            where,
            f"the name {value!r} cannot be used",
            "use lower case letters, digits, hyphens, at most 60",
        )
    return value


def read_number(value: Any, what: str, *, where: str) -> float:
    """Return a number; a text or a truth value is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        raise refuse(where, f"{what} is {value!r}, which is no number", "write a number")
    return float(value)


def parse_legend(plain: Any, *, where: str) -> Legend:
    """Read a legend: ``name`` and ``classes``, each with code, name and, if it has one, colour.

    Raises
    ------
    DefinitionInvalid
        One sentence that names the class and the remedy.
    """
    data = check_keys(
        plain, known=("name", "classes"), needed=("name", "classes"), where=where, what="legend"
    )
    if not isinstance(data["classes"], list) or len(data["classes"]) < 2:
        raise refuse(where, "a legend has at least two classes", "list them under 'classes'")
    classes = tuple(
        _parse_class(item, position, where=where) for position, item in enumerate(data["classes"])
    )
    for told, values in (
        ("code", [item.code for item in classes]),
        ("name", [item.name.casefold() for item in classes]),
    ):
        twice = next((v for i, v in enumerate(values) if v in values[:i]), None)
        if twice is not None:
            raise refuse(where, f"two classes have the {told} {twice!r}", "change one")
    return Legend(name=check_name(data["name"], where=where), classes=classes)


def _parse_class(plain: Any, position: int, *, where: str) -> LegendClass:
    what = f"class {position + 1}"
    data = check_keys(
        plain, known=("code", "name", "color"), needed=("code", "name"), where=where, what=what
    )
    code = data["code"]
    if isinstance(code, bool) or not isinstance(code, int) or not 0 <= code < NODATA_CLASS:
        raise refuse(where, f"{what} has the code {code!r}", "use a whole number from 0 to 254")
    name = str(data["name"]).strip()
    if not name:
        raise refuse(where, f"{what} has no name", "give it one")
    color = data.get("color", CLASS_COLORS[position % len(CLASS_COLORS)])
    if not isinstance(color, str) or not COLOR.fullmatch(color):
        raise refuse(where, f"{what} has the color {color!r}", "write it as '#e69f00', in quotes")
    return LegendClass(code=code, name=name, color=color.lower())


def parse_sensor(plain: Any, *, where: str) -> Sensor:
    """Read a sensor: names of its bands, scale, offset, nodata, mask rules.

    Raises
    ------
    DefinitionInvalid
        One sentence that names the key and the remedy.
    """
    data = check_keys(
        plain,
        known=("name", "bands", "scale", "offset", "nodata", "masks", "collections"),
        needed=("name", "bands"),
        where=where,
        what="sensor",
    )
    bands = data["bands"]
    if isinstance(bands, list):
        bands = {str(name): str(name) for name in bands}
    if not isinstance(bands, Mapping) or not bands:
        raise refuse(where, "the sensor has no bands", "write 'bands: {B04: red, B08: nir}'")
    for ours in bands.values():
        if not isinstance(ours, str) or not BAND.fullmatch(ours):
            raise refuse(where, f"the band name {ours!r} cannot be used", "use letters and digits")
    scale = read_number(data.get("scale", 1.0), "scale", where=where)
    if scale <= 0:
        raise refuse(where, f"the scale is {scale:g}", "give a positive number")
    nodata = data.get("nodata")
    masks = data.get("masks") or {}
    if not isinstance(masks, Mapping):
        raise refuse(where, "'masks' is not a mapping", "write 'masks: {cloud: {kind: flag}}'")
    words = data.get("collections") or [data["name"]]
    return Sensor(
        name=check_name(data["name"], where=where),
        bands={str(asset): str(ours) for asset, ours in bands.items()},
        scale=scale,
        offset=read_number(data.get("offset", 0.0), "offset", where=where),
        nodata=None if nodata is None else read_number(nodata, "nodata", where=where),
        masks={
            str(name): _parse_mask(rule, str(name), where=where) for name, rule in masks.items()
        },
        collections=tuple(str(word).lower() for word in words),
    )


def _parse_mask(plain: Any, name: str, *, where: str) -> MaskRule:
    what = f"mask {name!r}"
    data = check_keys(
        plain, known=("kind", "bad", "dilate_px"), needed=("kind",), where=where, what=what
    )
    kinds = [kind.value for kind in MaskKind]
    if data["kind"] not in kinds:
        raise refuse(where, f"{what} is of kind {data['kind']!r}", f"use one of {', '.join(kinds)}")
    kind = MaskKind(data["kind"])
    bad = data.get("bad") or []
    if not isinstance(bad, list) or any(
        isinstance(v, bool) or not isinstance(v, int) or v < 0 for v in bad
    ):
        raise refuse(where, f"{what}: 'bad' is no list of whole numbers", "write 'bad: [3, 8, 9]'")
    if kind is MaskKind.FLAG and bad:
        raise refuse(where, f"{what} is a flag and lists bad codes", "use kind 'classes' or 'bits'")
    if kind is not MaskKind.FLAG and not bad:
        raise refuse(where, f"{what} lists no bad {kind.value}", "add 'bad: [...]'")
    if kind is MaskKind.BITS and max(bad) > 31:
        raise refuse(where, f"{what} names bit {max(bad)}", "bits are counted from 0 to 31")
    dilate = data.get("dilate_px", 2)
    if isinstance(dilate, bool) or not isinstance(dilate, int) or not 0 <= dilate <= 100:
        raise refuse(where, f"{what}: dilate_px is {dilate!r}", "use whole pixels from 0 to 100")
    return MaskRule(kind=kind, bad=tuple(bad), dilate_px=dilate)
