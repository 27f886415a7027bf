"""`cost`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from geotransfer.cli.context import Session, explain_errors, find_session
from geotransfer.store.workspace import Workspace


class Grouping(StrEnum):
    """What costs are told apart by."""

    REGION = "region"
    STAGE = "stage"
    MONTH = "month"


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command("cost")(cost)


@explain_errors
def cost(
    context: typer.Context,
    by: Annotated[Grouping, typer.Option("--by", help="Tell apart by this.")] = Grouping.REGION,
) -> None:
    """Show what maps have cost, and what only-if-changed has saved."""
    session = find_session(context)
    workspace = session.open()
    if by is Grouping.REGION:
        _show_regions(session, workspace)
    else:
        _show_groups(session, workspace, by)


def _show_regions(session: Session, workspace: Workspace) -> None:
    from geotransfer.workflows.cost_views import list_region_costs

    found = list_region_costs(workspace)
    rows = [
        {
            "region": view.region_id,
            "refreshes": view.n_refreshes,
            "cpu s": f"{view.cost.cpu_s:.1f}",
            "avoided cpu s": f"{view.avoided.cpu_s:.1f}",
            "km²": f"{view.area_km2:.2f}",
            "cpu s/km²": f"{view.cpu_s_per_km2:.3f}" if view.cpu_s_per_km2 else "–",
            "read MB": f"{view.cost.read_bytes / 1e6:.1f}",
            "USD": "no rate set" if view.cost_usd is None else f"{view.cost_usd:.4f}",
            "Wh": "no rate set" if view.energy_wh is None else f"{view.energy_wh:.2f}",
        }
        for view in found
    ]
    session.output.show_table(found, rows, "nothing has run yet")
    rate = session.settings.usd_per_cpu_hour
    if rows and not session.output.is_json and rate:
        typer.echo(f"at {rate:g} USD per CPU hour")


def _show_groups(session: Session, workspace: Workspace, by: Grouping) -> None:
    from geotransfer.workflows.cost_views import list_cost_entries

    entries = list_cost_entries(workspace)
    names = list(dict.fromkeys(getattr(entry, by.value) for entry in entries))
    totals = {n: sum(e.cpu_s for e in entries if getattr(e, by.value) == n) for n in names}
    all_s = sum(totals.values())
    rows = [
        {by.value: name, "cpu s": f"{cpu_s:.1f}", "share": f"{cpu_s / all_s:.0%}"}
        for name, cpu_s in totals.items()
    ]
    session.output.show_table(entries, rows, "nothing has run yet")
