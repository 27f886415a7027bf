"""What a refresh decided about each scene on each tile, and why: one row a decision."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class DecidedBy(StrEnum):
    """The test that ended the question whether a scene could change a tile; cheapest first."""

    METADATA = "metadata"
    """Published again, and every checksum is the same. Nothing was read."""
    CONTENT = "content"
    """Read, and the normalised pixels and their mask are those already known."""
    NO_VALID_PIXEL = "no valid pixel"
    """Read, and it shows the ground nowhere on the tile: a missing observation, not *unchanged*."""
    PROOF = "proof"
    """No pixel it shows can change class, whatever the observation: kept, exactly."""
    JUDGEMENT = "judgement"
    """Some pixels were kept because it is unlikely that their class changes; the audit bounds how
    often that is wrong."""
    COMPUTED = "computed"
    """Every pixel it shows was computed anew."""
    FAILED = "failed"
    """A file could not be read; the map stayed as it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneDecision:
    """One scene that came, changed or went, on one tile. Rows of ``RefreshDone.decisions_id``."""

    tile_id: str
    item_id: str
    sensed_at: str
    """ISO 8601, UTC."""
    test: str
    """A value of ``DecidedBy``."""
    reason: str
    """One clause for a reader."""
    n_pixels: int
    """Pixels inside the outline that the scene shows validly, or showed; 0 where not read."""
    n_kept: int
    """Of these, kept: by proof or by judgement, as ``test`` says."""
    n_computed: int
    """Of these, computed anew."""
    cpu_s: float
    """CPU of reading and deciding, in seconds."""
