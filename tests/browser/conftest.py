"""A console on a small workspace, and a browser; skipped with a reason where there is none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.console_driver import Browser, Console, find_chromium, open_browser, serve
from geotransfer.settings import read_settings
from geotransfer.store.workspace import open_workspace
from geotransfer.testing.world import World, make_world
from geotransfer.workflows.prepare import (
    add_known_truth,
    add_reference_regions,
    register_shipped_models,
)
from tests.workflows.conftest import set_up_region


@pytest.fixture(scope="session", autouse=True)
def need_chromium() -> None:
    if find_chromium() is not None:
        return
    if os.environ.get("GEOTRANSFER_REQUIRE_BROWSER"):
        pytest.fail("Chromium is not on PATH, and here browser tests must run")
    pytest.skip("Chromium is not on PATH; install the package chromium to run browser tests")


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("browser-world")
    return make_world(("eastern", "western"), 1.0, 3, folder=folder, size_px=128, n_scenes=12)


@pytest.fixture(scope="session")
def console(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """The shipped reference regions and one small simulated region without a map yet."""
    folder = tmp_path_factory.mktemp("browser") / "workspace"
    settings = read_settings({}, {"workspace": str(folder), "tile_px": 64})
    workspace = open_workspace(settings, create=True)
    register_shipped_models(workspace, actor="test")
    add_reference_regions(workspace, actor="test")
    made = world.targets[0]
    set_up_region(workspace, made, None)
    add_known_truth(workspace, made, n=200, actor="test")
    with serve(Path(folder)) as running:
        yield running


@pytest.fixture
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened
