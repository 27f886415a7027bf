"""The verdict before labelling: like the regions the model knows, or not."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from geotransfer.console.state import find_actor, run_guarded
from geotransfer.console.waiting import list_running
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.submit import submit_assess
from geotransfer.workflows.views import RegionView, find_assessment_plain


def show_assessment(workspace: Workspace, view: RegionView) -> None:
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
        left, right = st.columns(2)
        left.metric("Inside the area of applicability", f"{inside['value']:.0%}")
        left.caption(f"{inside['low']:.0%}–{inside['high']:.0%} of pixels; {found['fold_rule']}")
        right.metric("Separability from the source (AUC)", f"{separability['value']:.2f}")
        right.caption(f"{separability['low']:.2f}–{separability['high']:.2f}; 0.5: alike")
        st.dataframe(pd.DataFrame(found["nearest"]), hide_index=True, alt="Nearest source regions")
        st.caption(
            "Features alone do not rank regions by accuracy; they tell a region of another kind."
            " The map of where the model applies is a layer of *Explore*."
        )
    st.button(
        "Assess before labelling",
        icon=":material/travel_explore:",
        disabled=bool(list_running(workspace, region_id)),
        on_click=run_guarded,
        args=(lambda: submit_assess(workspace, region_id, by=find_actor()),),
        kwargs={"success": "Assessment queued."},
    )
