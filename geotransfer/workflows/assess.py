"""Assess: from features alone, before any label, whether a region is like those the model knows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geotransfer.applicability.area import Applicability, fit_applicability
from geotransfer.applicability.assess import Assessment, assess_region, predict_new_region
from geotransfer.applicability.search import find_inside
from geotransfer.core.decode import from_plain
from geotransfer.core.fact import RefreshDone, RegionAssessed
from geotransfer.core.grid import Tile, cut_tiles
from geotransfer.core.identity import canonical_json
from geotransfer.core.region import Region
from geotransfer.core.spec import SPECS, FeatureSpec
from geotransfer.errors import NotFound
from geotransfer.imagery.features import derive_features
from geotransfer.imagery.rasters import Array, read_tile, write_cog
from geotransfer.registry.versions import find_baseline
from geotransfer.store.shipped import REGIONS, locate_shipped
from geotransfer.store.tables import read_table
from geotransfer.store.workspace import Workspace
from geotransfer.transfer.samples import Samples
from geotransfer.workflows.maps import locate_map
from geotransfer.workflows.models import load_cached_model
from geotransfer.workflows.progress import Progress, ignore_progress
from geotransfer.workflows.regions import find_region
from geotransfer.workflows.scene_list import RegionScenes, load_scenes
from geotransfer.workflows.source import load_source

N_PIXELS = 4000
"""Pixels the figures rest on, drawn with a seed over the whole region."""
BLOCK_PX = 64
"""Pixels of one block of this side count as neighbours."""
LABELS_YEAR = 2019
"""Year of the source samples' labels."""
FOLD_RULE = "leave-one-region-out"
LAYER = "applicability"


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class RegionPixels:
    """Some of a region's pixels with all features."""

    features: NDArray[np.float32]
    """Shape (n_features, n)."""
    blocks: NDArray[np.int64]
    """Shape (n,), block of each pixel."""


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
    done = workspace.ledger.read_last(RefreshDone, region_id=region_id)
    if done is None:
        raise NotFound(
            f"region {region_id!r} has no map yet; run `geotransfer refresh {region_id}` first."
        )
    spec = SPECS[region.spec_name]
    source, source_name = load_source(workspace, spec)
    if source is None:
        raise NotFound(f"no source samples for spec {spec.name!r}; fetch or import the tables.")
    progress(0, 4, "measuring the source samples")
    baseline = find_baseline(workspace, region.spec_name)
    area = _fit_area(workspace.blobs_url, baseline.model_id, source)
    inputs = load_scenes(workspace, region_id)
    progress(1, 4, "reading the region's features")
    keys = {
        str(row["tile_id"]): str(row["feature_key"])
        for row in read_table(workspace.blobs.get(done.tiles_id))
    }
    store = workspace.locate_tiles(region_id)
    pixels = draw_pixels(store, keys, inputs, spec, seed=seed)
    progress(2, 4, "comparing the region with the source regions")
    assessment = assess_region(
        area,
        pixels.features,
        source_regions=source.region_ids,
        target_blocks=pixels.blocks,
        expected_left_out=predict_new_region(_read_left_out()),
        accuracy_target=workspace.settings.accuracy_target,
        years_apart=_find_year(inputs) - LABELS_YEAR,
        seed=seed,
        n_threads=workspace.settings.thread_count,
    )
    progress(3, 4, "mapping where the model applies")
    _write_area(workspace, region, done.map_id, inputs, keys, spec, area)
    fact = RegionAssessed(
        region_id=region_id,
        model_id=baseline.model_id,
        assessment_id=workspace.blobs.put(canonical_json(assessment)),
        recommendation=str(assessment.recommendation),
        inside_share=assessment.inside_share,
        source=source_name,
    )
    workspace.ledger.append(fact, actor=actor)
    progress(4, 4, str(assessment.recommendation))
    return fact


@lru_cache(maxsize=2)
def _weigh_features(blobs_url: str, model_id: str) -> NDArray[np.float64]:
    """Gain of each feature, summed over the global model's ensembles."""
    scores = load_cached_model(blobs_url, model_id).scores
    gains = [trees.booster.feature_importance("gain") for trees in scores.trees]
    return np.asarray(np.sum(gains, axis=0), dtype=np.float64)


def _fit_area(blobs_url: str, model_id: str, source: Samples) -> Applicability:
    folds = np.unique(source.region_ids, return_inverse=True)[1].astype(np.int32)
    return fit_applicability(
        source.features,
        _weigh_features(blobs_url, model_id),
        folds,
        fold_rule=FOLD_RULE,
        feature_names=source.spec.names,
    )


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


def draw_pixels(
    store: Path, keys: dict[str, str], inputs: RegionScenes, spec: FeatureSpec, *, seed: int
) -> RegionPixels:
    """Draw pixels from every tile, as many as its share of the area."""
    rng = np.random.default_rng(seed)
    features, blocks = [], []
    n_whole = inputs.grid.height * inputs.grid.width
    n_columns = -(-inputs.grid.width // BLOCK_PX)
    for tile in cut_tiles(inputs.grid, inputs.tile_px):
        if tile.tile_id not in keys:
            continue
        n_tile = tile.height * tile.width
        chosen = rng.permutation(n_tile)[: max(1, round(N_PIXELS * n_tile / n_whole))]
        layers = read_tile(store / f"{keys[tile.tile_id]}.features.tif")
        measured = layers[: len(spec.measured)].reshape(len(spec.measured), -1)[:, chosen]
        features.append(derive_features(spec, measured.astype(np.float32)))
        rows = (tile.row + chosen // tile.width) // BLOCK_PX
        cols = (tile.col + chosen % tile.width) // BLOCK_PX
        blocks.append(rows * n_columns + cols)
    return RegionPixels(features=np.concatenate(features, axis=1), blocks=np.concatenate(blocks))


def _write_area(
    workspace: Workspace,
    region: Region,
    map_id: str,
    inputs: RegionScenes,
    keys: dict[str, str],
    spec: FeatureSpec,
    area: Applicability,
) -> None:
    """Write where the model applies, tile by tile: 1 inside, 0 outside, 255 no answer."""
    store = workspace.locate_tiles(region.region_id)

    def find_tiles() -> Iterator[tuple[Tile, Array]]:
        for tile in cut_tiles(inputs.grid, inputs.tile_px):
            if tile.tile_id not in keys:
                continue
            layers = read_tile(store / f"{keys[tile.tile_id]}.features.tif")
            measured = layers[: len(spec.measured)].astype(np.float32)
            features = derive_features(spec, measured.reshape(len(spec.measured), -1))
            inside = find_inside(area, features, n_threads=workspace.settings.thread_count)
            yield tile, inside.reshape(1, tile.height, tile.width)

    write_cog(
        locate_map(workspace, region.region_id, map_id) / f"{LAYER}.tif",
        inputs.grid,
        find_tiles(),
        dtype="uint8",
        names=["inside the area of applicability"],
        nodata=255,
        resampling="mode",
    )


def find_assessment(workspace: Workspace, region_id: str) -> Assessment | None:
    """Return a region's newest assessment, or None."""
    fact = workspace.ledger.read_last(RegionAssessed, region_id=region_id)
    if fact is None:
        return None
    return from_plain(Assessment, json.loads(workspace.blobs.get(fact.assessment_id)))
