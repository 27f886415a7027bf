"""`scenes find`, `scenes add`, `scenes list`, and what is left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from geotransfer.cli.context import explain_errors, find_session
from geotransfer.core.found import FoundScenes
from geotransfer.errors import InputError

if TYPE_CHECKING:
    # Vectors and rasters load slowly, and every command would wait for them.
    from geotransfer.workflows.exclusions import RegionExclusions

scenes_app = typer.Typer(help="Find, add, list and leave out scenes.", no_args_is_help=True)

Period = Annotated[
    str, typer.Option(help="First and last day or month, for example 2021-01/2021-12.")
]
MaxCloud = Annotated[
    float | None, typer.Option("--max-cloud", min=0, max=100, help="Most cloud, in percent.")
]
Collections = Annotated[
    list[str] | None,
    typer.Option("--collection", help="Collection of a STAC API; repeatable. Default: all it has."),
]
SHOWN = 40


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.add_typer(scenes_app, name="scenes")


@scenes_app.command("find")
@explain_errors
def find(
    context: typer.Context,
    region: str,
    period: Period,
    catalog: Annotated[
        str, typer.Option(help="STAC API, catalog or folder. Default: the setting catalog_url.")
    ] = "",
    max_cloud: MaxCloud = None,
    collection: Collections = None,
) -> None:
    """Show what a catalog offers a region: scenes, gigabytes, cost, access. Reads no pixel."""
    from geotransfer.workflows.find_scenes import find_scenes
    from geotransfer.workflows.found_scenes import store_found

    session = find_session(context)
    workspace = session.open()
    found = find_scenes(
        workspace,
        region,
        location=catalog,
        period=period,
        max_cloud_percent=max_cloud,
        collections=collection or (),
    )
    found_id = store_found(workspace, found)
    session.output.show({"found_id": found_id, "found": found}, describe_found(found, found_id))


def describe_found(found: FoundScenes, found_id: str) -> list[str]:
    """Return what a search found, line by line."""
    from geotransfer.workflows.exclusions import RegionExclusions

    lines = [
        f"{scene.sensed_at[:16].replace('T', ' ')}  {_format_cloud(scene.cloud_percent):>6}"
        f"  {scene.overlap:4.0%} of the region  {_format_size(scene.size_bytes):>9}"
        f"  {'known' if scene.is_known else 'new':5}  {scene.scene_id}"
        for scene in found.scenes[:SHOWN]
    ]
    if len(found.scenes) > SHOWN:
        lines.append(f"… and {len(found.scenes) - SHOWN} more (all with --json)")
    n_new = sum(not scene.is_known for scene in found.scenes)
    lines.append(f"{len(found.scenes)} scenes from {found.location}, {n_new} of them new")
    lines += [f"passed over: {n} {reason}" for reason, n in found.passed_over.items()]
    lines += describe_exclusions(RegionExclusions(exclusions=found.exclusions, passed_over={}))
    if not found.scenes:
        return lines
    lines.append(f"files: {found.sizes}; the region reads about {found.read_bytes / 1e9:,.2f} GB")
    money = "" if found.cost_usd is None else f", {found.cost_usd:.2f} USD at the set rate"
    lines.append(
        f"predicted: {found.predicted.cpu_s:,.0f} CPU-s{money} for"
        f" {found.predicted.read_bytes / 1e9:,.2f} GB decoded ({found.cost_basis})"
    )
    lines += [f"access: {note}" for note in found.access]
    lines.append(f"next: geotransfer scenes add {found.region_id} --found {found_id[:64]}")
    return lines


def _format_cloud(percent: float | None) -> str:
    return "cloud?" if percent is None else f"{percent:.0f} %"


def _format_size(size: int | None) -> str:
    return "? MB" if size is None else f"{size / 1e6:,.1f} MB"


@scenes_app.command("add")
@explain_errors
def add_scenes(
    context: typer.Context,
    region: str,
    catalog: Annotated[
        str,
        typer.Argument(
            help="STAC API, catalog, item collection, item, folder of items, or folder of GeoTIFFs."
        ),
    ] = "",
    found: Annotated[str, typer.Option(help="Id that `scenes find` printed.")] = "",
    period: Period = "",
    max_cloud: MaxCloud = None,
    collection: Collections = None,
    offset: Annotated[
        float | None,
        typer.Option(
            help="Offset of every band in reflectance, whatever the description says: 0 or -0.1."
        ),
    ] = None,
) -> None:
    """Point a region at the scenes of a catalog, or at what a search found."""
    from geotransfer.workflows.check_list import describe_checks
    from geotransfer.workflows.find_scenes import add_found_scenes
    from geotransfer.workflows.found_scenes import load_found
    from geotransfer.workflows.scenes import add_scenes as add_to_region

    session = find_session(context)
    workspace = session.open()
    if bool(catalog) == bool(found):
        raise InputError(
            "give a catalog, or --found with the id that `geotransfer scenes find` printed."
        )
    if found:
        fact = add_found_scenes(workspace, load_found(workspace, region, found), actor="cli")
    else:
        fact = add_to_region(
            workspace,
            region,
            catalog,
            period=period,
            max_cloud_percent=max_cloud,
            collections=collection or (),
            offset=offset,
            actor="cli",
        )
    told = (
        f"added {fact.n_scenes} scenes ({fact.n_replaced} replaced) to {region};"
        f" next: geotransfer refresh {region}"
    )
    notices = describe_checks(workspace, region)
    session.output.show(fact, [*_list_left_out(context, region), *notices, told])


def _list_left_out(context: typer.Context, region: str) -> list[str]:
    from geotransfer.workflows.exclusions import list_exclusions

    return describe_exclusions(list_exclusions(find_session(context).open(), region))


def describe_exclusions(found: RegionExclusions) -> list[str]:
    """Return what is left out, counted by reason and then scene by scene."""
    lines = [f"left out: {n} {reason}" for reason, n in found.reasons.items()]
    lines += [f"  {e.scene_id}: {e.detail}" for e in found.exclusions[:SHOWN]]
    if len(found.exclusions) > SHOWN:
        lines.append(f"  … and {len(found.exclusions) - SHOWN} more (all with --json)")
    return lines


@scenes_app.command("list")
@explain_errors
def list_scenes(context: typer.Context, region: str) -> None:
    """List a region's scenes, and which test decided about each on how many tiles."""
    from geotransfer.workflows.scene_list import load_scenes
    from geotransfer.workflows.scene_views import list_decisions, summarize_scenes

    session = find_session(context)
    workspace = session.open()
    scenes = load_scenes(workspace, region).scenes
    decided = {s.item_id: s.told for s in summarize_scenes(list_decisions(workspace, region))}
    rows = [
        {
            "scene": s.scene_id,
            "sensed at": s.sensed_at,
            "bands": sum(not a.is_mask for a in s.assets),
            "mask": "yes" if any(a.is_mask for a in s.assets) else "none",
            "MB": f"{sum(a.size_bytes or 0 for a in s.assets) / 1e6:.1f}",
            "tiles by test": decided.get(s.scene_id, "not decided yet"),
        }
        for s in scenes
    ]
    session.output.show_table(scenes, rows, "no scenes yet")


@scenes_app.command("exclusions")
@explain_errors
def exclusions(context: typer.Context, region: str) -> None:
    """List the scenes that are left out of a region's map, and why."""
    from geotransfer.workflows.exclusions import list_exclusions
    from geotransfer.workflows.regions import find_region

    session = find_session(context)
    workspace = session.open()
    find_region(workspace, region)
    found = list_exclusions(workspace, region)
    lines = describe_exclusions(found) or ["no scene is left out"]
    passed = [f"passed over: {n} {reason}" for reason, n in found.passed_over.items()]
    session.output.show(found, [*lines, *passed])


@scenes_app.command("exclude")
@explain_errors
def exclude(
    context: typer.Context,
    region: str,
    scene: Annotated[list[str], typer.Argument(help="Ids of scenes.")],
    why: Annotated[str, typer.Option(help="Reason, for whoever reads the list.")] = "",
) -> None:
    """Leave scenes out of a region's map from the next refresh on."""
    from geotransfer.workflows.exclusions import exclude_by_hand

    session = find_session(context)
    fact = exclude_by_hand(session.open(), region, scene, why=why, actor="cli")
    session.output.show(
        fact, f"left {_count(scene)} out of {region}; next: geotransfer refresh {region}"
    )


@scenes_app.command("include")
@explain_errors
def include(
    context: typer.Context,
    region: str,
    scene: Annotated[
        list[str] | None, typer.Argument(help="Ids of scenes; none: all that can be used.")
    ] = None,
) -> None:
    """Use scenes again that were left out."""
    from geotransfer.workflows.exclusions import include_scenes

    session = find_session(context)
    fact = include_scenes(session.open(), region, scene or (), actor="cli")
    session.output.show(
        fact,
        f"{region} uses {_count(fact.scene_ids)} again; next: geotransfer refresh {region}",
    )


def _count(scene_ids: Sequence[str]) -> str:
    return f"{len(scene_ids)} scene{'' if len(scene_ids) == 1 else 's'}"
