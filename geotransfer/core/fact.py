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
from geotransfer.core.fact_base import Fact as Fact
from geotransfer.core.grid import Grid
from geotransfer.core.layer import Layer
from geotransfer.core.legend import Legend
from geotransfer.core.model import GateResult, ModelVersion
from geotransfer.core.refresh_fact import AuditDone as AuditDone
from geotransfer.core.refresh_fact import AuditStratum as AuditStratum
from geotransfer.core.refresh_fact import RefreshDone as RefreshDone
from geotransfer.core.refresh_fact import RefreshFailed as RefreshFailed
from geotransfer.core.region import Region
from geotransfer.core.sensor import Sensor
from geotransfer.core.spec import FeatureSpec


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
    location: str = ""
    """Where the catalog is, for a refresh to look again; empty: not to be looked at again."""
    period: str = ""
    """What was asked of it, as first and last day; empty: every date."""
    max_cloud_percent: float | None = None
    collections: tuple[str, ...] = ()
    offset: float | None = None
    """Offset of every band as a person settled it; None: as described."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenesExcluded(Fact):
    """Scenes were left out, when a catalog was read, by a refresh or by hand."""

    kind: ClassVar[str] = "scenes-excluded"
    exclusions_id: str
    """Blob with the exclusions, a JSON list."""
    reasons: Mapping[str, int]
    """Scenes by reason."""
    passed_over: Mapping[str, int]
    """Items of the catalog that were not asked for, by reason; they are not listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenesIncluded(Fact):
    """Scenes that were left out are used again."""

    kind: ClassVar[str] = "scenes-included"
    scene_ids: tuple[str, ...]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelsChecked(Fact):
    """Scenes were compared with their descriptions and with each other when they came in."""

    kind: ClassVar[str] = "pixels-checked"
    report_id: str
    """Blob with every scene's dark ends and shift."""
    n_scenes: int
    n_agree: int
    """Scenes whose pixels agree with the offset described."""
    n_contradict: int
    """Scenes left out because their pixels contradict it."""
    n_unknown: int
    n_shifted: int
    """Scenes that lie more than half a pixel off the others."""
    is_common_visible: bool
    """Whether an offset error that all scenes share would be seen there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZonesSummarized(Fact):
    """A map was summarised by somebody's polygons."""

    kind: ClassVar[str] = "zones-summarized"
    map_id: str
    file_name: str
    n_zones: int
    polygons_id: str
    """Blob of the polygons as uploaded; it can be erased, the id stays."""
    csv_id: str
    """Blob of the table."""
    gpkg_id: str
    """Blob of the polygons with the table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LegendAdded(Fact):
    """A legend of the workspace's own; a name keeps its meaning for good."""

    kind: ClassVar[str] = "legend-added"
    legend: Legend


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecAdded(Fact):
    """A feature spec of the workspace's own; a name keeps its meaning for good."""

    kind: ClassVar[str] = "spec-added"
    spec: FeatureSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorAdded(Fact):
    """A sensor of the workspace's own; a newer row of the name holds for scenes added from then."""

    kind: ClassVar[str] = "sensor-added"
    sensor: Sensor


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerAdded(Fact):
    """A raster without a date was checked and belongs to a region; the newest of a name counts."""

    kind: ClassVar[str] = "layer-added"
    layer: Layer


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSet(Fact):
    """Somebody set how often a region's map is refreshed, or stopped it."""

    kind: ClassVar[str] = "schedule-set"
    verb: str
    every_s: int | None
    """Seconds from one run to the next; None: stopped."""


F = TypeVar("F", bound=Fact)

FACTS: dict[str, type[Fact]] = {
    fact.kind: fact
    for fact in (
        RegionAdded,
        RegionEvaluated,
        RegionAssessed,
        RehearsalMade,
        ScenesAdded,
        ScenesExcluded,
        ScenesIncluded,
        RefreshDone,
        RefreshFailed,
        AuditDone,
        ModelRegistered,
        LabelsAdded,
        LabelsErased,
        FineTuneDone,
        ModelPromoted,
        ModelRolledBack,
        ScheduleSet,
        BudgetMeasured,
        LabelsSuggested,
        AccuracyReported,
        ApplicabilityMapped,
        PixelsChecked,
        ZonesSummarized,
        LegendAdded,
        SpecAdded,
        SensorAdded,
        LayerAdded,
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
