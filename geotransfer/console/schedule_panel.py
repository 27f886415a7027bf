"""How often a region is refreshed by itself, and when next; set and stopped here."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from geotransfer.console.state import find_actor, run_guarded
from geotransfer.core.schedule import OFF, Schedule, format_interval
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.schedule import find_schedule, set_schedule

INTERVALS = {
    OFF: "only by hand",
    "1h": "every hour",
    "6h": "every 6 hours",
    "1d": "every day",
    "5d": "every 5 days",
    "1w": "every week",
    "30d": "every 30 days",
}
LATE_S = 60
"""A run due for longer has found no worker."""


def show_schedule(workspace: Workspace, region_id: str) -> None:
    """Show a region's schedule in words, with a choice beside it."""
    found = find_schedule(workspace, region_id)
    now = format_interval(found.every_s) if found else OFF
    choices = INTERVALS if now in INTERVALS else {**INTERVALS, now: f"every {now}"}
    key = f"schedule-{region_id}"

    def save() -> None:
        # A value left over from before somebody else changed it is shown, never written back.
        set_schedule(workspace, region_id, st.session_state[key], actor=find_actor())

    if st.session_state.get(f"{key}-seen") != now:
        st.session_state[key] = st.session_state[f"{key}-seen"] = now
    left, right = st.columns([1, 2], vertical_alignment="bottom")
    left.selectbox(
        "Refresh by itself", list(choices), format_func=choices.__getitem__, key=key,
        on_change=run_guarded, args=(save,), kwargs={"success": "Schedule set."},
        help="A worker looks for new scenes and refreshes; runs missed while none was there become"
        " one.",
    )  # fmt: skip
    right.caption(describe_schedule(found, workspace.clock()))


def describe_schedule(found: Schedule | None, now: datetime) -> str:
    """Return a schedule in a sentence."""
    if found is None:
        return "New scenes are looked for when somebody presses *Refresh map*."
    when = datetime.fromisoformat(found.next_at)
    late_s = (now - when).total_seconds()
    if late_s > LATE_S:
        told = "Due, but no worker is there to run it: start one with `geotransfer worker`."
    elif late_s >= 0:
        told = "Due now: the next free worker takes it."
    else:
        told = f"Next run {when:%Y-%m-%d %H:%M} UTC, {describe_wait(-late_s)}."
    return f"{told} Set by {found.set_by}."


def describe_wait(wait_s: float) -> str:
    """Return a wait in the unit a person would use."""
    if wait_s < 5400:
        return f"in {max(1, round(wait_s / 60))} min"
    if wait_s < 36 * 3600:
        return f"in {wait_s / 3600:.0f} h"
    return f"in {wait_s / 86400:.0f} days"
