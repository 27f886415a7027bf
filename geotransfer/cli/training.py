"""`train`, `import`, `fetch`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from geotransfer.cli.context import explain_errors, find_session

import_app = typer.Typer(help="Import reference tables from a folder.", no_args_is_help=True)
fetch_app = typer.Typer(help="Download reference tables.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command("train")(train)
    app.add_typer(import_app, name="import")
    app.add_typer(fetch_app, name="fetch")


def _print_progress(done: int, planned: int, message: str) -> None:
    typer.echo(f"{message} ({done}/{planned})" if planned else message, err=True)


@explain_errors
def train(
    context: typer.Context,
    tables: Annotated[Path, typer.Argument(help="Folder of <region>/training_data.txt.")],
    seed: Annotated[int, typer.Option(help="Equal seeds give equal models.")] = 0,
    ship: Annotated[
        Path | None,
        typer.Option("--ship", help="Write everything that ships in data/ to this folder instead."),
    ] = None,
) -> None:
    """Train a global model on reference tables and register it."""
    session = find_session(context)
    if ship is not None:
        from geotransfer.workflows.ship import ship_data

        shipped = ship_data(
            tables, ship, n_threads=session.settings.thread_count, progress=_print_progress
        )
        lines = [f"{digest}  {name}" for name, digest in shipped.files]
        session.output.show(shipped, lines)
        return
    from geotransfer.workflows.train import train_global

    version = train_global(
        session.open(create=True), tables, seed=seed, actor="cli", progress=_print_progress
    )
    session.output.show(version, f"registered {version.label}")


@import_app.command("deafrica")
@explain_errors
def import_deafrica(context: typer.Context, path: Path) -> None:
    """Import the Digital Earth Africa reference tables from a folder."""
    from geotransfer.workflows.deafrica import import_tables

    session = find_session(context)
    regions = import_tables(session.open(create=True), path)
    session.output.show(regions, f"imported {', '.join(regions)}; pooling uses them from now on")


@fetch_app.command("deafrica")
@explain_errors
def fetch_deafrica(context: typer.Context) -> None:
    """Download the Digital Earth Africa reference tables (CC BY 4.0), checked by their sums."""
    from geotransfer.workflows.deafrica import fetch_tables

    session = find_session(context)
    regions = fetch_tables(session.open(create=True), progress=_print_progress)
    session.output.show(regions, f"fetched {', '.join(regions)}; pooling uses them from now on")
