"""Outputs: what is known of a region as files that a GIS or a spreadsheet opens as they are."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence

import shapely
from pyproj import Transformer

from geotransfer.core.fact import RefreshDone
from geotransfer.core.grid import Grid, Tile, cut_tiles
from geotransfer.core.region import RegionKind
from geotransfer.errors import NotFound
from geotransfer.labels.exports import guard_cell
from geotransfer.store.tables import read_table
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.label_points import make_points_geojson, read_points
from geotransfer.workflows.output_list import OUTPUTS, Output, list_kept_labels, list_outputs
from geotransfer.workflows.report import make_report
from geotransfer.workflows.scene_list import load_scenes
from geotransfer.workflows.views import RegionView, find_region_view, list_history

_Maker = Callable[[Workspace, RegionView], bytes | None]


def make_output(workspace: Workspace, region_id: str, name: str) -> tuple[bytes, Output]:
    """Return one file of a region.

    Raises
    ------
    NotFound
        There is no such region, or it has no such file.
    """
    view = find_region_view(workspace, region_id)
    make = _MAKERS.get(name)
    data = make(workspace, view) if make is not None else None
    if data is None:
        known = ", ".join(item.name for item in list_outputs(workspace, view))
        raise NotFound(f"region {region_id!r} has no file {name!r}; it has {known}.")
    return data, OUTPUTS[name]


def _make_report(workspace: Workspace, view: RegionView) -> bytes:
    return make_report(workspace, view.region.region_id).encode()


def _make_region(workspace: Workspace, view: RegionView) -> bytes:
    e, reach = view.evaluation, view.reach
    properties = {
        "region_id": view.region.region_id,
        "name": view.region.name,
        "kind": view.region.kind.value,
        "is_simulated": view.region.kind is RegionKind.SIMULATED,
        "area_km2": view.region.area_km2,
        "balanced_accuracy": e.balanced.value if e else None,
        "balanced_accuracy_low": e.balanced.low if e else None,
        "balanced_accuracy_high": e.balanced.high if e else None,
        "estimand": e.estimand if e else None,
        "reach": reach.value if reach else None,
        "reach_target": view.reach_target,
        "cpu_s_per_km2": view.cpu_s_per_km2,
        "model": view.serving.name if view.serving else None,
        "refreshed_at": view.refreshed_at,
        "attribution": view.region.attribution,
    }
    return _write_geojson([(json.loads(view.region.outline), properties)])


def _make_accuracy(workspace: Workspace, view: RegionView) -> bytes | None:
    e = view.evaluation
    if e is None:
        return None
    rows = [("overall accuracy", "", e.overall), ("balanced accuracy", "", e.balanced)]
    if e.auc is not None:
        rows.append(("AUC", "", e.auc))
    names = e.matrix.class_names
    for figure, estimates in (
        ("user's accuracy", e.users),
        ("producer's accuracy", e.producers),
        ("F1", e.f1),
    ):
        rows += [(figure, name, value) for name, value in zip(names, estimates, strict=True)]
    head = ("figure", "class", "value", "low", "high", "level", "method", "n", "estimand")
    return _write_csv(
        head,
        [(f, c, v.value, v.low, v.high, v.level, v.method, v.n, e.estimand) for f, c, v in rows],
    )


def _make_areas(workspace: Workspace, view: RegionView) -> bytes | None:
    if view.refresh is None:
        return None
    return _write_csv(
        ("class", "mapped_km2", "map_id"),
        [(n, km2, view.refresh.map_id) for n, km2 in view.refresh.class_areas_km2.items()],
    )


_TILE_COLUMNS = (
    "tile_id",
    "action",
    "reason",
    "computed_at",
    "confirmed_at",
    "n_inside",
    "n_valid",
    "full_cpu_s",
)


def _read_tiles(workspace: Workspace, view: RegionView) -> list[dict[str, object]]:
    done = workspace.ledger.read_last(RefreshDone, region_id=view.region.region_id)
    rows = read_table(workspace.blobs.get(done.tiles_id)) if done else []
    return [{name: row.get(name) for name in _TILE_COLUMNS} for row in rows]


def _make_tile_table(workspace: Workspace, view: RegionView) -> bytes | None:
    rows = _read_tiles(workspace, view)
    return _write_csv(tuple(rows[0]), [tuple(row.values()) for row in rows]) if rows else None


def _make_tile_outlines(workspace: Workspace, view: RegionView) -> bytes | None:
    """Tiles as polygons in EPSG:4326, with when and why each was computed."""
    rows = {str(row["tile_id"]): row for row in _read_tiles(workspace, view)}
    if not rows:
        return None
    inputs = load_scenes(workspace, view.region.region_id)
    tiles = [t for t in cut_tiles(inputs.grid, inputs.tile_px) if t.tile_id in rows]
    return _write_geojson([(_outline_tile(inputs.grid, t), rows[t.tile_id]) for t in tiles])


def _outline_tile(grid: Grid, tile: Tile) -> object:
    """Return a tile's outline in EPSG:4326; its edges are no straight lines there."""
    a, _, c, _, e, f = grid.transform
    left, top = c + a * tile.col, f + e * tile.row
    box = shapely.box(left, top + e * tile.height, left + a * tile.width, top)
    to_lonlat = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
    dense = shapely.segmentize(box, a * tile.width / 4)
    outline = shapely.transform(dense, to_lonlat.transform, interleaved=False)
    return json.loads(shapely.to_geojson(outline))


def _make_scenes(workspace: Workspace, view: RegionView) -> bytes | None:
    if not view.n_scenes:
        return None
    scenes = load_scenes(workspace, view.region.region_id).scenes
    return _write_csv(
        (
            "scene_id",
            "sensed_at",
            "sensor",
            "processing_baseline",
            "west",
            "south",
            "east",
            "north",
        ),
        [(s.scene_id, s.sensed_at, s.sensor, s.processing_baseline, *s.bounds) for s in scenes],
    )


def _make_history(workspace: Workspace, view: RegionView) -> bytes:
    entries = list_history(workspace, view.region.region_id)
    return _write_csv(
        ("at", "actor", "what", "detail"), [(e.at, e.actor, e.what, e.detail) for e in entries]
    )


def _make_label_points(workspace: Workspace, view: RegionView) -> bytes | None:
    """Labels that have a place; without any the file is listed all the same, so it is empty."""
    kept = list_kept_labels(workspace, view.region.region_id)
    features = []
    for fact in kept:
        data = workspace.blobs.get(fact.labels_id)
        for feature in json.loads(make_points_geojson(data, view.legend))["features"]:
            told = {"role": fact.role, "labels_id": fact.labels_id[:12]}
            features.append((feature["geometry"], {**feature["properties"], **told}))
    return _write_geojson(features) if kept else None


def _make_label_table(workspace: Workspace, view: RegionView) -> bytes | None:
    """Labels that have a place, as a table that can be uploaded again."""
    kept = list_kept_labels(workspace, view.region.region_id)
    names = dict(zip(view.legend.codes, view.legend.names, strict=True))
    rows: list[tuple[object, ...]] = []
    for fact in kept:
        points = read_points(workspace.blobs.get(fact.labels_id))
        if not points.has_places:
            continue
        for geometry, code in zip(points.geometry, points.codes.tolist(), strict=True):
            wkt = shapely.to_wkt(geometry, rounding_precision=7)
            rows.append((wkt, names.get(code, str(code)), fact.role, fact.labels_id[:12]))
    return _write_csv(("wkt", "class", "role", "labels_id"), rows) if kept else None


def _write_geojson(features: Sequence[tuple[object, Mapping[str, object]]]) -> bytes:
    document = {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "geometry": geometry, "properties": properties}
            for geometry, properties in features
        ],
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _write_csv(head: Sequence[str], rows: Sequence[Sequence[object]]) -> bytes:
    """UTF-8 with a byte-order mark; no cell is run as a formula by a spreadsheet."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(head)
    for row in rows:
        writer.writerow(["" if cell is None else guard_cell(str(cell)) for cell in row])
    return b"\xef\xbb\xbf" + text.getvalue().encode()


_MAKERS: Mapping[str, _Maker] = {
    "report.html": _make_report,
    "region.geojson": _make_region,
    "accuracy.csv": _make_accuracy,
    "areas.csv": _make_areas,
    "labels.geojson": _make_label_points,
    "labels.csv": _make_label_table,
    "tiles.geojson": _make_tile_outlines,
    "tiles.csv": _make_tile_table,
    "scenes.csv": _make_scenes,
    "history.csv": _make_history,
}
