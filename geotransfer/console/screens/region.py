"""Region: the map, how right it is, what was computed, what it cost."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from geotransfer.console.accuracy_panel import show_accuracy
from geotransfer.console.applicability_panel import show_applicability
from geotransfer.console.exclusions_panel import show_exclusions_panel
from geotransfer.console.layers_panel import show_layers
from geotransfer.console.map_panel import show_previews
from geotransfer.console.outputs_panel import show_outputs
from geotransfer.console.rehearsal_panel import show_rehearsal
from geotransfer.console.state import (
    explain_errors,
    find_actor,
    find_workspace,
    load_views,
    pick_region,
    run_guarded,
    show_notice,
)
from geotransfer.console.waiting import show_running_jobs
from geotransfer.console.zones_panel import show_zones
from geotransfer.core.region import RegionKind
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.check_list import describe_checks
from geotransfer.workflows.scene_list import load_scenes
from geotransfer.workflows.submit import submit_demo, submit_evaluate, submit_refresh
from geotransfer.workflows.views import (
    RegionView,
    find_assessment_plain,
    list_history,
    list_refresh_rows,
)

REACH_METHODS = {
    "vetoed": "its own rows fall below the target",
    "no-cutoff": "no confidence holds the target elsewhere",
    "whole-area": "share of all pixels",
    "wilson": "share of its samples",
}


def show() -> None:
    """Show the page."""
    workspace = find_workspace()
    view = pick_region(load_views(), key="region-picker")
    if view is None:
        return
    region_id = view.region.region_id
    st.title(view.region.name)
    _show_kind(view)
    _show_assessment(workspace, view)
    # In a place of their own: what comes and goes here must not reset the tabs below.
    with st.container():
        show_notice()
        is_busy = show_running_jobs(workspace, region_id)
    _show_actions(workspace, view, is_busy=is_busy)
    _show_figures(view)
    if view.region.kind is RegionKind.TABLE:
        accuracy, rehearsal, outputs, history = st.tabs(
            ["Accuracy", "Rehearsal", "Report and downloads", "History"]
        )
        with accuracy:
            show_accuracy(workspace, view)
        with rehearsal:
            show_rehearsal(workspace, view)
        with outputs:
            show_outputs(workspace, view)
        with history:
            _show_history(workspace, region_id)
        return
    overview, accuracy, applicability, zones, scenes, runs, outputs, history = st.tabs(
        [
            "Map",
            "Accuracy",
            "Applicability",
            "Zones",
            "Scenes",
            "Runs and cost",
            "Report and downloads",
            "History",
        ]
    )
    with overview:
        show_previews(view)
    with zones:
        if view.refresh is None:
            st.info(f"No map to summarise yet. {view.needs}")
        else:
            show_zones(workspace, view, is_busy=is_busy)
    with accuracy, explain_errors():
        show_accuracy(workspace, view)
    with applicability, explain_errors():
        show_applicability(workspace, view, is_busy=is_busy)
    with scenes, explain_errors():
        _show_scenes(workspace, view)
    with runs, explain_errors():
        _show_runs(workspace, view)
    with outputs, explain_errors():
        show_outputs(workspace, view)
    with history:
        _show_history(workspace, region_id)


def _show_kind(view: RegionView) -> None:
    told = {
        RegionKind.TABLE: "Real reference samples without imagery: figures only, no map.",
        RegionKind.IMAGERY: "Real scenes.",
        RegionKind.SIMULATED: "Simulated: scenes and truth are made up, so that every figure can be"
        " checked. Nothing here says anything about a real place.",
    }
    st.caption(f"{told[view.region.kind]} {view.region.attribution}")
    if view.region.region_id in ("bouconne", "belgium"):
        st.caption(
            "Far from the African regions the global model was trained in: expect it to be wrong in"
            " places, and do not use it here without labels."
        )


def _show_assessment(workspace: Workspace, view: RegionView) -> None:
    """Show what features alone say, where it was looked at and no label has said more."""
    found = find_assessment_plain(workspace, view.region.region_id)
    if found is None or view.serving_since is not None:
        return
    text = f"Before labels: **{found['recommendation']}**. {found['reasons'][0]}"
    if found["recommendation"] == "use as is":
        st.success(text)
    else:
        st.warning(text, icon=":material/travel_explore:")


def _show_actions(workspace: Workspace, view: RegionView, *, is_busy: bool) -> None:
    region_id = view.region.region_id
    actor = find_actor()
    if view.region.kind is RegionKind.TABLE:
        return
    refresh, evaluate, calibrate, _ = st.columns([1, 1, 1, 2])
    if view.n_scenes:
        refresh.button(
            "Refresh map",
            icon=":material/refresh:",
            type="primary",
            disabled=is_busy,
            width="stretch",
            help="Computes only the tiles whose inputs changed.",
            on_click=run_guarded,
            args=(lambda: submit_refresh(workspace, region_id, by=actor),),
            kwargs={"success": "Refresh queued."},
        )
    elif region_id == "bouconne":
        refresh.button(
            "Fetch its scenes",
            type="primary",
            disabled=is_busy,
            width="stretch",
            on_click=run_guarded,
            args=(lambda: submit_demo(workspace, by=actor),),
            kwargs={"success": "Fetching."},
        )
    if view.refresh is not None:
        evaluate.button(
            "Evaluate",
            icon=":material/fact_check:",
            disabled=is_busy,
            width="stretch",
            help="Judge the map by every label it has not seen, and its model by labels held out.",
            on_click=run_guarded,
            args=(lambda: submit_evaluate(workspace, region_id, by=actor),),
            kwargs={"success": "Evaluation queued."},
        )
    if calibrate.button("Calibrate", icon=":material/tune:", width="stretch"):
        st.switch_page(st.session_state["pages"]["calibrate"])


def _show_figures(view: RegionView) -> None:
    accuracy, reach, cost, tiles = st.columns(4)
    accuracy.metric(
        "Balanced accuracy",
        "–" if view.evaluation is None else f"{view.evaluation.balanced.value:.3f}",
        help="" if view.evaluation is None else f"95 % interval {view.evaluation.balanced}",
    )
    if view.evaluation is None:
        accuracy.caption("not measured: no holdout labels here")
    else:
        e = view.evaluation.balanced
        accuracy.caption(f"{e.low:.3f}–{e.high:.3f} · {view.evaluation.estimand}")
    reach.metric(
        f"Reach at {view.reach_target:.0%}",
        "–" if view.reach is None else f"{view.reach.value:.0%}",
        help="Share of the region where the map may be trusted at the target accuracy.",
    )
    if view.reach is None:
        reach.caption("not measured: its own rows must agree")
    else:
        told = REACH_METHODS.get(view.reach.method, view.reach.method)
        reach.caption(f"{view.reach.low:.0%}–{view.reach.high:.0%} · {told}")
    cost.metric(
        "CPU seconds per km²",
        "–" if view.cpu_s_per_km2 is None else f"{view.cpu_s_per_km2:.2f}",
    )
    cost.caption(f"{view.total.cpu_s:.1f} CPU-s in all, {view.avoided.cpu_s:.1f} avoided")
    last = view.refresh
    tiles.metric(
        "Last refresh",
        "never" if last is None else f"{last.n_computed + last.n_predicted} computed",
    )
    if last is not None:
        what = "nothing to compute" if not last.n_computed + last.n_predicted else "updated"
        when = (view.refreshed_at or "")[:16].replace("T", " ")
        tiles.caption(f"{last.n_kept} tiles kept · {what} · {when}")
        for notice in last.notices:
            tiles.warning(notice)


def _show_scenes(workspace: Workspace, view: RegionView) -> None:
    """Show every scene with what it brings, and what it lacks; then those left out."""
    _show_used_scenes(workspace, view)
    if view.n_scenes:
        show_exclusions_panel(workspace, view)


def _show_used_scenes(workspace: Workspace, view: RegionView) -> None:
    if not view.n_scenes:
        st.info(f"No scenes yet. {view.needs} The *New region* page points a region at a catalog.")
        return
    found = load_scenes(workspace, view.region.region_id)
    scenes = found.scenes
    st.caption(
        f"{len(scenes)} scenes on a grid of {found.grid.width} × {found.grid.height} pixels"
        f" ({found.grid.crs}), in tiles of {found.tile_px} pixels a side."
    )
    masks = [any(a.is_mask for a in scene.assets) for scene in scenes]
    if not all(masks):
        st.warning(
            f"{masks.count(False)} scenes have no cloud mask: clouds in them count as ground."
        )
    for told in describe_checks(workspace, view.region.region_id):
        st.warning(told)
    show_layers(workspace, view)
    st.dataframe(
        pd.DataFrame(
            {
                "scene": [s.scene_id for s in scenes],
                "sensed (UTC)": [s.sensed_at[:16].replace("T", " ") for s in scenes],
                "bands": [sum(not a.is_mask for a in s.assets) for s in scenes],
                "cloud mask": ["yes" if has else "none" for has in masks],
                "processing baseline": [s.processing_baseline or "–" for s in scenes],
                "MB": [sum(a.size_bytes or 0 for a in s.assets) / 1e6 for s in scenes],
            }
        ),
        hide_index=True,
        column_config={"MB": st.column_config.NumberColumn(format="%.1f")},
        alt="Scenes of the region",
    )


def _show_runs(workspace: Workspace, view: RegionView) -> None:
    rows = list_refresh_rows(workspace, view.region.region_id)
    if not rows:
        st.info("No refresh yet. Add scenes, then press *Refresh map*.")
        return
    frame = pd.DataFrame(rows)
    st.dataframe(
        frame,
        hide_index=True,
        column_config={
            "cpu_s": st.column_config.NumberColumn("CPU-s", format="%.2f"),
            "avoided_cpu_s": st.column_config.NumberColumn("Avoided CPU-s", format="%.2f"),
            "read_mb": st.column_config.NumberColumn("Read MB", format="%.1f"),
            "peak_mb": st.column_config.NumberColumn("Peak MB", format="%.0f"),
        },
    )
    if len(frame) > 1:
        st.bar_chart(
            frame.iloc[::-1].set_index("at")[["cpu_s", "avoided_cpu_s"]],
            y_label="CPU seconds",
            color=["#c4502f", "#22988a"],
        )
        st.caption("CPU seconds spent and avoided by computing only what changed.")


def _show_history(workspace: Workspace, region_id: str) -> None:
    entries = list_history(workspace, region_id)
    st.dataframe(
        pd.DataFrame(
            {
                "When (UTC)": [e.at[:19].replace("T", " ") for e in entries],
                "Who": [e.actor for e in entries],
                "What": [e.what for e in entries],
                "Detail": [e.detail for e in entries],
            }
        ),
        hide_index=True,
        height=420,
    )
