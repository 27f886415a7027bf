"""Files appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from geotransfer.errors import DiskFull, StoreError


@contextlib.contextmanager
def replace_atomically(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; on success it takes the place of ``path``.

    Raises
    ------
    DiskFull
        No space was left. Whatever was half written is removed first.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".part-", suffix=path.suffix)
        os.close(handle)
    except OSError as error:
        raise_store_error(error, path)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes private files; ours are for the analyst's GIS too.
        temporary.chmod(0o666 & ~_read_umask())
        temporary.replace(path)
    except OSError as error:
        raise_store_error(error, path)
    finally:
        temporary.unlink(missing_ok=True)


def _read_umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` atomically and durably."""
    with replace_atomically(path) as temporary, temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def raise_store_error(error: OSError, path: Path) -> NoReturn:
    """Turn an operating system's error into a sentence with the remedy."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        raise DiskFull(
            f"{path}: no space left on the disk, nothing was written; free some space and run"
            " the same command again."
        ) from error
    raise StoreError(f"{path}: {error.strerror or error}; check the folder's rights.") from error
