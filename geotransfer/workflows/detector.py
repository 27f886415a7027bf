"""The detector of a region: how strictly it judges, from what its refreshes and audits showed."""

from __future__ import annotations

from collections import defaultdict

from geotransfer.change.judgement import QUANTILES, Rule
from geotransfer.change.reach import find_reach
from geotransfer.core.fact import AuditDone, RefreshDone
from geotransfer.store.tables import read_table
from geotransfer.store.workspace import Workspace


def find_rule(
    workspace: Workspace, region_id: str, last: RefreshDone | None, model_id: str
) -> Rule:
    """Return the rule in force: one step stricter for every audit that tightened it.

    Without an audit, or with no tolerance, nothing is kept by judgement.
    """
    audits = workspace.ledger.read(AuditDone, region_id=region_id)
    step = sum(recorded.fact.is_tightened for recorded in audits)
    is_off = not (workspace.settings.audit_blocks and workspace.settings.stale_tolerance)
    quantile = QUANTILES[-1] if is_off else QUANTILES[min(step, len(QUANTILES) - 1)]
    # Scores of another model move on another scale.
    counts = last.reach_counts if last is not None and last.model_id == model_id else ()
    return Rule(quantile=quantile, reach=find_reach(counts, quantile))


def find_stale_pixels(workspace: Workspace, last: RefreshDone | None) -> dict[str, tuple[int, ...]]:
    """Return the pixels that audits of the last map found stale, by tile."""
    if last is None or not last.n_judged:
        return {}
    found: dict[str, set[int]] = defaultdict(set)
    for recorded in workspace.ledger.read(AuditDone, region_id=last.region_id):
        if recorded.fact.map_id == last.map_id and recorded.fact.n_stale:
            for row in read_table(workspace.blobs.get(recorded.fact.audit_id)):
                # Audits of an earlier version told only how many.
                found[str(row["tile_id"])].update(row.get("stale") or ())
    return {tile_id: tuple(sorted(pixels)) for tile_id, pixels in found.items() if pixels}
