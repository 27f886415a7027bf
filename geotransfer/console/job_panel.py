"""One job: progress, cost so far, log, cancel and retry; and what a new one is expected to use."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from geotransfer.console.ports import read_plan
from geotransfer.console.stages import format_cpu, format_usd
from geotransfer.console.state import explain_errors, find_actor, run_guarded
from geotransfer.console.waiting import show_progress
from geotransfer.core.job import Command, Job, JobState
from geotransfer.core.region import RegionKind
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.job_views import (
    JobEstimate,
    estimate_job,
    find_cost_usd,
    find_left_s,
    find_wall_s,
)
from geotransfer.workflows.submit import (
    submit_assess,
    submit_audit,
    submit_evaluate,
    submit_refresh,
)
from geotransfer.workflows.views import RegionView

ICONS = {
    JobState.QUEUED: ":material/hourglass_empty:",
    JobState.RUNNING: ":material/play_circle:",
    JobState.DONE: ":material/check_circle:",
    JobState.FAILED: ":material/error:",
    JobState.CANCELLED: ":material/cancel:",
}
Submit = Callable[..., Job]
STARTABLE: dict[str, tuple[str, Submit]] = {
    "refresh": ("Refresh the map", submit_refresh),
    "evaluate": ("Evaluate the map", submit_evaluate),
    "assess": ("Assess before labelling", submit_assess),
    "audit": ("Audit what was kept", submit_audit),
}


def format_wall(wall_s: float) -> str:
    """Return a duration in the unit a person would use."""
    if wall_s < 90:
        return f"{wall_s:.0f} s" if wall_s >= 1 else "under 1 s"
    return f"{wall_s / 60:.0f} min" if wall_s < 5400 else f"{wall_s / 3600:.1f} h"


def describe_use(workspace: Workspace, job: Job) -> str:
    """Return time, CPU and money a job has used so far."""
    wall_s = find_wall_s(job, workspace.clock())
    usd = find_cost_usd(workspace, job)
    told = [] if wall_s is None else [format_wall(wall_s)]
    told += [] if job.cpu_s is None else [format_cpu(job.cpu_s)]
    told += [] if usd is None else [format_usd(usd)]
    return " · ".join(told) or "not started"


def describe_job(workspace: Workspace, job: Job) -> dict[str, str]:
    """Return a job as a row."""
    return {
        "What": f"{job.command.verb} {job.command.region_id or ''}".strip(),
        "State": job.state.value,
        "Submitted (UTC)": job.submitted_at[:16].replace("T", " "),
        "By": job.submitted_by,
        "Used": describe_use(workspace, job),
        "Said": job.error or describe_result(job),
    }


def describe_result(job: Job) -> str:
    """Return what a job came to, where its result says so; its last words where it has none."""
    result = job.result or {}
    if "n_computed" in result and "n_kept" in result:
        told = f"{result['n_computed']} tiles computed, {result['n_kept']} kept"
        return (
            "nothing changed"
            if not result["n_computed"] and not result.get("n_predicted")
            else told
        )
    return "" if job.state is JobState.DONE else job.message


def describe_estimate(estimate: JobEstimate | None) -> str:
    """Return an estimate in a sentence."""
    if estimate is None:
        return "No job of this kind has ended yet: its cost is not known."
    whose = "here" if estimate.is_same_region else "in other regions"
    cpu = "" if estimate.cpu_s is None else f", {format_cpu(estimate.cpu_s)}"
    usd = "" if estimate.cost_usd is None else f", {format_usd(estimate.cost_usd)}"
    told = f"About {format_wall(estimate.wall_s)}{cpu}{usd}"
    most = "" if estimate.most_cpu_s is None else f", {format_cpu(estimate.most_cpu_s)}"
    runs = "the last job" if estimate.n_jobs == 1 else f"the last {estimate.n_jobs} jobs"
    spread = "" if estimate.n_jobs == 1 else f"; at most {format_wall(estimate.most_wall_s)}{most}"
    return f"{told}: median of {runs} of this kind {whose}{spread}."


def show_start(workspace: Workspace, views: Sequence[RegionView]) -> None:
    """Let the reader start work, with its expected cost before."""
    ready = {v.region.region_id: v for v in views if v.region.kind is not RegionKind.TABLE}
    ready = {region_id: v for region_id, v in ready.items() if v.n_scenes}
    if not ready:
        return
    with st.expander("Start work", icon=":material/add_task:"):
        a, b = st.columns(2)
        region_id = a.selectbox(
            "Region", list(ready), format_func=lambda r: ready[r].region.name, key="start-region"
        )
        verb = b.selectbox(
            "Work", list(STARTABLE), format_func=lambda v: STARTABLE[v][0], key="start-verb"
        )
        command = Command(verb=verb, region_id=region_id, arguments={})
        st.caption(f"Expected: {describe_estimate(estimate_job(workspace, command))}")
        title, submit = STARTABLE[verb]
        c, d, _ = st.columns([1, 1, 2])
        c.button(
            "Start",
            type="primary",
            width="stretch",
            on_click=run_guarded,
            args=(lambda: submit(workspace, region_id, by=find_actor()),),
            kwargs={"success": f"{title}: queued."},
        )
        is_asked = verb == "refresh" and d.button(
            "What would it do?",
            width="stretch",
            help="Compares what there is with the last map; no scene is read.",
        )
        if is_asked:
            with explain_errors():
                show_plan(workspace, region_id)


def show_plan(workspace: Workspace, region_id: str) -> None:
    """Show what a refresh would do and what it is expected to use."""
    plan = read_plan(workspace, region_id)
    if plan is None:
        st.caption("This server cannot make plans; `geotransfer refresh --dry-run` can.")
        return
    st.markdown(
        f"**{plan.n_work} of {plan.n_tiles} tiles** to look at; expected"
        f" {format_cpu(plan.predicted.cpu_s)}, avoided {format_cpu(plan.avoided.cpu_s)}."
    )
    st.markdown("\n".join(f"- {n} tiles: {reason}" for reason, n in plan.reasons.items()))


def show_job(workspace: Workspace, job: Job) -> None:
    """Show one job with everything that can be done about it."""
    title = f"{ICONS[job.state]} **{job.command.verb}** {job.command.region_id or ''}"
    when = job.submitted_at[:16].replace("T", " ")
    with st.container(border=True):
        what, buttons = st.columns([5, 1])
        with what:
            st.markdown(f"{title} · {job.state.value} · {when} UTC by {job.submitted_by}")
            if not job.state.is_terminal:
                show_progress(job)
            if job.error:
                st.error(job.error)
            st.caption(_describe_state(workspace, job))
            with st.expander("Log", expanded=job.state is JobState.FAILED):
                st.code("\n".join(job.log) or "nothing yet", language=None)
        with buttons:
            _show_buttons(workspace, job)


def _describe_state(workspace: Workspace, job: Job) -> str:
    if job.state is JobState.QUEUED:
        return f"Expected: {describe_estimate(estimate_job(workspace, job.command))}"
    left_s = find_left_s(job, workspace.clock())
    left = "" if left_s is None else f" · about {format_wall(left_s)} left"
    again = f" · attempt {job.attempts}" if job.attempts > 1 else ""
    return f"Used so far: {describe_use(workspace, job)}{left}{again} · {job.job_id}"


def _show_buttons(workspace: Workspace, job: Job) -> None:
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
