"""Facts of refreshes and audits as a workspace holds them, without computing anything."""

from __future__ import annotations

from collections.abc import Sequence

from geotransfer.core.cost import RunCost
from geotransfer.core.decision import DecidedBy
from geotransfer.core.fact import AuditDone, RefreshDone
from geotransfer.store.tables import Row, write_table
from geotransfer.store.workspace import Workspace

AT = "2026-01-01T00:00:00.000+00:00"


def make_decision(item_id: str, tile_id: str, test: DecidedBy, **told: object) -> Row:
    """One row of a table of decisions."""
    return {
        "tile_id": tile_id,
        "item_id": item_id,
        "sensed_at": "2024-05-01T10:00:00Z",
        "test": test.value,
        "reason": f"because of {test.value}",
        "n_pixels": 10,
        "n_kept": 6,
        "n_computed": 4,
        "cpu_s": 0.5,
        **told,
    }


def make_tile(tile_id: str, *, computed_at: str = AT, confirmed_at: str = AT) -> Row:
    """One row of a table of tiles, as far as views read it."""
    return {
        "tile_id": tile_id, "computed_at": computed_at, "confirmed_at": confirmed_at,
        "action": "keep", "reason": "nothing changed",
    }  # fmt: skip


def add_refresh(
    workspace: Workspace,
    region_id: str,
    *,
    cost: RunCost | None = None,
    avoided: RunCost | None = None,
    n_computed: int = 0,
    n_kept: int = 0,
    n_judged: int = 0,
    decisions: Sequence[Row] = (),
    tiles: Sequence[Row] = (),
) -> RefreshDone:
    """Append the fact of a refresh."""
    fact = RefreshDone(
        region_id=region_id,
        map_id="0" * 64,
        model_id="m",
        tiles_id=workspace.blobs.put(write_table(tiles or [make_tile("r000c000")])),
        n_computed=n_computed,
        n_predicted=0,
        n_kept=n_kept,
        n_dropped=0,
        cost=cost or RunCost(),
        avoided=avoided or RunCost(),
        reasons={},
        class_areas_km2={"crop": 1.0},
        valid_share=1.0,
        decisions_id=workspace.blobs.put(write_table(decisions)) if decisions else "",
        n_judged=n_judged,
    )
    workspace.ledger.append(fact, actor="test")
    return fact


def make_audit(region_id: str, **told: object) -> AuditDone:
    """An audit that certifies 0.8 % where 2 % is tolerated, unless told otherwise."""
    values: dict[str, object] = {
        "map_id": "0" * 64, "detector_id": "d", "audit_id": "0" * 64, "n_blocks": 10,
        "n_pixels": 1000, "n_stale": 1, "strata": (), "total_blocks": 60, "total_pixels": 50_000,
        "total_stale": 30, "kept_share": 0.4, "share": 0.002, "bound": 0.008, "bound_kept": 0.02,
        "is_certified": True, "needed_blocks": 59, "tolerance": 0.02, "is_tightened": False,
        "n_exact": 500, "n_exact_wrong": 0, "cost": RunCost(cpu_s=3.0),
    }  # fmt: skip
    return AuditDone(region_id=region_id, **{**values, **told})  # type: ignore[arg-type]
