"""The label budget: what a number of labels buys."""

from __future__ import annotations

from dataclasses import dataclass

from geotransfer.core.estimate import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetPoint:
    """One strategy with one number of labels."""

    strategy: str
    n_labels: int
    auc: Estimate
    """Mean over draws, with the interval of that mean."""
    gain: Estimate
    """AUC minus the global model's on the same held-out rows, with the interval of its mean."""
    spread: float
    """Standard deviation of the gain over draws: what one set of labels may differ by."""
    median_distance_km: float | None
    """Median distance of a held-out row to its nearest label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetCurve:
    """Accuracy against the number of labels, on rows held out."""

    separation: str
    """How rows were kept apart: ``blocks of 100 km``, ``cells of 5 km``, or ``rain 50 mm``."""
    n_draws: int
    n_holdout: int
    """Median number of rows held out."""
    points: tuple[BudgetPoint, ...]
    """By strategy, then by number of labels."""

    def list_strategies(self) -> tuple[str, ...]:
        """Return the strategies' names, each once, in order."""
        return tuple(dict.fromkeys(point.strategy for point in self.points))

    def find_point(self, strategy: str, n_labels: int) -> BudgetPoint | None:
        """Return one point, or None."""
        return next(
            (p for p in self.points if p.strategy == strategy and p.n_labels == n_labels), None
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetForecast:
    """What more labels are expected to bring, from rehearsals on other regions."""

    n_labels: int
    gain: Estimate
    """Expected AUC gain over the global model, with a prediction interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsedRegion:
    """A reference region on which the whole transfer was rehearsed."""

    region_id: str
    curves: tuple[BudgetCurve, ...]
