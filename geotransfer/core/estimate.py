"""An accuracy figure and what it means: no bare number reaches a page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A value with its interval and the way it was obtained."""

    value: float
    """Point estimate, in the unit of what is estimated (shares 0–1)."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""
    level: float = 0.95
    """Confidence level of the interval, 0–1."""
    method: str
    """How value and interval were obtained, for example ``wilson`` or ``block-bootstrap``."""
    n: int
    """Number of rows the figure rests on."""

    def __str__(self) -> str:
        """Return ``0.742 (0.701–0.781)``."""
        return f"{self.value:.3f} ({self.low:.3f}–{self.high:.3f})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorMatrix:
    """Counts of map class against reference class (Olofsson et al. 2014: rows are the map)."""

    class_names: tuple[str, ...]
    """Names in the order of rows and columns."""
    counts: tuple[tuple[int, ...], ...]
    """``counts[map][reference]``."""

    @property
    def n(self) -> int:
        """Number of rows compared."""
        return sum(sum(row) for row in self.counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a model scored on rows it has never seen, and how those rows were kept apart."""

    estimand: str
    """What the figures estimate: ``random``, ``spatial-blocks``, ``knndm``,
    ``leave-one-region-out``,
    ``design-based`` or ``known-truth`` (simulated regions only)."""
    separation_km: float | None
    """Smallest distance between a row used for evaluation and any used for training, if kept."""
    matrix: ErrorMatrix
    overall: Estimate
    """Overall accuracy of the rows (not area-weighted unless the estimand is design-based)."""
    balanced: Estimate
    """Mean of the classes' producer's accuracies."""
    auc: Estimate | None
    """Area under the ROC curve; None where there are more than two classes."""
    users: tuple[Estimate, ...]
    """User's accuracy per class."""
    producers: tuple[Estimate, ...]
    """Producer's accuracy per class."""
    f1: tuple[Estimate, ...]
    """F1 score per class."""
    note: str = ""
    """What a reader must know to read the figures rightly."""
