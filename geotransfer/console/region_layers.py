"""Map layers of the regions: outlines for large ones, markers for those too small to see."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pydeck as pdk

from geotransfer.console.map.style import OUTLINES_VERSION
from geotransfer.console.metrics import METRICS, Metric, parse_color
from geotransfer.console.palettes import DARK, LIGHT, MapTheme, Scale
from geotransfer.console.state import PREFIX
from geotransfer.core.region import RegionKind
from geotransfer.workflows.views import RegionView, read_bounds

MARKER_BELOW_DEGREES = 1.5
"""Regions narrower than this are shown by a marker at world scale."""

KIND_LABELS = {
    RegionKind.TABLE: "Real · tables",
    RegionKind.IMAGERY: "Real · imagery",
    RegionKind.SIMULATED: "Simulated",
}
LAYER_IDS = ("regions", "markers")


def make_region_features(views: Sequence[RegionView]) -> dict[str, Any]:
    """Return the regions as GeoJSON with one colour a figure; geometry is simplified already."""
    scales = [(metric, metric.fit(views)) for metric in METRICS]
    return {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "geometry": json.loads(view.region.outline),
                "properties": make_properties(view, scales),
            }
            for view in views
        ],
    }


def make_outlines(views: Sequence[RegionView]) -> list[dict[str, list[float]]]:
    """Return the regions' outlines as segments from ``a`` to ``b``, degrees."""
    segments = []
    for view in views:
        outline = json.loads(view.region.outline)
        polygons = outline["coordinates"]
        for rings in polygons if outline["type"] == "MultiPolygon" else [polygons]:
            for ring in rings:
                segments += [{"a": a[:2], "b": b[:2]} for a, b in pairwise(ring)]
    return segments


def make_properties(view: RegionView, scales: Sequence[tuple[Metric, Scale]]) -> dict[str, Any]:
    """Return what the map needs to know of a region: its names, each figure with its colour."""
    properties: dict[str, Any] = {
        "region_id": view.region.region_id,
        "name": view.region.name,
        "kind": KIND_LABELS[view.region.kind],
    }
    for metric, scale in scales:
        color = scale.color(metric.read(view))
        properties[f"{metric.key}_color"] = parse_color(color)
        properties[f"{metric.key}_text"] = metric.show(view)
    return properties


def make_markers(views: Sequence[RegionView]) -> list[dict[str, Any]]:
    """Return one marker for each region that is too small to see on the whole map."""
    scales = [(metric, metric.fit(views)) for metric in METRICS]
    markers = []
    for view in views:
        west, south, east, north = read_bounds(view.region)
        if max(east - west, north - south) < MARKER_BELOW_DEGREES:
            markers.append(
                {
                    **make_properties(view, scales),
                    "position": [(west + east) / 2, (south + north) / 2],
                    "is_simulated": view.region.kind is RegionKind.SIMULATED,
                }
            )
    return markers


def make_deck(
    views: Sequence[RegionView], metric: Metric, *, version: int, is_dark: bool = False
) -> pdk.Deck:
    """Return the map of regions coloured by one figure, on an offline base map.

    All that is drawn travels by URL; ``version`` makes the browser fetch it anew after something
    happened. What came with the page would be drawn at once and again when the rest is there, and
    without a graphics card the first picture takes a second: most of it goes to preparing one
    program for each kind of layer and each layout of its data, so layers share them.
    """
    theme = DARK if is_dark else LIGHT
    layers = [
        pdk.Layer(
            "GeoJsonLayer",
            data=f"{PREFIX}/vector/land.geojson?v={OUTLINES_VERSION}",
            id="land",
            # A colour for each corner, as regions have it: one program draws both.
            get_fill_color=str(parse_color(theme.land)),
            stroked=False,
        ),
        pdk.Layer(
            "GeoJsonLayer",
            data=f"{PREFIX}/regions.geojson?v={version}",
            id="regions",
            get_fill_color=f"properties.{metric.key}_color",
            stroked=False,
            pickable=True,
            auto_highlight=True,
        ),
        _make_lines(
            "borders", f"vector/borders.json?v={OUTLINES_VERSION}", theme.border, width_px=0.7
        ),
        _make_lines("outlines", f"outlines.json?v={version}", theme.outline, width_px=1.2),
        _make_markers_layer(metric, theme, version=version),
    ]
    return pdk.Deck(
        layers=layers,
        map_provider=None,
        initial_view_state=make_view(views),
        tooltip={"html": f"<b>{{name}}</b><br>{{kind}}<br>{metric.title}: {{{metric.key}_text}}"},
    )


def _make_lines(layer_id: str, address: str, color: str, *, width_px: float) -> pdk.Layer:
    """Return a layer of plain segments: a machine without a graphics card draws it at once.

    Strokes of polygons, with their joints, take it half a second for a thousand corners.
    """
    return pdk.Layer(
        "LineLayer",
        data=f"{PREFIX}/{address}",
        id=layer_id,
        get_source_position="a",
        get_target_position="b",
        get_color=parse_color(color),
        get_width=width_px,
    )


def _make_markers_layer(metric: Metric, theme: MapTheme, *, version: int) -> pdk.Layer:
    return pdk.Layer(
        "ScatterplotLayer",
        data=f"{PREFIX}/markers.json?v={version}",
        id="markers",
        get_position="position",
        get_radius="is_simulated ? 11 : 9",
        radius_units="'pixels'",
        get_fill_color=f"{metric.key}_color",
        stroked=True,
        get_line_color=parse_color(theme.outline),
        get_line_width="is_simulated ? 4 : 1.5",
        line_width_units="'pixels'",
        pickable=True,
    )


def make_view(views: Sequence[RegionView]) -> pdk.ViewState:
    """Return a view that shows every region."""
    if not views:
        return pdk.ViewState(longitude=10, latitude=20, zoom=1.2)
    bounds = [read_bounds(view.region) for view in views]
    west, south = min(b[0] for b in bounds), min(b[1] for b in bounds)
    east, north = max(b[2] for b in bounds), max(b[3] for b in bounds)
    span = max((east - west) / 1.6, north - south, 4.0)
    zoom = max(0.8, 8.0 - math.log2(span))
    return pdk.ViewState(longitude=(west + east) / 2, latitude=(south + north) / 2, zoom=zoom)
