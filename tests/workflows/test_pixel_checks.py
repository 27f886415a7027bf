"""Scenes whose pixels contradict their description stay out; scenes off their place are told."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geotransfer.core.exclusion import ExclusionReason
from geotransfer.core.fact import PixelsChecked, ScenesAdded
from geotransfer.errors import SceneInvalid
from geotransfer.store.workspace import Workspace, open_workspace
from geotransfer.testing.world import SimulatedRegion, World
from geotransfer.workflows.check_list import describe_checks, list_checks
from geotransfer.workflows.exclusions import list_exclusions
from geotransfer.workflows.regions import add_region
from geotransfer.workflows.scene_list import load_scenes
from geotransfer.workflows.scene_update import update_scenes
from geotransfer.workflows.scenes import add_scenes


@dataclass(frozen=True)
class Ready:
    """A region without scenes, and the items that describe some."""

    workspace: Workspace
    made: SimulatedRegion

    def read(self) -> dict:
        return json.loads(Path(self.made.items_path).read_text())

    def write(self, document: dict) -> None:
        Path(self.made.items_path).write_text(json.dumps(document))

    def misstate(self, numbers: list[int]) -> list[str]:
        """Describe scenes as if they carried the offset where they do not, and the reverse."""
        document = self.read()
        for number in numbers:
            for name, asset in document["features"][number]["assets"].items():
                if name != "scl":
                    band = asset["raster:bands"][0]
                    band["offset"] = 0.0 if band["offset"] else -0.1
        self.write(document)
        return [document["features"][number]["id"] for number in numbers]

    def add(self, **options: object) -> ScenesAdded:
        return add_scenes(
            self.workspace, "place", str(self.made.items_path), actor="test", **options
        )  # type: ignore[arg-type]


@pytest.fixture
def ready(make_settings, clock, own_world: World) -> Ready:
    workspace = open_workspace(make_settings(tile_px=48, n_threads=1), clock=clock, create=True)
    made = own_world.targets[0]
    add_region(workspace, json.dumps(made.outline), name="place", actor="test")
    return Ready(workspace, made)


def test_right_descriptions_are_applied_and_the_check_is_on_record(ready: Ready) -> None:
    fact = ready.add()
    told = ready.workspace.ledger.read_last(PixelsChecked, region_id="place")
    assert told is not None
    assert (told.n_scenes, told.n_contradict) == (fact.n_scenes, 0)
    assert told.n_agree + told.n_unknown == fact.n_scenes
    assert told.n_agree >= fact.n_scenes - 1
    checks = list_checks(ready.workspace, "place")
    assert {check.scene_id for check in checks} == {
        scene.scene_id for scene in load_scenes(ready.workspace, "place").scenes
    }


@pytest.mark.parametrize(
    ("number", "stated", "told", "truth"),
    [(0, "-0.1", "a tenth below", 0.0), (2, "0", "a tenth above", -0.1)],
)
def test_a_scene_whose_pixels_contradict_it_is_left_out_and_settled_by_hand(
    ready: Ready, number: int, stated: str, told: str, truth: float
) -> None:
    (wrong,) = ready.misstate([number])
    fact = ready.add()
    found = list_exclusions(ready.workspace, "place").exclusions
    assert [(e.scene_id, e.reason) for e in found] == [(wrong, ExclusionReason.PIXELS)]
    for part in (f"states offset {stated},", told, "dark ends", "--offset"):
        assert part in found[0].detail
    assert wrong not in {s.scene_id for s in load_scenes(ready.workspace, "place").scenes}
    alone = Path(ready.made.items_path).with_name("alone.json")
    alone.write_text(json.dumps(ready.read()["features"][number]))
    settled = add_scenes(ready.workspace, "place", str(alone), offset=truth, actor="test")
    assert (settled.offset, settled.n_scenes, fact.offset) == (truth, 1, None)
    assert list_exclusions(ready.workspace, "place").exclusions == ()
    scene = next(s for s in load_scenes(ready.workspace, "place").scenes if s.scene_id == wrong)
    assert {a.offset for a in scene.assets if not a.name.startswith("mask:")} == {truth}
    # A refresh that looks again at both catalogs keeps what was settled.
    assert update_scenes(ready.workspace, "place", actor="test") == 0
    assert list_exclusions(ready.workspace, "place").exclusions == ()
    # So does the scene when it is published again.
    item = json.loads(alone.read_text())
    item["properties"]["updated"] = "2023-01-01T00:00:00Z"
    alone.write_text(json.dumps(item))
    assert update_scenes(ready.workspace, "place", actor="test") == 1
    scene = next(s for s in load_scenes(ready.workspace, "place").scenes if s.scene_id == wrong)
    assert {a.offset for a in scene.assets if not a.name.startswith("mask:")} == {truth}


def test_when_every_description_is_wrong_nothing_is_added(ready: Ready) -> None:
    document = ready.read()
    document["features"] = document["features"][1:]
    ready.write(document)
    clear = [n for n, item in enumerate(document["features"]) if "2022-08" not in item["id"]]
    document["features"] = [document["features"][n] for n in clear]
    ready.write(document)
    ready.misstate(list(range(len(clear))))
    with pytest.raises(SceneInvalid, match="a tenth above"):
        ready.add()
    assert ready.workspace.ledger.read(ScenesAdded) == []


def test_the_check_can_be_left_out(make_settings, clock, ready: Ready) -> None:
    settings = make_settings(tile_px=48, n_threads=1, check_pixels=0)
    workspace = open_workspace(settings, clock=clock)
    ready.misstate([0])
    fact = Ready(workspace, ready.made).add()
    assert fact.n_scenes == len(ready.read()["features"])
    assert workspace.ledger.read(PixelsChecked) == []


def test_a_scene_that_lies_off_its_place_is_told_and_used(ready: Ready) -> None:
    item = ready.read()["features"][1]
    folder = Path(ready.made.items_path).parent
    for name, asset in item["assets"].items():
        path = folder / asset["href"]
        with rasterio.open(path) as file:
            array, profile = file.read(), file.profile
        profile = {
            k: profile[k] for k in ("crs", "transform", "nodata", "dtype", "height", "width")
        }
        with rasterio.open(path, "w", driver="GTiff", count=1, **profile) as file:
            file.write(np.roll(array, (2, -1), axis=(1, 2)))
        assert name
    document = ready.read()
    for asset in document["features"][1]["assets"].values():
        asset.pop("file:checksum", None)
    ready.write(document)
    fact = ready.add()
    assert fact.n_scenes == len(document["features"])
    (told,) = [t for t in describe_checks(ready.workspace, "place") if "pixel off" in t]
    assert item["id"] in told
    check = next(c for c in list_checks(ready.workspace, "place") if c.scene_id == item["id"])
    assert check.shift_px == pytest.approx(np.hypot(2, 1), abs=0.6)
    assert f"{item['id']} ({check.shift_px:.1f} px)" in told, "the farthest comes first"
