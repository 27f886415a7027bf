"""STAC items become scenes: bands, scale, offset and place as the catalog states them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urljoin

from geotransfer.core.identity import canonical_json
from geotransfer.core.scene import Asset, Scene
from geotransfer.errors import ScaleMixed, SceneInvalid
from geotransfer.imagery.access import (
    is_http,
    is_remote,
    locate_file,
    strip_item_secrets,
    strip_secrets,
)
from geotransfer.imagery.sensors import SENSORS, MaskRule, Sensor, find_sensor

OFFSET_BASELINE = 4.0
"""From this Sentinel-2 processing baseline on, digital numbers carry +1000."""

WIDEST_SCENE_DEG = 180.0
"""A scene that spans more degrees of longitude crosses the antimeridian."""


def parse_item(item: Mapping[str, Any], location: str, *, sensors: Sequence[Sensor] = ()) -> Scene:
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
    try:
        datetime.fromisoformat(str(sensed_at))
    except ValueError:
        raise SceneInvalid(
            f"{location}: item {scene_id} has the datetime {sensed_at!r}; write it in ISO 8601."
        ) from None
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
    place = _find_place(item, sensor)
    return Scene(
        scene_id=scene_id,
        sensed_at=str(sensed_at),
        sensor=sensor.name,
        bounds=_find_bounds(item),
        assets=assets,
        crs=_find_crs(place),
        transform=_find_transform(place),
        shape=_find_shape(place),
        processing_baseline=str(properties.get("s2:processing_baseline") or ""),
        item=canonical_json(strip_item_secrets(item)).decode(),
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
    names = [a.name.removeprefix("mask:") for a in assets if a.is_mask]
    return sensor.masks[names[0]] if names else None


def _find_bounds(item: Mapping[str, Any]) -> tuple[float, float, float, float]:
    """Return west, south, east, north; west is greater than east across the antimeridian.

    Many catalogs give a scene there the bbox of the whole globe; its outline tells better.
    """
    bounds = [float(value) for value in item["bbox"]]
    west, south, east, north = bounds if len(bounds) == 4 else (*bounds[:2], *bounds[3:5])
    if east - west > WIDEST_SCENE_DEG:
        longitudes = list(_list_longitudes((item.get("geometry") or {}).get("coordinates") or []))
        from_east = [x for x in longitudes if x > 0]
        from_west = [x for x in longitudes if x <= 0]
        if from_east and from_west and max(from_west) - min(from_east) + 360 < WIDEST_SCENE_DEG:
            return min(from_east), south, max(from_west), north
    return west, south, east, north


def _list_longitudes(part: Any) -> Iterator[float]:
    if isinstance(part, list) and part and isinstance(part[0], int | float):
        yield float(part[0])
    elif isinstance(part, list):
        for inner in part:
            yield from _list_longitudes(inner)


def _find_place(item: Mapping[str, Any], sensor: Sensor) -> Mapping[str, Any]:
    """Return where CRS, transform and shape are stated: by the item, else by its finest band."""
    properties: Mapping[str, Any] = item["properties"]
    if properties.get("proj:transform") and properties.get("proj:shape"):
        return properties
    stated = [
        asset
        for name, asset in item["assets"].items()
        if name in sensor.bands and asset.get("proj:transform") and asset.get("proj:shape")
    ]
    if not stated:
        return properties
    finest = min(stated, key=lambda asset: abs(float(asset["proj:transform"][0])))
    return {**properties, **{k: v for k, v in finest.items() if k.startswith("proj:")}}


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
    """Return an absolute path or URL, without any key or signature in it."""
    if is_http(location) and href.startswith(("file:", "/vsi")):
        raise SceneInvalid(
            f"{strip_secrets(location)}: an asset leads to {strip_secrets(href)} on this machine;"
            " correct the item."
        )
    if href.startswith("file://"):
        return str(locate_file(href))
    if "://" in href or href.startswith("/vsi"):
        return strip_secrets(href)
    if is_http(location):
        return strip_secrets(urljoin(location, href))
    if is_remote(location):
        return f"{location.rsplit('/', 1)[0]}/{href.removeprefix('./')}"
    return str((locate_file(location).absolute().parent / href).resolve())


def _check_scales(assets: Sequence[Asset], sensor: Sensor, scene_id: str, location: str) -> None:
    scales: dict[tuple[float, float], list[str]] = {}
    for asset in assets:
        if asset.is_mask or asset.name == "ndvi":
            continue
        scales.setdefault((asset.scale, asset.offset), []).append(asset.name)
    if len(scales) > 1:
        told = "; ".join(f"{', '.join(v)}: {k[0]:g}, {k[1]:g}" for k, v in scales.items())
        raise ScaleMixed(
            f"{location}: item {scene_id} mixes scale and offset between its bands ({told});"
            " correct raster:bands in the item."
        )
