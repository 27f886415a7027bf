"""Schedules: refresh a region's map again and again, by whichever worker is there."""

from __future__ import annotations

from geotransfer.core.fact import ScheduleSet
from geotransfer.core.schedule import Schedule, parse_interval
from geotransfer.errors import NotFound
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.submit import make_refresh
from geotransfer.workflows.views import find_added


def set_schedule(
    workspace: Workspace, region_id: str, interval: str, *, actor: str
) -> Schedule | None:
    """Refresh a region every ``interval`` (``1d``, ``12h``, …), or no longer (``off``).

    A new schedule is due at once.

    Raises
    ------
    InputError, NotFound
        The interval is none, there is no such region, or there is no schedule to stop.
    """
    every_s = parse_interval(interval)
    find_added(workspace, region_id)
    command = make_refresh(region_id)
    found = None
    if every_s is None:
        if not workspace.schedules.remove(command):
            raise NotFound(f"region {region_id!r} has no schedule; nothing to stop.")
    else:
        found = workspace.schedules.put(command, every_s=every_s, by=actor)
    fact = ScheduleSet(region_id=region_id, verb=command.verb, every_s=every_s)
    workspace.ledger.append(fact, actor=actor)
    return found


def find_schedule(workspace: Workspace, region_id: str) -> Schedule | None:
    """Return a region's schedule, or None."""
    command = make_refresh(region_id)
    return next((s for s in workspace.schedules.list_all() if s.command == command), None)
