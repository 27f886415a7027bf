"""Look again where a region's scenes came from: what is new there enters before a refresh."""

from __future__ import annotations

from geotransfer.core.fact import ScenesAdded
from geotransfer.core.scene import Scene
from geotransfer.errors import GeoTransferError
from geotransfer.imagery.catalog import read_catalog
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.progress import Progress, ignore_progress
from geotransfer.workflows.scene_list import load_scenes
from geotransfer.workflows.scenes import add_found


def update_scenes(
    workspace: Workspace,
    region_id: str,
    *,
    actor: str,
    progress: Progress = ignore_progress,
) -> int:
    """Add the scenes that are new or described otherwise in a region's catalogs; return how many.

    A catalog added later speaks for the scenes it shares with an earlier one. One that cannot be
    read is named in the progress and left as it is: the map can still be brought up to date with
    the scenes known so far. Scenes a catalog no longer lists stay.
    """
    locations = _list_locations(workspace, region_id)
    found: dict[str, Scene] = {}
    origins: dict[str, str] = {}
    for number, location in enumerate(locations):
        progress(number, len(locations), f"looking for new scenes in {location}")
        try:
            scenes = read_catalog(location)
        except GeoTransferError as error:
            progress(number, len(locations), f"no new scenes from there: {error}")
            continue
        found |= {scene.scene_id: scene for scene in scenes}
        origins |= {scene.scene_id: location for scene in scenes}
    if not found:
        return 0
    known = {s.scene_id: s for s in load_scenes(workspace, region_id).scenes}
    fresh = [s for s in found.values() if not _is_known(s, known.get(s.scene_id))]
    for location in dict.fromkeys(origins[s.scene_id] for s in fresh):
        of_location = [s for s in fresh if origins[s.scene_id] == location]
        add_found(workspace, region_id, of_location, location=location, actor=actor)
    return len(fresh)


def _list_locations(workspace: Workspace, region_id: str) -> list[str]:
    """Return each catalog once, the one added last at the end."""
    facts = [r.fact for r in workspace.ledger.read(ScenesAdded, region_id=region_id)]
    newest_first = dict.fromkeys(f.location for f in reversed(facts) if f.location)
    return list(newest_first)[::-1]


def _is_known(found: Scene, known: Scene | None) -> bool:
    """Whether a catalog says what it said before; what it left out was filled in from the file."""
    return known is not None and found.item == known.item
