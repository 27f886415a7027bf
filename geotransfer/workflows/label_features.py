"""Features of labels: read from the region's stored measured columns, pixel or polygon mean."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.features import rasterize

from geotransfer.core.grid import Grid, Tile, cut_tiles
from geotransfer.core.region import Region
from geotransfer.imagery.grids import make_geobox
from geotransfer.store.tile_files import locate_features, read_tile
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.definitions import find_spec
from geotransfer.workflows.label_points import LabelPoints
from geotransfer.workflows.region_pixels import find_map, read_feature_keys
from geotransfer.workflows.scene_list import load_scenes


def measure_labels(
    workspace: Workspace,
    region: Region,
    points: LabelPoints,
    *,
    feature_keys: Mapping[str, str] | None = None,
) -> NDArray[np.float32]:
    """Return the measured columns of each label, shape (n, n_measured); NaN where none is known.

    A point takes its pixel; a polygon the mean over the pixels whose centres it holds, or the one
    pixel it lies in where it holds none.

    Parameters
    ----------
    feature_keys
        Key of the measured columns of each tile; None: those of the last refresh.

    Raises
    ------
    NotFound
        The region has no map yet, so nothing was measured.
    """
    if points.measured is not None:
        return points.measured
    keys = feature_keys or read_feature_keys(workspace, find_map(workspace, region.region_id))
    inputs = load_scenes(workspace, region.region_id)
    n_measured = len(find_spec(workspace, region.spec_name).measured)
    to_grid = Transformer.from_crs("EPSG:4326", inputs.grid.crs, always_xy=True).transform
    shapes = np.asarray(shapely.transform(points.geometry, to_grid, interleaved=False))
    total = np.zeros((len(shapes), n_measured))
    count = np.zeros(len(shapes))
    store = workspace.locate_tiles(region.region_id)
    for tile in cut_tiles(inputs.grid, inputs.tile_px):
        touching = np.flatnonzero(shapely.intersects(shapes, _make_box(inputs.grid, tile)))
        if tile.tile_id in keys and len(touching):
            path = locate_features(store, keys[tile.tile_id])
            _add_tile(path, inputs.grid, tile, shapes, touching, total, count)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (total / count[:, None]).astype(np.float32)


def _make_box(grid: Grid, tile: Tile) -> shapely.Polygon:
    a, _, c, _, e, f = grid.transform
    xs = (c + a * tile.col, c + a * (tile.col + tile.width))
    ys = (f + e * tile.row, f + e * (tile.row + tile.height))
    return shapely.box(min(xs), min(ys), max(xs), max(ys))


def _add_tile(
    path: Path,
    grid: Grid,
    tile: Tile,
    shapes: NDArray[np.object_],
    touching: NDArray[np.int64],
    total: NDArray[np.float64],
    count: NDArray[np.float64],
) -> None:
    layers = read_tile(path, tile)[: total.shape[1]]
    affine = make_geobox(grid, tile).affine
    for i in touching:
        rows, cols = _find_pixels(shapes[i], affine, (tile.height, tile.width))
        values = layers[:, rows, cols].astype(np.float64)
        known = np.isfinite(values).all(axis=0)
        total[i] += values[:, known].sum(axis=1)
        count[i] += known.sum()


def _find_pixels(
    shape: shapely.Geometry, affine: Affine, size: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if shape.geom_type.endswith("Polygon"):
        inside = rasterize([(shape, 1)], out_shape=size, transform=affine, dtype="uint8")
        rows, cols = np.nonzero(inside)
        if len(rows):
            return rows, cols
    place = shapely.point_on_surface(shape)
    col, row = ~affine @ (place.x, place.y)
    if not (0 <= row < size[0] and 0 <= col < size[1]):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    return np.array([int(row)]), np.array([int(col)])
