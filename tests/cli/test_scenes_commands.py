"""`scenes …` through the real entry point: find, add what was found, list, exclude, include."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from geotransfer.cli.root import app
from geotransfer.settings import read_settings
from geotransfer.store.workspace import open_workspace
from geotransfer.testing.world import SimulatedRegion, World
from geotransfer.workflows.regions import add_region
from tests.faulty_server import Server, serve
from tests.stac_api import publish_api
from tests.workflows.test_find_scenes import list_items

Run = Callable[..., str]


@pytest.fixture
def made(world: World) -> SimulatedRegion:
    return world.targets[0]


@pytest.fixture
def run(made: SimulatedRegion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command on a workspace with one region, and return what it printed."""
    folder = tmp_path / "workspace"
    monkeypatch.setenv("GEOTRANSFER_HTTP_RETRIES", "0")
    workspace = open_workspace(read_settings({}, {"workspace": str(folder)}), create=True)
    add_region(workspace, json.dumps(made.outline), name="Nakuru", actor="test")

    def invoke(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, ["--workspace", str(folder), *arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result.stdout if code == 0 else result.stderr

    return invoke


@pytest.fixture
def server(made: SimulatedRegion) -> Iterator[Server]:
    with serve(made.folder) as running:
        yield running


def test_find_then_add_what_was_found(run: Run, server: Server, made: SimulatedRegion) -> None:
    items = list_items(made, server.url)
    del items[2]["assets"]["nir"]
    api = publish_api(server, items, page=3)
    told = run("scenes", "find", "nakuru", "--period", "2000/2100", "--catalog", api)
    lines = told.splitlines()
    assert lines[7] == f"7 scenes from {api}, 7 of them new"
    assert "left out: 1 band missing" in told
    assert "GB (63 stated by the catalog)" in told or "GB (70 stated by the catalog)" in told
    assert "predicted: " in told
    assert "access: 127.0.0.1: anonymous, over http" in told
    next_command = lines[-1].removeprefix("next: geotransfer ")
    added = run(*next_command.split())
    assert "added 7 scenes (0 replaced) to nakuru; next: geotransfer refresh nakuru" in added
    assert "band 'nir' is missing" in added
    assert "band 'nir' is missing" in run("scenes", "exclusions", "nakuru")
    again = run("scenes", "find", "nakuru", "--period", "2000/2100", "--catalog", api)
    assert f"7 scenes from {api}, 0 of them new" in again


def test_scenes_are_left_out_and_used_again(run: Run, made: SimulatedRegion) -> None:
    run("scenes", "add", "nakuru", str(made.items_path))
    scene = json.loads(made.items_path.read_text())["features"][0]["id"]
    assert "no scene is left out" in run("scenes", "exclusions", "nakuru")
    told = run("scenes", "exclude", "nakuru", scene, "--why", "smoke")
    assert "left 1 scene out of nakuru" in told
    told = run("scenes", "exclusions", "nakuru")
    assert "left out: 1 left out by hand" in told
    assert f"  {scene}: smoke" in told
    assert scene not in run("scenes", "list", "nakuru")
    assert "uses 1 scene again" in run("scenes", "include", "nakuru", scene)
    assert scene in run("scenes", "list", "nakuru")


def test_what_cannot_be_asked_is_one_sentence(
    run: Run, made: SimulatedRegion, server: Server
) -> None:
    items = str(made.items_path)
    for arguments, sentence in (
        (("scenes", "find", "nakuru", "--period", "soon", "--catalog", items), "'soon' cannot be"),
        (("scenes", "find", "nowhere", "--period", "2021"), "there is no region 'nowhere'"),
        (("scenes", "add", "nakuru"), "give a catalog, or --found"),
        (("scenes", "add", "nakuru", items, "--found", "x"), "give a catalog, or --found"),
        (("scenes", "add", "nakuru", "--found", "x"), "is no search of this workspace"),
        (("scenes", "add", "nakuru", "https://a.org?token=SECRET"), "carries a key"),
        (("scenes", "add", "nakuru", items, "--period", "1999"), "outside the period"),
    ):
        told = run(*arguments, code=2)
        assert sentence in told
        assert told.startswith("error: ")
        assert told.count("\n") == 1
        assert "SECRET" not in told
    run("scenes", "add", "nakuru", items)
    assert "has no scene 'x'" in run("scenes", "exclude", "nakuru", "x", code=2)
    assert "is not left out" in run("scenes", "include", "nakuru", "x", code=2)
    server.faults.statuses["/gone"] = [403]
    told = run("scenes", "add", "nakuru", f"{server.url}/gone", code=1)
    assert "refuses access (403); set its keys in the environment" in told
