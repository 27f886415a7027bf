"""Coordinates of any reference system → longitude and latitude (EPSG:4326)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Geod, Transformer
from pyproj.exceptions import CRSError, ProjError

from geotransfer.errors import LabelsInvalid
from geotransfer.labels.limits import MAX_TOTAL_VERTICES, shorten
from geotransfer.labels.numerals import Float64
from geotransfer.labels.raw import Objects

LONLAT = "EPSG:4326"
EQUAL_AREA = "EPSG:6933"
"""World equal-area projection in metres, for areas and extents."""
_AUTHORITY = re.compile(r"(?:(?:EPSG|ESRI|OGC|IGNF):[A-Za-z0-9]+|\d{4,6})", re.IGNORECASE)
_CHOOSE = "choose the CRS its coordinates are in, for example EPSG:32631"


@dataclass(frozen=True, slots=True)
class CrsFound:
    """The reference system coordinates were read in, and how it was known."""

    crs: str
    """Authority code, else the system's name."""
    source: str
    """``stated by the file``, ``chosen``, ``by the column names`` or ``assumed``."""


def parse_crs(text: str, *, file_name: str) -> CRS:
    """Read a reference system as a file states it, or as a user chose it.

    Raises
    ------
    LabelsInvalid
        It is unknown, or has no two horizontal axes on the earth.
    """
    text = text.strip()
    if text.isdigit():
        text = f"EPSG:{text}"
    try:
        crs = CRS.from_user_input(text)
        crs = crs.to_2d() if len(crs.axis_info) > 2 else crs
        if not (crs.is_geographic or crs.is_projected):
            raise CRSError("neither geographic nor projected")
        Transformer.from_crs(crs, LONLAT, always_xy=True)
    except (ProjError, UnicodeError, ValueError) as error:
        raise LabelsInvalid(
            f"{file_name}: its CRS {shorten(text, limit=40)!r} cannot be turned into longitude"
            f" and latitude; {_CHOOSE}."
        ) from error
    return crs


def check_chosen_crs(text: str, *, file_name: str) -> str:
    """Accept an authority code from a user; longer definitions come from files only.

    Raises
    ------
    LabelsInvalid
        It is not an authority code.
    """
    if not _AUTHORITY.fullmatch(text.strip()):
        raise LabelsInvalid(
            f"{file_name}: {shorten(text, limit=40)!r} is not the code of a CRS; write one such as"
            " EPSG:32631."
        )
    return text


def name_crs(crs: CRS) -> str:
    """Return a system's authority code, else its name."""
    authority = crs.to_authority()
    return ":".join(authority) if authority else str(crs.name)


def count_vertices(geometry: Objects, *, file_name: str) -> NDArray[np.int64]:
    """Return each geometry's number of vertices.

    Raises
    ------
    LabelsInvalid
        All together have more than a file may have.
    """
    counts: NDArray[np.int64] = shapely.get_num_coordinates(geometry).astype(np.int64)
    if counts.sum() > MAX_TOTAL_VERTICES:
        raise LabelsInvalid(
            f"{file_name}: its labels have {int(counts.sum()):,} corners together, more than the"
            f" {MAX_TOTAL_VERTICES:,} a file may have; simplify the outlines, or split the file."
        )
    return counts


def looks_projected(geometry: Objects) -> bool:
    """Tell whether most coordinates are too large for degrees."""
    bounds = np.abs(shapely.bounds(geometry))
    known = np.isfinite(bounds).all(axis=1)
    return bool(known.any()) and float(np.median(bounds[known].max(axis=1))) > 360


def to_lonlat(
    geometry: Objects,
    stated: str | None,
    *,
    file_name: str,
    source: str,
) -> tuple[Objects, CrsFound]:
    """Turn geometries into EPSG:4326, two-dimensional.

    Parameters
    ----------
    geometry
        Shape (n,), shapely geometries or None.
    stated
        Their reference system; None where nobody said.
    source
        How it is known; see ``CrsFound``.

    Raises
    ------
    LabelsInvalid
        Nobody said the system and the coordinates are no degrees, or it is none of the earth's.
    """
    if stated is None or (source != "chosen" and CRS_DEGREES.fullmatch(stated)):
        if looks_projected(geometry):
            said = "says no CRS" if stated is None else f"says {stated} (degrees)"
            raise LabelsInvalid(
                f"{file_name}: it {said}, but its coordinates are no degrees; {_CHOOSE}."
            )
        return _force_flat(geometry), CrsFound(LONLAT, source if stated else "assumed")
    crs = parse_crs(stated, file_name=file_name)
    found = CrsFound(name_crs(crs), source)
    if crs.equals(CRS.from_user_input(LONLAT), ignore_axis_order=True):
        return _force_flat(geometry), found
    transformer = Transformer.from_crs(crs, LONLAT, always_xy=True)

    def project(xy: NDArray[Any]) -> NDArray[Any]:
        return np.column_stack(transformer.transform(xy[:, 0], xy[:, 1]))

    try:
        return shapely.transform(_force_flat(geometry), project), found
    except (ProjError, shapely.errors.ShapelyError) as error:
        raise LabelsInvalid(
            f"{file_name}: its CRS {found.crs!r} cannot be turned into longitude and latitude;"
            f" {_CHOOSE}."
        ) from error


CRS_DEGREES = re.compile(
    r"EPSG:4326|OGC:CRS84|urn:ogc:def:crs:(?:OGC:1\.3:CRS84|EPSG::4326)", re.IGNORECASE
)


def _force_flat(geometry: Objects) -> Objects:
    if not shapely.has_z(geometry).any():
        return geometry
    flat: Objects = shapely.force_2d(geometry)
    return flat


def measure_area_km2(geometry: Objects) -> Float64:
    """Return the area of each geometry in EPSG:4326, km²; 0 for points."""
    area: Float64 = shapely.area(_to_metres(geometry)) / 1e6
    return area


def measure_extent_m(xy: Float64) -> float:
    """Return the diagonal of the box around positions (longitude, latitude), metres."""
    (west, south), (east, north) = xy.min(axis=0), xy.max(axis=0)
    _, _, length_m = Geod(ellps="WGS84").inv(west, south, east, north)
    return float(length_m)


def _to_metres(geometry: Objects) -> Objects:
    transformer = Transformer.from_crs(LONLAT, EQUAL_AREA, always_xy=True)

    def project(xy: NDArray[Any]) -> NDArray[Any]:
        return np.column_stack(transformer.transform(xy[:, 0], xy[:, 1]))

    projected: Objects = shapely.transform(geometry, project)
    return projected


def find_positions(geometry: Objects) -> Float64:
    """Return longitude and latitude of a point inside each geometry, shape (n, 2); NaN if none."""
    points = geometry.copy()
    extended = shapely.get_type_id(points) > 0
    points[extended] = shapely.point_on_surface(points[extended])
    return np.column_stack([shapely.get_x(points), shapely.get_y(points)])


def swap_axes(geometry: Objects) -> Objects:
    """Return the geometries with first and second coordinate exchanged."""
    swapped: Objects = shapely.transform(geometry, lambda xy: xy[:, ::-1])
    return swapped
