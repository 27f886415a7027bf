"""New region: an outline drawn or uploaded, then its scenes."""

from __future__ import annotations

import json

import streamlit as st

from geotransfer.console.definitions_panel import pick_definitions
from geotransfer.console.found_panel import show_found
from geotransfer.console.map.component import show_map
from geotransfer.console.map.spec import Drawing, DrawMode, MapSpec, View
from geotransfer.console.state import (
    PREFIX,
    explain_errors,
    find_actor,
    find_workspace,
    load_views,
    remember_region,
    run_guarded,
    show_notice,
)
from geotransfer.console.waiting import show_running_jobs
from geotransfer.core.period import parse_period
from geotransfer.core.region import RegionKind
from geotransfer.errors import GeoTransferError
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.found_scenes import find_last_search
from geotransfer.workflows.regions import add_region, parse_outline
from geotransfer.workflows.submit import (
    submit_add_found,
    submit_add_scenes,
    submit_find_scenes,
)


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
    mappable = [v for v in load_views() if v.region.kind is not RegionKind.TABLE]
    waiting = [v.region for v in mappable if not v.n_scenes]
    if not waiting:
        st.caption("Every region has scenes. To add more to one, give its catalog again here.")
    regions = waiting or [v.region for v in mappable]
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
        placeholder=f"{workspace.settings.catalog_url}, /data/items.json, or a folder of GeoTIFFs",
        help="A STAC API, a catalog, an item collection, a folder of items, or a folder of GeoTIFFs"
        " with its scenes.yaml, as the worker sees it. A search without one asks"
        f" {workspace.settings.catalog_url}.",
    ).strip()
    period_column, cloud_column, collection_column = st.columns(3)
    period = period_column.text_input(
        "Period",
        key="scenes-period",
        placeholder="2021-01/2021-12",
        help="First and last day or month.",
    ).strip()
    cloud = cloud_column.number_input(
        "Most cloud, %", 0, 100, 100, step=5, key="scenes-cloud",
        help="Scenes that state no cloud cover are kept.",
    )  # fmt: skip
    collections = collection_column.text_input(
        "Collections",
        key="scenes-collections",
        placeholder="sentinel-2-l2a",
        help="Of a STAC API, parted by commas; empty: every one it has.",
    ).strip()

    def search() -> None:
        if period:
            parse_period(period)
        submit_find_scenes(
            workspace,
            region_id,
            location,
            period=period,
            max_cloud_percent=float(cloud) if cloud < 100 else None,
            collections=collections,
            by=find_actor(),
        )

    find_column, add_column, _ = st.columns([1, 1, 1])
    find_column.button(
        "Find scenes",
        type="primary",
        icon=":material/search:",
        width="stretch",
        disabled=not (location or period),
        help="Lists scenes, gigabytes and cost; reads no pixel.",
        on_click=run_guarded,
        args=(search,),
        kwargs={"success": "Searching; progress is above, the answer comes below."},
    )
    add_column.button(
        "Add all without looking",
        width="stretch",
        disabled=not location,
        help="Reads the whole catalog and makes the map.",
        on_click=run_guarded,
        args=(lambda: submit_add_scenes(workspace, region_id, location, by=find_actor()),),
        kwargs={"success": "Reading the catalog; progress is above and on the Jobs page."},
    )
    with explain_errors():
        _show_last_search(workspace, region_id)


def _show_last_search(workspace: Workspace, region_id: str) -> None:
    searched = find_last_search(workspace, region_id)
    if searched is None:
        return
    found_id, found = searched
    st.subheader("Found")
    show_found(found)
    n_new = sum(not scene.is_known for scene in found.scenes)
    st.button(
        f"Add these {len(found.scenes)} scenes and make the map",
        type="primary",
        disabled=not n_new,
        on_click=run_guarded,
        args=(lambda: submit_add_found(workspace, region_id, found_id, by=find_actor()),),
        kwargs={"success": "Adding them; progress is above and on the Jobs page."},
    )
