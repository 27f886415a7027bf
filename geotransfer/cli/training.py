"""`train`, `import`, `fetch`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from geotransfer.cli.context import explain_errors, find_session
from geotransfer.core.legend import CROPLAND
from geotransfer.core.spec import S2_SEMIANNUAL
from geotransfer.errors import InputError

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
    tables: Annotated[
        Path | None, typer.Argument(help="Folder of <region>/training_data.txt.")
    ] = None,
    labels_of: Annotated[
        list[str] | None,
        typer.Option(
            "--labels-of",
            help="Train on this region's calibration labels and scenes instead; repeatable.",
        ),
    ] = None,
    spec: Annotated[
        str, typer.Option(help="Feature spec the tables carry; `specs list` shows them.")
    ] = S2_SEMIANNUAL.name,
    legend: Annotated[
        str, typer.Option(help="Legend of the tables' class codes; `legends list` shows them.")
    ] = CROPLAND.name,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal models.")] = 0,
    ship: Annotated[
        Path | None,
        typer.Option("--ship", help="Write everything that ships in data/ to this folder instead."),
    ] = None,
) -> None:
    """Train a global model on reference tables, or on labels, and register it."""
    session = find_session(context)
    if labels_of and tables is None:
        from geotransfer.workflows.train_own import train_on_labels

        version = train_on_labels(
            session.open(), labels_of, seed=seed, actor="cli", progress=_print_progress
        )
        session.output.show(
            version,
            f"registered {version.label}: {version.lineage.n_labels} labels, spec"
            f" {version.lineage.spec_name}, legend {version.lineage.legend_name}",
        )
        return
    if tables is None or labels_of:
        raise InputError("give a folder of tables or --labels-of REGION, one of the two.")
    if ship is not None:
        from geotransfer.workflows.ship import ship_data

        shipped = ship_data(
            tables, ship, n_threads=session.settings.thread_count, progress=_print_progress
        )
        lines = [f"{digest}  {name}" for name, digest in shipped.files]
        session.output.show(shipped, lines)
        return
    from geotransfer.workflows.definitions import find_legend, find_spec
    from geotransfer.workflows.train import train_global

    workspace = session.open(create=True)
    version = train_global(
        workspace,
        tables,
        seed=seed,
        spec=find_spec(workspace, spec),
        legend=find_legend(workspace, legend),
        actor="cli",
        progress=_print_progress,
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
