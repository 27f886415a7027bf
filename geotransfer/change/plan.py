"""The plan of a refresh: a pure function of what was and what is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from geotransfer.change.keys import PARTS, TileKeys


class Action(StrEnum):
    """What a refresh does with a tile."""

    COMPUTE = "compute"
    """Read its scenes and make everything anew."""
    PREDICT = "predict"
    """Predict anew from stored measured columns; no scene is read."""
    KEEP = "keep"
    DROP = "drop"
    """The tile is no longer part of the region."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TileState:
    """What a refresh left behind for one tile."""

    keys: TileKeys
    cpu_s: float
    """CPU seconds of its last computation: what keeping it avoids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What happens to one tile, and why."""

    tile_id: str
    action: Action
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Decisions for every tile, in the order of the current tiles."""

    decisions: tuple[Decision, ...]

    def select(self, action: Action) -> tuple[str, ...]:
        """Return the ids of the tiles an action is for."""
        return tuple(d.tile_id for d in self.decisions if d.action is action)

    @property
    def reasons(self) -> dict[str, int]:
        """Tiles by reason."""
        return dict(sorted(Counter(d.reason for d in self.decisions).items()))


def plan_refresh(previous: Mapping[str, TileState], current: Mapping[str, TileKeys]) -> Plan:
    """Decide for every tile; ``plan_refresh(x, x)`` keeps everything."""
    decisions = [_decide(tile_id, previous.get(tile_id), keys) for tile_id, keys in current.items()]
    decisions += [
        Decision(tile_id=tile_id, action=Action.DROP, reason="no longer in the region")
        for tile_id in previous
        if tile_id not in current
    ]
    return Plan(decisions=tuple(decisions))


def _decide(tile_id: str, state: TileState | None, keys: TileKeys) -> Decision:
    if state is None:
        return Decision(tile_id=tile_id, action=Action.COMPUTE, reason="never computed")
    changed = [part for part in PARTS if getattr(state.keys, part) != getattr(keys, part)]
    if not changed:
        return Decision(tile_id=tile_id, action=Action.KEEP, reason="nothing changed")
    action = Action.PREDICT if changed == ["model"] else Action.COMPUTE
    return Decision(tile_id=tile_id, action=action, reason="changed: " + ", ".join(changed))
