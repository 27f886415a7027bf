"""Scenes: what came, what was skipped by which test, what that saved, how right it was."""

from __future__ import annotations

import streamlit as st

from geotransfer.console.ages_panel import show_ages
from geotransfer.console.audit_panel import show_audit
from geotransfer.console.cost_panel import show_saving
from geotransfer.console.scenes_panel import (
    show_decision_table,
    show_exclusions,
    show_scene_table,
    show_timeline,
)
from geotransfer.console.schedule_panel import show_schedule
from geotransfer.console.state import (
    explain_errors,
    find_workspace,
    load_views,
    pick_region,
    show_notice,
)
from geotransfer.console.waiting import show_running_jobs
from geotransfer.core.cost import RunCost
from geotransfer.core.region import RegionKind
from geotransfer.settings import Settings
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.cost_views import list_region_costs, read_rates
from geotransfer.workflows.exclusions import list_exclusions
from geotransfer.workflows.scene_views import (
    SceneSummary,
    TileAge,
    TileDecision,
    find_audit_view,
    list_decisions,
    list_tile_ages,
    summarize_scenes,
)
from geotransfer.workflows.views import RegionView


@st.cache_resource(show_spinner=False, max_entries=8)
def _load(
    settings: Settings, seq: int, region_id: str, _workspace: Workspace
) -> tuple[list[TileDecision], list[SceneSummary], list[TileAge]]:
    """Replay a region's decisions; made anew only when a fact was added."""
    decisions = list_decisions(_workspace, region_id)
    return decisions, summarize_scenes(decisions), list_tile_ages(_workspace, region_id)


@st.cache_resource(show_spinner=False, max_entries=2)
def _load_costs(settings: Settings, seq: int, _workspace: Workspace) -> dict[str, RunCost]:
    return {cost.region_id: cost.cost for cost in list_region_costs(_workspace)}


def show() -> None:
    """Show the page."""
    workspace = find_workspace()
    st.title("Scenes")
    show_notice()
    mapped = tuple(
        v for v in load_views() if v.region.kind is not RegionKind.TABLE and v.n_scenes > 0
    )
    if not mapped:
        st.info("No scenes yet. Add a region and its catalog under *New region*.")
        return
    view = pick_region(mapped, key="scenes-picker")
    if view is None:
        return
    region_id = view.region.region_id
    is_busy = show_running_jobs(workspace, region_id)
    show_schedule(workspace, region_id)
    if view.refresh is None:
        st.info(f"No map yet. {view.needs}")
        return
    with explain_errors():
        _show_decided(workspace, view, is_busy=is_busy)


def _show_decided(workspace: Workspace, view: RegionView, *, is_busy: bool) -> None:
    region_id = view.region.region_id
    decisions, scenes, ages = _load(
        workspace.settings, workspace.ledger.count(), region_id, workspace
    )
    _show_saved(workspace, view)
    excluded = list_exclusions(workspace, region_id)
    n_left = len(excluded.exclusions)
    timeline, audit, tiles, left_out = st.tabs(
        ["Timeline", "Audit", "Tiles", f"Left out ({n_left})" if n_left else "Left out"]
    )
    with timeline:
        if decisions:
            show_timeline(decisions, scenes)
            show_scene_table(scenes)
            show_decision_table(decisions)
        else:
            st.info(
                "The last refresh was made before decisions were kept scene by scene; the next"
                " one keeps them."
            )
    with audit:
        show_audit(workspace, region_id, find_audit_view(workspace, region_id), is_busy=is_busy)
    with tiles:
        if ages:
            show_ages(ages, key=f"ages-{region_id}")
    with left_out:
        show_exclusions(excluded)


def _show_saved(workspace: Workspace, view: RegionView) -> None:
    rates = read_rates(workspace)
    # With audits and training, as the Cost page tells it: checking is part of the price.
    costs = _load_costs(workspace.settings, workspace.ledger.count(), workspace)
    spent = costs.get(view.region.region_id, view.total)
    titles = ("Spent on this map", "Saved so far", "Share saved")
    show_saving(spent, view.avoided, rates, titles=titles)
