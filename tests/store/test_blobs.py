from __future__ import annotations

import errno
from pathlib import Path

import pytest

from geotransfer.core.identity import hash_bytes
from geotransfer.errors import DiskFull, NotFound, StoreError, WorkspaceTooNew
from geotransfer.settings import read_settings
from geotransfer.store.atomic import replace_atomically, write_bytes
from geotransfer.store.blobs import BlobStore
from geotransfer.store.workspace import Workspace, open_workspace


@pytest.fixture(params=["file", "memory"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    url = (tmp_path / "blobs").as_uri() if request.param == "file" else f"memory://{tmp_path.name}"
    return BlobStore(url)


def test_bytes_come_back_under_their_content_id(blobs: BlobStore) -> None:
    blob_id = blobs.put(b"abc")
    assert blob_id == hash_bytes(b"abc")
    assert blobs.put(b"abc") == blob_id
    assert blobs.get(blob_id) == b"abc"
    blobs.erase(blob_id)
    assert not blobs.exists(blob_id)
    with pytest.raises(NotFound, match="may be erased"):
        blobs.get(blob_id)


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "g" * 64, "a" * 63])
def test_only_content_ids_name_blobs(blobs: BlobStore, name: str) -> None:
    with pytest.raises(NotFound, match="not a content id"):
        blobs.get(name)


def test_damaged_bytes_are_found_out(tmp_path: Path) -> None:
    blobs = BlobStore((tmp_path / "blobs").as_uri())
    blob_id = blobs.put(b"abc")
    (tmp_path / "blobs" / blob_id[:2] / blob_id).write_bytes(b"abd")
    with pytest.raises(StoreError, match="damaged"):
        blobs.get(blob_id)


def test_a_full_disk_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("geotransfer.store.atomic.os.fsync", refuse)
    write_target = tmp_path / "folder" / "file.bin"
    with pytest.raises(DiskFull, match="free some space"):
        write_bytes(write_target, b"abc")
    assert list((tmp_path / "folder").iterdir()) == []


def test_a_crash_while_writing_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    write_bytes(target, b"old")
    with pytest.raises(RuntimeError), replace_atomically(target) as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_workspace_of_a_newer_version_is_refused(workspace: Workspace) -> None:
    (workspace.folder / "workspace.json").write_text('{"format": 99}')
    with pytest.raises(WorkspaceTooNew, match="update GeoTransfer"):
        open_workspace(workspace.settings)


def test_a_folder_that_is_no_workspace_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="geotransfer init"):
        open_workspace(read_settings({}, {"workspace": str(tmp_path / "none")}))
