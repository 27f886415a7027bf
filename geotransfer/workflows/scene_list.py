"""The scenes a region has, as its facts tell. Reads no pixels and loads no raster library."""

from __future__ import annotations

import json
from dataclasses import dataclass

from geotransfer.core.decode import from_plain
from geotransfer.core.fact import LayerAdded, ScenesAdded, ScenesExcluded, ScenesIncluded
from geotransfer.core.grid import Grid
from geotransfer.core.layer import Layer
from geotransfer.core.scene import Scene
from geotransfer.errors import NotFound
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.definitions import find_spec
from geotransfer.workflows.regions import find_region

SceneFact = ScenesAdded | ScenesExcluded | ScenesIncluded


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionScenes:
    """A region's scenes and the grid they are computed on."""

    scenes: tuple[Scene, ...]
    grid: Grid
    tile_px: int
    layers: tuple[Layer, ...] = ()
    """Layers without a date that the region's spec reads, in its order, as far as it has them."""


def load_scenes(workspace: Workspace, region_id: str) -> RegionScenes:
    """Return a region's scenes, the newest description of each, ordered by date and id.

    Scenes that are left out (``workflows/exclusions.py``) are not among them.

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
    used = _replay(workspace, region_id, is_excluding=True)
    return RegionScenes(
        scenes=tuple(sorted(used.values(), key=lambda s: (s.sensed_at, s.scene_id))),
        grid=facts[-1].fact.grid,
        tile_px=facts[-1].fact.tile_px,
        layers=find_layers(workspace, region_id),
    )


def load_known_scenes(workspace: Workspace, region_id: str) -> dict[str, Scene]:
    """Return every scene a region ever had by its id, those that are left out among them."""
    return _replay(workspace, region_id, is_excluding=False)


def list_scene_ids(workspace: Workspace, region_id: str) -> dict[str, str]:
    """Return the time of every scene a region ever had by its id."""
    known = load_known_scenes(workspace, region_id)
    return {scene_id: scene.sensed_at for scene_id, scene in known.items()}


def read_scene_facts(workspace: Workspace, region_id: str) -> list[SceneFact]:
    """Return every fact that decides which scenes a region has, oldest first."""
    ledger = workspace.ledger
    facts: list[tuple[int, SceneFact]] = [
        *((r.seq, r.fact) for r in ledger.read(ScenesAdded, region_id=region_id)),
        *((r.seq, r.fact) for r in ledger.read(ScenesExcluded, region_id=region_id)),
        *((r.seq, r.fact) for r in ledger.read(ScenesIncluded, region_id=region_id)),
    ]
    return [fact for _, fact in sorted(facts, key=lambda pair: pair[0])]


def _replay(workspace: Workspace, region_id: str, *, is_excluding: bool) -> dict[str, Scene]:
    """Replay what was added, left out and included again, in its order."""
    scenes: dict[str, Scene] = {}
    left_out: set[str] = set()
    for fact in read_scene_facts(workspace, region_id):
        if isinstance(fact, ScenesAdded):
            for plain in json.loads(workspace.blobs.get(fact.scenes_id)):
                scene = from_plain(Scene, plain)
                scenes[scene.scene_id] = scene
                left_out.discard(scene.scene_id)
        elif isinstance(fact, ScenesExcluded):
            rows = json.loads(workspace.blobs.get(fact.exclusions_id))
            left_out.update(row["scene_id"] for row in rows)
        else:
            left_out.difference_update(fact.scene_ids)
    if not is_excluding:
        return scenes
    return {scene_id: s for scene_id, s in scenes.items() if scene_id not in left_out}


def find_layers(workspace: Workspace, region_id: str) -> tuple[Layer, ...]:
    """Return the region's layers that its spec reads, the newest of each name, in its order."""
    added = workspace.ledger.read(LayerAdded, region_id=region_id)
    if not added:
        return ()
    newest = {recorded.fact.layer.name: recorded.fact.layer for recorded in added}
    spec = find_spec(workspace, find_region(workspace, region_id).spec_name)
    return tuple(newest[name] for name in spec.layers if name in newest)
