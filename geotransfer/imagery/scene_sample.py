"""A few pixels of a whole scene, for checks that must be cheap before any composite is made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from geotransfer.core.grid import Grid
from geotransfer.core.scene import Asset, Scene
from geotransfer.errors import SceneUnreadable
from geotransfer.imagery.access import DIRECT, Access, make_gdal_options, sign, strip_secrets
from geotransfer.imagery.masks import find_bad, find_mask

SAMPLE_PX = 160
"""Longest side of a sample: overviews serve it, so a check reads kilobytes a band."""


def coarsen_grid(grid: Grid, *, size_px: int = SAMPLE_PX) -> GeoBox:
    """Return the grid with fewer pixels, at most ``size_px`` a side."""
    step = max(1, math.ceil(max(grid.height, grid.width) / size_px))
    shape = (math.ceil(grid.height / step), math.ceil(grid.width / step))
    return GeoBox(shape, Affine(*grid.transform) @ Affine.scale(step), grid.crs)


def sample_scene(
    scene: Scene, bands: Sequence[str], geobox: GeoBox, *, access: Access = DIRECT
) -> NDArray[np.float32]:
    """Read some bands of a scene on a coarse grid, nearest pixels, as the description scales them.

    Returns
    -------
    Shape (band, y, x); NaN where a band has no data or the mask says *not the ground*. Masks are
    not grown here.

    Raises
    ------
    SceneUnreadable
        A file cannot be read.
    """
    assets = [asset for band in bands if (asset := scene.find_asset(band)) is not None]
    out = np.empty((len(assets), *geobox.shape), dtype=np.float32)
    with rasterio.Env(**make_gdal_options(access, [a.href for a in assets])):
        for row, asset in enumerate(assets):
            raw, covered = _read(scene, asset, geobox, access)
            missing = ~covered
            if asset.nodata is not None:
                missing |= raw == asset.nodata
            values = raw.astype(np.float32) * np.float32(asset.scale) + np.float32(asset.offset)
            out[row] = np.where(missing, np.float32(np.nan), values)
        mask, rule = find_mask(scene)
        if mask is not None and rule is not None:
            flags, covered = _read(scene, mask, geobox, access)
            out[:, find_bad(flags, replace(rule, dilate_px=0)) & covered] = np.nan
    return out


def _read(
    scene: Scene, asset: Asset, geobox: GeoBox, access: Access
) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    height, width = geobox.shape
    try:
        with (
            rasterio.open(sign(asset.href, access)) as file,
            WarpedVRT(
                file,
                crs=str(geobox.crs),
                transform=geobox.affine,
                width=width,
                height=height,
                resampling=Resampling.nearest,
                add_alpha=True,
            ) as warped,
        ):
            raw: NDArray[np.generic] = warped.read(asset.band)
            covered: NDArray[np.bool_] = warped.read(warped.count) > 0
    except (rasterio.errors.RasterioError, OSError) as error:
        raise SceneUnreadable(
            f"item {scene.scene_id}: file {asset.href} of band {asset.name!r} cannot be read"
            f" ({strip_secrets(str(error)).splitlines()[0]}); restore the file, then add the scene"
            " again."
        ) from error
    return raw, covered
