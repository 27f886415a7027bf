"""A refresh looks again where its scenes came from: nothing new is nothing, something is added."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from geotransfer.core.fact import ScenesAdded, ScheduleSet
from geotransfer.errors import InputError, NotFound
from geotransfer.store.workspace import Workspace, open_workspace
from geotransfer.testing.world import World
from geotransfer.workflows.scene_list import load_scenes
from geotransfer.workflows.scene_update import update_scenes
from geotransfer.workflows.scenes import add_scenes
from geotransfer.workflows.schedule import find_schedule, set_schedule
from tests.workflows.conftest import Mapped, set_up_region


@pytest.fixture
def partial(make_settings, clock, world: World, model_bytes: bytes, tmp_path: Path) -> Mapped:
    """A region whose catalog lists all scenes but the last two."""
    workspace = open_workspace(make_settings(tile_px=48, n_threads=1), clock=clock, create=True)
    made = world.targets[0]
    write_catalog(tmp_path / "items.json", made.items_path, slice(None, -2))
    return set_up_region(workspace, made, model_bytes, items_path=tmp_path / "items.json")


def write_catalog(path: Path, source: Path, chosen: slice, **properties: object) -> None:
    """Write some of a catalog's items, with absolute hrefs."""
    document = json.loads(source.read_text())
    document["features"] = document["features"][chosen]
    for item in document["features"]:
        item["properties"].update(properties)
        for asset in item["assets"].values():
            asset["href"] = str((source.parent / asset["href"]).resolve())
    path.write_text(json.dumps(document))


def list_ids(workspace: Workspace, region_id: str) -> list[str]:
    return [s.scene_id for s in load_scenes(workspace, region_id).scenes]


def test_new_scenes_of_a_known_catalog_come_in_once(partial: Mapped, tmp_path: Path) -> None:
    workspace, region_id = partial.workspace, partial.region.region_id
    before = list_ids(workspace, region_id)
    assert update_scenes(workspace, region_id, actor="test") == 0
    assert len(workspace.ledger.read(ScenesAdded)) == 1, "nothing new is no fact"
    write_catalog(tmp_path / "items.json", partial.made.items_path, slice(None))
    assert update_scenes(workspace, region_id, actor="test") == 2
    assert update_scenes(workspace, region_id, actor="test") == 0
    assert set(before) < set(list_ids(workspace, region_id))
    fact = workspace.ledger.read(ScenesAdded)[-1].fact
    assert (fact.n_scenes, fact.n_replaced) == (2, 0)


def test_a_catalog_added_later_speaks_for_scenes_both_list(partial: Mapped, tmp_path: Path) -> None:
    workspace, region_id = partial.workspace, partial.region.region_id
    later = tmp_path / "later.json"
    write_catalog(later, partial.made.items_path, slice(0, 1), **{"processing:version": "05.11"})
    add_scenes(workspace, region_id, str(later), actor="test")
    assert update_scenes(workspace, region_id, actor="test") == 0
    write_catalog(later, partial.made.items_path, slice(0, 1), **{"processing:version": "05.12"})
    assert update_scenes(workspace, region_id, actor="test") == 1


def test_a_catalog_that_is_gone_is_named_and_stops_nothing(partial: Mapped, tmp_path: Path) -> None:
    (tmp_path / "items.json").unlink()
    told: list[str] = []
    n = update_scenes(
        partial.workspace, partial.region.region_id, actor="test",
        progress=lambda _done, _planned, message: told.append(message),
    )  # fmt: skip
    assert n == 0
    assert "items.json: there is no such file" in told[-1]


def test_a_schedule_is_set_seen_and_stopped_by_name(partial: Mapped) -> None:
    workspace, region_id = partial.workspace, partial.region.region_id
    found = set_schedule(workspace, region_id, "1d", actor="ana")
    assert found == find_schedule(workspace, region_id)
    assert found is not None
    assert found.every_s == 86400
    assert set_schedule(workspace, region_id, "off", actor="bo") is None
    assert find_schedule(workspace, region_id) is None
    told = [(r.actor, r.fact.every_s) for r in workspace.ledger.read(ScheduleSet)]
    assert told == [("ana", 86400), ("bo", None)]
    with pytest.raises(NotFound, match="has no schedule"):
        set_schedule(workspace, region_id, "off", actor="bo")
    with pytest.raises(NotFound, match="no region 'nowhere'"):
        set_schedule(workspace, "nowhere", "1d", actor="bo")
    with pytest.raises(InputError):
        set_schedule(workspace, region_id, "now and then", actor="bo")
