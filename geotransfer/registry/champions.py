"""Which model serves a region: aliases that move, as a replay of facts."""

from __future__ import annotations

from datetime import datetime

from geotransfer.core.fact import Fact, ModelPromoted, ModelRolledBack, Recorded
from geotransfer.core.model import ModelVersion
from geotransfer.core.region import Region
from geotransfer.registry.versions import find_baseline, find_version
from geotransfer.store.workspace import Workspace


def list_moves(
    workspace: Workspace, region_id: str, *, until: datetime | None = None
) -> list[Recorded[ModelPromoted] | Recorded[ModelRolledBack]]:
    """Return every promotion and rollback of a region, oldest first."""
    promoted = workspace.ledger.read(ModelPromoted, region_id=region_id, until=until)
    rolled_back = workspace.ledger.read(ModelRolledBack, region_id=region_id, until=until)
    return sorted([*promoted, *rolled_back], key=lambda recorded: recorded.seq)


def find_champion(
    workspace: Workspace, region_id: str, *, until: datetime | None = None
) -> str | None:
    """Return the model id that serves a region (at a time); None means the global model."""
    moves = list_moves(workspace, region_id, until=until)
    return moves[-1].fact.model_id if moves else None


def find_serving(
    workspace: Workspace, region: Region, *, until: datetime | None = None
) -> ModelVersion:
    """Return the version that serves a region: its champion, else the global model."""
    champion = find_champion(workspace, region.region_id, until=until)
    if champion is None:
        return find_baseline(workspace, region.spec_name, legend_name=region.legend_name)
    return find_version(workspace, champion)


def find_previous(workspace: Workspace, region_id: str) -> str | None:
    """Return the model a rollback goes back to.

    Rollbacks undo promotions one by one: after promoting A, B and rolling back to A, the next
    rollback goes to what served before A, never forward to B again.
    """
    stack: list[str | None] = []
    for recorded in list_moves(workspace, region_id):
        fact: Fact = recorded.fact
        if isinstance(fact, ModelPromoted):
            stack.append(fact.previous_id)
        elif stack:
            stack.pop()
    return stack[-1] if stack else None
