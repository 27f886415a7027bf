"""The training samples nearest to one pixel, by what a model sees of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geotransfer.applicability.search import list_nearest
from geotransfer.core.legend import Legend
from geotransfer.imagery.features import derive_features
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.applicability_tile import load_area
from geotransfer.workflows.definitions import find_spec
from geotransfer.workflows.regions import find_region
from geotransfer.workflows.transfer_views import find_applicability

N_NEAREST = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class NearestSample:
    """One training sample near a pixel."""

    region_id: str
    class_name: str
    dissimilarity: float
    """Distance in weighted features over the mean distance between samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelSupport:
    """How near a pixel is to what the model has learnt from."""

    samples: tuple[NearestSample, ...]
    """Nearest first; empty where a feature is missing."""
    dissimilarity: float | None
    """Index of the pixel: that of the nearest sample."""
    threshold: float
    """Largest index inside the area of applicability."""
    fold_rule: str
    source: str

    @property
    def is_inside(self) -> bool | None:
        """Whether the pixel is inside; None without an answer."""
        return None if self.dissimilarity is None else self.dissimilarity <= self.threshold


def find_support(
    workspace: Workspace, region_id: str, measured: NDArray[np.float32], legend: Legend
) -> PixelSupport | None:
    """Return the samples nearest to a pixel's measured columns (n_measured,).

    None where nobody has mapped the region's applicability yet.
    """
    report = find_applicability(workspace, region_id)
    if report is None or not workspace.blobs.exists(report.area_id):
        return None
    area = load_area(workspace.blobs_url, report.area_id)
    spec = find_spec(workspace, find_region(workspace, region_id).spec_name)
    rows, di = list_nearest(
        area, derive_features(spec, measured[:, None])[:, 0], n_nearest=N_NEAREST
    )
    names = dict(zip(legend.codes, legend.names, strict=True))
    return PixelSupport(
        samples=tuple(
            NearestSample(
                region_id=report.regions[int(area.folds[row])],
                class_name=names.get(int(area.classes[row]), str(int(area.classes[row]))),
                dissimilarity=float(gap),
            )
            for row, gap in zip(rows, di, strict=True)
        ),
        dissimilarity=float(di[0]) if len(di) else None,
        threshold=report.threshold,
        fold_rule=report.fold_rule,
        source=report.source,
    )
