"""GeoPackage and Shapefile: opened by GDAL from memory, after what could harm is refused."""

from __future__ import annotations

import io
import sqlite3
import zipfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pyogrio.raw
from numpy.typing import NDArray

from geotransfer.errors import LabelsInvalid
from geotransfer.labels.delimited import clean_name, make_unique
from geotransfer.labels.geojson import to_column
from geotransfer.labels.geometries import parse_wkb
from geotransfer.labels.limits import (
    MAX_ARCHIVE_MEMBERS,
    MAX_COLUMNS,
    MAX_ROWS,
    MAX_UNPACKED_BYTES,
    refuse_unreadable,
    shorten,
)
from geotransfer.labels.raw import RawTable

_PARTS = (".shp", ".shx", ".dbf", ".prj", ".cpg")
_NEEDED = (".shp", ".shx", ".dbf")
_EXPORT = "export it again"


@dataclass(frozen=True, slots=True)
class LayerBytes:
    """One layer as bytes GDAL opens from memory."""

    file_name: str
    format: str
    data: bytes
    """A zip without compression, its member named by us: GDAL goes by names, too."""
    layer: str | None
    """Name for GDAL where the bytes hold several."""
    shown: str
    """Name for people."""
    encoding: str | None = None


# --- GeoPackage -------------------------------------------------------------------------------


def wrap_geopackage(data: bytes, file_name: str, *, layer: str) -> LayerBytes:
    """Return one layer of a GeoPackage for ``read_layer``."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as clean:
        clean.writestr("labels.gpkg", leave_write_ahead(data))
    return LayerBytes(file_name, "GeoPackage", packed.getvalue(), layer, layer)


def leave_write_ahead(data: bytes) -> bytes:
    """Return a GeoPackage's bytes out of write-ahead mode, in which memory cannot open them."""
    header = bytearray(data[:100])
    if len(header) == 100 and header[18] == 2:
        header[18] = header[19] = 1
        return bytes(header) + data[100:]
    return data


def list_geopackage_layers(data: bytes, file_name: str) -> tuple[str, ...]:
    """Return the names of a GeoPackage's feature layers, in the order of its contents table.

    Views are refused: reading one runs a query of the file's author, which need not end.

    Raises
    ------
    LabelsInvalid
        It is damaged, is another SQLite database, holds views or no layer.
    """
    with (
        refuse_unreadable(file_name, "the GeoPackage", remedy=_EXPORT),
        closing(sqlite3.connect(":memory:")) as connection,
    ):
        connection.deserialize(leave_write_ahead(data))
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA query_only = ON")
        objects = {
            name: (kind, str(sql or ""))
            for kind, name, sql in connection.execute("SELECT type, name, sql FROM sqlite_master")
            if kind in ("table", "view")
        }
        views = [name for name, (kind, _) in objects.items() if kind == "view"]
        if views:
            raise LabelsInvalid(
                f"{file_name}: {shorten(str(views[0]), limit=30)!r} in it is a view, which runs a"
                " query when it is read; export the labels into a GeoPackage of plain layers."
            )
        if "gpkg_contents" not in objects:
            raise LabelsInvalid(
                f"{file_name}: it is an SQLite database but no GeoPackage; export the labels as"
                " GeoPackage."
            )
        layers = tuple(
            str(name)
            for (name,) in connection.execute(
                "SELECT table_name FROM gpkg_contents WHERE data_type = 'features' LIMIT ?",
                (MAX_COLUMNS,),
            )
        )
        virtual = [n for n in layers if objects.get(n, ("", ""))[1].upper().startswith("CREATE V")]
        if virtual or any(name not in objects for name in layers):
            raise LabelsInvalid(
                f"{file_name}: a layer it lists is no plain table; export the labels again."
            )
    if not layers:
        raise LabelsInvalid(
            f"{file_name}: it holds no layer of features; export the labels into it again."
        )
    return layers


# --- Zipped Shapefile -------------------------------------------------------------------------


def open_archive(data: bytes, file_name: str) -> zipfile.ZipFile:
    """Open a zip archive and refuse one that could harm; nothing is unpacked yet.

    Raises
    ------
    LabelsInvalid
        It is damaged or encrypted, its names leave the archive, it unpacks to too much or holds
        another archive.
    """
    with refuse_unreadable(file_name, "the zip archive", remedy="zip the files again"):
        archive = zipfile.ZipFile(io.BytesIO(data))
        members = archive.infolist()
    if len(members) > MAX_ARCHIVE_MEMBERS:
        raise LabelsInvalid(
            f"{file_name}: the archive holds {len(members):,} files, more than"
            f" {MAX_ARCHIVE_MEMBERS}; zip the parts of one Shapefile only."
        )
    for member in members:
        name = member.filename.replace("\\", "/")
        shown = shorten(name, limit=40)
        if name.startswith("/") or ".." in name.split("/") or ":" in name or "\0" in name:
            raise LabelsInvalid(
                f"{file_name}: the name {shown!r} in the archive leads out of it; zip the files"
                " again without folders."
            )
        if name.lower().endswith((".zip", ".7z", ".rar", ".gz", ".tar", ".tgz", ".kmz", ".bz2")):
            raise LabelsInvalid(
                f"{file_name}: the archive holds another archive, {shown!r}; upload that one by"
                " itself."
            )
        if member.flag_bits & 1:
            raise LabelsInvalid(
                f"{file_name}: {shown!r} in the archive is encrypted; zip the files again without"
                " a password."
            )
    unpacked = sum(member.file_size for member in members)
    if unpacked > MAX_UNPACKED_BYTES:
        raise _refuse_bomb(file_name, f"it says it unpacks to {unpacked / 2**20:,.0f} MiB")
    return archive


def _refuse_bomb(file_name: str, what: str) -> LabelsInvalid:
    return LabelsInvalid(
        f"{file_name}: {what}, more than the {MAX_UNPACKED_BYTES // 2**20} MiB an archive may"
        " hold; upload the labels without other files, or split them."
    )


def list_shapefiles(archive: zipfile.ZipFile, file_name: str) -> dict[str, dict[str, str]]:
    """Return the Shapefiles of an archive: name → suffix → member.

    Raises
    ------
    LabelsInvalid
        There is none, or one lacks a part.
    """
    found: dict[str, dict[str, str]] = {}
    for member in archive.namelist():
        path = PurePosixPath(member.replace("\\", "/"))
        hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
        if path.suffix.lower() in _PARTS and not hidden:
            found.setdefault(str(path.with_suffix("")), {})[path.suffix.lower()] = member
    shapefiles = {stem: parts for stem, parts in found.items() if ".shp" in parts}
    if not shapefiles:
        held = ", ".join(repr(shorten(name, limit=30)) for name in archive.namelist()[:3])
        raise LabelsInvalid(
            f"{file_name}: the archive holds no Shapefile (.shp), but {held or 'nothing'}; zip"
            " .shp, .shx, .dbf and .prj together, or upload another format without zipping it."
        )
    for stem, parts in shapefiles.items():
        missing = [suffix for suffix in _NEEDED if suffix not in parts]
        if missing:
            raise LabelsInvalid(
                f"{file_name}: {shorten(stem, limit=40)}{missing[0]} is missing in the archive;"
                " zip .shp, .shx, .dbf and .prj together."
            )
    return shapefiles


def repack_shapefile(
    archive: zipfile.ZipFile, parts: dict[str, str], file_name: str, *, shown: str
) -> LayerBytes:
    """Unpack one Shapefile in memory, counting, and pack it anew under names of our own.

    GDAL then sees five members with harmless names and no compression.
    """
    budget = MAX_UNPACKED_BYTES
    packed = io.BytesIO()
    encoding = None
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as clean:
        for suffix, member in parts.items():
            with (
                refuse_unreadable(
                    file_name,
                    f"{shorten(member, limit=40)!r} in the archive",
                    remedy="zip the files again",
                ),
                archive.open(member) as file,
            ):
                content = file.read(budget + 1)
            budget -= len(content)
            if budget < 0:
                raise _refuse_bomb(file_name, "it unpacks to more than it says")
            if suffix == ".cpg":
                encoding = _read_code_page(content)
            else:
                clean.writestr(f"labels{suffix}", content)
    return LayerBytes(file_name, "Shapefile", packed.getvalue(), None, shown, encoding)


def _read_code_page(content: bytes) -> str | None:
    """Encoding that a ``.cpg`` names, as Python spells it, or None where it names none."""
    name = content.decode("ascii", errors="ignore").strip().lower()
    name = {"65001": "utf-8", "system": "utf-8", "88591": "iso-8859-1"}.get(name, name)
    name = f"cp{name}" if name.isdigit() else name
    try:
        "é".encode(name)
    except (LookupError, UnicodeError, ValueError):
        return None
    return name


# --- Both -------------------------------------------------------------------------------------


def read_layer(source: LayerBytes) -> RawTable:
    """Read one layer.

    Raises
    ------
    LabelsInvalid
        It is damaged, has no geometry, is empty or too large.
    """
    name = source.file_name
    with refuse_unreadable(name, f"layer {shorten(source.shown, limit=40)!r}", remedy=_EXPORT):
        info = pyogrio.read_info(source.data, layer=source.layer, encoding=source.encoding)
        n_rows, n_columns = int(info["features"]), len(info["fields"])
    if n_rows == 0:
        raise LabelsInvalid(
            f"{name}: layer {shorten(source.shown, limit=40)!r} holds no feature; export the"
            " labels again with all their rows."
        )
    if n_rows > MAX_ROWS or n_columns > MAX_COLUMNS:
        raise LabelsInvalid(
            f"{name}: it holds {n_rows:,} rows and {n_columns:,} columns, a file may have"
            f" {MAX_ROWS:,} and {MAX_COLUMNS:,}; split it."
        )
    with refuse_unreadable(name, f"layer {shorten(source.shown, limit=40)!r}", remedy=_EXPORT):
        meta, blobs, fields = _read_features(source)
    if blobs is None:
        raise LabelsInvalid(
            f"{name}: layer {shorten(source.shown, limit=40)!r} has no geometry; choose another"
            " layer, or export the labels with their places."
        )
    geometry, faults = parse_wkb(list(blobs))
    names = make_unique(clean_name(str(field)) for field in meta["fields"])
    return RawTable(
        file_name=name,
        format=source.format,
        row_word="feature",
        rows=np.arange(1, len(blobs) + 1),
        columns={n: _convert_field(f) for n, f in zip(names, fields, strict=True)},
        geometry=geometry,
        crs=meta["crs"],
        faults=faults,
        layer=source.shown,
        encoding=str(meta.get("encoding") or ""),
    )


def _read_features(
    source: LayerBytes,
) -> tuple[dict[str, Any], NDArray[Any] | None, list[NDArray[Any]]]:
    """Read with the stated encoding, else UTF-8, else Windows-1252: old tables state none."""
    encodings = [source.encoding] if source.encoding else [None]
    if source.format == "Shapefile" and source.encoding is None:
        encodings = ["UTF-8", "CP1252"]
    for encoding in encodings[:-1]:
        try:
            return _read_once(source, encoding)
        except UnicodeDecodeError:
            continue
    return _read_once(source, encodings[-1])


def _read_once(
    source: LayerBytes, encoding: str | None
) -> tuple[dict[str, Any], NDArray[Any] | None, list[NDArray[Any]]]:
    meta, _, blobs, fields = pyogrio.raw.read(
        source.data,
        layer=source.layer,
        encoding=encoding,
        force_2d=True,
        max_features=MAX_ROWS,
        datetime_as_string=True,
    )
    return meta, blobs, list(fields)


def _convert_field(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype.kind in "iuf":
        return values.astype(np.float64)
    if values.dtype.kind in "Mb":
        texts = ["" if text == "NaT" else text for text in values.astype(str).tolist()]
        return to_column(texts)
    return to_column(
        [v if isinstance(v, str) else None if v is None else str(v) for v in values.tolist()]
    )
