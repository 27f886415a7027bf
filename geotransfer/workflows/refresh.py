"""Refresh: bring a region's map up to date, computing only what changed."""

from __future__ import annotations

import uuid

from geotransfer.change.keys import PARTS, PREDICT_VERSION, TileKeys
from geotransfer.change.plan import Action
from geotransfer.core.fact import RefreshDone
from geotransfer.core.identity import content_id
from geotransfer.errors import SceneUnreadable
from geotransfer.imagery.access import Access, make_access
from geotransfer.store.ledger import format_time
from geotransfer.store.tile_files import locate_answers, locate_features
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.audit import audit_region
from geotransfer.workflows.costing import Meter
from geotransfer.workflows.definitions import find_spec
from geotransfer.workflows.maps import write_map
from geotransfer.workflows.progress import Progress, ignore_progress
from geotransfer.workflows.refresh_plan import (
    RefreshPlan,
    match_tiles,
    parse_state,
    plan_region,
    select_scenes,
)
from geotransfer.workflows.refresh_record import (
    UPDATED,
    merge_rows,
    record_failure,
    record_refresh,
)
from geotransfer.workflows.tile import PreviousTile, TileResult, TileTask, Tracking
from geotransfer.workflows.tile_runs import run_tiles
from geotransfer.workflows.tile_state import locate_history
from geotransfer.workflows.tile_update import bring_up_to_date

UPDATE_PARTS = ("inputs", "model")
"""A tile whose other parts are the same is updated, not computed whole."""


def refresh(
    workspace: Workspace,
    region_id: str,
    *,
    actor: str,
    progress: Progress = ignore_progress,
) -> RefreshDone:
    """Bring a region's map up to date and record what was computed, kept and saved.

    Raises
    ------
    SceneUnreadable
        A file cannot be read. The map stays as it was; tiles already computed are kept for the
        next run.
    """
    meter = Meter.start()
    progress(0, 0, "comparing scenes with the last map")
    planned = plan_region(workspace, region_id)
    work = {*planned.plan.select(Action.COMPUTE), *planned.plan.select(Action.PREDICT)}
    access = make_access(workspace.settings, run_id=uuid.uuid4().hex)
    tasks = _make_tasks(workspace, planned, work, access)
    results: dict[str, TileResult] = {}
    try:
        for result in run_tiles(bring_up_to_date, tasks, workspace.settings):
            results[result.tile_id] = result
            progress(len(results), len(tasks), f"computed {len(results)} of {len(tasks)} tiles")
    except SceneUnreadable as error:
        record_failure(workspace, planned, error, actor=actor)
        raise
    rows = merge_rows(
        planned.plan,
        planned.previous,
        planned.keys,
        {task.tile.tile_id: (task, results[task.tile.tile_id]) for task in tasks},
        now=format_time(workspace.clock()),
    )
    map_id = content_id([[row["tile_id"], row["map_key"]] for row in rows])
    if planned.last is None or map_id != planned.last.map_id:
        progress(len(tasks), len(tasks), "writing the map")
        write_map(workspace, planned.region, planned.inputs, rows, map_id, planned.version)
    done = record_refresh(
        workspace, planned, rows=rows, results=results, map_id=map_id, meter=meter, actor=actor
    )
    if done.n_judged and results:
        audit = audit_region(
            workspace, region_id, actor=actor, progress=progress, inputs=planned.inputs
        )
        if audit.is_tightened:
            progress(0, 0, "the audit found too much: judging more strictly")
            return refresh(workspace, region_id, actor=actor, progress=progress)
    return done


def _make_tasks(
    workspace: Workspace, planned: RefreshPlan, wanted: set[str], access: Access
) -> list[TileTask]:
    spec = find_spec(workspace, planned.region.spec_name)
    used = select_scenes(planned.inputs.scenes, spec)
    folder = workspace.locate_tiles(planned.region.region_id)
    actions = {d.tile_id: d for d in planned.plan.decisions}
    tasks = []
    for tile, touching in match_tiles(used, planned.inputs):
        if tile.tile_id not in wanted:
            continue
        keys, decision = planned.keys[tile.tile_id], actions[tile.tile_id]
        old = planned.previous.get(tile.tile_id, {})
        state_key = str(old.get("state_key") or "")
        is_forced = planned.is_forced(tile.tile_id)
        stale = planned.stale_pixels.get(tile.tile_id, ())
        scenes = tuple(used[i] for i in touching)
        feature_stem = state_stem = keys.feature_key
        previous = None
        if decision.action is Action.PREDICT:
            feature_stem, state_stem = str(old["feature_key"]), state_key
        elif state_key and _is_update(parse_state(old).keys, keys):
            told = [state_key, keys.feature_key, planned.rule.quantile, str(planned.rule.reach)]
            feature_stem = state_stem = UPDATED + content_id([*told, is_forced, stale])
            previous = PreviousTile(
                feature_path=str(locate_features(folder, str(old["feature_key"]))),
                map_path=str(locate_answers(folder, str(old["map_key"]))),
                state_path=str(locate_history(folder, state_key)),
                is_other_model=str(old["model"]) != keys.model,
                is_forced=is_forced,
                stale_pixels=stale,
            )
        tasks.append(
            TileTask(
                region=planned.region,
                spec=spec,
                grid=planned.inputs.grid,
                tile=tile,
                scenes=scenes,
                blobs_url=workspace.blobs_url,
                model_id=planned.version.model_id,
                feature_path=str(locate_features(folder, feature_stem)),
                map_path=str(locate_answers(folder, name_map(feature_stem, keys))),
                min_valid=spec.min_valid or workspace.settings.min_valid,
                layers=planned.inputs.layers,
                access=access,
                tracking=None
                if decision.action is Action.PREDICT or not workspace.settings.cube_gb
                else Tracking(
                    cube_folder=str(workspace.locate_cube()),
                    cube_bytes=int(workspace.settings.cube_gb * 1e9),
                    place_id=keys.area,
                    fingerprints=tuple(planned.fingerprints[s.scene_id] for s in scenes),
                    layer_prints=planned.layer_prints,
                    state_path=str(locate_history(folder, state_stem)),
                    previous=previous,
                    rule=planned.rule,
                    reason=decision.reason,
                ),
            )
        )
    return tasks


def _is_update(old: TileKeys, new: TileKeys) -> bool:
    """Whether only scenes, layers and the model are others than before."""
    return all(
        getattr(old, part) == getattr(new, part) for part in PARTS if part not in UPDATE_PARTS
    )


def name_map(feature_stem: str, keys: TileKeys) -> str:
    """Return the name of the map of stored features; for exact features it is the map's key."""
    name = content_id([feature_stem, keys.model, PREDICT_VERSION])
    return UPDATED + name if feature_stem.startswith(UPDATED) else name
