"""Every command through the real entry point: what it prints, its exit code, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from geotransfer import __version__
from geotransfer.cli import output as cli_output
from geotransfer.cli.root import app
from geotransfer.core.fact import ModelPromoted
from geotransfer.core.legend import CROPLAND
from geotransfer.registry.champions import find_champion
from geotransfer.settings import read_settings
from geotransfer.store.workspace import Workspace, open_workspace
from geotransfer.testing.points import write_points_csv
from geotransfer.testing.world import World
from geotransfer.workflows import fine_tune as fine_tune_module
from tests.workflows.conftest import register_baseline


@dataclass(frozen=True)
class Told:
    """What a command came to."""

    code: int
    out: str
    error: str

    @property
    def plain(self) -> object:
        return json.loads(self.out)


Run = Callable[..., Told]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "workspace"


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command on the workspace as a shell would, in this process."""
    monkeypatch.setenv("GEOTRANSFER_N_THREADS", "1")
    monkeypatch.setenv("GEOTRANSFER_TILE_PX", "48")
    monkeypatch.setattr(cli_output, "CLAIM_AFTER_S", 0.0)
    monkeypatch.setattr(cli_output, "POLL_S", 0.02)

    def invoke(*arguments: str, is_json: bool = False) -> Told:
        options = ["--workspace", str(folder), *(["--json"] if is_json else [])]
        result = CliRunner().invoke(app, [*options, *arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Told(result.exit_code, result.stdout, result.stderr)

    return invoke


def refuse(told: Told, sentence: str, *, code: int = 2) -> None:
    """One line on stderr, nothing on stdout, the right exit code."""
    assert told.code == code, told
    assert told.out == ""
    assert told.error.startswith("error: ")
    assert told.error.count("\n") == 1, told.error
    assert sentence in told.error


@pytest.fixture
def workspace(folder: Path, model_bytes: bytes) -> Workspace:
    """Empty but for a small global model."""
    opened = open_workspace(read_settings({}, {"workspace": str(folder)}), create=True)
    register_baseline(opened, model_bytes)
    return opened


@pytest.fixture
def region(workspace: Workspace, world: World, run: Run) -> str:
    """A region with scenes, added as a person adds it."""
    made = world.targets[0]
    assert run("regions", "add", str(made.outline_path), "--name", "Nakuru").code == 0
    assert run("scenes", "add", "nakuru", str(made.items_path)).code == 0
    return "nakuru"


def test_the_whole_tour_in_a_shell(
    workspace: Workspace,
    region: str,
    world: World,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """README's tour, command by command: each says what it did and names the next."""
    monkeypatch.setattr(fine_tune_module, "load_source", lambda *_, **__: (None, "none"))
    planned = run("refresh", region, "--dry-run")
    assert "4 tiles  never computed" in planned.out
    first = run("refresh", region)
    assert first.out == "nakuru: computed 4 tiles, re-predicted 0; kept 0\n"
    assert "no worker took the job; this command runs it itself" in first.error
    again = run("refresh", region, "--here", is_json=True)
    assert (again.code, again.plain["n_computed"], again.plain["n_kept"]) == (0, 0, 4)
    assert "nothing to compute: nothing changed" in run("refresh", region, "--here").out

    points, bad = tmp_path / "points.csv", tmp_path / "bad.csv"
    write_points_csv(world.targets[0], points, 60, seed=4, n_bad=6)
    checked = run("labels", "check", str(points), "--region", region, "--rejected", str(bad))
    assert checked.code == 2
    assert "59 good rows, 7 rejected" in checked.out, "two contradict each other: neither is kept"
    assert checked.error.count("points.csv, ") == 7
    assert len(bad.read_text().splitlines()) == 8
    assert "no labels yet" in run("labels", "list", region).out

    tuned = run("fine-tune", region, "--labels", str(points), "--here", is_json=True)
    assert tuned.code == 0, tuned.error
    model_id = str(tuned.plain["model_id"])
    assert tuned.plain["verdict"]["reasons"]
    assert "verdict: " in run("verdict", region).out

    reason = ("--reason", "agreed after a field visit")
    promoted = run("promote", region, model_id[:12], *reason, "--here")
    assert promoted.code == 0, promoted.error
    assert "now serves nakuru" in promoted.out
    assert find_champion(workspace, region) == model_id
    refuse(run("promote", region, model_id[:12], *reason), "already serves", code=1)
    back = run("rollback", region, "--here")
    assert "served by the global model again" in back.out
    refuse(run("rollback", region), "nothing to roll back")

    history = run("history", region, is_json=True).plain
    whats = [entry["what"] for entry in history]
    assert whats.index("model rolled back") < whats.index("model promoted"), "newest first"
    assert "the global model, map none" in run("history", region, "--as-of", "2020-01-01").out
    assert run("cost").out.splitlines()[1].startswith("nakuru")
    listed = run("regions", "list", is_json=True).plain
    assert [view["region"]["region_id"] for view in listed] == [region]
    states = {job["state"] for job in run("jobs", is_json=True).plain}
    assert states == {"done"}


def test_labels_are_kept_listed_and_erased(
    region: str, world: World, run: Run, tmp_path: Path
) -> None:
    points = tmp_path / "points.csv"
    write_points_csv(world.targets[0], points, 20, seed=4, n_bad=1)
    added = run("labels", "add", region, str(points), "--holdout")
    assert "kept 20 holdout labels" in added.out
    assert "rejected 1" in added.out
    listed = run("labels", "list", region, is_json=True).plain
    labels_id = listed[0]["labels_id"]
    refuse(run("fine-tune", region), "has no calibration labels; give a file with --labels")
    assert run("labels", "erase", region, labels_id[:12]).code == 0
    assert "erased" in run("labels", "list", region).out.splitlines()[1]
    refuse(run("labels", "erase", region, "abcdef"), "has no labels 'abcdef'")


def test_evaluation_needs_a_map_then_a_holdout_set_then_judges(
    region: str, world: World, run: Run, tmp_path: Path
) -> None:
    refuse_job(run("evaluate", region, "--here"), "has no map yet; run `geotransfer refresh nakuru")
    run("refresh", region, "--here")
    refuse_job(run("evaluate", region, "--here"), "has no holdout set")
    points = tmp_path / "points.csv"
    write_points_csv(world.targets[0], points, 60, seed=4, n_bad=0)
    run("labels", "add", region, str(points), "--holdout")
    judged = run("evaluate", region, "--here")
    assert judged.code == 0, judged.error
    assert "balanced accuracy 0." in judged.out


def refuse_job(told: Told, sentence: str) -> None:
    """A job's failure: progress lines, then the error as the last line; exit code 1."""
    assert told.code == 1
    assert told.out == ""
    assert told.error.splitlines()[-1].startswith("error: ")
    assert sentence in told.error.splitlines()[-1]


def test_jobs_are_listed_cancelled_and_retried(workspace: Workspace, run: Run) -> None:
    from geotransfer.core.job import Command

    assert run("jobs").out == "no jobs yet\n"
    job = workspace.jobs.submit(Command(verb="refresh", region_id="a", arguments={}), by="ana")
    assert "refresh a" in run("jobs").out
    assert "cancelled, cancel asked for" in run("jobs", "cancel", job.job_id).out
    refuse(run("jobs", "cancel", job.job_id), "has already ended (cancelled)")
    assert run("jobs", "retry", job.job_id, is_json=True).plain["state"] == "queued"
    refuse(run("jobs", "retry", "j0"), "there is no job 'j0'")


def test_init_empty_is_there_at_once_and_twice_is_harmless(folder: Path, run: Run) -> None:
    for _ in range(2):
        told = run("init", "--empty", is_json=True)
        assert told.code == 0
        assert told.plain == {"workspace": str(folder)}
    assert run("regions", "list").out == "no regions yet; run `geotransfer init`\n"
    assert run("cost").out == "nothing has run yet\n"
    assert run("cost", is_json=True).plain == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("regions", "list"),
        ("refresh", "nakuru"),
        ("jobs",),
        ("history", "nakuru"),
        ("labels", "check", __file__),
    ],
    ids=" ".join,
)
def test_without_a_workspace_the_remedy_is_named(arguments: tuple[str, ...], run: Run) -> None:
    refuse(run(*arguments), "is not a workspace; run `geotransfer init --workspace")


def test_a_workspace_of_a_newer_version_is_left_alone(folder: Path, run: Run) -> None:
    folder.mkdir()
    (folder / "workspace.json").write_text('{"format": 999}')
    for arguments in (("regions", "list"), ("init", "--empty"), ("worker", "--until-idle")):
        refuse(run(*arguments), "is of format 999, this version reads up to", code=1)
    assert [p.name for p in folder.iterdir()] == ["workspace.json"], "nothing was written"


def test_a_damaged_workspace_is_named(folder: Path, run: Run) -> None:
    folder.mkdir()
    (folder / "workspace.json").write_text("{")
    refuse(run("regions", "list"), "workspace.json cannot be read", code=1)


def test_a_workspace_that_is_a_file_is_one_sentence(folder: Path, run: Run) -> None:
    folder.write_text("I am a file")
    refuse(run("init", "--empty"), "check the folder's rights", code=1)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("regions", "add", "no.geojson"), "no.geojson: there is no such file"),
        (("scenes", "add", "nowhere", "items.json"), "there is no region 'nowhere'"),
        (("scenes", "list", "nowhere"), "there is no region 'nowhere'"),
        (("refresh", "nowhere", "--dry-run"), "there is no region 'nowhere'"),
        (("verdict", "nowhere"), "has no verdict yet"),
        (("promote", "nowhere", "abcdef"), "there is no region 'nowhere'"),
        (("rollback", "nowhere"), "there is no region 'nowhere'"),
        (("history", "nowhere", "--as-of", "yesterday"), "write 2026-05-31"),
        (("history", "nowhere", "--as-of", "2026-05-31"), "there is no region 'nowhere'"),
        (("history", "nowhere"), "there is no region 'nowhere'"),
        (("labels", "list", "nowhere"), "there is no region 'nowhere'"),
        (("labels", "check", "no.csv"), "no.csv: there is no such file"),
        (("labels", "check", __file__, "--map", "maize"), "lacks an equals sign"),
        (("import", "deafrica", "."), "no table found"),
        (("train", "."), "no table"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
@pytest.mark.usefixtures("workspace")
def test_what_cannot_be_used_is_one_sentence(
    arguments: tuple[str, ...],
    sentence: str,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    refuse(run(*arguments), sentence)


def test_what_of_a_catalog_cannot_be_used_is_left_out_and_named(
    region: str, own_world: World, run: Run, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    refuse(run("scenes", "add", region, str(empty)), str(empty))
    items = own_world.targets[0].items_path
    whole = json.loads(items.read_text())
    shortened = json.loads(items.read_text())
    del shortened["features"][0]["assets"]["nir"]
    items.write_text(json.dumps(shortened))
    told = run("scenes", "add", region, str(items))
    assert told.code == 0
    assert "left out: 1 band missing" in told.out
    assert "nir" in told.out
    items.write_text(json.dumps(whole))
    next(items.parent.rglob("*.tif")).unlink()
    told = run("scenes", "add", region, str(items))
    assert told.code == 0
    assert "left out: 1 file unreadable" in told.out
    assert "restore it" in told.out


@pytest.mark.parametrize(
    ("variable", "value"),
    [("GEOTRANSFER_PORT", "many"), ("GEOTRANSFER_TILE_PX", "3"), ("GEOTRANSFER_LEASE_S", "nan")],
)
def test_a_bad_setting_is_one_sentence(
    variable: str, value: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    refuse(run("regions", "list"), value)


def test_wrong_usage_is_exit_code_2(run: Run) -> None:
    assert run("levitate").code == 2
    assert run("refresh").code == 2
    assert run("serve", "--port", "700000").code == 2


def test_the_version_is_printed(run: Run) -> None:
    assert run("--version").out == f"{__version__}\n"


def test_a_command_loads_no_science_before_it_needs_any() -> None:
    code = (
        "import sys, geotransfer.cli.root\n"
        "print(sorted({'numpy', 'pandas', 'geopandas', 'pyarrow', 'rasterio', 'numba'}"
        " & set(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout
    assert found.strip() == "[]"


def test_an_accented_class_is_mapped_on_purpose_only(
    region: str, world: World, run: Run, tmp_path: Path
) -> None:
    points = tmp_path / "points.csv"
    write_points_csv(world.targets[0], points, 20, seed=4, n_bad=0)
    points.write_text(points.read_text().replace("non-crop", "forêt dense"), encoding="utf-8")
    unknown = run("labels", "check", str(points), "--region", region)
    assert unknown.code == 2
    assert "forêt dense" in unknown.error
    mapped = run(
        "labels", "check", str(points), "--region", region, "--map", "forêt dense=non-crop"
    )
    assert mapped.code == 0, mapped.error
    assert CROPLAND.names == ("non-crop", "crop")


def test_demo_offline_says_how_to_go_on(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from geotransfer.errors import NotFound
    from geotransfer.workflows import bouconne

    def fail() -> bytes:
        raise NotFound("the Bouconne archive could not be downloaded; run it again.")

    monkeypatch.setattr(bouconne, "download_archive", fail)
    refuse_job(run("demo", "--here"), "could not be downloaded")
    assert "geotransfer demo" in json.dumps(run("regions", "list", is_json=True).plain)


def test_promotion_without_a_passed_gate_writes_nothing(
    workspace: Workspace, region: str, world: World, run: Run, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(fine_tune_module, "load_source", lambda *_, **__: (None, "none"))
    run("refresh", region, "--here")
    points = tmp_path / "points.csv"
    write_points_csv(world.targets[0], points, 16, seed=4, n_bad=0)
    tuned = run("fine-tune", region, "--labels", str(points), "--here", is_json=True)
    assert tuned.code == 0, tuned.error
    model_id = tuned.plain["model_id"]
    if model_id is None:
        assert tuned.plain["verdict"]["kind"] == "too_few_labels"
    else:
        told = run("promote", region, model_id, "--reason", "I would like it very much")
        refuse(told, "16 calibration labels; 20 are needed", code=1)
    assert workspace.ledger.read(ModelPromoted) == []


def test_worker_until_idle_runs_what_waits(workspace: Workspace, region: str, run: Run) -> None:
    from geotransfer.workflows.submit import submit_refresh

    submit_refresh(workspace, region, by="ana")
    assert run("worker", "--until-idle", is_json=True).plain == {"n_run": 1}
