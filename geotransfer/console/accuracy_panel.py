"""Accuracy: every figure by its name, against distance, and weighted by area."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from geotransfer.console.evaluation_panel import ESTIMANDS, show_evaluation, show_figures
from geotransfer.console.interval_chart import show_by_distance, show_intervals, write_interval
from geotransfer.core.accuracy_report import AccuracyReport, AreaReport, ClassArea, NamedEvaluation
from geotransfer.core.estimate import Estimate
from geotransfer.core.region import RegionKind
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.transfer_views import find_accuracy
from geotransfer.workflows.views import RegionView

ESTIMATORS = {
    "olofsson": "Strata: the map's classes (Olofsson et al. 2014).",
    "stehman": "Strata: the classes of the earlier map the places were drawn on (Stehman 2014).",
}


def show_accuracy(workspace: Workspace, view: RegionView) -> None:
    """Show everything labels say about the present map, or what is missing for it."""
    report = find_accuracy(workspace, view.region.region_id)
    if view.region.kind is RegionKind.TABLE or report is None or view.refresh is None:
        show_evaluation(view)
        return
    if report.map_id != view.refresh.map_id:
        st.warning(
            "These figures belong to an earlier map of this region; press *Evaluate* for the"
            " present one.",
            icon=":material/history:",
        )
    _show_side_by_side(report)
    _show_distances(report)
    if report.area is not None:
        _show_area(report.area)
    _show_one(report)
    for note in report.notes:
        st.caption(note)


def _show_side_by_side(report: AccuracyReport) -> None:
    st.subheader("Side by side", anchor="accuracy-side-by-side")
    st.caption(
        "The same map or model, judged in ways that do not mean the same. Random figures are"
        " flattered by near neighbours; separated ones tell what to expect away from labels."
    )
    names = {figure: _name_short(figure) for figure in report.figures}
    rows = [(names[figure], figure.evaluation.balanced) for figure in report.figures]
    told = "; ".join(f"{name} {estimate}" for name, estimate in rows)
    if len(rows) > 1:
        show_intervals(
            rows,
            title="balanced accuracy, 95 % interval",
            alternative=f"Balanced accuracy with its interval: {told}. The table says the same.",
        )
    st.table(
        pd.DataFrame([_make_row(figure) for figure in report.figures]),
        border="horizontal",
        hide_index=True,
        alt="Accuracies side by side, each named, with intervals",
    )


def _name_short(figure: NamedEvaluation) -> str:
    estimand = figure.evaluation.estimand
    model = "map" if figure.name.startswith("the map") else "held-out labels"
    return f"{ESTIMANDS.get(estimand, estimand).split(':')[0]} · {model}"


def _make_row(figure: NamedEvaluation) -> dict[str, str]:
    e = figure.evaluation
    return {
        "kind": ESTIMANDS.get(e.estimand, e.estimand).split(":")[0],
        "what was judged": figure.name,
        "balanced accuracy": write_interval(e.balanced),
        "overall accuracy": write_interval(e.overall),
        "AUC": "–" if e.auc is None else write_interval(e.auc),
        "labels": str(e.matrix.n),
        "kept apart": "–" if e.separation_km is None else f"{e.separation_km:.2g} km",
    }


def _show_distances(report: AccuracyReport) -> None:
    st.subheader("Against distance to the nearest label", anchor="accuracy-by-distance")
    if not report.by_distance:
        st.caption(report.distance_note)
        return
    rows = [(d.from_km, d.to_km, d.accuracy) for d in report.by_distance]
    told = "; ".join(f"{start:g} to {stop:g} km {e}" for start, stop, e in rows)
    left, right = st.columns([3, 2], gap="medium")
    if len(rows) > 1:
        with left:
            show_by_distance(
                rows,
                title="overall accuracy",
                alternative=f"Overall accuracy by distance to the nearest label: {told}.",
            )
    with right if len(rows) > 1 else left:
        st.table(
            pd.DataFrame(
                {
                    "distance (km)": [f"{start:g}–{stop:g}" for start, stop, _ in rows],
                    "overall accuracy": [write_interval(e) for _, _, e in rows],
                    "labels": [e.n for _, _, e in rows],
                }
            ),
            border="horizontal",
            hide_index=True,
            alt="Overall accuracy by distance",
        )
        st.caption(report.distance_note)


def _show_area(area: AreaReport) -> None:
    st.subheader("Weighted by area", anchor="accuracy-by-area")
    if area.is_indicative:
        st.warning(
            "**Indicative.** The labels are no probability sample, so nothing certain follows for"
            " the whole map. *Label next* draws one; labels at its places are recognised.",
            icon=":material/rule:",
        )
    else:
        st.success(
            f"**Design-based.** {area.sample[0].upper()}{area.sample[1:]}", icon=":material/rule:"
        )
    error = "" if area.overall_error is None else f", standard error {area.overall_error:.3f}"
    st.markdown(
        f"Overall accuracy of the area **{area.overall}**{error} · balanced {area.balanced} ·"
        f" {ESTIMATORS[area.estimator]}"
    )
    st.table(
        pd.DataFrame([_make_area_row(c) for c in area.classes]),
        border="horizontal",
        hide_index=True,
        alt="Area of each class: mapped, and estimated with its interval",
    )
    st.table(
        pd.DataFrame([_make_class_row(c) for c in area.classes]),
        border="horizontal",
        hide_index=True,
        alt="Area-weighted user's and producer's accuracy and F1 of each class",
    )
    st.caption(
        "Mapped area is a count of pixels and inherits the map's errors; the estimates correct it"
        " by the labels. *With the whole map* joins labels and probabilities (PPI++): narrower"
        " where the map is good, never worse than labels alone for long."
    )


def _make_area_row(c: ClassArea) -> dict[str, str]:
    return {
        "class": c.name,
        "mapped km²": f"{c.mapped_km2:,.2f}",
        "estimated km²": _show_km2(c.area_km2),
        "standard error": "–" if c.area_error_km2 is None else f"{c.area_error_km2:,.2f}",
        "with the whole map (PPI++)": "–" if c.powered_km2 is None else _show_km2(c.powered_km2),
    }


def _make_class_row(c: ClassArea) -> dict[str, str]:
    return {
        "class": c.name,
        "user's accuracy": _show_share(c.users),
        "producer's accuracy": _show_share(c.producers),
        "F1": _show_share(c.f1),
    }


def _show_km2(e: Estimate) -> str:
    return f"{e.value:,.2f} ({e.low:,.2f}–{e.high:,.2f})"


def _show_share(e: Estimate) -> str:
    return write_interval(e) if e.n else "unknown"


def _show_one(report: AccuracyReport) -> None:
    """Show the error matrix and every figure of one evaluation."""
    st.subheader("Error matrix", anchor="accuracy-matrix")
    chosen = st.selectbox(
        "Of",
        range(len(report.figures)),
        format_func=lambda i: report.figures[i].name,
        key="accuracy-figure",
    )
    show_figures(report.figures[chosen].evaluation)
