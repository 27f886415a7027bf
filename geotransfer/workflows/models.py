"""Models for the other workflows, loaded once a process."""

from __future__ import annotations

from functools import lru_cache

from geotransfer.store.blobs import BlobStore
from geotransfer.transfer.model import Model
from geotransfer.transfer.model_file import load_model


@lru_cache(maxsize=8)
def load_cached_model(blobs_url: str, model_id: str) -> Model:
    """Load a model from a blob store once per process."""
    return load_model(BlobStore(blobs_url).get(model_id))
