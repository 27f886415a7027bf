"""GeoParquet, and plain Parquet with coordinate columns."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from geotransfer.errors import LabelsInvalid
from geotransfer.labels.delimited import clean_name, make_unique
from geotransfer.labels.geojson import to_column
from geotransfer.labels.geometries import parse_wkb
from geotransfer.labels.limits import (
    MAX_COLUMNS,
    MAX_ROWS,
    MAX_UNPACKED_BYTES,
    refuse_unreadable,
    shorten,
)
from geotransfer.labels.raw import RawTable

_EXPORT = "export it again"
_BATCH_ROWS = 4_096


def read_geoparquet(data: bytes, file_name: str) -> RawTable:
    """Read a Parquet table; its geometry where the ``geo`` metadata names one in WKB.

    Text columns stay dictionary-encoded until their decoded size is known: a few kilobytes of
    Parquet can repeat one long value a million times.

    Raises
    ------
    LabelsInvalid
        It is damaged, empty or too large, or its geometry has another encoding than WKB.
    """
    with refuse_unreadable(file_name, "the Parquet table", remedy=_EXPORT):
        source = pa.BufferReader(data)
        metadata = pq.read_metadata(source)
        schema = metadata.schema.to_arrow_schema()
        n_rows = metadata.num_rows
        unpacked = sum(
            metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups)
        )
    if n_rows > MAX_ROWS or len(schema.names) > MAX_COLUMNS:
        raise LabelsInvalid(
            f"{file_name}: it holds {n_rows:,} rows and {len(schema.names):,} columns, a file may"
            f" have {MAX_ROWS:,} and {MAX_COLUMNS:,}; split it."
        )
    if n_rows == 0:
        raise LabelsInvalid(
            f"{file_name}: the table holds no row; export the labels again with all their rows."
        )
    if unpacked > MAX_UNPACKED_BYTES:
        raise _refuse_bomb(file_name)
    geometry_column, crs, crs_source = _read_geo(metadata.metadata or {}, file_name=file_name)
    chosen = [f.name for f in schema if _is_plain(f.type)]
    nested = tuple(name for name in schema.names if name not in chosen)
    with refuse_unreadable(file_name, "the Parquet table", remedy=_EXPORT):
        table = _read_table(data, chosen, schema, file_name=file_name)
    blobs: list[bytes | None] | None = None
    if geometry_column is not None:
        if geometry_column not in table.column_names:
            raise LabelsInvalid(
                f"{file_name}: its geometry column {shorten(geometry_column)!r} is missing or no"
                " WKB; export it again as GeoParquet with WKB geometry."
            )
        column = table[geometry_column]
        if not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
            column = None
        blobs = column.to_pylist() if column is not None else [None] * table.num_rows
    with refuse_unreadable(file_name, "the Parquet table", remedy=_EXPORT):
        attributes = [
            (name, _convert_column(table[name]))
            for name in table.column_names
            if name != geometry_column and not _is_binary(table[name].type)
        ]
    names = make_unique(clean_name(name) for name, _ in attributes)
    geometry, faults = parse_wkb(blobs) if blobs is not None else (None, {})
    return RawTable(
        file_name=file_name,
        format="Parquet" if geometry is None else "GeoParquet",
        row_word="row",
        rows=np.arange(1, table.num_rows + 1),
        columns={name: values for name, (_, values) in zip(names, attributes, strict=True)},
        geometry=geometry,
        crs=crs,
        crs_source=crs_source,
        faults=faults,
        warnings=tuple(
            f"column {shorten(name)!r} holds lists or records and was left out." for name in nested
        ),
    )


def _read_geo(
    metadata: dict[bytes, bytes], *, file_name: str
) -> tuple[str | None, str | None, str]:
    """Geometry column, CRS and its source, from the ``geo`` metadata (GeoParquet 1.0 and 1.1)."""
    text = metadata.get(b"geo")
    if text is None:
        return None, None, "by the format"
    with refuse_unreadable(file_name, "its 'geo' metadata", remedy=_EXPORT):
        geo = json.loads(text)
        column = geo["primary_column"]
        described = geo["columns"][column]
        encoding = described["encoding"]
        if not isinstance(column, str):
            raise ValueError("the primary column has no name")
    if encoding != "WKB":
        raise LabelsInvalid(
            f"{file_name}: its geometry is encoded as {shorten(str(encoding), limit=20)!r}; export"
            " it again as GeoParquet with WKB geometry."
        )
    if "crs" not in described:  # the standard's default
        return column, "OGC:CRS84", "by the format"
    crs = described["crs"]
    return column, None if crs is None else json.dumps(crs), "stated by the file"


def _is_binary(kind: Any) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_plain(kind: Any) -> bool:
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return (
        _is_binary(value)
        or _is_text(value)
        or bool(
            pa.types.is_integer(value)
            or pa.types.is_floating(value)
            or pa.types.is_decimal(value)
            or pa.types.is_boolean(value)
            or pa.types.is_temporal(value)
        )
    )


def _read_table(data: bytes, names: list[str], schema: Any, *, file_name: str) -> Any:
    """Read the named columns batch by batch; stop when they grow beyond what a file may hold."""
    coded = [n for n in names if _is_text(schema.field(n).type) or _is_binary(schema.field(n).type)]
    file = pq.ParquetFile(pa.BufferReader(data), read_dictionary=coded)
    budget = MAX_UNPACKED_BYTES
    batches = []
    for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=names, use_threads=False):
        # Damaged indices point outside their dictionary; decoding them would read foreign memory.
        batch.validate(full=True)
        budget -= sum(_measure_decoded(column) for column in batch.columns)
        if budget < 0:
            raise _refuse_bomb(file_name)
        batches.append(
            pa.RecordBatch.from_arrays(
                [
                    c.dictionary_decode() if pa.types.is_dictionary(c.type) else c
                    for c in batch.columns
                ],
                names=batch.schema.names,
            )
        )
    return pa.Table.from_batches(batches)


def _measure_decoded(column: Any) -> int:
    """Bytes a column takes without its dictionary."""
    if not pa.types.is_dictionary(column.type) or not len(column.dictionary):
        return int(column.nbytes)
    values = column.dictionary
    if not (_is_text(values.type) or _is_binary(values.type)):
        return len(column) * 8
    lengths = np.asarray(pc.fill_null(pc.binary_length(values), 0))
    used = np.asarray(pc.fill_null(column.indices, 0), dtype=np.int64)
    return int(lengths[used].sum(dtype=np.int64))


def _convert_column(column: Any) -> NDArray[Any]:
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        values = column.cast(pa.float64(), safe=False).to_numpy()
        return np.asarray(values, dtype=np.float64)
    if not _is_text(kind):
        column = column.cast(pa.string())
    return to_column(column.to_pylist())


def _refuse_bomb(file_name: str) -> LabelsInvalid:
    return LabelsInvalid(
        f"{file_name}: the table unpacks to more than {MAX_UNPACKED_BYTES // 2**20} MiB; keep"
        " place, class, date and the features of one spec, or split it."
    )
