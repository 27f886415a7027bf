"""GeoJSON (RFC 7946), with the CRS member of its 2008 draft honoured where a file has one."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geotransfer.errors import LabelsInvalid
from geotransfer.labels.delimited import clean_name, decode_text, make_unique
from geotransfer.labels.geometries import parse_geojson_geometries
from geotransfer.labels.limits import MAX_COLUMNS, MAX_JSON_PARTS, MAX_ROWS, shorten
from geotransfer.labels.raw import Fault, FaultKind, RawTable, fill_objects


def read_geojson(data: bytes, file_name: str) -> RawTable:
    """Read a FeatureCollection, or one Feature.

    Raises
    ------
    LabelsInvalid
        It is cut off, no JSON, no feature collection, empty or too large.
    """
    if data.count(b"[") + data.count(b"{") > MAX_JSON_PARTS:
        raise LabelsInvalid(
            f"{file_name}: it holds more than {MAX_JSON_PARTS:,} brackets; split the file, or save"
            " it as GeoPackage."
        )
    text, encoding, warnings = decode_text(data, file_name=file_name)
    try:
        return _read_document(text, file_name, encoding=encoding, warnings=warnings)
    except RecursionError as error:
        raise LabelsInvalid(
            f"{file_name}: its brackets are nested too deep for GeoJSON; export the labels again."
        ) from error


def _read_document(
    text: str, file_name: str, *, encoding: str, warnings: tuple[str, ...]
) -> RawTable:
    document = _decode_json(text, file_name=file_name)
    features = _list_features(document, file_name=file_name)
    faults: dict[int, Fault] = {}
    geometries: list[Any] = [None] * len(features)
    properties: list[dict[str, Any]] = [{}] * len(features)
    for index, feature in enumerate(features):
        if not isinstance(feature, dict) or feature.get("type") != "Feature":
            faults[index] = Fault(
                FaultKind.ROW, "it is not a GeoJSON Feature", "write it as one, or remove it"
            )
            continue
        geometries[index] = feature.get("geometry")
        found = feature.get("properties")
        properties[index] = found if isinstance(found, dict) else {}
    geometry, unreadable = parse_geojson_geometries(geometries)
    return RawTable(
        file_name=file_name,
        format="GeoJSON",
        row_word="feature",
        rows=np.arange(1, len(features) + 1),
        columns=_gather_columns(properties, file_name=file_name),
        geometry=geometry,
        crs=_read_crs(document, file_name=file_name),
        crs_source="stated by the file" if document.get("crs") is not None else "by the format",
        faults=unreadable | faults,
        encoding=encoding,
        warnings=warnings,
    )


def _decode_json(text: str, *, file_name: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        line = f"line {error.lineno:,}, character {error.colno:,}"
        if not text[error.pos :].strip() or error.msg.startswith("Unterminated"):
            raise LabelsInvalid(
                f"{file_name}: the file is cut off at {line}; export or upload it again."
            ) from error
        raise LabelsInvalid(
            f"{file_name}: {line} is no JSON ({error.msg}); export the labels again as GeoJSON."
        ) from error
    except ValueError as error:  # a number of more digits than Python reads
        raise LabelsInvalid(
            f"{file_name}: it holds a number of thousands of digits; export the labels again."
        ) from error
    if not isinstance(document, dict):
        raise LabelsInvalid(
            f"{file_name}: it is JSON but no GeoJSON FeatureCollection; export the labels again"
            " as GeoJSON."
        )
    return document


def _list_features(document: dict[str, Any], *, file_name: str) -> list[Any]:
    kind = document.get("type")
    if kind == "Feature":
        return [document]
    features = document.get("features")
    if kind != "FeatureCollection" or not isinstance(features, list):
        raise LabelsInvalid(
            f"{file_name}: its type is {shorten(str(kind), limit=30)!r}, not 'FeatureCollection',"
            " so no label has a class; export the labels as features with properties."
        )
    if not features:
        raise LabelsInvalid(
            f"{file_name}: it holds no feature; export the labels again with all their rows."
        )
    if len(features) > MAX_ROWS:
        raise LabelsInvalid(
            f"{file_name}: it holds {len(features):,} features, more than the {MAX_ROWS:,} a file"
            " may have; split the file."
        )
    return features


def _gather_columns(properties: list[dict[str, Any]], *, file_name: str) -> dict[str, NDArray[Any]]:
    keys: dict[str, None] = {}
    for item in properties:
        keys.update(dict.fromkeys(item))
        if len(keys) > MAX_COLUMNS:
            raise LabelsInvalid(
                f"{file_name}: its features have more than {MAX_COLUMNS:,} different properties;"
                " keep class, date and the features of one spec."
            )
    names = make_unique(clean_name(key) for key in keys)
    return {
        name: to_column([item.get(key) for item in properties])
        for name, key in zip(names, keys, strict=True)
    }


def to_column(values: list[Any]) -> NDArray[Any]:
    """Return values of a typed format as one column: numbers where all are, else text."""
    kinds = set(map(type, values)) - {type(None)}
    if kinds and kinds <= {int, float}:
        try:
            return np.array([np.nan if v is None else v for v in values], dtype=np.float64)
        except OverflowError:  # an integer beyond any float stays text
            pass
    return fill_objects([_write_value(value) for value in values])


def _write_value(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _read_crs(document: dict[str, Any], *, file_name: str) -> str:
    member = document.get("crs")
    if member is None:
        return "OGC:CRS84"
    properties = member.get("properties") if isinstance(member, dict) else None
    name = properties.get("name") if isinstance(properties, dict) else None
    if not isinstance(name, str):
        raise LabelsInvalid(
            f"{file_name}: its 'crs' member names no CRS; remove it where the coordinates are"
            " longitude and latitude."
        )
    return name
