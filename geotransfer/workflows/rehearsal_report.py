"""The headline of a rehearsal: gain over the global and over a regional-only model."""

from __future__ import annotations

import math

from geotransfer.core.budget import BudgetCurve, RehearsedRegion
from geotransfer.core.estimate import Estimate
from geotransfer.core.fact import RehearsalMade

DEFAULT_STRATEGY = "gp_correction"
"""What reference regions rehearse as the fine-tuned model."""
REGIONAL_STRATEGY = "regional_only"


def summarize_rehearsal(
    rehearsed: RehearsedRegion, *, report_id: str, n_labels: int
) -> RehearsalMade | None:
    """Return the fact with labels spread among the held-out cells; None without such a point."""
    curve = find_interspersed(rehearsed.curves)
    if curve is None:
        return None
    chosen = curve.find_point(DEFAULT_STRATEGY, n_labels)
    regional = curve.find_point(REGIONAL_STRATEGY, n_labels)
    if chosen is None or regional is None:
        return None
    value = chosen.auc.value - regional.auc.value
    half = math.hypot(_halve(chosen.auc), _halve(regional.auc))
    return RehearsalMade(
        region_id=rehearsed.region_id,
        report_id=report_id,
        gain=chosen.gain,
        gain_over_regional=Estimate(
            value=value,
            low=value - half,
            high=value + half,
            method="difference of means",
            n=chosen.auc.n,
        ),
        n_labels=n_labels,
        metric=f"AUC, {curve.separation}",
    )


def _halve(estimate: Estimate) -> float:
    return (estimate.high - estimate.low) / 2


def find_interspersed(curves: tuple[BudgetCurve, ...]) -> BudgetCurve | None:
    """Return the curve with labels among the test rows' cells, or the only one there is."""
    return next((c for c in curves if "cells" in c.separation), curves[0] if curves else None)
