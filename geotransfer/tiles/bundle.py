"""Everything of a region in one ZIP archive, written while it is sent: nothing is held whole."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from geotransfer.tiles.catalog import RasterEntry, RegionFiles
from geotransfer.tiles.styles import make_qml

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file of an archive."""

    name: str
    source: Path | Callable[[], bytes]
    """A file, or what makes its bytes when its turn comes."""


def list_members(
    rasters: Mapping[str, RasterEntry], files: RegionFiles, region_id: str
) -> Iterator[Member]:
    """Return what the archive of a region holds: rasters, their styles, every other file."""
    for layer, entry in rasters.items():
        if entry.path.stem != layer:  # one band of a file that is in the archive whole
            continue
        yield Member(name=f"{region_id}/{layer}.tif", source=entry.path)
        # The same name beside the raster: QGIS then takes the style by itself.
        yield Member(name=f"{region_id}/{layer}.qml", source=partial(make_qml, entry))
    for name in files.list_files(region_id):
        source = partial(_make_bytes, files, region_id, name)
        yield Member(name=f"{region_id}/{name}", source=source)


def _make_bytes(files: RegionFiles, region_id: str, name: str) -> bytes:
    return files.make_file(region_id, name)[0]


class _Outbox(io.RawIOBase):
    """Collects what the archive writes until it is taken away; cannot seek."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object, /) -> int:
        part = bytes(data)  # type: ignore[call-overload]  # any buffer
        self._parts.append(part)
        return len(part)

    def take(self) -> bytes:
        whole = b"".join(self._parts)
        self._parts.clear()
        return whole


def stream_archive(members: Iterable[Member]) -> Iterator[bytes]:
    """Yield a ZIP archive piece by piece; rasters are compressed already and are only stored."""
    outbox = _Outbox()
    with zipfile.ZipFile(outbox, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for member in members:
            if isinstance(member.source, Path):
                info = zipfile.ZipInfo(member.name)
                with (
                    member.source.open("rb") as file,
                    archive.open(info, "w", force_zip64=True) as entry,
                ):
                    while chunk := file.read(CHUNK_BYTES):
                        entry.write(chunk)
                        yield outbox.take()
            else:
                data = member.source()
                archive.writestr(zipfile.ZipInfo(member.name), data, zipfile.ZIP_DEFLATED)
            yield outbox.take()
    yield outbox.take()
