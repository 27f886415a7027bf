"""Is a label where it may be: on earth, in the region, under the imagery, the right way round."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import shapely
from numpy.typing import NDArray

from geotransfer.labels.geometries import check_geometries, simplify_multi
from geotransfer.labels.limits import MAX_LABEL_AREA_KM2
from geotransfer.labels.numerals import Float64
from geotransfer.labels.positions import find_positions, measure_area_km2, swap_axes
from geotransfer.labels.raw import Fault, FaultKind
from geotransfer.labels.sieve import Sieve
from geotransfer.labels.table import LabelTable

Mask = NDArray[np.bool_]
Bounds = tuple[float, float, float, float]


def sift_places(
    table: LabelTable,
    sieve: Sieve,
    *,
    region_outline: str | None,
    imagery_bounds: Bounds | None,
    fix_swapped: bool,
) -> tuple[LabelTable, tuple[str, ...]]:
    """Refuse rows whose place cannot be used.

    Returns
    -------
    The table, with multi-geometries of one part simplified and, where asked for, swapped rows
    turned round; and warnings.
    """
    geometry = simplify_multi(table.geometry)
    table = replace(table, geometry=geometry)
    sieve.refuse_where(
        shapely.is_missing(geometry) | shapely.is_empty(geometry),
        FaultKind.PLACE_MISSING,
        "it has no geometry",
        "draw it, or write its coordinates",
    )
    sieve.refuse(check_geometries(geometry, shapely.get_num_coordinates(geometry)))
    warnings: list[str] = []
    if region_outline is not None:
        table, warnings = _sift_swapped(table, sieve, region_outline, fix_swapped=fix_swapped)
    _sift_off_earth(table, sieve)
    _sift_large(table, sieve)
    xy = positions_of(table, sieve)
    if region_outline is not None:
        sieve.refuse_where(
            ~lies_within(region_outline, xy),
            FaultKind.OUTSIDE_REGION,
            lambda i: f"{write_position(xy[i])} lies outside the region",
            "correct the place, or add the label to the region it lies in",
        )
    if imagery_bounds is not None:
        west, south, east, north = imagery_bounds
        covered = (xy[:, 0] >= west) & (xy[:, 0] <= east)
        covered &= (xy[:, 1] >= south) & (xy[:, 1] <= north)
        sieve.refuse_where(
            ~covered,
            FaultKind.OUTSIDE_IMAGERY,
            lambda i: f"{write_position(xy[i])} lies outside the region's imagery",
            "add scenes that cover it, or leave it out",
        )
    return table, tuple(warnings)


def positions_of(table: LabelTable, sieve: Sieve) -> Float64:
    """Longitude and latitude of the rows still open, shape (n, 2); NaN for the others."""
    xy = np.full((len(table), 2), np.nan)
    rows = np.flatnonzero(sieve.open)
    xy[rows] = find_positions(table.geometry[rows])
    return xy


def lies_within(outline: str, xy: Float64) -> Mask:
    """Tell for each position (longitude, latitude) whether a GeoJSON outline holds it."""
    shape = shapely.from_geojson(outline)
    if not shapely.is_valid(shape):
        shape = shapely.make_valid(shape)
    shapely.prepare(shape)
    within: Mask = shapely.intersects_xy(shape, xy[:, 0], xy[:, 1])
    return within


def write_position(xy: Float64) -> str:
    """Return a position for a message."""
    return f"longitude {xy[0]:.5g}, latitude {xy[1]:.5g}"


def _sift_swapped(
    table: LabelTable, sieve: Sieve, outline: str, *, fix_swapped: bool
) -> tuple[LabelTable, list[str]]:
    """A row outside the region whose mirror image lies inside has its coordinates exchanged."""
    xy = positions_of(table, sieve)
    swapped = ~lies_within(outline, xy) & lies_within(outline, xy[:, ::-1]) & sieve.open
    n = int(swapped.sum())
    if n == 0:
        return table, []
    if fix_swapped:
        geometry = table.geometry.copy()
        geometry[swapped] = swap_axes(geometry[swapped])
        return replace(table, geometry=geometry), [
            f"longitude and latitude were exchanged in {count_labels(n)}, as you chose."
        ]
    n_open = int(sieve.open.sum())
    sieve.refuse_where(
        swapped,
        FaultKind.SWAPPED,
        lambda i: (
            f"{write_position(xy[i])} lies outside the region, but the two exchanged lie inside it"
        ),
        "exchange longitude and latitude, or choose to have them exchanged",
    )
    return table, [
        (
            f"in {n:,} of {n_open:,} labels longitude and latitude look exchanged; choose to have"
            " them exchanged if that is right."
        )
    ]


def _sift_off_earth(table: LabelTable, sieve: Sieve) -> None:
    bounds = shapely.bounds(table.geometry)
    beyond = np.abs(bounds[:, [1, 3]]).max(axis=1) > 90
    around = np.abs(bounds[:, [0, 2]]).max(axis=1) > 180
    sieve.refuse_where(
        beyond,
        FaultKind.OFF_EARTH,
        lambda i: f"latitude {bounds[i, 3]:.6g} is not between -90 and 90",
        "correct it; are longitude and latitude exchanged, or the CRS another?",
    )
    sieve.refuse_where(
        around,
        FaultKind.OFF_EARTH,
        lambda i: f"longitude {bounds[i, 2]:.6g} is not between -180 and 180",
        "correct it; count longitude from Greenwich, west negative",
    )


def _sift_large(table: LabelTable, sieve: Sieve) -> None:
    rows = np.flatnonzero(sieve.open & (shapely.get_type_id(table.geometry) > 0))
    area_km2 = measure_area_km2(table.geometry[rows])
    sieve.refuse(
        {
            row: Fault(
                FaultKind.TOO_LARGE,
                f"it covers {area:,.0f} km², more than {MAX_LABEL_AREA_KM2:g} km²",
                "draw the part that was looked at",
            )
            for row, area in zip(rows.tolist(), area_km2.tolist(), strict=True)
            if area > MAX_LABEL_AREA_KM2
        }
    )


def count_labels(n: int) -> str:
    """Return a count for a message."""
    return "1 label" if n == 1 else f"{n:,} labels"
