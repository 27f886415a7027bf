"""Only if changed, first version: what a refresh computes, keeps, saves and survives."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from distributed import LocalCluster

from geotransfer.core.fact import RefreshDone
from geotransfer.core.scene import Scene
from geotransfer.errors import DiskFull, JobCancelled, SceneUnreadable
from geotransfer.imagery.rasters import PROBABILITY_NODATA
from geotransfer.settings import read_settings
from geotransfer.store.workspace import open_workspace
from geotransfer.workflows.maps import locate_map
from geotransfer.workflows.refresh import refresh
from geotransfer.workflows.refresh_plan import plan_region
from geotransfer.workflows.scene_list import load_scenes
from geotransfer.workflows.scenes import record_scenes
from tests.workflows.conftest import Mapped, make_model_bytes, register_baseline, set_up_region


def run(mapped: Mapped) -> RefreshDone:
    return refresh(mapped.workspace, mapped.region.region_id, actor="test")


def read_class(mapped: Mapped, done: RefreshDone) -> np.ndarray:
    folder = locate_map(mapped.workspace, mapped.region.region_id, done.map_id)
    with rasterio.open(folder / "class.tif") as file:
        return file.read(1)


def test_the_second_refresh_computes_nothing_and_says_so(mapped: Mapped) -> None:
    first = run(mapped)
    second = run(mapped)

    assert first.n_computed == 4
    assert first.reasons == {"never computed": 4}
    assert (second.n_computed, second.n_predicted, second.n_kept) == (0, 0, 4)
    assert second.reasons == {"nothing changed": 4}
    assert second.map_id == first.map_id
    assert second.cost.read_bytes == 0
    assert second.avoided.cpu_s > 0
    assert second.avoided.read_bytes == first.cost.read_bytes
    assert second.class_areas_km2 == first.class_areas_km2


def test_the_map_is_a_geotiff_any_gis_opens(mapped: Mapped) -> None:
    done = run(mapped)
    folder = locate_map(mapped.workspace, mapped.region.region_id, done.map_id)
    with rasterio.open(folder / "class.tif") as file:
        classes = file.read(1)
        assert file.crs.to_string() == mapped.made.grid.crs
        assert file.nodata == 255
        assert set(np.unique(classes)) <= {0, 1, 255}
        assert file.colormap(1)[1] == (0xE6, 0x9F, 0x00, 255)
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
    with rasterio.open(folder / "probability.tif") as file:
        stored = file.read(1)
        known = stored != PROBABILITY_NODATA
        assert (known == (classes != 255)).all()
        probability = stored[known] * file.scales[0]
        assert ((probability > 0.5) == (classes[known] == 1)).mean() > 0.999
    area = sum(done.class_areas_km2.values())
    assert area == pytest.approx((classes != 255).sum() * 1e-4, rel=0.01)


def test_a_scene_that_touches_two_tiles_computes_only_those(mapped: Mapped) -> None:
    run(mapped)
    inputs = load_scenes(mapped.workspace, mapped.region.region_id)
    template = inputs.scenes[0]
    a, b, c, d, e, f = inputs.grid.transform
    # The upper half of the region: tiles of the first row.
    upper = replace(
        template,
        scene_id="one-more",
        sensed_at=template.sensed_at.replace("-01-", "-02-"),
        transform=(a, b, c, d, e, f + 480.0),
        shape=(96, 96),
    )
    record_scenes(mapped.workspace, mapped.region, [upper], actor="test")

    done = run(mapped)

    assert (done.n_computed, done.n_kept) == (2, 2)
    assert done.reasons == {"changed: inputs": 2, "nothing changed": 2}


def test_a_republished_scene_with_the_same_files_computes_nothing(mapped: Mapped) -> None:
    run(mapped)
    scenes = load_scenes(mapped.workspace, mapped.region.region_id).scenes
    again = [replace(scene, item='{"updated":"2030"}') for scene in scenes]
    assert record_scenes(mapped.workspace, mapped.region, again, actor="test").n_replaced == len(
        scenes
    )
    assert run(mapped).n_computed == 0


def test_another_model_predicts_from_stored_features_without_reading(mapped: Mapped) -> None:
    first = run(mapped)
    register_baseline(mapped.workspace, make_model_bytes(seed=9)[0])
    second = run(mapped)
    assert (second.n_computed, second.n_predicted) == (0, 4)
    assert second.cost.read_bytes == 0
    assert second.map_id != first.map_id


def test_what_a_key_cannot_see_is_not_there(mapped: Mapped, monkeypatch) -> None:
    """Break the key on purpose: without inputs in it, a changed scene would go unseen."""
    run(mapped)
    scenes = list(load_scenes(mapped.workspace, mapped.region.region_id).scenes)
    changed = replace(
        scenes[0], assets=tuple(replace(a, checksum=a.checksum + "0") for a in scenes[0].assets)
    )
    record_scenes(mapped.workspace, mapped.region, [changed], actor="test")
    assert plan_region(mapped.workspace, mapped.region.region_id).plan.reasons == {
        "changed: inputs": 4
    }


def test_tiles_and_threads_do_not_change_a_pixel(
    make_settings, world, model_bytes: bytes, tmp_path: Path
) -> None:
    maps = []
    for tile_px, n_threads in ((96, 1), (32, 2), (40, 1)):
        settings = read_settings(
            {},
            {
                "workspace": str(tmp_path / f"w{tile_px}"),
                "tile_px": tile_px,
                "n_threads": n_threads,
            },
        )
        workspace = open_workspace(settings, create=True)
        mapped = set_up_region(workspace, world.targets[0], model_bytes)
        done = run(mapped)
        folder = locate_map(workspace, mapped.region.region_id, done.map_id)
        with rasterio.open(folder / "probability.tif") as file:
            maps.append(file.read())
    assert (maps[0] == maps[1]).all()
    assert (maps[0] == maps[2]).all()


def test_a_cancelled_refresh_keeps_its_tiles_and_changes_no_map(mapped: Mapped) -> None:
    def stop(done: int, planned: int, message: str) -> None:
        if done >= 2:
            raise JobCancelled("cancelled")

    with pytest.raises(JobCancelled):
        refresh(mapped.workspace, mapped.region.region_id, actor="test", progress=stop)
    assert mapped.workspace.ledger.read(RefreshDone) == []
    store = mapped.workspace.locate_tiles(mapped.region.region_id)
    written = {p.name: p.stat().st_mtime_ns for p in store.glob("*.features.npy")}
    assert len(written) >= 2

    done = run(mapped)

    assert done.n_computed == 4
    after = {p.name: p.stat().st_mtime_ns for p in store.glob("*.features.npy")}
    assert {name: after[name] for name in written} == written, "work was done twice"


def test_a_truncated_file_stops_the_refresh_and_is_named(
    make_settings, own_world, model_bytes: bytes
) -> None:
    workspace = open_workspace(make_settings(n_threads=1), create=True)
    mapped = set_up_region(workspace, own_world.targets[0], model_bytes)
    path = Path(next(
        a.href for a in load_scenes(workspace, mapped.region.region_id).scenes[2].assets
        if a.name == "nir"
    ))  # fmt: skip
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 3])
    with pytest.raises(SceneUnreadable, match=r"'nir' cannot be read") as caught:
        run(mapped)
    assert path.name in str(caught.value)
    assert workspace.ledger.read(RefreshDone) == []
    path.write_bytes(whole)
    assert run(mapped).n_computed == 1


def test_a_full_disk_is_one_sentence_and_leaves_no_part(mapped: Mapped, monkeypatch) -> None:
    def refuse_to_write(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(np.lib.format, "write_array_header_1_0", refuse_to_write)
        with pytest.raises(DiskFull, match="free some space"):
            run(mapped)
    store = mapped.workspace.locate_tiles(mapped.region.region_id)
    assert not list(store.glob(".part-*"))
    open_raster = rasterio.open

    def refuse_to_draft(path: object, mode: str = "r", **profile: object) -> object:
        if mode == "w":
            raise rasterio.errors.RasterioIOError("write failed: No space left on device")
        return open_raster(path, mode, **profile)

    with monkeypatch.context() as patched:
        patched.setattr("geotransfer.imagery.rasters.rasterio.open", refuse_to_draft)
        with pytest.raises(DiskFull, match="free some space"):
            run(mapped)
    maps = mapped.workspace.locate_maps(mapped.region.region_id)
    assert not list(maps.glob("**/.part-*"))
    assert run(mapped).n_computed == 4


KILLED = """
import sys, time
from geotransfer.settings import read_settings
from geotransfer.store.workspace import open_workspace
from geotransfer.workflows import refresh as module
workspace = open_workspace(read_settings({}, {"workspace": sys.argv[1], "n_threads": 1}))
def tell(done, planned, message):
    print(done, flush=True)
    if done >= 1:
        time.sleep(60)
import geotransfer.imagery.scheduler as scheduler
scheduler.IN_FLIGHT = 1
module.refresh(workspace, sys.argv[2], actor="test", progress=tell)
"""


def test_sigkill_in_the_middle_then_again_gives_the_same_map(
    mapped: Mapped, make_settings, world, model_bytes: bytes, tmp_path: Path
) -> None:
    workspace = mapped.workspace
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(workspace.folder), mapped.region.region_id],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == "1":
            break
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    store = workspace.locate_tiles(mapped.region.region_id)
    finished = {p.name: p.stat().st_mtime_ns for p in store.glob("[!.]*.npy")}
    assert finished
    resumed = run(mapped)
    assert all((store / n).stat().st_mtime_ns == t for n, t in finished.items())

    fresh = open_workspace(
        read_settings({}, {"workspace": str(tmp_path / "fresh"), "tile_px": 48, "n_threads": 1}),
        create=True,
    )
    whole = set_up_region(fresh, world.targets[0], model_bytes)
    straight = run(whole)
    assert straight.map_id == resumed.map_id
    assert (read_class(whole, straight) == read_class(mapped, resumed)).all()


def test_a_dry_run_promises_what_the_refresh_does(mapped: Mapped) -> None:
    planned = plan_region(mapped.workspace, mapped.region.region_id)
    done = run(mapped)
    assert planned.plan.reasons == done.reasons
    assert plan_region(mapped.workspace, mapped.region.region_id).avoided.cpu_s > 0


def test_scenes_survive_the_store_unchanged(mapped: Mapped) -> None:
    scenes = load_scenes(mapped.workspace, mapped.region.region_id).scenes
    assert all(isinstance(scene, Scene) for scene in scenes)
    assert json.loads(scenes[0].item)["id"] == scenes[0].scene_id


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("scheduler", ["processes", "cluster"])
def test_processes_and_a_cluster_make_the_same_map(
    scheduler: str, mapped: Mapped, world, model_bytes: bytes, tmp_path: Path
) -> None:
    expected = read_class(mapped, run(mapped))
    settings = {"workspace": str(tmp_path / "other"), "tile_px": 48, "n_threads": 2}
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        address = cluster.scheduler_address if scheduler == "cluster" else scheduler
        workspace = open_workspace(
            read_settings({}, {**settings, "scheduler": address}), create=True
        )
        other = set_up_region(workspace, world.targets[0], model_bytes)
        assert (read_class(other, run(other)) == expected).all()
