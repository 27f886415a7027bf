"""The cube: pixels already read, one file a scene and tile, named by their content.

A file holds every band of one scene on one tile as read and normalised, so that computing a pixel
anew opens no scene again. Equal pixels are one file however often they were published. The cube is
bounded: what was used least recently goes first, and whatever is gone is read from its scene again.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xxhash
from numpy.typing import NDArray

from geotransfer.store.atomic import replace_atomically

SUFFIX = ".px"
USED_S = 600
"""How exactly it is remembered when a file was used last."""
TRIM_TO = 0.9
"""Trimming leaves this share of the limit, so that it happens seldom."""


def hash_pixels(dn: NDArray[np.int16], valid: NDArray[np.bool_], place: str) -> str:
    """Return the content id of one scene's pixels on one tile.

    Parameters
    ----------
    dn
        Normalised digital numbers, shape (band, y, x); zero where not valid.
    valid
        Where the scene shows the ground, shape (y, x).
    place
        Id of grid and tile: the same numbers elsewhere are other pixels.
    """
    digest = xxhash.xxh3_128(np.ascontiguousarray(dn).data)
    digest.update(np.packbits(valid).data)
    digest.update(f"{dn.shape}{place}".encode())
    return digest.hexdigest()


@dataclass
class Cube:
    """A bounded folder of pixels; safe to share between threads and processes.

    Attributes
    ----------
    folder
        Where the files are.
    limit_bytes
        Disk it may use; 0: nothing is kept.
    """

    folder: Path
    limit_bytes: int
    _size: int | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, pixels_id: str, dn: NDArray[np.int16], valid: NDArray[np.bool_]) -> None:
        """Keep pixels under their id; what is there already is only marked as used."""
        path = self._locate(pixels_id)
        n_bytes = -(-valid.size // 8) + dn.nbytes
        if n_bytes > self.limit_bytes:
            return
        if path.exists():
            self._touch(path)
            return
        bits = np.packbits(valid)
        with replace_atomically(path) as temporary, temporary.open("wb") as file:
            file.write(np.ascontiguousarray(dn).data)
            file.write(bits.data)
        with self._lock:
            self._size = self.measure() if self._size is None else self._size + n_bytes
            if self._size > self.limit_bytes:
                self._size = self._trim()

    def get(
        self, pixels_id: str, shape: tuple[int, int, int]
    ) -> tuple[NDArray[np.int16], NDArray[np.bool_]] | None:
        """Return pixels of ``shape`` (band, y, x) and their mask (y, x); None if not kept.

        The numbers are read as they are used: a few pixels of a large tile cost few pages.
        """
        n_bands, height, width = shape
        n_values = n_bands * height * width
        path = os.path.join(self.folder, pixels_id[:2], pixels_id + SUFFIX)  # noqa: PTH118  # a fifth of the time
        try:
            handle = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            stat = os.fstat(handle)
            if stat.st_size != 2 * n_values + -(-height * width // 8):
                return None
            if time.time() - stat.st_mtime > USED_S:
                os.utime(handle)
            view = mmap.mmap(handle, 0, access=mmap.ACCESS_READ)
        finally:
            os.close(handle)
        dn = np.frombuffer(view, dtype=np.int16, count=n_values).reshape(shape)
        bits = np.frombuffer(view, dtype=np.uint8, offset=2 * n_values)
        valid = np.unpackbits(bits, count=height * width).view(np.bool_).reshape(height, width)
        return dn, valid

    def measure(self) -> int:
        """Return the bytes in use."""
        return sum(size for _, size, _ in self._list())

    def _locate(self, pixels_id: str) -> Path:
        return self.folder / pixels_id[:2] / f"{pixels_id}{SUFFIX}"

    def _touch(self, path: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.utime(path)

    def _list(self) -> list[tuple[int, int, Path]]:
        """Return time of last use, size and path of every file."""
        found = []
        for path in self.folder.glob(f"??/*{SUFFIX}"):
            with contextlib.suppress(FileNotFoundError):
                stat = path.stat()
                found.append((stat.st_mtime_ns, stat.st_size, path))
        return found

    def _trim(self) -> int:
        """Remove what was used least recently and return the bytes that are left."""
        files = sorted(self._list())
        total = sum(size for _, size, _ in files)
        for _, size, path in files:
            if total <= TRIM_TO * self.limit_bytes:
                break
            path.unlink(missing_ok=True)
            total -= size
        return total
