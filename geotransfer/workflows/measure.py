"""Measure: a region's measured columns without a model, under the keys a refresh would use."""

from __future__ import annotations

import uuid

from geotransfer.core.grid import cut_tiles
from geotransfer.core.region import Region
from geotransfer.imagery.access import make_access
from geotransfer.store.tile_files import locate_features
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.definitions import find_spec
from geotransfer.workflows.progress import Progress, ignore_progress
from geotransfer.workflows.refresh_plan import (
    fingerprint_inputs,
    make_tile_keys,
    match_tiles,
    select_scenes,
)
from geotransfer.workflows.scene_list import load_scenes
from geotransfer.workflows.tile import TileTask, measure_tile
from geotransfer.workflows.tile_runs import run_tiles


def measure_tiles(
    workspace: Workspace, region: Region, *, progress: Progress = ignore_progress
) -> dict[str, str]:
    """Measure every tile of a region that is not measured yet.

    Returns
    -------
    The feature key of each tile. The next refresh finds the files and reads no scene again.

    Raises
    ------
    NotFound
        The region has no scenes.
    SceneUnreadable
        A file cannot be read; tiles already measured are kept.
    """
    inputs = load_scenes(workspace, region.region_id)
    spec = find_spec(workspace, region.spec_name)
    no_model = {tile.tile_id: "" for tile in cut_tiles(inputs.grid, inputs.tile_px)}
    prints = fingerprint_inputs(workspace, region, inputs, spec)
    keys = make_tile_keys(region, inputs, spec, no_model, prints)
    used = select_scenes(inputs.scenes, spec)
    folder = workspace.locate_tiles(region.region_id)
    access = make_access(workspace.settings, run_id=uuid.uuid4().hex)
    tasks = [
        TileTask(
            region=region,
            spec=spec,
            grid=inputs.grid,
            tile=tile,
            scenes=tuple(used[i] for i in touching),
            layers=inputs.layers,
            blobs_url=workspace.blobs_url,
            model_id="",
            feature_path=str(locate_features(folder, keys[tile.tile_id].feature_key)),
            map_path="",
            min_valid=spec.min_valid or workspace.settings.min_valid,
            access=access,
        )
        for tile, touching in match_tiles(used, inputs)
    ]
    results = run_tiles(measure_tile, tasks, workspace.settings)
    for done, _ in enumerate(results, start=1):
        progress(done, len(tasks), f"measured {done} of {len(tasks)} tiles")
    return {tile_id: found.feature_key for tile_id, found in keys.items()}
