"""Scenes, jobs and cost as somebody who runs the service meets them."""

from __future__ import annotations

import pytest

from geotransfer.core.cost import RunCost
from geotransfer.core.decision import DecidedBy
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.schedule import find_schedule, set_schedule
from tests.console.test_screens import (
    folder,
    model_bytes,
    open_screen,
    press,
    read_text,
    region_id,
    run,
    workspace,
    world,
)
from tests.workflows.refresh_facts import add_refresh, make_audit, make_decision, make_tile

__all__ = ["folder", "model_bytes", "region_id", "workspace", "world"]


@pytest.fixture
def decided(workspace: Workspace, region_id: str) -> str:
    """A region whose last refresh skipped, kept and computed."""
    decisions = [
        make_decision("s1", "r000c000", DecidedBy.METADATA),
        make_decision("s2", "r000c000", DecidedBy.JUDGEMENT),
        make_decision("s2", "r000c001", DecidedBy.COMPUTED),
    ]
    tiles = [make_tile("r000c000"), make_tile("r000c001")]
    add_refresh(
        workspace, region_id, decisions=decisions, tiles=tiles, n_judged=40, n_computed=1, n_kept=1,
        cost=RunCost(cpu_s=2.0), avoided=RunCost(cpu_s=1000.0),
    )  # fmt: skip
    return region_id


def test_scenes_tell_what_was_decided_and_not_yet_certified(
    workspace: Workspace, decided: str
) -> None:
    app = open_screen("scenes", region=decided)
    told = read_text(app)
    assert "Saved so far 16.7 CPU-min" in told
    assert "Stale pixels, at most not yet certified" in told
    assert "No scene is left out." in told
    table = next(d.value for d in app.dataframe if "Tiles" in d.value)
    rows = dict(zip(table["Scene"], table["Tiles"], strict=True))
    assert rows["s2"] == "1 judgement, 1 computed"
    assert rows["s1"] == "1 metadata"
    workspace.ledger.append(make_audit(decided), actor="test")
    told = read_text(open_screen("scenes", region=decided))
    assert "Stale pixels, at most 0.80%" in told


def test_a_schedule_is_set_on_the_page_and_another_persons_change_is_seen(
    workspace: Workspace, decided: str
) -> None:
    app = open_screen("scenes", region=decided)
    app.selectbox(key=f"schedule-{decided}").select("1d")
    app = run(app)
    found = find_schedule(workspace, decided)
    assert found is not None
    assert found.every_s == 86400
    assert "Due now" in read_text(app)
    assert "Scheduled" in read_text(open_screen("jobs"))
    set_schedule(workspace, decided, "off", actor="bo")
    app = run(app)
    assert app.selectbox(key=f"schedule-{decided}").value == "off"
    assert find_schedule(workspace, decided) is None, "looking writes nothing back"


def test_work_is_started_from_the_jobs_page_with_its_cost_before(
    workspace: Workspace, decided: str
) -> None:
    app = open_screen("jobs")
    assert "its cost is not known" in read_text(app)
    app = press(app, "Start")
    (job,) = workspace.jobs.list_jobs()
    assert job.command.verb == "refresh"
    workspace.jobs.claim("w")
    workspace.jobs.report(job.job_id, "w", done=1, planned=4, more_cpu_s=3.0, message="tile 1")
    assert "3.0 CPU-s" in read_text(run(app))
    workspace.jobs.finish(job.job_id, "w", {"n_computed": 2, "n_kept": 2})
    app = run(app)
    assert "median of the last job of this kind here" in read_text(app)
    table = next(d.value for d in app.dataframe if "Said" in d.value)
    assert table["Said"][0] == "2 tiles computed, 2 kept"
