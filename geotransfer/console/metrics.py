"""The figures a region is coloured by: one definition for map, table and legend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from geotransfer.console.palettes import (
    ACCURACY,
    COMPUTED,
    COST,
    DIFFERING,
    GAIN,
    MISSING_COLOR,
    REACH,
    Format,
    Scale,
    fit_scale,
)
from geotransfer.workflows.views import RegionView

SECONDS_AN_HOUR = 3600
SECONDS_A_DAY = 86400


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One figure of a region."""

    key: str
    title: str
    unit: str
    """What the number is."""
    scale: Scale
    read: Callable[[RegionView], float | None]
    show: Callable[[RegionView], str]
    """The figure in words, with its interval where it has one."""
    is_share: bool
    is_fitted: bool
    """Whether the scale is stretched to the values at hand."""
    explanation: str

    def fit(self, views: Sequence[RegionView]) -> Scale:
        """Return the scale for these regions."""
        return fit_scale(self.scale, map(self.read, views)) if self.is_fitted else self.scale


def _show_cost(view: RegionView) -> str:
    if view.cpu_s_per_km2 is None:
        return "needs imagery" if view.refresh is None else "nothing computed yet"
    return f"{view.cpu_s_per_km2:.2f} CPU-s/km²"


def _show_reach(view: RegionView) -> str:
    if view.reach is None:
        return "not measured"
    return f"{view.reach.value:.0%} ({view.reach.low:.0%}–{view.reach.high:.0%})"


def _read_day(view: RegionView) -> float | None:
    if view.refreshed_at is None:
        return None
    return datetime.fromisoformat(view.refreshed_at).timestamp() / SECONDS_A_DAY


def _show_age(view: RegionView) -> str:
    if view.refreshed_at is None:
        return "needs imagery" if not view.n_scenes else "never"
    age_s = (datetime.now(UTC) - datetime.fromisoformat(view.refreshed_at)).total_seconds()
    return f"{format_age(age_s)} ago"


def format_age(age_s: float) -> str:
    """Return an age as people say it: minutes, hours or days."""
    if age_s < SECONDS_AN_HOUR:
        return f"{age_s / 60:.0f} min"
    if age_s < 2 * SECONDS_A_DAY:
        return f"{age_s / SECONDS_AN_HOUR:.0f} h"
    return f"{age_s / SECONDS_A_DAY:.0f} days"


METRICS: tuple[Metric, ...] = (
    Metric(
        key="accuracy",
        title="Accuracy",
        unit="balanced accuracy on rows the model has never seen; 0.5 is chance",
        scale=ACCURACY,
        read=lambda v: None if v.evaluation is None else v.evaluation.balanced.value,
        show=lambda v: "not measured" if v.evaluation is None else str(v.evaluation.balanced),
        is_share=False,
        is_fitted=False,
        explanation="Mean of the classes' producer's accuracies, with its 95 % interval. Table"
        " regions: leave-one-region-out. Simulated regions: known truth.",
    ),
    Metric(
        key="reach",
        title="Reach",
        unit="share of the region at or above the target accuracy",
        scale=REACH,
        read=lambda v: None if v.reach is None else v.reach.value,
        show=_show_reach,
        is_share=True,
        is_fitted=False,
        explanation="Share of the area (table regions: of their samples) where the map may be"
        " trusted at the target accuracy, judged on rows the model has never seen.",
    ),
    Metric(
        key="cost",
        title="Cost per km²",
        unit="CPU seconds per km² computed",
        scale=COST,
        read=lambda v: v.cpu_s_per_km2,
        show=_show_cost,
        is_share=False,
        is_fitted=True,
        explanation="Measured CPU time of every run that computed something, over its area.",
    ),
    Metric(
        key="age",
        title="Last refresh",
        unit="day the map was last brought up to date (UTC)",
        scale=COMPUTED,
        read=_read_day,
        show=_show_age,
        is_share=False,
        is_fitted=True,
        explanation="When a refresh last looked at every tile, whether or not it computed any.",
    ),
    Metric(
        key="gain",
        title="Transfer gain",
        unit="AUC of the fine-tuned minus the global model",
        scale=GAIN,
        read=lambda v: None if v.gain is None else v.gain.value,
        show=lambda v: "no labels yet" if v.gain is None else f"{v.gain} · {v.gain_note}",
        is_share=False,
        is_fitted=True,
        explanation="Expected on spatially separated blocks; table regions rehearse it on their own"
        " labels. A gain is offered only where it is positive with 90 % confidence.",
    ),
)
"""Figures the first page can colour by; the first is the default."""


def find_metric(key: str) -> Metric:
    """Return a metric by its key."""
    return next(metric for metric in METRICS if metric.key == key)


def _count_marks(scale: Scale) -> int:
    """Marks at round numbers: a symmetrical scale has its middle, days need room."""
    if scale.form is Format.DATE:
        return 2
    return 5 if scale.ramp is DIFFERING else 6


def make_legend_html(title: str, unit: str, scale: Scale) -> str:
    """Return a legend: title with unit, the ramp with its figures, and *not measured*."""
    marks = "".join(f"<span>{text}</span>" for _, _, text in scale.steps(_count_marks(scale)))
    return (
        f'<div role="img" aria-label="Legend: {title}, {unit}, from'
        f' {scale.text(scale.low)} to {scale.text(scale.high)}" style="font-size:0.85rem">'
        f"<strong>{title}</strong> · {unit}"
        f'<div style="height:.8rem;margin:.35rem 0 .1rem;border:1px solid #8888;'
        f'background:{scale.css_gradient()}"></div>'
        f'<div style="display:flex;justify-content:space-between">{marks}</div>'
        f'<div style="margin-top:.3rem"><span style="display:inline-block;width:1rem;height:.7rem;'
        f'border:1px solid #8888;background:{MISSING_COLOR}"></span> not measured</div></div>'
    )


def parse_color(color: str) -> list[int]:
    """Turn ``#rrggbb`` into three numbers 0–255."""
    return [int(color[i : i + 2], 16) for i in (1, 3, 5)]
