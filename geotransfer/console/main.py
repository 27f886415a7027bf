"""The entry script: page frame and navigation. Each page reads views and submits commands."""

from __future__ import annotations

import streamlit as st

from geotransfer.console.icon import draw_icon
from geotransfer.console.screens import (
    calibrate,
    compare,
    cost,
    explore,
    jobs,
    label_next,
    new_region,
    region,
    regions,
    scenes,
)
from geotransfer.console.state import explain_errors
from geotransfer.console.upload_answers import keep_upload_answers

keep_upload_answers()

# A picture of our own: icons by name would be fetched from another host.
st.set_page_config(page_title="GeoTransfer", page_icon=draw_icon(), layout="wide")

PAGES = {
    "regions": st.Page(
        regions.show, title="Regions", url_path="regions", icon=":material/public:", default=True
    ),
    "region": st.Page(region.show, title="Region", url_path="region", icon=":material/map:"),
    "explore": st.Page(explore.show, title="Explore", url_path="explore", icon=":material/layers:"),
    "new_region": st.Page(
        new_region.show, title="New region", url_path="new-region", icon=":material/add_location:"
    ),
    "calibrate": st.Page(
        calibrate.show, title="Calibrate", url_path="calibrate", icon=":material/tune:"
    ),
    "compare": st.Page(
        compare.show, title="Compare", url_path="compare", icon=":material/compare:"
    ),
    "scenes": st.Page(
        scenes.show, title="Scenes", url_path="scenes", icon=":material/satellite_alt:"
    ),
    "label_next": st.Page(
        label_next.show, title="Label next", url_path="label-next", icon=":material/where_to_vote:"
    ),
    "jobs": st.Page(jobs.show, title="Jobs", url_path="jobs", icon=":material/schedule:"),
    "cost": st.Page(cost.show, title="Cost", url_path="cost", icon=":material/payments:"),
}
GROUPS = {
    "Map": ("regions", "region", "explore", "new_region"),
    "Improve": ("calibrate", "label_next", "compare"),
    "Operate": ("scenes", "jobs", "cost"),
}

# The default leaves a hand's breadth of nothing above every title, and captions too pale to read.
st.html(
    "<style>.stMainBlockContainer{padding:2.4rem 2.6rem 3rem}"
    "[data-testid=stCaptionContainer]{color:inherit;opacity:.82}"
    # No one colour is legible both as text on the dark ground and under white on a button.
    "button[data-selected=true] p,[data-testid=stSliderThumbValue] p"
    "{color:light-dark(#0a6262,#7fd3ca)}"
    "[data-testid=stSidebar] .stVerticalBlock{gap:.35rem}</style>"
)
# Pages link to each other by name.
st.session_state["pages"] = PAGES
# Links of our own: the groups of the framework's navigation are not a list to a screen reader.
page = st.navigation(list(PAGES.values()), position="hidden")
with st.sidebar:
    for group, names in GROUPS.items():
        st.caption(group)
        for name in names:
            st.page_link(PAGES[name], width="stretch")
    st.text_input("Your name, for the history", key="actor", placeholder="analyst")
with explain_errors():
    page.run()
