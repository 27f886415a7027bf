"""The root command and its families."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from geotransfer import __version__
from geotransfer.cli import (
    calibrate,
    cost,
    regions,
    reporting,
    rows,
    scenes,
    serving,
    training,
    transfer,
    work,
    zones,
)
from geotransfer.cli.context import EXIT_FAILED, EXIT_INPUT, make_session
from geotransfer.errors import InputError
from geotransfer.wiring import explain_missing_library

app = typer.Typer(
    name="geotransfer",
    help="Make a satellite-image model work, provably, in a region it was not trained in.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def start(
    context: typer.Context,
    workspace: Annotated[
        str | None, typer.Option("--workspace", "-w", help="Folder of the workspace.")
    ] = None,
    is_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Read the settings."""
    try:
        context.obj = make_session(workspace, is_json)
    except InputError as error:
        sys.stderr.write(f"error: {error}\n")
        raise typer.Exit(EXIT_INPUT) from error


regions.register(app)
scenes.register(app)
work.register(app)
cost.register(app)
calibrate.register(app)
transfer.register(app)
training.register(app)
rows.register(app)
zones.register(app)
reporting.register(app)
serving.register(app)


def main() -> None:
    """Run the command line; explain a missing system library instead of a traceback."""
    try:
        app()
    except (OSError, ImportError) as error:
        told = explain_missing_library(error)
        if told is None:
            raise
        sys.stderr.write(f"error: {told}\n")
        raise SystemExit(EXIT_FAILED) from None
