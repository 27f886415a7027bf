"""What is known about where a map applies, without the science that found it out."""

from __future__ import annotations

from dataclasses import dataclass

from geotransfer.core.estimate import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicabilityLayer:
    """One raster of a map's applicability."""

    name: str
    """``applicability``, ``applicability-classes``, ``dissimilarity``, ``density`` or
    ``expected-accuracy``."""
    cpu_s: float
    """What computing it took, of its own; 0 where every tile was there already."""
    n_pixels: int
    """Pixels answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassShare:
    """Share of the answered pixels near enough to training samples of one class."""

    name: str
    share: float | None
    """None where the class has too few samples for a threshold of its own."""
    threshold: float | None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyCurve:
    """Accuracy as a falling function of the dissimilarity index (DI), interpolated between knots.

    ``accuracy/profile.py`` fits it.
    """

    di: tuple[float, ...]
    """Rising knots: mean DI of the bins of rows."""
    low: tuple[float, ...]
    value: tuple[float, ...]
    high: tuple[float, ...]
    largest_di: float
    """Largest DI that was measured: beyond it only the upper end is known."""
    level: float
    method: str
    n: int
    """Rows it rests on."""
    rows: str = ""
    """Whose rows it was learned from, in words; empty where a fit was not told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicabilityReport:
    """Where one map may be trusted, and by which rule that was decided."""

    map_id: str
    model_id: str
    area_id: str
    """Blob with the fitted area of applicability."""
    source: str
    """What stood for the source samples."""
    regions: tuple[str, ...]
    """Region of each fold of the samples."""
    n_samples: int
    fold_rule: str
    """How folds separate training samples: the threshold depends on it."""
    threshold_rule: str
    threshold: float
    """Largest dissimilarity index inside."""
    inside_share: float
    """Share of all answered pixels inside."""
    layers: tuple[ApplicabilityLayer, ...]
    classes: tuple[ClassShare, ...] = ()
    curve: AccuracyCurve | None = None
    expected: Estimate | None = None
    """Mean expected accuracy over the map, with the mean of its lower and upper ends."""
