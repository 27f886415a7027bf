"""Audit: how much of what judgement kept is stale, with a bound that holds at every look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from geotransfer.change.audit import (
    Block,
    add_evidence,
    count_draws,
    count_strata,
    draw_blocks,
    find_bound,
)
from geotransfer.core.audit import Evidence
from geotransfer.core.fact import AuditDone, AuditStratum, RefreshDone
from geotransfer.core.grid import cut_tiles
from geotransfer.core.identity import content_id
from geotransfer.errors import NotFound
from geotransfer.imagery.access import make_access
from geotransfer.imagery.scheduler import run_tasks
from geotransfer.store.tables import Row, read_table, write_table
from geotransfer.store.tile_files import locate_answers, locate_features
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.costing import Meter
from geotransfer.workflows.definitions import find_spec
from geotransfer.workflows.detector import find_rule
from geotransfer.workflows.progress import Progress, ignore_progress
from geotransfer.workflows.regions import find_region
from geotransfer.workflows.scene_list import RegionScenes, load_scenes
from geotransfer.workflows.tile import TileTask, Tracking
from geotransfer.workflows.tile_audit import AuditedTile, AuditTask, audit_tile
from geotransfer.workflows.tile_state import locate_history


def audit_region(
    workspace: Workspace,
    region_id: str,
    *,
    actor: str,
    progress: Progress = ignore_progress,
    inputs: RegionScenes | None = None,
) -> AuditDone:
    """Compute a random sample of the blocks kept by judgement and record what that shows.

    Every refresh that kept something does this by itself. More audits of the same map draw other
    blocks; the bound stays valid however often it is looked at. ``inputs`` are the region's scenes
    where they are at hand.

    Raises
    ------
    NotFound
        The region has no map yet.
    """
    meter = Meter.start()
    last = workspace.ledger.read_last(RefreshDone, region_id=region_id)
    if last is None:
        find_region(workspace, region_id)
        raise NotFound(
            f"region {region_id!r} has no map yet; run `geotransfer refresh {region_id}` first."
        )
    rows = read_table(workspace.blobs.get(last.tiles_id))
    audits = [r.fact for r in workspace.ledger.read(AuditDone, region_id=region_id)]
    before = next(
        (a.evidence for a in reversed(audits) if a.detector_id == last.detector_id), Evidence()
    )
    seed = int(content_id([region_id, last.map_id, last.seq, len(audits)])[:12], 16)
    blocks = _list_blocks(rows)
    n_judged = sum(block.n_judged for block in blocks)
    settings = workspace.settings
    drawn = draw_blocks(
        blocks, count_draws(n_judged, last.n_pixels, settings.audit_blocks), seed=seed
    )
    inputs = inputs or load_scenes(workspace, region_id)
    tasks = _make_tasks(workspace, last, rows, drawn, seed, inputs)
    found: dict[str, AuditedTile] = {}
    progress(0, len(tasks), f"auditing {len(drawn)} blocks kept by judgement")
    for audited in run_tasks(
        audit_tile, tasks, scheduler=settings.scheduler, n_workers=settings.thread_count
    ):
        found[audited.tile_id] = audited
        progress(len(found), len(tasks), f"audited {len(found)} of {len(tasks)} tiles")
    stale = {
        (task.tile.tile.tile_id, number): pixels
        for task in tasks
        for number, pixels in zip(task.blocks, found[task.tile.tile.tile_id].stale, strict=True)
    }
    evidence = add_evidence(
        before,
        [(len(stale[b.tile_id, b.number]), b.n_judged) for b in drawn],
        n_judged=n_judged,
        n_pixels=last.n_pixels,
        audit_blocks=settings.audit_blocks,
    )
    tolerance = settings.stale_tolerance
    bound = find_bound(evidence, tolerance=tolerance)
    table: list[Row] = [
        {
            "tile_id": block.tile_id,
            "block": block.number,
            "age": block.age,
            "n_judged": block.n_judged,
            "n_stale": len(stale[block.tile_id, block.number]),
            "stale": list(stale[block.tile_id, block.number]),
        }
        for block in drawn
    ]
    fact = AuditDone(
        region_id=region_id,
        map_id=last.map_id,
        detector_id=last.detector_id,
        audit_id=workspace.blobs.put(write_table(table)) if table else "",
        n_blocks=len(drawn),
        n_pixels=sum(block.n_judged for block in drawn),
        n_stale=sum(row["n_stale"] for row in table),
        strata=tuple(
            AuditStratum(
                name=name, n_kept=n_kept, n_blocks=n_blocks, n_pixels=n_pixels, n_stale=n_stale
            )
            for name, n_kept, n_blocks, n_pixels, n_stale in count_strata(
                blocks, drawn, {place: len(pixels) for place, pixels in stale.items()}
            )
        ),
        total_blocks=evidence.n_blocks,
        total_pixels=evidence.n_pixels,
        total_stale=evidence.n_stale,
        kept_share=bound.kept_share,
        share=bound.share,
        bound=bound.bound,
        bound_kept=bound.bound_kept,
        is_certified=bound.is_certified,
        needed_blocks=bound.needed_blocks,
        tolerance=tolerance,
        is_tightened=bound.is_certified and bound.bound > tolerance,
        n_exact=sum(f.n_exact for f in found.values()),
        n_exact_wrong=sum(f.n_exact_wrong for f in found.values()),
        cost=meter.read(
            tasks_cpu_s=sum(f.cpu_s for f in found.values()),
            scheduler=settings.scheduler,
            read_bytes=sum(f.read_bytes for f in found.values()),
            n_pixels=sum(block.n_judged for block in drawn),
            stages={"audit": sum(f.cpu_s for f in found.values())},
        ),
        evidence=evidence,
    )
    workspace.ledger.append(fact, actor=actor)
    return fact


def _list_blocks(rows: list[Row]) -> list[Block]:
    return [
        Block(tile_id=str(row["tile_id"]), number=number, n_judged=n_judged, age=age)
        for row in rows
        for number, (n_judged, age) in enumerate(
            zip(row.get("judged_blocks") or (), row.get("judged_ages") or (), strict=True)
        )
        if n_judged
    ]


def _make_tasks(
    workspace: Workspace,
    last: RefreshDone,
    rows: list[Row],
    drawn: tuple[Block, ...],
    seed: int,
    inputs: RegionScenes,
) -> list[AuditTask]:
    """Return one task a tile that was drawn from; in the first, exact tests are checked too."""
    if not drawn:
        return []
    region = find_region(workspace, str(last.region_id))
    scenes = {scene.scene_id: scene for scene in inputs.scenes}
    spec = find_spec(workspace, region.spec_name)
    folder = workspace.locate_tiles(region.region_id)
    tiles = {tile.tile_id: tile for tile in cut_tiles(inputs.grid, inputs.tile_px)}
    by_id: Mapping[str, Row] = {str(row["tile_id"]): row for row in rows}
    access = make_access(workspace.settings, run_id=content_id([last.map_id, seed]))
    rule = find_rule(workspace, region.region_id, last, last.model_id)
    tasks = []
    for number, tile_id in enumerate(Counter(block.tile_id for block in drawn)):
        row = by_id[tile_id]
        state_path = locate_history(folder, str(row["state_key"]))
        tasks.append(
            AuditTask(
                tile=TileTask(
                    region=region,
                    spec=spec,
                    grid=inputs.grid,
                    tile=tiles[tile_id],
                    scenes=tuple(scenes.values()),
                    blobs_url=workspace.blobs_url,
                    model_id=last.model_id,
                    feature_path=str(locate_features(folder, str(row["feature_key"]))),
                    map_path=str(locate_answers(folder, str(row["map_key"]))),
                    min_valid=1,
                    access=access,
                    tracking=Tracking(
                        cube_folder=str(workspace.locate_cube()),
                        cube_bytes=int(workspace.settings.cube_gb * 1e9),
                        place_id=str(row["area"]),
                        fingerprints=(),
                        layer_prints=(),
                        state_path=str(state_path),
                        previous=None,
                        rule=rule,
                        reason="audit",
                    ),
                ),
                blocks=tuple(dict.fromkeys(b.number for b in drawn if b.tile_id == tile_id)),
                seed=seed,
                is_checked=number == 0,
            )
        )
    return tasks
