"""Simulated scenes on disk: cloud-optimised GeoTIFFs described by STAC items."""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile
from rasterio.transform import Affine

from geotransfer.core.grid import Grid
from geotransfer.core.spec import BANDS
from geotransfer.errors import StoreError
from geotransfer.store.atomic import replace_atomically
from geotransfer.testing.ground import SCALE, SceneArrays

BLOCK_PX = 256
_ALIASES = {"swir_1": "swir16", "swir_2": "swir22"}
ASSET_NAMES = tuple(_ALIASES.get(band, band.replace("_", "")) for band in BANDS)
"""STAC asset names, in the order of ``core.spec.BANDS``."""
_COMMON_NAMES = {"rededge1": "rededge", "rededge2": "rededge", "rededge3": "rededge"}

EXTENSIONS = tuple(
    f"https://stac-extensions.github.io/{name}/schema.json"
    for name in ("eo/v1.1.0", "projection/v1.1.0", "raster/v1.1.0", "file/v2.1.0")
)
COLLECTION = "simulated-sentinel-2-l2a"
MEDIA_TYPE = "image/tiff; application=geotiff; profile=cloud-optimized"


def encode_cog(
    array: NDArray[np.uint8] | NDArray[np.uint16],
    grid: Grid,
    *,
    nodata: int | None,
    compress: str = "zstd",
) -> bytes:
    """Return a ``(y, x)`` raster as the bytes of a cloud-optimised GeoTIFF."""
    # Up to two blocks a side need no overviews, and a plain tiled file is cloud-optimised.
    level = "zstd_level" if compress == "zstd" else "zlevel"
    layout: dict[str, Any] = {
        "driver": "GTiff",
        "tiled": True,
        "blockxsize": BLOCK_PX,
        "blockysize": BLOCK_PX,
        "predictor": 2,
        level: 1,
    }
    if max(array.shape) > 2 * BLOCK_PX:
        layout = {"driver": "COG", "blocksize": BLOCK_PX, "predictor": "YES", "level": 1}
    try:
        with MemoryFile() as memory:
            with memory.open(
                **layout,
                count=1,
                height=grid.height,
                width=grid.width,
                dtype=array.dtype.name,
                crs=grid.crs,
                transform=Affine(*grid.transform),
                nodata=nodata,
                compress=compress,
            ) as file:
                file.write(array, 1)
            return bytes(memory.read())
    except RasterioError as error:
        raise StoreError(f"a simulated raster cannot be encoded ({error}).") from error


def write_new_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, without waiting for the disk."""
    with replace_atomically(path) as temporary:
        temporary.write_bytes(data)
        temporary.chmod(0o644)


def trace_footprint(grid: Grid, *, inset_px: float = 0.0, n_points: int = 4) -> dict[str, Any]:
    """Return a grid's outline as a GeoJSON polygon in EPSG:4326, ``n_points`` to a side."""
    a, _, left, _, e, top = grid.transform
    west, north = left + a * inset_px, top + e * inset_px
    east, south = left + a * (grid.width - inset_px), top + e * (grid.height - inset_px)
    corners = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    ring = [
        (x0 + (x1 - x0) * i / n_points, y0 + (y1 - y0) * i / n_points)
        for (x0, y0), (x1, y1) in itertools.pairwise(corners)
        for i in range(n_points)
    ]
    to_lonlat = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
    points = [[round(v, 7) for v in to_lonlat.transform(*point)] for point in ring]
    return {"type": "Polygon", "coordinates": [[*points, points[0]]]}


def write_scene(
    arrays: SceneArrays,
    *,
    folder: Path,
    grid: Grid,
    region_id: str,
    date: dt.date,
    revision: int = 0,
    compress: str = "zstd",
) -> dict[str, Any]:
    """Write one scene's files and return its STAC item.

    Parameters
    ----------
    folder
        The region's folder; files go below ``scenes/``, hrefs are relative to the folder.
    revision
        How often the scene was published before; it shows in the metadata, and a revision that is
        encoded anew has a folder of its own.
    """
    name = date.isoformat() if revision == 0 else f"{date.isoformat()}-r{revision}"
    assets: dict[str, Any] = {}
    for asset_name, raster in [*zip(ASSET_NAMES, arrays.dn, strict=True), ("scl", arrays.scl)]:
        data = encode_cog(raster, grid, nodata=0, compress=compress)
        href = f"scenes/{name}/{asset_name}.tif"
        write_new_file(folder / href, data)
        assets[asset_name] = _describe_asset(asset_name, f"./{href}", data, raster, arrays.offset)
    return _describe_item(
        arrays, assets, grid=grid, region_id=region_id, date=date, revision=revision
    )


def _describe_asset(
    name: str, href: str, data: bytes, raster: NDArray[Any], offset: float
) -> dict[str, Any]:
    band: dict[str, Any] = {"data_type": raster.dtype.name, "nodata": 0, "spatial_resolution": 10}
    is_mask = name == "scl"
    if not is_mask:
        band |= {"scale": SCALE, "offset": offset}
    return {
        "href": href,
        "type": MEDIA_TYPE,
        "title": f"Simulated {name}",
        "roles": ["data"] if is_mask else ["data", "reflectance"],
        **(
            {}
            if is_mask
            else {"eo:bands": [{"name": name, "common_name": _COMMON_NAMES.get(name, name)}]}
        ),
        "raster:bands": [band],
        # Multihash: 12 is SHA-256, 20 its length of 32 bytes.
        "file:checksum": "1220" + hashlib.sha256(data).hexdigest(),
        "file:size": len(data),
    }


def _describe_item(
    arrays: SceneArrays,
    assets: Mapping[str, Any],
    *,
    grid: Grid,
    region_id: str,
    date: dt.date,
    revision: int,
) -> dict[str, Any]:
    geometry = trace_footprint(grid, n_points=1)
    lons, lats = zip(*geometry["coordinates"][0], strict=True)
    taken = dt.datetime.combine(date, dt.time(10, 30), dt.UTC)
    published = taken + dt.timedelta(days=1 + 30 * revision)
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": list(EXTENSIONS),
        "id": f"{region_id}-{date.isoformat()}",
        "collection": COLLECTION,
        "bbox": [min(lons), min(lats), max(lons), max(lats)],
        "geometry": geometry,
        "properties": {
            "title": f"Simulated scene of {date.isoformat()}; not an observation of the Earth",
            "datetime": _format_time(taken),
            "created": _format_time(published),
            "updated": _format_time(published),
            "platform": "simulated",
            "instruments": ["simulated msi"],
            "gsd": 10,
            "eo:cloud_cover": round(100 * arrays.cloud_cover, 2),
            "s2:processing_baseline": arrays.baseline,
            "proj:code": grid.crs,
            "proj:epsg": int(grid.crs.removeprefix("EPSG:")),
            "proj:shape": [grid.height, grid.width],
            "proj:transform": list(grid.transform),
        },
        "assets": dict(assets),
        "links": [],
    }


def _format_time(time: dt.datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def republish_item(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the item as published again: other metadata, the very same files."""
    properties = dict(item["properties"])
    updated = dt.datetime.fromisoformat(properties["updated"]) + dt.timedelta(days=30)
    properties["updated"] = _format_time(updated)
    return {**item, "properties": properties}


def write_items(path: Path, items: Sequence[Mapping[str, Any]]) -> None:
    """Write a STAC item collection, by date."""
    ordered = sorted(items, key=lambda item: (item["properties"]["datetime"], item["id"]))
    collection = {"type": "FeatureCollection", "features": ordered}
    write_new_file(path, (json.dumps(collection, indent=1) + "\n").encode())


def read_items(path: Path) -> list[dict[str, Any]]:
    """Read the items of a collection that ``write_items`` wrote."""
    features: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["features"]
    return features
