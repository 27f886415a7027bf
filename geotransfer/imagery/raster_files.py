"""Open raster files, kept by the thread that opened them: opening costs as much as reading a tile.

A GDAL dataset serves one thread at a time, so each thread has a shelf of its own. A file that was
replaced on disk is opened anew, whatever its name; one behind a URL, which cannot be asked cheaply,
is kept for a minute at most. All shelves together hold at most half of the files a process may have
open. A thread that ends closes its files.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import rasterio
from affine import Affine
from rasterio.env import set_gdal_config

from geotransfer.imagery.access import (
    find_access,
    forget_stale,
    is_remote,
    make_gdal_options,
    sign,
)

try:
    import resource
except ImportError:  # Windows has no such limit to ask for.
    resource = None  # type: ignore[assignment]

MAX_OPEN = 2048
"""Most files all threads keep open together."""
KEEP_URL_S = 60.0


@dataclass(frozen=True, eq=False)
class OpenRaster:
    """An open file, with what its dataset would compute again at each question."""

    dataset: rasterio.DatasetReader
    crs: str
    """As rasterio writes it, for example ``EPSG:32631``; empty where the file states none."""
    affine: Affine
    height: int
    width: int
    dtypes: tuple[str, ...]
    state: tuple[int, ...]
    """Identity, size and time of the file when it was opened; empty for a URL."""
    opened_s: float
    run_id: str
    """Run that opened it: another one asks the server again."""


class _Shelf:
    """The open files of one thread, least recently used first."""

    def __init__(self) -> None:
        self.files: OrderedDict[str, OpenRaster] = OrderedDict()


_local = threading.local()
_shelves: weakref.WeakSet[_Shelf] = weakref.WeakSet()
_lock = threading.Lock()


@contextmanager
def open_raster(href: str) -> Iterator[OpenRaster]:
    """Give a file, from the thread's shelf or opened now; it stays on the shelf unless this fails.

    Raises whatever rasterio raises.
    """
    shelf = _find_shelf()
    state = _read_state(href)
    file = shelf.files.pop(href, None)
    if file is not None and not _is_current(file, state):
        file.dataset.close()
        file = None
    if file is None:
        file = _open_file(href, state)
    try:
        yield file
    except BaseException:
        file.dataset.close()
        raise
    shelf.files[href] = file
    limit = _find_limit()
    while len(shelf.files) > limit:
        shelf.files.popitem(last=False)[1].dataset.close()


def close_files() -> None:
    """Close what this thread keeps open."""
    shelf = _find_shelf()
    while shelf.files:
        shelf.files.popitem()[1].dataset.close()


def _find_shelf() -> _Shelf:
    shelf: _Shelf | None = getattr(_local, "shelf", None)
    if shelf is None:
        shelf = _local.shelf = _Shelf()
        with _lock:
            _shelves.add(shelf)
    return shelf


def _find_limit() -> int:
    allowed = MAX_OPEN
    if resource is not None:
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        allowed = MAX_OPEN if soft == resource.RLIM_INFINITY else min(MAX_OPEN, soft // 2)
    return max(1, allowed // max(1, len(_shelves)))


def _read_state(href: str) -> tuple[int, ...]:
    if "://" in href:
        return ()
    try:
        found = Path(href).stat()
    except OSError:
        return ()  # GDAL says what is wrong with it.
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _is_current(file: OpenRaster, state: tuple[int, ...]) -> bool:
    if state:
        return file.state == state
    is_young = time.monotonic() - file.opened_s < KEEP_URL_S
    return is_young and "://" in file.dataset.name and file.run_id == find_access().run_id


def _open_file(href: str, state: tuple[int, ...]) -> OpenRaster:
    access = find_access()
    if is_remote(href):
        forget_stale(href, access)
        with rasterio.Env(**make_gdal_options(access, [href])):
            dataset = rasterio.open(sign(href, access), sharing=False)
    else:
        dataset = rasterio.open(href, sharing=False)
    crs = dataset.crs
    return OpenRaster(
        dataset=dataset,
        crs="" if crs is None else str(crs),
        affine=dataset.transform,
        height=dataset.height,
        width=dataset.width,
        dtypes=dataset.dtypes,
        state=state,
        opened_s=time.monotonic(),
        run_id=access.run_id,
    )


def limit_cache(cache_bytes: int) -> None:
    """Let GDAL keep this many bytes of decoded blocks, of all files and threads together."""
    set_gdal_config("GDAL_CACHEMAX", cache_bytes)
