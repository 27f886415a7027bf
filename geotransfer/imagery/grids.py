"""Choose the pixel grid of a region and do the geometry on it."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from rasterio.warp import transform_geom
from shapely.geometry import box, shape
from shapely.geometry.base import BaseGeometry

from geotransfer.core.grid import Grid, Tile
from geotransfer.core.region import Region
from geotransfer.core.scene import Scene
from geotransfer.errors import SceneInvalid, SceneUnreadable
from geotransfer.imagery.access import (
    DIRECT,
    Access,
    forget_stale,
    make_gdal_options,
    sign,
    strip_secrets,
)
from geotransfer.imagery.areas import EQUAL_AREA, WORLD_WIDTH_M


def complete_scene(scene: Scene, access: Access = DIRECT) -> Scene:
    """Fill in CRS, transform and shape from the first band's file where the catalog lacks them.

    Raises
    ------
    SceneInvalid
        The file has no CRS either.
    SceneUnreadable
        The file cannot be opened, after the retries.
    """
    if scene.crs and scene.transform and scene.shape:
        return scene
    asset = next(a for a in scene.assets if not a.is_mask)
    try:
        forget_stale(asset.href, access)
        with (
            rasterio.Env(**make_gdal_options(access, [asset.href])),
            rasterio.open(sign(asset.href, access)) as file,
        ):
            crs, affine, height, width = file.crs, file.transform, file.height, file.width
    except rasterio.errors.RasterioError as error:
        raise SceneUnreadable(
            f"item {scene.scene_id}: file {asset.href} of band {asset.name!r} cannot be opened"
            f" ({strip_secrets(str(error))}); restore it or correct the item.",
            scene.scene_id,
        ) from None
    code = scene.crs or (crs.to_string() if crs else None)
    if not code:
        raise SceneInvalid(
            f"item {scene.scene_id}: neither the item nor {asset.href} states a CRS; add proj:epsg"
            " to the item or assign a CRS to the file."
        )
    a, b, c, d, e, f = tuple(affine)[:6]
    return replace(scene, crs=code, transform=(a, b, c, d, e, f), shape=(height, width))


def choose_grid(scenes: Sequence[Scene], region: Region) -> Grid:
    """Choose the grid: the scenes' most common CRS and pixels, cut to the region's outline.

    Rotated or south-up scenes give a north-up grid of the same pixel size; the reader warps.

    Raises
    ------
    SceneInvalid
        No scene touches the region.
    """
    crs = Counter(s.crs for s in scenes).most_common(1)[0][0]
    reference = next(s for s in scenes if s.crs == crs)
    if crs is None or reference.transform is None:
        raise SceneInvalid(f"item {reference.scene_id} has no CRS; add proj:epsg to it.")
    a, b, c, d, e, f = reference.transform
    step_x, step_y = math.hypot(a, d), math.hypot(b, e)
    boxes = find_footprints(scenes, crs)
    outline = shape(transform_geom("EPSG:4326", crs, json.loads(region.outline)))
    west = max(outline.bounds[0], min(b[0] for b in boxes))
    south = max(outline.bounds[1], min(b[1] for b in boxes))
    east = min(outline.bounds[2], max(b[2] for b in boxes))
    north = min(outline.bounds[3], max(b[3] for b in boxes))
    if west >= east or south >= north:
        raise SceneInvalid(
            f"no scene touches region {region.region_id!r}; check the outline and the scenes'"
            " footprints."
        )
    # Snap outwards to the reference scene's own pixel edges, so that reading needs no resampling.
    slack = 1e-6
    col0 = math.floor((west - c) / step_x + slack)
    col1 = math.ceil((east - c) / step_x - slack)
    row0 = math.floor((f - north) / step_y + slack)
    row1 = math.ceil((f - south) / step_y - slack)
    return Grid(
        crs=crs,
        transform=(step_x, 0.0, c + col0 * step_x, 0.0, -step_y, f - row0 * step_y),
        height=row1 - row0,
        width=col1 - col0,
    )


def _find_bounds(scene: Scene, crs: str) -> tuple[float, float, float, float]:
    if scene.crs == crs and scene.transform and scene.shape:
        affine = Affine(*scene.transform)
        height, width = scene.shape
        corners = [affine @ xy for xy in ((0, 0), (width, 0), (0, height), (width, height))]
        xs, ys = [x for x, _ in corners], [y for _, y in corners]
        return min(xs), min(ys), max(xs), max(ys)
    if scene.crs and scene.transform and scene.shape:
        height, width = scene.shape
        return _bound_ring(scene.crs, crs, trace_edges(Affine(*scene.transform), width, height))
    west, south, east, north = scene.bounds
    across = (east - west) % 360
    edges = trace_edges(Affine(across, 0, west, 0, north - south, south), 1, 1)
    return _bound_ring("EPSG:4326", crs, edges)


EDGE_POINTS = 32
"""Straight edges bend in another projection; each is followed at this many points."""


def trace_edges(
    affine: Affine, width: float, height: float, *, n_points: int = EDGE_POINTS
) -> list[tuple[float, float]]:
    """Return points along the edges of a raster, once round, ``n_points`` an edge."""
    steps = np.linspace(0, 1, n_points)
    ring = [(t * width, 0.0) for t in steps] + [(width, t * height) for t in steps]
    ring += [(t * width, height) for t in steps[::-1]] + [(0.0, t * height) for t in steps[::-1]]
    return [affine @ point for point in ring]


def _bound_ring(
    source: str, target: str, ring: Sequence[tuple[float, float]]
) -> tuple[float, float, float, float]:
    """Return the bounds of points of one CRS in another."""
    transformer = Transformer.from_crs(source, target, always_xy=True)
    xs, ys = transformer.transform([x for x, _ in ring], [y for _, y in ring])
    known = np.isfinite(xs) & np.isfinite(ys)
    if not known.any():
        return (math.inf, math.inf, -math.inf, -math.inf)
    xs, ys = np.asarray(xs)[known], np.asarray(ys)[known]
    return float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max())


def find_footprints(scenes: Sequence[Scene], crs: str) -> list[tuple[float, float, float, float]]:
    """Return each scene's bounds in ``crs``: (west, south, east, north)."""
    return [_find_bounds(scene, crs) for scene in scenes]


def touch_tile(bounds: tuple[float, float, float, float], grid: Grid, tile: Tile) -> bool:
    """Whether bounds in the grid's CRS share any area with a tile."""
    a, _, c, _, e, f = grid.transform
    west, east = c + a * tile.col, c + a * (tile.col + tile.width)
    north, south = f + e * tile.row, f + e * (tile.row + tile.height)
    return bounds[0] < east and bounds[2] > west and bounds[1] < north and bounds[3] > south


def make_geobox(grid: Grid, tile: Tile | None = None) -> GeoBox:
    """Return the grid, or one tile of it, as odc-geo's geobox."""
    affine = Affine(*grid.transform)
    if tile is None:
        return GeoBox((grid.height, grid.width), affine, grid.crs)
    return GeoBox(
        (tile.height, tile.width), affine @ Affine.translation(tile.col, tile.row), grid.crs
    )


def mask_outline(region: Region, grid: Grid, tile: Tile) -> NDArray[np.bool_]:
    """Return True for pixels whose centre is inside the region's outline, shape (y, x)."""
    outline = shape(transform_geom("EPSG:4326", grid.crs, json.loads(region.outline)))
    return mask_shape(outline, make_geobox(grid, tile))


def mask_shape(geometry: BaseGeometry, geobox: GeoBox) -> NDArray[np.bool_]:
    """Return True for pixels of a north-up geobox whose centre is inside a geometry in its CRS.

    Not by GDAL's rasteriser: rasterio silences a warning around it in a way that threads undo for
    each other.
    """
    height, width = geobox.shape
    affine = geobox.affine
    xs = affine.c + affine.a * (np.arange(width) + 0.5)
    ys = affine.f + affine.e * (np.arange(height) + 0.5)
    frame = box(xs.min(), ys.min(), xs.max(), ys.max())
    if geometry.contains(frame):
        return np.ones((height, width), dtype=bool)
    if not geometry.intersects(frame):
        return np.zeros((height, width), dtype=bool)
    shapely.prepare(geometry)
    inside: NDArray[np.bool_] = shapely.contains_xy(geometry, xs[None, :], ys[:, None])
    return inside


def locate_pixels(grid: Grid, tile: Tile) -> NDArray[np.float64]:
    """Return the pixel centres' positions in km in EPSG:6933, shape (2, y, x).

    Positions are interpolated between the tile's corners: over one tile the projection bends by
    far less than a pixel matters to a model that knows kilometres.
    """
    affine = make_geobox(grid, tile).affine
    cols = np.array([0.5, tile.width - 0.5])
    rows = np.array([0.5, tile.height - 0.5])
    grid_cols, grid_rows = np.meshgrid(cols, rows)
    xs = affine.a * grid_cols + affine.b * grid_rows + affine.c
    ys = affine.d * grid_cols + affine.e * grid_rows + affine.f
    to_equal_area = Transformer.from_crs(grid.crs, EQUAL_AREA, always_xy=True)
    east, north = to_equal_area.transform(xs, ys)
    across = (np.arange(tile.width) / max(tile.width - 1, 1))[None, :]
    down = (np.arange(tile.height) / max(tile.height - 1, 1))[:, None]

    def blend(corner: NDArray[np.float64]) -> NDArray[np.float64]:
        top = corner[0, 0] * (1 - across) + corner[0, 1] * across
        bottom = corner[1, 0] * (1 - across) + corner[1, 1] * across
        blended: NDArray[np.float64] = top * (1 - down) + bottom * down
        return blended

    positions = np.stack([blend(_unwrap(np.asarray(east))), blend(np.asarray(north))])
    beyond = np.abs(positions[0]) > WORLD_WIDTH_M / 2
    if beyond.any():
        positions[0][beyond] -= np.copysign(WORLD_WIDTH_M, positions[0][beyond])
    return positions / 1000


def _unwrap(east: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bring eastings on both sides of the antimeridian to the side of the first."""
    return east - WORLD_WIDTH_M * np.round((east - east.flat[0]) / WORLD_WIDTH_M)


def measure_pixel_km2(grid: Grid) -> float:
    """Return the mean area of a pixel in km², on the equal-area projection."""
    outline = box(0, 0, grid.width, grid.height)
    affine = Affine(*grid.transform)
    to_equal_area = Transformer.from_crs(grid.crs, EQUAL_AREA, always_xy=True)
    corners = [affine @ xy for xy in list(outline.exterior.coords)[:-1]]
    east, north = to_equal_area.transform([x for x, _ in corners], [y for _, y in corners])
    ring = list(zip(_unwrap(np.asarray(east)).tolist(), north, strict=True))
    area_m2 = shape({"type": "Polygon", "coordinates": [[*ring, ring[0]]]}).area
    return float(area_m2) / 1e6 / (grid.width * grid.height)
