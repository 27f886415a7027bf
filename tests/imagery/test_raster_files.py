"""Files stay open in their thread, and never show what is no longer there."""

from __future__ import annotations

import gc
import os
import threading
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from geotransfer.imagery import raster_files
from geotransfer.imagery.raster_files import close_files, open_raster


@pytest.fixture(autouse=True)
def _closed():
    close_files()
    yield
    close_files()


def write(path: Path, value: int) -> None:
    with rasterio.open(
        path, "w", driver="GTiff", height=4, width=4, count=1, dtype="uint8", crs="EPSG:32631",
        transform=from_origin(0, 0, 10, 10),
    ) as file:  # fmt: skip
        file.write(np.full((4, 4), value, np.uint8), 1)


def count_open() -> int:
    return sum(
        1
        for fd in Path("/proc/self/fd").iterdir()
        if fd.is_symlink() and fd.readlink().suffix == ".tif"
    )


def read(path: Path) -> int:
    with open_raster(str(path)) as file:
        return int(file.dataset.read(1)[0, 0])


def test_a_file_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.tif", 1)
    opened: list[str] = []
    open_file = rasterio.open
    monkeypatch.setattr(
        raster_files.rasterio, "open", lambda href, **k: opened.append(href) or open_file(href, **k)
    )
    assert [read(tmp_path / "a.tif") for _ in range(3)] == [1, 1, 1]
    assert len(opened) == 1


@pytest.mark.parametrize("how", ["replaced", "rewritten"])
def test_a_file_that_changed_is_read_anew(tmp_path: Path, how: str) -> None:
    path = tmp_path / "a.tif"
    write(path, 1)
    os.utime(path, ns=(0, 0))
    assert read(path) == 1
    if how == "replaced":
        write(tmp_path / "b.tif", 2)
        (tmp_path / "b.tif").replace(path)
    else:
        write(path, 2)
    assert read(path) == 2


def test_a_file_that_failed_is_not_kept(tmp_path: Path) -> None:
    write(tmp_path / "a.tif", 1)
    with pytest.raises(ZeroDivisionError), open_raster(str(tmp_path / "a.tif")):
        raise ZeroDivisionError
    assert raster_files._find_shelf().files == {}


def test_the_least_recently_used_is_closed_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raster_files, "_find_limit", lambda: 2)
    for name in "abc":
        write(tmp_path / f"{name}.tif", 1)
    for name in "abac":
        read(tmp_path / f"{name}.tif")
    assert [Path(href).stem for href in raster_files._find_shelf().files] == ["a", "c"]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_a_thread_that_ends_closes_its_files(tmp_path: Path) -> None:
    write(tmp_path / "a.tif", 1)
    before = count_open()
    seen: list[int] = []

    def work() -> None:
        read(tmp_path / "a.tif")
        seen.append(count_open())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    gc.collect()
    assert seen == [before + 1]
    assert count_open() == before
