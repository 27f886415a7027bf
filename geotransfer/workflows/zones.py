"""Zones: class shares, areas and certainty of a region's map by polygon, as CSV and GeoPackage."""

from __future__ import annotations

import tempfile
from pathlib import Path

import geopandas as gpd
import pandas as pd

from geotransfer.core.fact import ZonesSummarized
from geotransfer.errors import OutlineInvalid
from geotransfer.imagery.grids import measure_pixel_km2
from geotransfer.imagery.zones import summarize_zones
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.definitions import find_legend
from geotransfer.workflows.maps import locate_map
from geotransfer.workflows.progress import Progress, ignore_progress
from geotransfer.workflows.region_pixels import find_map
from geotransfer.workflows.regions import (
    MAX_OUTLINE_BYTES,
    check_valid,
    find_region,
    read_frame,
)
from geotransfer.workflows.scene_list import load_scenes

MAX_ZONES = 100_000


def summarize_region(
    workspace: Workspace,
    region_id: str,
    data: bytes,
    file_name: str,
    *,
    actor: str,
    progress: Progress = ignore_progress,
) -> ZonesSummarized:
    """Summarise a region's present map by uploaded polygons and keep the tables.

    Raises
    ------
    NotFound
        The region has no map yet.
    OutlineInvalid
        The file has no CRS, no polygon, or one that crosses itself.
    """
    region = find_region(workspace, region_id)
    done = find_map(workspace, region_id)
    progress(0, 2, f"reading {file_name}")
    polygons = read_polygons(data, file_name)
    progress(1, 2, f"summarising {len(polygons)} polygons")
    table = summarize_zones(
        locate_map(workspace, region_id, done.map_id),
        polygons,
        find_legend(workspace, region.legend_name),
        pixel_km2=measure_pixel_km2(load_scenes(workspace, region_id).grid),
    )
    given = polygons.drop(columns="geometry")
    table = table.rename(columns={c: f"{c} of the map" for c in table if c in given.columns})
    whole = pd.concat([given, table], axis=1)
    fact = ZonesSummarized(
        region_id=region_id,
        map_id=done.map_id,
        file_name=file_name,
        n_zones=len(polygons),
        polygons_id=workspace.blobs.put(data),
        csv_id=workspace.blobs.put(whole.to_csv(index=False).encode()),
        gpkg_id=workspace.blobs.put(_write_gpkg(polygons, whole)),
    )
    workspace.ledger.append(fact, actor=actor)
    progress(2, 2, f"{len(polygons)} polygons summarised")
    return fact


def read_polygons(data: bytes, file_name: str) -> gpd.GeoDataFrame:
    """Read polygons with their columns; each gets a ``zone`` number, from 1, unless it has one."""
    if len(data) > MAX_OUTLINE_BYTES:
        raise OutlineInvalid(
            f"{file_name}: larger than {MAX_OUTLINE_BYTES >> 20} MB; split or simplify it."
        )
    frame = read_frame(data, file_name)
    if frame.crs is None:
        raise OutlineInvalid(
            f"{file_name}: the polygons have no CRS; assign one (a Shapefile needs its .prj)."
        )
    if not 0 < len(frame) <= MAX_ZONES:
        raise OutlineInvalid(
            f"{file_name}: {len(frame):,} polygons; give at least one and at most {MAX_ZONES:,}."
        )
    for number, geometry in enumerate(frame.geometry, start=1):
        if geometry is None or geometry.is_empty or not geometry.geom_type.endswith("Polygon"):
            raise OutlineInvalid(f"{file_name}: feature {number} is no polygon; leave it out.")
        check_valid(geometry, number, where=file_name)
    if frame.geometry.name != "geometry":
        frame = frame.rename_geometry("geometry")
    frame = frame.reset_index(drop=True)
    # A GeoPackage keeps its own row number under this name.
    frame = frame.rename(columns={"fid": "fid_given"})
    if "zone" not in frame.columns:
        frame.insert(0, "zone", range(1, len(frame) + 1))
    return frame


def _write_gpkg(polygons: gpd.GeoDataFrame, table: pd.DataFrame) -> bytes:
    joined = gpd.GeoDataFrame(table, geometry=polygons.geometry, crs=polygons.crs)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "zones.gpkg"
        joined.to_file(path, layer="zones", driver="GPKG", engine="pyogrio")
        return path.read_bytes()
