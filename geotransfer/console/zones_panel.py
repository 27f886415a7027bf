"""A region's map by polygon: upload, wait, download."""

from __future__ import annotations

import streamlit as st

from geotransfer.console.state import find_actor, run_guarded
from geotransfer.core.fact import ZonesSummarized
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.submit import submit_zones
from geotransfer.workflows.views import RegionView

SHOWN = 5


def show_zones(workspace: Workspace, view: RegionView, *, is_busy: bool) -> None:
    """Show the upload of polygons and the tables made so far."""
    region_id = view.region.region_id
    st.caption(
        "Class shares, mapped area, mean probability and valid observations of each polygon; pixels"
        " count by the share of them it covers. Areas count pixels and carry the map's errors: for"
        " an estimate of area use reference labels (*Accuracy*)."
    )
    uploaded = st.file_uploader(
        "Polygons: GeoPackage, GeoJSON or zipped Shapefile",
        type=["gpkg", "geojson", "json", "zip"],
        key=f"zones-{region_id}",
    )
    if uploaded is not None:
        st.button(
            "Summarise the map by these polygons",
            type="primary",
            icon=":material/pentagon:",
            disabled=is_busy,
            on_click=run_guarded,
            args=(
                lambda: submit_zones(
                    workspace, region_id, uploaded.getvalue(), uploaded.name, by=find_actor()
                ),
            ),
            kwargs={"success": "Summarising; the table appears below when it is done."},
        )
    made = [
        r
        for r in workspace.ledger.read(ZonesSummarized, region_id=region_id)
        if workspace.blobs.exists(r.fact.csv_id)
    ]
    for recorded in reversed(made[-SHOWN:]):
        fact = recorded.fact
        now = view.refresh is not None and fact.map_id == view.refresh.map_id
        told, csv, gpkg = st.columns([3, 1, 1])
        told.markdown(
            f"**{fact.file_name}**: {fact.n_zones} polygons, {recorded.at[:16].replace('T', ' ')},"
            + (" present map" if now else f" earlier map {fact.map_id[:6]}")
        )
        csv.download_button(
            "CSV",
            workspace.blobs.get(fact.csv_id),
            file_name=f"{region_id}-zones.csv",
            mime="text/csv",
            key=f"zones-csv-{recorded.seq}",
            icon=":material/download:",
        )
        gpkg.download_button(
            "GeoPackage",
            workspace.blobs.get(fact.gpkg_id),
            file_name=f"{region_id}-zones.gpkg",
            mime="application/geopackage+sqlite3",
            key=f"zones-gpkg-{recorded.seq}",
            icon=":material/download:",
        )
