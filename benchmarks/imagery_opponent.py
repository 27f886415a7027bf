"""The same job written plainly: odc-stac, ``geomad``, xarray and ``Booster.predict``.

What a careful analyst would write, and tuned until nothing more was found: blocks that are the
files' own blocks, each read once by ``odc.stac.load``; a pool of threads over blocks, which beat
Dask arrays (no graph) and beat parallelism inside each step (no waiting between them); float32 at
once in ``geomad``'s own axis order; its pre-checked entry points; rows in the order LightGBM likes;
results written to one raster a kind while the next blocks are read, then copied to COGs by GDAL.
The formulas of the feature spec are the product's own functions, so the opponent is not slower for
our arithmetic. It writes the three rasters of a map; the product also keeps every measured column,
per-tile statistics and two composites to look at, and is timed with them.
"""

from __future__ import annotations

import json
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

import geomad
import lightgbm
import numpy as np
import odc.stac
import pystac
import rasterio
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox, GeoboxTiles
from rasterio.shutil import copy as copy_raster
from scipy.ndimage import maximum_filter

from benchmarks.imagery_archive import BLOCK_PX, DILATE_PX, Archive
from geotransfer.core.spec import FeatureSpec
from geotransfer.imagery.features import derive_features, evaluate_column
from geotransfer.testing.items import ASSET_NAMES
from geotransfer.transfer.model import Model

SCALE = np.float32(1e-4)
BAD_CLASSES = (0, 1, 3, 8, 9, 10, 11)
EPS = 1e-4
"""Tolerance of the geometric median: ``geomad``'s default."""
RASTERS = {"class": ("uint8", 255), "probability": ("uint16", 65535), "observations": ("uint16", 0)}


def run_plainly(
    archive: Archive, model: Model, folder: Path, *, geobox: GeoBox, n_threads: int
) -> None:
    """Read, composite, derive, predict and write three COGs into ``folder``."""
    items = [
        pystac.Item.from_dict(item)
        for item in json.loads(archive.items_path.read_text())["features"]
    ]
    for item in items:
        item.set_self_href(str(archive.items_path))
        item.make_asset_hrefs_absolute()
    blocks = GeoboxTiles(geobox, (BLOCK_PX, BLOCK_PX))
    windows = [(row, col) for row in range(blocks.shape[0]) for col in range(blocks.shape[1])]
    booster = lightgbm.Booster(model_str=model.scores.trees[0].text)
    drafts = {name: folder / f"{name}.draft.tif" for name in RASTERS}
    folder.mkdir(parents=True, exist_ok=True)
    files = {name: _open_draft(path, geobox, *RASTERS[name]) for name, path in drafts.items()}
    lock = Lock()

    def work(index: tuple[int, int]) -> None:
        layers = _map_block(items, blocks[index], model, booster)
        window = rasterio.windows.Window(
            index[1] * BLOCK_PX, index[0] * BLOCK_PX, *layers["class"].shape[::-1]
        )
        with lock:
            for name, file in files.items():
                file.write(layers[name], 1, window=window)

    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(work, windows))
    for file in files.values():
        file.close()

    def copy(name: str) -> None:
        copy_raster(
            drafts[name], folder / f"{name}.tif", driver="COG", compress="deflate", level=1,
            predictor="yes" if name == "probability" else "no", blocksize=256,
            overview_resampling="average" if name == "probability" else "nearest",
        )  # fmt: skip
        drafts[name].unlink()

    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(copy, drafts))


def _open_draft(path: Path, geobox: GeoBox, dtype: str, nodata: int) -> Any:
    return rasterio.open(
        path, "w", driver="GTiff", count=1, height=geobox.shape[0], width=geobox.shape[1],
        dtype=dtype, crs=str(geobox.crs), transform=geobox.affine, nodata=nodata, tiled=True,
        blockxsize=BLOCK_PX, blockysize=BLOCK_PX,
    )  # fmt: skip


def _map_block(
    items: list[pystac.Item], geobox: GeoBox, model: Model, booster: lightgbm.Booster
) -> dict[str, NDArray[Any]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cube = odc.stac.load(items, bands=list(ASSET_NAMES), geobox=geobox, fail_on_error=True)
        flags = odc.stac.load(
            items, bands=["scl"], geobox=geobox.pad(DILATE_PX), fail_on_error=True
        )["scl"]
    bad = np.isin(flags.values, BAD_CLASSES)
    # Beyond the scene there is no cloud to grow from; nodata of the padding is class 0.
    bad &= flags.values != 0
    size = (1, 2 * DILATE_PX + 1, 2 * DILATE_PX + 1)
    inner = slice(DILATE_PX, -DILATE_PX)
    valid = xr.DataArray(~maximum_filter(bad, size=size)[:, inner, inner], dims=cube["red"].dims)
    spec = model.spec
    by_name: dict[str, NDArray[np.float32]] = {}
    observations = np.zeros(geobox.shape, np.uint16)
    for period in spec.periods:
        steps = np.isin(cube.time.dt.month, period.months)
        clear = valid.values[steps]
        observations += clear.sum(axis=0, dtype=np.uint16)
        floats = np.empty((*geobox.shape, len(ASSET_NAMES), int(steps.sum())), np.float32)
        for number, name in enumerate(ASSET_NAMES):
            dn = cube[name].values[steps]
            reflectance = np.where(clear & (dn != 0), dn * SCALE, np.float32(np.nan))
            floats[:, :, number, :] = reflectance.transpose(1, 2, 0)
        by_name |= _compose(floats, period.name, spec)
    for column in spec.measured:
        if column.formula:
            by_name[column.name] = evaluate_column(column, by_name)
    measured = np.stack([by_name[name].ravel() for name in spec.measured_names])
    features = derive_features(spec, measured)
    known = np.isfinite(features).all(axis=0)
    raw = booster.predict(np.ascontiguousarray(features.T), raw_score=True, num_threads=1)
    latent = model.scores.slopes[0] * np.asarray(raw) + model.scores.intercepts[0]
    probability = 1 / (1 + np.exp(-latent))
    return {
        "class": np.where(known, probability > 0.5, 255).astype(np.uint8).reshape(geobox.shape),
        "probability": np.where(known, np.rint(probability * 1e4), 65535)
        .astype(np.uint16)
        .reshape(geobox.shape),
        "observations": observations,
    }


def _compose(
    floats: NDArray[np.float32], period: str, spec: FeatureSpec
) -> dict[str, NDArray[np.float32]]:
    """Return the median's bands and −ln of the three deviations, each (y, x), by column name."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        median = geomad.nangeomedian_pcm(floats, eps=EPS, num_threads=1, nocheck=True)
        deviations = {
            "edev": geomad.emad_pcm(floats, median, num_threads=1),
            "sdev": geomad.smad_pcm(floats, median, num_threads=1),
            "bcdev": geomad.bcmad_pcm(floats, median, num_threads=1),
        }
    layers = {}
    for column in spec.measured:
        if column.period == period and column.statistic == "geomedian":
            layers[column.name] = median[:, :, spec.bands.index(column.band)]
        elif column.period == period and column.statistic in deviations:
            raw = np.maximum(deviations[column.statistic], np.float32(1e-9))
            layers[column.name] = -np.log(raw)
    return layers
