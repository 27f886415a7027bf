"""Scenes: point a region at its catalog."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from geotransfer.core.fact import ScenesAdded
from geotransfer.core.identity import canonical_json
from geotransfer.core.region import Region
from geotransfer.core.scene import Scene
from geotransfer.imagery.catalog import check_bands, check_files, read_catalog
from geotransfer.imagery.grids import choose_grid, complete_scene
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.definitions import find_spec
from geotransfer.workflows.regions import find_region
from geotransfer.workflows.scene_list import load_scenes


def add_scenes(workspace: Workspace, region_id: str, location: str, *, actor: str) -> ScenesAdded:
    """Add the scenes of a catalog to a region; a scene of a known id replaces the old one.

    Parameters
    ----------
    location
        STAC item, item collection, or a folder of items.

    Raises
    ------
    SceneInvalid, SceneUnreadable, NotFound
        Something about the catalog cannot be used; then nothing is added.
    """
    found = read_catalog(location)
    return add_found(workspace, region_id, found, location=location, actor=actor)


def add_found(
    workspace: Workspace, region_id: str, found: list[Scene], *, location: str, actor: str
) -> ScenesAdded:
    """Add scenes read from the catalog at ``location``, checked; all of them or none."""
    region = find_region(workspace, region_id)
    spec = find_spec(workspace, region.spec_name)
    check_bands(found, spec.bands, spec_name=spec.name)
    check_files(found, spec.bands)
    complete = [complete_scene(s) for s in found]
    return record_scenes(workspace, region, complete, location=location, actor=actor)


def record_scenes(
    workspace: Workspace, region: Region, scenes: list[Scene], *, location: str = "", actor: str
) -> ScenesAdded:
    """Append the fact that scenes came in; the grid is chosen once and stays."""
    last = workspace.ledger.read_last(ScenesAdded, region_id=region.region_id)
    known: set[str] = set()
    if last is not None:
        known = {s.scene_id for s in load_scenes(workspace, region.region_id).scenes}
    fact = ScenesAdded(
        region_id=region.region_id,
        scenes_id=workspace.blobs.put(canonical_json(scenes)),
        n_scenes=len(scenes),
        n_replaced=sum(scene.scene_id in known for scene in scenes),
        grid=last.grid if last else choose_grid(scenes, region),
        tile_px=last.tile_px if last else workspace.settings.tile_px,
        location=_make_lasting(location),
    )
    workspace.ledger.append(fact, actor=actor)
    return fact


def _make_lasting(location: str) -> str:
    """Return a location that a later refresh finds again; empty where it would keep a secret."""
    parts = urlsplit(location)
    if "://" not in location:
        return str(Path(location).absolute()) if location else ""
    return "" if parts.query or "@" in parts.netloc else location
