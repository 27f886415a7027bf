"""Jobs: what runs, what waits, what went wrong; cancel and retry."""

from __future__ import annotations

import streamlit as st

from geotransfer.console.state import find_actor, find_workspace, run_guarded, show_notice
from geotransfer.console.waiting import show_progress
from geotransfer.core.job import Job, JobState
from geotransfer.store.workspace import Workspace

ICONS = {
    JobState.QUEUED: ":material/hourglass_empty:",
    JobState.RUNNING: ":material/play_circle:",
    JobState.DONE: ":material/check_circle:",
    JobState.FAILED: ":material/error:",
    JobState.CANCELLED: ":material/cancel:",
}


def show() -> None:
    """Show the page."""
    workspace = find_workspace()
    st.title("Jobs")
    show_notice()
    st.caption(
        "Work that reads imagery or trains runs in a worker. Closing this page, or the browser,"
        " stops nothing."
    )
    _show_list(workspace)


@st.fragment(run_every=1.5)
def _show_list(workspace: Workspace) -> None:
    jobs = workspace.jobs.list_jobs(limit=50)
    if not jobs:
        st.info("No jobs yet. Open a region and press *Refresh map* to start one.")
        return
    for job in jobs:
        _show_job(workspace, job)


def _show_job(workspace: Workspace, job: Job) -> None:
    title = f"{ICONS[job.state]} **{job.command.verb}** {job.command.region_id or ''}"
    with st.container(border=True):
        what, buttons = st.columns([5, 1])
        with what:
            st.markdown(f"{title} · {job.state.value} · {job.submitted_at[:19].replace('T', ' ')}")
            if not job.state.is_terminal:
                show_progress(job)
            if job.error:
                st.error(job.error)
            with st.expander("Log", expanded=False):
                st.code("\n".join(job.log) or "nothing yet", language=None)
        with buttons:
            if not job.state.is_terminal:
                st.button(
                    "Cancel",
                    key=f"cancel-{job.job_id}",
                    disabled=job.is_cancel_requested,
                    on_click=run_guarded,
                    args=(lambda: workspace.jobs.cancel(job.job_id),),
                    kwargs={"success": "Cancel asked for; finished tiles are kept."},
                )
            elif job.state is not JobState.DONE:
                st.button(
                    "Retry",
                    key=f"retry-{job.job_id}",
                    on_click=run_guarded,
                    args=(lambda: workspace.jobs.retry(job.job_id, by=find_actor()),),
                    kwargs={"success": "Queued again."},
                )
