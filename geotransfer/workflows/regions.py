"""Regions: add from an outline, find, list."""

from __future__ import annotations

import io
import json
import re
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import geopandas as gpd
import pyogrio
from shapely import force_2d, is_valid_reason, union_all
from shapely.affinity import translate
from shapely.errors import GEOSException
from shapely.geometry import box, mapping, shape
from shapely.geometry.base import BaseGeometry

from geotransfer.core.fact import RegionAdded
from geotransfer.core.identity import canonical_json
from geotransfer.core.legend import CROPLAND
from geotransfer.core.region import Region, RegionKind
from geotransfer.core.spec import S2_SEMIANNUAL
from geotransfer.errors import InputError, NotFound, OutlineInvalid
from geotransfer.imagery.areas import measure_area_km2
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.definitions import find_legend, find_spec

MAX_OUTLINE_BYTES = 20 << 20
SHAPEFILE_MAGIC = b"\x00\x00\x27\x0a"


def name_to_id(name: str) -> str:
    """Turn a name into a region id: lower case letters, digits, hyphens."""
    text = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if not text:
        raise InputError(f"the name {name!r} has no letter or digit; give another.")
    return text[:60]


def read_outline(path: Path) -> str:
    """Read an outline file; ``parse_outline`` says what comes back."""
    if not path.is_file():
        raise NotFound(f"{path}: there is no such file; check the path.")
    return parse_outline(path.read_bytes(), path.name)


def parse_outline(data: bytes, file_name: str) -> str:
    """Return an uploaded outline as canonical GeoJSON geometry in EPSG:4326.

    Raises
    ------
    OutlineInvalid
        The file has no CRS, no polygon, or a polygon that crosses itself.
    """
    if len(data) > MAX_OUTLINE_BYTES:
        raise OutlineInvalid(
            f"{file_name}: larger than {MAX_OUTLINE_BYTES >> 20} MB; simplify the outline first."
        )
    frame = read_frame(data, file_name)
    if frame.crs is None:
        raise OutlineInvalid(
            f"{file_name}: the outline has no CRS; assign one (a Shapefile needs its .prj)."
        )
    frame = frame.to_crs("EPSG:4326")
    return check_outline([g for g in frame.geometry if g is not None], where=file_name)


def read_frame(data: bytes, file_name: str) -> gpd.GeoDataFrame:
    """Read uploaded vectors, format told by content.

    Raises
    ------
    OutlineInvalid
        The file is neither GeoJSON nor a GeoPackage nor a zipped Shapefile.
    """
    suffix = _find_format(data)
    try:
        if suffix is None:
            raise ValueError("neither JSON nor a GeoPackage nor a Shapefile")
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / f"outline{suffix}"
            path.write_bytes(data)
            return gpd.read_file(path)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, ValueError) as error:
        raise OutlineInvalid(
            f"{file_name}: cannot be read as an outline; give GeoJSON, GeoPackage or a zipped"
            " Shapefile."
        ) from error


def _find_format(data: bytes) -> str | None:
    """Tell the format by content: GDAL would also open formats that point at other files."""
    if data.startswith(b"SQLite format 3\0"):
        return ".gpkg"
    if data.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
        return ".geojson"
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return None
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        shapes = [n for n in archive.namelist() if n.lower().endswith(".shp")]
        try:
            is_shapefile = bool(shapes) and archive.open(shapes[0]).read(4) == SHAPEFILE_MAGIC
        except (OSError, RuntimeError, zipfile.BadZipFile):
            return None
    return ".zip" if is_shapefile else None


def parse_geometry(text: str, *, where: str) -> str:
    """Return a GeoJSON geometry in EPSG:4326, given as text, checked as a file's would be."""
    try:
        drawn = shape(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, GEOSException) as error:
        raise OutlineInvalid(
            f"{where}: the outline is not a GeoJSON geometry; draw it, or upload a file."
        ) from error
    return check_outline([drawn], where=where)


def check_outline(geometries: Sequence[BaseGeometry], *, where: str) -> str:
    """Return the polygons as one canonical GeoJSON geometry: valid, and on the globe.

    Raises
    ------
    OutlineInvalid
        There is no polygon, one crosses itself, or coordinates are no degrees.
    """
    polygons = [g for g in geometries if g.geom_type.endswith("Polygon") and not g.is_empty]
    if not polygons:
        raise OutlineInvalid(f"{where}: no polygon in it; draw or export the region's outline.")
    for number, polygon in enumerate(polygons, start=1):
        check_valid(polygon, number, where=where)
        if 180 < polygon.bounds[2] - polygon.bounds[0] <= 360:
            raise OutlineInvalid(
                f"{where}: polygon {number} spans more than half the globe; if it crosses the"
                " antimeridian, split it there (QGIS: Split by antimeridian)."
            )
    geometry = wrap_longitudes(union_all(polygons))
    west, south, east, north = geometry.bounds
    if west < -180 or east > 180 or south < -90 or north > 90:
        raise OutlineInvalid(
            f"{where}: coordinates reach {west:.1f}…{east:.1f}, {south:.1f}…{north:.1f}, which are"
            " no degrees; the file's CRS is stated wrongly."
        )
    return canonical_json(mapping(force_2d(geometry))).decode()


def check_valid(polygon: BaseGeometry, number: int, *, where: str) -> None:
    """Raise ``OutlineInvalid`` for a polygon that crosses itself, by its number in the file."""
    if not polygon.is_valid:
        raise OutlineInvalid(
            f"{where}: polygon {number} is not valid ({is_valid_reason(polygon)}); repair it"
            " (QGIS: Fix geometries)."
        )


def wrap_longitudes(geometry: BaseGeometry) -> BaseGeometry:
    """Bring what lies past 180 degrees back to the globe, cut at the antimeridian."""
    west, south, east, north = geometry.bounds
    is_wrapped = west >= -360 and east <= 360 and east - west <= 180
    if (west >= -180 and east <= 180) or not is_wrapped:
        return geometry
    globe = box(-180, min(south, -90), 180, max(north, 90))
    return union_all([translate(geometry, turn).intersection(globe) for turn in (-360, 0, 360)])


def add_region(
    workspace: Workspace,
    outline: Path | str,
    *,
    name: str,
    actor: str,
    kind: RegionKind = RegionKind.IMAGERY,
    region_id: str | None = None,
    attribution: str = "",
    spec_name: str = S2_SEMIANNUAL.name,
    legend_name: str = CROPLAND.name,
) -> Region:
    """Add a region from an outline file, or from a GeoJSON geometry given as text.

    Raises
    ------
    InputError
        The region exists already, the outline cannot be used, or there is no such spec or legend.
    """
    chosen = region_id or name_to_id(name)
    if workspace.ledger.read_last(RegionAdded, region_id=chosen) is not None:
        raise InputError(
            f"region {chosen!r} exists already; choose another name, or add scenes to it."
        )
    if isinstance(outline, str):
        geometry = parse_geometry(outline, where=f"region {chosen!r}")
    else:
        geometry = read_outline(outline)
    region = Region(
        region_id=chosen,
        name=name,
        kind=kind,
        outline=geometry,
        area_km2=measure_area_km2(geometry),
        spec_name=find_spec(workspace, spec_name).name,
        legend_name=find_legend(workspace, legend_name).name,
        attribution=attribution,
    )
    workspace.ledger.append(RegionAdded(region_id=chosen, region=region), actor=actor)
    return region


def find_region(workspace: Workspace, region_id: str) -> Region:
    """Return a region by its id.

    Raises
    ------
    NotFound
        There is none; the message lists what there is.
    """
    fact = workspace.ledger.read_last(RegionAdded, region_id=region_id)
    if fact is None:
        known = ", ".join(r.region_id for r in list_regions(workspace)) or "none yet"
        raise NotFound(f"there is no region {region_id!r}; there are: {known}.")
    return fact.region


def list_regions(workspace: Workspace) -> list[Region]:
    """Return every region, in the order they were added."""
    regions: dict[str, Region] = {}
    for recorded in workspace.ledger.read(RegionAdded):
        regions[recorded.fact.region.region_id] = recorded.fact.region
    return list(regions.values())
