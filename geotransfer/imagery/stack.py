"""Read one tile of all its scenes into a masked stack."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import odc.stac
import pystac
import rasterio
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.warp import transform_geom
from scipy.ndimage import maximum_filter
from shapely.geometry import shape

from geotransfer.core.grid import Grid, Tile
from geotransfer.core.scene import Asset, Scene
from geotransfer.errors import SceneUnreadable
from geotransfer.imagery.grids import make_geobox, mask_shape
from geotransfer.imagery.sensors import MaskKind, MaskRule, find_mask_rule

DN_SCALE = 1e-4
"""Every band is brought to int16 at this scale and offset 0; exact where the source has it too."""
DN_LIMIT = 32_000

ALIGNED_PX = 1e-3
"""Grids that differ by less than this share of a pixel are the same grid."""

GDAL_OPTIONS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_HTTP_MAX_RETRY": "4",
    "GDAL_HTTP_RETRY_DELAY": "0.5",
    "GDAL_HTTP_TIMEOUT": "30",
}


@dataclass(frozen=True)
class Stack:
    """One tile of many dates; one entry a day, overlapping scenes merged."""

    dn: NDArray[np.int16]
    """Digital numbers, shape (time, band, y, x); reflectance = dn · 1e-4."""
    valid: NDArray[np.bool_]
    """Whether a date shows the ground, shape (time, y, x)."""
    dates: tuple[str, ...]
    """ISO dates (local solar day), one a time step, ascending."""
    read_bytes: int
    """Bytes of decoded pixels."""


def find_solar_day(scene: Scene) -> str:
    """Return the ISO date of the scene in local solar time, so that one overpass is one day."""
    moment = datetime.fromisoformat(scene.sensed_at.replace("Z", "+00:00"))
    longitude = (scene.bounds[0] + scene.bounds[2]) / 2
    return (moment + timedelta(hours=longitude / 15)).date().isoformat()


def read_stack(scenes: Sequence[Scene], bands: Sequence[str], grid: Grid, tile: Tile) -> Stack:
    """Read ``bands`` of ``scenes`` on one tile.

    Scenes of one day are merged pixel by pixel, in the order of their ids: the first that shows
    the ground wins. A pixel is valid on a date only if every band has a value.

    Raises
    ------
    SceneUnreadable
        A file cannot be read; the message names file and band. Nothing is ever filled in for it.
    """
    days: dict[str, list[Scene]] = {}
    for scene in sorted(scenes, key=lambda s: (find_solar_day(s), s.scene_id)):
        days.setdefault(find_solar_day(scene), []).append(scene)
    dn = np.zeros((len(days), len(bands), tile.height, tile.width), dtype=np.int16)
    valid = np.zeros((len(days), tile.height, tile.width), dtype=bool)
    read_bytes = 0
    with rasterio.Env(**GDAL_OPTIONS):
        for step, members in enumerate(days.values()):
            for scene in members:
                scene_dn, scene_valid, n_bytes = _read_scene(scene, bands, grid, tile)
                read_bytes += n_bytes
                fresh = scene_valid & ~valid[step]
                np.copyto(dn[step], scene_dn, where=fresh[None])
                valid[step] |= fresh
    return Stack(dn=dn, valid=valid, dates=tuple(days), read_bytes=read_bytes)


def _read_scene(
    scene: Scene, bands: Sequence[str], grid: Grid, tile: Tile
) -> tuple[NDArray[np.int16], NDArray[np.bool_], int]:
    geobox = make_geobox(grid, tile)
    assets = [asset for band in bands if (asset := scene.find_asset(band)) is not None]
    pixels = load_assets(scene, assets, geobox)
    dn = np.empty((len(bands), tile.height, tile.width), dtype=np.int16)
    valid = np.ones((tile.height, tile.width), dtype=bool)
    read_bytes = 0
    for row, asset in enumerate(assets):
        raw = pixels[asset.name]
        read_bytes += raw.nbytes
        valid &= find_data(raw, asset)
        if asset.nodata is None:
            valid &= find_coverage(scene, geobox)
        dn[row] = normalize_dn(raw, asset)
    mask_asset, rule = find_mask(scene)
    if mask_asset is not None and rule is not None:
        pad = rule.dilate_px
        padded = geobox.pad(pad)
        flags = load_assets(scene, [mask_asset], padded)[mask_asset.name]
        read_bytes += flags.nbytes
        covered = find_coverage(scene, padded)
        valid &= ~find_bad(flags, rule, covered=covered)[
            pad : pad + tile.height, pad : pad + tile.width
        ]
    return dn, valid, read_bytes


def find_mask(scene: Scene) -> tuple[Asset | None, MaskRule | None]:
    """Return the scene's mask asset and its rule, or a pair of None."""
    for asset in scene.assets:
        if asset.name.startswith("mask:"):
            return asset, find_mask_rule(scene, asset.name.removeprefix("mask:"))
    return None, None


def find_data(raw: NDArray[np.generic], asset: Asset) -> NDArray[np.bool_]:
    """Return where a band has a value."""
    if raw.dtype.kind == "f":
        has: NDArray[np.bool_] = np.isfinite(raw)
        return has & (raw != asset.nodata) if asset.nodata is not None else has
    if asset.nodata is None:
        return np.ones(raw.shape, dtype=bool)
    return np.asarray(raw != asset.nodata)


def normalize_dn(raw: NDArray[np.generic], asset: Asset) -> NDArray[np.int16]:
    """Bring digital numbers to scale 1e-4 and offset 0, rounding to the nearest."""
    shift = asset.offset / DN_SCALE
    if asset.scale == DN_SCALE and raw.dtype.kind in "iu" and abs(shift - round(shift)) < 1e-6:
        wide = raw.astype(np.int32)
        wide += round(shift)
        return np.clip(wide, -DN_LIMIT, DN_LIMIT, out=wide).astype(np.int16)
    scaled = raw.astype(np.float64) * (asset.scale / DN_SCALE) + shift
    np.nan_to_num(scaled, copy=False, posinf=DN_LIMIT, neginf=-DN_LIMIT)
    return np.clip(np.rint(scaled), -DN_LIMIT, DN_LIMIT).astype(np.int16)


def find_bad(
    flags: NDArray[np.generic], rule: MaskRule, *, covered: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Return where a mask band says *not the ground*, grown by the rule's dilation.

    Beyond the scene, where ``covered`` is false, there is nothing to grow from.
    """
    codes = flags.astype(np.int64)
    if rule.kind is MaskKind.CLASSES:
        bad = np.isin(codes, rule.bad)
    elif rule.kind is MaskKind.BITS:
        bits = sum(1 << bit for bit in rule.bad)
        bad = (codes & bits) != 0
    else:
        bad = codes != 0
    if covered is not None:
        bad &= covered
    if rule.dilate_px and bad.any():
        grown: NDArray[np.bool_] = maximum_filter(bad, size=2 * rule.dilate_px + 1)
        return grown
    return bad


def load_assets(
    scene: Scene, assets: Sequence[Asset], geobox: GeoBox
) -> dict[str, NDArray[np.generic]]:
    """Load some assets of a scene on a geobox: nearest neighbour, values untouched.

    A file whose pixels are the geobox's own is read by its window alone; odc-stac warps the
    others. Where both could, they agree to the bit; the window takes half the time.
    """
    loaded: dict[str, NDArray[np.generic]] = {}
    rest: list[Asset] = []
    for asset in assets:
        pixels = _read_window(scene, asset, geobox)
        if pixels is None:
            rest.append(asset)
        else:
            loaded[asset.name] = pixels
    if rest:
        loaded.update(_warp_assets(scene, rest, geobox))
    return loaded


def _read_window(scene: Scene, asset: Asset, geobox: GeoBox) -> NDArray[np.generic] | None:
    """Read the geobox's window of a file on the same pixel grid; None where it is on another."""
    try:
        with rasterio.open(asset.href) as file:
            if file.crs is None:
                raise SceneUnreadable(
                    f"item {scene.scene_id}: file {asset.href} of band {asset.name!r} cannot be"
                    " placed, it states no CRS; restore the file or assign one."
                )
            offset = find_offset(file.transform, geobox.affine)
            if offset is None or str(file.crs) != str(geobox.crs):
                return None
            row, col = offset
            height, width = geobox.shape
            top, left = max(row, 0), max(col, 0)
            bottom, right = min(row + height, file.height), min(col + width, file.width)
            fill = asset.nodata if asset.nodata is not None else 0
            pixels = np.full((height, width), fill, dtype=file.dtypes[asset.band - 1])
            if top < bottom and left < right:
                inside = np.s_[top - row : bottom - row, left - col : right - col]
                pixels[inside] = file.read(asset.band, window=((top, bottom), (left, right)))
            return pixels
    except (rasterio.errors.RasterioError, OSError) as error:
        raise _explain_failure(scene, [asset], error) from error


def find_offset(source: Affine, target: Affine) -> tuple[int, int] | None:
    """Return row and column of ``target``'s first pixel in ``source``; None unless they align."""
    if source[:2] != target[:2] or source[3:5] != target[3:5]:
        return None
    if source.b or source.d or source.e > 0:
        return None
    col, row = ~source @ (target.c, target.f)
    if abs(col - round(col)) > ALIGNED_PX or abs(row - round(row)) > ALIGNED_PX:
        return None
    return round(row), round(col)


def _warp_assets(
    scene: Scene, assets: Sequence[Asset], geobox: GeoBox
) -> dict[str, NDArray[np.generic]]:
    try:
        with warnings.catch_warnings():
            # odc-stac and its libraries use each other's older names; nothing a user can mend.
            warnings.simplefilter("ignore")
            loaded = odc.stac.load(
                [_make_item(scene, assets)], bands=[_name_band(a) for a in assets], geobox=geobox,
                resampling="nearest", chunks=None, fail_on_error=True,
            )  # fmt: skip
    except (rasterio.errors.RasterioError, OSError, RuntimeError, ValueError) as error:
        raise _explain_failure(scene, assets, error) from error
    return {a.name: np.asarray(loaded[_name_band(a)].values[0]) for a in assets}


def _name_band(asset: Asset) -> str:
    """Return odc-stac's name of a band of a file."""
    return asset.name if asset.band == 1 else f"{asset.name}.{asset.band}"


def find_coverage(scene: Scene, geobox: GeoBox) -> NDArray[np.bool_]:
    """Return where a scene has pixels at all, shape (y, x): needed where it states no nodata."""
    if scene.crs is None or scene.transform is None or scene.shape is None:
        return np.ones(geobox.shape, dtype=bool)
    affine = Affine(*scene.transform)
    height, width = scene.shape
    edge = np.linspace(0, 1, 17)
    across = [(t * width, 0) for t in edge] + [(width, t * height) for t in edge]
    back = [((1 - t) * width, height) for t in edge] + [(0, (1 - t) * height) for t in edge]
    ring = [affine @ point for point in (*across, *back)]
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
                href=asset.href,
                media_type="image/tiff; application=geotiff; profile=cloud-optimized",
                roles=["data"],
                extra_fields={"raster:bands": [band] * asset.band},
            ),
        )
    return item


def _explain_failure(scene: Scene, assets: Sequence[Asset], error: Exception) -> SceneUnreadable:
    """Find the file at fault by opening each one alone."""
    for asset in assets:
        try:
            with rasterio.open(asset.href) as file:
                for _, window in file.block_windows(1):
                    file.read(asset.band, window=window)
        except (rasterio.errors.RasterioError, OSError) as fault:
            return SceneUnreadable(
                f"item {scene.scene_id}: file {asset.href} of band {asset.name!r} cannot be read"
                f" ({str(fault).splitlines()[0]}); restore the file, then refresh again."
            )
    names = ", ".join(Path(asset.href).name for asset in assets)
    return SceneUnreadable(
        f"item {scene.scene_id}: cannot be read ({error}); files {names}; restore them, then"
        " refresh again."
    )
