"""What is left out of a region's map and why, and what can be done about it."""

from __future__ import annotations

import streamlit as st

from geotransfer.console.map_panel import make_picture, make_ramp_legend
from geotransfer.console.palettes import OBSERVATIONS
from geotransfer.console.scenes_panel import show_exclusions
from geotransfer.console.state import find_actor, run_guarded
from geotransfer.core.job import JobState
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.exclusions import include_scenes, list_exclusions
from geotransfer.workflows.scene_list import list_scene_ids
from geotransfer.workflows.submit import submit_refresh
from geotransfer.workflows.views import RegionView


def show_exclusions_panel(workspace: Workspace, view: RegionView) -> None:
    """Show the scenes left out, by reason and one by one, with the ways back."""
    region_id = view.region.region_id
    found = list_exclusions(workspace, region_id)
    st.subheader("Left out")
    if view.refresh is not None and view.refresh.n_pixels:
        few = 1 - view.refresh.valid_share
        st.caption(
            f"{few:.0%} of the region's pixels have too few valid observations in some period."
        )
        title = "Valid observations of each pixel"
        with st.expander(title):
            st.html(make_picture(region_id, "observations", title, view.refresh.map_id[:16]))
            st.html(make_ramp_legend(OBSERVATIONS))
    _offer_refresh_without(workspace, region_id)
    show_exclusions(found)
    if found.exclusions:
        known = list_scene_ids(workspace, region_id)
        usable = tuple(e.scene_id for e in found.exclusions if e.scene_id in known)
        _offer_return(workspace, region_id, usable)


def _offer_return(workspace: Workspace, region_id: str, usable: tuple[str, ...]) -> None:
    if not usable:
        st.caption("To use them, correct their catalog and add it again on the New region page.")
        return
    chosen = st.multiselect(
        "Use again", usable, key=f"include-{region_id}", placeholder="Choose scenes"
    )
    st.button(
        "Use these scenes again",
        disabled=not chosen,
        on_click=run_guarded,
        args=(lambda: include_scenes(workspace, region_id, chosen, actor=find_actor()),),
        kwargs={"success": "They are used again. Refresh the map next."},
    )


def _offer_refresh_without(workspace: Workspace, region_id: str) -> None:
    """Offer to go on without unreadable scenes where the last refresh stopped at one."""
    jobs = workspace.jobs.list_jobs(region_id=region_id, limit=50)
    last = next((j for j in jobs if j.command.verb in ("refresh", "add-scenes")), None)
    if last is None or last.state is not JobState.FAILED or "cannot be read" not in last.error:
        return
    st.error(last.error, icon=":material/error:")
    st.button(
        "Refresh without unreadable scenes",
        help="Each is left out of the whole region and listed here; nothing is filled in for it.",
        on_click=run_guarded,
        args=(
            lambda: submit_refresh(
                workspace, region_id, leave_out_unreadable=True, by=find_actor()
            ),
        ),
        kwargs={"success": "Refresh queued; unreadable scenes will be listed here."},
    )
