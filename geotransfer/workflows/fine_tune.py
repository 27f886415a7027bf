"""Fine-tune: stored labels in, a registered model version and a verdict out."""

from __future__ import annotations

from dataclasses import replace

from geotransfer.change.keys import list_library_versions
from geotransfer.core.fact import FineTuneDone, LabelsAdded
from geotransfer.core.identity import canonical_json
from geotransfer.core.model import Lineage
from geotransfer.core.region import Region
from geotransfer.core.verdict import VerdictKind
from geotransfer.errors import LeakRefused, NotFound
from geotransfer.registry.versions import find_baseline, register_model
from geotransfer.store.workspace import Workspace
from geotransfer.transfer.fine_tune import fine_tune
from geotransfer.transfer.model_file import dump_model
from geotransfer.transfer.samples import CalibrationSet
from geotransfer.workflows.costing import Meter
from geotransfer.workflows.definitions import find_spec, is_own
from geotransfer.workflows.label_points import LabelPoints, read_points
from geotransfer.workflows.label_samples import measure_samples
from geotransfer.workflows.models import load_cached_model
from geotransfer.workflows.places import spread_places
from geotransfer.workflows.progress import Progress, ignore_progress
from geotransfer.workflows.regions import find_region
from geotransfer.workflows.source import load_source

STEPS = 100
OWN_NOTE = (
    "The rehearsals behind the expected gain are of crop and non-crop on Sentinel-2; your legend or"
    " features are others, so go by the gain on held-out blocks."
)


def find_calibration_labels(workspace: Workspace, region_id: str, labels_id: str) -> LabelsAdded:
    """Return the fact of a calibration upload.

    Raises
    ------
    LeakRefused
        The labels are a holdout set: they judge, they never train.
    """
    facts = [
        r.fact
        for r in workspace.ledger.read(LabelsAdded, region_id=region_id)
        if r.fact.labels_id.startswith(labels_id)
    ]
    if not facts:
        raise NotFound(
            f"region {region_id!r} has no labels {labels_id[:12]!r}; upload them with `geotransfer"
            f" labels add {region_id} FILE`."
        )
    if any(fact.role == "holdout" for fact in facts):
        raise LeakRefused(
            f"labels {labels_id[:12]} are a holdout set of {region_id!r}; fine-tune on others."
        )
    return facts[-1]


def fine_tune_region(
    workspace: Workspace,
    region_id: str,
    *,
    labels_id: str,
    seed: int = 0,
    actor: str,
    progress: Progress = ignore_progress,
) -> FineTuneDone:
    """Adapt the global model to a region's labels, register the result, give the verdict."""
    meter = Meter.start()
    region = find_region(workspace, region_id)
    spec = find_spec(workspace, region.spec_name)
    labels = find_calibration_labels(workspace, region_id, labels_id)
    progress(0, STEPS, "reading the labels' features")
    calibration = make_calibration_set(
        workspace, region, read_points(workspace.blobs.get(labels.labels_id))
    )
    parent = find_baseline(workspace, region.spec_name, legend_name=region.legend_name)
    source, source_name = load_source(workspace, spec, legend_name=region.legend_name)
    tuned = fine_tune(
        load_cached_model(workspace.blobs_url, parent.model_id),
        calibration,
        source,
        seed=seed,
        n_threads=workspace.settings.thread_count,
        progress=lambda share, what: progress(round(share * (STEPS - 1)), STEPS, what),
        places_xy_km=spread_places(workspace, region_id),
    )
    verdict = tuned.verdict
    if verdict.gain is not None and is_own(spec, region.legend_name):
        verdict = replace(verdict, reasons=(*verdict.reasons, OWN_NOTE))
    cost = meter.read()
    model_id = None
    if verdict.kind is not VerdictKind.TOO_FEW_LABELS:
        version = register_model(
            workspace,
            dump_model(tuned.model),
            name=region_id,
            region_id=region_id,
            lineage=Lineage(
                parent_id=parent.model_id,
                strategy=tuned.model.kind,
                spec_name=region.spec_name,
                spec_id=spec.spec_id,
                legend_name=region.legend_name,
                labels_id=labels.labels_id,
                n_labels=verdict.n_labels,
                source=source_name,
                seed=seed,
                cost=cost,
                libraries=list_library_versions(),
            ),
            actor=actor,
        )
        model_id = version.model_id
    fact = FineTuneDone(
        region_id=region_id,
        labels_id=labels.labels_id,
        model_id=model_id,
        verdict_id=workspace.blobs.put(canonical_json(verdict)),
        verdict_kind=verdict.kind.value,
        gain=verdict.gain,
        cost=cost,
    )
    workspace.ledger.append(fact, actor=actor)
    progress(STEPS, STEPS, verdict.kind.value.replace("_", " "))
    return fact


def make_calibration_set(
    workspace: Workspace, region: Region, points: LabelPoints
) -> CalibrationSet:
    """Join labels with their features; labels where the imagery shows nothing are left out.

    Raises
    ------
    LabelsInvalid
        No label has features.
    """
    return CalibrationSet(measure_samples(workspace, region, points))
