"""`serve` and `worker`: the processes."""

from __future__ import annotations

from typing import Annotated

import typer

from geotransfer.cli.context import explain_errors, find_session


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command("serve")(serve)
    app.command("worker")(run_worker)


@explain_errors
def serve(
    context: typer.Context,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port of the console.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    n_workers: Annotated[int, typer.Option("--workers", min=0, help="Workers beside it.")] = 1,
) -> None:
    """Start the console and a worker; Ctrl-C stops both."""
    from geotransfer.cli.supervisor import supervise

    session = find_session(context)
    raise typer.Exit(
        supervise(
            session.settings,
            host=host or session.settings.host,
            port=port or session.settings.port,
            n_workers=n_workers,
        )
    )


@explain_errors
def run_worker(
    context: typer.Context,
    until_idle: Annotated[
        bool, typer.Option("--until-idle", help="Stop when no job waits.")
    ] = False,
) -> None:
    """Run jobs until told to stop."""
    from geotransfer.worker import work

    session = find_session(context)
    workspace = session.open(create=True)
    try:
        n_run = work(workspace, until_idle=until_idle)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
    session.output.show({"n_run": n_run}, f"ran {n_run} jobs")
