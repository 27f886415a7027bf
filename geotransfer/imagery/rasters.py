"""Rasters out: GeoTIFFs any GIS opens, whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.shutil import copy as copy_raster
from rasterio.windows import Window

from geotransfer.core.grid import Grid, Tile
from geotransfer.core.legend import NODATA_CLASS, Legend
from geotransfer.errors import DiskFull, StoreError
from geotransfer.store.atomic import replace_atomically

Array = NDArray[Any]

PROBABILITY_SCALE = 1e-4
"""Probability rasters are uint16: value · 1e-4 is the probability, 65535 no answer."""
PROBABILITY_NODATA = 65535

BLOCK_PX = 256

FULL_BYTES = 1 << 20
"""A disk with less than this free, where a write has failed, is full."""
COG_LEVEL = 1
"""Deflate's: level 6 takes twice the time for a twentieth of the size."""


def write_geotiff(
    path: Path, array: Array, grid: Grid, *, names: Sequence[str], nodata: float
) -> None:
    """Write bands of a whole grid, shape (band, y, x), as an uncompressed GeoTIFF."""
    profile = {
        "driver": "GTiff",
        "count": array.shape[0],
        "height": grid.height,
        "width": grid.width,
        "dtype": array.dtype.name,
        "crs": grid.crs,
        "transform": Affine(*grid.transform),
        "nodata": nodata,
        "bigtiff": "if_safer",
    }
    with replace_atomically(path) as temporary:
        try:
            with rasterio.open(temporary, "w", **profile) as file:
                file.write(array)
                file.descriptions = tuple(names)
        except rasterio.errors.RasterioError as error:
            raise explain_write_failure(error, path) from error


def write_cog(
    path: Path,
    grid: Grid,
    blocks: Iterable[tuple[Tile, Array]],
    *,
    dtype: str,
    names: Sequence[str],
    nodata: float | None,
    legend: Legend | None = None,
    scale: float | None = None,
    resampling: str = "nearest",
    tags: Mapping[str, str] | None = None,
) -> None:
    """Write a cloud-optimised GeoTIFF with overviews from blocks, one at a time.

    Parameters
    ----------
    blocks
        Tiles with arrays of shape (band, y, x); pixels no tile covers are ``nodata``.
    legend
        Gives the colour table of a class raster.
    scale
        Written into the file so that any GIS shows physical values.
    resampling
        For the overviews: ``nearest`` or ``mode`` for classes, ``average`` for measurements.
    tags
        Written into the file: what a reader of it alone must know.
    """
    profile = {
        "driver": "GTiff",
        "count": len(names),
        "height": grid.height,
        "width": grid.width,
        "dtype": dtype,
        "crs": grid.crs,
        "transform": Affine(*grid.transform),
        "nodata": nodata,
        "tiled": True,
        "blockxsize": BLOCK_PX,
        "blockysize": BLOCK_PX,
        "sparse_ok": True,
        "bigtiff": "if_safer",
    }
    with replace_atomically(path) as temporary:
        draft = temporary.with_name(temporary.name + ".draft")
        try:
            with rasterio.open(draft, "w", **profile) as file:
                for tile, array in blocks:
                    file.write(array, window=Window(tile.col, tile.row, tile.width, tile.height))
                file.descriptions = tuple(names)
                file.update_tags(**(tags or {}))
                if scale is not None:
                    file.scales = (scale,) * len(names)
                if legend is not None:
                    file.write_colormap(1, make_colormap(legend))
            copy_raster(
                draft,
                temporary,
                driver="COG",
                compress="deflate",
                level=COG_LEVEL,
                # Differences of neighbours pack better, but not those of class codes.
                predictor="no" if legend is not None else "yes",
                blocksize=BLOCK_PX,
                overview_resampling=resampling,
                bigtiff="if_safer",
            )
        except rasterio.errors.RasterioError as error:
            raise explain_write_failure(error, path) from error
        finally:
            draft.unlink(missing_ok=True)


def make_colormap(legend: Legend) -> dict[int, tuple[int, int, int, int]]:
    """Return the GeoTIFF colour table of a legend; *no answer* is transparent."""
    table = {NODATA_CLASS: (0, 0, 0, 0)}
    for item in legend.classes:
        red, green, blue = (int(item.color[i : i + 2], 16) for i in (1, 3, 5))
        table[item.code] = (red, green, blue, 255)
    return table


def encode_probability(probability: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Scale probabilities 0–1 to uint16; NaN becomes 65535."""
    known = np.isfinite(probability)
    scaled = np.rint(np.where(known, probability, 0) / PROBABILITY_SCALE)
    return np.where(known, scaled, PROBABILITY_NODATA).astype(np.uint16)


def choose_classes(probability: NDArray[np.float32], legend: Legend) -> NDArray[np.uint8]:
    """Return the most probable class's code, shape (y, x); 255 where probabilities are NaN."""
    codes = np.asarray(legend.codes, dtype=np.uint8)
    known = np.isfinite(probability).all(axis=0)
    best = np.where(known, probability, 0).argmax(axis=0)
    return np.where(known, codes[best], NODATA_CLASS).astype(np.uint8)


def render_rgb(
    layers: NDArray[np.float32], *, low: float = 0.0, high: float = 0.35
) -> NDArray[np.uint8]:
    """Stretch three reflectance layers, shape (3, y, x), to 1–255; 0 where any is NaN."""
    known = np.isfinite(layers).all(axis=0)
    scaled = (np.where(known, layers, 0) - low) / (high - low)
    return np.where(known, 1 + np.clip(scaled, 0, 1) * 254, 0).astype(np.uint8)


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < FULL_BYTES
    except OSError:
        return False


def explain_write_failure(error: Exception, path: Path) -> StoreError:
    """Say what a failed write means: GDAL reports a full disk in words, or as any failed write."""
    text = str(error)
    if "space left on device" in text.lower() or _is_full(path.parent):
        return DiskFull(
            f"{path}: no space left on the disk, nothing was written; free some space and run the"
            " same command again."
        )
    return StoreError(f"{path}: cannot be written ({text}); check the folder's rights.")
