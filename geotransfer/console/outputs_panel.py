"""Report and downloads: everything of a region, one click each."""

from __future__ import annotations

import html

import streamlit as st

from geotransfer.console.state import PREFIX, find_catalog
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.output_list import list_outputs
from geotransfer.workflows.views import RegionView


def show_outputs(workspace: Workspace, view: RegionView) -> None:
    """Show the report, the archive of everything, and each file by itself."""
    region_id = view.region.region_id
    folder = f"{PREFIX}/download/{region_id}"
    left, middle, right = st.columns(3)
    left.link_button(
        "Open the report", f"{folder}/report.html?inline", type="primary", width="stretch",
        icon=":material/description:", help="One page that prints well: map, accuracy, area, cost,"
        " lineage. It holds everything it shows and asks no other host.",
    )  # fmt: skip
    middle.link_button(
        "Save the report", f"{folder}/report.html", width="stretch", icon=":material/download:"
    )
    right.link_button(
        "Download everything (ZIP)", f"{folder}/everything.zip", width="stretch",
        icon=":material/folder_zip:", help="Every raster with its QGIS style, every table and"
        " vector, and the report.",
    )  # fmt: skip
    rows = [(output.name, output.title, "") for output in list_outputs(workspace, view)]
    version = view.refresh.map_id[:16] if view.refresh else None
    for layer, entry in find_catalog().list_rasters(region_id, version).items():
        if entry.path.stem == layer:
            unit = f", {entry.unit}" if entry.unit else ""
            rows.append((f"{layer}.tif", f"{entry.name}{unit}", f"{layer}.qml"))
    st.html(_make_table(folder, rows))
    st.caption(
        "Rasters are cloud-optimised GeoTIFFs in the map's own CRS; class rasters carry their"
        " colours. QGIS takes a style by itself when it lies beside the raster under the same name."
        " Vectors are GeoJSON in EPSG:4326. On the command line: `geotransfer report` and"
        " `geotransfer export`."
    )


def _make_table(folder: str, rows: list[tuple[str, str, str]]) -> str:
    lines = "".join(
        "<tr>"
        f'<td><a href="{folder}/{html.escape(name)}" download>{html.escape(name)}</a></td>'
        f"<td>{html.escape(title)}</td>"
        + (
            f'<td><a href="{folder}/{html.escape(style)}" download>style for QGIS</a></td>'
            if style
            else "<td></td>"
        )
        + "</tr>"
        for name, title, style in rows
    )
    return (
        "<style>.gt-files{border-collapse:collapse;font-size:.9rem;width:100%}"
        ".gt-files th{text-align:left;font-weight:600}"
        ".gt-files td,.gt-files th{padding:.3rem 1rem .3rem 0;border-bottom:1px solid #8884}"
        ".gt-files a{color:inherit}</style>"
        '<table class="gt-files"><thead><tr><th scope="col">File</th><th scope="col">What it is'
        f'</th><th scope="col">Style</th></tr></thead><tbody>{lines}</tbody></table>'
    )
