"""What a search for scenes found: scenes, gigabytes, cost, access, before anything is read."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from geotransfer.console.scenes_panel import show_exclusions
from geotransfer.core.found import FoundScenes
from geotransfer.workflows.exclusions import RegionExclusions


def show_found(found: FoundScenes) -> None:
    """Show a search's answer."""
    n_new = sum(not scene.is_known for scene in found.scenes)
    asked = f" for {found.period}" if found.period else ""
    st.markdown(
        f"**{len(found.scenes)} scenes**{asked} in `{found.location}`, {n_new} of them new."
    )
    if found.scenes:
        _show_figures(found)
        _show_table(found)
    for note in found.access:
        (st.caption if note.is_ready else st.warning)(
            f"Access: {note} · {note.n_files:,} files"
            + ("" if note.is_ready else ". Set this where the worker runs.")
        )
    if found.exclusions:
        st.warning(f"{len(found.exclusions)} scenes cannot be used and would be left out:")
    show_exclusions(RegionExclusions(exclusions=found.exclusions, passed_over=found.passed_over))


def _show_figures(found: FoundScenes) -> None:
    size, read, cost = st.columns(3)
    size.metric("Files", f"{found.sizes.total_bytes / 1e9:,.2f} GB")
    size.caption(str(found.sizes).partition("(")[2].rstrip(")"))
    read.metric("The region reads about", f"{found.read_bytes / 1e9:,.2f} GB")
    read.caption("by area of the footprints")
    cost.metric("Predicted cost", f"{found.predicted.cpu_s:,.0f} CPU-s")
    money = "" if found.cost_usd is None else f"{found.cost_usd:,.2f} USD at the set rate · "
    cost.caption(money + found.cost_basis)


def _show_table(found: FoundScenes) -> None:
    scenes = found.scenes
    st.dataframe(
        pd.DataFrame(
            {
                "Sensed (UTC)": [s.sensed_at[:16].replace("T", " ") for s in scenes],
                "Scene": [s.scene_id for s in scenes],
                "Cloud %": [s.cloud_percent for s in scenes],
                "Of the region": [100 * s.overlap for s in scenes],
                "Cloud mask": ["yes" if s.has_mask else "none" for s in scenes],
                "MB": [None if s.size_bytes is None else s.size_bytes / 1e6 for s in scenes],
                "Here": ["already" if s.is_known else "new" for s in scenes],
            }
        ),
        hide_index=True,
        height=min(320, 38 + 35 * len(scenes)),
        column_config={
            "Cloud %": st.column_config.NumberColumn(format="%.0f"),
            "Of the region": st.column_config.NumberColumn(format="%.0f %%"),
            "MB": st.column_config.NumberColumn(format="%.1f"),
        },
        alt="Scenes that the search found",
    )
