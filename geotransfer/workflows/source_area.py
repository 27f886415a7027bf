"""The area of applicability of a region's present model: its training samples, arranged."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from geotransfer.applicability.area import Applicability, fit_applicability, list_points, to_bytes
from geotransfer.applicability.robustness import measure_robustness
from geotransfer.core.estimate import Estimate
from geotransfer.core.model import ModelVersion
from geotransfer.core.region import Region
from geotransfer.errors import NotFound, TableInvalid
from geotransfer.registry.versions import find_baseline, list_versions
from geotransfer.store.workspace import Workspace
from geotransfer.transfer.samples import Samples, concatenate_samples
from geotransfer.workflows.definitions import find_spec
from geotransfer.workflows.label_points import read_points
from geotransfer.workflows.label_samples import measure_samples
from geotransfer.workflows.models import load_cached_model
from geotransfer.workflows.ship_profile import FOLD_RULE, weigh_features
from geotransfer.workflows.source import load_source


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class SourceArea:
    """Training samples and what follows from them."""

    area: Applicability
    samples: Samples
    name: str
    """What the samples are, for lineage and page."""

    @property
    def region_names(self) -> tuple[str, ...]:
        """Region of each fold."""
        return tuple(np.unique(self.samples.region_ids).tolist())

    def store(self, workspace: Workspace) -> str:
        """Put the area where workers find it, and return its id."""
        return workspace.blobs.put(to_bytes(self.area))


@lru_cache(maxsize=2)
def _weigh_features(blobs_url: str, model_id: str) -> NDArray[np.float64]:
    return weigh_features(load_cached_model(blobs_url, model_id))


def fit_source_area(
    workspace: Workspace, region: Region, model_id: str | None = None
) -> SourceArea:
    """Arrange the samples that a model learnt from: the source, and a fine-tuned one's labels.

    Features weigh as in the global model; each region is a fold.

    Parameters
    ----------
    model_id
        The model whose area it is; None: the global model.

    Raises
    ------
    NotFound
        Nothing stands for the source samples of the region's spec.
    """
    spec = find_spec(workspace, region.spec_name)
    source, name = load_source(workspace, spec, legend_name=region.legend_name)
    if source is None:
        raise NotFound(f"no source samples for spec {spec.name!r}; fetch or import the tables.")
    baseline = find_baseline(workspace, region.spec_name, legend_name=region.legend_name)
    version = _find_fine_tuned(workspace, model_id)
    if version is not None and version.lineage.labels_id is not None:
        labels = measure_samples(
            workspace, region, read_points(workspace.blobs.get(version.lineage.labels_id))
        )
        source = concatenate_samples(source, labels)
        name = f"{name} and {len(labels)} labels of this region"
    folds = np.unique(source.region_ids, return_inverse=True)[1].astype(np.int32)
    area = fit_applicability(
        source.features,
        _weigh_features(workspace.blobs_url, baseline.model_id),
        folds,
        fold_rule=FOLD_RULE,
        classes=source.classes.astype(np.int32),
        feature_names=spec.names,
        n_threads=workspace.settings.thread_count,
    )
    return SourceArea(area=area, samples=source, name=name)


def _find_fine_tuned(workspace: Workspace, model_id: str | None) -> ModelVersion | None:
    """Return a fine-tuned version whose labels are still here; erased ones leave the source."""
    for version in list_versions(workspace):
        labels_id = version.lineage.labels_id
        if version.model_id == model_id and labels_id is not None:
            return version if workspace.blobs.exists(labels_id) else None
    return None


def measure_source_robustness(source: SourceArea, *, seed: int) -> Estimate | None:
    """Return the robustness index of the samples; None where no two regions share two classes."""
    try:
        return measure_robustness(
            list_points(source.area), source.samples.classes, source.samples.region_ids, seed=seed
        ).index
    except TableInvalid:
        return None
