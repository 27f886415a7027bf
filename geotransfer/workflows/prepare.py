"""The default workspace: real reference regions, a real example, and a simulated world."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import numpy as np

from geotransfer.core.decode import from_plain
from geotransfer.core.fact import Fact, ModelRegistered, RegionAdded, RegionEvaluated, RehearsalMade
from geotransfer.core.identity import canonical_json
from geotransfer.core.legend import CROPLAND
from geotransfer.core.model import ModelVersion
from geotransfer.core.region import RegionKind
from geotransfer.errors import GeoTransferError
from geotransfer.registry.versions import list_versions
from geotransfer.store.shipped import (
    BASELINE,
    BASELINE_CARD,
    CLIMATE,
    CLIMATE_CARD,
    REGIONS,
    locate_shipped,
)
from geotransfer.store.workspace import Workspace
from geotransfer.testing.points import sample_points
from geotransfer.testing.world import SimulatedRegion, make_world
from geotransfer.workflows.assess import assess
from geotransfer.workflows.bouconne import REGION_ID as BOUCONNE
from geotransfer.workflows.bouconne import add_bouconne, add_bouconne_row
from geotransfer.workflows.evaluate import evaluate_region
from geotransfer.workflows.label_points import add_points, find_labels, make_points
from geotransfer.workflows.progress import Progress, ignore_progress
from geotransfer.workflows.refresh import refresh
from geotransfer.workflows.regions import add_region, find_region
from geotransfer.workflows.scenes import add_scenes

WORLD_LIKES = ("eastern", "western")
WORLD_SEED = 7
WORLD_SHIFT = 1.0
N_HOLDOUT = 600
"""Holdout points of a simulated region, drawn at random from its known truth."""

BELGIUM = "worldcereal-belgium-2021"
BELGIUM_ATTRIBUTION = (
    "Derived from WorldCereal test resources; contains modified Copernicus Sentinel data 2020–2021."
)
STEPS = 7


def register_shipped_models(workspace: Workspace, *, actor: str) -> ModelVersion:
    """Register the shipped global models; once is enough, twice is harmless.

    Returns
    -------
    The one that reads Sentinel-2 alone.
    """
    _register_shipped(workspace, CLIMATE_CARD, CLIMATE, actor=actor)
    return _register_shipped(workspace, BASELINE_CARD, BASELINE, actor=actor)


def _register_shipped(workspace: Workspace, card: str, file: str, *, actor: str) -> ModelVersion:
    document = json.loads(locate_shipped(card).read_text(encoding="utf-8"))
    version = from_plain(ModelVersion, document["version"])
    known = [v for v in list_versions(workspace) if v.model_id == version.model_id]
    if known:
        return known[0]
    data = locate_shipped(file).read_bytes()
    workspace.blobs.put(lzma.decompress(data) if file.endswith(".xz") else data)
    workspace.ledger.append(ModelRegistered(region_id=None, version=version), actor=actor)
    return version


def add_reference_regions(workspace: Workspace, *, actor: str) -> int:
    """Add the six reference regions with their shipped evaluations; return how many were new."""
    document = json.loads(locate_shipped(REGIONS).read_text(encoding="utf-8"))
    added = 0
    for entry in document["regions"]:
        region = from_plain(RegionAdded, {"region_id": "", "region": entry["region"]}).region
        if workspace.ledger.read_last(RegionAdded, region_id=region.region_id) is not None:
            continue
        facts: list[Fact] = [RegionAdded(region_id=region.region_id, region=region)]
        facts += [from_plain(RegionEvaluated, plain) for plain in entry["evaluations"]]
        if entry.get("rehearsal"):
            report_id = workspace.blobs.put(canonical_json(entry["budget"]))
            plain = {**entry["rehearsal"], "report_id": report_id}
            facts.append(from_plain(RehearsalMade, plain))
        workspace.ledger.append(*facts, actor=actor)
        added += 1
    return added


def prepare_workspace(
    workspace: Workspace, *, actor: str, progress: Progress = ignore_progress
) -> dict[str, object]:
    """Fill a workspace; run again after an interruption it goes on where it stopped."""
    progress(0, STEPS, "registering the global model")
    register_shipped_models(workspace, actor=actor)
    progress(1, STEPS, "adding the six reference regions")
    add_reference_regions(workspace, actor=actor)
    add_bouconne_row(workspace, actor=actor)
    progress(2, STEPS, "drawing the simulated world")
    world = make_world(
        WORLD_LIKES,
        WORLD_SHIFT,
        WORLD_SEED,
        folder=workspace.folder / "scenes" / "simulated",
        n_threads=workspace.settings.thread_count,
    )
    for number, region in enumerate(world.regions, start=3):
        progress(number, STEPS, f"mapping {region.name}")
        _prepare_simulated(workspace, region, actor=actor)
    progress(5, STEPS, "adding real imagery")
    notes = _add_real_imagery(workspace, actor=actor, progress=progress)
    progress(STEPS, STEPS, "; ".join(notes) or "the workspace is ready")
    return {"notes": notes}


def _prepare_simulated(workspace: Workspace, made: SimulatedRegion, *, actor: str) -> None:
    if workspace.ledger.read_last(RegionAdded, region_id=made.region_id) is None:
        add_region(
            workspace,
            json.dumps(made.outline, sort_keys=True),
            name=made.name,
            actor=actor,
            kind=RegionKind.SIMULATED,
            region_id=made.region_id,
            attribution=made.attribution,
        )
        add_scenes(workspace, made.region_id, str(made.items_path), actor=actor)
    if find_labels(workspace, made.region_id, "holdout") is None:
        add_known_truth(workspace, made, n=N_HOLDOUT, actor=actor)
    refresh(workspace, made.region_id, actor=actor)
    evaluate_region(workspace, made.region_id, actor=actor)


def add_known_truth(workspace: Workspace, made: SimulatedRegion, *, n: int, actor: str) -> None:
    """Give a simulated region a holdout set: points drawn at random from its known truth."""
    points = sample_points(made, n, seed=1)
    codes = dict(zip(CROPLAND.names, CROPLAND.codes, strict=True))
    add_points(
        workspace,
        find_region(workspace, made.region_id),
        make_points(
            points.longitude,
            points.latitude,
            np.array([codes[str(name)] for name in points.class_names]),
        ),
        role="holdout",
        file_name="known truth",
        n_rejected=0,
        legend=CROPLAND,
        actor=actor,
    )


def _add_real_imagery(workspace: Workspace, *, actor: str, progress: Progress) -> list[str]:
    """Add what can be had; what cannot is said, and its row tells how to get it."""
    notes = []
    folder = workspace.settings.reference_data
    if folder and (Path(folder) / BELGIUM / "items.json").exists():
        _add_belgium(workspace, Path(folder) / BELGIUM / "items.json", actor=actor)
    progress(6, STEPS, f"fetching {BOUCONNE}, a real Sentinel-2 year")
    try:
        add_bouconne(workspace, actor=actor)
        assess(workspace, BOUCONNE, actor=actor)
    except GeoTransferError as error:
        notes.append(str(error))
    return notes


def _add_belgium(workspace: Workspace, items: Path, *, actor: str) -> None:
    if workspace.ledger.read_last(RegionAdded, region_id="belgium") is None:
        first = json.loads(items.read_text(encoding="utf-8"))["features"][0]
        add_region(
            workspace,
            json.dumps(first["geometry"], sort_keys=True),
            name="Hesbaye, Belgium (real Sentinel-2, 2021)",
            actor=actor,
            region_id="belgium",
            attribution=BELGIUM_ATTRIBUTION,
        )
        add_scenes(workspace, "belgium", str(items), actor=actor)
    refresh(workspace, "belgium", actor=actor)
    assess(workspace, "belgium", actor=actor)
