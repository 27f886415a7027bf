"""Archives that fail: each fault is one sentence or a listed exclusion, and a re-run resumes."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from geotransfer.core.exclusion import ExclusionReason
from geotransfer.core.fact import RefreshDone, ScenesExcluded
from geotransfer.errors import DiskFull, NotFound, SceneUnreadable
from geotransfer.imagery.raster_files import close_files
from geotransfer.settings import Settings
from geotransfer.store.workspace import Workspace, open_workspace
from geotransfer.testing.world import SimulatedRegion, World
from geotransfer.workflows.exclusions import exclude_by_hand, include_scenes, list_exclusions
from geotransfer.workflows.maps import locate_map
from geotransfer.workflows.measure import measure_tiles
from geotransfer.workflows.refresh import refresh
from geotransfer.workflows.refresh_plan import plan_region
from geotransfer.workflows.refresh_readable import refresh_readable
from geotransfer.workflows.regions import find_region
from geotransfer.workflows.scene_list import load_scenes
from geotransfer.workflows.scenes import add_scenes
from tests.faulty_server import FOREVER, Server, serve
from tests.workflows.conftest import Mapped, set_up_region

FOREVER_LIST = 500
"""As many answers as no test asks for."""


@dataclass(frozen=True)
class Archive:
    """A region whose scenes come over the web, from a server that fails when told to."""

    server: Server
    workspace: Workspace
    made: SimulatedRegion

    @property
    def region_id(self) -> str:
        return self.made.region_id

    def refresh(self) -> RefreshDone:
        return refresh(self.workspace, self.region_id, actor="test")

    def find_path(self, scene: int, band: str = "nir") -> str:
        """Path of a band on the server."""
        found = load_scenes(self.workspace, self.region_id).scenes[scene].find_asset(band)
        assert found is not None
        return found.href.removeprefix(self.server.url)

    def read_class(self, done: RefreshDone) -> np.ndarray:
        folder = locate_map(self.workspace, self.region_id, done.map_id)
        with rasterio.open(folder / "class.tif") as file:
            return file.read(1)


@pytest.fixture
def archive(
    make_settings: Callable[..., Settings], world: World, model_bytes: bytes, tmp_path: Path
) -> Iterator[Archive]:
    made = world.targets[0]
    with serve(made.folder) as server:
        settings = make_settings(
            workspace=str(tmp_path / "archive"),
            tile_px=48,
            n_threads=1,
            http_retries=1,
            http_delay_s=0.01,
            http_timeout_s=2.0,
        )
        workspace = open_workspace(settings, create=True)
        set_up_region(workspace, made, model_bytes, items_path=f"{server.url}/items.json")
        yield Archive(server, workspace, made)
    close_files()


@pytest.mark.slow
def test_a_server_that_stumbles_makes_the_same_map(archive: Archive, mapped: Mapped) -> None:
    for scene in (0, 3):
        archive.server.faults.statuses[archive.find_path(scene)] = [503]
    archive.server.faults.statuses[archive.find_path(5, "red")] = [500, 429]
    over_web = archive.refresh()
    from_disk = refresh(mapped.workspace, mapped.region.region_id, actor="test")
    assert over_web.map_id == from_disk.map_id


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (404, r"nir\.tif of band 'nir' cannot be read .*404.*; restore the file or leave the"),
        pytest.param(
            403,
            r"nir\.tif of band 'nir' cannot be read .*403.*; set the server's keys or a sig",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            503,
            r"nir\.tif of band 'nir' cannot be read .*503.*; wait for the server, then",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_file_that_is_refused_stops_the_refresh_and_a_rerun_resumes(
    archive: Archive, status: int, sentence: str
) -> None:
    archive.server.faults.statuses[archive.find_path(6)] = [status] * FOREVER_LIST
    with pytest.raises(SceneUnreadable, match=sentence) as caught:
        archive.refresh()
    scene = load_scenes(archive.workspace, archive.region_id).scenes[6]
    assert caught.value.scene_id == scene.scene_id
    assert "\n" not in str(caught.value)
    assert archive.workspace.ledger.read(RefreshDone) == []
    archive.server.faults.statuses.clear()
    done = archive.refresh()
    assert done.n_computed == 4
    assert done.valid_share > 0


@pytest.mark.slow
def test_a_server_that_hangs_is_given_up_on_in_bounded_time(
    make_settings: Callable[..., Settings], archive: Archive
) -> None:
    hasty = make_settings(
        workspace=str(archive.workspace.folder),
        tile_px=48,
        n_threads=1,
        http_retries=0,
        http_delay_s=0.01,
        http_timeout_s=0.2,
    )
    workspace = open_workspace(hasty)
    path = archive.find_path(2)
    archive.server.faults.stalls[path] = FOREVER
    archive.server.faults.stall_s = 0.5
    with pytest.raises(SceneUnreadable, match=r"timed out.*; wait for the server"):
        refresh(workspace, archive.region_id, actor="test")
    assert archive.server.count(path) <= 8
    archive.server.faults.stalls.clear()
    assert refresh(workspace, archive.region_id, actor="test").n_computed == 4


@pytest.mark.slow
def test_a_file_that_ends_early_is_no_zeros(archive: Archive) -> None:
    path = archive.find_path(4)
    archive.server.faults.cut[path] = 900
    with pytest.raises(SceneUnreadable, match=r"nir\.tif of band 'nir' cannot be read"):
        archive.refresh()
    archive.server.faults.cut.clear()
    assert archive.refresh().n_computed == 4


def test_unreadable_scenes_are_left_out_when_asked_and_come_back(archive: Archive) -> None:
    """The map is that of the other scenes, to the bit, and the list says which one is missing."""
    workspace, region_id = archive.workspace, archive.region_id
    scenes = load_scenes(workspace, region_id).scenes
    path = archive.find_path(3)
    archive.server.faults.statuses[path] = [404] * FOREVER_LIST
    without = refresh_readable(workspace, region_id, actor="test")
    (exclusion,) = list_exclusions(workspace, region_id).exclusions
    assert exclusion.scene_id == scenes[3].scene_id
    assert exclusion.reason is ExclusionReason.UNREADABLE
    assert path.split("/")[-1] in exclusion.detail
    assert len(load_scenes(workspace, region_id).scenes) == len(scenes) - 1
    assert workspace.ledger.read(ScenesExcluded)[-1].fact.reasons == {"file unreadable": 1}

    archive.server.faults.statuses.clear()
    include_scenes(workspace, region_id, (), actor="test")
    whole = archive.refresh()
    assert list_exclusions(workspace, region_id).exclusions == ()
    assert whole.map_id != without.map_id
    exclude_by_hand(workspace, region_id, [scenes[3].scene_id], why="haze", actor="test")
    again = archive.refresh()
    assert (archive.read_class(again) == archive.read_class(without)).all()


def test_a_file_without_a_checksum_that_is_gone_is_left_out_too(keyed: Archive) -> None:
    """It is missed when it is hashed, before any tile is worked on."""
    gone = load_scenes(keyed.workspace, keyed.region_id).scenes[3]
    path = keyed.find_path(3)
    keyed.server.faults.statuses[path] = [404] * FOREVER_LIST
    assert refresh_readable(keyed.workspace, keyed.region_id, actor="test").n_computed == 4
    (exclusion,) = list_exclusions(keyed.workspace, keyed.region_id).exclusions
    assert (exclusion.scene_id, exclusion.reason) == (gone.scene_id, ExclusionReason.UNREADABLE)
    assert path in exclusion.detail


@pytest.mark.slow
def test_an_archive_that_is_down_is_not_taken_for_missing_scenes(archive: Archive) -> None:
    n = len(load_scenes(archive.workspace, archive.region_id).scenes)
    for scene in range(n):
        archive.server.faults.statuses[archive.find_path(scene)] = [404] * FOREVER_LIST
    with pytest.raises(SceneUnreadable, match=r"more than 2 of 8 scenes cannot be read.*network"):
        refresh_readable(archive.workspace, archive.region_id, actor="test")
    assert archive.workspace.ledger.read(RefreshDone) == []
    assert len(list_exclusions(archive.workspace, archive.region_id).exclusions) == 2


def change_items(
    made: SimulatedRegion, path: Path, change: Callable[[int, dict[str, Any]], None]
) -> Path:
    document = json.loads(made.items_path.read_text())
    for number, item in enumerate(document["features"]):
        for asset in item["assets"].values():
            asset["href"] = str((made.folder / asset["href"]).resolve())
        change(number, item)
    path.write_text(json.dumps(document))
    return path


def test_faulty_items_are_left_out_one_by_one_and_counted(
    mapped: Mapped, make_settings: Callable[..., Settings], model_bytes: bytes, tmp_path: Path
) -> None:
    def spoil(number: int, item: dict[str, Any]) -> None:
        if number == 0:
            del item["assets"]["nir"]
        elif number == 1:
            item["assets"]["red"]["raster:bands"][0]["offset"] = -0.3
        elif number == 2:
            item["assets"]["blue"]["href"] = str(tmp_path / "gone.tif")
        elif number == 3:
            item["properties"]["datetime"] = "yesterday"

    settings = make_settings(workspace=str(tmp_path / "other"), tile_px=48, n_threads=1)
    workspace = open_workspace(settings, create=True)
    items = change_items(mapped.made, tmp_path / "items.json", spoil)
    spoilt = set_up_region(workspace, mapped.made, model_bytes, items_path=items)
    region_id = spoilt.region.region_id
    found = list_exclusions(workspace, region_id)
    assert found.reasons == {
        "band missing": 1,
        "scale or offset mixed": 1,
        "file unreadable": 1,
        "description incomplete or contradictory": 1,
    }
    details = {e.reason: e.detail for e in found.exclusions}
    assert "band 'nir' is missing" in details[ExclusionReason.BAND]
    assert "red: 0.0001, -0.3" in details[ExclusionReason.SCALE]
    assert "gone.tif" in details[ExclusionReason.UNREADABLE]
    assert "'yesterday'; write it in ISO 8601" in details[ExclusionReason.DESCRIPTION]
    assert len(load_scenes(workspace, region_id).scenes) == 4
    assert refresh(workspace, region_id, actor="test").n_computed == 4

    whole = change_items(mapped.made, items, lambda number, item: None)
    add_scenes(workspace, region_id, str(whole), actor="test")
    assert list_exclusions(workspace, region_id).exclusions == ()
    assert len(load_scenes(workspace, region_id).scenes) == 8


def test_a_catalog_without_a_usable_scene_adds_nothing(
    mapped: Mapped, make_settings: Callable[..., Settings], model_bytes: bytes, tmp_path: Path
) -> None:
    settings = make_settings(workspace=str(tmp_path / "other"), tile_px=48, n_threads=1)
    workspace = open_workspace(settings, create=True)
    items = change_items(
        mapped.made, tmp_path / "items.json", lambda number, item: item["assets"].pop("nir")
    )
    with pytest.raises(Exception, match=r"band 'nir' is missing.*8 scenes, none can be used"):
        set_up_region(workspace, mapped.made, model_bytes, items_path=items)
    with pytest.raises(NotFound, match="has no scenes yet"):
        load_scenes(workspace, mapped.made.region_id)


@pytest.fixture
def keyed(
    make_settings: Callable[..., Settings],
    world: World,
    model_bytes: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Archive]:
    """An archive that wants a key with every request, of items that state no checksum."""
    made = world.targets[0]
    monkeypatch.setenv("TEST_KEY", "SECRET")
    signers = tmp_path / "signers.yaml"
    signers.write_text(
        "signers: [{name: keyed, hosts: [127.0.0.1], kind: header, variable: TEST_KEY}]"
    )
    with serve(made.folder) as server:
        server.faults.needed_header = "SECRET"

        def describe(_: int, item: dict[str, Any]) -> None:
            for asset in item["assets"].values():
                del asset["file:checksum"]
                path = Path(asset["href"]).relative_to(made.folder.resolve())
                asset["href"] = f"{server.url}/{path}"

        settings = make_settings(
            workspace=str(tmp_path / "keyed"), tile_px=48, n_threads=1, http_retries=0,
            http_timeout_s=2.0, signers=str(signers),
        )  # fmt: skip
        workspace = open_workspace(settings, create=True)
        items = change_items(made, tmp_path / "items.json", describe)
        set_up_region(workspace, made, model_bytes, items_path=items)
        yield Archive(server, workspace, made)
    close_files()


def test_plans_and_measurements_ask_with_the_key_a_refresh_asks_with(keyed: Archive) -> None:
    planned = plan_region(keyed.workspace, keyed.region_id)
    assert planned.plan.reasons == {"never computed": 4}
    region = find_region(keyed.workspace, keyed.region_id)
    assert set(measure_tiles(keyed.workspace, region)) == set(planned.keys)


def test_a_tile_without_a_valid_pixel_is_no_answer_and_no_zero(
    make_settings: Callable[..., Settings], own_world: World, model_bytes: bytes
) -> None:
    made = own_world.targets[0]
    workspace = open_workspace(make_settings(tile_px=48, n_threads=1), create=True)
    for path in made.folder.rglob("scl.tif"):
        with rasterio.open(path, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as file:
            classes = file.read(1)
            classes[:60, :60] = 9
            file.write(classes, 1)
    hidden = set_up_region(workspace, made, model_bytes)
    done = refresh(workspace, hidden.region.region_id, actor="test")
    folder = locate_map(workspace, hidden.region.region_id, done.map_id)
    with rasterio.open(folder / "class.tif") as file:
        assert (file.read(1)[:48, :48] == 255).all()
        assert file.nodata == 255
    with rasterio.open(folder / "probability.tif") as file:
        assert (file.read(1)[:48, :48] == file.nodata).all()
        assert (file.read(1)[60:, 60:] != file.nodata).any()
    assert done.n_computed == 4
    # It is known, not missing: nothing is tried again.
    assert refresh(workspace, hidden.region.region_id, actor="test").n_computed == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte, where this user may have one."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("a real full disk needs the right to mount one")
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
    )
    if made.returncode:
        pytest.skip("this machine does not mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_is_really_full_is_one_sentence_and_a_rerun_resumes(
    small_disk: Path, mapped: Mapped
) -> None:
    workspace, region_id = mapped.workspace, mapped.region.region_id
    tiles = workspace.locate_tiles(region_id)
    tiles.parent.mkdir(parents=True, exist_ok=True)
    tiles.symlink_to(small_disk)
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"\0" * 900_000)
    with pytest.raises(DiskFull, match="free some space") as caught:
        refresh(workspace, region_id, actor="test")
    assert "\n" not in str(caught.value)
    assert not list(small_disk.glob("**/.part-*"))
    assert workspace.ledger.read(RefreshDone) == []
    ballast.unlink()
    assert small_disk.is_dir()
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    assert refresh(workspace, region_id, actor="test").n_computed == 4
