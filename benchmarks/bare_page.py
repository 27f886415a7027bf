"""The least page of the console's kind: a title, one polygon on a map, a table.

What it takes is the framework's own share of a page; ``benchmarks.console`` loads it in turn with
the console's first page.
"""

from __future__ import annotations

import pandas as pd
import pydeck as pdk
import streamlit as st

SQUARE = {
    "type": "Polygon",
    "coordinates": [[[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]],
}


def show_page() -> None:
    """Show the page."""
    st.title("Bare")
    layer = pdk.Layer(
        "GeoJsonLayer", data=SQUARE, get_fill_color=[11, 110, 110], stroked=False, id="square"
    )
    st.pydeck_chart(pdk.Deck(layers=[layer], map_provider=None), height=460)
    st.dataframe(pd.DataFrame({"Region": ["Square"], "Accuracy": [0.8]}), hide_index=True)


show_page()
