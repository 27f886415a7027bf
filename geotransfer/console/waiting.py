"""Waits: jobs under way, with progress, on whatever page one is."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from geotransfer.core.job import Job, JobState
from geotransfer.store.workspace import Workspace


def show_running_jobs(workspace: Workspace, region_id: str | None = None) -> bool:
    """Show running jobs, live, and return whether there are any.

    When one begins or ends the whole page is shown anew. The page of the whole workspace is shown
    anew with every fact, too. The page of one region is not: others' facts would redraw it under
    the hands of whoever works on it.

    What the rest of the page disables goes by the answer, not by a look of its own: a job that
    began in between would disable it, and nothing would be watching for the job's end.
    """
    jobs = _list_running(workspace, region_id)
    if not jobs:
        return False
    before = _mark(workspace, jobs, region_id)

    @st.fragment(run_every=1.0)
    def watch() -> None:
        jobs = _list_running(workspace, region_id)
        for job in jobs:
            show_progress(job)
        if _mark(workspace, jobs, region_id) != before:
            st.rerun()

    watch()
    return True


def _list_running(workspace: Workspace, region_id: str | None) -> list[Job]:
    """Return jobs that wait or run, oldest first."""
    jobs = workspace.jobs.list_jobs(region_id=region_id, limit=50)
    return [job for job in reversed(jobs) if not job.state.is_terminal]


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
