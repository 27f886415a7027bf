"""Tables as Parquet bytes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Row = dict[str, Any]
"""One row of a table by column name."""


def write_table(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Write rows (mappings with the same keys) as Parquet; equal rows give equal bytes."""
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows)), sink, compression="zstd")
    return sink.getvalue()


def read_table(data: bytes) -> list[Row]:
    """Read rows written by ``write_table``."""
    rows: list[Row] = pq.read_table(io.BytesIO(data)).to_pylist()
    return rows
