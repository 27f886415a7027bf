"""The training samples nearest to a pixel: what the model knows of such places."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from geotransfer.console.ports import Support


def show_support(support: Support | None) -> None:
    """Show how near a pixel is to training samples, and name the nearest."""
    if support is None:
        st.caption(
            "Not known yet: *Applicability* on the Region page compares the map with what its model"
            " was trained on."
        )
        return
    if support.dissimilarity is None:
        st.caption("A feature is missing here, so nothing can be compared.")
        return
    where = "inside" if support.is_inside else "**outside**"
    st.markdown(
        f"Dissimilarity index {support.dissimilarity:.2f}, {where} the area of applicability"
        f" (threshold {support.threshold:.2f}, folds {support.fold_rule})."
    )
    st.dataframe(
        pd.DataFrame(
            {
                "training sample of": [s.region_id for s in support.samples],
                "class": [s.class_name for s in support.samples],
                "dissimilarity": [s.dissimilarity for s in support.samples],
            }
        ),
        hide_index=True,
        column_config={"dissimilarity": st.column_config.NumberColumn(format="%.3f")},
        alt="Nearest training samples of this pixel",
    )
    st.caption(
        f"Nearest first, among {support.source}; prototypes are means of up to four neighbouring"
        " samples. Near and of one class: the model has seen such places. Near and of several: it"
        " cannot tell them apart."
    )
