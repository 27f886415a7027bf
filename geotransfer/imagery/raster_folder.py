"""A plain folder of GeoTIFFs becomes scenes by its description; only headers are read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import rasterio
from rasterio.warp import transform_bounds

from geotransfer.core.definition import refuse
from geotransfer.core.exclusion import Exclusion, ExclusionReason
from geotransfer.core.scene import Asset, Scene
from geotransfer.errors import NotFound
from geotransfer.imagery.areas import find_middle_longitude
from geotransfer.imagery.folder_description import DIGITS, FolderDescription, read_description

DRIVERS = {".tif": "GTiff", ".tiff": "GTiff", ".jp2": "JP2OpenJPEG"}
"""By suffix; a raster that points at other files is not read, whatever it is called."""
MAX_FILES = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderScenes:
    """What a folder holds."""

    scenes: tuple[Scene, ...]
    exclusions: tuple[Exclusion, ...]
    passed_over: Mapping[str, int]
    """Files that are no part of a scene, by reason."""


def read_folder(path: Path) -> FolderScenes:
    """Return the scenes that a description file and the files beside it tell.

    Raises
    ------
    DefinitionInvalid, NotFound
        The description cannot be used, or fits no file.
    """
    description = read_description(path)
    folder = path.absolute().parent
    passed_over: Counter[str] = Counter()
    groups: dict[tuple[str, str], dict[str, Path]] = {}
    for number, file in enumerate(sorted(folder.rglob("*"))):
        if number > MAX_FILES:
            raise refuse(str(path), f"more than {MAX_FILES:,} files", "describe a part of them")
        if file.suffix.lower() not in DRIVERS or not file.is_file():
            continue
        relative = file.relative_to(folder).as_posix()
        told = relative if description.is_by_path else file.name
        found = description.pattern.fullmatch(told)
        sensed_at = _read_time(found) if found else None
        if found is None or sensed_at is None:
            passed_over["file name does not fit the pattern"] += 1
            continue
        parts = found.groupdict()
        words = [v for k, v in sorted(parts.items()) if k not in DIGITS and k != "band"]
        members = groups.setdefault((sensed_at, "-".join(words)), {})
        key = parts.get("band", "")
        if key in members:
            raise refuse(
                str(path),
                f"{members[key].name} and {file.name} are of the same date and band",
                "add a placeholder that tells them apart, as {tile}",
            )
        members[key] = file
    if not groups:
        raise NotFound(
            f"{path}: no file in {folder} fits 'files'; correct the pattern or the folder."
        )
    return _make_scenes(description, groups, passed_over)


def _read_time(found: re.Match[str]) -> str | None:
    """Return the time of a name: the hour is local noon (empty) where the name has none."""
    parts = {k: int(v) for k, v in found.groupdict().items() if k in DIGITS and v is not None}
    try:
        if "DOY" in parts:
            day = datetime(parts["YYYY"], 1, 1, tzinfo=UTC) + timedelta(days=parts["DOY"] - 1)
            if day.year != parts["YYYY"]:
                return None
        else:
            day = datetime(parts["YYYY"], parts["MM"], parts["DD"], tzinfo=UTC)
        if "hh" not in parts:
            return day.date().isoformat()
        moment = day.replace(hour=parts["hh"], minute=parts.get("mm", 0), second=parts.get("ss", 0))
    except ValueError:
        return None
    return moment.isoformat().replace("+00:00", "Z")


def _make_scenes(
    description: FolderDescription,
    groups: Mapping[tuple[str, str], Mapping[str, Path]],
    passed_over: Counter[str],
) -> FolderScenes:
    scenes: list[Scene] = []
    exclusions: list[Exclusion] = []
    for (sensed_at, words), members in sorted(groups.items()):
        scene_id = "-".join(part for part in (description.name, sensed_at, words) if part)
        try:
            scenes.append(_make_scene(description, scene_id, sensed_at, members))
        except rasterio.errors.RasterioError as error:
            exclusions.append(
                Exclusion(
                    scene_id=scene_id,
                    sensed_at=sensed_at,
                    reason=ExclusionReason.UNREADABLE,
                    detail=f"scene {scene_id}: {str(error).splitlines()[0]}; restore the file.",
                )
            )
        except _SceneFault as fault:
            exclusions.append(
                Exclusion(
                    scene_id=scene_id,
                    sensed_at=sensed_at,
                    reason=ExclusionReason.DESCRIPTION,
                    detail=f"scene {scene_id}: {fault}",
                )
            )
    return FolderScenes(
        scenes=tuple(scenes), exclusions=tuple(exclusions), passed_over=dict(passed_over)
    )


class _SceneFault(Exception):
    """A file of one scene contradicts the description."""


def _make_scene(
    description: FolderDescription, scene_id: str, sensed_at: str, members: Mapping[str, Path]
) -> Scene:
    assets: list[Asset] = []
    place: tuple[float, Scene] | None = None
    for key, file in members.items():
        with rasterio.open(file, driver=DRIVERS[file.suffix.lower()]) as raster:
            if raster.crs is None:
                raise _SceneFault(f"{file} states no CRS; assign one.")
            made = _make_assets(description, key, file, raster)
            assets += made
            size = abs(raster.transform.a) + abs(raster.transform.d)
            if made and (place is None or size < place[0]):
                place = size, _place_scene(description, scene_id, sensed_at, raster)
    if place is None:
        raise _SceneFault("it has no file of a band; correct 'bands'.")
    order = [*description.bands.values(), "mask:folder"]
    return replace(place[1], assets=tuple(sorted(assets, key=lambda a: order.index(a.name))))


def _make_assets(description: FolderDescription, key: str, file: Path, raster: Any) -> list[Asset]:
    mask = description.mask_key
    if mask and key == mask:
        return [Asset(name="mask:folder", href=str(file), size_bytes=file.stat().st_size)]
    named = description.bands.items() if description.is_multi_band else [(key, "")]
    made = []
    for number_or_word, ours in named:
        number = int(number_or_word) if description.is_multi_band else 1
        if number > raster.count:
            # The band is missing, which is said by the check against the region's spec.
            continue
        made.append(
            Asset(
                name=ours or description.bands[key],
                href=str(file),
                band=number,
                scale=_find_scale(description, file, raster, number),
                offset=raster.offsets[number - 1]
                if description.offset is None
                else description.offset,
                nodata=_find_nodata(description, file, raster, number),
                size_bytes=file.stat().st_size if number_or_word == next(iter(named))[0] else 0,
            )
        )
    if mask.isdigit():
        if int(mask) > raster.count:
            raise _SceneFault(f"{file} has {raster.count} bands, the mask is band {mask}.")
        made.append(Asset(name="mask:folder", href=str(file), band=int(mask), size_bytes=0))
    return made


def _find_scale(description: FolderDescription, file: Path, raster: Any, number: int) -> float:
    if description.scale is not None:
        return description.scale
    stated = float(raster.scales[number - 1])
    if stated == 1.0 and raster.dtypes[number - 1] not in ("float32", "float64"):
        raise _SceneFault(
            f"{file} holds whole numbers and states no scale; write scale: 0.0001 (or scale: 1) in"
            f" {description.path.name}."
        )
    return stated


def _find_nodata(
    description: FolderDescription, file: Path, raster: Any, number: int
) -> float | None:
    if description.has_nodata:
        return description.nodata
    stated = raster.nodatavals[number - 1]
    if stated is None and raster.dtypes[number - 1] not in ("float32", "float64"):
        raise _SceneFault(
            f"{file} states no nodata; write nodata: 0 in {description.path.name}, or nodata: none"
            " where every pixel is a measurement."
        )
    return None if stated is None or stated != stated else float(stated)


def _place_scene(
    description: FolderDescription, scene_id: str, sensed_at: str, raster: Any
) -> Scene:
    west, south, east, north = transform_bounds(raster.crs, "EPSG:4326", *raster.bounds)
    a, b, c, d, e, f = tuple(raster.transform)[:6]
    return Scene(
        scene_id=scene_id,
        sensed_at=sensed_at if "T" in sensed_at else _make_noon(sensed_at, west, east),
        sensor=description.sensor,
        bounds=(west, south, east, north),
        assets=(),
        crs=raster.crs.to_string(),
        transform=(a, b, c, d, e, f),
        shape=(raster.height, raster.width),
        mask_rule=description.mask_rule,
    )


def _make_noon(day: str, west: float, east: float) -> str:
    """Return the UTC time of local solar noon on a day, kept within that day."""
    hour = min(max(12 - find_middle_longitude(west, east) / 15, 0.0), 23.999)
    moment = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(hours=hour)
    return moment.replace(microsecond=0).isoformat().replace("+00:00", "Z")
