"""Train on labels: a global model for a spec and legend of the workspace's own.

Features come from the regions' scenes, so this works before any map exists. The measured tiles keep
their keys: the first refresh finds and reuses them.
"""

from __future__ import annotations

from collections.abc import Sequence

from geotransfer.core.model import ModelVersion
from geotransfer.core.region import Region
from geotransfer.errors import InputError, LabelsInvalid, NotFound
from geotransfer.registry.versions import BASELINE_NAME, register_model
from geotransfer.store.workspace import Workspace
from geotransfer.transfer.baseline import train_baseline
from geotransfer.transfer.model_file import dump_model
from geotransfer.transfer.samples import Samples, concatenate_samples
from geotransfer.transfer.trees import Training
from geotransfer.workflows.costing import Meter
from geotransfer.workflows.definitions import find_legend
from geotransfer.workflows.label_points import find_labels, read_points
from geotransfer.workflows.label_samples import measure_samples
from geotransfer.workflows.measure import measure_tiles
from geotransfer.workflows.progress import Progress, ignore_progress
from geotransfer.workflows.regions import find_region
from geotransfer.workflows.source import write_samples
from geotransfer.workflows.train import make_baseline_lineage

MIN_LABELS = 50
"""Fewer labels make no global model; fine-tune another one instead."""
STEPS = 100
OWN_TRAINING = (Training(n_trees=300, n_leaves=15, learning_rate=0.05),)
"""Smaller trees than the shipped model's: a workspace's labels are fewer than its samples."""


def train_on_labels(
    workspace: Workspace,
    region_ids: Sequence[str],
    *,
    seed: int = 0,
    actor: str,
    progress: Progress = ignore_progress,
) -> ModelVersion:
    """Train a global model on the calibration labels of regions that share a spec and a legend.

    It then serves every region of that spec and legend, except those it was trained in as far as
    judging goes: fine-tuning and gains there are refused.

    Raises
    ------
    InputError
        The regions differ in spec or legend.
    NotFound
        A region has no calibration labels or no scenes.
    LabelsInvalid
        There are too few labels, or none lies where the scenes show the ground.
    """
    meter = Meter.start()
    regions = [find_region(workspace, region_id) for region_id in region_ids]
    if not regions:
        raise InputError("no region was named; give at least one whose labels train the model.")
    if len({(r.spec_name, r.legend_name) for r in regions}) > 1:
        raise InputError(
            "the regions differ in spec or legend; train one model for each kind of region."
        )
    parts = []
    for number, region in enumerate(regions):
        progress(number * STEPS // 2 // len(regions), STEPS, f"measuring labels of {region.name}")
        parts.append(_measure_region(workspace, region))
    source = concatenate_samples(parts[0], *parts[1:])
    if len(source) < MIN_LABELS:
        raise LabelsInvalid(
            f"{len(source)} labels with features are too few for a global model; bring at least"
            f" {MIN_LABELS}."
        )
    legend = find_legend(workspace, regions[0].legend_name)
    model = train_baseline(
        source,
        legend,
        trainings=OWN_TRAINING,
        seed=seed,
        n_threads=workspace.settings.thread_count,
        report=lambda share, what: progress(round(STEPS * (1 + share) / 2), STEPS, what),
    )
    return register_model(
        workspace,
        dump_model(model),
        name=f"{BASELINE_NAME} {source.spec.name} {legend.name}",
        region_id=None,
        lineage=make_baseline_lineage(
            source,
            seed=seed,
            cost=meter.read(),
            legend_name=legend.name,
            samples_id=workspace.blobs.put(write_samples(source)),
        ),
        actor=actor,
    )


def _measure_region(workspace: Workspace, region: Region) -> Samples:
    labels = find_labels(workspace, region.region_id, "calibration")
    if labels is None:
        raise NotFound(
            f"region {region.region_id!r} has no calibration labels; add some with `geotransfer"
            f" labels add {region.region_id} FILE`."
        )
    points = read_points(workspace.blobs.get(labels.labels_id))
    keys = measure_tiles(workspace, region) if points.measured is None else None
    return measure_samples(workspace, region, points, feature_keys=keys)
