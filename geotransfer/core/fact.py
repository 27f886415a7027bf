"""Facts: what happened, never changed. The state of a workspace is their replay.

Facts hold content ids, counts and figures; label rows and other personal data never enter one, so
an upload can be erased and the history stays whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from geotransfer.core.cost import RunCost
from geotransfer.core.estimate import Estimate, Evaluation
from geotransfer.core.grid import Grid
from geotransfer.core.model import GateResult, ModelVersion
from geotransfer.core.region import Region


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Base of all facts."""

    kind: ClassVar[str] = "fact"
    region_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionAdded(Fact):
    """A region was added, or its description replaced."""

    kind: ClassVar[str] = "region-added"
    region: Region


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionEvaluated(Fact):
    """A model was judged on rows it has never seen."""

    kind: ClassVar[str] = "region-evaluated"
    model_id: str
    purpose: str
    """``map`` for the figure the region shows, or a named arm of a comparison."""
    evaluation: Evaluation
    reach: Estimate | None = None
    """Share of the region where the map may be trusted at ``reach_target``."""
    reach_target: float = 0.0
    source: str = ""
    """Command, seeds and content ids that made the figures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionAssessed(Fact):
    """A region was judged from its features alone, before any label."""

    kind: ClassVar[str] = "region-assessed"
    model_id: str
    assessment_id: str
    """Blob with the whole assessment."""
    recommendation: str
    inside_share: Estimate
    """Share of the measured pixels inside the area of applicability."""
    source: str
    """What stood for the source samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsalMade(Fact):
    """Transfer gain rehearsed on a region's own reference table."""

    kind: ClassVar[str] = "rehearsal-made"
    report_id: str
    """Blob with the budget curves."""
    gain: Estimate
    """Gain of the fine-tuned over the global model with ``n_labels`` labels."""
    gain_over_regional: Estimate
    n_labels: int
    metric: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenesAdded(Fact):
    """Scenes entered a region's catalog."""

    kind: ClassVar[str] = "scenes-added"
    scenes_id: str
    """Blob with the scenes, a JSON list."""
    n_scenes: int
    n_replaced: int
    """How many of them replaced a scene of the same id (re-published)."""
    grid: Grid
    tile_px: int


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRegistered(Fact):
    """A model version exists."""

    kind: ClassVar[str] = "model-registered"
    version: ModelVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelsAdded(Fact):
    """Labels were checked and kept for a region."""

    kind: ClassVar[str] = "labels-added"
    labels_id: str
    """Content id of the accepted rows; the blob can be erased, the id stays."""
    role: str
    """``calibration`` (fine-tuning may use them) or ``holdout`` (evaluation only)."""
    file_name: str
    n_rows: int
    n_rejected: int
    class_counts: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelsErased(Fact):
    """An upload was erased at somebody's wish."""

    kind: ClassVar[str] = "labels-erased"
    labels_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuneDone(Fact):
    """A fine-tune ran and gave its verdict."""

    kind: ClassVar[str] = "fine-tune-done"
    labels_id: str
    model_id: str | None
    """The fine-tuned model, or None where the verdict keeps the global model."""
    verdict_id: str
    """Blob with the whole verdict."""
    verdict_kind: str
    gain: Estimate | None
    cost: RunCost


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPromoted(Fact):
    """A model became a region's champion."""

    kind: ClassVar[str] = "model-promoted"
    previous_id: str | None
    model_id: str
    gates: tuple[GateResult, ...]
    reason: str
    """Written by the person who promoted; needed to override a gate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRolledBack(Fact):
    """A region went back to an earlier champion; nothing is deleted."""

    kind: ClassVar[str] = "model-rolled-back"
    previous_id: str
    model_id: str | None
    """What serves again; None: the global model."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetMeasured(Fact):
    """Accuracy against the number of labels was measured on a region's own labels."""

    kind: ClassVar[str] = "budget-measured"
    labels_id: str
    report_id: str
    """Blob with the curve and its forecasts."""
    n_labels: int
    gain: Estimate
    """Of the chosen strategy with the most labels tried."""
    cost: RunCost


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelsSuggested(Fact):
    """Places to label were suggested: ranked, or drawn as a probability sample."""

    kind: ClassVar[str] = "labels-suggested"
    suggestion_id: str
    """Blob with the places."""
    design: str
    n_places: int
    map_id: str
    """Map whose classes were the strata, or whose doubts ranked the places."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyReported(Fact):
    """Everything that labels say about a region's map was put together."""

    kind: ClassVar[str] = "accuracy-reported"
    map_id: str
    model_id: str
    report_id: str
    """Blob with the whole report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicabilityMapped(Fact):
    """Where a map applies was mapped, whole."""

    kind: ClassVar[str] = "applicability-mapped"
    map_id: str
    model_id: str
    report_id: str
    """Blob with rule, threshold, shares and cost of each layer."""
    inside_share: float
    """Share of all answered pixels inside the area of applicability."""
    cost: RunCost


F = TypeVar("F", bound=Fact)

FACTS: dict[str, type[Fact]] = {
    fact.kind: fact
    for fact in (
        RegionAdded,
        RegionEvaluated,
        RegionAssessed,
        RehearsalMade,
        ScenesAdded,
        RefreshDone,
        ModelRegistered,
        LabelsAdded,
        LabelsErased,
        FineTuneDone,
        ModelPromoted,
        ModelRolledBack,
        BudgetMeasured,
        LabelsSuggested,
        AccuracyReported,
        ApplicabilityMapped,
    )
}
"""Every kind of fact by its name in the ledger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded(Generic[F]):
    """A fact with its place in the ledger."""

    seq: int
    """Grows by one with each fact of a workspace."""
    at: str
    """ISO 8601, UTC."""
    actor: str
    """Who or what acted: a person's chosen name, ``cli`` or ``worker``."""
    fact: F
