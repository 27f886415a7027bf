"""What was decided about each scene on each tile, how well that is audited, how old each tile is.

A replay of facts and their tables; loads no raster, model or scheduler.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from geotransfer.core.decision import DecidedBy
from geotransfer.core.fact import AuditDone, Recorded, RefreshDone, ScenesAdded
from geotransfer.core.grid import Grid, cut_tiles
from geotransfer.store.tables import Row, read_table
from geotransfer.store.workspace import Workspace

NOT_CERTIFIED = "not yet certified"


@dataclass(frozen=True, slots=True, kw_only=True)
class TileDecision:
    """The newest decision about one scene on one tile."""

    tile_id: str
    item_id: str
    sensed_at: str
    test: DecidedBy
    reason: str
    n_pixels: int
    n_kept: int
    n_computed: int
    cpu_s: float
    decided_at: str
    """When the refresh that decided ended; ISO 8601, UTC."""


def list_decisions(workspace: Workspace, region_id: str) -> list[TileDecision]:
    """Return the newest decision for each scene and tile, by date, scene and tile."""
    newest: dict[tuple[str, str], TileDecision] = {}
    for recorded in workspace.ledger.read(RefreshDone, region_id=region_id):
        for row in _read_decisions(workspace, recorded):
            newest[row.item_id, row.tile_id] = row
    return sorted(newest.values(), key=lambda d: (d.sensed_at, d.item_id, d.tile_id))


def _read_decisions(
    workspace: Workspace, recorded: Recorded[RefreshDone]
) -> Iterable[TileDecision]:
    if not recorded.fact.decisions_id:
        return
    for row in read_table(workspace.blobs.get(recorded.fact.decisions_id)):
        yield TileDecision(
            tile_id=str(row["tile_id"]),
            item_id=str(row["item_id"]),
            sensed_at=str(row["sensed_at"]),
            test=DecidedBy(row["test"]),
            reason=str(row["reason"]),
            n_pixels=int(row["n_pixels"]),
            n_kept=int(row["n_kept"]),
            n_computed=int(row["n_computed"]),
            cpu_s=float(row["cpu_s"]),
            decided_at=recorded.at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneSummary:
    """What became of one scene, over all tiles."""

    item_id: str
    sensed_at: str
    tests: Mapping[DecidedBy, int]
    """Tiles by the test that decided."""
    n_pixels: int
    n_computed: int
    cpu_s: float

    @property
    def told(self) -> str:
        """Tiles by test in words."""
        return ", ".join(f"{n} {test.value}" for test, n in self.tests.items())


def summarize_scenes(decisions: Iterable[TileDecision]) -> list[SceneSummary]:
    """Put the tiles of each scene together, in the order of the decisions."""
    by_scene: dict[str, list[TileDecision]] = {}
    for decision in decisions:
        by_scene.setdefault(decision.item_id, []).append(decision)
    return [
        SceneSummary(
            item_id=item_id,
            sensed_at=found[0].sensed_at,
            tests={
                test: n
                for test in DecidedBy
                if (n := sum(decision.test is test for decision in found))
            },
            n_pixels=sum(decision.n_pixels for decision in found),
            n_computed=sum(decision.n_computed for decision in found),
            cpu_s=sum(decision.cpu_s for decision in found),
        )
        for item_id, found in by_scene.items()
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditView:
    """What audits say about a region's map, in words and figures."""

    audits: tuple[Recorded[AuditDone], ...]
    n_judged: int
    """Pixels of the present map kept by judgement."""
    tolerance: float

    @property
    def last(self) -> AuditDone | None:
        """The newest audit, or None."""
        return self.audits[-1].fact if self.audits else None

    @property
    def n_alike(self) -> int:
        """Audits the bound accumulates: those of the detector that judges now."""
        last = self.last
        return sum(r.fact.detector_id == last.detector_id for r in self.audits) if last else 0

    @property
    def headline(self) -> str:
        """The bound in one sentence, or that there is none yet."""
        last = self.last
        if last is None:
            if not self.n_judged:
                return "Nothing is kept by judgement: every kept pixel is exact."
            return f"Stale share: {NOT_CERTIFIED}; no audit has run."
        if not last.is_certified:
            return (
                f"Stale share: {NOT_CERTIFIED}; {last.total_blocks} of {last.needed_blocks} blocks"
                " seen."
            )
        return (
            f"At most {last.bound:.2%} of the pixels are stale, mean over {self.n_alike} audits"
            f" (one-sided 95 % bound, valid at every look; estimate {last.share:.2%})."
        )

    @property
    def evidence(self) -> tuple[str, ...]:
        """How the bound came about, a sentence each."""
        last = self.last
        if last is None:
            return ()
        kept = f"{last.kept_share:.1%} of the pixels are kept by judgement"
        told = [
            (
                f"{last.total_blocks} random blocks with {last.total_pixels:,} pixels kept by"
                f" judgement were computed anew; {last.total_stale:,} had changed class."
            ),
            f"{kept}, of which at most {last.bound_kept:.2%} are stale."
            if last.is_certified
            else f"{kept}.",
            f"Tolerated: {last.tolerance:.1%} of the pixels.",
        ]
        if last.is_tightened:
            told.append(
                "The bound exceeds what is tolerated: the detector judges more strictly from now"
                " on, and what this one kept is computed anew at the next refresh."
            )
        if last.n_exact_wrong:
            told.append(
                f"A fault in GeoTransfer: {last.n_exact_wrong:,} of {last.n_exact:,} pixels kept by"
                " an exact test differ. Please report it."
            )
        elif last.n_exact:
            told.append(f"{last.n_exact:,} pixels kept by exact tests were checked: none differs.")
        return tuple(told)


def find_audit_view(workspace: Workspace, region_id: str) -> AuditView:
    """Return what audits say about a region's map."""
    done = workspace.ledger.read_last(RefreshDone, region_id=region_id)
    return AuditView(
        audits=tuple(workspace.ledger.read(AuditDone, region_id=region_id)),
        n_judged=done.n_judged if done else 0,
        tolerance=workspace.settings.stale_tolerance,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TileAge:
    """When a tile was last computed and last confirmed, and where it is."""

    tile_id: str
    ring: tuple[tuple[float, float], ...]
    """Corners, longitude and latitude."""
    computed_at: str
    confirmed_at: str
    action: str
    reason: str


def list_tile_ages(workspace: Workspace, region_id: str) -> list[TileAge]:
    """Return the tiles of a region's present map; none before the first map."""
    done = workspace.ledger.read_last(RefreshDone, region_id=region_id)
    added = workspace.ledger.read_last(ScenesAdded, region_id=region_id)
    if done is None or added is None:
        return []
    rows: dict[str, Row] = {
        str(row["tile_id"]): row for row in read_table(workspace.blobs.get(done.tiles_id))
    }
    rings = find_rings(added.grid, added.tile_px)
    return [
        TileAge(
            tile_id=tile_id,
            ring=ring,
            computed_at=str(rows[tile_id]["computed_at"]),
            confirmed_at=str(rows[tile_id]["confirmed_at"]),
            action=str(rows[tile_id]["action"]),
            reason=str(rows[tile_id]["reason"]),
        )
        for tile_id, ring in rings.items()
        if tile_id in rows
    ]


def find_rings(grid: Grid, tile_px: int) -> dict[str, tuple[tuple[float, float], ...]]:
    """Return the corners of each tile in longitude and latitude."""
    from pyproj import Transformer

    to_degrees = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
    a, b, c, d, e, f = grid.transform
    rings = {}
    for tile in cut_tiles(grid, tile_px):
        rows, cols = (tile.row, tile.row + tile.height), (tile.col, tile.col + tile.width)
        corners = ((rows[0], cols[0]), (rows[0], cols[1]), (rows[1], cols[1]), (rows[1], cols[0]))
        rings[tile.tile_id] = tuple(
            to_degrees.transform(a * col + b * row + c, d * col + e * row + f)
            for row, col in corners
        )
    return rings
