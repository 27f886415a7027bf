"""Scenes: point a region at its catalog. What cannot be used is listed with its reason."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from geotransfer.core.exclusion import Exclusion, ExclusionReason
from geotransfer.core.fact import ScenesAdded
from geotransfer.core.identity import canonical_json
from geotransfer.core.period import parse_period
from geotransfer.core.pixel_check import PixelReport
from geotransfer.core.region import Region
from geotransfer.core.scene import Scene
from geotransfer.errors import GeoTransferError, SceneInvalid, SceneUnreadable
from geotransfer.imagery.access import Access, is_remote, make_access, strip_secrets
from geotransfer.imagery.catalog import (
    Survey,
    exclude_unusable,
    make_exclusion,
    survey_catalog,
)
from geotransfer.imagery.grids import choose_grid, complete_scene
from geotransfer.imagery.scene_query import Query
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.definitions import find_spec, list_own_sensors
from geotransfer.workflows.exclusions import make_exclusion_fact
from geotransfer.workflows.pixel_checks import check_pixels, make_check_fact, override_offset
from geotransfer.workflows.regions import find_region
from geotransfer.workflows.scene_list import list_scene_ids

N_OPENERS = 8
"""Files opened at a time where a catalog does not say what they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneSource:
    """A catalog and what is asked of it; kept with its scenes, so that it can be asked again."""

    location: str = ""
    """As of ``add_scenes``; empty: the scenes came from nowhere that could be asked."""
    period: str = ""
    """First and last day, as in ``2021-01/2021-12``; empty: every date."""
    max_cloud_percent: float | None = None
    collections: tuple[str, ...] = ()
    offset: float | None = None
    """Of every band, whatever the description says; None: as described."""


NOWHERE = SceneSource()
"""Of scenes that were given, not found."""


def read_source(fact: ScenesAdded) -> SceneSource:
    """Return where scenes came from, to ask there again."""
    return SceneSource(
        location=fact.location,
        period=fact.period,
        max_cloud_percent=fact.max_cloud_percent,
        collections=fact.collections,
        offset=fact.offset,
    )


def add_scenes(
    workspace: Workspace,
    region_id: str,
    location: str,
    *,
    actor: str,
    period: str = "",
    max_cloud_percent: float | None = None,
    collections: Sequence[str] = (),
    offset: float | None = None,
) -> ScenesAdded:
    """Add the scenes of a catalog to a region; a scene of a known id replaces the old one.

    Scenes that cannot be used are left out, each with its reason (``list_exclusions``).

    Parameters
    ----------
    location
        A STAC API, a static STAC catalog, an item, an item collection, a folder of items, or a
        folder of GeoTIFFs with its description.
    period
        First and last day, as in ``2021-01/2021-12``; empty: every date.
    offset
        Of every band, whatever the description says; pixels are then not asked about it.

    Raises
    ------
    InputError, SceneUnreadable
        The catalog cannot be read, or none of its scenes can be used; then nothing is added.
    """
    region = find_region(workspace, region_id)
    source = SceneSource(
        location=location,
        period=period,
        max_cloud_percent=max_cloud_percent,
        collections=tuple(collections),
        offset=offset,
    )
    survey = survey_region(workspace, region, source)
    return add_survey(workspace, region, survey, source=source, actor=actor)


def survey_region(workspace: Workspace, region: Region, source: SceneSource) -> Survey:
    """Look through a catalog for a region's scenes; only descriptions are read."""
    start, end = parse_period(source.period) if source.period else (None, None)
    query = Query(
        outline=region.outline,
        start=start,
        end=end,
        max_cloud_percent=source.max_cloud_percent,
        collections=source.collections,
    )
    survey = survey_catalog(
        source.location,
        query=query,
        sensors=list_own_sensors(workspace),
        access=make_access(workspace.settings),
    )
    if source.offset is None:
        return survey
    return replace(survey, scenes=tuple(override_offset(survey.scenes, source.offset)))


def add_survey(
    workspace: Workspace, region: Region, survey: Survey, *, source: SceneSource, actor: str
) -> ScenesAdded:
    """Add what a survey of a catalog found, as ``add_scenes`` does."""
    complete, exclusions, report = sort_out(workspace, region, survey, offset=source.offset)
    if not complete:
        raise _explain_nothing(region, source.location, exclusions, survey.passed_over)
    return record_scenes(
        workspace,
        region,
        complete,
        exclusions=exclusions,
        passed_over=survey.passed_over,
        source=source,
        report=report,
        actor=actor,
    )


def sort_out(
    workspace: Workspace, region: Region, survey: Survey, *, offset: float | None = None
) -> tuple[list[Scene], list[Exclusion], PixelReport | None]:
    """Part what a survey found into scenes that can be used, and the others with the reason.

    The third is what the pixels of the first said about their descriptions.
    """
    spec = find_spec(workspace, region.spec_name)
    # A run of its own: files that an earlier one missed, or read, are asked for anew.
    access = make_access(workspace.settings, run_id=uuid.uuid4().hex)
    usable, unusable = exclude_unusable(survey.scenes, spec.bands, spec_name=spec.name)
    complete, unopened = complete_scenes(usable, access)
    checked = check_pixels(
        workspace, region, complete, access, is_offset_settled=offset is not None
    )
    exclusions = [*survey.exclusions, *unusable, *unopened, *checked.exclusions]
    return list(checked.scenes), exclusions, checked.report


def complete_scenes(scenes: Sequence[Scene], access: Access) -> tuple[list[Scene], list[Exclusion]]:
    """Fill in from the files what descriptions lack; one that does not open excludes its scene."""
    complete: list[Scene] = []
    exclusions: list[Exclusion] = []
    with ThreadPoolExecutor(N_OPENERS) as pool:
        for scene, made in zip(
            scenes, pool.map(partial(_try_to_complete, access=access), scenes), strict=True
        ):
            if isinstance(made, Scene):
                complete.append(made)
            else:
                exclusions.append(make_exclusion(scene.scene_id, made, sensed_at=scene.sensed_at))
    return complete, exclusions


def _try_to_complete(scene: Scene, *, access: Access) -> Scene | GeoTransferError:
    try:
        return complete_scene(scene, access)
    except GeoTransferError as error:
        return error


def _explain_nothing(
    region: Region,
    location: str,
    exclusions: Sequence[Exclusion],
    passed_over: Mapping[str, int],
) -> GeoTransferError:
    """Return the error of a catalog without any usable scene: the first fault, and how many."""
    if exclusions:
        first = exclusions[0]
        more = f" ({len(exclusions)} scenes, none can be used)" if len(exclusions) > 1 else ""
        kind = SceneUnreadable if first.reason is ExclusionReason.UNREADABLE else SceneInvalid
        return kind(first.detail.rstrip(".") + f"{more}.")
    counts = ", ".join(f"{n} {reason}" for reason, n in passed_over.items()) or "it is empty"
    return SceneInvalid(
        f"{location}: no scene for region {region.region_id!r} ({counts}); check outline and"
        " period."
    )


def record_scenes(
    workspace: Workspace,
    region: Region,
    scenes: list[Scene],
    *,
    exclusions: Sequence[Exclusion] = (),
    passed_over: Mapping[str, int] | None = None,
    source: SceneSource = NOWHERE,
    report: PixelReport | None = None,
    actor: str,
) -> ScenesAdded:
    """Append the fact that scenes came in; the grid is chosen once and stays."""
    last = workspace.ledger.read_last(ScenesAdded, region_id=region.region_id)
    known = list_scene_ids(workspace, region.region_id)
    fact = ScenesAdded(
        region_id=region.region_id,
        scenes_id=workspace.blobs.put(canonical_json([_strip(scene) for scene in scenes])),
        n_scenes=len(scenes),
        n_replaced=sum(scene.scene_id in known for scene in scenes),
        grid=last.grid if last else choose_grid(scenes, region),
        tile_px=last.tile_px if last else workspace.settings.tile_px,
        location=_make_lasting(source.location),
        period=source.period,
        max_cloud_percent=source.max_cloud_percent,
        collections=source.collections,
        offset=source.offset,
    )
    left_out = make_exclusion_fact(workspace, region.region_id, exclusions, passed_over=passed_over)
    checked = make_check_fact(workspace, region.region_id, report)
    told = [extra for extra in (left_out, checked) if extra is not None]
    workspace.ledger.append(*told, fact, actor=actor)
    return fact


def _strip(scene: Scene) -> Scene:
    """Return a scene without any key in its addresses, wherever it came from."""
    assets = tuple(replace(a, href=strip_secrets(a.href)) for a in scene.assets)
    return scene if assets == scene.assets else replace(scene, assets=assets)


def _make_lasting(location: str) -> str:
    """Return a location that a later refresh finds again."""
    if not location or is_remote(location):
        return strip_secrets(location)
    return str(Path(location).absolute())
