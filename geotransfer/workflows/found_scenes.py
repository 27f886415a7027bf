"""Searches that were made, kept by id, so that what was found can be added later."""

from __future__ import annotations

import json

from geotransfer.core.decode import from_plain
from geotransfer.core.found import FoundScenes
from geotransfer.core.identity import canonical_json
from geotransfer.core.job import JobState
from geotransfer.errors import NotFound
from geotransfer.store.workspace import Workspace


def store_found(workspace: Workspace, found: FoundScenes) -> str:
    """Keep a search's answer and return its id."""
    return workspace.blobs.put(canonical_json(found))


def load_found(workspace: Workspace, region_id: str, found_id: str) -> FoundScenes:
    """Return a search's answer by its id.

    Raises
    ------
    NotFound
        There is none of that id, or it is of another region.
    """
    try:
        plain = json.loads(workspace.blobs.get(found_id))
        found = from_plain(FoundScenes, plain)
    except (NotFound, ValueError, TypeError, KeyError, AttributeError):
        raise NotFound(
            f"{found_id!r} is no search of this workspace; run `geotransfer scenes find"
            f" {region_id}` and give the id that it prints."
        ) from None
    if found.region_id != region_id:
        raise NotFound(
            f"that search was for region {found.region_id!r}; run `geotransfer scenes find"
            f" {region_id}`."
        )
    return found


def find_last_search(workspace: Workspace, region_id: str) -> tuple[str, FoundScenes] | None:
    """Return id and answer of the newest search that ended well, or None."""
    for job in workspace.jobs.list_jobs(region_id=region_id):
        if job.command.verb == "find-scenes" and job.state is JobState.DONE and job.result:
            found_id = str(job.result.get("found_id") or "")
            try:
                return found_id, load_found(workspace, region_id, found_id)
            except NotFound:
                return None
    return None
