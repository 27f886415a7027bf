"""Where a map looks, as part of the page's address: ``view=lon,lat,zoom``."""

from __future__ import annotations

import math

import streamlit as st

from geotransfer.console.map.spec import SeenView, View
from geotransfer.console.state import read_address, write_address
from geotransfer.workflows.views import RegionView, read_bounds

MAX_ZOOM = 21.0


def parse_view(text: str | None) -> View | None:
    """Read ``lon,lat,zoom``; None for whatever is not a place on the map."""
    parts = (text or "").split(",")
    try:
        lon, lat, zoom = (float(part) for part in parts)
    except ValueError:
        return None
    is_place = abs(lon) <= 180 and abs(lat) <= 85 and 0 <= zoom <= MAX_ZOOM
    return View(center=(lon, lat), zoom=zoom) if is_place and math.isfinite(zoom) else None


def format_view(seen: SeenView) -> str:
    """Write a camera as the address has it; five digits are a metre."""
    lon, lat = seen.center
    return f"{lon:.5f},{lat:.5f},{seen.zoom:.2f}"


def read_camera(view: RegionView) -> tuple[View, str]:
    """Return the camera a region's map starts with, and its focus.

    The address counts when the page is opened; afterwards the camera is the reader's own, and the
    focus must not change with every move.
    """
    region_id = view.region.region_id
    key = f"camera-start-{region_id}"
    if st.session_state.get("camera-region") != region_id:
        # Another region was shown before: what the address says was about that one.
        is_first = "camera-region" not in st.session_state
        told = read_address("view") if is_first else st.session_state.get(f"camera-{region_id}")
        if not is_first:
            write_address({"view": told})
        st.session_state["camera-region"] = region_id
        st.session_state[key] = told
    start = parse_view(st.session_state.get(key))
    return start or View(bounds=read_bounds(view.region)), region_id


def write_camera(region_id: str, seen: SeenView | None) -> None:
    """Put where the reader moved the camera into the address, and remember it for the region."""
    if seen is not None:
        st.session_state[f"camera-{region_id}"] = format_view(seen)
    write_address({"view": st.session_state.get(f"camera-{region_id}") or read_address("view")})
