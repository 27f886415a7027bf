"""Waits: jobs under way, with progress, on whatever page one is."""

from __future__ import annotations

import streamlit as st

from geotransfer.core.job import Job, JobState
from geotransfer.store.workspace import Workspace


def list_running(workspace: Workspace, region_id: str | None = None) -> list[Job]:
    """Return jobs that wait or run, oldest first."""
    jobs = workspace.jobs.list_jobs(region_id=region_id, limit=50)
    return [job for job in reversed(jobs) if not job.state.is_terminal]


def show_running_jobs(workspace: Workspace, region_id: str | None = None) -> None:
    """Show running jobs, live; when one ends the whole page is shown anew."""
    if not list_running(workspace, region_id):
        return

    @st.fragment(run_every=1.0)
    def watch() -> None:
        jobs = list_running(workspace, region_id)
        for job in jobs:
            show_progress(job)
        seen = st.session_state.get("running_seen")
        now = (tuple(job.job_id for job in jobs), workspace.ledger.count())
        st.session_state["running_seen"] = now
        # A job may end between the page's look and this first one.
        if not jobs or (seen is not None and seen != now):
            st.rerun()

    watch()


def show_progress(job: Job) -> None:
    """Show one job's bar with what it is doing."""
    what = f"**{job.command.verb}** {job.command.region_id or ''}"
    if job.state is JobState.QUEUED:
        st.progress(0.0, text=f"{what}: waiting for a worker")
    else:
        st.progress(job.share_done, text=f"{what}: {job.message or 'starting'}")
