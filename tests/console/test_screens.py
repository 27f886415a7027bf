"""Each screen on a workspace that is empty, prepared or broken: no exception, ever; a next step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from geotransfer.console.screens import region as region_screen
from geotransfer.core.fact import LabelsAdded, RegionAdded
from geotransfer.core.job import Command, JobState
from geotransfer.registry.champions import find_champion
from geotransfer.settings import read_settings
from geotransfer.store.workspace import Workspace, open_workspace
from geotransfer.testing.points import write_points_csv
from geotransfer.testing.world import World
from geotransfer.workflows import fine_tune as fine_tune_module
from geotransfer.workflows.fine_tune import fine_tune_region
from geotransfer.workflows.labels import add_checked, check_file
from geotransfer.workflows.prepare import add_reference_regions
from geotransfer.workflows.refresh import refresh
from tests.workflows.conftest import model_bytes, register_baseline, set_up_region, world

__all__ = ["model_bytes", "world"]

MAIN = Path(__file__).resolve().parents[2] / "geotransfer" / "console" / "main.py"
TIMEOUT_S = 60
PAGES = {
    "regions": "", "region": "region", "explore": "explore", "new_region": "new-region",
    "calibrate": "calibrate", "label_next": "label-next", "compare": "compare",
    "scenes": "scenes", "jobs": "jobs", "cost": "cost",
}  # fmt: skip
"""Addresses people bookmark; the first page has none."""

Open = Callable[..., AppTest]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path / "workspace"
    monkeypatch.setenv("GEOTRANSFER_WORKSPACE", str(path))
    monkeypatch.setenv("GEOTRANSFER_TILE_PX", "48")
    monkeypatch.setenv("GEOTRANSFER_N_THREADS", "1")
    st.cache_resource.clear()
    yield path
    st.cache_resource.clear()


@pytest.fixture
def workspace(folder: Path) -> Workspace:
    settings = read_settings({}, {"workspace": str(folder), "tile_px": 48, "n_threads": 1})
    return open_workspace(settings, create=True)


def open_screen(name: str, **query: str) -> AppTest:
    """Run the entry script as if a browser had opened a page's address."""
    app = AppTest.from_file(str(MAIN), default_timeout=TIMEOUT_S)
    if PAGES[name]:
        # No public way leads AppTest to a page that is a function.
        app._page_hash = calc_hash(PAGES[name])
    for key, value in query.items():
        app.query_params[key] = value
    return run(app)


def run(app: AppTest) -> AppTest:
    app.run()
    assert [e.value for e in app.exception] == []
    return app


def read_text(app: AppTest) -> str:
    """All that a reader sees, in one string."""
    kinds = (
        app.title, app.header, app.subheader, app.markdown, app.caption, app.info, app.warning,
        app.error, app.success,
    )  # fmt: skip
    parts = [str(element.value) for kind in kinds for element in kind]
    parts += [f"{m.label} {m.value}" for m in app.metric]
    return "\n".join(parts)


@pytest.mark.parametrize("name", PAGES)
def test_an_empty_workspace_teaches_the_next_step(folder: Path, name: str) -> None:
    app = open_screen(name)
    told = "\n".join(str(info.value) for info in app.info)
    assert told, read_text(app)
    assert any(
        step in told
        for step in (
            "geotransfer init",
            "Jobs page",
            "Refresh map",
            "Refresh a region",
            "Add a region",
        )
    ), told
    assert list(app.error) == []


@pytest.mark.parametrize("name", PAGES)
def test_a_workspace_of_a_newer_version_is_one_sentence(folder: Path, name: str) -> None:
    folder.mkdir()
    (folder / "workspace.json").write_text('{"format": 999}')
    app = open_screen(name)
    assert len(app.error) == 1
    assert "is of format 999" in app.error[0].value
    assert "update GeoTransfer" in app.error[0].value


@pytest.fixture
def reference(workspace: Workspace) -> Workspace:
    add_reference_regions(workspace, actor="test")
    return workspace


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.usefixtures("reference")
def test_every_screen_renders_with_the_reference_regions(name: str) -> None:
    app = open_screen(name)
    assert list(app.error) == []


def test_the_first_page_shows_every_region_with_its_interval(reference: Workspace) -> None:
    app = open_screen("regions")
    regions = reference.ledger.read(RegionAdded)
    for metric in ("accuracy", "reach", "cost", "gain"):
        app.session_state["metric"] = metric
        table = run(app).dataframe[0].value
        assert list(table["Region"]) == [r.fact.region.name for r in regions]
        if metric == "accuracy":
            assert table["With its interval"].str.fullmatch(r"0\.\d+ \(0\.\d+–0\.\d+\)").all()
            assert (table["Kind"] == "Real · tables").all()
    assert "Reach · Real · tables" in read_text(app)


def test_a_table_region_says_why_it_has_no_map(reference: Workspace) -> None:
    region = reference.ledger.read(RegionAdded)[0].fact.region
    app = open_screen("region", region=region.region_id)
    told = read_text(app)
    assert region.name in told
    assert "without imagery: figures only, no map" in told
    assert "leave-one-region-out" in told.lower()
    assert not [b for b in app.button if b.label == "Refresh map"]


@pytest.fixture
def region_id(workspace: Workspace, world: World, model_bytes: bytes) -> str:
    return set_up_region(workspace, world.targets[0], model_bytes).region.region_id


def press(app: AppTest, label: str) -> AppTest:
    next(button for button in app.button if button.label == label).click()
    return run(app)


def test_refresh_is_queued_once_and_its_progress_is_shown(
    workspace: Workspace, region_id: str
) -> None:
    app = open_screen("region", region=region_id)
    assert "No map yet. Refresh it to make the first map." in read_text(app)
    app.text_input(key="actor").input("ana")
    app = press(run(app), "Refresh map")
    (job,) = workspace.jobs.list_jobs()
    assert (job.command.verb, job.submitted_by) == ("refresh", "ana")
    assert "Refresh queued." in read_text(app)
    assert next(b for b in app.button if b.label == "Refresh map").disabled
    app = open_screen("jobs")
    assert "refresh" in read_text(app)
    app = press(app, "Cancel")
    assert workspace.jobs.find(job.job_id).state is JobState.CANCELLED
    assert "Cancel asked for" in read_text(app)


def test_a_job_that_begins_while_a_page_is_drawn_disables_nothing(
    workspace: Workspace, region_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing on this page would watch for its end, and the button would stay pale for ever.
    def begin() -> str:
        workspace.jobs.submit(Command(verb="audit", region_id=region_id, arguments={}), by="ben")
        return "ana"

    with monkeypatch.context() as patched:
        patched.setattr(region_screen, "find_actor", begin)
        app = open_screen("region", region=region_id)
    assert len(workspace.jobs.list_jobs()) == 1
    assert not next(b for b in app.button if b.label == "Refresh map").disabled
    app = open_screen("region", region=region_id)
    assert next(b for b in app.button if b.label == "Refresh map").disabled


def test_a_failed_job_shows_its_sentence_and_a_retry(workspace: Workspace) -> None:
    job = workspace.jobs.submit(Command(verb="refresh", region_id="a", arguments={}), by="ana")
    workspace.jobs.claim("w")
    workspace.jobs.fail(job.job_id, "w", "blue.tif: cannot be read; fetch it again.")
    app = open_screen("jobs")
    assert [e.value for e in app.error] == ["blue.tif: cannot be read; fetch it again."]
    press(app, "Retry")
    assert workspace.jobs.list_jobs()[0].state is JobState.QUEUED


@pytest.fixture
def mapped(workspace: Workspace, region_id: str) -> str:
    refresh(workspace, region_id, actor="test")
    return region_id


@pytest.mark.parametrize("name", PAGES)
def test_every_screen_renders_with_a_map(mapped: str, name: str) -> None:
    app = open_screen(name, region=mapped)
    assert list(app.error) == []


def test_a_simulated_region_is_called_so(mapped: str) -> None:
    assert "Nothing here says anything about a real place" in read_text(
        open_screen("region", region=mapped)
    )


def test_cost_is_measured_and_money_only_from_a_rate(
    mapped: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = read_text(open_screen("cost"))
    assert "Set `GEOTRANSFER_USD_PER_CPU_HOUR`" in told
    assert "USD per CPU hour" not in told
    monkeypatch.setenv("GEOTRANSFER_USD_PER_CPU_HOUR", "0.05")
    app = open_screen("cost")
    assert "Money at 0.05 USD per CPU hour" in read_text(app)
    assert app.dataframe[0].value["usd"][0] > 0


def test_an_upload_is_checked_kept_tuned_promoted_and_taken_back(
    workspace: Workspace,
    mapped: str,
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The calibrate screen, state by state, as the worker would have left it."""
    monkeypatch.setattr(fine_tune_module, "load_source", lambda *_, **__: (None, "none"))
    app = open_screen("calibrate", region=mapped)
    assert "No calibration labels kept yet." in read_text(app)
    assert "No verdict yet." in read_text(app)

    points = tmp_path / "points.csv"
    write_points_csv(world.targets[0], points, 60, seed=4, n_bad=6)
    checked = check_file(workspace, mapped, points.read_bytes(), points.name)
    fact = add_checked(workspace, mapped, checked, actor="test")
    app = press(open_screen("calibrate", region=mapped), "Fine-tune")
    assert workspace.jobs.list_jobs()[0].command.arguments["labels_id"] == fact.labels_id
    workspace.jobs.cancel(workspace.jobs.list_jobs()[0].job_id)

    done = fine_tune_region(workspace, mapped, labels_id=fact.labels_id, actor="test")
    assert done.model_id is not None
    app = open_screen("calibrate", region=mapped)
    told = read_text(app)
    assert "Accuracy, random beside spatially separated" in told
    assert "enough labels" in told
    app.text_input(key=f"reason-{done.model_id[:8]}").input("agreed after a field visit")
    promote = next(b.label for b in app.button if b.label.startswith("Promote "))
    app = press(run(app), promote)
    assert "serves now" in read_text(app)
    assert find_champion(workspace, mapped) == done.model_id
    assert workspace.jobs.list_jobs()[0].command.verb == "refresh"
    workspace.jobs.cancel(workspace.jobs.list_jobs()[0].job_id)
    refresh(workspace, mapped, actor="test")

    app = open_screen("calibrate", region=mapped)
    assert "Before and after the last change of model" in read_text(app)
    app = press(app, "Roll back")
    assert find_champion(workspace, mapped) is None
    assert "Rolled back" in read_text(app)


def test_a_promotion_that_is_refused_says_why_and_changes_nothing(
    workspace: Workspace, mapped: str, world: World, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(fine_tune_module, "load_source", lambda *_, **__: (None, "none"))
    points = tmp_path / "points.csv"
    write_points_csv(world.targets[0], points, 18, seed=4, n_bad=0)
    checked = check_file(workspace, mapped, points.read_bytes(), points.name)
    labels_id = add_checked(workspace, mapped, checked, actor="test").labels_id
    done = fine_tune_region(workspace, mapped, labels_id=labels_id, actor="test")
    if done.model_id is None:
        assert "Too few labels" in read_text(open_screen("calibrate", region=mapped))
        return
    app = open_screen("calibrate", region=mapped)
    app = press(app, next(b.label for b in app.button if b.label.startswith("Promote ")))
    assert "18 calibration labels; 20 are needed" in app.error[0].value
    assert find_champion(workspace, mapped) is None


def test_erased_labels_vanish_from_the_screen(
    workspace: Workspace, mapped: str, world: World, tmp_path: Path
) -> None:
    points = tmp_path / "points.csv"
    write_points_csv(world.targets[0], points, 20, seed=4, n_bad=0)
    checked = check_file(workspace, mapped, points.read_bytes(), points.name)
    labels_id = add_checked(workspace, mapped, checked, actor="test").labels_id
    app = press(open_screen("calibrate", region=mapped), "Erase")
    assert not workspace.blobs.exists(labels_id)
    assert "Erased" in read_text(app)
    assert workspace.ledger.read(LabelsAdded)[0].fact.labels_id == labels_id


@pytest.mark.parametrize("name", ["region", "explore", "calibrate"])
def test_an_address_of_an_unknown_region_still_opens(mapped: str, name: str) -> None:
    assert list(open_screen(name, region="nowhere").error) == []


def test_a_lost_upload_breaks_no_page(workspace: Workspace, mapped: str) -> None:
    """A fact whose blob is gone, as after a restore from half a backup."""
    fact = LabelsAdded(
        region_id=mapped, labels_id="0" * 64, role="calibration", file_name="lost.csv", n_rows=3,
        n_rejected=0, class_counts={"crop": 3},
    )  # fmt: skip
    workspace.ledger.append(fact, replace(fact, role="holdout"), actor="test")
    assert "No calibration labels kept yet." in read_text(open_screen("calibrate", region=mapped))


def test_a_region_without_scenes_says_how_to_add_them(
    workspace: Workspace, model_bytes: bytes
) -> None:
    from geotransfer.workflows.bouconne import add_bouconne_row

    register_baseline(workspace, model_bytes)
    add_bouconne_row(workspace, actor="test")
    app = open_screen("region", region="bouconne")
    assert "geotransfer demo" in read_text(app)
    app = press(app, "Fetch its scenes")
    assert workspace.jobs.list_jobs()[0].command.verb == "demo"


def test_the_answer_to_a_button_stays_while_the_page_is_drawn_anew(
    workspace: Workspace, region_id: str
) -> None:
    app = press(open_screen("region", region=region_id), "Refresh map")
    told = [message.value for message in app.success]
    assert told
    again = run(app)
    assert [message.value for message in again.success] == told
    again.session_state["notice"] = replace(again.session_state["notice"], until_s=0.0)
    assert not run(again).success
