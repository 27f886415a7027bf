"""Facts of refreshes and their audits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from geotransfer.core.audit import NO_EVIDENCE, Evidence
from geotransfer.core.cost import RunCost
from geotransfer.core.fact_base import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshDone(Fact):
    """The map was brought up to date."""

    kind: ClassVar[str] = "refresh-done"
    map_id: str
    """Content id of the map: its tiles' keys."""
    model_id: str
    tiles_id: str
    """Blob with one row a tile: key, decision, reason, cost."""
    n_computed: int
    n_predicted: int
    """Tiles predicted anew from stored features."""
    n_kept: int
    n_dropped: int
    cost: RunCost
    avoided: RunCost
    """Cost of the last equal work for each tile kept."""
    reasons: Mapping[str, int]
    """Tiles by reason."""
    class_areas_km2: Mapping[str, float]
    valid_share: float
    """Share of the pixels with enough valid observations."""
    confidence_counts: tuple[int, ...] = ()
    """Pixels with enough observations by the probability of their class, in 100 equal bins."""
    n_pixels: int = 0
    """Pixels inside the outline."""
    decisions_id: str = ""
    """Blob with one row a tile and scene that came, changed or went: ``SceneDecision``; empty
    before such decisions were stored."""
    n_judged: int = 0
    """Pixels whose class is kept by judgement: newer observations than their features know."""
    detector_id: str = ""
    """What judged them; another one begins another audit."""
    reach_counts: tuple[float, ...] = ()
    """How far scores moved per unknown observation, remembered: see ``change/reach.py``."""
    cube_bytes: int = 0
    """Disk the workspace's pixels already read took afterwards."""
    seq: int = 0
    """Place in the ledger when it was planned: facts behind it were not yet known."""
    notices: tuple[str, ...] = ()
    """Sentences about how it was made, for example that a model could not be compiled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshFailed(Fact):
    """A scene could not be read, so the map stayed as it was."""

    kind: ClassVar[str] = "refresh-failed"
    reason: str
    """One sentence, with the remedy."""
    decisions_id: str
    """Blob with a ``SceneDecision`` a tile of the scene that failed; empty if it is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditStratum:
    """What an audit saw of pixels that were last computed about equally long ago."""

    name: str
    """Refreshes since the pixels were last computed: ``1``, ``2``, ``3-4`` …"""
    n_kept: int
    """Pixels of the region kept by judgement in this stratum."""
    n_blocks: int
    """Blocks drawn."""
    n_pixels: int
    """Pixels kept by judgement in them, which were computed anew."""
    n_stale: int
    """Of these, pixels whose class changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditDone(Fact):
    """A random sample of blocks kept by judgement was computed anew and compared.

    Audits accumulate: counts that begin with ``total_``, the shares and the bounds are those of all
    audits since ``detector_id`` began to judge this region.
    """

    kind: ClassVar[str] = "audit-done"
    map_id: str
    """The map that was audited."""
    detector_id: str
    audit_id: str
    """Blob with one row a drawn block."""
    n_blocks: int
    n_pixels: int
    """Pixels kept by judgement in the blocks drawn."""
    n_stale: int
    """Of these, pixels whose class changed; their blocks are computed when their tile is next."""
    strata: tuple[AuditStratum, ...]
    total_blocks: int
    total_pixels: int
    total_stale: int
    kept_share: float
    """Pixels kept by judgement, of the region's pixels, mean over the audited refreshes."""
    share: float
    """Estimated stale share of the region's pixels."""
    bound: float
    """One-sided 95 % upper bound of it, valid at every look."""
    bound_kept: float
    """The same, as a share of the pixels kept by judgement."""
    is_certified: bool
    """Enough blocks were seen for the bound to mean something."""
    needed_blocks: int
    """Blocks in all that certification needs."""
    tolerance: float
    """Stale share the region may have, as set."""
    is_tightened: bool
    """The bound is certified and exceeds the tolerance: the next detector judges more strictly and
    what this one kept is computed anew."""
    n_exact: int
    """Pixels kept by an exact test in the blocks drawn, computed anew too."""
    n_exact_wrong: int
    """Of these, pixels that differ: a bug. Never counted as judgement."""
    cost: RunCost
    evidence: Evidence = NO_EVIDENCE
