"""`refresh`, `evaluate`, `cost`, `jobs`."""

from __future__ import annotations

from typing import Annotated

import typer

from geotransfer.cli.context import check_job, explain_errors, find_session
from geotransfer.cli.output import run_command
from geotransfer.cli.regions import Here
from geotransfer.core.job import Command

jobs_app = typer.Typer(help="List, cancel and retry jobs.", invoke_without_command=True)


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command("refresh")(refresh)
    app.command("evaluate")(evaluate)
    app.command("cost")(cost)
    app.add_typer(jobs_app, name="jobs")


@explain_errors
def refresh(
    context: typer.Context,
    region: str,
    is_dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be computed, and its cost.")
    ] = False,
    here: Here = False,
) -> None:
    """Bring a region's map up to date, computing only what changed."""
    session = find_session(context)
    workspace = session.open()
    if is_dry_run:
        from geotransfer.workflows.refresh import plan_region

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
    job = run_command(workspace, Command(verb="refresh", region_id=region, arguments={}), here=here)
    check_job(job)
    result = job.result or {}
    n_work = int(str(result["n_computed"])) + int(str(result["n_predicted"]))
    told = (
        "nothing to compute: nothing changed"
        if n_work == 0
        else f"computed {result['n_computed']} tiles, re-predicted {result['n_predicted']}"
    )
    session.output.show(result, f"{region}: {told}; kept {result['n_kept']}")


@explain_errors
def evaluate(context: typer.Context, region: str, here: Here = False) -> None:
    """Judge a region's map on its holdout points."""
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
def cost(context: typer.Context) -> None:
    """Show what each region has cost, and what only-if-changed has saved."""
    from geotransfer.workflows.views import list_cost_views

    session = find_session(context)
    workspace = session.open()
    views = list_cost_views(workspace)
    rates = session.settings
    rows = [
        {
            "region": view.region_id,
            "runs": view.n_runs,
            "cpu s": f"{view.cost.cpu_s:.1f}",
            "km²": f"{view.cost.area_km2:.2f}",
            "cpu s/km²": "–" if view.cpu_s_per_km2 is None else f"{view.cpu_s_per_km2:.3f}",
            "avoided cpu s": f"{view.avoided.cpu_s:.1f}",
            "read MB": f"{view.cost.read_bytes / 1e6:.1f}",
            "USD": "no rate set" if view.cost_usd is None else f"{view.cost_usd:.4f}",
        }
        for view in views
    ]
    session.output.show_table(views, rows, "nothing has run yet")
    if not session.output.is_json and rates.usd_per_cpu_hour:
        typer.echo(f"at {rates.usd_per_cpu_hour:g} USD per CPU hour")


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
