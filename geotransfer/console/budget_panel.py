"""The label budget: how many more labels, for how much gain, at what cost."""

from __future__ import annotations

import altair as alt
import pandas as pd
import streamlit as st

from geotransfer.console.interval_chart import write_gain
from geotransfer.console.state import find_actor, run_guarded
from geotransfer.console.strategy_panel import name_strategy
from geotransfer.core.budget import BudgetCurve, BudgetReport, BudgetStep, answer_budget, list_steps
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.output_list import list_kept_labels
from geotransfer.workflows.submit import submit_budget
from geotransfer.workflows.transfer_views import find_budget
from geotransfer.workflows.views import RegionView

COLORS = ("#6e6e6e", "#0072b2", "#e69f00", "#d55e00", "#009e73", "#cc79a7")
"""Of the global model, the fine-tuned one and its rivals, in the order of a curve."""
SHAPES = ("square", "circle", "triangle-up", "diamond", "cross", "triangle-down")


def show_budget(workspace: Workspace, view: RegionView, *, is_busy: bool) -> None:
    """Show what more labels would bring, in words first; or let it be measured."""
    region_id = view.region.region_id
    report = find_budget(workspace, region_id)
    kept = list_kept_labels(workspace, region_id)
    has_labels = any(fact.role == "calibration" for fact in kept)
    if report is None:
        st.markdown(
            "Accuracy against the number of labels, on whole blocks of your own labels held out:"
            " the global model, the fine-tuned one, and the best model your labels make alone."
        )
    else:
        show_answer(workspace, report, key=f"price-{region_id}")
        show_curve(report.curve)
    if not has_labels:
        st.caption("Add calibration labels first; thirty are the least a curve can be drawn from.")
    st.button(
        "Measure again" if report is not None else "Measure the label budget",
        icon=":material/show_chart:",
        key="measure-budget",
        disabled=is_busy or not has_labels,
        on_click=run_guarded,
        args=(lambda: submit_budget(workspace, region_id, by=find_actor()),),
        kwargs={"success": "Label budget queued; it takes about a minute."},
    )


def show_answer(workspace: Workspace, report: BudgetReport, *, key: str) -> None:
    """Answer in words, and as a table of steps with their cost."""
    rate = workspace.settings.usd_per_label
    left, right = st.columns([4, 1], gap="medium")
    price = right.number_input(
        "Price of a label (USD)",
        min_value=0.0,
        value=float(rate),
        step=0.5,
        key=key,
        help="Set `GEOTRANSFER_USD_PER_LABEL` to keep a price for everybody.",
    )
    with left:
        first, *rest = answer_budget(report, price)
        st.markdown(f"**{first}**")
        for sentence in rest:
            st.markdown(f"- {sentence}")
    steps = list_steps(report, price)
    if len(steps) < 2:
        return
    frame = pd.DataFrame([_make_step_row(step) for step in steps])
    if not price:
        frame = frame.drop(columns="this step costs")
    st.table(frame, border="horizontal", hide_index=True, alt="Steps of the label budget")
    if not steps[-1].is_measured:
        st.caption(
            "Forecasts move this region's own gain along the curve rehearsed on other regions, and"
            " widen with every doubling."
        )


def _make_step_row(step: BudgetStep) -> dict[str, str]:
    return {
        "labels": f"{step.n_labels:,}",
        "more": f"+{step.more:,}" if step.more else "",
        "gain over global (AUC)": write_gain(step.gain),
        "this step adds": f"{step.further:+.3f}" if step.more else "",
        "this step costs": "" if step.cost_usd is None else f"{step.cost_usd:,.0f} USD",
        "how": "measured" if step.is_measured else "forecast",
    }


def show_curve(curve: BudgetCurve) -> None:
    """Show accuracy against the number of labels, each strategy with its interval."""
    st.markdown(
        f"**Held out: {curve.separation}** · {curve.n_draws} draws, a median of"
        f" {curve.n_holdout} labels held out"
    )
    names = [name_strategy(strategy) for strategy in curve.list_strategies()]
    frame = pd.DataFrame(
        [
            {
                "labels": point.n_labels,
                "model": name_strategy(point.strategy),
                "AUC": point.auc.value,
                "low": point.auc.low,
                "high": point.auc.high,
            }
            for point in curve.points
        ]
    )
    color = alt.Color(
        "model:N",
        sort=names,
        scale=alt.Scale(domain=names, range=list(COLORS[: len(names)])),
        legend=alt.Legend(orient="bottom", title=None, labelLimit=260, columns=2),
    )
    shape = alt.Shape(
        "model:N", sort=names, scale=alt.Scale(domain=names, range=list(SHAPES[: len(names)]))
    )
    most, least = max(p.n_labels for p in curve.points), min(p.n_labels for p in curve.points)
    scale = alt.Scale(type="log", nice=False, domain=[least / 1.15, most * 1.15])
    axis = alt.Axis(values=sorted({p.n_labels for p in curve.points}), format="d")
    x = alt.X("labels:Q", scale=scale, axis=axis, title="labels of the region")
    base = alt.Chart(frame).encode(x=x, color=color)
    y = alt.Y("AUC:Q", scale=alt.Scale(zero=False), title="AUC on rows held out")
    bars = base.mark_rule(opacity=0.55).encode(y=alt.Y("low:Q", title=""), y2="high:Q")
    lines = base.mark_line().encode(y=y)
    points = base.mark_point(filled=True, size=60, opacity=1).encode(
        y=y,
        shape=shape,
        tooltip=[
            "model",
            "labels",
            alt.Tooltip("AUC:Q", format=".3f"),
            alt.Tooltip("low:Q", format=".3f"),
            alt.Tooltip("high:Q", format=".3f"),
        ],
    )
    chart = alt.layer(bars, lines, points).properties(height=300)
    st.altair_chart(
        chart,
        alt=f"AUC against the number of labels, held out: {curve.separation}."
        f" {_describe_ends(curve)} The table below says the same.",
    )
    with st.expander("The same as a table, with intervals"):
        st.dataframe(
            pd.DataFrame(
                [
                    {
                        "labels": point.n_labels,
                        "model": name_strategy(point.strategy),
                        "AUC": str(point.auc),
                        "gain over global": str(point.gain),
                        "spread over draws": f"{point.spread:.3f}",
                    }
                    for point in curve.points
                ]
            ),
            hide_index=True,
            alt="Label budget as a table",
        )


def _describe_ends(curve: BudgetCurve) -> str:
    parts = []
    for strategy in curve.list_strategies():
        points = [p for p in curve.points if p.strategy == strategy]
        parts.append(
            f"{name_strategy(strategy)}: {points[0].auc.value:.3f} with {points[0].n_labels} labels"
            f" to {points[-1].auc.value:.3f} with {points[-1].n_labels}"
        )
    return "; ".join(parts) + "."
