"""What a refresh would do: compare what a map was made of with what there is now."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from geotransfer.change.judgement import Rule
from geotransfer.change.keys import (
    PARTS,
    TileKeys,
    fingerprint_scene,
    identify_area,
    identify_inputs,
    list_library_versions,
    list_mask_rules,
    make_keys,
)
from geotransfer.change.plan import Action, Decision, Plan, TileState, plan_refresh
from geotransfer.change.tile_table import count_tiles, find_windows
from geotransfer.core.cost import RunCost
from geotransfer.core.fact import RefreshDone, ScenesAdded
from geotransfer.core.grid import Tile, cut_tiles
from geotransfer.core.model import ModelVersion
from geotransfer.core.region import Region
from geotransfer.core.scene import Scene
from geotransfer.core.spec import FeatureSpec
from geotransfer.imagery.access import make_access, use_access
from geotransfer.imagery.grids import find_footprints, locate_pixels
from geotransfer.registry.champions import find_serving
from geotransfer.store.tables import Row, read_table
from geotransfer.store.workspace import Workspace
from geotransfer.transfer.model import measure_distance
from geotransfer.workflows.definitions import find_spec
from geotransfer.workflows.detector import find_rule, find_stale_pixels
from geotransfer.workflows.layers import fingerprint_layers
from geotransfer.workflows.models import load_cached_model
from geotransfer.workflows.regions import find_region
from geotransfer.workflows.scene_list import RegionScenes, load_scenes


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
    last: RefreshDone | None
    rule: Rule
    """How strictly pixels are judged this time."""
    fingerprints: Mapping[str, str]
    """What each scene's files are, by id."""
    layer_prints: tuple[str, ...]
    stale_pixels: Mapping[str, tuple[int, ...]]
    """Pixels that an audit found stale, by tile."""
    seq: int
    """Place in the ledger when the plan was made."""
    republished: frozenset[str]
    """Scenes that came in since the last refresh, new or published anew."""

    def touched(self, scenes: Sequence[Scene]) -> list[tuple[Scene, str]]:
        """Return each scene with every tile it lies on."""
        found: list[list[str]] = [[] for _ in scenes]
        for tile, touching in match_tiles(scenes, self.inputs):
            for i in touching:
                found[i].append(tile.tile_id)
        return [(s, tile_id) for s, ids in zip(scenes, found, strict=True) for tile_id in ids]

    def is_forced(self, tile_id: str) -> bool:
        """Whether pixels of a tile were kept by another detector than the one in force."""
        return _is_forced(self.previous.get(tile_id), self.last, self.rule)


def plan_region(workspace: Workspace, region_id: str) -> RefreshPlan:
    """Compare what a region's map was made of with what there is now; reads no pixels."""
    seq = workspace.ledger.count()
    region = find_region(workspace, region_id)
    inputs = load_scenes(workspace, region_id)
    version = find_serving(workspace, region)
    spec = find_spec(workspace, region.spec_name)
    prints = fingerprint_inputs(workspace, region, inputs, spec)
    models = find_tile_models(workspace, inputs, version)
    keys = make_tile_keys(region, inputs, spec, models, prints)
    last = workspace.ledger.read_last(RefreshDone, region_id=region_id)
    rule = find_rule(workspace, region_id, last, version.model_id)
    rows = read_table(workspace.blobs.get(last.tiles_id)) if last else []
    previous = {str(row["tile_id"]): row for row in rows}
    plan = plan_refresh({t: parse_state(row) for t, row in previous.items()}, keys)
    plan = _force_judged(plan, previous, last, rule)
    costs = {t: float(row["full_cpu_s"]) for t, row in previous.items()}
    expected = {t: float(row.get("update_cpu_s") or costs[t]) for t, row in previous.items()}
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
            cpu_s=sum(expected.get(t, mean_s) for t in plan.select(Action.COMPUTE)),
        ),
        avoided=RunCost(
            cpu_s=sum(costs[t] for t in kept),
            read_bytes=sum(int(previous[t]["full_read_bytes"]) for t in kept),
        ),
        last=last,
        rule=rule,
        fingerprints=prints.scenes,
        layer_prints=prints.layers,
        stale_pixels=find_stale_pixels(workspace, last),
        seq=seq,
        republished=_find_republished(workspace, region_id, last),
    )


def _find_republished(
    workspace: Workspace, region_id: str, last: RefreshDone | None
) -> frozenset[str]:
    found: set[str] = set()
    for recorded in workspace.ledger.read(ScenesAdded, region_id=region_id):
        if last is not None and recorded.seq > last.seq:
            plain = json.loads(workspace.blobs.get(recorded.fact.scenes_id))
            found |= {str(scene["scene_id"]) for scene in plain}
    return frozenset(found)


def _force_judged(
    plan: Plan, previous: Mapping[str, Row], last: RefreshDone | None, rule: Rule
) -> Plan:
    """Compute what another detector kept: it was not strict enough, or judgement is off now."""
    return Plan(
        decisions=tuple(
            Decision(tile_id=d.tile_id, action=Action.COMPUTE, reason="the detector was tightened")
            if d.action is Action.KEEP and _is_forced(previous[d.tile_id], last, rule)
            else d
            for d in plan.decisions
        )
    )


def _is_forced(row: Row | None, last: RefreshDone | None, rule: Rule) -> bool:
    has_judged = row is not None and bool(row.get("judged_blocks"))
    return has_judged and last is not None and last.detector_id != rule.detector_id


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


@dataclass(frozen=True, slots=True, kw_only=True)
class InputPrints:
    """What a region's files are, before it is known which tiles they lie on."""

    scenes: Mapping[str, str]
    """Of each scene that falls into a period of the spec, by id."""
    layers: tuple[str, ...]


def fingerprint_inputs(
    workspace: Workspace, region: Region, inputs: RegionScenes, spec: FeatureSpec
) -> InputPrints:
    """Identify every file a spec reads; those without a checksum are hashed.

    Files elsewhere are asked for as the settings say.

    Raises
    ------
    LayerInvalid, SceneUnreadable
        A file is missing, cannot be read, or is not what was added.
    """
    with use_access(make_access(workspace.settings)):
        return InputPrints(
            scenes={
                scene.scene_id: fingerprint_scene(scene, spec.bands)
                for scene in select_scenes(inputs.scenes, spec)
            },
            layers=tuple(fingerprint_layers(inputs, spec, region)),
        )


def make_tile_keys(
    region: Region,
    inputs: RegionScenes,
    spec: FeatureSpec,
    models: Mapping[str, str],
    prints: InputPrints,
) -> dict[str, TileKeys]:
    """Return the keys of every tile of a region; ``models`` names the model of each."""
    used = select_scenes(inputs.scenes, spec)
    rules = list_mask_rules(used)
    libraries = list_library_versions()
    keys: dict[str, TileKeys] = {}
    shared: dict[str, TileKeys] = {}
    """By model: all but inputs and area is the same in every tile, and is identified once."""
    for tile, touching in match_tiles(used, inputs):
        fingerprints = [*(prints.scenes[used[i].scene_id] for i in touching), *prints.layers]
        model_id = models[tile.tile_id]
        if model_id not in shared:
            shared[model_id] = make_keys(
                fingerprints=fingerprints,
                mask_rules=rules,
                spec=spec,
                region=region,
                grid=inputs.grid,
                tile=tile,
                model_id=model_id,
                libraries=libraries,
            )
        keys[tile.tile_id] = replace(
            shared[model_id],
            inputs=identify_inputs(fingerprints),
            area=identify_area(inputs.grid, tile, region),
        )
    return keys


def select_scenes(scenes: Sequence[Scene], spec: FeatureSpec) -> tuple[Scene, ...]:
    """Return the scenes that fall into a period of the spec."""
    return tuple(s for s in scenes if spec.find_period(s.sensed_at) is not None)


def match_tiles(
    scenes: Sequence[Scene], inputs: RegionScenes
) -> list[tuple[Tile, tuple[int, ...]]]:
    """Return every tile with the positions of the scenes that touch it."""
    grid, tile_px = inputs.grid, inputs.tile_px
    windows = find_windows(find_footprints(scenes, grid.crs), grid, tile_px)
    n_rows, n_cols = count_tiles(grid, tile_px)
    touching: list[list[int]] = [[] for _ in range(n_rows * n_cols)]
    for i, (top, bottom, left, right) in enumerate(windows.tolist()):
        for row in range(top, bottom):
            for place in range(row * n_cols + left, row * n_cols + right):
                touching[place].append(i)
    return list(zip(cut_tiles(grid, tile_px), map(tuple, touching), strict=True))


def parse_state(row: Row) -> TileState:
    """Rebuild a tile's state from its row."""
    keys = TileKeys(**{part: str(row[part]) for part in PARTS})
    return TileState(keys=keys, cpu_s=float(row["full_cpu_s"]))
