"""Geometry from WKB, WKT and GeoJSON, guarded where the parser underneath is not.

GEOS reads nested collections by recursion without a limit: a few hundred kilobytes of WKB or WKT
end the process with a stack overflow (measured with GEOS 3.14.1). So only the six simple types are
passed on, and the parts of a multi-geometry are checked to be simple before it is parsed.
"""

from __future__ import annotations

import json
import re
import struct
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geotransfer.labels.limits import MAX_VERTICES, shorten
from geotransfer.labels.raw import Fault, FaultKind, Objects, fill_objects

SIMPLE_TYPES = ("Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon")
_TAGGED = re.compile(
    r"\s*(?:SRID\s*=\s*(?P<srid>\d+)\s*;)?\s*(?P<wkt>(?:MULTI)?(?:POINT|LINESTRING|POLYGON)\b.*)",
    re.IGNORECASE | re.DOTALL,
)
_SINGLE_CODES = {4: 1, 5: 2, 6: 3}
"""WKB code of each multi-geometry and of its parts."""
_TYPE_NAMES = dict(enumerate(("Geometry", *SIMPLE_TYPES, "GeometryCollection")))


def parse_wkt(texts: NDArray[Any]) -> tuple[Objects, dict[int, Fault], frozenset[str]]:
    """Read WKT or EWKT.

    Parameters
    ----------
    texts
        Shape (n,), text.

    Returns
    -------
    Geometries (None where a cell is empty or unreadable), the faults of unreadable ones by index,
    and the SRIDs that were stated.
    """
    n = len(texts)
    plain: list[str | None] = [None] * n
    faults: dict[int, Fault] = {}
    srids: set[str] = set()
    for index, text in enumerate(texts.tolist()):
        if not text.strip():
            continue
        match = _TAGGED.fullmatch(text)
        if match:
            plain[index] = match["wkt"]
            if match["srid"]:
                srids.add(match["srid"])
        else:
            faults[index] = _refuse_text(text)
    geometry: Objects = shapely.from_wkt(fill_objects(plain), on_invalid="ignore")
    for index in np.flatnonzero(shapely.is_missing(geometry)).tolist():
        if plain[index] is not None:
            faults[index] = _refuse_text(texts[index])
    return geometry, faults, frozenset(srids)


def _refuse_text(text: str) -> Fault:
    return Fault(
        FaultKind.PLACE_UNREADABLE,
        f"{shorten(text, limit=40)!r} is no geometry",
        "write WKT such as POINT (4.35 50.85)",
    )


def parse_wkb(blobs: list[bytes | None]) -> tuple[Objects, dict[int, Fault]]:
    """Read WKB; return geometries and, by index, the faults of those that cannot be read."""
    faults: dict[int, Fault] = {}
    safe: list[bytes | None] = [None] * len(blobs)
    for index, blob in enumerate(blobs):
        if blob is None:
            continue
        code = read_simple_code(blob)
        if code in range(1, 7):
            safe[index] = blob
        else:
            faults[index] = _refuse_blob(_TYPE_NAMES.get(code))
    geometry: Objects = shapely.from_wkb(fill_objects(safe), on_invalid="ignore")
    for index in np.flatnonzero(shapely.is_missing(geometry)).tolist():
        if safe[index] is not None:
            faults[index] = _refuse_blob(None)
    return geometry, faults


def _refuse_blob(name: str | None) -> Fault:
    if name is None:
        return Fault(
            FaultKind.PLACE_UNREADABLE, "its geometry is damaged", "draw it again, or remove it"
        )
    return Fault(
        FaultKind.NOT_A_PLACE, f"it is a {name}", "split it into single points and polygons"
    )


def read_simple_code(blob: bytes) -> int:
    """Return the WKB type code of a geometry nested at most one deep, else -1 (or its own, 7).

    The walk reads each count once and stops at the end of the bytes, so it takes at most as many
    steps as the blob has bytes.
    """
    try:
        code, offset, order, _ = _read_head(blob, 0)
        if code not in _SINGLE_CODES:
            return code
        (n_parts,) = struct.unpack_from(f"{order}I", blob, offset)
        offset += 4
        for _ in range(n_parts):
            part, offset, order, n_axes = _read_head(blob, offset)
            if part != _SINGLE_CODES[code]:
                return -1
            offset = _skip_single(blob, offset, part, order, n_axes)
    except struct.error:
        return -1
    return code


def _read_head(blob: bytes, offset: int) -> tuple[int, int, str, int]:
    """Type code, offset after the head, byte order and number of axes (EWKB and ISO alike)."""
    order = "<" if blob[offset : offset + 1] == b"\x01" else ">"
    (raw,) = struct.unpack_from(f"{order}I", blob, offset + 1)
    flags, code = raw >> 29, raw & 0x1FFFFFFF
    n_axes = 2 + bool(flags & 4) + bool(flags & 2) + (0, 1, 1, 2)[min(code // 1000, 3)]
    return code % 1000, offset + 5 + (4 if flags & 1 else 0), order, n_axes


def _skip_single(blob: bytes, offset: int, code: int, order: str, n_axes: int) -> int:
    if code == 1:
        return offset + 8 * n_axes
    n_rings = 1
    if code == 3:
        (n_rings,) = struct.unpack_from(f"{order}I", blob, offset)
        offset += 4
    for _ in range(n_rings):
        (n,) = struct.unpack_from(f"{order}I", blob, offset)
        offset += 4 + 8 * n_axes * n
    return offset


def parse_geojson_geometries(items: list[Any]) -> tuple[Objects, dict[int, Fault]]:
    """Read GeoJSON geometries as ``json`` decoded them; None where an item is null or unreadable.

    Points, by far the most common, are built at once; the others one by one.
    """
    n = len(items)
    faults: dict[int, Fault] = {}
    xy = np.full((n, 2), np.nan)
    points = np.zeros(n, dtype=bool)
    texts: list[str | None] = [None] * n
    for index, item in enumerate(items):
        if item is None:
            continue
        kind, coordinates = _split_geometry(item)
        position = _read_position(coordinates) if kind == "Point" else None
        if position is not None:
            xy[index] = position
            points[index] = True
        elif kind == "GeometryCollection":
            faults[index] = _refuse_blob("GeometryCollection")
        elif kind in SIMPLE_TYPES and isinstance(coordinates, list) and coordinates:
            texts[index] = json.dumps({"type": kind, "coordinates": coordinates})
        elif coordinates != []:
            faults[index] = _refuse_blob(None)
    geometry: Objects = shapely.from_geojson(fill_objects(texts), on_invalid="ignore")
    for index in np.flatnonzero(shapely.is_missing(geometry)).tolist():
        if texts[index] is not None:
            faults[index] = _refuse_blob(None)
    geometry[points] = shapely.points(xy[points])
    return geometry, faults


def _split_geometry(item: Any) -> tuple[Any, Any]:
    return (item.get("type"), item.get("coordinates")) if isinstance(item, dict) else (None, None)


def _read_position(value: Any) -> tuple[float, float] | None:
    if not isinstance(value, list) or len(value) < 2:
        return None
    x, y = value[:2]
    if not (isinstance(x, (int, float)) and isinstance(y, (int, float))):
        return None
    # Python reads integers of any size; floats end at 1.8e308.
    return (float(x), float(y)) if max(abs(x), abs(y)) < 1e300 else None


def check_geometries(geometry: Objects, counts: NDArray[np.int64]) -> dict[int, Fault]:
    """Return, by index, why a geometry cannot be a label's place; missing ones are left alone.

    Parameters
    ----------
    geometry
        Shape (n,), in EPSG:4326.
    counts
        Shape (n,), vertices of each.
    """
    faults: dict[int, Fault] = {}
    types = shapely.get_type_id(geometry)
    for index in np.flatnonzero(counts > MAX_VERTICES).tolist():
        faults[index] = Fault(
            FaultKind.TOO_LARGE,
            f"its outline has {counts[index]:,} corners, more than {MAX_VERTICES:,}",
            "simplify it",
        )
    for index in np.flatnonzero((types >= 0) & ~np.isin(types, (0, 3, 6))).tolist():
        faults[index] = Fault(
            FaultKind.NOT_A_PLACE,
            f"it is a {geometry[index].geom_type}",
            "give a point or a polygon; split it into single parts",
        )
    polygons = (types == 3) | (types == 6)
    polygons[list(faults)] = False
    finite = np.isfinite(shapely.bounds(geometry)).all(axis=1)
    chosen = np.flatnonzero(polygons & finite)
    for index in chosen[~shapely.is_valid(geometry[chosen])].tolist():
        why = shorten(str(shapely.is_valid_reason(geometry[index])))
        faults[index] = Fault(
            FaultKind.OUTLINE_INVALID,
            f"its outline is invalid ({why})",
            "mend it, in QGIS with 'Fix geometries'",
        )
    return faults


def simplify_multi(geometry: Objects) -> Objects:
    """Return the geometries with multi-geometries of one part replaced by that part."""
    types = shapely.get_type_id(geometry)
    single = (types >= 4) & (types <= 6) & (shapely.get_num_geometries(geometry) == 1)
    simple = geometry.copy()
    simple[single] = shapely.get_geometry(geometry[single], 0)
    return simple
