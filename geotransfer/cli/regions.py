"""`init`, `demo`, `regions`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from geotransfer.cli.context import check_job, explain_errors, find_session
from geotransfer.cli.output import run_command
from geotransfer.core.job import Command
from geotransfer.core.legend import CROPLAND
from geotransfer.core.spec import S2_SEMIANNUAL

Here = Annotated[bool, typer.Option("--here", help="Run in this process, not in a worker.")]
regions_app = typer.Typer(help="List and add regions.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command("init")(init)
    app.command("demo")(demo)
    app.add_typer(regions_app, name="regions")


@explain_errors
def init(
    context: typer.Context,
    is_empty: Annotated[
        bool, typer.Option("--empty", help="Only the global model, no example regions.")
    ] = False,
    here: Here = False,
) -> None:
    """Create a workspace with the global model and the example regions."""
    from geotransfer.workflows.prepare import register_shipped_models

    session = find_session(context)
    workspace = session.open(create=True)
    if is_empty:
        register_shipped_models(workspace, actor="cli")
        session.output.show({"workspace": str(workspace.folder)}, f"created {workspace.folder}")
        return
    job = run_command(workspace, Command(verb="prepare", region_id=None, arguments={}), here=here)
    check_job(job)
    session.output.show(job, f"prepared {workspace.folder}")


@explain_errors
def demo(context: typer.Context, here: Here = False) -> None:
    """Obtain a real Sentinel-2 year over Bouconne, France, and map it."""
    session = find_session(context)
    workspace = session.open(create=True)
    from geotransfer.workflows.prepare import register_shipped_models

    register_shipped_models(workspace, actor="cli")
    job = run_command(
        workspace, Command(verb="demo", region_id="bouconne", arguments={}), here=here
    )
    check_job(job)
    session.output.show(job, "region bouconne is mapped; look at it with `geotransfer serve`")


@regions_app.command("list")
@explain_errors
def list_all(context: typer.Context) -> None:
    """Show every region with its accuracy, cost and reach."""
    from geotransfer.workflows.views import list_region_views

    session = find_session(context)
    views = list_region_views(session.open())
    rows = [
        {
            "region": view.region.region_id,
            "kind": view.region.kind.value,
            "balanced accuracy": str(view.evaluation.balanced) if view.evaluation else "–",
            "estimand": view.evaluation.estimand if view.evaluation else "–",
            "reach": f"{view.reach.value:.0%}" if view.reach else "–",
            "cpu s/km²": "–" if view.cpu_s_per_km2 is None else f"{view.cpu_s_per_km2:.3f}",
            "km²": f"{view.region.area_km2:,.1f}",
            "refreshed": view.refreshed_at or "–",
        }
        for view in views
    ]
    session.output.show_table(views, rows, "no regions yet; run `geotransfer init`")


@regions_app.command("add")
@explain_errors
def add(
    context: typer.Context,
    outline: Annotated[Path, typer.Argument(help="GeoJSON, GeoPackage or zipped Shapefile.")],
    name: Annotated[str | None, typer.Option(help="Name; default: the file's.")] = None,
    spec: Annotated[
        str, typer.Option(help="Feature spec; `specs list` shows them.")
    ] = S2_SEMIANNUAL.name,
    legend: Annotated[
        str, typer.Option(help="Classes of its map; `legends list` shows them.")
    ] = CROPLAND.name,
) -> None:
    """Add a region from its outline."""
    from geotransfer.workflows.regions import add_region

    session = find_session(context)
    region = add_region(
        session.open(),
        outline,
        name=name or outline.stem,
        spec_name=spec,
        legend_name=legend,
        actor="cli",
    )
    session.output.show(
        region,
        f"added region {region.region_id} ({region.area_km2:,.2f} km²);"
        f" next: geotransfer scenes add {region.region_id} CATALOG",
    )
