"""Commands as jobs: what a page or the command line asks a worker to do."""

from __future__ import annotations

from geotransfer.core.job import Command, Job
from geotransfer.store.workspace import Workspace


def make_refresh(region_id: str, *, leave_out_unreadable: bool = False) -> Command:
    """Return the command of a refresh.

    A person, a command line and a schedule ask in the same words, so that the queue sees twins.
    """
    arguments = {"leave_out_unreadable": True} if leave_out_unreadable else {}
    return Command(verb="refresh", region_id=region_id, arguments=arguments)


def submit_refresh(
    workspace: Workspace, region_id: str, *, leave_out_unreadable: bool = False, by: str
) -> Job:
    """Queue a refresh of a region's map; unreadable scenes stop it, or are left out and listed."""
    return workspace.jobs.submit(
        make_refresh(region_id, leave_out_unreadable=leave_out_unreadable), by=by
    )


def submit_audit(workspace: Workspace, region_id: str, *, by: str) -> Job:
    """Queue an audit: compute a random sample of what was kept by judgement."""
    return workspace.jobs.submit(Command(verb="audit", region_id=region_id, arguments={}), by=by)


def submit_find_scenes(
    workspace: Workspace,
    region_id: str,
    location: str,
    *,
    period: str = "",
    max_cloud_percent: float | None = None,
    collections: str = "",
    by: str,
) -> Job:
    """Queue a search of a catalog: scenes, gigabytes and cost, before anything is read."""
    arguments = {
        "location": location,
        "period": period,
        "max_cloud_percent": max_cloud_percent,
        "collections": collections,
    }
    return workspace.jobs.submit(
        Command(verb="find-scenes", region_id=region_id, arguments=arguments), by=by
    )


def submit_add_found(workspace: Workspace, region_id: str, found_id: str, *, by: str) -> Job:
    """Queue the adding of what a search found, and the map after it."""
    return workspace.jobs.submit(
        Command(verb="add-scenes", region_id=region_id, arguments={"found_id": found_id}), by=by
    )


def submit_add_scenes(workspace: Workspace, region_id: str, location: str, *, by: str) -> Job:
    """Queue the reading of a catalog, and the first map after it."""
    return workspace.jobs.submit(
        Command(verb="add-scenes", region_id=region_id, arguments={"location": location}), by=by
    )


def submit_evaluate(workspace: Workspace, region_id: str, *, by: str) -> Job:
    """Queue an evaluation of a region's map."""
    return workspace.jobs.submit(Command(verb="evaluate", region_id=region_id, arguments={}), by=by)


def submit_fine_tune(
    workspace: Workspace, region_id: str, *, labels_id: str, seed: int, by: str
) -> Job:
    """Queue a fine-tune on stored labels."""
    return workspace.jobs.submit(
        Command(
            verb="fine-tune", region_id=region_id, arguments={"labels_id": labels_id, "seed": seed}
        ),
        by=by,
    )


def submit_assess(workspace: Workspace, region_id: str, *, by: str) -> Job:
    """Queue an assessment from features alone."""
    return workspace.jobs.submit(Command(verb="assess", region_id=region_id, arguments={}), by=by)


def submit_rehearse(workspace: Workspace, region_id: str, *, by: str) -> Job:
    """Queue a rehearsal in a reference region; it needs the real tables."""
    return workspace.jobs.submit(Command(verb="rehearse", region_id=region_id, arguments={}), by=by)


def submit_demo(workspace: Workspace, *, by: str) -> Job:
    """Queue the download and first map of the real example region."""
    return workspace.jobs.submit(Command(verb="demo", region_id="bouconne", arguments={}), by=by)


def submit_prepare(workspace: Workspace, *, by: str) -> Job:
    """Queue the preparation of the default workspace."""
    return workspace.jobs.submit(Command(verb="prepare", region_id=None, arguments={}), by=by)


def submit_budget(workspace: Workspace, region_id: str, *, by: str) -> Job:
    """Queue the label-budget curve of a region's own labels."""
    return workspace.jobs.submit(Command(verb="budget", region_id=region_id, arguments={}), by=by)


def submit_suggest(
    workspace: Workspace, region_id: str, *, n_places: int, is_probability: bool, seed: int, by: str
) -> Job:
    """Queue places to label next: ranked, or a probability sample."""
    return workspace.jobs.submit(
        Command(
            verb="suggest-labels",
            region_id=region_id,
            arguments={"n_places": n_places, "is_probability": is_probability, "seed": seed},
        ),
        by=by,
    )


def submit_map_applicability(
    workspace: Workspace, region_id: str, *, layers: tuple[str, ...], by: str
) -> Job:
    """Queue the map of where the model applies, with layers on request."""
    return workspace.jobs.submit(
        Command(
            verb="map-applicability",
            region_id=region_id,
            arguments={"layers": ",".join(layers)},
        ),
        by=by,
    )


def submit_zones(
    workspace: Workspace, region_id: str, data: bytes, file_name: str, *, by: str
) -> Job:
    """Queue a summary of a region's map by uploaded polygons."""
    arguments = {"polygons_id": workspace.blobs.put(data), "file_name": file_name}
    return workspace.jobs.submit(
        Command(verb="zones", region_id=region_id, arguments=arguments), by=by
    )


def submit_add_layer(
    workspace: Workspace,
    region_id: str,
    href: str,
    *,
    name: str,
    unit: str,
    years: str,
    source: str,
    by: str,
) -> Job:
    """Queue the check of a layer without a date, and its addition."""
    arguments = {"href": href, "name": name, "unit": unit, "years": years, "source": source}
    return workspace.jobs.submit(
        Command(verb="add-layer", region_id=region_id, arguments=arguments), by=by
    )
