"""Source samples: the real tables where a user has them, else the shipped prototypes."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from geotransfer.core.identity import hash_bytes
from geotransfer.core.legend import CROPLAND
from geotransfer.core.spec import S2_SEMIANNUAL, SPECS, FeatureSpec
from geotransfer.errors import NotFound
from geotransfer.registry.versions import find_baseline, find_version
from geotransfer.store.shipped import PROTOTYPES, locate_shipped
from geotransfer.store.workspace import Workspace
from geotransfer.transfer.samples import Samples, concatenate_samples
from geotransfer.workflows.train import read_tables

TABLES = "tables/deafrica"
"""Folder of a workspace that holds the tables a user fetched or imported."""


def write_samples(samples: Samples) -> bytes:
    """Write samples as Parquet: one column each, floats of 32 bits; equal samples, equal bytes."""
    columns: dict[str, object] = {
        name: samples.measured[:, i] for i, name in enumerate(samples.spec.measured_names)
    }
    columns["class"] = samples.classes.astype(np.int16)
    columns["weight"] = samples.weights.astype(np.float32)
    columns["region"] = [str(name) for name in samples.region_ids]
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, compression="zstd", compression_level=12)
    return sink.getvalue()


def read_samples(data: bytes, spec: FeatureSpec) -> Samples:
    """Read samples written by ``write_samples``; they carry no positions."""
    table = pq.read_table(io.BytesIO(data))
    return Samples(
        spec=spec,
        measured=np.column_stack([table[name].to_numpy() for name in spec.measured_names]).astype(
            np.float32
        ),
        classes=table["class"].to_numpy().astype(np.int64),
        weights=table["weight"].to_numpy().astype(np.float64),
        xy_km=None,
        region_ids=np.asarray(table["region"].to_pylist(), dtype=np.str_),
    )


def load_source(
    workspace: Workspace,
    spec: FeatureSpec,
    *,
    legend_name: str = CROPLAND.name,
    model_id: str | None = None,
) -> tuple[Samples | None, str]:
    """Return the source samples for a spec and legend, and their name for lineage and page.

    The real tables are used where `fetch deafrica` or `import deafrica` put them; else the shipped
    prototypes, each the mean of at most four neighbouring samples. Of a spec or legend of the
    workspace's own: what its newest global model, or the one given, was trained on; None where that
    is not kept.
    """
    if spec.name not in SPECS or legend_name != CROPLAND.name:
        return _load_own_source(workspace, spec, legend_name, model_id)
    folder = workspace.folder / TABLES
    if any(folder.glob("*/training_data.txt")):
        parts = list(read_tables(folder, spec).values())
        samples = concatenate_samples(parts[0], *parts[1:])
        return samples, f"samples {samples.content_id[:12]}"
    if spec.spec_id != S2_SEMIANNUAL.spec_id:
        return None, "none"
    data = locate_shipped(PROTOTYPES).read_bytes()
    return _read_prototypes(), f"prototypes {hash_bytes(data)[:12]}"


def _load_own_source(
    workspace: Workspace, spec: FeatureSpec, legend_name: str, model_id: str | None
) -> tuple[Samples | None, str]:
    try:
        if model_id is None:
            model_id = find_baseline(workspace, spec.name, legend_name=legend_name).model_id
        lineage = find_version(workspace, model_id).lineage
    except NotFound:
        return None, "none"
    if lineage.samples_id is None or not workspace.blobs.exists(lineage.samples_id):
        return None, "none"
    samples = read_samples(workspace.blobs.get(lineage.samples_id), spec)
    return samples, f"samples {samples.content_id[:12]}"


@lru_cache(maxsize=1)
def _read_prototypes() -> Samples:
    return read_samples(locate_shipped(PROTOTYPES).read_bytes(), S2_SEMIANNUAL)
