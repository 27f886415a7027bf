"""`zones`: a region's map by polygon."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from geotransfer.cli.context import explain_errors, find_session
from geotransfer.errors import InputError, NotFound


def register(app: typer.Typer) -> None:
    """Add this family's command."""
    app.command("zones")(zones)


@explain_errors
def zones(
    context: typer.Context,
    region: str,
    polygons: Annotated[Path, typer.Argument(help="GeoPackage, GeoJSON or zipped Shapefile.")],
    out: Annotated[
        Path, typer.Option(help="Where the table goes: .csv, or .gpkg with the polygons.")
    ] = Path("zones.csv"),
) -> None:
    """Summarise a region's map by polygon: class shares, areas, probability, observations."""
    from geotransfer.store.atomic import write_bytes
    from geotransfer.workflows.zones import summarize_region

    session = find_session(context)
    if out.suffix not in (".csv", ".gpkg"):
        raise InputError(f"{out}: the table is written as .csv or .gpkg; choose one of them.")
    if not polygons.is_file():
        raise NotFound(f"{polygons}: there is no such file; check the path.")
    workspace = session.open()
    fact = summarize_region(workspace, region, polygons.read_bytes(), polygons.name, actor="cli")
    write_bytes(out, workspace.blobs.get(fact.csv_id if out.suffix == ".csv" else fact.gpkg_id))
    session.output.show(
        fact,
        f"summarised {fact.n_zones} polygons of {region} to {out}; areas count pixels and carry the"
        " map's bias",
    )
