"""Refresh: bring a region's map up to date, computing only what changed."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from geotransfer.change.keys import (
    TileKeys,
    fingerprint_scene,
    list_library_versions,
    list_mask_rules,
    make_keys,
)
from geotransfer.change.plan import Action, Plan, TileState, plan_refresh
from geotransfer.core.cost import RunCost, sum_stages
from geotransfer.core.fact import RefreshDone
from geotransfer.core.grid import Tile, cut_tiles
from geotransfer.core.identity import content_id
from geotransfer.core.model import ModelVersion
from geotransfer.core.region import Region
from geotransfer.core.scene import Scene
from geotransfer.core.spec import FeatureSpec
from geotransfer.imagery.access import Access, make_access, use_access
from geotransfer.imagery.grids import (
    find_footprints,
    locate_pixels,
    measure_pixel_km2,
    touch_tile,
)
from geotransfer.imagery.scheduler import run_tasks
from geotransfer.registry.champions import find_serving
from geotransfer.store.ledger import format_time
from geotransfer.store.tables import Row, read_table, write_table
from geotransfer.store.workspace import Workspace
from geotransfer.transfer.model import measure_distance
from geotransfer.workflows.costing import Meter
from geotransfer.workflows.definitions import find_spec
from geotransfer.workflows.layers import fingerprint_layers
from geotransfer.workflows.maps import write_map
from geotransfer.workflows.models import load_cached_model
from geotransfer.workflows.progress import Progress, ignore_progress
from geotransfer.workflows.regions import find_region
from geotransfer.workflows.scene_list import RegionScenes, load_scenes
from geotransfer.workflows.tile import CONFIDENCE_BINS, TileResult, TileTask, compute_tile


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshPlan:
    """What a refresh would do, before anything is read."""

    region: Region
    version: ModelVersion
    inputs: RegionScenes
    keys: Mapping[str, TileKeys]
    previous: Mapping[str, Row]
    """Rows of the last refresh by tile."""
    plan: Plan
    predicted: RunCost
    """Cost to expect, from the last cost of each tile or their mean; zero when nothing is known."""
    avoided: RunCost
    """Last cost of each tile that is kept."""


def plan_region(workspace: Workspace, region_id: str) -> RefreshPlan:
    """Compare what a region's map was made of with what there is now; reads no pixels."""
    region = find_region(workspace, region_id)
    inputs = load_scenes(workspace, region_id)
    version = find_serving(workspace, region)
    spec = find_spec(workspace, region.spec_name)
    keys = make_tile_keys(region, inputs, spec, find_tile_models(workspace, inputs, version))
    last = workspace.ledger.read_last(RefreshDone, region_id=region_id)
    rows = read_table(workspace.blobs.get(last.tiles_id)) if last else []
    previous = {str(row["tile_id"]): row for row in rows}
    plan = plan_refresh({t: parse_state(row) for t, row in previous.items()}, keys)
    costs = {t: float(row["full_cpu_s"]) for t, row in previous.items()}
    mean_s = sum(costs.values()) / len(costs) if costs else 0.0
    kept = plan.select(Action.KEEP)
    return RefreshPlan(
        region=region,
        version=version,
        inputs=inputs,
        keys=keys,
        previous=previous,
        plan=plan,
        predicted=RunCost(
            cpu_s=sum(costs.get(t, mean_s) for t in plan.select(Action.COMPUTE)),
        ),
        avoided=RunCost(
            cpu_s=sum(costs[t] for t in kept),
            read_bytes=sum(int(previous[t]["full_read_bytes"]) for t in kept),
        ),
    )


def find_tile_models(
    workspace: Workspace, inputs: RegionScenes, version: ModelVersion
) -> dict[str, str]:
    """Return the model that determines each tile.

    Beyond its distance from every label a fine-tuned model *is* the global model, to the bit. A
    tile that lies beyond it altogether therefore keeps its map through a promotion.
    """
    tiles = cut_tiles(inputs.grid, inputs.tile_px)
    parent_id = version.lineage.parent_id
    if parent_id is None:
        return {tile.tile_id: version.model_id for tile in tiles}
    model = load_cached_model(workspace.blobs_url, version.model_id)
    if model.within_km is None or model.labels_xy_km is None:
        return {tile.tile_id: version.model_id for tile in tiles}
    within_km = model.within_km
    models = {}
    for tile in tiles:
        corners = locate_pixels(inputs.grid, tile)[:, [0, 0, -1, -1], [0, -1, 0, -1]]
        middle = corners.mean(axis=1, keepdims=True)
        radius_km = float(np.hypot(*(corners - middle)).max())
        nearest_km = float(measure_distance(middle, model.labels_xy_km)[0])
        is_beyond = nearest_km - radius_km > within_km
        models[tile.tile_id] = parent_id if is_beyond else version.model_id
    return models


def make_tile_keys(
    region: Region, inputs: RegionScenes, spec: FeatureSpec, models: Mapping[str, str]
) -> dict[str, TileKeys]:
    """Return the keys of every tile of a region; ``models`` names the model of each."""
    used = select_scenes(inputs.scenes, spec)
    fingerprints = [fingerprint_scene(scene, spec.bands) for scene in used]
    layers = fingerprint_layers(inputs, spec, region)
    rules = list_mask_rules(used)
    libraries = list_library_versions()
    return {
        tile.tile_id: make_keys(
            fingerprints=[*(fingerprints[i] for i in touching), *layers],
            mask_rules=rules,
            spec=spec,
            region=region,
            grid=inputs.grid,
            tile=tile,
            model_id=models[tile.tile_id],
            libraries=libraries,
        )
        for tile, touching in _match_tiles(used, inputs)
    }


def select_scenes(scenes: Sequence[Scene], spec: FeatureSpec) -> tuple[Scene, ...]:
    """Return the scenes that fall into a period of the spec."""
    return tuple(s for s in scenes if spec.find_period(s.sensed_at) is not None)


def _match_tiles(
    scenes: Sequence[Scene], inputs: RegionScenes
) -> list[tuple[Tile, tuple[int, ...]]]:
    footprints = find_footprints(scenes, inputs.grid.crs)
    return [
        (tile, tuple(i for i, b in enumerate(footprints) if touch_tile(b, inputs.grid, tile)))
        for tile in cut_tiles(inputs.grid, inputs.tile_px)
    ]


def parse_state(row: Row) -> TileState:
    """Rebuild a tile's state from its row."""
    keys = TileKeys(
        **{p: str(row[p]) for p in ("inputs", "mask", "spec", "area", "processing", "model")}
    )
    return TileState(keys=keys, cpu_s=float(row["full_cpu_s"]))


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
    access = make_access(workspace.settings, run_id=uuid.uuid4().hex)
    with use_access(access):
        planned = plan_region(workspace, region_id)
    work = {*planned.plan.select(Action.COMPUTE), *planned.plan.select(Action.PREDICT)}
    tasks = _make_tasks(workspace, planned, work, access)
    results: dict[str, TileResult] = {}
    for result in run_tasks(
        compute_tile,
        tasks,
        scheduler=workspace.settings.scheduler,
        n_workers=workspace.settings.thread_count,
    ):
        results[result.tile_id] = result
        progress(len(results), len(tasks), f"computed {len(results)} of {len(tasks)} tiles")
    rows = _merge_rows(planned, results, format_time(workspace.clock()))
    map_id = content_id([[row["tile_id"], row["map_key"]] for row in rows])
    if work or planned.plan.select(Action.DROP):
        progress(len(tasks), len(tasks), "writing the map")
        write_map(workspace, planned.region, planned.inputs, rows, map_id, planned.version)
    return _record(workspace, planned, rows, results, map_id, meter, actor)


def _make_tasks(
    workspace: Workspace, planned: RefreshPlan, wanted: set[str], access: Access
) -> list[TileTask]:
    spec = find_spec(workspace, planned.region.spec_name)
    used = select_scenes(planned.inputs.scenes, spec)
    folder = workspace.locate_tiles(planned.region.region_id)
    return [
        TileTask(
            region=planned.region,
            spec=spec,
            grid=planned.inputs.grid,
            tile=tile,
            scenes=tuple(used[i] for i in touching),
            blobs_url=workspace.blobs_url,
            model_id=planned.version.model_id,
            feature_path=str(folder / f"{planned.keys[tile.tile_id].feature_key}.features.tif"),
            map_path=str(folder / f"{planned.keys[tile.tile_id].map_key}.map.tif"),
            min_valid=spec.min_valid or workspace.settings.min_valid,
            layers=planned.inputs.layers,
            access=access,
        )
        for tile, touching in _match_tiles(used, planned.inputs)
        if tile.tile_id in wanted
    ]


def _merge_rows(planned: RefreshPlan, results: Mapping[str, TileResult], now: str) -> list[Row]:
    """Return one row a tile: the old one confirmed, or a new one."""
    rows: list[Row] = []
    for decision in planned.plan.decisions:
        if decision.action is Action.DROP:
            continue
        old = planned.previous.get(decision.tile_id)
        result = results.get(decision.tile_id)
        told = {"action": decision.action.value, "reason": decision.reason, "confirmed_at": now}
        if result is None:
            rows.append({**(old or {}), **told, "cpu_s": 0.0})
            continue
        keys = planned.keys[decision.tile_id]
        # Keeping a tile later avoids reading it too, so a re-prediction inherits that cost.
        is_full = decision.action is Action.COMPUTE or old is None
        measured = asdict(result)
        measured.pop("stages")  # they are summed up in the fact
        rows.append(
            {
                **measured,
                **asdict(keys),
                "feature_key": keys.feature_key,
                "map_key": keys.map_key,
                "class_counts": list(result.class_counts),
                "confidence_counts": list(result.confidence_counts),
                "full_cpu_s": result.cpu_s if is_full or old is None else old["full_cpu_s"],
                "full_read_bytes": result.read_bytes
                if is_full or old is None
                else old["full_read_bytes"],
                "computed_at": now,
                **told,
            }
        )
    return rows


def _record(
    workspace: Workspace,
    planned: RefreshPlan,
    rows: list[Row],
    results: Mapping[str, TileResult],
    map_id: str,
    meter: Meter,
    actor: str,
) -> RefreshDone:
    plan = planned.plan
    pixel_km2 = measure_pixel_km2(planned.inputs.grid)
    legend = load_cached_model(
        workspace.blobs_url,
        planned.version.model_id,
    ).legend
    n_computed = sum(r.n_inside for r in results.values())
    inside = sum(int(row["n_inside"]) for row in rows)
    fact = RefreshDone(
        region_id=planned.region.region_id,
        map_id=map_id,
        model_id=planned.version.model_id,
        tiles_id=workspace.blobs.put(write_table(rows)),
        n_computed=len(plan.select(Action.COMPUTE)),
        n_predicted=len(plan.select(Action.PREDICT)),
        n_kept=len(plan.select(Action.KEEP)),
        n_dropped=len(plan.select(Action.DROP)),
        cost=meter.read(
            remote_cpu_s=sum(r.cpu_s for r in results.values())
            if "://" in workspace.settings.scheduler
            else 0.0,
            read_bytes=sum(r.read_bytes for r in results.values()),
            written_bytes=sum(r.written_bytes for r in results.values()),
            n_pixels=n_computed,
            area_km2=n_computed * pixel_km2,
            stages=sum_stages(*(r.stages for r in results.values())),
        ),
        avoided=replace(
            planned.avoided,
            area_km2=pixel_km2
            * sum(int(planned.previous[t]["n_inside"]) for t in plan.select(Action.KEEP)),
        ),
        reasons=plan.reasons,
        class_areas_km2={
            name: pixel_km2 * float(total)
            for name, total in zip(legend.names, _sum_lists(rows, "class_counts"), strict=True)
        },
        valid_share=sum(int(row["n_valid"]) for row in rows) / inside if inside else 0.0,
        confidence_counts=_sum_lists(rows, "confidence_counts") or (0,) * CONFIDENCE_BINS,
        n_pixels=inside,
    )
    workspace.ledger.append(fact, actor=actor)
    return fact


def _sum_lists(rows: list[Row], column: str) -> tuple[int, ...]:
    if not rows:
        return ()
    return tuple(int(n) for n in np.sum([row[column] for row in rows], axis=0))
