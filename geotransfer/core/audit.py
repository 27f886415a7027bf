"""What the audits of a map have shown so far."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Sums over all draws since a detector began to judge a region; see ``change/audit.py``."""

    n_blocks: int = 0
    n_pixels: int = 0
    """Pixels kept by judgement in the blocks drawn."""
    n_stale: int = 0
    """Of these, pixels whose class changed."""
    total: float = 0.0
    """Sum of the drawn blocks' stale shares, each weighed so that a draw expects what the region
    has."""
    spread: float = 0.0
    """Sum of squared differences of each from what was expected before it."""
    effort: float = 0.0
    """Blocks that would have been drawn had everything been kept by judgement."""
    weight: float = 0.0
    """Effort times the share kept by judgement, added over audits."""


NO_EVIDENCE = Evidence()
"""Before the first audit."""
