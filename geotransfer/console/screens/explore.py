"""Explore: a region's map at full resolution; click to explain, click to label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from geotransfer.console.applicability_panel import MEANINGS
from geotransfer.console.camera import read_camera, write_camera
from geotransfer.console.clicking_panel import Clicking, choose_clicking, show_clicked
from geotransfer.console.map.component import show_map
from geotransfer.console.map.spec import (
    Drawing,
    DrawMode,
    MapEvent,
    MapSpec,
    Mark,
    RasterLayer,
    Swipe,
    VectorLayer,
)
from geotransfer.console.map_panel import make_raster_legend
from geotransfer.console.map_sources import find_raster_url, make_outline, make_places_layer
from geotransfer.console.pixel_panel import show_pixel
from geotransfer.console.state import (
    PREFIX,
    find_catalog,
    find_workspace,
    load_views,
    pick_region,
    read_address,
    show_notice,
    write_address,
)
from geotransfer.core.fact import RefreshDone
from geotransfer.core.region import RegionKind
from geotransfer.core.suggestion import Design
from geotransfer.store.workspace import Workspace
from geotransfer.tiles.catalog import RasterEntry, RasterKind
from geotransfer.workflows.output_list import list_kept_labels
from geotransfer.workflows.transfer_views import find_suggestion
from geotransfer.workflows.views import RegionView

GROUND = "true-colour"
"""Layer that shows through the others."""
NOTES = {
    "change": "Against the map before the present one, whatever the reason: new scenes, or another"
    " model. Each colour is the class a pixel became.",
    "computed": "Day each tile was last computed. Tiles whose inputs have not changed keep theirs:"
    " they were confirmed, not forgotten.",
    "true-colour": "Reflectance of the second half-year's geometric median, stretched.",
    "false-colour": "Near infrared as red: vegetation is red. Stretched.",
    "observations": "Valid observations of the year, after clouds were masked.",
    **MEANINGS,
}


def show() -> None:
    """Show the page."""
    workspace = find_workspace()
    st.title("Explore")
    show_notice()
    mappable = tuple(
        v for v in load_views() if v.region.kind is not RegionKind.TABLE and v.refresh is not None
    )
    if not mappable:
        st.info(
            "No map yet. Open a region with scenes and press *Refresh map*; without a region, add"
            " one under *New region*."
        )
        return
    view = pick_region(mappable, key="explore-picker")
    if view is None:
        return
    _show_explorer(workspace, view)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the reader chose to see."""

    layer: str
    opacity: float
    against: str | None
    """Address of a layer to swipe against, ``layer`` or ``layer@version``."""
    labels_id: str | None
    """Labels shown on the map."""
    clicking: Clicking | None


@st.fragment
def _show_explorer(workspace: Workspace, view: RegionView) -> None:
    region_id = view.region.region_id
    version = view.refresh.map_id[:16] if view.refresh else ""
    entries = find_catalog().list_rasters(region_id, version)
    if not entries:
        st.warning(
            "The files of this map are gone; its history is kept. Open the region and press"
            " *Refresh map* to make them again."
        )
        return
    left, right = st.columns([3, 1], gap="medium")
    with right:
        choice = _choose(workspace, view, entries)
        _show_legend(view, entries, choice)
    with left:
        spec = _make_spec(view, entries, choice)
        event = show_map(spec, key=f"explore-{region_id}")
        if view.region.attribution:
            st.caption(view.region.attribution)
    write_camera(region_id, event.view)
    if choice.clicking is not None:
        show_clicked(workspace, region_id, event.drawn)
    else:
        show_pixel(workspace, region_id, _find_place(region_id, event))


def _choose(workspace: Workspace, view: RegionView, entries: Mapping[str, RasterEntry]) -> Choice:
    region_id = view.region.region_id
    layers = list(entries)
    asked = read_address("layer", layers) or st.session_state.get("explore-kept", "class")
    layer = st.radio(
        "Layer", layers, format_func=lambda name: entries[name].name, key="explore-layer",
        index=layers.index(asked) if asked in layers else 0,
    )  # fmt: skip
    st.session_state["explore-kept"] = layer
    opacity = st.slider(
        "Opacity", 0.0, 1.0, 1.0, 0.05, key="explore-opacity",
        help="Below 1 the composite shows through.",
    )  # fmt: skip
    rivals = _list_rivals(workspace, view, layer, entries)
    told = read_address("against", rivals)
    against = st.selectbox(
        "Swipe against", [None, *rivals], key="explore-swipe",
        format_func=lambda rival: "nothing" if rival is None else rivals[rival],
        index=0 if told is None else 1 + list(rivals).index(told),
        help="Another layer, or an earlier map of this region; left of the handle.",
    )  # fmt: skip
    write_address({"region": region_id, "layer": layer, "against": against})
    uploads = _list_uploads(workspace, region_id) | _list_suggested(workspace, region_id)
    labels_id = st.selectbox(
        "Labels on the map", [None, *uploads], key="explore-labels",
        format_func=lambda item: "none" if item is None else uploads[item],
    ) if uploads else None  # fmt: skip
    clicking = None
    if st.toggle("Label by clicking", key="explore-labelling"):
        clicking = choose_clicking(view.legend)
    return Choice(
        layer=layer,
        opacity=opacity,
        against=against,
        labels_id=labels_id,
        clicking=clicking,
    )


def _list_rivals(
    workspace: Workspace, view: RegionView, layer: str, entries: Mapping[str, RasterEntry]
) -> dict[str, str]:
    """Return what a layer may be swiped against, by address: other layers, then earlier maps."""
    region_id = view.region.region_id
    now = view.refresh.map_id[:16] if view.refresh else ""
    rivals = {name: entry.name for name, entry in entries.items() if name != layer}
    facts = workspace.ledger.read(RefreshDone, region_id=region_id)
    older = {r.fact.map_id[:16]: r.at[:16].replace("T", " ") for r in facts}
    for version, at in reversed(older.items()):
        entry = find_catalog().find_raster(region_id, layer, version) if version != now else None
        if entry is not None:
            rivals[f"{layer}@{version}"] = f"{entry.name}, map of {at}"
    return rivals


def _list_uploads(workspace: Workspace, region_id: str) -> dict[str, str]:
    return {
        fact.labels_id: f"{fact.file_name}: {fact.n_rows} {fact.role}"
        for fact in reversed(list_kept_labels(workspace, region_id))
    }


def _list_suggested(workspace: Workspace, region_id: str) -> dict[str, str]:
    """Return places to label next, by the name of their vector document."""
    found = [find_suggestion(workspace, region_id, design) for design in Design]
    return {
        f"suggested/{item[0]}": f"{len(item[1].places)} places to label next,"
        f" {item[1].design.value}"
        for item in found
        if item is not None
    }


def _make_spec(view: RegionView, entries: Mapping[str, RasterEntry], choice: Choice) -> MapSpec:
    region_id = view.region.region_id
    now = view.refresh.map_id[:16] if view.refresh else ""
    title = entries[choice.layer].name

    def make_layer(layer_id: str, address: str, *, opacity: float) -> RasterLayer:
        layer, _, version = address.partition("@")
        earlier = f" of the map {version[:6]}" if version else ""
        return RasterLayer(
            layer_id=layer_id,
            name=f"{entries[layer].name}{earlier}",
            url=find_raster_url(region_id, layer, version or now),
            opacity=opacity,
            is_smooth=entries[layer].kind is RasterKind.RGB,
        )

    rasters = []
    if choice.opacity < 1 and GROUND in entries and choice.layer != GROUND:
        rasters.append(make_layer("ground", GROUND, opacity=1.0))
    if choice.against:
        rasters.append(make_layer("before", choice.against, opacity=choice.opacity))
        title += ", swiped against another layer"
    rasters.append(make_layer("now", choice.layer, opacity=choice.opacity))
    vectors = [make_outline(region_id, is_simulated=view.region.kind is RegionKind.SIMULATED)]
    if choice.labels_id and choice.labels_id.startswith("suggested/"):
        vectors.append(make_places_layer(choice.labels_id.removeprefix("suggested/")))
    elif choice.labels_id:
        vectors.append(
            VectorLayer(
                layer_id="labels",
                name="Labels",
                url=f"{PREFIX}/vector/labels/{choice.labels_id}.geojson",
                mark=Mark.CIRCLE,
                color_property="color",
                text_property="class",
                size_px=5,
                is_clustered=True,
            )
        )
    clicking = choice.clicking
    camera, focus = read_camera(view)
    return MapSpec(
        description=f"Map of {view.region.name}: {title}. Arrow keys move, plus and minus zoom,"
        " Enter acts at the centre.",
        view=camera,
        focus=focus,
        rasters=tuple(rasters),
        vectors=tuple(vectors),
        swipe=Swipe(before="before", after="now") if choice.against else None,
        draw=DrawMode.NONE if clicking is None else clicking.mode,
        label=None if clicking is None else clicking.label,
        drawing=Drawing(revision=st.session_state.get("explore-revision", 0)),
        base_url=PREFIX,
    )


def _show_legend(view: RegionView, entries: Mapping[str, RasterEntry], choice: Choice) -> None:
    shown = [choice.layer]
    if choice.against and "@" not in choice.against:
        shown.append(choice.against)
    for layer in shown:
        areas = view.refresh.class_areas_km2 if view.refresh and layer == "class" else None
        legend = make_raster_legend(entries[layer], areas)
        if legend:
            st.html(legend)
        if layer in NOTES:
            st.caption(
                NOTES[layer] if len(shown) == 1 else f"{entries[layer].name}: {NOTES[layer]}"
            )
    st.link_button(
        "Download this layer",
        f"{PREFIX}/download/{view.region.region_id}/{choice.layer}.tif",
        icon=":material/download:",
        help="A cloud-optimised GeoTIFF with its CRS; class layers bring their colours. Everything"
        " at once is on the *Region* page, under *Report and downloads*.",
        width="stretch",
    )


def _find_place(region_id: str, event: MapEvent) -> tuple[float, float] | None:
    """Return the last place clicked in this region; it stays while the reader moves on."""
    key = f"explore-click-{region_id}"
    if event.click is not None:
        st.session_state[key] = (event.click.lon, event.click.lat)
    place: tuple[float, float] | None = st.session_state.get(key)
    return place
