from __future__ import annotations

import json
from dataclasses import asdict

import streamlit as st

from geotransfer.console.map.component import show_map
from geotransfer.console.map.spec import (
    Drawing,
    DrawMode,
    Label,
    MapSpec,
    Mark,
    RasterLayer,
    Swipe,
    VectorLayer,
    View,
)

st.set_page_config(layout="wide")
LAYERS = "/geo/raster/r1"


@st.fragment
def show_explore() -> None:
    state = st.session_state
    columns = st.columns(6)
    opacity = columns[0].selectbox("Opacity", [1.0, 0.5])
    is_swiped = columns[1].checkbox("Swipe")
    mode = columns[2].selectbox("Draw", list(DrawMode))
    has_points = columns[3].checkbox("Points")
    focus = columns[4].selectbox("Focus", ["region", "world"])
    if columns[5].button("Forget drawing"):
        state["revision"] = state.get("revision", 0) + 1
    event = show_map(
        MapSpec(
            description="Map of four quarters",
            view=View(bounds=(1.72, 43.206, 1.87, 43.317)) if focus == "region" else View(),
            focus=focus,
            rasters=(
                RasterLayer(
                    layer_id="probability",
                    name="Probability",
                    url=LAYERS + "/probability/tilejson.json?v=1",
                    is_visible=is_swiped,
                ),
                RasterLayer(
                    layer_id="class",
                    name="Class",
                    url=LAYERS + "/class/tilejson.json?v=1",
                    opacity=opacity,
                ),
            ),
            vectors=(
                VectorLayer(
                    layer_id="outline", name="Outline", url="/geo/vector/outline.geojson",
                    id_property="id", text_property="text", is_dashed=True,
                ),
                VectorLayer(
                    layer_id="points", name="Points", url="/geo/vector/points.geojson",
                    mark=Mark.CIRCLE, color_property="color", size_px=6, is_visible=has_points,
                    is_clustered=True, id_property="id", text_property="text",
                ),
            ),
            swipe=Swipe(before="probability", after="class") if is_swiped else None,
            draw=mode,
            draw_limit=1 if mode is DrawMode.POLYGON else 0,
            label=Label(name="crop", color="#e69f00") if mode is DrawMode.POINT else None,
            drawing=Drawing(revision=state.get("revision", 0)),
            height_px=560,
        ),
        key="explore",
    )  # fmt: skip
    state["runs"] = state.get("runs", 0) + 1
    if event.click:
        state["clicks"] = [*state.get("clicks", []), asdict(event.click)]
    told = {
        "runs": state["runs"],
        "clicks": state.get("clicks", []),
        "view": asdict(event.view) if event.view else None,
        "drawn": [asdict(feature) for feature in event.drawn],
    }
    st.code(json.dumps(told), language="json")


def show_other() -> None:
    st.write("Another page")


st.navigation(
    [
        st.Page(show_explore, title="Explore", default=True),
        st.Page(show_other, title="Other", url_path="other"),
    ],
    position="top",
).run()
