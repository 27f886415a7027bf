"""A map of when each tile was last computed and last confirmed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

import pydeck as pdk
import streamlit as st

from geotransfer.console.map_panel import make_ramp_legend
from geotransfer.console.metrics import parse_color
from geotransfer.console.palettes import COMPUTED, Scale, fit_scale
from geotransfer.workflows.scene_views import TileAge

SECONDS_A_DAY = 86400
MAP_WIDTH_PX, MAP_HEIGHT_PX = 640, 400
FIGURES = {"computed_at": "Last computed", "confirmed_at": "Last confirmed"}


def show_ages(ages: Sequence[TileAge], *, key: str) -> None:
    """Show the tiles coloured by the day they were computed or confirmed, with a legend."""
    figure = st.segmented_control(
        "Colour by", list(FIGURES), format_func=FIGURES.__getitem__, default="computed_at",
        key=f"{key}-figure", required=True,
    ) or "computed_at"  # fmt: skip
    days = {age.tile_id: read_days(getattr(age, figure)) for age in ages}
    scale = fit_scale(COMPUTED, days.values())
    left, right = st.columns([3, 1], gap="medium")
    with left:
        st.pydeck_chart(make_deck(ages, days, scale), height=MAP_HEIGHT_PX, key=f"{key}-{figure}")
    with right:
        st.html(make_ramp_legend(scale))
        st.markdown(describe_ages(ages))
        st.caption("At full resolution: *Last computed* is a layer of the Explore page.")


def describe_ages(ages: Sequence[TileAge]) -> str:
    """Return how many tiles the last refresh computed, and what became of the others."""
    n_new = sum(age.computed_at == age.confirmed_at for age in ages)
    if n_new == len(ages):
        return f"All {len(ages)} tiles were computed at the last refresh."
    return (
        f"The last refresh computed {n_new} of {len(ages)} tiles and confirmed the others: what"
        " came since could not change them, or hardly."
    )


def read_days(at: str) -> float:
    """Return days since 1970-01-01, with the time of day as a fraction."""
    return datetime.fromisoformat(at).timestamp() / SECONDS_A_DAY


def make_deck(ages: Sequence[TileAge], days: dict[str, float], scale: Scale) -> pdk.Deck:
    """Return the tiles as a map."""
    data = [
        {
            "ring": [list(corner) for corner in age.ring],
            "color": [*parse_color(scale.color(days[age.tile_id])), 220],
            "tile": age.tile_id,
            "computed": age.computed_at[:16].replace("T", " "),
            "confirmed": age.confirmed_at[:16].replace("T", " "),
            "why": f"{age.action}: {age.reason}",
        }
        for age in ages
    ]
    lons = [lon for age in ages for lon, _ in age.ring]
    lats = [lat for age in ages for _, lat in age.ring]
    middle = (min(lats) + max(lats)) / 2
    # A degree of longitude is 512 · 2^zoom / 360 pixels wide, one of latitude taller by 1 / cos.
    room = min(
        MAP_WIDTH_PX / max(max(lons) - min(lons), 1e-6),
        MAP_HEIGHT_PX * math.cos(math.radians(middle)) / max(max(lats) - min(lats), 1e-6),
    )
    view = pdk.ViewState(
        longitude=(min(lons) + max(lons)) / 2,
        latitude=middle,
        zoom=math.log2(0.9 * room * 360 / 512),
    )
    return pdk.Deck(
        layers=[
            pdk.Layer(
                "PolygonLayer",
                data=data,
                id="tiles",
                get_polygon="ring",
                get_fill_color="color",
                get_line_color=[40, 50, 60],
                line_width_min_pixels=1,
                stroked=True,
                pickable=True,
                auto_highlight=True,
            )
        ],
        map_provider=None,
        initial_view_state=view,
        tooltip={
            "html": "<b>{tile}</b><br>computed {computed} UTC<br>confirmed {confirmed} UTC<br>{why}"
        },
    )
