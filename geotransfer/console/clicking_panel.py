"""Labels by clicking: an analyst without a file starts here."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from geotransfer.console.map.spec import DrawMode, DrawnFeature, Label
from geotransfer.console.state import find_actor, run_guarded, show_notice
from geotransfer.core.legend import Legend
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.labels import add_checked, check_file
from geotransfer.workflows.scene_list import load_scenes

FILE_NAME = "clicked-labels.geojson"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clicking:
    """What the next click on the map adds."""

    mode: DrawMode
    label: Label


def choose_clicking(legend: Legend) -> Clicking:
    """Show the choice of class and shape."""
    colors = {item.name: item.color for item in legend.classes}
    name = st.radio("Class of the next label", legend.names, key="explore-class", horizontal=True)
    shapes = {DrawMode.POINT: "point (click)", DrawMode.POLYGON: "outline (draw)"}
    mode = st.radio(
        "Shape", list(shapes), format_func=shapes.__getitem__, key="explore-shape", horizontal=True,
        help="Points: one click each. Outlines: click the corners, then the first one again, or"
        " *Finish*. Undo takes back the last one.",
    )  # fmt: skip
    return Clicking(mode=DrawMode(mode), label=Label(name=name, color=colors[name]))


def find_imagery_day(workspace: Workspace, region_id: str) -> str:
    """Return the day of the newest scene: what is labelled is what the imagery shows then."""
    scenes = load_scenes(workspace, region_id).scenes
    return max(scene.sensed_at for scene in scenes)[:10]


def make_document(drawn: tuple[DrawnFeature, ...], day: str) -> bytes:
    """Return drawn labels as the label file they would be."""
    features = [
        {
            "type": "Feature",
            "geometry": dict(feature.geometry),
            "properties": {"class": feature.label, "date": day},
        }
        for feature in drawn
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


def show_clicked(workspace: Workspace, region_id: str, drawn: tuple[DrawnFeature, ...]) -> None:
    """Show what was drawn, and save it through the same checks as an upload."""
    show_notice("clicking")  # a button in a fragment runs only the fragment
    counts = pd.Series([feature.label for feature in drawn], dtype=object).value_counts()
    told = ", ".join(f"{n} {name}" for name, n in counts.items())
    if not drawn:
        st.info(
            "Click on the map to add a label of the chosen class; about a hundred, spread over the"
            " whole region, work best. Then save them here and fine-tune on the *Calibrate* page.",
            icon=":material/ads_click:",
        )
        return
    day = find_imagery_day(workspace, region_id)
    st.markdown(
        f"**Drawn: {told}.** They will be dated {day}, the day of the newest scene. Undo and clear"
        " with the buttons on the map."
    )
    document = make_document(drawn, day)

    def save() -> str:
        checked = check_file(workspace, region_id, document, FILE_NAME)
        add_checked(workspace, region_id, checked, actor=find_actor())
        st.session_state["explore-revision"] = st.session_state.get("explore-revision", 0) + 1
        if not checked.rejected:
            return ""
        first = checked.rejected[0]
        return f"{len(checked.rejected)} of them were left out, the first because {first.reason}."

    left, right, _ = st.columns([2, 2, 2])
    left.button(
        f"Save {len(drawn)} labels as a calibration set",
        type="primary",
        icon=":material/save:",
        width="stretch",
        on_click=run_guarded,
        args=(save,),
        kwargs={"success": "Saved. Fine-tune them on the Calibrate page."},
    )
    right.download_button(
        "Download them (GeoJSON)",
        document,
        file_name=FILE_NAME,
        mime="application/geo+json",
        icon=":material/download:",
        width="stretch",
    )
