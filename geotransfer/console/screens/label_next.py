"""Label next: where a label teaches most, or a sample that measures the whole map."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from geotransfer.console.map.component import show_map
from geotransfer.console.map.spec import MapSpec, View
from geotransfer.console.map_panel import make_ramp_legend
from geotransfer.console.map_sources import make_ground, make_outline, make_places_layer
from geotransfer.console.palettes import USEFULNESS
from geotransfer.console.place_labelling import show_labelling
from geotransfer.console.state import (
    PREFIX,
    find_actor,
    find_catalog,
    find_workspace,
    load_views,
    pick_region,
    run_guarded,
    show_notice,
)
from geotransfer.console.waiting import show_running_jobs
from geotransfer.core.region import RegionKind
from geotransfer.core.suggestion import Design, Suggestion
from geotransfer.labels.suggested import write_places_csv, write_places_geojson
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.submit import submit_suggest
from geotransfer.workflows.transfer_views import find_suggestion
from geotransfer.workflows.views import RegionView, read_bounds

DESIGNS = {
    Design.RANKED: "Most useful for the model",
    Design.STRATIFIED: "Probability sample, for accuracy and area",
}
EXPLANATIONS = {
    Design.RANKED: "Ranked by **applicability gap × uncertainty × coverage**: unlike anything the"
    " model was trained on, undecided, and like much of the region that no label has told about."
    " They make the model better and can never say how large an area is.",
    Design.STRATIFIED: "Drawn at random within each class of the map, each pixel with a known"
    " chance. Labels at these places are recognised when they come back: accuracy and areas are"
    " then **design-based**, not indicative. They teach the model less for each label.",
}
MAX_PLACES = 1000


def show() -> None:
    """Show the page."""
    workspace = find_workspace()
    st.title("Label next")
    mappable = tuple(v for v in load_views() if v.region.kind is not RegionKind.TABLE)
    view = pick_region(mappable, key="label-next-picker")
    if view is None:
        return
    # In a place of their own: what comes and goes here must not reset the map below.
    with st.container():
        show_notice()
        is_busy = show_running_jobs(workspace, view.region.region_id)
    if view.refresh is None:
        st.info(
            "This region has no map yet, and places are chosen on it. "
            + (view.needs or "Open the region and press *Refresh map*.")
        )
        return
    design = _show_request(workspace, view, is_busy=is_busy)
    found = find_suggestion(workspace, view.region.region_id, design)
    if found is None:
        st.info("No places of this kind yet. Press *Suggest places*.")
        return
    _show_suggestion(workspace, view, *found)


def _show_request(workspace: Workspace, view: RegionView, *, is_busy: bool) -> Design:
    region_id = view.region.region_id
    kind, count, draw, go = st.columns([4, 1.2, 1.2, 1.6], vertical_alignment="bottom")
    design = kind.radio(
        "What are the labels for?", list(DESIGNS), format_func=DESIGNS.__getitem__,
        key="label-next-design", horizontal=True,
    )  # fmt: skip
    count.number_input(
        "Places", min_value=2, max_value=MAX_PLACES, value=50, step=10, key="label-next-count"
    )
    draw.number_input(
        "Draw", min_value=0, max_value=9999, value=0, key="label-next-seed",
        help="The same number gives the same places; another number another draw.",
    )  # fmt: skip

    def submit() -> None:
        # As they are at the click: a number typed just before it has not been rendered yet.
        submit_suggest(
            workspace,
            region_id,
            n_places=int(st.session_state["label-next-count"]),
            is_probability=st.session_state["label-next-design"] == Design.STRATIFIED,
            seed=int(st.session_state["label-next-seed"]),
            by=find_actor(),
        )

    go.button(
        "Suggest places",
        type="primary",
        icon=":material/add_location:",
        width="stretch",
        disabled=is_busy,
        on_click=run_guarded,
        args=(submit,),
        kwargs={"success": "Queued; the places appear here in a few seconds."},
    )
    st.caption(EXPLANATIONS[design])
    return design


def _show_suggestion(
    workspace: Workspace, view: RegionView, suggestion_id: str, suggestion: Suggestion
) -> None:
    if view.refresh is not None and suggestion.map_id != view.refresh.map_id:
        still = (
            "they stay a valid sample: the figures then use the strata of the map they were drawn"
            " on (Stehman 2014)."
            if suggestion.strata
            else "suggest anew to see what the present model does not know."
        )
        st.warning(
            f"The map has changed since these places were chosen; {still}",
            icon=":material/history:",
        )
    is_labelling = st.toggle(
        "Label them here, one at a time",
        key="label-next-labelling",
        help="Each place comes up on the composite; the map's own class stays hidden.",
    )
    if is_labelling:
        show_labelling(workspace, view, suggestion_id, suggestion)
        return
    left, right = st.columns([3, 1], gap="medium")
    with left:
        show_map(
            _make_map(view, suggestion_id, suggestion),
            key=f"label-next-{view.region.region_id}",
        )
    with right:
        _show_side(view, suggestion_id, suggestion)
    _show_tables(suggestion)


def _make_map(view: RegionView, suggestion_id: str, suggestion: Suggestion) -> MapSpec:
    region_id = view.region.region_id
    version = view.refresh.map_id[:16] if view.refresh else ""
    has_ground = find_catalog().find_raster(region_id, "true-colour", version) is not None
    return MapSpec(
        description=f"{len(suggestion.places)} suggested places in {view.region.name}; the table"
        " below lists them",
        view=View(bounds=read_bounds(view.region)),
        focus=region_id,
        rasters=make_ground(view) if has_ground else (),
        vectors=(
            make_outline(region_id, is_simulated=view.region.kind is RegionKind.SIMULATED),
            make_places_layer(suggestion_id),
        ),
        base_url=PREFIX,
    )


def _show_side(view: RegionView, suggestion_id: str, suggestion: Suggestion) -> None:
    name = f"{view.region.region_id}-{suggestion.design.value}-places"
    st.markdown(f"**{len(suggestion.places)} places**")
    if suggestion.design is Design.RANKED:
        st.html(make_ramp_legend(USEFULNESS))
    st.download_button(
        "GeoJSON",
        write_places_geojson(suggestion),
        file_name=f"{name}.geojson",
        mime="application/geo+json",
        icon=":material/download:",
        width="stretch",
        help="For QGIS and field apps. Fill in the column class and upload it on Calibrate.",
    )
    st.download_button(
        "CSV",
        write_places_csv(suggestion),
        file_name=f"{name}.csv",
        mime="text/csv",
        icon=":material/download:",
        width="stretch",
        help="Longitude, latitude and an empty column class to fill in.",
    )

    def prepare_explore() -> None:
        st.session_state["explore-labels"] = f"suggested/{suggestion_id}"
        st.session_state["explore-labelling"] = True
        # What the map says there must not decide what its label says.
        st.session_state["explore-kept"] = "true-colour"

    if st.button(
        "Label by clicking in Explore",
        icon=":material/ads_click:",
        width="stretch",
        on_click=prepare_explore,
        help="Your own clicks need not meet the places exactly; of a probability sample they"
        " count only within a pixel.",
    ):
        st.switch_page(st.session_state["pages"]["explore"])
    st.caption(
        "Upload the file again with the column `class` filled in. "
        + (
            "Choose *judge only*: these labels judge the map and must not train it."
            if suggestion.strata
            else "Choose *calibrate*, then fine-tune."
        )
    )


def _show_tables(suggestion: Suggestion) -> None:
    if suggestion.strata:
        st.table(
            pd.DataFrame(
                {
                    "stratum (class of the map)": [s.name for s in suggestion.strata],
                    "area (km²)": [f"{s.area_km2:,.2f}" for s in suggestion.strata],
                    "pixels": [f"{s.n_pixels:,}" for s in suggestion.strata],
                    "places": [s.n_places for s in suggestion.strata],
                    "chance of a pixel": [f"{s.chance:.3g}" for s in suggestion.strata],
                }
            ),
            border="horizontal",
            hide_index=True,
            alt="Strata with their areas and chances",
        )
    columns: dict[str, list[object]] = {
        "place": [p.number for p in suggestion.places],
        "longitude": [p.lon for p in suggestion.places],
        "latitude": [p.lat for p in suggestion.places],
    }
    if not suggestion.strata:
        columns |= {
            "the map says": [p.map_class for p in suggestion.places],
            "usefulness": [p.usefulness for p in suggestion.places],
            "applicability gap": [p.applicability_gap for p in suggestion.places],
            "uncertainty": [p.uncertainty for p in suggestion.places],
            "coverage": [p.coverage for p in suggestion.places],
        }
    shares = ("usefulness", "applicability gap", "uncertainty", "coverage")
    with st.expander("All places as a table", expanded=not suggestion.strata):
        st.dataframe(
            pd.DataFrame(columns),
            hide_index=True,
            height=280,
            column_config={
                "longitude": st.column_config.NumberColumn(format="%.6f"),
                "latitude": st.column_config.NumberColumn(format="%.6f"),
                **{name: st.column_config.NumberColumn(format="%.2f") for name in shares},
            },
            alt="Suggested places",
        )
