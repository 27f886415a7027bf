"""Assess: from features alone, before any label, whether a region is like those the model knows."""

from __future__ import annotations

import json

from geotransfer.applicability.assess import assess_region, predict_new_region
from geotransfer.core.fact import RegionAssessed
from geotransfer.core.identity import canonical_json
from geotransfer.registry.versions import find_baseline
from geotransfer.store.shipped import REGIONS, locate_shipped
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.applicability_maps import map_source_area
from geotransfer.workflows.definitions import find_spec
from geotransfer.workflows.progress import Progress, ignore_progress
from geotransfer.workflows.region_pixels import draw_pixels, find_map
from geotransfer.workflows.regions import find_region
from geotransfer.workflows.scene_list import RegionScenes, load_scenes
from geotransfer.workflows.source_area import fit_source_area, measure_source_robustness

N_PIXELS = 4000
"""Pixels the figures rest on, drawn with a seed over the whole region."""
LABELS_YEAR = 2019
"""Year of the source samples' labels."""


def assess(
    workspace: Workspace,
    region_id: str,
    *,
    seed: int = 0,
    actor: str,
    progress: Progress = ignore_progress,
) -> RegionAssessed:
    """Say before labelling what to do with a region, and map where the model applies.

    Raises
    ------
    NotFound
        The region has no map yet, or nothing stands for the source samples of its spec.
    """
    region = find_region(workspace, region_id)
    done = find_map(workspace, region_id)
    spec = find_spec(workspace, region.spec_name)
    progress(0, 4, "measuring the source samples")
    baseline = find_baseline(workspace, region.spec_name, legend_name=region.legend_name)
    source = fit_source_area(workspace, region)
    robustness = measure_source_robustness(source, seed=seed)
    inputs = load_scenes(workspace, region_id)
    progress(1, 4, "reading the region's features")
    pixels = draw_pixels(workspace, done, inputs, spec, n_pixels=N_PIXELS, seed=seed)
    progress(2, 4, "comparing the region with the source regions")
    assessment = assess_region(
        source.area,
        pixels.features,
        source_regions=source.samples.region_ids,
        target_blocks=pixels.blocks,
        expected_left_out=predict_new_region(_read_left_out()),
        accuracy_target=workspace.settings.accuracy_target,
        robustness=robustness,
        years_apart=_find_year(inputs) - LABELS_YEAR,
        seed=seed,
        n_threads=workspace.settings.thread_count,
    )
    # Of the model that made the map: a fine-tuned one has learnt from labels too.
    is_global = done.model_id == baseline.model_id
    map_source_area(
        workspace,
        done,
        source if is_global else fit_source_area(workspace, region, done.model_id),
        actor=actor,
        progress=lambda _done, _planned, what: progress(3, 4, what),
    )
    fact = RegionAssessed(
        region_id=region_id,
        model_id=baseline.model_id,
        assessment_id=workspace.blobs.put(canonical_json(assessment)),
        recommendation=str(assessment.recommendation),
        inside_share=assessment.inside_share,
        source=source.name,
    )
    workspace.ledger.append(fact, actor=actor)
    progress(4, 4, str(assessment.recommendation))
    return fact


def _read_left_out() -> list[float]:
    """Balanced accuracy of each reference region by models that had not seen it."""
    document = json.loads(locate_shipped(REGIONS).read_text(encoding="utf-8"))
    return [
        float(entry["evaluations"][0]["evaluation"]["balanced"]["value"])
        for entry in document["regions"]
    ]


def _find_year(inputs: RegionScenes) -> int:
    years = sorted(int(scene.sensed_at[:4]) for scene in inputs.scenes)
    return years[len(years) // 2]
