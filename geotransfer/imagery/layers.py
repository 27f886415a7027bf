"""Layers without a date: check a user's raster against what a spec needs, read it on a tile."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds, transform_geom
from shapely.geometry import shape

from geotransfer.core.grid import Grid, Tile
from geotransfer.core.layer import LAYER_RULES, MIN_CLIMATOLOGY_YEARS, Layer
from geotransfer.core.region import Region
from geotransfer.errors import LayerInvalid, SceneUnreadable
from geotransfer.imagery.grids import make_geobox, mask_shape

CHECK_PX = 256
"""Side of the raster on which coverage and values are checked before a layer is taken."""
MIN_COVERAGE = 0.999
"""Share of the region a layer must cover."""
BAD_SHARE = 0.01
"""Share of values outside the rule's range from which on the unit must be another."""


def check_layer(layer: Layer, region: Region) -> None:
    """Refuse a layer that a model would misread.

    Raises
    ------
    LayerInvalid
        It has no CRS, does not cover the region, is in another unit, or is one year's weather where
        a climate is needed.
    SceneUnreadable
        The file cannot be opened.
    """
    rule = LAYER_RULES.get(layer.name)
    if rule is not None and layer.unit != rule.unit:
        raise LayerInvalid(
            f"layer {layer.name!r}: the unit is declared as {layer.unit!r}, models read it in"
            f" {rule.unit}; convert it, or give --scale and --offset and declare {rule.unit}."
        )
    if rule is not None and rule.is_climatology and not layer.is_climatology:
        told = f"{layer.n_years} years are" if layer.n_years else "no span of years is"
        raise LayerInvalid(
            f"layer {layer.name!r} must be a mean over at least {MIN_CLIMATOLOGY_YEARS} years and"
            f" {told} stated: one year's rain is weather, the model knows climates; give"
            " --years 1991-2020 if it is such a mean."
        )
    values = _read_overview(layer, region)
    known = values[np.isfinite(values)]
    if rule is not None and len(known):
        outside = float(((known < rule.low) | (known > rule.high)).mean())
        if outside > BAD_SHARE:
            raise LayerInvalid(
                f"layer {layer.name!r}: {outside:.0%} of its values lie outside {rule.low:g} to"
                f" {rule.high:g} {rule.unit} (median {np.median(known):g}), so it is in another"
                " unit; convert it, or give --scale and --offset."
            )


def _read_overview(layer: Layer, region: Region) -> NDArray[np.float32]:
    """Read the layer over the region's outline, at most ``CHECK_PX`` a side, NaN outside it."""
    outline = shape(json.loads(region.outline))
    try:
        with rasterio.open(layer.href) as file:
            if file.crs is None:
                raise LayerInvalid(
                    f"layer {layer.name!r}: {layer.href} states no CRS; assign one (gdal_edit.py"
                    " -a_srs)."
                )
            if not 1 <= layer.band <= file.count:
                raise LayerInvalid(
                    f"layer {layer.name!r}: {layer.href} has {file.count} bands, not"
                    f" {layer.band}; choose one with --band."
                )
            bounds = transform_bounds("EPSG:4326", file.crs, *outline.bounds)
            step = max(
                (bounds[2] - bounds[0]) / CHECK_PX, (bounds[3] - bounds[1]) / CHECK_PX,
                min(abs(file.transform.a), abs(file.transform.e)) or 1e-9,
            )  # fmt: skip
            size = tuple(max(1, math.ceil((bounds[k + 2] - bounds[k]) / step)) for k in (1, 0))
            box = GeoBox.from_bbox(bounds, str(file.crs), shape=size)
            crs = str(file.crs)
    except rasterio.errors.RasterioError as error:
        raise SceneUnreadable(
            f"layer {layer.name!r}: {layer.href} cannot be opened ({error}); check the path."
        ) from error
    inside = mask_shape(shape(transform_geom("EPSG:4326", crs, outline.__geo_interface__)), box)
    values = _warp(layer, box)
    if not inside.any():
        inside[:] = True
    covered = float(np.isfinite(values[inside]).mean())
    if covered < MIN_COVERAGE:
        raise LayerInvalid(
            f"layer {layer.name!r} covers {covered:.0%} of region {region.region_id!r}; give a"
            " raster that covers all of it, pixels without a value get no answer."
        )
    return np.where(inside, values, np.float32(np.nan))


def read_layers(layers: Sequence[Layer], grid: Grid, tile: Tile) -> NDArray[np.float32]:
    """Read layers on a tile, shape (layer, y, x), bilinear between their pixels; NaN: no value.

    Raises
    ------
    SceneUnreadable
        A file cannot be read.
    """
    geobox = make_geobox(grid, tile)
    return np.stack([_warp(layer, geobox) for layer in layers])


def _warp(layer: Layer, geobox: GeoBox) -> NDArray[np.float32]:
    height, width = geobox.shape
    try:
        with (
            rasterio.open(layer.href) as file,
            WarpedVRT(
                file,
                crs=str(geobox.crs),
                transform=geobox.affine,
                width=width,
                height=height,
                resampling=Resampling.bilinear,
                src_nodata=file.nodata,
                nodata=np.nan,
                dtype="float32",
            ) as warped,
        ):
            raw: NDArray[np.float32] = warped.read(layer.band).astype(np.float32)
    except rasterio.errors.RasterioError as error:
        raise SceneUnreadable(
            f"layer {layer.name!r}: {layer.href} cannot be read ({error}); restore the file, then"
            " refresh again."
        ) from error
    return raw * np.float32(layer.scale) + np.float32(layer.offset)
