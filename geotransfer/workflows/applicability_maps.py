"""Map where a region's map may be trusted: inside or outside always, index and density on request.

Tile by tile on the scheduler of the settings; the map does not depend on tiles, threads or order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from geotransfer.core.applicability import (
    AccuracyCurve,
    ApplicabilityLayer,
    ApplicabilityReport,
    ClassShare,
)
from geotransfer.core.estimate import Estimate
from geotransfer.core.fact import ApplicabilityMapped, RefreshDone
from geotransfer.core.grid import Tile, cut_tiles
from geotransfer.core.identity import canonical_json
from geotransfer.core.legend import APPLICABILITY, Legend
from geotransfer.core.spec import FeatureSpec
from geotransfer.errors import InputError
from geotransfer.imagery.rasters import Array, write_cog
from geotransfer.imagery.scheduler import run_tasks
from geotransfer.store.tile_files import read_tile
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.applicability_tile import (
    CLASSES,
    DENSITY,
    DISSIMILARITY,
    EXPECTED,
    INSIDE,
    LAYERS,
    SCALE,
    AreaResult,
    AreaTask,
    compute_area_tile,
    find_class_area,
    find_nodata,
)
from geotransfer.workflows.costing import Meter
from geotransfer.workflows.definitions import find_spec
from geotransfer.workflows.expected_accuracy import find_curve
from geotransfer.workflows.maps import locate_map
from geotransfer.workflows.models import load_cached_model
from geotransfer.workflows.progress import Progress, ignore_progress
from geotransfer.workflows.region_pixels import find_map, read_feature_keys
from geotransfer.workflows.regions import find_region
from geotransfer.workflows.scene_list import RegionScenes, load_scenes
from geotransfer.workflows.source_area import SourceArea, fit_source_area
from geotransfer.workflows.transfer_views import find_applicability

ON_REQUEST = (DISSIMILARITY, DENSITY, CLASSES, EXPECTED)
"""Layers that are made only where somebody asks, each at its own cost."""
RESAMPLING = {INSIDE: "mode", CLASSES: "mode"}
"""Of overviews; measurements are averaged."""


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class _Work:
    """What all layers of one map share."""

    workspace: Workspace
    done: RefreshDone
    area_id: str
    legend: Legend
    spec: FeatureSpec
    inputs: RegionScenes
    feature_keys: Mapping[str, str]
    curve: AccuracyCurve | None
    tags: dict[str, str]


def map_applicability(
    workspace: Workspace,
    region_id: str,
    *,
    layers: Sequence[str] = (),
    actor: str,
    progress: Progress = ignore_progress,
) -> ApplicabilityMapped:
    """Map inside and outside for a region's present map, and the layers asked for beside it.

    Parameters
    ----------
    layers
        Any of ``ON_REQUEST``; those made earlier for the same map stay.

    Raises
    ------
    NotFound
        The region has no map yet, or nothing stands for the source samples of its spec.
    InputError
        A layer that is none, or expected accuracy where nothing is known to learn it from.
    """
    unknown = sorted(set(layers) - set(ON_REQUEST))
    if unknown:
        raise InputError(f"{unknown[0]!r} is no layer; choose among {', '.join(ON_REQUEST)}.")
    region = find_region(workspace, region_id)
    done = find_map(workspace, region_id)
    progress(0, 0, "measuring the training samples")
    source = fit_source_area(workspace, region, done.model_id)
    return map_source_area(workspace, done, source, layers=layers, actor=actor, progress=progress)


def map_source_area(
    workspace: Workspace,
    done: RefreshDone,
    source: SourceArea,
    *,
    layers: Sequence[str] = (),
    actor: str,
    progress: Progress = ignore_progress,
) -> ApplicabilityMapped:
    """Map a fitted area over the map that a refresh made; see ``map_applicability``."""
    meter = Meter.start()
    region_id = str(done.region_id)
    area_id = source.store(workspace)
    before = find_applicability(workspace, region_id)
    if before is not None and (before.map_id, before.area_id) != (done.map_id, area_id):
        before = None
    wanted = [layer for layer in LAYERS if layer == INSIDE or layer in layers]
    if EXPECTED in wanted and DISSIMILARITY not in wanted:
        wanted.insert(wanted.index(EXPECTED), DISSIMILARITY)
    curve = before.curve if before is not None else None
    if EXPECTED in wanted:
        curve = find_curve(workspace, done, source)
    work = _Work(
        workspace=workspace,
        done=done,
        area_id=area_id,
        legend=load_cached_model(workspace.blobs_url, done.model_id).legend,
        spec=find_spec(workspace, find_region(workspace, region_id).spec_name),
        inputs=load_scenes(workspace, region_id),
        feature_keys=read_feature_keys(workspace, done),
        curve=curve,
        tags={
            "fold_rule": source.area.fold_rule,
            "threshold_rule": source.area.threshold_rule,
            "threshold": repr(source.area.threshold),
            "training_samples": source.name,
        },
    )
    results = {
        layer: _map_layer(work, layer, progress, (number, len(wanted)))
        for number, layer in enumerate(wanted)
    }
    made = {item.name: item for item in before.layers} if before is not None else {}
    made |= {layer: _describe_layer(layer, found) for layer, found in results.items()}
    report = ApplicabilityReport(
        map_id=done.map_id,
        model_id=done.model_id,
        area_id=area_id,
        source=source.name,
        regions=source.region_names,
        n_samples=source.area.n_samples,
        fold_rule=source.area.fold_rule,
        threshold_rule=source.area.threshold_rule,
        threshold=source.area.threshold,
        inside_share=_find_share(results[INSIDE]),
        layers=tuple(made[layer] for layer in LAYERS if layer in made),
        classes=before.classes if before is not None else (),
        curve=curve,
        expected=before.expected if before is not None else None,
    )
    if CLASSES in results:
        report = replace(report, classes=_describe_classes(work, results[CLASSES]))
    if EXPECTED in results and curve is not None:
        report = replace(report, expected=_average_accuracy(results[EXPECTED], curve))
    fact = ApplicabilityMapped(
        region_id=region_id,
        map_id=done.map_id,
        model_id=done.model_id,
        report_id=workspace.blobs.put(canonical_json(report)),
        inside_share=report.inside_share,
        cost=meter.read(
            tasks_cpu_s=sum(r.cpu_s for found in results.values() for r in found),
            scheduler=workspace.settings.scheduler,
            n_pixels=sum(r.n_pixels for r in results[INSIDE]),
        ),
    )
    workspace.ledger.append(fact, actor=actor)
    progress(1, 1, f"{report.inside_share:.0%} of the map is inside")
    return fact


def _map_layer(
    work: _Work, layer: str, progress: Progress, place: tuple[int, int]
) -> list[AreaResult]:
    """Compute a layer's tiles and put them together as one raster."""
    workspace, inputs, keys = work.workspace, work.inputs, work.feature_keys
    tasks = [
        AreaTask(
            layer=layer,
            blobs_url=workspace.blobs_url,
            area_id=work.area_id,
            class_codes=work.legend.codes if layer == CLASSES else (),
            curve=work.curve if layer == EXPECTED else None,
            spec=work.spec,
            grid=inputs.grid,
            tile=tile,
            feature_key=keys[tile.tile_id],
            folder=str(workspace.locate_tiles(str(work.done.region_id))),
        )
        for tile in cut_tiles(inputs.grid, inputs.tile_px)
        if tile.tile_id in keys
    ]
    number, n_layers = place
    results = []
    for result in run_tasks(
        compute_area_tile,
        tasks,
        scheduler=workspace.settings.scheduler,
        n_workers=workspace.settings.thread_count,
    ):
        results.append(result)
        progress(
            number * len(tasks) + len(results),
            n_layers * len(tasks) + 1,
            f"{layer.replace('-', ' ')}: {len(results)} of {len(tasks)} tiles",
        )
    _write_layer(work, layer, tasks)
    return results


def _write_layer(work: _Work, layer: str, tasks: Sequence[AreaTask]) -> None:
    def read_all() -> Iterator[tuple[Tile, Array]]:
        for task in tasks:
            yield task.tile, read_tile(task.path, task.tile)

    folder: Path = locate_map(work.workspace, str(work.done.region_id), work.done.map_id)
    is_measure = find_nodata(layer) != 255
    write_cog(
        folder / f"{layer}.tif",
        tasks[0].grid,
        read_all(),
        dtype="uint16" if is_measure else "uint8",
        names=_name_bands(layer, work.legend),
        nodata=find_nodata(layer),
        legend=APPLICABILITY if layer == INSIDE else None,
        scale=SCALE if is_measure else None,
        resampling=RESAMPLING.get(layer, "average"),
        tags=work.tags,
    )


def _name_bands(layer: str, legend: Legend) -> list[str]:
    if layer == CLASSES:
        return [f"near samples of {name}" for name in legend.names]
    if layer == EXPECTED:
        return ["expected accuracy", "lower end", "upper end"]
    return [{INSIDE: "inside the area of applicability"}.get(layer, layer)]


def _describe_layer(layer: str, results: Sequence[AreaResult]) -> ApplicabilityLayer:
    return ApplicabilityLayer(
        name=layer,
        cpu_s=sum(r.cpu_s for r in results),
        n_pixels=sum(r.n_pixels for r in results),
    )


def _find_share(results: Sequence[AreaResult], band: int = 0) -> float:
    n_pixels = sum(r.n_pixels for r in results)
    return sum(r.sums[band] for r in results) / n_pixels if n_pixels else 0.0


def _describe_classes(work: _Work, results: Sequence[AreaResult]) -> tuple[ClassShare, ...]:
    shares = []
    for band, (code, name) in enumerate(zip(work.legend.codes, work.legend.names, strict=True)):
        own = find_class_area(work.workspace.blobs_url, work.area_id, code)
        if own is None:
            note = "Too few regions hold training samples of it for a threshold of its own."
            shares.append(ClassShare(name=name, share=None, threshold=None, note=note))
        else:
            shares.append(
                ClassShare(name=name, share=_find_share(results, band), threshold=own.threshold)
            )
    return tuple(shares)


def _average_accuracy(results: Sequence[AreaResult], curve: AccuracyCurve) -> Estimate | None:
    if not sum(r.n_pixels for r in results):
        return None
    value, low, high = (_find_share(results, band) for band in range(3))
    return Estimate(
        value=float(np.clip(value, low, high)),
        low=low,
        high=high,
        level=curve.level,
        method=f"mean over the map; {curve.method}",
        n=curve.n,
    )
