"""Labels joined with their features: rows that can train, or judge what has not seen them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from geotransfer.core.region import Region
from geotransfer.errors import LabelsInvalid
from geotransfer.store.workspace import Workspace
from geotransfer.transfer.samples import Samples
from geotransfer.workflows.definitions import find_spec
from geotransfer.workflows.label_features import measure_labels
from geotransfer.workflows.label_points import LabelPoints


def measure_samples(
    workspace: Workspace,
    region: Region,
    points: LabelPoints,
    *,
    feature_keys: Mapping[str, str] | None = None,
) -> Samples:
    """Join labels with their features; labels where the imagery shows nothing are left out.

    Parameters
    ----------
    feature_keys
        Key of the measured columns of each tile; None: those of the last refresh.

    Raises
    ------
    LabelsInvalid
        No label has features.
    """
    samples = Samples(
        spec=find_spec(workspace, region.spec_name),
        measured=measure_labels(workspace, region, points, feature_keys=feature_keys),
        classes=points.codes,
        weights=np.ones(len(points.codes)),
        xy_km=points.xy_km if points.has_places else None,
        region_ids=np.full(len(points.codes), region.region_id),
    )
    known = np.flatnonzero(np.isfinite(samples.features).all(axis=1))
    if not len(known):
        raise LabelsInvalid(
            f"none of the {len(points.codes)} labels lies where the imagery of"
            f" {region.region_id!r} shows the ground in every period; add scenes or other labels."
        )
    return samples.take(known)
