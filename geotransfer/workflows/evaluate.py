"""Evaluate: judge a region's map on reference rows no model of the region has seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import rasterio
from numpy.typing import NDArray
from pyproj import Transformer

from geotransfer.accuracy.matrix import evaluate_rows
from geotransfer.core.estimate import Evaluation
from geotransfer.core.fact import RefreshDone, RegionEvaluated
from geotransfer.core.legend import Legend
from geotransfer.core.region import RegionKind
from geotransfer.errors import InputError, LeakRefused, NotFound
from geotransfer.registry.versions import list_versions
from geotransfer.store.workspace import Workspace
from geotransfer.transfer.model import measure_distance
from geotransfer.workflows.label_points import LabelPoints, find_labels, read_points
from geotransfer.workflows.maps import locate_map
from geotransfer.workflows.models import load_cached_model
from geotransfer.workflows.progress import Progress, ignore_progress
from geotransfer.workflows.reach import find_cutoff, measure_reach
from geotransfer.workflows.regions import find_region

HOLDOUT_SEPARATION_KM = 0.2
"""A holdout point this near to a calibration label would judge memory, not the map."""


def evaluate_region(
    workspace: Workspace,
    region_id: str,
    *,
    actor: str,
    progress: Progress = ignore_progress,
) -> RegionEvaluated:
    """Judge the region's present map on its holdout points.

    Raises
    ------
    NotFound
        There is no map or no holdout set.
    LeakRefused
        Holdout points lie within ``HOLDOUT_SEPARATION_KM`` of labels the model was made with.
    """
    region = find_region(workspace, region_id)
    if region.kind is RegionKind.TABLE:
        raise InputError(
            f"region {region_id!r} is a table without imagery; its leave-one-region-out figures"
            " come with the product (`geotransfer regions list`)."
        )
    done = workspace.ledger.read_last(RefreshDone, region_id=region_id)
    if done is None:
        raise NotFound(
            f"region {region_id!r} has no map yet; run `geotransfer refresh {region_id}` first."
        )
    holdout = find_labels(workspace, region_id, "holdout")
    if holdout is None:
        raise NotFound(
            f"region {region_id!r} has no holdout set; upload points that are never used to"
            f" fine-tune: `geotransfer labels add {region_id} FILE --holdout`."
        )
    progress(0, 2, "reading the map at the holdout points")
    points = read_points(workspace.blobs.get(holdout.labels_id))
    separation_km = check_holdout(workspace, done.model_id, points)
    legend = load_cached_model(workspace.blobs_url, done.model_id).legend
    codes, probability = sample_map(workspace, region_id, done.map_id, points, legend)
    known = np.isfinite(probability).all(axis=1)
    progress(1, 2, "estimating accuracy")
    is_simulated = region.kind is RegionKind.SIMULATED
    evaluation = evaluate_rows(
        codes[known],
        points.codes[known],
        probability[known, 1] if len(legend.classes) == 2 else None,
        legend,
        estimand="known-truth" if is_simulated else "random",
        separation_km=separation_km,
        groups=None,
        seed=0,
    )
    cutoff = find_cutoff(workspace.settings.accuracy_target)
    fact = RegionEvaluated(
        region_id=region_id,
        model_id=done.model_id,
        purpose="map",
        evaluation=evaluation,
        reach=measure_reach(
            done,
            confidence=probability[known].max(axis=1),
            is_correct=codes[known] == points.codes[known],
            cutoff=cutoff,
            target=workspace.settings.accuracy_target,
        ),
        reach_target=workspace.settings.accuracy_target,
        source=f"holdout {holdout.labels_id[:12]}, map {done.map_id[:12]}",
    )
    workspace.ledger.append(fact, actor=actor)
    progress(2, 2, "evaluated")
    return fact


def check_holdout(workspace: Workspace, model_id: str, points: LabelPoints) -> float | None:
    """Return the distance to the nearest label the model was made with; None without labels.

    Raises
    ------
    LeakRefused
        That distance is too small to judge anything but memory.
    """
    version = next(v for v in list_versions(workspace) if v.model_id == model_id)
    model = load_cached_model(workspace.blobs_url, model_id)
    if version.lineage.labels_id is None or model.labels_xy_km is None:
        return None
    distance_km = measure_distance(points.xy_km.T, model.labels_xy_km)
    near = int((distance_km < HOLDOUT_SEPARATION_KM).sum())
    if near:
        raise LeakRefused(
            f"{near} of {len(distance_km)} holdout points lie within {HOLDOUT_SEPARATION_KM} km of"
            f" labels that {version.name} was made with; keep them out of the holdout set."
        )
    return float(distance_km.min())


def sample_map(
    workspace: Workspace, region_id: str, map_id: str, points: LabelPoints, legend: Legend
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Read class codes (n,) and probabilities (n, n_classes) at points; NaN where no answer."""
    folder = locate_map(workspace, region_id, map_id)
    codes = _sample_raster(folder / "class.tif", points)[:, 0].astype(np.int64)
    encoded = _sample_raster(folder / "probability.tif", points)
    shown = np.where(encoded == 65535, np.nan, encoded * 1e-4)
    if len(legend.classes) == 2:
        return codes, np.column_stack([1 - shown[:, 0], shown[:, 0]])
    return codes, shown


def _sample_raster(path: object, points: LabelPoints) -> NDArray[np.float64]:
    with rasterio.open(str(path)) as file:
        to_raster = Transformer.from_crs("EPSG:4326", file.crs, always_xy=True)
        lonlat = points.lonlat
        xs, ys = to_raster.transform(lonlat[:, 0], lonlat[:, 1])
        values: Sequence[NDArray[np.float64]] = list(file.sample(zip(xs, ys, strict=True)))
    return np.asarray(values, dtype=np.float64).reshape(len(points.codes), -1)


def format_evaluation(evaluation: Evaluation) -> str:
    """Return an evaluation in one line for a terminal."""
    distance = evaluation.separation_km
    apart = "" if distance is None else f", at least {distance:g} km from any label used"
    return (
        f"overall {evaluation.overall}, balanced {evaluation.balanced}"
        f" ({evaluation.estimand}{apart}, {evaluation.matrix.n} points)"
    )
