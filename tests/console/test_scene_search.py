"""Search, see, add: the New region page on a real catalog; the Region page on what is left out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from geotransfer.core.job import JobState
from geotransfer.store.workspace import Workspace
from geotransfer.testing.world import World
from geotransfer.wiring import run_job
from geotransfer.workflows.exclusions import exclude_by_hand, list_exclusions
from geotransfer.workflows.regions import add_region
from geotransfer.workflows.scene_list import load_scenes
from geotransfer.workflows.scenes import add_scenes
from geotransfer.workflows.submit import submit_refresh
from tests.console.test_screens import folder, open_screen, read_text, run, workspace
from tests.workflows.conftest import model_bytes, register_baseline, world

__all__ = ["folder", "model_bytes", "workspace", "world"]


def work_off(workspace: Workspace) -> None:
    while (job := workspace.jobs.claim("test")) is not None:
        run_job(workspace, job, "test")


@pytest.fixture
def spoilt(world: World, tmp_path: Path) -> Path:
    """A catalog in which one scene lacks a band."""
    made = world.targets[0]
    document = json.loads(made.items_path.read_text())
    for item in document["features"]:
        for asset in item["assets"].values():
            asset["href"] = str((made.folder / asset["href"]).resolve())
    del document["features"][1]["assets"]["nir"]
    path = tmp_path / "items.json"
    path.write_text(json.dumps(document))
    return path


def test_a_catalog_is_searched_seen_and_added(
    workspace: Workspace, world: World, spoilt: Path, model_bytes: bytes
) -> None:
    register_baseline(workspace, model_bytes)
    add_region(workspace, json.dumps(world.targets[0].outline), name="Nakuru", actor="test")
    app = open_screen("new_region")
    app.text_input(key="scenes-location").set_value(str(spoilt))
    app.text_input(key="scenes-period").set_value("2000/2100")
    run(app)
    next(b for b in app.button if b.label == "Find scenes").click()
    run(app)
    work_off(workspace)
    run(app)
    told = read_text(app)
    assert "**7 scenes** for 2000/2100" in told
    assert "stated by the catalog" in told
    assert "Predicted cost" in told
    assert "files on disk" in told
    assert "1 scenes cannot be used and would be left out" in told
    next(b for b in app.button if b.label.startswith("Add these 7 scenes")).click()
    run(app)
    work_off(workspace)
    assert workspace.jobs.list_jobs()[0].state is JobState.DONE
    assert len(load_scenes(workspace, "nakuru").scenes) == 7
    page = read_text(open_screen("region", region="nakuru"))
    assert "**1** band missing" in page
    assert "too few valid observations" in page


def test_a_period_that_is_none_is_said_on_the_page(workspace: Workspace, world: World) -> None:
    add_region(workspace, json.dumps(world.targets[0].outline), name="Nakuru", actor="test")
    app = open_screen("new_region")
    app.text_input(key="scenes-period").set_value("some day")
    run(app)
    next(b for b in app.button if b.label == "Find scenes").click()
    run(app)
    assert "the period 'some day' cannot be read" in app.error[0].value
    assert workspace.jobs.list_jobs() == []


def test_scenes_come_back_from_the_region_page(
    workspace: Workspace, world: World, model_bytes: bytes
) -> None:
    register_baseline(workspace, model_bytes)
    made = world.targets[0]
    add_region(workspace, json.dumps(made.outline), name="Nakuru", actor="test")
    add_scenes(workspace, "nakuru", str(made.items_path), actor="test")
    scene = load_scenes(workspace, "nakuru").scenes[0].scene_id
    exclude_by_hand(workspace, "nakuru", [scene], why="smoke", actor="test")
    job = submit_refresh(workspace, "nakuru", by="test")
    claimed = workspace.jobs.claim("w", job_id=job.job_id)
    assert claimed is not None
    workspace.jobs.fail(job.job_id, "w", "item x: file y.tif of band 'nir' cannot be read (404).")
    app = open_screen("region", region="nakuru")
    assert "**1** left out by hand" in read_text(app)
    assert "band 'nir' cannot be read" in read_text(app)
    app.multiselect(key="include-nakuru").set_value([scene])
    run(app)
    next(b for b in app.button if b.label == "Use these scenes again").click()
    run(app)
    assert list_exclusions(workspace, "nakuru").exclusions == ()
    next(b for b in app.button if b.label == "Refresh without unreadable scenes").click()
    run(app)
    assert workspace.jobs.list_jobs()[0].command.arguments == {"leave_out_unreadable": True}
