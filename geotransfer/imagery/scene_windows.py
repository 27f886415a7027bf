"""Read the pixels of one scene that lie on one tile, into arrays that are already there."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import odc.stac
import pystac
import rasterio
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.warp import transform_geom
from shapely.geometry import shape

from geotransfer.core.grid import Grid, Tile
from geotransfer.core.scene import Asset, Scene
from geotransfer.errors import SceneUnreadable
from geotransfer.imagery.access import (
    RETRIED,
    find_access,
    forget_stale,
    make_gdal_options,
    open_uncached,
    sign,
    strip_secrets,
)
from geotransfer.imagery.foreign_grids import read_positions
from geotransfer.imagery.grids import make_geobox, mask_shape, trace_edges
from geotransfer.imagery.masks import find_bad, find_mask
from geotransfer.imagery.raster_files import open_raster

DN_SCALE = 1e-4
"""Every band is brought to int16 at this scale and offset 0; exact where the source has it too."""
DN_LIMIT = 32_000

COVERAGE_EDGE_POINTS = 17
"""Points an edge of a footprint is followed at where it is asked which pixels it covers."""
ALIGNED_PX = 1e-3
"""Grids that differ by less than this share of a pixel are the same grid."""


@dataclass(frozen=True, eq=False)
class Window:
    """A file's pixels on a geobox."""

    pixels: NDArray[np.generic]
    """Shape (y, x); nodata, or 0, beyond the file."""
    covered: NDArray[np.bool_] | None
    """Where the file has pixels; None: everywhere."""


def read_scene(
    scene: Scene,
    bands: Sequence[str],
    grid: Grid,
    tile: Tile,
    *,
    dn: NDArray[np.int16],
    valid: NDArray[np.bool_],
) -> int:
    """Read one scene's bands and mask on one tile and return the bytes of decoded pixels.

    Parameters
    ----------
    dn
        Filled with digital numbers at scale 1e-4, shape (band, y, x), C-contiguous; 0 where
        ``valid`` is false.
    valid
        Filled with whether every band has a value and the mask says ground, shape (y, x).

    Raises
    ------
    SceneUnreadable
        A file cannot be read; the message names file and band.
    """
    geobox = make_geobox(grid, tile)
    valid[:] = True
    read_bytes = 0
    rest: list[tuple[int, Asset]] = []
    for row, band in enumerate(bands):
        asset = scene.find_asset(band)
        if asset is None:
            raise SceneUnreadable(
                f"item {scene.scene_id}: band {band!r} is missing; add the asset to the item.",
                scene.scene_id,
            )
        window = read_window(scene, asset, geobox, out=dn[row])
        if window is None:
            rest.append((row, asset))
            continue
        read_bytes += window.pixels.nbytes
        _settle_band(window, asset, dn=dn[row], valid=valid)
    if rest:
        warped = warp_assets(scene, [asset for _, asset in rest], geobox)
        for row, asset in rest:
            pixels = warped[asset.name]
            read_bytes += pixels.nbytes
            covered = find_coverage(scene, geobox) if asset.nodata is None else None
            _settle_band(Window(pixels, covered), asset, dn=dn[row], valid=valid)
    read_bytes += _apply_mask(scene, geobox, valid)
    # All bits or none: what a cloud hid is not kept, so equal ground is equal pixels.
    dn &= -valid.view(np.int8).astype(np.int16)
    return read_bytes


def _apply_mask(scene: Scene, geobox: GeoBox, valid: NDArray[np.bool_]) -> int:
    asset, rule = find_mask(scene)
    if asset is None or rule is None:
        return 0
    # Clouds beyond the tile's edge grow into it.
    pad = rule.dilate_px
    padded = geobox.pad(pad)
    window = read_window(scene, asset, padded)
    if window is None:
        pixels = warp_assets(scene, [asset], padded)[asset.name]
        window = Window(pixels, find_coverage(scene, padded))
    bad = find_bad(window.pixels, rule, covered=window.covered)
    height, width = valid.shape
    valid &= ~bad[pad : pad + height, pad : pad + width]
    return window.pixels.nbytes


def _settle_band(
    window: Window, asset: Asset, *, dn: NDArray[np.int16], valid: NDArray[np.bool_]
) -> None:
    """Write a band's numbers at scale 1e-4 to ``dn`` and unset ``valid`` where it has no value."""
    raw: NDArray[Any] = window.pixels
    if raw.dtype.kind == "f" or asset.nodata is not None:
        valid &= find_data(raw, asset)
    if asset.nodata is None and window.covered is not None:
        valid &= window.covered
    if not np.may_share_memory(raw, dn):
        dn[:] = normalize_dn(raw, asset)
        return
    # In place: limited first, so that the sum modulo 2^16 is the sum.
    shift = _find_shift(asset)
    limits = np.iinfo(raw.dtype)
    if DN_LIMIT - shift < limits.max:
        np.minimum(raw, raw.dtype.type(max(DN_LIMIT - shift, limits.min)), out=raw)
    if -DN_LIMIT - shift > limits.min:
        np.maximum(raw, raw.dtype.type(min(-DN_LIMIT - shift, limits.max)), out=raw)
    if shift:
        dn += np.int16(shift)


def find_data(raw: NDArray[Any], asset: Asset) -> NDArray[np.bool_]:
    """Return where a band has a value."""
    if raw.dtype.kind == "f":
        has: NDArray[np.bool_] = np.isfinite(raw)
        return has & (raw != asset.nodata) if asset.nodata is not None else has
    nodata = asset.nodata
    limits = np.iinfo(raw.dtype)
    if nodata is None or nodata != round(nodata) or not limits.min <= nodata <= limits.max:
        return np.ones(raw.shape, dtype=bool)
    # In the band's own type: to compare whole numbers with a float converts them all.
    return np.asarray(raw != raw.dtype.type(int(nodata)))


def normalize_dn(raw: NDArray[np.generic], asset: Asset) -> NDArray[np.int16]:
    """Bring digital numbers to scale 1e-4 and offset 0, rounding to the nearest."""
    shift = asset.offset / DN_SCALE
    if raw.dtype.kind in "iu" and _is_exact(asset):
        wide = raw.astype(np.int32)
        wide += round(shift)
        return np.clip(wide, -DN_LIMIT, DN_LIMIT, out=wide).astype(np.int16)
    scaled = raw.astype(np.float64) * (asset.scale / DN_SCALE) + shift
    np.nan_to_num(scaled, copy=False, posinf=DN_LIMIT, neginf=-DN_LIMIT)
    return np.clip(np.rint(scaled), -DN_LIMIT, DN_LIMIT).astype(np.int16)


def _find_shift(asset: Asset) -> int:
    return round(asset.offset / DN_SCALE)


def _is_exact(asset: Asset) -> bool:
    """Whether a band's whole numbers differ from ours by a whole number."""
    shift = asset.offset / DN_SCALE
    return asset.scale == DN_SCALE and abs(shift - round(shift)) < 1e-6


def read_window(
    scene: Scene, asset: Asset, geobox: GeoBox, *, out: NDArray[np.int16] | None = None
) -> Window | None:
    """Read the geobox's window of a file; None where it is in the same CRS but on another grid.

    Parameters
    ----------
    out
        Memory to read into where the band's numbers fit it and need no more than a shift.
    """
    try:
        with open_raster(asset.href) as file:
            if not file.crs:
                raise SceneUnreadable(
                    f"item {scene.scene_id}: file {asset.href} of band {asset.name!r} cannot be"
                    " placed, it states no CRS; restore the file or assign one.",
                    scene.scene_id,
                )
            if file.crs != str(geobox.crs):
                fill = asset.nodata if asset.nodata is not None else 0
                return Window(*read_positions(file, asset.band, geobox, fill=fill))
            offset = find_offset(file.affine, geobox.affine)
            if offset is None:
                return None
            row, col = offset
            height, width = geobox.shape
            top, left = max(row, 0), max(col, 0)
            bottom, right = min(row + height, file.height), min(col + width, file.width)
            dtype = np.dtype(file.dtypes[asset.band - 1])
            fits = out is not None and dtype in (np.int16, np.uint16) and _is_exact(asset)
            pixels: NDArray[np.generic]
            if out is not None and fits and abs(_find_shift(asset)) <= DN_LIMIT:
                pixels = out.view(dtype)
            else:
                pixels = np.empty((height, width), dtype=dtype)
            if bottom - top == height and right - left == width:
                file.dataset.read(asset.band, window=((top, bottom), (left, right)), out=pixels)
                return Window(pixels, None)
            pixels[:] = asset.nodata if asset.nodata is not None else 0
            covered = np.zeros((height, width), dtype=bool)
            if top < bottom and left < right:
                inside = np.s_[top - row : bottom - row, left - col : right - col]
                pixels[inside] = file.dataset.read(
                    asset.band, window=((top, bottom), (left, right))
                )
                covered[inside] = True
            return Window(pixels, covered)
    except (rasterio.errors.RasterioError, OSError) as error:
        raise explain_failure(scene, [asset], error) from error


def find_offset(source: Affine, target: Affine) -> tuple[int, int] | None:
    """Return row and column of ``target``'s first pixel in ``source``; None unless they align."""
    if (source.a, source.e) != (target.a, target.e) or source.a <= 0 or source.e >= 0:
        return None
    if source.b or source.d or target.b or target.d:
        return None
    col, row = (target.c - source.c) / source.a, (target.f - source.f) / source.e
    if abs(col - round(col)) > ALIGNED_PX or abs(row - round(row)) > ALIGNED_PX:
        return None
    return round(row), round(col)


def warp_assets(
    scene: Scene, assets: Sequence[Asset], geobox: GeoBox
) -> dict[str, NDArray[np.generic]]:
    """Load files on another grid, by odc-stac: nearest neighbour, values untouched.

    Where a window could be read as well, both agree to the bit; the window takes half the time.
    """
    access = find_access()
    hrefs = [asset.href for asset in assets]
    for href in hrefs:
        forget_stale(href, access)
    try:
        with warnings.catch_warnings(), rasterio.Env(**make_gdal_options(access, hrefs)):
            # odc-stac and its libraries use each other's older names; nothing a user can mend.
            warnings.simplefilter("ignore")
            loaded = odc.stac.load(
                [_make_item(scene, assets)], bands=[_name_band(a) for a in assets], geobox=geobox,
                resampling="nearest", chunks=None, fail_on_error=True,
            )  # fmt: skip
    except (rasterio.errors.RasterioError, OSError, RuntimeError, ValueError) as error:
        raise explain_failure(scene, assets, error) from error
    return {a.name: np.asarray(loaded[_name_band(a)].values[0]) for a in assets}


def _name_band(asset: Asset) -> str:
    """Return odc-stac's name of a band of a file."""
    return asset.name if asset.band == 1 else f"{asset.name}.{asset.band}"


def find_coverage(scene: Scene, geobox: GeoBox) -> NDArray[np.bool_]:
    """Return where a scene has pixels at all, shape (y, x): needed where it states no nodata."""
    if scene.crs is None or scene.transform is None or scene.shape is None:
        return np.ones(geobox.shape, dtype=bool)
    height, width = scene.shape
    ring = trace_edges(Affine(*scene.transform), width, height, n_points=COVERAGE_EDGE_POINTS)
    outline = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    if scene.crs != str(geobox.crs):
        outline = transform_geom(scene.crs, str(geobox.crs), outline)
    return mask_shape(shape(outline), geobox)


def _make_item(scene: Scene, assets: Sequence[Asset]) -> pystac.Item:
    properties: dict[str, object] = {}
    if scene.crs and scene.transform and scene.shape:
        properties = {
            "proj:epsg": int(scene.crs.split(":")[1]) if scene.crs.startswith("EPSG:") else None,
            "proj:shape": list(scene.shape),
            "proj:transform": list(scene.transform),
        }
    west, south, east, north = scene.bounds
    item = pystac.Item(
        id=scene.scene_id,
        geometry={
            "type": "Polygon",
            "coordinates": [
                [[west, south], [east, south], [east, north], [west, north], [west, south]]
            ],
        },
        bbox=list(scene.bounds),
        datetime=datetime.fromisoformat(scene.sensed_at.replace("Z", "+00:00")),
        properties=properties,
        stac_extensions=[
            "https://stac-extensions.github.io/projection/v1.1.0/schema.json",
            "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
        ],
        collection=scene.sensor,
    )
    for asset in assets:
        band: dict[str, object] = {}
        if asset.nodata is not None:
            band["nodata"] = asset.nodata
        item.add_asset(
            asset.name,
            pystac.Asset(
                href=sign(asset.href, find_access()),
                media_type="image/tiff; application=geotiff; profile=cloud-optimized",
                roles=["data"],
                extra_fields={"raster:bands": [band] * asset.band},
            ),
        )
    return item


def explain_failure(scene: Scene, assets: Sequence[Asset], error: Exception) -> SceneUnreadable:
    """Find the file at fault by opening each one alone, asking its server anew.

    The remedy follows from what the server says; no key of an address is repeated.
    """
    access = find_access()
    for asset in assets:
        try:
            with open_uncached(asset.href, access), rasterio.open(sign(asset.href, access)) as file:
                for _, window in file.block_windows(1):
                    file.read(asset.band, window=window)
        except (rasterio.errors.RasterioError, OSError) as fault:
            told = strip_secrets(str(fault).splitlines()[0])
            return SceneUnreadable(
                f"item {scene.scene_id}: file {asset.href} of band {asset.name!r} cannot be read"
                f" ({told}); {_find_remedy(told)}, then refresh again.",
                scene.scene_id,
            )
    names = ", ".join(Path(asset.href).name for asset in assets)
    told = strip_secrets(str(error).splitlines()[0])
    return SceneUnreadable(
        f"item {scene.scene_id}: cannot be read ({told}); files {names}; restore them or leave the"
        " scene out, then refresh again.",
        scene.scene_id,
    )


def _find_remedy(told: str) -> str:
    if "403" in told or "401" in told:
        return "set the server's keys or a signer"
    if "timed out" in told or any(f"code: {code}" in told for code in RETRIED):
        return "wait for the server"
    return "restore the file or leave the scene out"
