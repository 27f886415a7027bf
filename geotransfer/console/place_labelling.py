"""Label suggested places one at a time, on the composite, at the very pixel that was suggested."""

from __future__ import annotations

import json

import streamlit as st

from geotransfer.console.clicking_panel import find_imagery_day
from geotransfer.console.map.component import show_map
from geotransfer.console.map.spec import MapSpec, View
from geotransfer.console.map_sources import make_ground, make_places_layer
from geotransfer.console.state import PREFIX, find_actor, run_guarded
from geotransfer.core.suggestion import Design, Place, Suggestion
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.labels import add_checked, check_file
from geotransfer.workflows.views import RegionView

UNTOLD = ""
"""Answer for a place whose class cannot be told: it gets no label."""
CLOSE_ZOOM = 15.5
FILE_NAME = "suggested-places.geojson"


def show_labelling(
    workspace: Workspace, view: RegionView, suggestion_id: str, suggestion: Suggestion
) -> None:
    """Show the next place without an answer, the classes to choose from, and what is done."""
    key = f"answers-{suggestion_id}"
    answers: dict[int, str] = st.session_state.setdefault(key, {})
    waiting = [place for place in suggestion.places if place.number not in answers]
    done = [number for number, name in answers.items() if name != UNTOLD]
    st.progress(
        len(answers) / len(suggestion.places),
        text=f"{len(answers)} of {len(suggestion.places)} places looked at, {len(done)} labelled",
    )
    left, right = st.columns([3, 1], gap="medium")
    with right:
        if waiting:
            _show_choices(view, waiting[0], answers)
        else:
            st.success("Every place was looked at. Save the labels.")
        if answers:
            st.button(
                "Take back the last answer",
                icon=":material/undo:",
                width="stretch",
                on_click=take_back,
                args=(answers,),
            )
        _show_save(workspace, view, suggestion, answers, key)
    with left:
        place = waiting[0] if waiting else suggestion.places[-1]
        show_map(_make_close_map(view, suggestion_id, place), key=f"labelling-{suggestion_id}")


def take_back(answers: dict[int, str]) -> None:
    """Forget the answer given last."""
    answers.popitem()


def _show_choices(view: RegionView, place: Place, answers: dict[int, str]) -> None:
    st.subheader(f"Place {place.number}", anchor="place")
    st.caption(f"{place.lat:.5f}, {place.lon:.5f}: what is under the circle?")
    for name in view.legend.names:
        st.button(
            name,
            key=f"answer-{name}",
            width="stretch",
            on_click=answers.__setitem__,
            args=(place.number, name),
        )
    st.button(
        "Cannot tell",
        key="answer-untold",
        icon=":material/question_mark:",
        width="stretch",
        help="The place gets no label. Of a drawn sample, four in five must have one.",
        on_click=answers.__setitem__,
        args=(place.number, UNTOLD),
    )


def _show_save(
    workspace: Workspace,
    view: RegionView,
    suggestion: Suggestion,
    answers: dict[int, str],
    key: str,
) -> None:
    region_id = view.region.region_id
    known = {number: name for number, name in answers.items() if name != UNTOLD}
    is_drawn = suggestion.design is Design.STRATIFIED
    role = "holdout" if is_drawn else "calibration"

    def save() -> None:
        document = make_labels(suggestion, known, find_imagery_day(workspace, region_id))
        checked = check_file(workspace, region_id, document, FILE_NAME)
        add_checked(workspace, region_id, checked, role=role, actor=find_actor())
        st.session_state.pop(key, None)

    follow = (
        "Press *Evaluate* on the Region page." if is_drawn else "Fine-tune them on *Calibrate*."
    )
    st.button(
        f"Save {len(known)} {role} labels",
        type="primary",
        icon=":material/save:",
        disabled=not known,
        width="stretch",
        on_click=run_guarded,
        args=(save,),
        kwargs={"success": f"Saved {len(known)} {role} labels. {follow}"},
    )


def make_labels(suggestion: Suggestion, answers: dict[int, str], day: str) -> bytes:
    """Return answers as the label file they would be, at the places' own positions."""
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [place.lon, place.lat]},
            "properties": {"class": answers[place.number], "date": day, "place": place.number},
        }
        for place in suggestion.places
        if place.number in answers
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


def _make_close_map(view: RegionView, suggestion_id: str, place: Place) -> MapSpec:
    """The composite only: who labels must not see what the map says."""
    return MapSpec(
        description=f"Composite of {view.region.name} around place {place.number}, which is marked"
        " by a circle",
        view=View(center=(place.lon, place.lat), zoom=CLOSE_ZOOM),
        focus=f"{suggestion_id}-{place.number}",
        rasters=make_ground(view),
        vectors=(make_places_layer(f"{suggestion_id}/{place.number}"),),
        height_px=520,
        base_url=PREFIX,
    )
