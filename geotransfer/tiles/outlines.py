"""Country outlines for the offline base map: made once from Natural Earth, then shipped.

``npm pack world-atlas@2.0.2`` fetches the source;
``python -m geotransfer.tiles.outlines world-atlas-2.0.2.tgz data`` writes the countries, and for
maps of the whole world coarser ones and the borders between them. Borders are simplified before the
polygons are put together, so neighbours still share them.
"""

from __future__ import annotations

import argparse
import json
import math
import tarfile
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from geotransfer.store.shipped import FOLDER

Position = tuple[float, float]

OUTLINES_PATH = FOLDER / "countries.geojson"
LAND_PATH = FOLDER / "land.geojson"
BORDERS_PATH = FOLDER / "borders.json"
ATTRIBUTION = "Made with Natural Earth (public domain), from world-atlas 2.0.2 (ISC)"
MEMBER = "package/countries-50m.json"
TOLERANCE_DEG = 0.025
"""Borders move by at most this: 3 km, about one screen pixel where whole countries fit."""
OVERVIEW_TOLERANCE_DEG = 0.1
"""The same where the world fits, a third of a pixel. A machine without a graphics card draws the
finer polygons in half a second more, and their borders and coasts as paths in more than one."""
BORDER_TOLERANCE_DEG = 0.25
"""Of the borders there, which are thin."""


@lru_cache(maxsize=1)
def read_outlines() -> bytes:
    """Return the shipped GeoJSON: a polygon and a label point for each country, EPSG:4326."""
    return OUTLINES_PATH.read_bytes()


@lru_cache(maxsize=1)
def read_land() -> bytes:
    """Return the shipped GeoJSON of the same countries for the whole world, without labels."""
    return LAND_PATH.read_bytes()


@lru_cache(maxsize=1)
def read_borders() -> bytes:
    """Return the borders between countries, a JSON list of segments from ``a`` to ``b``."""
    return BORDERS_PATH.read_bytes()


def decode_arcs(topology: dict[str, Any]) -> list[list[Position]]:
    """Undo the delta and integer coding of a TopoJSON document's arcs; (lon, lat) in degrees."""
    scale_x, scale_y = topology["transform"]["scale"]
    shift_x, shift_y = topology["transform"]["translate"]
    arcs = []
    for deltas in topology["arcs"]:
        x = y = 0
        arc = []
        for dx, dy in deltas:
            x, y = x + dx, y + dy
            arc.append((x * scale_x + shift_x, y * scale_y + shift_y))
        arcs.append(arc)
    return arcs


def simplify_arc(arc: Sequence[Position], tolerance: float) -> list[Position]:
    """Drop vertices nearer than ``tolerance`` to the line without them; the ends stay.

    Douglas and Peucker (1973), doi:10.3138/FM57-6770-U75U-7727. A closed arc is an island: it is
    split at its farthest point, and keeps at least a triangle.
    """
    points = list(arc)
    kept = [False] * len(points)
    kept[0] = kept[-1] = True
    spans = [(0, len(points) - 1)]
    if points[0] == points[-1] and len(points) > 3:
        far = max(range(len(points)), key=lambda i: math.dist(points[i], points[0]))
        apex = max(
            range(len(points)), key=lambda i: _find_offset(points[i], points[0], points[far])
        )
        kept[far] = kept[apex] = True
        ends = sorted({0, far, apex, len(points) - 1})
        spans = list(pairwise(ends))
    while spans:
        first, last = spans.pop()
        inner = range(first + 1, last)
        worst = max(
            inner, key=lambda i: _find_offset(points[i], points[first], points[last]), default=None
        )
        if worst is None or _find_offset(points[worst], points[first], points[last]) <= tolerance:
            continue
        kept[worst] = True
        spans += [(first, worst), (worst, last)]
    return [point for point, keep in zip(points, kept, strict=True) if keep]


def _find_offset(point: Position, start: Position, end: Position) -> float:
    """Distance from ``point`` to the segment."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length2 = dx * dx + dy * dy
    if length2 == 0:
        return math.dist(point, start)
    t = ((point[0] - start[0]) * dx + (point[1] - start[1]) * dy) / length2
    t = min(1.0, max(0.0, t))
    return math.dist(point, (start[0] + t * dx, start[1] + t * dy))


def join_ring(indexes: Iterable[int], arcs: Sequence[Sequence[Position]]) -> list[Position]:
    """Put a ring together from arcs; index ``~i`` runs arc i backwards."""
    ring: list[Position] = []
    for index in indexes:
        arc = arcs[index] if index >= 0 else arcs[~index][::-1]
        ring += arc if not ring else arc[1:]
    return ring


def build_outlines(topology: dict[str, Any], *, tolerance: float = TOLERANCE_DEG) -> dict[str, Any]:
    """Build the GeoJSON of countries, largest first, from a TopoJSON document.

    Each country has a feature with its polygons (``kind`` *country*) and one with a point inside
    the largest of them (``kind`` *label*, ``rank`` 0 for the largest country).
    """
    from shapely import set_precision
    from shapely.geometry import MultiPolygon
    from shapely.ops import polylabel
    from shapely.validation import make_valid

    exact = decode_arcs(topology)
    simple = [
        [(round(x, 2), round(y, 2)) for x, y in simplify_arc(arc, tolerance)] for arc in exact
    ]
    countries = []
    for item in topology["objects"]["countries"]["geometries"]:
        groups = item["arcs"] if item["type"] == "MultiPolygon" else [item["arcs"]]
        # A country smaller than the tolerance keeps its exact outline.
        polygons = _join_polygons(groups, simple) or _join_polygons(groups, exact)
        flat = cut_antimeridian(make_valid(MultiPolygon(polygons)))
        # Snapping keeps what make_valid returns valid when it is rounded.
        parts = _list_polygons(set_precision(flat, 0.001))
        point = polylabel(max(parts, key=lambda part: part.area), tolerance=0.1)
        coordinates = [
            [
                [(round(x, 3), round(y, 3)) for x, y in ring.coords]
                for ring in (part.exterior, *part.interiors)
            ]
            for part in parts
        ]
        name = item["properties"]["name"]
        countries.append((sum(part.area for part in parts), name, coordinates, point.coords[0]))
    countries.sort(key=lambda row: -row[0])
    features: list[dict[str, Any]] = [
        {
            "type": "Feature",
            "properties": {"kind": "country", "name": name},
            "geometry": {"type": "MultiPolygon", "coordinates": coordinates},
        }
        for _, name, coordinates, _ in countries
    ]
    features += [
        {
            "type": "Feature",
            "properties": {"kind": "label", "name": name, "rank": rank},
            "geometry": {"type": "Point", "coordinates": [round(x, 2), round(y, 2)]},
        }
        for rank, (_, name, _, (x, y)) in enumerate(countries)
    ]
    return {
        "type": "FeatureCollection",
        "properties": {"attribution": ATTRIBUTION, "tolerance_deg": tolerance},
        "features": features,
    }


def build_land(topology: dict[str, Any]) -> dict[str, Any]:
    """Build the GeoJSON of countries for maps of the whole world."""
    document = build_outlines(topology, tolerance=OVERVIEW_TOLERANCE_DEG)
    features = [f for f in document["features"] if f["properties"]["kind"] == "country"]
    return {**document, "features": features}


def build_borders(
    topology: dict[str, Any], *, tolerance: float = BORDER_TOLERANCE_DEG
) -> list[dict[str, Position]]:
    """Build the segments of the borders: of the arcs that two countries share."""
    uses: Counter[int] = Counter()
    for item in topology["objects"]["countries"]["geometries"]:
        groups = item["arcs"] if item["type"] == "MultiPolygon" else [item["arcs"]]
        uses.update({i if i >= 0 else ~i for group in groups for ring in group for i in ring})
    lines = [
        [(round(x, 2), round(y, 2)) for x, y in simplify_arc(arc, tolerance)]
        for number, arc in enumerate(decode_arcs(topology))
        if uses[number] > 1
    ]
    return [{"a": a, "b": b} for line in lines for a, b in pairwise(line)]


def _join_polygons(
    groups: Iterable[Iterable[Iterable[int]]], arcs: Sequence[Sequence[Position]]
) -> list[tuple[list[Position], list[list[Position]]]]:
    """Shell and holes of each polygon; what simplification has made a point or line is left out."""
    polygons = []
    for group in groups:
        shell, *holes = (unwrap_ring(_drop_repeats(join_ring(ring, arcs))) for ring in group)
        if len(shell) >= 4:
            polygons.append((shell, [hole for hole in holes if len(hole) >= 4]))
    return polygons


def unwrap_ring(ring: Sequence[Position]) -> list[Position]:
    """Undo jumps across the antimeridian: longitudes then run on beyond ±180.

    A ring around a pole does not come back to where it started; it is closed over the pole.
    """
    unwrapped = list(ring[:1])
    for lon, lat in ring[1:]:
        turns = round((unwrapped[-1][0] - lon) / 360)
        unwrapped.append((lon + 360 * turns, lat))
    if unwrapped and unwrapped[-1] != unwrapped[0]:
        pole = math.copysign(90, unwrapped[0][1])
        unwrapped += [(unwrapped[-1][0], pole), (unwrapped[0][0], pole), unwrapped[0]]
    return unwrapped


def cut_antimeridian(geometry: Any) -> Any:
    """Bring what lies beyond ±180 degrees back by whole turns."""
    from shapely import box, union_all
    from shapely.affinity import translate

    pieces = [
        translate(
            geometry.intersection(box(-180 + 360 * turn, -90, 180 + 360 * turn, 90)), -360 * turn
        )
        for turn in (-1, 0, 1)
    ]
    return union_all([piece for piece in pieces if not piece.is_empty])


def _drop_repeats(ring: Sequence[Position]) -> list[Position]:
    return [point for i, point in enumerate(ring) if i == 0 or point != ring[i - 1]]


def _list_polygons(geometry: Any) -> list[Any]:
    """Polygons of a geometry; lines and points that repair leaves over are dropped."""
    if geometry.geom_type == "Polygon":
        return [geometry]
    return [part for item in getattr(geometry, "geoms", ()) for part in _list_polygons(item)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the npm package's archive and write the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("archive", type=Path, help="world-atlas-2.0.2.tgz, from npm pack")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    with tarfile.open(options.archive) as archive:
        member = archive.extractfile(MEMBER)
        if member is None:
            parser.error(f"{options.archive} has no {MEMBER}; give the archive of world-atlas.")
        topology = json.load(member)
    documents = {
        OUTLINES_PATH: build_outlines(topology),
        LAND_PATH: build_land(topology),
        BORDERS_PATH: build_borders(topology),
    }
    for path, document in documents.items():
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        (options.folder / path.name).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
