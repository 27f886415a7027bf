"""`report` and `export`: a region's page to hand on, and all its files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from geotransfer.cli.context import explain_errors, find_session
from geotransfer.errors import InputError
from geotransfer.store.atomic import replace_atomically

RegionName = Annotated[str, typer.Argument(help="Id of the region.")]


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command("report")(report)
    app.command("export")(export)


@explain_errors
def report(
    context: typer.Context,
    region: RegionName,
    out: Annotated[Path, typer.Option(help="File to write; one HTML page that prints well.")],
) -> None:
    """Write a region's report: map, accuracy, area, cost and lineage on one page."""
    from geotransfer.workflows.report import make_report

    session = find_session(context)
    text = make_report(session.open(), region)
    _check_folder(out)
    with replace_atomically(out) as temporary:
        temporary.write_text(text, encoding="utf-8")
    session.output.show({"file": str(out), "n_bytes": len(text.encode())}, f"wrote {out}")


@explain_errors
def export(
    context: typer.Context,
    region: RegionName,
    out: Annotated[Path, typer.Option(help="ZIP archive to write.")],
) -> None:
    """Write all of a region's rasters with QGIS styles, tables, vectors and its report."""
    from geotransfer.console.raster_catalog import WorkspaceCatalog
    from geotransfer.tiles.bundle import list_members, stream_archive
    from geotransfer.wiring import RegionOutputs

    session = find_session(context)
    session.open()
    catalog, files = WorkspaceCatalog(session.settings), RegionOutputs(session.settings)
    members = tuple(list_members(catalog.list_rasters(region, None), files, region))
    _check_folder(out)
    with replace_atomically(out) as temporary, temporary.open("wb") as archive:
        for part in stream_archive(members):
            archive.write(part)
    session.output.show(
        {"file": str(out), "members": [member.name for member in members]},
        f"wrote {out} with {len(members)} files",
    )


def _check_folder(out: Path) -> None:
    if not out.absolute().parent.is_dir():
        raise InputError(f"there is no folder {out.absolute().parent}; make it first.")
