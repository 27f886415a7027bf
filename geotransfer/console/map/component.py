"""Show a map on a page and return what the reader did with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import streamlit as st

from geotransfer.console.map.spec import MapEvent, MapSpec, parse_event
from geotransfer.console.map.style import build_style
from geotransfer.console.palettes import DARK, LIGHT

_FOLDER = Path(__file__).parent
_mount = st.components.v2.component(
    "geotransfer_map",
    html=(_FOLDER / "map.html").read_text(encoding="utf-8"),
    css=(_FOLDER / "map.css").read_text(encoding="utf-8"),
    js=(_FOLDER / "map.js").read_text(encoding="utf-8"),
)


def show_map(spec: MapSpec, *, key: str, on_change: Callable[[], None] | None = None) -> MapEvent:
    """Show a map; the page runs again when the reader clicks, moves it or draws.

    Put the map and what depends on it in an ``st.fragment``, so that moving it runs only that.

    Parameters
    ----------
    key
        Unique on the page. View and drawn features are kept under it while the browser's page
        lives, also when the reader visits another page in between.
    on_change
        Called before a run that a click or drawing caused.
    """
    result = _mount(
        key=key,
        data=make_data(spec, key=key),
        on_click_change=on_change or _ignore,
        on_drawn_change=on_change or _ignore,
        on_view_change=_ignore,
    )
    return parse_event(result, spec)


def _ignore() -> None:
    """A state needs a callback to be part of the result."""


def make_data(spec: MapSpec, *, key: str) -> dict[str, Any]:
    """Return what the browser gets: styles by side, and what the style cannot say."""
    swipe = spec.swipe
    names = {layer.layer_id: layer.name for layer in spec.rasters}
    styles = {"after": build_style(spec, hidden=swipe.before if swipe else "")}
    if swipe:
        styles["before"] = build_style(spec, hidden=swipe.after)
    data = {
        "key": key,
        "base": spec.base_url,
        "description": spec.description,
        "height": spec.height_px,
        "theme": spec.theme,
        "colors": {"light": asdict(LIGHT), "dark": asdict(DARK)},
        "styles": styles,
        "swipe": [names[swipe.before], names[swipe.after]] if swipe else None,
        "hasGrid": spec.has_base,
        "view": _make_camera(spec),
        "focus": spec.focus,
        "draw": spec.draw.value,
        "drawLimit": spec.draw_limit,
        "label": asdict(spec.label) if spec.label else None,
        "drawing": {
            "revision": spec.drawing.revision,
            "features": [
                {
                    "type": "Feature",
                    "geometry": feature.geometry,
                    "properties": {"label": feature.label, "color": feature.color},
                }
                for feature in spec.drawing.features
            ],
        },
        "pickable": {
            layer.layer_id: {"id": layer.id_property, "text": layer.text_property}
            for layer in spec.vectors
            if layer.id_property or layer.text_property
        },
    }
    # Plain lists and dicts, so that equal specs are equal bytes and the browser does nothing.
    plain: dict[str, Any] = json.loads(json.dumps(data))
    return plain


def _make_camera(spec: MapSpec) -> dict[str, Any]:
    view = spec.view
    if view.bounds is not None:
        west, south, east, north = view.bounds
        return {"bounds": [[west, south], [east, north]]}
    return {"center": view.center, "zoom": view.zoom}
