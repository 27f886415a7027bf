"""How much ground each class of a map covers, in km² and never in pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pyproj import Transformer

from geotransfer.core.grid import Grid
from geotransfer.core.legend import Legend
from geotransfer.errors import SceneInvalid, TableInvalid

Floats = NDArray[np.float64]

EQUAL_AREA_CRS = "EPSG:6933"
_BLOCK_M = 1000.0
"""Side of a block whose pixels count alike; at 60° north their areas differ by 3 in 10,000."""


def measure_mapped_km2(codes: ArrayLike, grid: Grid, legend: Legend) -> tuple[float, ...]:
    """Return the area of each class in km², in the legend's order; nodata counts nowhere.

    Right in any CRS, degrees and Web Mercator included: pixels are measured on the ground, block
    by block, in an equal-area projection.

    Parameters
    ----------
    codes
        Class raster, ``(height, width)``, legend codes or nodata.
    grid
        The raster's grid.

    Raises
    ------
    TableInvalid
        The raster's shape is not the grid's.
    SceneInvalid
        The grid reaches where no area can be measured.
    """
    raster = np.asarray(codes)
    if raster.shape != (grid.height, grid.width):
        raise TableInvalid(
            f"The class raster has shape {raster.shape}, its grid"
            f" ({grid.height}, {grid.width}); give the raster with its own grid."
        )
    block_px = _choose_block(grid)
    rows, cols = (np.append(np.arange(0, n, block_px), n) for n in raster.shape)
    pixel_km2 = _measure_pixels(grid, rows, cols)
    areas = []
    for code in legend.codes:
        counts = np.add.reduceat(
            np.add.reduceat(raster == code, rows[:-1], axis=0, dtype=np.int64), cols[:-1], axis=1
        )
        areas.append(float((counts * pixel_km2).sum()))
    return tuple(areas)


def _choose_block(grid: Grid) -> int:
    """Return how many pixels make a side of ``_BLOCK_M`` in the middle of the grid."""
    middle = np.array([grid.height // 2, grid.height // 2 + 1])
    x, y = _project_corners(grid, middle, np.array([grid.width // 2, grid.width // 2 + 1]))
    pixel_m = max(np.hypot(np.diff(x, axis=0), np.diff(y, axis=0)).max(), 1.0)
    return int(np.clip(_BLOCK_M / pixel_m, 1, 64))


def _project_corners(
    grid: Grid, rows: NDArray[np.intp], cols: NDArray[np.intp]
) -> tuple[Floats, Floats]:
    a, b, c, d, e, f = grid.transform
    col, row = np.meshgrid(cols.astype(np.float64), rows.astype(np.float64))
    project = Transformer.from_crs(grid.crs, EQUAL_AREA_CRS, always_xy=True)
    x, y = project.transform(a * col + b * row + c, d * col + e * row + f)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise SceneInvalid(
            f"The grid in {grid.crs} reaches outside the Earth; check its transform and CRS."
        )
    return np.asarray(x), np.asarray(y)


def _measure_pixels(grid: Grid, rows: NDArray[np.intp], cols: NDArray[np.intp]) -> Floats:
    """Return the mean area of a pixel per block, km², from the blocks' corners on the ground."""
    x, y = _project_corners(grid, rows, cols)
    # Shoelace formula: half the cross product of a quadrilateral's diagonals.
    across_x, across_y = x[1:, 1:] - x[:-1, :-1], y[1:, 1:] - y[:-1, :-1]
    down_x, down_y = x[1:, :-1] - x[:-1, 1:], y[1:, :-1] - y[:-1, 1:]
    block_km2 = np.abs(across_x * down_y - across_y * down_x) / 2e6
    return np.asarray(block_km2 / np.outer(np.diff(rows), np.diff(cols)))
