"""Explore: a region's map at full resolution; click to explain, click to label."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from geotransfer.console.map.component import show_map
from geotransfer.console.map.spec import (
    Drawing,
    DrawMode,
    DrawnFeature,
    Label,
    MapClick,
    MapSpec,
    Mark,
    RasterLayer,
    Swipe,
    VectorLayer,
    View,
)
from geotransfer.console.map_panel import make_class_legend, make_ramp_legend
from geotransfer.console.palettes import OBSERVATIONS, PROBABILITY
from geotransfer.console.ports import Pixel, read_pixel
from geotransfer.console.state import (
    PREFIX,
    explain_errors,
    find_actor,
    find_workspace,
    load_views,
    pick_region,
    run_guarded,
    show_notice,
)
from geotransfer.core.fact import RefreshDone
from geotransfer.core.legend import APPLICABILITY, CROPLAND
from geotransfer.core.region import RegionKind
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.labels import add_checked, check_file
from geotransfer.workflows.views import RegionView, read_bounds

LAYERS = {
    "class": "Class",
    "probability": "Probability of crop",
    "observations": "Valid observations",
    "applicability": "Area of applicability",
    "true-colour": "Composite, true colour",
    "false-colour": "Composite, false colour",
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
        st.info("No map yet. Open a region with scenes and press *Refresh map*.")
        return
    view = pick_region(mappable, key="explore-picker")
    if view is None:
        return
    st.caption(view.region.attribution)
    _show_explorer(workspace, view)


@dataclass(frozen=True, slots=True)
class Choice:
    """What the reader chose to see."""

    layer: str
    opacity: float
    compared: str | None
    """Map version to swipe against, or None."""
    label_class: str | None


def _choose(workspace: Workspace, view: RegionView) -> Choice:
    asked = st.query_params.get("layer", "class")
    layer = st.radio(
        "Layer", list(LAYERS), format_func=LAYERS.__getitem__, key="explore-layer",
        index=list(LAYERS).index(asked) if asked in LAYERS else 0,
    )  # fmt: skip
    st.query_params["layer"] = layer
    opacity = st.slider("Opacity", 0.0, 1.0, 1.0, 0.05, key="explore-opacity")
    older = _list_versions(workspace, view)
    compared = st.selectbox(
        "Swipe against", [None, *older], key="explore-swipe",
        format_func=lambda v: "nothing" if v is None else older[v],
        help="An earlier map of this region, left of the handle.",
    )  # fmt: skip
    is_labelling = st.toggle("Label by clicking", key="explore-labelling")
    label_class = None
    if is_labelling:
        label_class = st.radio("Class of the next click", CROPLAND.names, key="explore-class")
    return Choice(layer, opacity, compared, label_class)


def _list_versions(workspace: Workspace, view: RegionView) -> dict[str, str]:
    facts = workspace.ledger.read(RefreshDone, region_id=view.region.region_id)
    now = view.refresh.map_id[:16] if view.refresh else ""
    versions = {r.fact.map_id[:16]: f"map of {r.at[:16].replace('T', ' ')}" for r in facts}
    return {v: name for v, name in reversed(versions.items()) if v != now}


@st.fragment
def _show_explorer(workspace: Workspace, view: RegionView) -> None:
    left, right = st.columns([3, 1], gap="medium")
    with right:
        choice = _choose(workspace, view)
        _show_legend(view, choice.layer)
    with left:
        event = show_map(_make_spec(view, choice), key=f"explore-{view.region.region_id}")
    if choice.label_class is not None:
        _show_labels(workspace, view, event.drawn)
    else:
        _show_pixel(workspace, view, event.click)


def _make_spec(view: RegionView, choice: Choice) -> MapSpec:
    region_id = view.region.region_id
    version = view.refresh.map_id[:16] if view.refresh else ""
    is_photo = choice.layer.endswith("colour")
    title = LAYERS[choice.layer]

    def make_layer(layer_id: str, v: str) -> RasterLayer:
        return RasterLayer(
            layer_id=layer_id,
            name=f"{LAYERS[choice.layer]} ({layer_id})"
            if choice.compared
            else LAYERS[choice.layer],
            url=f"{PREFIX}/raster/{region_id}/{choice.layer}/tilejson.json?v={v}",
            opacity=choice.opacity,
            is_smooth=is_photo,
        )

    rasters = [make_layer("now", version)]
    if choice.compared:
        rasters.insert(0, make_layer("before", choice.compared))
    colors = {item.name: item.color for item in CROPLAND.classes}
    label = choice.label_class
    return MapSpec(
        description=f"{title} of {view.region.name}; click for the values of a pixel",
        view=View(bounds=read_bounds(view.region)),
        focus=region_id,
        rasters=tuple(rasters),
        vectors=(
            VectorLayer(
                layer_id="outline",
                name="Outline",
                url=f"{PREFIX}/vector/outline/{region_id}.geojson",
                mark=Mark.LINE,
                is_dashed=view.region.kind is RegionKind.SIMULATED,
            ),
        ),
        swipe=Swipe(before="before", after="now") if choice.compared else None,
        draw=DrawMode.NONE if label is None else DrawMode.POINT,
        label=None if label is None else Label(name=label, color=colors[label]),
        drawing=Drawing(revision=st.session_state.get("explore-revision", 0)),
        base_url=PREFIX,
    )


def _show_legend(view: RegionView, layer: str) -> None:
    if layer == "class":
        st.html(make_class_legend(view.refresh.class_areas_km2 if view.refresh else {}))
    elif layer == "applicability":
        st.html(make_class_legend({}, APPLICABILITY))
        st.caption("Made by *Assess before labelling* on the Calibrate page, for the present map.")
    elif layer in ("probability", "observations"):
        st.html(make_ramp_legend(PROBABILITY if layer == "probability" else OBSERVATIONS))
    else:
        st.caption("Reflectance of the second half-year's geometric median, stretched.")
    region_id = view.region.region_id
    st.html(
        f'<a href="{PREFIX}/download/{region_id}/{layer}.tif" download>Download this layer'
        " (GeoTIFF)</a>"
    )


def _show_pixel(workspace: Workspace, view: RegionView, click: MapClick | None) -> None:
    key = f"explore-click-{view.region.region_id}"
    if click is not None:
        st.session_state[key] = (click.lon, click.lat)
    place = st.session_state.get(key)
    if place is None:
        st.caption("Click a pixel to see what the map says there, and why.")
        return
    lon, lat = place
    with explain_errors():
        pixel = read_pixel(workspace, view.region.region_id, lon, lat)
        if pixel is None:
            st.caption(f"{lat:.5f}, {lon:.5f}: outside this region's map.")
            return
        _show_explanation(pixel, lon, lat)


def _show_explanation(pixel: Pixel, lon: float, lat: float) -> None:
    what = pixel.class_name or "no answer (not enough valid observations)"
    st.subheader(f"{what} at {lat:.5f}, {lon:.5f}")
    a, b, c = st.columns(3)
    if pixel.probabilities:
        name, value = pixel.probabilities[-1]
        a.metric(f"Probability of {name}", f"{value:.2f}")
    b.metric("Valid observations", pixel.n_observations)
    c.metric("Model", pixel.model_name)
    st.caption(
        f"Computed {pixel.computed_at[:16]}, confirmed {pixel.confirmed_at[:16]} (UTC), from"
        f" {len(pixel.scene_ids)} scenes."
    )
    why, values, scenes = st.tabs(["Why", "Values", "Scenes"])
    with why:
        if pixel.contributions:
            frame = pd.DataFrame(pixel.contributions, columns=["feature", "contribution"])
            st.bar_chart(
                frame, x="feature", y="contribution", horizontal=True, sort=False, height=340
            )
            st.caption("Terms of the log odds of crop; positive speaks for it, negative against.")
    with values:
        st.dataframe(
            pd.DataFrame(pixel.features, columns=["measured column", "value"]), hide_index=True
        )
    with scenes:
        st.dataframe(pd.DataFrame({"scene": list(pixel.scene_ids)}), hide_index=True)


def _show_labels(workspace: Workspace, view: RegionView, drawn: tuple[DrawnFeature, ...]) -> None:
    """Save clicked points as a calibration set, through the same checks as an upload."""
    counts = pd.Series([feature.label for feature in drawn]).value_counts()
    told = ", ".join(f"{n} {name}" for name, n in counts.items()) or "none yet"
    st.markdown(f"**Labels drawn:** {told}. Undo with the map's own button.")
    features = [
        {"type": "Feature", "geometry": f.geometry, "properties": {"class": f.label}} for f in drawn
    ]
    document = json.dumps({"type": "FeatureCollection", "features": features}).encode()

    def save() -> None:
        region_id = view.region.region_id
        checked = check_file(workspace, region_id, document, "clicked-labels.geojson")
        add_checked(workspace, region_id, checked, actor=find_actor())
        st.session_state["explore-revision"] = st.session_state.get("explore-revision", 0) + 1

    st.button(
        f"Save {len(drawn)} labels as a calibration set",
        disabled=not drawn,
        type="primary",
        on_click=run_guarded,
        args=(save,),
        kwargs={"success": "Saved. Fine-tune them on the Calibrate page."},
    )
