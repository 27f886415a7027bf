"""Models for the other workflows: the one that serves a region, loaded once."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

from geotransfer.core.model import ModelVersion
from geotransfer.core.region import Region
from geotransfer.registry.champions import find_champion
from geotransfer.registry.versions import find_baseline, list_versions
from geotransfer.store.blobs import BlobStore
from geotransfer.store.workspace import Workspace
from geotransfer.transfer.model import Model, load_model


def find_serving(
    workspace: Workspace, region: Region, *, until: datetime | None = None
) -> ModelVersion:
    """Return the version that serves a region: its champion, else the global model."""
    champion = find_champion(workspace, region.region_id, until=until)
    if champion is None:
        return find_baseline(workspace, region.spec_name)
    return next(v for v in list_versions(workspace) if v.model_id == champion)


@lru_cache(maxsize=8)
def load_cached_model(blobs_url: str, model_id: str) -> Model:
    """Load a model from a blob store once per process."""
    return load_model(BlobStore(blobs_url).get(model_id))
