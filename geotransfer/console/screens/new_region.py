"""New region: an outline drawn or uploaded, then its scenes."""

from __future__ import annotations

import json

import streamlit as st

from geotransfer.console.definitions_panel import pick_definitions
from geotransfer.console.map.component import show_map
from geotransfer.console.map.spec import Drawing, DrawMode, MapSpec, View
from geotransfer.console.state import (
    PREFIX,
    find_actor,
    find_workspace,
    load_views,
    remember_region,
    run_guarded,
    show_notice,
)
from geotransfer.console.waiting import show_running_jobs
from geotransfer.core.region import RegionKind
from geotransfer.errors import GeoTransferError
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.regions import add_region, parse_outline
from geotransfer.workflows.submit import submit_add_scenes


def show() -> None:
    """Show the page."""
    workspace = find_workspace()
    st.title("New region")
    show_notice()
    show_running_jobs(workspace)
    st.header("1 · Outline", divider="gray")
    outline = _pick_outline()
    name = st.text_input("Name", key="region-name", placeholder="for example Nakuru, Kenya")

    spec_name, legend_name = pick_definitions(workspace)

    def add() -> None:
        region = add_region(
            workspace,
            outline or "",
            name=name,
            spec_name=spec_name,
            legend_name=legend_name,
            actor=find_actor(),
        )
        remember_region(region.region_id)

    st.button(
        "Add region",
        type="primary",
        disabled=outline is None or not name.strip(),
        on_click=run_guarded,
        args=(add,),
        kwargs={"success": f"Added {name}. Next: its scenes, below."},
    )
    st.header("2 · Scenes", divider="gray")
    _show_scenes(workspace)


def _pick_outline() -> str | None:
    drawn_tab, file_tab = st.tabs(["Upload an outline", "Draw it"])
    with drawn_tab:
        uploaded = st.file_uploader(
            "Outline: GeoJSON, GeoPackage or zipped Shapefile",
            type=["geojson", "json", "gpkg", "zip"],
            key="outline-file",
        )
        if uploaded is not None:
            try:
                outline = parse_outline(uploaded.getvalue(), uploaded.name)
            except GeoTransferError as error:
                st.error(str(error), icon=":material/error:")
                return None
            st.success(f"{uploaded.name} is a usable outline.")
            return outline
    with file_tab:
        event = show_map(
            MapSpec(
                description="World map; click the corners of the region, then the first one again",
                view=View(center=(10.0, 15.0), zoom=1.6),
                draw=DrawMode.POLYGON,
                draw_limit=1,
                drawing=Drawing(revision=0),
                base_url=PREFIX,
                height_px=460,
            ),
            key="outline-map",
        )
        if event.drawn:
            return json.dumps(event.drawn[-1].geometry)
    return None


def _show_scenes(workspace: Workspace) -> None:
    waiting = [
        v.region for v in load_views() if v.region.kind is not RegionKind.TABLE and not v.n_scenes
    ]
    if not waiting:
        st.caption("Every region has scenes. To add more to one, give its catalog again here.")
    regions = waiting or [v.region for v in load_views() if v.region.kind is not RegionKind.TABLE]
    if not regions:
        st.info("Add a region first.")
        return
    ids = [region.region_id for region in regions]
    names = {region.region_id: region.name for region in regions}
    asked = st.session_state.get("region_id")
    region_id = st.selectbox(
        "Region", ids, format_func=names.__getitem__, key="scenes-region",
        index=ids.index(asked) if asked in ids else 0,
    )  # fmt: skip
    location = st.text_input(
        "Catalog",
        key="scenes-location",
        placeholder="/data/scenes/items.json, a folder of STAC items, or a URL",
        help="A STAC item, an item collection, or a folder of items, as the worker sees it.",
    )
    st.button(
        "Add scenes and make the first map",
        type="primary",
        disabled=not location.strip(),
        on_click=run_guarded,
        args=(lambda: submit_add_scenes(workspace, region_id, location.strip(), by=find_actor()),),
        kwargs={"success": "Reading the catalog; progress is above and on the Jobs page."},
    )
