"""One pixel explained: what the map says there, why, when and by what it was made."""

from __future__ import annotations

import altair as alt
import pandas as pd
import streamlit as st

from geotransfer.console.palettes import DIFFERING
from geotransfer.console.ports import Pixel, read_pixel
from geotransfer.console.state import explain_errors
from geotransfer.console.support_panel import show_support
from geotransfer.store.workspace import Workspace


def show_pixel(workspace: Workspace, region_id: str, place: tuple[float, float] | None) -> None:
    """Show the pixel at a place (longitude, latitude), or how to choose one."""
    if place is None:
        st.caption(
            "Click a pixel to see what the map says there, and why. By keyboard: move the map with"
            " the arrow keys, then press Enter for the place under the cross."
        )
        return
    lon, lat = place
    with explain_errors():
        pixel = read_pixel(workspace, region_id, lon, lat)
        if pixel is None:
            st.caption(
                f"{lat:.5f}, {lon:.5f}: outside this region's map; click inside its outline."
            )
            return
        _show_explanation(pixel, lon, lat)


def _show_explanation(pixel: Pixel, lon: float, lat: float) -> None:
    st.subheader(f"{pixel.class_name or 'No answer'} at {lat:.5f}, {lon:.5f}", anchor="pixel")
    if pixel.class_name is None:
        st.caption(
            "Not enough valid observations, or outside the outline. Nothing is guessed here; more"
            " scenes may bring an answer."
        )
    figures = [(f"Probability of {name}", f"{value:.0%}") for name, value in pixel.probabilities]
    figures.append(("Valid observations", str(pixel.n_observations)))
    for start in range(0, len(figures), 4):
        row = figures[start : start + 4]
        for column, (title, value) in zip(st.columns(4), row, strict=False):
            column.metric(title, value)
    st.caption(
        f"By **{pixel.model_name}**. Computed {_write_time(pixel.computed_at)}, confirmed"
        f" {_write_time(pixel.confirmed_at)} (UTC): a refresh then found nothing that could change"
        f" it. {len(pixel.scene_ids)} scenes touch its tile."
    )
    why, near, values, scenes = st.tabs(
        ["Why", "Nearest samples", "Values", f"Scenes ({len(pixel.scene_ids)})"]
    )
    with why:
        _show_contributions(pixel)
    with near:
        show_support(pixel.support)
    with values:
        st.dataframe(
            pd.DataFrame(pixel.features, columns=["measured column", "value"]),
            hide_index=True,
            height=340,
            column_config={"value": st.column_config.NumberColumn(format="%.4f")},
            alt="Measured columns of this pixel with their values",
        )
    with scenes:
        st.dataframe(
            pd.DataFrame({"scene": list(pixel.scene_ids)}),
            hide_index=True,
            height=340,
            alt="Scenes this pixel's tile was made from",
        )


def _write_time(moment: str) -> str:
    return moment[:16].replace("T", " ")


def _show_contributions(pixel: Pixel) -> None:
    """Show the weightiest terms of the score: right speaks for the class, left against."""
    if not pixel.contributions:
        st.caption("No answer here, so nothing to explain.")
        return
    name = pixel.explained_class or pixel.probabilities[-1][0]
    score = "log odds" if len(pixel.probabilities) == 2 else "score"
    frame = pd.DataFrame(pixel.contributions, columns=["feature", "contribution"])
    frame["speaks"] = frame["contribution"].map(lambda v: "for" if v > 0 else "against")
    less, more = DIFFERING.anchors[1], DIFFERING.anchors[3]
    first, weight = pixel.contributions[0]
    chart = (
        alt.Chart(frame)
        .mark_bar()
        .encode(
            x=alt.X("contribution:Q", title=f"{score} of {name}"),
            y=alt.Y(
                "feature:N",
                sort=None,
                title=None,
                axis=alt.Axis(labelLimit=220, labelOverlap=False),
            ),
            color=alt.Color(
                "speaks:N",
                scale=alt.Scale(domain=["for", "against"], range=[more, less]),
                legend=alt.Legend(title=f"speaks for or against {name}", orient="bottom"),
            ),
            tooltip=["feature", alt.Tooltip("contribution:Q", format="+.3f")],
        )
        .properties(height=24 * len(frame) + 40)
    )
    st.altair_chart(
        chart,
        alt=f"Contributions of {len(frame)} features to the {score} of {name}; the largest is"
        f" {first} with {weight:+.2f}. The table below says the same.",
    )
    with st.expander("The same as a table"):
        st.dataframe(
            frame,
            hide_index=True,
            column_config={"contribution": st.column_config.NumberColumn(format="%+.3f")},
            alt="Features with their contributions",
        )
