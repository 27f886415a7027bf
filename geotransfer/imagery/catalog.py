"""Catalogs: descriptions in files, folders and STAC APIs become scenes. Pixels are never read.

What cannot be used is never dropped in silence: it is an exclusion with a sentence, or is counted
under the reason why it was passed over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geotransfer.core.exclusion import Exclusion, ExclusionReason
from geotransfer.core.scene import Scene
from geotransfer.errors import (
    BandMissing,
    GeoTransferError,
    InputError,
    NotFound,
    ScaleMixed,
    SceneInvalid,
    SceneUnreadable,
)
from geotransfer.imagery.access import DIRECT, Access, is_remote, read_document, strip_secrets
from geotransfer.imagery.folder_description import find_description
from geotransfer.imagery.raster_folder import read_folder
from geotransfer.imagery.scene_query import Query, Sieve
from geotransfer.imagery.scene_sizes import list_needed
from geotransfer.imagery.sensors import Sensor
from geotransfer.imagery.stac_items import parse_item
from geotransfer.imagery.stac_search import is_api, search_items, walk_catalog

Origin = tuple[Mapping[str, Any], str]
"""A STAC item and the address it was read from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What a catalog holds for a query."""

    scenes: tuple[Scene, ...]
    """By date and id."""
    exclusions: tuple[Exclusion, ...]
    passed_over: Mapping[str, int]
    """Items that were not asked for, by reason."""


def read_catalog(location: str, *, sensors: Sequence[Sensor] = ()) -> list[Scene]:
    """Read every scene of a catalog, or none: the first faulty description raises.

    Raises
    ------
    NotFound
        Nothing is there.
    SceneInvalid, SceneUnreadable
        A description is incomplete or contradicts itself.
    """
    survey = survey_catalog(location, sensors=sensors)
    for exclusion in survey.exclusions:
        if exclusion.reason is ExclusionReason.UNREADABLE:
            raise SceneUnreadable(exclusion.detail)
        raise SceneInvalid(exclusion.detail)
    return list(survey.scenes)


def survey_catalog(
    location: str,
    *,
    query: Query | None = None,
    sensors: Sequence[Sensor] = (),
    access: Access = DIRECT,
) -> Survey:
    """Look through a catalog for scenes.

    Parameters
    ----------
    location
        A STAC API, a static STAC catalog, an item, an item collection, a folder of items, or a
        folder of GeoTIFFs (or its description file, YAML).
    sensors
        A workspace's own rows; they come before the shipped ones.

    Raises
    ------
    NotFound
        Nothing is there.
    InputError, SceneUnreadable
        The catalog as a whole cannot be used.
    """
    if strip_secrets(location) != location:
        raise InputError(
            f"{strip_secrets(location)}: the catalog's address carries a key; leave it out, put the"
            " key into an environment variable and name that in the file of signers"
            " (GEOTRANSFER_SIGNERS)."
        )
    sieve = Sieve(query or Query())
    description = None if is_remote(location) else find_description(Path(location))
    if description is not None:
        folder = read_folder(description)
        found = [s for s in folder.scenes if _admits(sieve, s)]
        passed_over = sieve.passed_over + Counter(folder.passed_over)
        return _make_survey(found, folder.exclusions, passed_over)
    origins = _list_origins(location, query or Query(), access)
    found, exclusions = _parse_items(origins, sieve, sensors)
    if not found and not exclusions and not sieve.passed_over:
        raise NotFound(
            f"{location}: no STAC item in it; give a STAC API, a catalog, an item collection or an"
            " item."
        )
    return _make_survey(found, exclusions, sieve.passed_over)


def _admits(sieve: Sieve, scene: Scene) -> bool:
    return sieve.admits_date(scene.sensed_at) and sieve.admits_place(scene.bounds)


def _make_survey(
    scenes: Iterable[Scene], exclusions: Iterable[Exclusion], counts: Mapping[str, int]
) -> Survey:
    return Survey(
        scenes=tuple(sorted(scenes, key=lambda scene: (scene.sensed_at, scene.scene_id))),
        exclusions=tuple(sorted(exclusions, key=lambda e: (e.sensed_at, e.scene_id))),
        passed_over=dict(sorted(counts.items())),
    )


def _parse_items(
    origins: Iterable[Origin], sieve: Sieve, sensors: Sequence[Sensor]
) -> tuple[list[Scene], list[Exclusion]]:
    scenes: dict[str, tuple[str, Scene]] = {}
    exclusions: dict[str, Exclusion] = {}
    for number, (item, where) in enumerate(origins, start=1):
        properties = item.get("properties")
        stated = properties if isinstance(properties, Mapping) else {}
        sensed_at = str(stated.get("datetime") or stated.get("start_datetime") or "")
        if not sieve.admits_date(sensed_at) or not sieve.admits_cloud(stated.get("eo:cloud_cover")):
            continue
        name = str(item.get("id") or f"number {number}")
        try:
            scene = _parse_guarded(item, where, sensors)
        except SceneInvalid as error:
            exclusions[name] = make_exclusion(name, error, sensed_at=sensed_at)
            continue
        if not sieve.admits_place(scene.bounds):
            continue
        updated = str(stated.get("updated") or stated.get("created") or "")
        if name in scenes:
            sieve.passed_over["described twice; the newest is used"] += 1
        if updated >= scenes.get(name, ("", scene))[0]:
            scenes[name] = (updated, scene)
    return [scene for _, scene in scenes.values()], list(exclusions.values())


def _parse_guarded(item: Mapping[str, Any], where: str, sensors: Sequence[Sensor]) -> Scene:
    try:
        return parse_item(item, where, sensors=sensors)
    except (TypeError, ValueError, KeyError, AttributeError, IndexError) as error:
        # A property of a type STAC does not allow; which one, the error says.
        raise SceneInvalid(
            f"{where}: item {item.get('id')} is not a STAC item ({error}); correct it."
        ) from None


def _list_origins(location: str, query: Query, access: Access) -> Iterator[Origin]:
    if not is_remote(location) and Path(location).is_dir():
        root = Path(location) / "catalog.json"
        if root.is_file():
            yield from _list_origins(str(root), query, access)
            return
        files = sorted(p for p in Path(location).rglob("*.json") if p.name != "workspace.json")
        if not files:
            raise NotFound(
                f"{location}: the folder holds no STAC item (*.json) and no description of its"
                " GeoTIFFs (scenes.yaml); give a folder of items, or describe the files."
            )
        for file in files:
            yield from _split_document(read_document(str(file), access), str(file))
        return
    document = read_document(location, access)
    if is_api(document):
        for item in search_items(location, document, query, access):
            yield item, location
    elif isinstance(document, dict) and document.get("type") in ("Catalog", "Collection"):
        yield from walk_catalog(location, document, access)
    else:
        yield from _split_document(document, location)


def _split_document(document: Any, location: str) -> Iterator[Origin]:
    if not isinstance(document, dict):
        return
    if document.get("type") == "FeatureCollection":
        features = document.get("features")
        for item in features if isinstance(features, list) else []:
            if isinstance(item, dict):
                yield item, location
    elif document.get("type") == "Feature":
        yield document, location


def check_bands(scenes: Sequence[Scene], bands: Sequence[str], *, spec_name: str) -> None:
    """Raise ``BandMissing`` unless every scene has every band, naming the first that lacks one."""
    for scene in scenes:
        for band in bands:
            if scene.find_asset(band) is None:
                found = ", ".join(asset.name for asset in scene.assets)
                raise BandMissing(
                    f"item {scene.scene_id}: band {band!r} is missing, spec {spec_name!r} needs it"
                    f" (found: {found}); add the asset, or choose another spec."
                )


def check_files(scenes: Sequence[Scene], bands: Sequence[str]) -> None:
    """Raise ``SceneUnreadable`` for the first local file that does not exist."""
    for scene in scenes:
        for asset in list_needed(scene, bands):
            if not is_remote(asset.href) and not Path(asset.href).exists():
                raise SceneUnreadable(
                    f"item {scene.scene_id}: file {asset.href} of band {asset.name!r} does not"
                    " exist; restore it or correct the item."
                )


def exclude_unusable(
    scenes: Sequence[Scene], bands: Sequence[str], *, spec_name: str
) -> tuple[list[Scene], list[Exclusion]]:
    """Part scenes into those with every band and local file, and the others with the reason."""
    usable: list[Scene] = []
    exclusions: list[Exclusion] = []
    for scene in scenes:
        try:
            check_bands([scene], bands, spec_name=spec_name)
            check_files([scene], bands)
        except GeoTransferError as error:
            exclusions.append(make_exclusion(scene.scene_id, error, sensed_at=scene.sensed_at))
        else:
            usable.append(scene)
    return usable, exclusions


_REASONS: Mapping[type[GeoTransferError], ExclusionReason] = {
    BandMissing: ExclusionReason.BAND,
    ScaleMixed: ExclusionReason.SCALE,
    SceneInvalid: ExclusionReason.DESCRIPTION,
    SceneUnreadable: ExclusionReason.UNREADABLE,
}


def make_exclusion(scene_id: str, error: GeoTransferError, *, sensed_at: str) -> Exclusion:
    """Return a scene's exclusion for the error that its use raised."""
    return Exclusion(
        scene_id=scene_id,
        sensed_at=sensed_at,
        reason=_REASONS.get(type(error), ExclusionReason.UNREADABLE),
        detail=strip_secrets(str(error)),
    )
