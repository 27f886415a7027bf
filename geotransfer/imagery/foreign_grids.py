"""Read a file in another CRS: each pixel's centre, taken exactly, says which of its pixels it is.

GDAL's warp follows a straight line between a few exact points, up to an eighth of a pixel from it,
and where the line runs depends on the window: 7 in 10,000 pixels of a scene in the neighbouring UTM
zone then change with the size of tiles. Here no pixel depends on another.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from geotransfer.imagery.raster_files import OpenRaster

Positions = tuple[NDArray[np.int32], NDArray[np.int32]]

OUTSIDE = -1


@lru_cache(maxsize=16)
def find_positions(
    source_crs: str,
    source: Affine,
    size: tuple[int, int],
    target_crs: str,
    target: Affine,
    shape: tuple[int, int],
) -> Positions:
    """Return row and column in a file for every pixel centre of a geobox, each of shape (y, x).

    Both are -1 where the file has no pixel. All bands and dates of one footprint share an answer.

    Parameters
    ----------
    size
        Height and width of the file.
    """
    cols, rows = np.meshgrid(np.arange(shape[1]) + 0.5, np.arange(shape[0]) + 0.5)
    xs = target.a * cols + target.b * rows + target.c
    ys = target.d * cols + target.e * rows + target.f
    source_xs, source_ys = Transformer.from_crs(target_crs, source_crs, always_xy=True).transform(
        xs, ys
    )
    back = ~source
    known = np.isfinite(source_xs) & np.isfinite(source_ys)
    source_xs = np.where(known, source_xs, 0.0)
    source_ys = np.where(known, source_ys, 0.0)
    col = np.floor(back.a * source_xs + back.b * source_ys + back.c)
    row = np.floor(back.d * source_xs + back.e * source_ys + back.f)
    known &= (row >= 0) & (row < size[0]) & (col >= 0) & (col < size[1])
    return (
        np.where(known, row, OUTSIDE).astype(np.int32),
        np.where(known, col, OUTSIDE).astype(np.int32),
    )


def read_positions(
    file: OpenRaster, band: int, geobox: GeoBox, *, fill: float
) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    """Return a band's values on a geobox in another CRS, and where the file has pixels at all.

    Raises whatever rasterio raises.
    """
    rows, cols = find_positions(
        file.crs,
        file.affine,
        (file.height, file.width),
        str(geobox.crs),
        geobox.affine,
        tuple(geobox.shape),
    )
    covered = rows != OUTSIDE
    pixels = np.full(rows.shape, fill, dtype=file.dtypes[band - 1])
    if covered.any():
        rows, cols = rows[covered], cols[covered]
        top, left = int(rows.min()), int(cols.min())
        window = ((top, int(rows.max()) + 1), (left, int(cols.max()) + 1))
        pixels[covered] = file.dataset.read(band, window=window)[rows - top, cols - left]
    return pixels, covered
