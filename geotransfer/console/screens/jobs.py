"""Jobs: what runs, what waits, what went wrong; start, cancel and retry."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from geotransfer.console.job_panel import describe_job, show_job, show_start
from geotransfer.console.schedule_panel import describe_wait
from geotransfer.console.state import find_workspace, load_views, show_notice
from geotransfer.core.job import Job, JobState
from geotransfer.core.schedule import format_interval
from geotransfer.store.workspace import Workspace

N_LISTED = 200
EVERYBODY = "everybody"


def show() -> None:
    """Show the page."""
    workspace = find_workspace()
    st.title("Jobs")
    show_notice()
    st.caption(
        "Work that reads imagery or trains runs in a worker. Closing this page, or the browser,"
        " stops nothing; everybody on this workspace sees the same list."
    )
    show_start(workspace, load_views())
    _show_list(workspace)
    _show_schedules(workspace)


@st.fragment(run_every=1.5)
def _show_list(workspace: Workspace) -> None:
    jobs = workspace.jobs.list_jobs(limit=N_LISTED)
    if not jobs:
        st.info("No jobs yet. Open a region and press *Refresh map* to start one.")
        return
    active = [job for job in jobs if not job.state.is_terminal]
    ended = [job for job in jobs if job.state.is_terminal]
    st.subheader("Running and waiting")
    if not active:
        st.caption("Nothing runs or waits.")
    for job in reversed(active):
        show_job(workspace, job)
    if ended:
        _show_ended(workspace, ended)


def _show_ended(workspace: Workspace, ended: list[Job]) -> None:
    st.subheader("Ended")
    left, right = st.columns([2, 1])
    states = (JobState.DONE, JobState.FAILED, JobState.CANCELLED)
    state = left.segmented_control(
        "State", ["all", *(s.value for s in states)], default="all", key="jobs-state",
        required=True, label_visibility="collapsed",
    )  # fmt: skip
    people = list(dict.fromkeys(job.submitted_by for job in ended))
    person = right.selectbox(
        "Submitted by", [EVERYBODY, *people], key="jobs-person", label_visibility="collapsed"
    )
    shown = [
        job
        for job in ended
        if state in ("all", job.state.value) and person in (EVERYBODY, job.submitted_by)
    ]
    event = st.dataframe(
        pd.DataFrame([describe_job(workspace, job) for job in shown]),
        hide_index=True,
        key="jobs-table",
        on_select="rerun",
        selection_mode="single-row",
        height=min(390, 38 + 35 * max(1, len(shown))),
        alt="Ended jobs, the newest first",
    )
    chosen = [row for row in event["selection"]["rows"] if row < len(shown)]
    # The newest that went wrong is what somebody comes to this page for.
    failed = [job for job in shown[:1] if job.state is not JobState.DONE]
    for job in [shown[chosen[0]]] if chosen else failed:
        show_job(workspace, job)
    if shown and not chosen:
        st.caption("Choose a row for its log and result.")


def _show_schedules(workspace: Workspace) -> None:
    found = workspace.schedules.list_all()
    if not found:
        return
    st.subheader("Scheduled")
    now = workspace.clock().timestamp()
    st.dataframe(
        pd.DataFrame(
            {
                "Region": [s.command.region_id for s in found],
                "Every": [format_interval(s.every_s) for s in found],
                "Next (UTC)": [s.next_at[:16].replace("T", " ") for s in found],
                "": [describe_due(s.next_at, now) for s in found],
                "Set by": [s.set_by for s in found],
            }
        ),
        hide_index=True,
        alt="Scheduled refreshes",
    )
    st.caption("Set and stopped on the Scenes page of a region.")


def describe_due(next_at: str, now: float) -> str:
    """Return how long until a scheduled run, or that it waits for a worker."""
    wait_s = pd.Timestamp(next_at).timestamp() - now
    return describe_wait(wait_s) if wait_s > 0 else "due: waits for a worker"
