"""Calibrate: labels in, verdict out, promote, take it back."""

from __future__ import annotations

import streamlit as st

from geotransfer.console.assessment_panel import show_assessment
from geotransfer.console.budget_panel import show_budget
from geotransfer.console.label_panel import show_upload
from geotransfer.console.state import (
    explain_errors,
    find_actor,
    find_workspace,
    load_views,
    pick_region,
    run_guarded,
    show_notice,
)
from geotransfer.console.verdict_panel import show_verdict
from geotransfer.console.waiting import show_running_jobs
from geotransfer.core.fact import FineTuneDone, LabelsAdded
from geotransfer.core.region import RegionKind
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.output_list import list_kept_labels
from geotransfer.workflows.promote import find_verdict
from geotransfer.workflows.submit import submit_fine_tune
from geotransfer.workflows.views import RegionView


def show() -> None:
    """Show the page."""
    workspace = find_workspace()
    st.title("Calibrate")
    mappable = tuple(v for v in load_views() if v.region.kind is not RegionKind.TABLE)
    view = pick_region(mappable, key="calibrate-picker")
    if view is None:
        return
    region_id = view.region.region_id
    # In a place of their own: what comes and goes here must not close what is open below.
    with st.container():
        show_notice()
        is_busy = show_running_jobs(workspace, region_id)
    if view.refresh is None:
        st.info(
            "This region has no map yet, and features come from it. "
            + (view.needs or "Open the region and press *Refresh map*.")
        )
        return
    with st.expander("Before labelling: should this region be labelled at all?", expanded=False):
        show_assessment(workspace, view, is_busy=is_busy)
    st.header("1 · Labels", divider="gray")
    with explain_errors():
        show_upload(workspace, view)
    st.header("2 · Fine-tune", divider="gray")
    _show_fine_tune(workspace, view, is_busy=is_busy)
    st.header("3 · Verdict", divider="gray")
    done = workspace.ledger.read_last(FineTuneDone, region_id=region_id)
    if done is None:
        st.info("No verdict yet. Add about a hundred labels, then press *Fine-tune*.")
    else:
        with explain_errors():
            show_verdict(workspace, view, done, find_verdict(workspace, region_id, done.model_id))
    st.header("4 · Label budget", divider="gray")
    with explain_errors():
        show_budget(workspace, view, is_busy=is_busy)


def _list_calibration(workspace: Workspace, region_id: str) -> list[LabelsAdded]:
    kept = list_kept_labels(workspace, region_id)
    return [fact for fact in reversed(kept) if fact.role == "calibration"]


def _show_fine_tune(workspace: Workspace, view: RegionView, *, is_busy: bool) -> None:
    region_id = view.region.region_id
    uploads = _list_calibration(workspace, region_id)
    if not uploads:
        st.info("No calibration labels kept yet.")
        return
    by_id = {fact.labels_id: fact for fact in uploads}

    def describe(labels_id: str) -> str:
        fact = by_id[labels_id]
        counts = ", ".join(f"{n} {name}" for name, n in fact.class_counts.items())
        return f"{fact.file_name}: {fact.n_rows} labels ({counts})"

    left, right = st.columns([3, 1], vertical_alignment="bottom")
    labels_id = left.selectbox("Labels", list(by_id), format_func=describe, key="labels-picker")
    right.button(
        "Fine-tune",
        type="primary",
        icon=":material/play_arrow:",
        width="stretch",
        disabled=is_busy,
        on_click=run_guarded,
        args=(
            lambda: submit_fine_tune(
                workspace, region_id, labels_id=labels_id, seed=0, by=find_actor()
            ),
        ),
        kwargs={"success": "Fine-tune queued."},
    )
    st.caption(
        "Every strategy is tried on whole blocks of labels held out; the global model is replaced"
        " only where the gain is positive with 90 % confidence. About half a minute for 100 labels."
    )
