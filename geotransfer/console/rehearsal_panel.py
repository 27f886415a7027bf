"""The rehearsal of a reference region: what a number of its own labels would have brought."""

from __future__ import annotations

import streamlit as st

from geotransfer.console.budget_panel import show_answer, show_curve
from geotransfer.console.state import find_actor, run_guarded
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.submit import submit_rehearse
from geotransfer.workflows.transfer_views import find_budget
from geotransfer.workflows.views import RegionView, find_rehearsal


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
    report = find_budget(workspace, region_id)
    if report is not None:
        show_answer(workspace, report, key=f"price-{region_id}")
    for curve in rehearsed.curves:
        show_curve(curve)
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
