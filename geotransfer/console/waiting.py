"""Waits: jobs under way, with progress, on whatever page one is."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from geotransfer.core.job import Job, JobState
from geotransfer.store.workspace import Workspace


def list_running(workspace: Workspace, region_id: str | None = None) -> list[Job]:
    """Return jobs that wait or run, oldest first."""
    jobs = workspace.jobs.list_jobs(region_id=region_id, limit=50)
    return [job for job in reversed(jobs) if not job.state.is_terminal]


def show_running_jobs(workspace: Workspace, region_id: str | None = None) -> None:
    """Show running jobs, live; when one begins or ends the whole page is shown anew.

    The page of the whole workspace is shown anew with every fact, too. The page of one region is
    not: others' facts would redraw it under the hands of whoever works on it.
    """
    jobs = list_running(workspace, region_id)
    if not jobs:
        return
    before = _mark(workspace, jobs, region_id)

    @st.fragment(run_every=1.0)
    def watch() -> None:
        jobs = list_running(workspace, region_id)
        for job in jobs:
            show_progress(job)
        if _mark(workspace, jobs, region_id) != before:
            st.rerun()

    watch()


def _mark(
    workspace: Workspace, jobs: Sequence[Job], region_id: str | None
) -> tuple[tuple[str, ...], int]:
    """Return what a page is shown anew for: other jobs, and where each counts, another fact."""
    ids = tuple(job.job_id for job in jobs)
    return ids, workspace.ledger.count() if region_id is None else 0


def show_progress(job: Job) -> None:
    """Show one job's bar with what it is doing."""
    what = f"**{job.command.verb}** {job.command.region_id or ''}"
    if job.state is JobState.QUEUED:
        st.progress(0.0, text=f"{what}: waiting for a worker")
    else:
        st.progress(job.share_done, text=f"{what}: {job.message or 'starting'}")
