"""Keys: everything that determines a tile's result, and nothing else."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import rasterio
import xxhash

from geotransfer.core.grid import Grid, Tile
from geotransfer.core.identity import content_id
from geotransfer.core.region import Region
from geotransfer.core.scene import Asset, Scene
from geotransfer.core.spec import FeatureSpec
from geotransfer.errors import GeoTransferError, SceneUnreadable
from geotransfer.imagery.access import (
    find_access,
    is_http,
    is_remote,
    make_gdal_options,
    read_chunks,
    strip_secrets,
)
from geotransfer.imagery.composite import COMPOSITE_VERSION
from geotransfer.imagery.sensors import find_mask_rule

PREDICT_VERSION = 1
"""Grows when the same measured columns and model give another map."""

PARTS = ("inputs", "mask", "spec", "area", "processing", "model")
"""What a key is made of; a refresh names the parts that changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TileKeys:
    """Content ids of what determines one tile."""

    inputs: str
    """Pixels of every scene that touches the tile."""
    mask: str
    """Mask rules of those scenes' sensors."""
    spec: str
    area: str
    """Grid, tile and the region's outline."""
    processing: str
    """Versions of our code and of the libraries that change results."""
    model: str

    @property
    def feature_key(self) -> str:
        """Id of the tile's measured columns."""
        return content_id([self.inputs, self.mask, self.spec, self.area, self.processing])

    @property
    def map_key(self) -> str:
        """Id of the tile's map."""
        return content_id([self.feature_key, self.model, PREDICT_VERSION])


@lru_cache(maxsize=1)
def list_library_versions() -> Mapping[str, str]:
    """Return the libraries whose version can change a result."""
    names = ("numpy", "numba", "scipy", "lightgbm", "odc-stac", "odc-loader")
    versions = {name: importlib.metadata.version(name) for name in names}
    return {**versions, "gdal": rasterio.__gdal_version__}


def hash_file(href: str) -> str:
    """Return a hash of a file's bytes; of its decoded pixels where only GDAL reaches it.

    Raises
    ------
    SceneUnreadable
        The file cannot be opened.
    """
    digest = xxhash.xxh3_128()
    try:
        if is_remote(href) and not is_http(href):
            return _hash_pixels(href, digest)
        for chunk in read_chunks(href, find_access()):
            digest.update(chunk)
    except (GeoTransferError, rasterio.errors.RasterioError, OSError) as error:
        told = strip_secrets(str(error)).rstrip(".").partition("; ")[0]
        raise SceneUnreadable(
            f"{Path(href).name}: {href} cannot be read ({told}); restore the file, then refresh"
            " again."
        ) from None
    return f"xxh3:{digest.hexdigest()}"


def _hash_pixels(href: str, digest: xxhash.xxh3_128) -> str:
    """Hash the pixels of a file in an object store: its bytes are not at hand there."""
    access = find_access()
    with rasterio.Env(**make_gdal_options(access)), rasterio.open(href) as file:
        digest.update(f"{file.crs}{tuple(file.transform)}{file.shape}{file.dtypes}".encode())
        for band in range(1, file.count + 1):
            for _, window in file.block_windows(band):
                digest.update(file.read(band, window=window).tobytes())
    return f"pixels-xxh3:{digest.hexdigest()}"


def fingerprint_asset(asset: Asset) -> str:
    """Return what identifies an asset's bytes: the catalog's checksum, else a hash of the file.

    Dates, sizes and ETags are never trusted.
    """
    return asset.checksum or hash_file(asset.href)


def fingerprint_scene(scene: Scene, bands: Sequence[str]) -> str:
    """Return the id of everything of a scene that reaches a composite of ``bands``.

    Raises
    ------
    SceneUnreadable
        A file without a checksum cannot be opened.
    """
    try:
        parts = [
            [a.name, fingerprint_asset(a), a.band, a.scale, a.offset, a.nodata]
            for a in sorted(scene.assets, key=lambda a: a.name)
            if a.name in bands or a.is_mask
        ]
    except SceneUnreadable as error:
        raise SceneUnreadable(f"item {scene.scene_id}: {error}", scene.scene_id) from None
    place = [scene.crs, scene.transform, scene.shape]
    return content_id([scene.sensed_at, scene.sensor, place, parts])


def list_mask_rules(scenes: Sequence[Scene]) -> Sequence[object]:
    """Return each mask rule in use, once."""
    rules: dict[str, object] = {}
    for scene in scenes:
        for asset in scene.assets:
            if asset.is_mask:
                name = asset.name.removeprefix("mask:")
                rules[f"{scene.sensor}/{name}"] = find_mask_rule(scene, name)
    return sorted(rules.items())


def identify_inputs(fingerprints: Sequence[str]) -> str:
    """Return the id of what reaches a tile, by the fingerprints of its scenes and layers."""
    return content_id(sorted(fingerprints))


def identify_area(grid: Grid, tile: Tile, region: Region) -> str:
    """Return the id of a tile's pixels."""
    return content_id([grid, tile, region.outline])


def make_keys(
    *,
    fingerprints: Sequence[str],
    mask_rules: Sequence[object],
    spec: FeatureSpec,
    region: Region,
    grid: Grid,
    tile: Tile,
    model_id: str,
    libraries: Mapping[str, str],
) -> TileKeys:
    """Make the keys of one tile; ``fingerprints`` are those of the scenes that touch it."""
    return TileKeys(
        inputs=identify_inputs(fingerprints),
        mask=content_id(list(mask_rules)),
        spec=content_id([spec.periods, spec.measured, *filter(None, [spec.gap_filling])]),
        area=identify_area(grid, tile, region),
        processing=content_id([COMPOSITE_VERSION, dict(libraries)]),
        model=content_id([model_id, spec.derived]),
    )
