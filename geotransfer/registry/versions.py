"""Model versions in the workspace: register, find, load."""

from __future__ import annotations

from geotransfer.core.fact import ModelRegistered
from geotransfer.core.identity import hash_bytes
from geotransfer.core.legend import CROPLAND
from geotransfer.core.model import Lineage, ModelVersion
from geotransfer.errors import NotFound
from geotransfer.store.workspace import Workspace

BASELINE_NAME = "baseline"
CLIMATE_NAME = "baseline-climate"


def register_model(
    workspace: Workspace,
    data: bytes,
    *,
    name: str,
    region_id: str | None,
    lineage: Lineage,
    actor: str,
) -> ModelVersion:
    """Store a model file and record its version; the same bytes are the same version.

    Versions of one region are numbered from 1 in the order they were registered.
    """
    model_id = hash_bytes(data)
    with workspace.ledger.writing() as write:
        versions = list_versions(workspace)
        known = next((v for v in versions if v.model_id == model_id), None)
        if known is not None:
            return known
        number = sum(v.region_id == region_id for v in versions) + (0 if region_id is None else 1)
        version = ModelVersion(
            model_id=workspace.blobs.put(data),
            name=name if region_id is None else f"{name} v{number}",
            region_id=region_id,
            number=number,
            lineage=lineage,
        )
        write((ModelRegistered(region_id=region_id, version=version),), actor)
    return version


def list_versions(workspace: Workspace, *, region_id: str | None = None) -> list[ModelVersion]:
    """Return model versions in the order they were registered, optionally a region's own."""
    facts = workspace.ledger.read(ModelRegistered, region_id=region_id)
    return [recorded.fact.version for recorded in facts]


def find_version(workspace: Workspace, reference: str) -> ModelVersion:
    """Find a version by model id, by the first letters of it (at least six), or by name.

    Raises
    ------
    NotFound
        No version, or more than one, answers to the reference.
    """
    versions = list_versions(workspace)
    matches = [
        v
        for v in versions
        if v.name == reference or (len(reference) >= 6 and v.model_id.startswith(reference))
    ]
    if len(matches) == 1:
        return matches[0]
    known = ", ".join(v.label for v in versions) or "none yet"
    what = "several models are" if matches else "there is no model"
    raise NotFound(f"{what} called {reference!r}; there are: {known}.")


def find_baseline(
    workspace: Workspace, spec_name: str, *, legend_name: str = CROPLAND.name
) -> ModelVersion:
    """Return the newest global model for a feature spec and a legend."""
    matches = [
        v
        for v in list_versions(workspace)
        if v.region_id is None
        and (v.lineage.spec_name, v.lineage.legend_name) == (spec_name, legend_name)
    ]
    if not matches:
        raise NotFound(
            f"no global model for spec {spec_name!r} and legend {legend_name!r}; run `geotransfer"
            " init` for the shipped one, or train your own with `geotransfer train`."
        )
    return matches[-1]
