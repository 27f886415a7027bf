"""An archive to read: textured random scenes as tiled files on disk, with the items that name them.

Every scene is nine bands and a scene classification, each a tiled GeoTIFF as archives keep them
(512-pixel blocks, deflate, horizontal differences, overviews left out: nothing here reads them). A
spectrum a pixel, smooth in space; a gain a date, smooth too; sensor noise; clouds in patches, sized
so that about a third of the pixels is masked once their edges are grown.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer
from scipy.ndimage import gaussian_filter, maximum_filter

from geotransfer.core.spec import BANDS
from geotransfer.testing.items import ASSET_NAMES

SEED = 20269
BLOCK_PX = 512
CRS = "EPSG:32631"
ORIGIN = (399_960.0, 4_900_020.0)
PIXEL_M = 10.0
NOISE_DN = 10.0
"""Of a sensor with the signal-to-noise ratio of Sentinel-2 over land, about 150."""
MASKED_SHARE = 1 / 3
DILATE_PX = 2
"""By how much the mask rule of the product, and hence the opponent, grows clouds."""
STRIP_PX = 512
"""Rows that are drawn; larger scenes repeat them, which no arm can notice."""
_SCL_CLEAR, _SCL_CLOUD = 4, 9


@dataclass(frozen=True)
class Archive:
    """Where an archive is, and what is in it."""

    items_path: Path
    outline: dict[str, Any]
    """All of it as a polygon in EPSG:4326."""
    side_px: int
    n_scenes: int
    stored_bytes: int


def make_archive(
    folder: Path, *, side_px: int, n_scenes: int, compress: str = "deflate"
) -> Archive:
    """Write ``n_scenes`` scenes spread over a year, the same for the same arguments."""
    rng = np.random.default_rng(SEED)
    shape = (min(STRIP_PX, side_px), side_px)
    base = np.stack([_draw_field(rng, shape, 4, 0.5) * rng.uniform(600, 3000) for _ in BANDS])
    dates = [_format_date(i, n_scenes) for i in range(n_scenes)]
    seeds = rng.integers(0, 2**32, n_scenes)
    features = []
    with ThreadPoolExecutor(2) as pool:
        for date, seed in zip(dates, seeds, strict=True):
            scene, scl = _draw_scene(np.random.default_rng(seed), base)
            folder_of_scene = folder / date
            folder_of_scene.mkdir(parents=True)
            layers = [*zip(ASSET_NAMES, scene, strict=True), ("scl", scl)]
            list(
                pool.map(
                    lambda layer, to=folder_of_scene: _write_raster(
                        to / f"{layer[0]}.tif", layer[1], side_px, compress
                    ),
                    layers,
                )
            )
            features.append(_describe_item(date, side_px))
    items_path = folder / "items.json"
    items_path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return Archive(
        items_path=items_path,
        outline=_trace_outline(side_px),
        side_px=side_px,
        n_scenes=n_scenes,
        stored_bytes=sum(path.stat().st_size for path in folder.rglob("*.tif")),
    )


def _draw_field(
    rng: np.random.Generator, shape: tuple[int, int], sigma: float, spread: float
) -> NDArray[np.float32]:
    field = gaussian_filter(rng.normal(size=shape).astype(np.float32), sigma, mode="wrap")
    return np.exp(spread * field / field.std()).astype(np.float32)


def _draw_scene(
    rng: np.random.Generator, base: NDArray[np.float32]
) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    shape = base.shape[1:]
    scene = base * _draw_field(rng, shape, 2, 0.12)
    scene += rng.normal(0, NOISE_DN, base.shape).astype(np.float32)
    field = gaussian_filter(rng.normal(size=shape).astype(np.float32), 12, mode="wrap")
    # The patches' own share is what is left of a third when their edges have been grown.
    grown = maximum_filter(field, size=2 * DILATE_PX + 1, mode="wrap")
    cloud = field > np.quantile(grown, 1 - MASKED_SHARE)
    bright = rng.uniform(4000, 9000, shape).astype(np.float32)
    scene[:, cloud] = bright[cloud]
    dn = np.rint(np.clip(scene, 1, 20_000)).astype(np.uint16)
    return dn, np.where(cloud, _SCL_CLOUD, _SCL_CLEAR).astype(np.uint8)


def _write_raster(path: Path, strip: NDArray[Any], side_px: int, compress: str) -> None:
    profile = {
        "driver": "GTiff",
        "count": 1,
        "height": side_px,
        "width": side_px,
        "dtype": strip.dtype.name,
        "crs": CRS,
        "transform": Affine(PIXEL_M, 0, ORIGIN[0], 0, -PIXEL_M, ORIGIN[1]),
        "nodata": 0,
        "tiled": True,
        "blockxsize": BLOCK_PX,
        "blockysize": BLOCK_PX,
        "compress": compress,
        "predictor": 2,
    }
    with rasterio.open(path, "w", **profile) as file:
        for row in range(0, side_px, len(strip)):
            file.write(strip, 1, window=((row, row + len(strip)), (0, side_px)))


def _format_date(number: int, n_scenes: int) -> str:
    day = np.datetime64("2021-01-06") + np.timedelta64(round(number * 360 / n_scenes), "D")
    return str(day)


def _trace_outline(side_px: int) -> dict[str, Any]:
    """Return the scenes' outline grown by half a pixel, so that no pixel's centre is outside."""
    west, north = ORIGIN[0] - PIXEL_M / 2, ORIGIN[1] + PIXEL_M / 2
    edge = np.linspace(0, (side_px + 1) * PIXEL_M, 33)
    ring = [
        *[(west + d, north) for d in edge],
        *[(west + edge[-1], north - d) for d in edge[1:]],
        *[(west + edge[-1] - d, north - edge[-1]) for d in edge[1:]],
        *[(west, north - edge[-1] + d) for d in edge[1:]],
    ]
    to_lonlat = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True)
    return {"type": "Polygon", "coordinates": [[list(to_lonlat.transform(*p)) for p in ring]]}


def _describe_item(date: str, side_px: int) -> dict[str, Any]:
    lons, lats = zip(*_trace_outline(side_px)["coordinates"][0], strict=True)
    assets: dict[str, Any] = {}
    for name in (*ASSET_NAMES, "scl"):
        band = {"data_type": "uint8" if name == "scl" else "uint16", "nodata": 0}
        if name != "scl":
            band |= {"scale": 1e-4, "offset": 0.0}
        assets[name] = {
            "href": f"./{date}/{name}.tif",
            "type": "image/tiff; application=geotiff",
            "roles": ["data"],
            "raster:bands": [band],
        }
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [
            f"https://stac-extensions.github.io/{name}/schema.json"
            for name in ("projection/v1.1.0", "raster/v1.1.0")
        ],
        "id": f"textured-{date}",
        "collection": "sentinel-2-l2a",
        "bbox": [min(lons), min(lats), max(lons), max(lats)],
        "geometry": {
            "type": "Polygon",
            "coordinates": [
                [
                    [min(lons), min(lats)],
                    [max(lons), min(lats)],
                    [max(lons), max(lats)],
                    [min(lons), max(lats)],
                    [min(lons), min(lats)],
                ]
            ],
        },
        "properties": {
            "datetime": f"{date}T10:30:00Z",
            "platform": "sentinel-2a",
            "s2:processing_baseline": "02.14",
            "proj:code": CRS,
            "proj:epsg": int(CRS.removeprefix("EPSG:")),
            "proj:shape": [side_px, side_px],
            "proj:transform": [PIXEL_M, 0, ORIGIN[0], 0, -PIXEL_M, ORIGIN[1]],
        },
        "assets": assets,
        "links": [],
    }
