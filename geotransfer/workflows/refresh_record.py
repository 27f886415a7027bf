"""What a refresh leaves behind: the tile table, the decisions and the fact."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace

import numpy as np

from geotransfer.change.keys import TileKeys
from geotransfer.change.plan import Action, Plan
from geotransfer.change.reach import N_BINS, remember
from geotransfer.core.cost import sum_stages
from geotransfer.core.decision import DecidedBy, SceneDecision
from geotransfer.core.fact import RefreshDone, RefreshFailed
from geotransfer.core.scene import Scene
from geotransfer.errors import SceneUnreadable
from geotransfer.imagery.grids import measure_pixel_km2
from geotransfer.store.tables import Row, write_table
from geotransfer.store.tile_files import read_key
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.costing import Meter
from geotransfer.workflows.models import load_cached_model
from geotransfer.workflows.refresh_plan import RefreshPlan
from geotransfer.workflows.tile import CONFIDENCE_BINS, TileResult, TileTask
from geotransfer.workflows.tile_reading import open_cube

NOT_IN_ROWS = ("stages", "moves", "decisions", "has_new_features", "has_new_view")
"""Parts of a result that are summed up in the fact, or have a table of their own."""

UPDATED = "u-"
"""Begins the names of files that an update wrote: what is in them depends on the state before."""

LEFT_OVER_S = 600
"""Files that no map names are removed once they are this old: another refresh may be at work."""


def merge_rows(
    plan: Plan,
    previous: Mapping[str, Row],
    keys: Mapping[str, TileKeys],
    results: Mapping[str, tuple[TileTask, TileResult]],
    *,
    now: str,
) -> list[Row]:
    """Return one row a tile: the old one confirmed, or a new one."""
    rows: list[Row] = []
    for decision in plan.decisions:
        if decision.action is Action.DROP:
            continue
        old = previous.get(decision.tile_id)
        told = {"action": decision.action.value, "reason": decision.reason, "confirmed_at": now}
        if decision.tile_id not in results:
            rows.append({**(old or {}), **told, "cpu_s": 0.0})
            continue
        task, result = results[decision.tile_id]
        if result.is_kept:
            told |= {"action": Action.KEEP.value, "reason": explain_kept(result)}
        # Keeping a tile later avoids reading it too, so an update inherits that cost.
        is_update = task.tracking is not None and task.tracking.previous is not None
        is_full = old is None or (decision.action is Action.COMPUTE and not is_update)
        row = {f.name: getattr(result, f.name) for f in fields(result) if f.name not in NOT_IN_ROWS}
        if decision.action is Action.PREDICT and old is not None:
            row |= {part: old.get(part) or () for part in ("judged_blocks", "judged_ages")}
        row |= asdict(keys[decision.tile_id]) | {
            "feature_key": old["feature_key"]
            if old is not None and not result.has_new_features
            else read_key(task.feature_path),
            "view_key": old["view_key"]
            if old is not None and old.get("view_key") and not result.has_new_view
            else read_key(task.feature_path),
            "map_key": old["map_key"]
            if old is not None and result.is_kept
            else read_key(task.map_path),
            "state_key": _name_state(task, old),
            "update_cpu_s": result.cpu_s if is_update else (old or {}).get("update_cpu_s"),
            "full_cpu_s": result.cpu_s if is_full or old is None else old["full_cpu_s"],
            "full_read_bytes": result.read_bytes
            if is_full or old is None
            else old["full_read_bytes"],
            "computed_at": old["computed_at"] if old is not None and result.is_kept else now,
        }
        rows.append({k: list(v) if isinstance(v, tuple) else v for k, v in row.items()} | told)
    # Rows of an earlier version lack columns; a table has the same ones in every row.
    names = dict.fromkeys(name for row in rows for name in row)
    return [{name: row.get(name) for name in names} for row in rows]


def explain_kept(result: TileResult) -> str:
    """Say in a clause why no pixel of a tile was computed although its scenes are others."""
    tests = sorted({row.test for row in result.decisions})
    return "kept: " + ", ".join(tests) if tests else "nothing changed"


def _name_state(task: TileTask, old: Row | None) -> str:
    if task.tracking is not None:
        return read_key(task.tracking.state_path)
    return str((old or {}).get("state_key") or "")


def record_refresh(
    workspace: Workspace,
    planned: RefreshPlan,
    *,
    rows: list[Row],
    results: Mapping[str, TileResult],
    map_id: str,
    meter: Meter,
    actor: str,
) -> RefreshDone:
    """Append the fact of a refresh, with its tables, and clear away what no map names."""
    plan = planned.plan
    pixel_km2 = measure_pixel_km2(planned.inputs.grid)
    model = load_cached_model(workspace.blobs_url, planned.version.model_id)
    legend = model.legend
    n_pixels = sum(r.n_computed for r in results.values())
    inside = sum(int(row["n_inside"]) for row in rows)
    region_id = planned.region.region_id
    kept = [row for row in rows if row["action"] == Action.KEEP.value]
    updated = [row for row in rows if row["action"] == Action.COMPUTE.value]
    last = planned.last
    is_same_model = last is not None and last.model_id == planned.version.model_id
    remembered = last.reach_counts if last is not None and is_same_model else ()
    moves = np.zeros(N_BINS)
    for found in results.values():
        moves += np.asarray(found.moves or 0)
    is_worked = bool(results) and workspace.settings.cube_gb > 0
    cube = open_cube(str(workspace.locate_cube()), int(workspace.settings.cube_gb * 1e9))
    fact = RefreshDone(
        region_id=region_id,
        map_id=map_id,
        notices=model.notices,
        model_id=planned.version.model_id,
        tiles_id=workspace.blobs.put(write_table(rows)),
        n_computed=len(updated),
        n_predicted=len(plan.select(Action.PREDICT)),
        n_kept=len(kept),
        n_dropped=len(plan.select(Action.DROP)),
        cost=meter.read(
            tasks_cpu_s=sum(r.cpu_s for r in results.values()),
            scheduler=workspace.settings.scheduler,
            read_bytes=sum(r.read_bytes for r in results.values()),
            written_bytes=sum(r.written_bytes for r in results.values()),
            n_pixels=n_pixels,
            area_km2=n_pixels * pixel_km2,
            stages=sum_stages(*(r.stages for r in results.values())),
        ),
        avoided=replace(
            planned.avoided,
            cpu_s=sum(max(float(row["full_cpu_s"]) - float(row["cpu_s"]), 0.0) for row in rows),
            read_bytes=planned.avoided.read_bytes
            + sum(
                max(int(row["full_read_bytes"]) - results[row["tile_id"]].read_bytes, 0)
                for row in rows
                if row["tile_id"] in results
            ),
            area_km2=pixel_km2 * sum(int(row["n_inside"]) for row in kept),
        ),
        reasons=dict(
            sorted(
                Counter(
                    [str(row["reason"]) for row in rows]
                    + [d.reason for d in plan.decisions if d.action is Action.DROP]
                ).items()
            )
        ),
        class_areas_km2={
            name: pixel_km2 * float(total)
            for name, total in zip(legend.names, _sum_lists(rows, "class_counts"), strict=True)
        },
        valid_share=sum(int(row["n_valid"]) for row in rows) / inside if inside else 0.0,
        confidence_counts=_sum_lists(rows, "confidence_counts") or (0,) * CONFIDENCE_BINS,
        n_pixels=inside,
        decisions_id=_store_decisions(workspace, planned, results),
        n_judged=sum(sum(row.get("judged_blocks") or ()) for row in rows),
        detector_id=planned.rule.detector_id,
        reach_counts=remember(remembered, moves.tolist()) if results else tuple(remembered),
        cube_bytes=cube.measure() if is_worked else (last.cube_bytes if last else 0),
        seq=planned.seq,
    )
    workspace.ledger.append(fact, actor=actor)
    if results:
        clear_tiles(workspace, region_id, [*rows, *planned.previous.values()])
    return fact


def _sum_lists(rows: list[Row], column: str) -> tuple[int, ...]:
    if not rows:
        return ()
    return tuple(int(n) for n in np.sum([row[column] for row in rows], axis=0))


def _store_decisions(
    workspace: Workspace, planned: RefreshPlan, results: Mapping[str, TileResult]
) -> str:
    """Store one row a tile and scene that came, changed or went."""
    rows = [row for result in results.values() for row in result.decisions]
    decided = {(row.tile_id, row.item_id) for row in rows}
    again = planned.republished & planned.fingerprints.keys()
    scenes = [scene for scene in planned.inputs.scenes if scene.scene_id in again]
    reason = "published again with the same checksums"
    rows += [
        _decide_unread(scene, tile_id, DecidedBy.METADATA, reason)
        for scene, tile_id in planned.touched(scenes)
        if (tile_id, scene.scene_id) not in decided
    ]
    return _store_rows(workspace, rows)


def _decide_unread(scene: Scene, tile_id: str, test: DecidedBy, reason: str) -> SceneDecision:
    return SceneDecision(
        tile_id=tile_id,
        item_id=scene.scene_id,
        sensed_at=scene.sensed_at,
        test=test.value,
        reason=reason,
        n_pixels=0,
        n_kept=0,
        n_computed=0,
        cpu_s=0.0,
    )


def _store_rows(workspace: Workspace, rows: Sequence[SceneDecision]) -> str:
    return workspace.blobs.put(write_table([asdict(row) for row in rows])) if rows else ""


def record_failure(
    workspace: Workspace, planned: RefreshPlan, error: SceneUnreadable, *, actor: str
) -> RefreshFailed:
    """Append the fact that a scene could not be read."""
    scenes = [scene for scene in planned.inputs.scenes if scene.scene_id == error.scene_id]
    rows = [
        _decide_unread(scene, tile_id, DecidedBy.FAILED, str(error))
        for scene, tile_id in planned.touched(scenes)
    ]
    fact = RefreshFailed(
        region_id=planned.region.region_id,
        reason=str(error),
        decisions_id=_store_rows(workspace, rows),
    )
    workspace.ledger.append(fact, actor=actor)
    return fact


def clear_tiles(workspace: Workspace, region_id: str, rows: Sequence[Row]) -> None:
    """Remove files of updates that neither the map nor the one before it names."""
    named = {str(row.get(key)) for row in rows for key in ("feature_key", "map_key", "state_key")}
    oldest = time.time() - LEFT_OVER_S
    for path in workspace.locate_tiles(region_id).glob(f"{UPDATED}*"):
        if path.name.split(".")[0] not in named and path.stat().st_mtime < oldest:
            path.unlink(missing_ok=True)
