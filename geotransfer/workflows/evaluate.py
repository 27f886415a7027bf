"""Evaluate: everything that a region's labels say about its map, each figure by its name."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geotransfer.accuracy.folds import assign_blocks, choose_block_km
from geotransfer.accuracy.matrix import evaluate_rows
from geotransfer.core.accuracy_report import (
    AccuracyReport,
    AreaReport,
    DistanceAccuracy,
    NamedEvaluation,
)
from geotransfer.core.estimate import Evaluation
from geotransfer.core.fact import AccuracyReported, RefreshDone, RegionEvaluated
from geotransfer.core.identity import canonical_json
from geotransfer.core.legend import Legend
from geotransfer.core.model import ModelVersion
from geotransfer.core.region import Region, RegionKind
from geotransfer.errors import InputError, LabelsInvalid, LeakRefused, NotFound
from geotransfer.registry.versions import find_version
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.area_accuracy import estimate_areas
from geotransfer.workflows.definitions import find_spec
from geotransfer.workflows.fold_accuracy import FoldAccuracy, judge_by_folds, measure_by_distance
from geotransfer.workflows.label_points import find_labels, read_points
from geotransfer.workflows.label_samples import measure_samples
from geotransfer.workflows.map_areas import measure_map
from geotransfer.workflows.maps import locate_map
from geotransfer.workflows.models import load_cached_model
from geotransfer.workflows.places import spread_places
from geotransfer.workflows.progress import Progress, ignore_progress
from geotransfer.workflows.reach import find_cutoff, measure_reach
from geotransfer.workflows.region_pixels import find_map
from geotransfer.workflows.regions import find_region
from geotransfer.workflows.scene_list import load_scenes
from geotransfer.workflows.source import load_source
from geotransfer.workflows.unseen_labels import UnseenLabels, find_unseen_labels

STEPS = 4


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class _Judged:
    """What unseen labels say of the map itself."""

    evaluation: Evaluation
    area: AreaReport | None
    by_distance: tuple[DistanceAccuracy, ...]
    notes: tuple[str, ...]


def evaluate_region(
    workspace: Workspace,
    region_id: str,
    *,
    actor: str,
    progress: Progress = ignore_progress,
) -> RegionEvaluated:
    """Judge the region's present map on labels it has never seen, and its model on held-out ones.

    The headline is the map at unseen labels: a holdout set, or, where the global model made the
    map, calibration labels. Where every label has trained the map, it is the most separated of the
    figures by folds.

    Raises
    ------
    NotFound
        There is no map or no label.
    LeakRefused
        Holdout points lie near labels the model was made with.
    """
    region = find_region(workspace, region_id)
    if region.kind is RegionKind.TABLE:
        raise InputError(
            f"region {region_id!r} is a table without imagery; its leave-one-region-out figures"
            " come with the product (`geotransfer regions list`)."
        )
    done = find_map(workspace, region_id)
    legend = load_cached_model(workspace.blobs_url, done.model_id).legend
    progress(0, STEPS, "reading the map at the labels")
    unseen, leak = None, None
    try:
        unseen = find_unseen_labels(workspace, region, done, legend)
    except LeakRefused as error:
        # What can be told without these labels is told, then the refusal is passed on.
        leak = error
    judged = None
    if unseen is not None:
        progress(1, STEPS, "estimating accuracy and area")
        judged = _judge_map(workspace, region, done, unseen, legend)
    progress(2, STEPS, "holding the labels out in three ways")
    folds, fold_note = _judge_folds(workspace, region, done, progress)
    if judged is None and folds is None:
        if leak is not None:
            raise leak
        raise NotFound(
            f"region {region_id!r} has no holdout set and no other labels; upload points that are"
            f" never used to fine-tune: `geotransfer labels add {region_id} FILE --holdout`."
        )
    progress(3, STEPS, "writing the report")
    report = _make_report(workspace, done, judged, folds, str(leak) if leak else fold_note)
    reported = AccuracyReported(
        region_id=region_id,
        map_id=done.map_id,
        model_id=done.model_id,
        report_id=workspace.blobs.put(canonical_json(report)),
    )
    fact = _make_headline(workspace, done, judged, folds, unseen)
    workspace.ledger.append(fact, reported, actor=actor)
    if leak is not None:
        raise leak
    progress(STEPS, STEPS, "evaluated")
    return fact


def _judge_map(
    workspace: Workspace, region: Region, done: RefreshDone, unseen: UnseenLabels, legend: Legend
) -> _Judged | None:
    known = unseen.is_answered
    if not known.any():
        return None
    codes, reference = unseen.codes[known], unseen.points.codes[known]
    evaluation = evaluate_rows(
        codes,
        reference,
        unseen.probability[known, 1] if len(legend.classes) == 2 else None,
        legend,
        estimand="known-truth" if region.kind is RegionKind.SIMULATED else "random",
        separation_km=unseen.separation_km,
        groups=None,
        seed=0,
    )
    notes = []
    n_blank = int((~known).sum())
    if n_blank:
        notes.append(f"{n_blank} labels lie where the map has no answer and are left out.")
    area = None
    areas = measure_map(
        locate_map(workspace, region.region_id, done.map_id),
        load_scenes(workspace, region.region_id).grid,
        legend,
    )
    try:
        found, area = estimate_areas(done, unseen, areas, legend)
    except InputError as error:
        notes.append(f"No area estimate: {error}")
    else:
        if unseen.sample is not None and not found.is_indicative:
            evaluation = replace(found.to_evaluation(), separation_km=unseen.separation_km)
    if not unseen.is_probability_sample:
        note = (
            "Labels at places somebody chose: indicative, they say nothing certain of the whole"
            f" map. {evaluation.note}"
        )
        evaluation = replace(evaluation, note=note.strip())
    by_distance: tuple[DistanceAccuracy, ...] = ()
    if unseen.distance_km is not None:
        xy_km = unseen.points.xy_km[known]
        block_km = choose_block_km(xy_km)
        by_distance = measure_by_distance(
            codes,
            reference,
            unseen.distance_km[known],
            legend,
            groups=None if block_km is None else assign_blocks(xy_km, block_km),
            seed=0,
        )
    return _Judged(evaluation=evaluation, area=area, by_distance=by_distance, notes=tuple(notes))


def _judge_folds(
    workspace: Workspace, region: Region, done: RefreshDone, progress: Progress
) -> tuple[FoldAccuracy | None, str]:
    """Hold calibration labels out of the serving model's strategy; None, and why, without any."""
    version = find_version(workspace, done.model_id)
    # A newer global model is another one, and may have been trained on these very labels.
    global_id = version.lineage.parent_id or version.model_id
    baseline = load_cached_model(workspace.blobs_url, global_id)
    if region.region_id in baseline.source_region_ids:
        return None, (
            f"Labels of region {region.region_id!r} trained the global model: it has seen them all,"
            " so none can be held out of it."
        )
    labels_id = version.lineage.labels_id
    if labels_id is None:
        fact = find_labels(workspace, region.region_id, "calibration")
        labels_id = None if fact is None else fact.labels_id
    if labels_id is None or not workspace.blobs.exists(labels_id):
        return None, "No calibration labels: random, block and kNNDM figures need some."
    points = read_points(workspace.blobs.get(labels_id))
    try:
        samples = measure_samples(workspace, region, points)
    except LabelsInvalid as error:
        return None, str(error)
    spec = find_spec(workspace, region.spec_name)
    source, _ = load_source(workspace, spec, legend_name=region.legend_name, model_id=global_id)
    found = judge_by_folds(
        baseline,
        samples,
        source,
        strategy_name=version.lineage.strategy,
        places_xy_km=spread_places(workspace, region.region_id),
        n_threads=workspace.settings.thread_count,
        check=lambda: progress(2, STEPS, "holding the labels out in three ways"),
    )
    return found, ""


def _make_report(
    workspace: Workspace,
    done: RefreshDone,
    judged: _Judged | None,
    folds: FoldAccuracy | None,
    note: str,
) -> AccuracyReport:
    version = find_version(workspace, done.model_id)
    figures: tuple[NamedEvaluation, ...] = ()
    if judged is not None:
        figures += (
            NamedEvaluation(name="the map, labels it never saw", evaluation=judged.evaluation),
        )
    if folds is not None:
        figures += folds.figures
    by_distance, distance_note = _choose_distances(version, judged, folds)
    notes = (
        *(judged.notes if judged is not None else ()),
        *(folds.notes if folds is not None else ()),
        *((note,) if note else ()),
    )
    if judged is None:
        notes += (
            "Every label has trained this map: area estimates need labels it has never seen.",
        )
    return AccuracyReport(
        map_id=done.map_id,
        model_id=done.model_id,
        model_name=version.name,
        figures=figures,
        by_distance=by_distance,
        distance_note=distance_note,
        area=None if judged is None else judged.area,
        notes=notes,
    )


def _choose_distances(
    version: ModelVersion, judged: _Judged | None, folds: FoldAccuracy | None
) -> tuple[tuple[DistanceAccuracy, ...], str]:
    is_near_none = judged is None or judged.evaluation.separation_km is None
    if version.lineage.labels_id is None and is_near_none:
        return (), (
            "The global model made this map; no label of the region trained it, so its accuracy"
            " cannot depend on the distance to one."
        )
    if judged is not None and len(judged.by_distance) > 1:
        return judged.by_distance, "The map at labels it never saw."
    if folds is not None and folds.by_distance:
        return folds.by_distance, (
            "The model on its own labels, held out at random, in blocks and by kNNDM; near"
            " distances come mostly from random folds."
        )
    return (), "Too few labels at any distance."


def _make_headline(
    workspace: Workspace,
    done: RefreshDone,
    judged: _Judged | None,
    folds: FoldAccuracy | None,
    unseen: UnseenLabels | None,
) -> RegionEvaluated:
    """Return the figure the region shows, with its reach."""
    target = workspace.settings.accuracy_target
    confidence: NDArray[np.float64]
    if judged is not None and unseen is not None:
        known = unseen.is_answered
        evaluation = judged.evaluation
        confidence = unseen.probability[known].max(axis=1)
        is_correct = unseen.codes[known] == unseen.points.codes[known]
        role = unseen.fact.role
        source = f"{role} {unseen.fact.labels_id[:12]}, map {done.map_id[:12]}"
    elif folds is not None:
        evaluation = folds.most_honest
        confidence, is_correct = folds.confidence, folds.is_correct
        source = f"calibration labels held out, map {done.map_id[:12]}"
    else:
        raise NotFound("nothing was judged.")
    return RegionEvaluated(
        region_id=done.region_id,
        model_id=done.model_id,
        purpose="map",
        evaluation=evaluation,
        reach=measure_reach(
            done,
            confidence=confidence,
            is_correct=is_correct,
            cutoff=find_cutoff(target),
            target=target,
        ),
        reach_target=target,
        source=source,
    )
