"""The verdict before labelling: like the regions the model knows, or not."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from geotransfer.console.state import find_actor, run_guarded
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.submit import submit_assess
from geotransfer.workflows.views import RegionView, find_assessment_plain


def show_assessment(workspace: Workspace, view: RegionView, *, is_busy: bool) -> None:
    """Show what features alone can tell, and let them be looked at."""
    region_id = view.region.region_id
    found = find_assessment_plain(workspace, region_id)
    if found is None:
        st.markdown(
            "From features alone, without a label: how much of the region is unlike anything the"
            " global model was trained on, and which source regions are nearest."
        )
    else:
        st.markdown(f"**Recommendation: {found['recommendation']}**")
        for reason in found["reasons"]:
            st.markdown(f"- {reason}")
        inside, separability = found["inside_share"], found["separability"]
        left, right, expected, years = st.columns(4)
        left.metric("Inside the area of applicability", f"{inside['value']:.0%}")
        left.caption(f"{inside['low']:.0%}–{inside['high']:.0%} of pixels; {found['fold_rule']}")
        right.metric("Separability from the source (AUC)", f"{separability['value']:.2f}")
        right.caption(f"{separability['low']:.2f}–{separability['high']:.2f}; 0.5: alike")
        _show_expected(found, expected)
        apart = found.get("years_apart")
        years.metric("Shift of year", "–" if apart is None else f"{apart:+d}")
        years.caption("years between the imagery and the source's labels")
        _show_more(found)
        st.caption(
            "Features alone do not rank regions by accuracy; they tell a region of another kind."
            " The map of where the model applies is a layer of *Explore*."
        )
    st.button(
        "Assess before labelling",
        icon=":material/travel_explore:",
        disabled=is_busy,
        on_click=run_guarded,
        args=(lambda: submit_assess(workspace, region_id, by=find_actor()),),
        kwargs={"success": "Assessment queued."},
    )


def _show_expected(found: dict[str, Any], column: DeltaGenerator) -> None:
    told = found.get("expected")
    if told is None:
        column.metric("Accuracy to expect", "–")
        column.caption("unlike any region the model was tested on")
        return
    column.metric("Accuracy to expect", f"{told['value']:.2f}")
    column.caption(
        f"{told['low']:.2f}–{told['high']:.2f}; the target is {found['accuracy_target']:.2f}"
    )


def _show_more(found: dict[str, Any]) -> None:
    """Show the nearest source regions, and whether neighbours share class or region."""
    left, right = st.columns([2, 3], gap="medium")
    left.table(
        pd.DataFrame(
            {
                "source region": [r["region_id"] for r in found["nearest"]],
                "median dissimilarity": [f"{r['median_di']:.2f}" for r in found["nearest"]],
            }
        ),
        border="horizontal",
        hide_index=True,
        alt="Nearest source regions",
    )
    robustness = found.get("robustness")
    if robustness is not None:
        right.metric("Robustness index of the source", f"{robustness['value']:.2f}")
        right.caption(
            f"{robustness['low']:.2f}–{robustness['high']:.2f}. Do neighbours in feature space"
            " share class (1) or region (0)? Near 0, what was learnt in one region is not near in"
            " another."
        )
