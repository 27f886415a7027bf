"""How right a map is, told in every way that its labels allow, each way by its name."""

from __future__ import annotations

from dataclasses import dataclass

from geotransfer.core.estimate import Estimate, Evaluation


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedEvaluation:
    """One evaluation among several that must not be confused."""

    name: str
    """What was judged and how rows were kept apart, for a table's first column."""
    evaluation: Evaluation


@dataclass(frozen=True, slots=True, kw_only=True)
class DistanceAccuracy:
    """Accuracy of rows at one distance from the nearest label that trained for them."""

    from_km: float
    to_km: float
    accuracy: Estimate
    """Overall accuracy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassArea:
    """What reference labels say of one class of a map."""

    name: str
    mapped_km2: float
    """Area the map gives it: a count of pixels, not an estimate."""
    area_km2: Estimate
    """Area it truly covers."""
    area_error_km2: float | None
    """Standard error of that area; None where a stratum has a single label."""
    powered_km2: Estimate | None
    """The same area from labels and the whole map's probabilities together (PPI++)."""
    power: float | None
    """λ, 0–1: how far the map was trusted for it."""
    users: Estimate
    producers: Estimate
    f1: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaReport:
    """Accuracy weighted by area, and the area of each class."""

    estimator: str
    """``olofsson`` (strata are the map's classes) or ``stehman`` (they are an earlier map's)."""
    is_indicative: bool
    """Labels are no probability sample: the figures describe the labels' places only."""
    sample: str
    """What the labels are, in words."""
    overall: Estimate
    overall_error: float | None
    """Standard error of the overall accuracy."""
    balanced: Estimate
    classes: tuple[ClassArea, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyReport:
    """Everything that labels say about one map."""

    map_id: str
    model_id: str
    model_name: str
    figures: tuple[NamedEvaluation, ...]
    """Random, blocks and kNNDM side by side, and the map at labels it has never seen."""
    by_distance: tuple[DistanceAccuracy, ...]
    distance_note: str
    """What ``by_distance`` rests on, or why there is none."""
    area: AreaReport | None
    notes: tuple[str, ...] = ()
    """What could not be told, and what would allow it."""
