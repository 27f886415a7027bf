"""The scenes a region has, as its facts tell. Reads no pixels and loads no raster library."""

from __future__ import annotations

import json
from dataclasses import dataclass

from geotransfer.core.decode import from_plain
from geotransfer.core.fact import ScenesAdded
from geotransfer.core.grid import Grid
from geotransfer.core.scene import Scene
from geotransfer.errors import NotFound
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.regions import find_region


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionScenes:
    """A region's scenes and the grid they are computed on."""

    scenes: tuple[Scene, ...]
    grid: Grid
    tile_px: int


def load_scenes(workspace: Workspace, region_id: str) -> RegionScenes:
    """Return a region's scenes, the newest description of each, ordered by date and id.

    Raises
    ------
    NotFound
        The region has no scenes yet.
    """
    facts = workspace.ledger.read(ScenesAdded, region_id=region_id)
    if not facts:
        find_region(workspace, region_id)
        raise NotFound(
            f"region {region_id!r} has no scenes yet; run `geotransfer scenes add {region_id}"
            " CATALOG`."
        )
    scenes: dict[str, Scene] = {}
    for recorded in facts:
        for plain in json.loads(workspace.blobs.get(recorded.fact.scenes_id)):
            scene = from_plain(Scene, plain)
            scenes[scene.scene_id] = scene
    return RegionScenes(
        scenes=tuple(sorted(scenes.values(), key=lambda s: (s.sensed_at, s.scene_id))),
        grid=facts[-1].fact.grid,
        tile_px=facts[-1].fact.tile_px,
    )
