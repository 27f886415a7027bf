"""The rehearsal of a reference region: what a number of its own labels would have brought."""

from __future__ import annotations

import altair as alt
import pandas as pd
import streamlit as st

from geotransfer.console.state import find_actor, run_guarded
from geotransfer.console.verdict_panel import name_strategy
from geotransfer.core.budget import BudgetCurve
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.submit import submit_rehearse
from geotransfer.workflows.views import RegionView, find_rehearsal

COLORS = ("#6e6e6e", "#0072b2", "#e69f00", "#d55e00", "#009e73", "#cc79a7")


def show_rehearsal(workspace: Workspace, view: RegionView) -> None:
    """Show accuracy against labels: global, corrected, pooled, regional only."""
    region_id = view.region.region_id
    rehearsed = find_rehearsal(workspace, region_id)
    if rehearsed is None:
        st.info("No rehearsal ships for this region.")
        return
    st.markdown(
        "Fine-tuning rehearsed on this region's own labels, with a global model that has never seen"
        " the region. Every figure is on rows held out, apart from the labels as each title says."
    )
    for curve in rehearsed.curves:
        _show_curve(curve)
    st.caption(
        "Training-point labels: compare the lines, do not quote them as map accuracy. The same"
        " figures can be made again where the real tables are (`geotransfer fetch deafrica`)."
    )
    st.button(
        "Recompute from the real tables",
        on_click=run_guarded,
        args=(lambda: submit_rehearse(workspace, region_id, by=find_actor()),),
        kwargs={"success": "Rehearsal queued; it takes some minutes."},
    )


def _show_curve(curve: BudgetCurve) -> None:
    st.markdown(f"**Held out: {curve.separation}** ({curve.n_draws} draws)")
    frame = pd.DataFrame(
        [
            {
                "labels": point.n_labels,
                "model": name_strategy(point.strategy),
                "AUC": point.auc.value,
            }
            for point in curve.points
        ]
    )
    names = [name_strategy(strategy) for strategy in curve.list_strategies()]
    lines = (
        alt.Chart(frame)
        .mark_line(point=True)
        .encode(
            x=alt.X("labels:Q", scale=alt.Scale(type="log"), title="labels of the region"),
            y=alt.Y("AUC:Q", scale=alt.Scale(zero=False), title="AUC on rows held out"),
            color=alt.Color(
                "model:N",
                sort=names,
                scale=alt.Scale(domain=names, range=list(COLORS[: len(names)])),
                legend=alt.Legend(orient="bottom", title=None, labelLimit=260, columns=2),
            ),
            tooltip=["model", "labels", alt.Tooltip("AUC:Q", format=".3f")],
        )
        .properties(height=300)
    )
    st.altair_chart(lines, alt=f"AUC against labels, held out: {curve.separation}; table below")
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
        )
