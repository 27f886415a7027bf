"""What a file is by its bytes, whatever its name says, and its layers."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import PurePosixPath

from geotransfer.errors import LabelsInvalid
from geotransfer.labels.delimited import read_delimited
from geotransfer.labels.geojson import read_geojson
from geotransfer.labels.geoparquet import read_geoparquet
from geotransfer.labels.limits import MAX_UPLOAD_BYTES, shorten
from geotransfer.labels.ogr import (
    list_geopackage_layers,
    list_shapefiles,
    open_archive,
    read_layer,
    repack_shapefile,
    wrap_geopackage,
)
from geotransfer.labels.raw import RawTable

FORMATS = "CSV, GeoJSON, GeoPackage, zipped Shapefile or GeoParquet"
_SUFFIXES = {
    ".csv": "CSV", ".tsv": "CSV", ".txt": "CSV", ".tab": "CSV",
    ".json": "GeoJSON", ".geojson": "GeoJSON",
    ".gpkg": "GeoPackage", ".zip": "Shapefile",
    ".parquet": "GeoParquet", ".geoparquet": "GeoParquet", ".pq": "GeoParquet",
}  # fmt: skip
_FOREIGN = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook (.xls)"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "a picture (PNG)"),
    (b"\xff\xd8\xff", "a picture (JPEG)"),
    (b"GIF8", "a picture (GIF)"),
    (b"II*\x00", "a raster (TIFF)"),
    (b"MM\x00*", "a raster (TIFF)"),
    (b"II+\x00", "a raster (BigTIFF)"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x00\x00\x27\x0a", "one part of a Shapefile (.shp or .shx)"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"fgb\x03", "a FlatGeobuf"),
    (b"ARROW1", "an Arrow file"),
)
"""Files people mistake for labels, by their first bytes."""
_PICKLE = re.compile(rb"\x80[\x02-\x05][\x95\x8c\x7d\x5d\x28cK]", re.DOTALL)
_MARKUP = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:\?xml|!doctype|html|kml|gml|svg)", re.IGNORECASE)
_JSON = re.compile(rb"(?:\xef\xbb\xbf)?\s*[{\[]")


def read_raw(
    data: bytes,
    file_name: str,
    *,
    layer: str | None = None,
    spec_names: frozenset[str] = frozenset(),
) -> RawTable:
    """Read a file by what its bytes are; a warning says where its name says otherwise.

    Parameters
    ----------
    layer
        Which layer of a GeoPackage, or Shapefile of an archive; needed where there are several.
    spec_names
        Names of feature columns, by which a delimited header may be recognised.

    Raises
    ------
    LabelsInvalid
        The file is of no format that is read, damaged, too large, or has several layers and none
        was chosen.
    """
    file_name = shorten(file_name, limit=80) or "the upload"
    check_size(data, file_name)
    kind = sniff_format(data, file_name)
    if kind in ("GeoPackage", "Shapefile"):
        table = _read_layered(data, file_name, kind=kind, layer=layer)
    elif layer is not None:
        raise LabelsInvalid(f"{file_name}: a {kind} file has no layers; choose none.")
    elif kind == "GeoJSON":
        table = read_geojson(data, file_name)
    elif kind == "GeoParquet":
        table = read_geoparquet(data, file_name)
    else:
        table = read_delimited(data, file_name, spec_names=spec_names)
    promised = _SUFFIXES.get(PurePosixPath(file_name).suffix.lower())
    if promised not in (None, kind):
        warning = f"{file_name} is a {kind} file by its content and was read as one."
        table = replace(table, warnings=(warning, *table.warnings))
    return table


def check_size(data: bytes, file_name: str) -> None:
    """Refuse an empty or too large upload.

    Raises
    ------
    LabelsInvalid
        It is either.
    """
    if not data:
        raise LabelsInvalid(
            f"{file_name} is empty (0 bytes); export the labels again, or upload another file."
        )
    if len(data) > MAX_UPLOAD_BYTES:
        raise LabelsInvalid(
            f"{file_name}: it has {len(data) / 2**20:,.0f} MiB, more than the"
            f" {MAX_UPLOAD_BYTES // 2**20} MiB an upload may have; split it, or leave out columns"
            " that are not needed."
        )


def sniff_format(data: bytes, file_name: str) -> str:
    """Return ``CSV``, ``GeoJSON``, ``GeoPackage``, ``Shapefile`` (zipped) or ``GeoParquet``.

    Raises
    ------
    LabelsInvalid
        The bytes are those of another kind of file; the message names it.
    """
    if data.startswith(b"PK"):
        if b"[Content_Types].xml" in data[:4096] or b"xl/workbook.xml" in data:
            raise _refuse_excel(file_name, "an Excel workbook (.xlsx)")
        if b"mimetypeapplication/vnd.oasis.opendocument" in data[:200]:
            raise _refuse_excel(file_name, "an OpenDocument spreadsheet (.ods)")
        return "Shapefile"
    if data.startswith(b"SQLite format 3\0"):
        return "GeoPackage"
    if data.startswith(b"PAR1"):
        return "GeoParquet"
    foreign = next((name for magic, name in _FOREIGN if data.startswith(magic)), None)
    if foreign and "Excel" in foreign:
        raise _refuse_excel(file_name, foreign)
    if foreign is None and _PICKLE.match(data):
        foreign = "a Python pickle, which is never opened"
    if foreign is None and _MARKUP.match(data[:1000]):
        foreign = "a web page or XML document"
    if foreign is not None:
        remedy = (
            "zip its .shp, .shx, .dbf and .prj together"
            if "Shapefile" in foreign
            else f"export the labels as {FORMATS}"
        )
        raise LabelsInvalid(f"{file_name}: it is {foreign}; {remedy}.")
    return "GeoJSON" if _JSON.match(data[:1000]) else _decide_text(data)


def _decide_text(data: bytes) -> str:
    """Wide encodings hide an opening brace from the bytes; zeros and marks are looked through."""
    head = data[:400].lstrip(b"\xff\xfe").replace(b"\0", b"").lstrip()
    return "GeoJSON" if head.startswith((b"{", b"[")) else "CSV"


def _refuse_excel(file_name: str, what: str) -> LabelsInvalid:
    named = ", though its name ends in .csv" if file_name.lower().endswith(".csv") else ""
    return LabelsInvalid(
        f"{file_name}: it is {what}{named}; open it in the spreadsheet program and save the sheet"
        " as 'CSV UTF-8'."
    )


def list_layers(data: bytes, file_name: str) -> tuple[str, ...]:
    """Return the layers of a GeoPackage or the Shapefiles of an archive; other formats have none.

    Raises
    ------
    LabelsInvalid
        The file cannot be read.
    """
    file_name = shorten(file_name, limit=80) or "the upload"
    check_size(data, file_name)
    kind = sniff_format(data, file_name)
    if kind == "GeoPackage":
        return list_geopackage_layers(data, file_name)
    if kind == "Shapefile":
        with open_archive(data, file_name) as archive:
            return tuple(list_shapefiles(archive, file_name))
    return ()


def _read_layered(data: bytes, file_name: str, *, kind: str, layer: str | None) -> RawTable:
    layers = list_layers(data, file_name)
    chosen = layer if layer is not None else layers[0]
    shown = ", ".join(repr(shorten(name, limit=40)) for name in layers[:8])
    if layer is None and len(layers) > 1:
        raise LabelsInvalid(f"{file_name}: it holds several layers; choose one of {shown}.")
    if chosen not in layers:
        raise LabelsInvalid(
            f"{file_name}: there is no layer {shorten(chosen, limit=40)!r}; choose one of {shown}."
        )
    if kind == "GeoPackage":
        source = wrap_geopackage(data, file_name, layer=chosen)
    else:
        with open_archive(data, file_name) as archive:
            parts = list_shapefiles(archive, file_name)[chosen]
            source = repack_shapefile(archive, parts, file_name, shown=chosen)
    return replace(read_layer(source), layers=layers)
