"""Catalogs: STAC items in files and folders become scenes. Reads descriptions, never pixels."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import fsspec

from geotransfer.core.identity import canonical_json
from geotransfer.core.scene import Asset, Scene
from geotransfer.errors import NotFound, SceneInvalid, SceneUnreadable
from geotransfer.imagery.sensors import SENSORS, MaskRule, Sensor, find_sensor

OFFSET_BASELINE = 4.0
"""From this Sentinel-2 processing baseline on, digital numbers carry +1000."""


def read_catalog(location: str, *, sensors: Sequence[Sensor] = ()) -> list[Scene]:
    """Read scenes from an item file, an item collection, or a folder of item files.

    Parameters
    ----------
    location
        Path or URL of a JSON file, or a folder.
    sensors
        A workspace's own rows; they come before the shipped ones.

    Raises
    ------
    NotFound
        Nothing is there.
    SceneInvalid
        A description is incomplete or contradicts itself.
    """
    path = Path(location)
    if path.is_dir():
        files = sorted(p for p in path.rglob("*.json") if p.name != "workspace.json")
        if not files:
            raise NotFound(
                f"{location}: the folder holds no STAC item (*.json); give a folder of items, or an"
                " item collection file."
            )
        scenes = [scene for file in files for scene in _read_document(str(file), sensors)]
    else:
        scenes = _read_document(location, sensors)
    if not scenes:
        raise NotFound(f"{location}: no STAC item in it; give an item or an item collection.")
    return sorted(scenes, key=lambda scene: (scene.sensed_at, scene.scene_id))


def _read_document(location: str, sensors: Sequence[Sensor]) -> list[Scene]:
    try:
        with fsspec.open(location, "rb") as file:
            document = json.loads(file.read())
    except FileNotFoundError:
        raise NotFound(f"{location}: there is no such file; check the path.") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise SceneInvalid(f"{location}: not JSON ({error}); give a STAC item file.") from None
    except OSError as error:
        raise SceneUnreadable(f"{location}: cannot be read ({error}); try again.") from error
    kind = document.get("type") if isinstance(document, dict) else None
    if kind == "FeatureCollection":
        items = document.get("features") or []
    elif kind == "Feature":
        items = [document]
    else:
        return []
    return [parse_item(item, location, sensors=sensors) for item in items]


def parse_item(
    item: Mapping[str, Any], location: str, *, sensors: Sequence[Sensor] = ()
) -> Scene:
    """Turn one STAC item into a scene.

    Parameters
    ----------
    item
        The item as JSON parts.
    location
        Path or URL it was read from; relative asset paths start there.
    sensors
        A workspace's own rows; they come before the shipped ones.
    """
    scene_id = str(item.get("id") or "")
    properties = item.get("properties") or {}
    if not scene_id or "assets" not in item:
        raise SceneInvalid(f"{location}: an item has no id or no assets; it is not a STAC item.")
    sensed_at = properties.get("datetime") or properties.get("start_datetime")
    if not sensed_at:
        raise SceneInvalid(f"{location}: item {scene_id} has no datetime; add one.")
    bounds = item.get("bbox")
    if not bounds:
        raise SceneInvalid(f"{location}: item {scene_id} has no bbox; add one in EPSG:4326.")
    sensor = find_sensor(
        str(item.get("collection") or ""), str(properties.get("platform") or ""), sensors
    )
    assets = tuple(
        _parse_asset(name, band, number, item, sensor, location)
        for name in item["assets"]
        for band, number in _match_bands(name, sensor)
    )
    if not assets:
        raise SceneInvalid(
            f"{location}: item {scene_id} has no band that sensor {sensor.name} knows; it has"
            f" {', '.join(sorted(item['assets'])) or 'none'}."
        )
    _check_scales(assets, sensor, scene_id, location)
    return Scene(
        scene_id=scene_id,
        sensed_at=str(sensed_at),
        sensor=sensor.name,
        bounds=(float(bounds[0]), float(bounds[1]), float(bounds[-2]), float(bounds[-1]))
        if len(bounds) == 4
        else (float(bounds[0]), float(bounds[1]), float(bounds[3]), float(bounds[4])),
        assets=assets,
        crs=_find_crs(properties),
        transform=_find_transform(properties),
        shape=_find_shape(properties),
        processing_baseline=str(properties.get("s2:processing_baseline") or ""),
        item=canonical_json(item).decode(),
        mask_rule=_find_own_rule(assets, sensor),
    )


def _match_bands(name: str, sensor: Sensor) -> list[tuple[str, int]]:
    """Return our name and the file's band for all that a sensor reads from one asset.

    A row may take several bands of one file, as ``asset:number``.
    """
    if name in sensor.masks:
        return [(name, 1)]
    found = [(sensor.bands[name], 1)] if name in sensor.bands else []
    for key, band in sensor.bands.items():
        asset, separator, number = key.rpartition(":")
        if separator and asset == name and number.isdigit():
            found.append((band, int(number)))
    return found


def _find_own_rule(assets: Sequence[Asset], sensor: Sensor) -> MaskRule | None:
    if sensor.name in SENSORS:
        return None
    names = [a.name.removeprefix("mask:") for a in assets if a.name.startswith("mask:")]
    return sensor.masks[names[0]] if names else None


def _find_crs(properties: Mapping[str, Any]) -> str | None:
    if properties.get("proj:code"):
        return str(properties["proj:code"])
    return f"EPSG:{properties['proj:epsg']}" if properties.get("proj:epsg") else None


def _find_transform(
    properties: Mapping[str, Any],
) -> tuple[float, float, float, float, float, float] | None:
    values = properties.get("proj:transform")
    if not values:
        return None
    a, b, c, d, e, f = (float(v) for v in values[:6])
    return (a, b, c, d, e, f)


def _find_shape(properties: Mapping[str, Any]) -> tuple[int, int] | None:
    values = properties.get("proj:shape")
    return (int(values[0]), int(values[1])) if values else None


def _parse_asset(
    name: str,
    band: str,
    number: int,
    item: Mapping[str, Any],
    sensor: Sensor,
    location: str,
) -> Asset:
    asset: Mapping[str, Any] = item["assets"][name]
    rasters = asset.get("raster:bands") or asset.get("bands") or [{}]
    raster = rasters[number - 1] if number <= len(rasters) else rasters[0]
    is_mask = name in sensor.masks

    def state(key: str) -> Any:
        return raster.get(key, raster.get(f"raster:{key}", asset.get(f"raster:{key}")))

    scale, offset, nodata = state("scale"), state("offset"), state("nodata")
    if offset is None and not is_mask:
        offset = _infer_offset(item, sensor)
    if nodata is None and not is_mask:
        nodata = sensor.nodata
    return Asset(
        name="mask:" + name if is_mask else band,
        href=_resolve_href(str(asset.get("href", "")), location),
        band=number,
        scale=1.0 if is_mask else float(sensor.scale if scale is None else scale),
        offset=0.0 if is_mask else float(offset or 0.0),
        nodata=_parse_nodata(nodata),
        checksum=str(asset.get("file:checksum") or ""),
        size_bytes=asset.get("file:size"),
    )


def _parse_nodata(value: Any) -> float | None:
    if value is None:
        return None
    number = float(value)
    return None if math.isnan(number) else number


def _infer_offset(item: Mapping[str, Any], sensor: Sensor) -> float:
    """Return the offset the processing baseline implies where the catalog states none."""
    properties = item.get("properties") or {}
    baseline = properties.get("s2:processing_baseline")
    if sensor.name != "sentinel-2-l2a" or baseline is None:
        return sensor.offset
    is_applied = bool(properties.get("earthsearch:boa_offset_applied", False))
    return -0.1 if float(baseline) >= OFFSET_BASELINE and not is_applied else 0.0


def _resolve_href(href: str, location: str) -> str:
    if urlparse(href).scheme in ("http", "https", "s3", "gs", "az", "file"):
        return href.removeprefix("file://")
    if "://" in location:
        base = location.rsplit("/", 1)[0]
        return f"{base}/{href.removeprefix('./')}"
    return str((Path(location).absolute().parent / href).resolve())


def _check_scales(assets: Sequence[Asset], sensor: Sensor, scene_id: str, location: str) -> None:
    scales: dict[tuple[float, float], list[str]] = {}
    for asset in assets:
        if asset.name.startswith("mask:") or asset.name == "ndvi":
            continue
        scales.setdefault((asset.scale, asset.offset), []).append(asset.name)
    if len(scales) > 1:
        told = "; ".join(f"{', '.join(v)}: {k[0]:g}, {k[1]:g}" for k, v in scales.items())
        raise SceneInvalid(
            f"{location}: item {scene_id} mixes scale and offset between its bands ({told});"
            " correct raster:bands in the item."
        )


def check_bands(scenes: Sequence[Scene], bands: Sequence[str], *, spec_name: str) -> None:
    """Raise ``SceneInvalid`` unless every scene has every band, naming the first that lacks one."""
    for scene in scenes:
        for band in bands:
            if scene.find_asset(band) is None:
                found = ", ".join(asset.name for asset in scene.assets)
                raise SceneInvalid(
                    f"item {scene.scene_id}: band {band!r} is missing, spec {spec_name!r} needs it"
                    f" (found: {found}); add the asset, or choose another spec."
                )


def check_files(scenes: Sequence[Scene], bands: Sequence[str]) -> None:
    """Raise ``SceneUnreadable`` for the first local file that does not exist."""
    for scene in scenes:
        for asset in scene.assets:
            wanted = asset.name in bands or asset.name.startswith("mask:")
            if wanted and "://" not in asset.href and not Path(asset.href).exists():
                raise SceneUnreadable(
                    f"item {scene.scene_id}: file {asset.href} of band {asset.name!r} does not"
                    " exist; restore it or correct the item."
                )
