"""Labels that the map shown has never seen: what it may be judged by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geotransfer.core.fact import LabelsAdded, ModelRegistered, RefreshDone
from geotransfer.core.legend import Legend
from geotransfer.core.region import Region, RegionKind
from geotransfer.errors import LeakRefused
from geotransfer.registry.versions import find_version
from geotransfer.store.workspace import Workspace
from geotransfer.transfer.model import measure_distance
from geotransfer.workflows.label_points import LabelPoints, find_labels, read_points
from geotransfer.workflows.map_values import sample_map
from geotransfer.workflows.models import load_cached_model
from geotransfer.workflows.probability_sample import RecognisedSample, recognise_sample

HOLDOUT_SEPARATION_KM = 0.2
"""A holdout point this near to a calibration label would judge memory, not the map."""
KNOWN_TRUTH = "known truth"
"""Name under which a simulated region's own holdout set is kept."""


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class UnseenLabels:
    """Reference labels with what the map says at each of them."""

    fact: LabelsAdded
    points: LabelPoints
    codes: NDArray[np.int64]
    """Shape (n,), class code of the map."""
    probability: NDArray[np.float64]
    """Shape (n, n_classes); NaN where the map has no answer."""
    separation_km: float | None
    """Smallest distance to a label the model was made with; None where there is none."""
    distance_km: NDArray[np.float64] | None
    """Shape (n,), of each to the nearest such label."""
    sample: RecognisedSample | None
    is_simple_random: bool
    """Drawn at random over the whole region: a simulated region's known truth."""

    @property
    def is_answered(self) -> NDArray[np.bool_]:
        """Whether the map has an answer at each, shape (n,)."""
        return np.asarray(np.isfinite(self.probability).all(axis=1))

    @property
    def is_probability_sample(self) -> bool:
        """Whether what they say holds for the whole map."""
        drawn = self.sample is not None and self.sample.is_probability_sample
        return self.is_simple_random or drawn

    @property
    def description(self) -> str:
        """What the labels are, in words."""
        if self.is_simple_random:
            return "points drawn at random from the simulated world's own truth"
        if self.sample is not None:
            return self.sample.note
        return "labels at places that somebody chose"


def find_unseen_labels(
    workspace: Workspace, region: Region, done: RefreshDone, legend: Legend
) -> UnseenLabels | None:
    """Return the newest holdout set; else calibration labels, if the global model made the map.

    Raises
    ------
    LeakRefused
        Holdout points lie within ``HOLDOUT_SEPARATION_KM`` of labels the model was made with, or
        there are none and the calibration labels are of a region the global model was trained in.
    """
    region_id = region.region_id
    fact = find_labels(workspace, region_id, "holdout")
    if fact is None and find_version(workspace, done.model_id).lineage.labels_id is None:
        fact = find_labels(workspace, region_id, "calibration")
        model = load_cached_model(workspace.blobs_url, done.model_id)
        if fact is not None and region_id in model.source_region_ids:
            raise LeakRefused(
                f"labels of region {region_id!r} trained the global model, so they cannot judge it;"
                f" upload others: `geotransfer labels add {region_id} FILE --holdout`."
            )
    if fact is None:
        return None
    points = read_points(workspace.blobs.get(fact.labels_id))
    if not points.has_places:
        return None
    distance_km = _measure_label_distance(workspace, done.model_id, points)
    codes, probability = sample_map(workspace, region_id, done.map_id, points, legend)
    is_truth = region.kind is RegionKind.SIMULATED and fact.file_name == KNOWN_TRUTH
    return UnseenLabels(
        fact=fact,
        points=points,
        codes=codes,
        probability=probability,
        separation_km=None if distance_km is None else float(distance_km.min()),
        distance_km=distance_km,
        sample=None if is_truth else recognise_sample(workspace, region_id, points.lonlat),
        is_simple_random=is_truth,
    )


def _find_labels_xy(workspace: Workspace, model_id: str) -> NDArray[np.float64] | None:
    """Return where the labels lie that a model was made with, its own and its parent's.

    Of every region: one may overlap another, or lie beside it. None where no place is known.
    """
    version = find_version(workspace, model_id)
    model = load_cached_model(workspace.blobs_url, model_id)
    parts: list[NDArray[np.float64]] = []
    if version.lineage.labels_id is None:
        parts = [
            points.xy_km
            for source_id in model.source_region_ids
            if (points := _find_training_points(workspace, source_id, model_id)) is not None
        ]
    elif model.labels_xy_km is not None:
        parts = [model.labels_xy_km]
    if version.lineage.parent_id is not None:
        inherited = _find_labels_xy(workspace, version.lineage.parent_id)
        parts += [] if inherited is None else [inherited]
    return np.concatenate(parts) if parts else None


def _find_training_points(
    workspace: Workspace, region_id: str, model_id: str
) -> LabelPoints | None:
    """Return a region's labels that a global model was trained on; None where none has a place.

    Such a model does not keep their places; the ledger knows which they were.
    """
    registered = next(
        r.seq for r in workspace.ledger.read(ModelRegistered) if r.fact.version.model_id == model_id
    )
    uploads = [
        r.fact.labels_id
        for r in workspace.ledger.read(LabelsAdded, region_id=region_id)
        if r.seq < registered
        and r.fact.role == "calibration"
        and workspace.blobs.exists(r.fact.labels_id)
    ]
    points = read_points(workspace.blobs.get(uploads[-1])) if uploads else None
    return points if points is not None and points.has_places else None


def _measure_label_distance(
    workspace: Workspace, model_id: str, points: LabelPoints
) -> NDArray[np.float64] | None:
    """Return the distance of each point to the nearest label the model was made with, (n,).

    None where the model was made with none.

    Raises
    ------
    LeakRefused
        A distance is too small to judge anything but memory.
    """
    labels_xy_km = _find_labels_xy(workspace, model_id)
    if labels_xy_km is None:
        return None
    distance_km = measure_distance(points.xy_km.T, labels_xy_km)
    near = int((distance_km < HOLDOUT_SEPARATION_KM).sum())
    if near:
        name = find_version(workspace, model_id).name
        raise LeakRefused(
            f"{near} of {len(distance_km)} holdout points lie within {HOLDOUT_SEPARATION_KM} km of"
            f" labels that {name} was made with; keep them out of the holdout set."
        )
    return distance_km
