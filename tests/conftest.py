"""Fixtures that several packages share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from geotransfer.settings import Settings, read_settings
from geotransfer.store.workspace import Workspace, open_workspace

ROOT = Path(__file__).resolve().parents[1]
MAIN = sys.modules["__main__"]


class Clock:
    """A clock that tests move by hand."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture(autouse=True)
def keep_main_module() -> Iterator[None]:
    """Put `__main__` back: Streamlit's AppTest leaves its script there, and spawned processes of
    later tests would run it."""
    sys.modules["__main__"] = MAIN
    yield
    sys.modules["__main__"] = MAIN


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_settings(tmp_path: Path) -> Callable[..., Settings]:
    def make(**overrides: object) -> Settings:
        return read_settings({}, {"workspace": str(tmp_path / "workspace"), **overrides})

    return make


@pytest.fixture
def workspace(make_settings: Callable[..., Settings], clock: Clock) -> Workspace:
    return open_workspace(make_settings(), clock=clock, create=True)


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """Folder with the reference data, or a skip that says what is missing."""
    folder = Path(os.environ.get("GEOTRANSFER_REFERENCE_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "deafrica-cropland-2019").exists():
        pytest.skip(f"reference data not found in {folder}; set GEOTRANSFER_REFERENCE_DATA")
    return folder
