"""Look again where a region's scenes came from: what is new there enters before a refresh."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from geotransfer.core.fact import ScenesAdded
from geotransfer.core.scene import Scene
from geotransfer.errors import GeoTransferError
from geotransfer.imagery.catalog import Survey
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.exclusions import exclude_scenes
from geotransfer.workflows.progress import Progress, ignore_progress
from geotransfer.workflows.regions import find_region
from geotransfer.workflows.scene_list import load_known_scenes
from geotransfer.workflows.scenes import (
    SceneSource,
    read_source,
    record_scenes,
    sort_out,
    survey_region,
)


def update_scenes(
    workspace: Workspace,
    region_id: str,
    *,
    actor: str,
    progress: Progress = ignore_progress,
) -> int:
    """Add the scenes that are new or described otherwise in a region's catalogs; return how many.

    Each catalog is asked what it was asked when its scenes were added. One added later speaks for
    the scenes it shares with an earlier one. One that cannot be read is named in the progress and
    left as it is: the map can still be brought up to date with the scenes known so far. Scenes a
    catalog no longer lists stay; scenes that were left out stay so until they are described
    otherwise.
    """
    region = find_region(workspace, region_id)
    sources = _list_sources(workspace, region_id)
    surveys: list[tuple[SceneSource, Survey]] = []
    for number, source in enumerate(sources):
        progress(number, len(sources), f"looking for new scenes in {source.location}")
        try:
            survey = survey_region(workspace, region, source)
        except GeoTransferError as error:
            progress(number, len(sources), f"no new scenes from there: {error}")
            continue
        surveys.append((source, survey))
    known = load_known_scenes(workspace, region_id)
    speaker = {scene.scene_id: n for n, (_, s) in enumerate(surveys) for scene in s.scenes}
    n_fresh = 0
    for number, (source, survey) in enumerate(surveys):
        fresh = tuple(
            s for s in survey.scenes if speaker[s.scene_id] == number and not _is_known(s, known)
        )
        complete, exclusions, report = sort_out(
            workspace, region, replace(survey, scenes=fresh), offset=source.offset
        )
        n_fresh += len(complete)
        if not complete:
            exclude_scenes(workspace, region_id, exclusions, actor=actor)
            continue
        record_scenes(
            workspace,
            region,
            complete,
            exclusions=exclusions,
            source=source,
            report=report,
            actor=actor,
        )
    return n_fresh


def _list_sources(workspace: Workspace, region_id: str) -> list[SceneSource]:
    """Return the newest question to each catalog, the one asked last at the end."""
    facts = [r.fact for r in workspace.ledger.read(ScenesAdded, region_id=region_id)]
    newest_first: dict[str, SceneSource] = {}
    for fact in reversed(facts):
        if fact.location:
            newest_first.setdefault(fact.location, read_source(fact))
    return list(newest_first.values())[::-1]


def _is_known(found: Scene, known: Mapping[str, Scene]) -> bool:
    """Whether a catalog says what it said before; what it left out was filled in from the file."""
    before = known.get(found.scene_id)
    if before is None or found.item != before.item:
        return False
    # A folder of plain files has no items; its scenes are told by their files.
    hrefs = [[asset.href for asset in scene.assets] for scene in (found, before)]
    return bool(found.item) or hrefs[0] == hrefs[1]
