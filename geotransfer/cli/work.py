"""`refresh`, `audit`, `evaluate`, `schedules`, `jobs`."""

from __future__ import annotations

from typing import Annotated

import typer

from geotransfer.cli.context import Session, check_job, explain_errors, find_session
from geotransfer.cli.output import run_command
from geotransfer.cli.regions import Here
from geotransfer.core.job import Command
from geotransfer.core.schedule import format_interval
from geotransfer.errors import InputError
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.submit import make_refresh

jobs_app = typer.Typer(help="List, cancel and retry jobs.", invoke_without_command=True)


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command("refresh")(refresh)
    app.command("audit")(audit)
    app.command("evaluate")(evaluate)
    app.command("schedules")(schedules)
    app.add_typer(jobs_app, name="jobs")


@explain_errors
def refresh(
    context: typer.Context,
    region: str,
    is_dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be computed, and its cost.")
    ] = False,
    every: Annotated[
        str | None,
        typer.Option(
            "--every", help="Refresh again and again, for example 1d or 12h; off stops it."
        ),
    ] = None,
    leave_out_unreadable: Annotated[
        bool,
        typer.Option(
            "--leave-out-unreadable",
            help="Leave out scenes whose files cannot be read, and list them, instead of stopping.",
        ),
    ] = False,
    here: Here = False,
) -> None:
    """Bring a region's map up to date, computing only what changed."""
    session = find_session(context)
    workspace = session.open()
    if every is not None:
        if is_dry_run or here:
            raise InputError("--every only sets the schedule; leave --dry-run and --here out.")
        _set_every(session, workspace, region, every)
        return
    if is_dry_run:
        from geotransfer.workflows.refresh_plan import plan_region

        planned = plan_region(workspace, region)
        lines = [f"{n:6d} tiles  {reason}" for reason, n in planned.plan.reasons.items()]
        lines.append(
            f"expected {planned.predicted.cpu_s:.1f} CPU-s, avoided {planned.avoided.cpu_s:.1f}"
        )
        session.output.show(
            {
                "reasons": planned.plan.reasons,
                "decisions": planned.plan.decisions,
                "predicted": planned.predicted,
                "avoided": planned.avoided,
            },
            lines,
        )
        return
    command = make_refresh(region, leave_out_unreadable=leave_out_unreadable)
    job = run_command(workspace, command, here=here)
    check_job(job)
    result = job.result or {}
    n_work = int(str(result["n_computed"])) + int(str(result["n_predicted"]))
    told = (
        "nothing to compute: nothing changed"
        if n_work == 0
        else f"computed {result['n_computed']} tiles, re-predicted {result['n_predicted']}"
    )
    notices = result.get("notices")
    lines = [str(line) for line in notices] if isinstance(notices, list | tuple) else []
    session.output.show(result, [f"{region}: {told}; kept {result['n_kept']}", *lines])


def _set_every(session: Session, workspace: Workspace, region: str, every: str) -> None:
    from geotransfer.workflows.schedule import set_schedule

    found = set_schedule(workspace, region, every, actor="cli")
    told = (
        f"{region}: no longer refreshed by itself"
        if found is None
        else f"{region}: refreshed every {format_interval(found.every_s)}, next at"
        f" {found.next_at[:16].replace('T', ' ')} UTC by whichever worker is there"
    )
    session.output.show(found, told)


@explain_errors
def evaluate(context: typer.Context, region: str, here: Here = False) -> None:
    """Judge a region's map by labels it never saw; `accuracy` shows every figure."""
    session = find_session(context)
    workspace = session.open()
    job = run_command(
        workspace, Command(verb="evaluate", region_id=region, arguments={}), here=here
    )
    check_job(job)
    from geotransfer.workflows.views import find_region_view

    view = find_region_view(workspace, region)
    lines = ["not evaluated"] if view.evaluation is None else [view.summary]
    session.output.show(job.result, lines)


@explain_errors
def audit(context: typer.Context, region: str, here: Here = False) -> None:
    """Compute a random sample of what was kept by judgement, and bound how much is stale."""
    session = find_session(context)
    workspace = session.open()
    job = run_command(workspace, Command(verb="audit", region_id=region, arguments={}), here=here)
    check_job(job)
    from geotransfer.workflows.scene_views import find_audit_view

    view = find_audit_view(workspace, region)
    session.output.show(job.result, [view.headline, *view.evidence])


@explain_errors
def schedules(context: typer.Context) -> None:
    """List what is refreshed again and again, and when next."""
    session = find_session(context)
    found = session.open().schedules.list_all()
    rows = [
        {
            "region": schedule.command.region_id,
            "every": format_interval(schedule.every_s),
            "next (UTC)": schedule.next_at[:16].replace("T", " "),
            "set by": schedule.set_by,
            "last job": schedule.last_job_id or "none yet",
        }
        for schedule in found
    ]
    empty = "no schedules; set one with `geotransfer refresh REGION --every 1d`"
    session.output.show_table(found, rows, empty)


@jobs_app.callback()
@explain_errors
def list_jobs(context: typer.Context) -> None:
    """List the newest jobs."""
    if context.invoked_subcommand:
        return
    session = find_session(context)
    jobs = session.open().jobs.list_jobs(limit=30)
    rows = [
        {
            "job": job.job_id,
            "what": f"{job.command.verb} {job.command.region_id or ''}".strip(),
            "state": job.state.value,
            "progress": f"{job.share_done:.0%}",
            "submitted": job.submitted_at[:19],
            "message": job.error or job.message,
        }
        for job in jobs
    ]
    session.output.show_table(jobs, rows, "no jobs yet")


@jobs_app.command("cancel")
@explain_errors
def cancel(context: typer.Context, job: str) -> None:
    """Ask a job to stop."""
    session = find_session(context)
    found = session.open().jobs.cancel(job)
    session.output.show(found, f"{job}: {found.state.value}, cancel asked for")


@jobs_app.command("retry")
@explain_errors
def retry(context: typer.Context, job: str) -> None:
    """Queue an ended job again."""
    session = find_session(context)
    found = session.open().jobs.retry(job, by="cli")
    session.output.show(found, f"queued again as {found.job_id}")
