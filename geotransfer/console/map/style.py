"""A map's style in the MapLibre style language, from its spec.

The browser compares a new style with the one it shows and changes what differs: a new opacity is
one paint property, no tile is asked again. ``@name`` stands for a colour of the theme, which only
the browser knows.
"""

from __future__ import annotations

from typing import Any

from geotransfer.console.map.spec import MapSpec, Mark, RasterLayer, VectorLayer

_EMPTY: dict[str, Any] = {"type": "FeatureCollection", "features": []}
OUTLINES_VERSION = "1"
"""Raised when the shipped outlines change, so that browsers fetch them anew."""


def build_style(spec: MapSpec, *, hidden: str = "") -> dict[str, Any]:
    """Return the style; ``hidden`` is a raster layer that is left out, for one side of a swipe."""
    sources: dict[str, Any] = {"grid": _make_geojson(_EMPTY), "drawn": _make_geojson(_EMPTY)}
    ground: list[dict[str, Any]] = [
        {"id": "water", "type": "background", "paint": {"background-color": "@water"}}
    ]
    above: list[dict[str, Any]] = []
    if spec.has_base:
        url = f"{spec.base_url}/vector/countries.geojson?v={OUTLINES_VERSION}"
        sources["countries"] = {**_make_geojson(url), "attribution": "Natural Earth"}
        ground += _make_ground()
        above += _make_labels()
    rasters = []
    for raster in spec.rasters:
        sources[raster.layer_id] = _make_raster_source(raster)
        rasters.append(_make_raster(raster, is_hidden=raster.layer_id == hidden))
    vectors = []
    for vector in spec.vectors:
        source = _make_geojson(vector.url)
        if vector.is_clustered:
            source |= {"cluster": True, "clusterRadius": 36, "clusterMaxZoom": 15}
        sources[vector.layer_id] = source
        vectors += _make_vector(vector)
    layers = [*ground, *rasters, *above, *vectors, *_make_drawn()]
    return {"version": 8, "sources": sources, "layers": layers}


def _make_geojson(data: object) -> dict[str, Any]:
    return {"type": "geojson", "data": data}


def _make_text(*text: object) -> list[Any]:
    """An image of a text: the browser draws it, so that no font has to be served."""
    return ["concat", "text|", "@text", "|", "@halo", "|", *text]


def _make_ground() -> list[dict[str, Any]]:
    countries = ["==", ["get", "kind"], "country"]
    return [
        {
            "id": "land",
            "type": "fill",
            "source": "countries",
            "filter": countries,
            "paint": {"fill-color": "@land", "fill-antialias": False},
        },
        {
            "id": "grid",
            "type": "line",
            "source": "grid",
            "filter": ["==", ["geometry-type"], "LineString"],
            "paint": {"line-color": "@graticule", "line-width": 1},
        },
        {
            "id": "borders",
            "type": "line",
            "source": "countries",
            "filter": countries,
            "paint": {"line-color": "@border", "line-width": 1},
        },
    ]


def _make_labels() -> list[dict[str, Any]]:
    return [
        {
            "id": "names",
            "type": "symbol",
            "source": "countries",
            "maxzoom": 7,
            # The larger a country, the sooner its name is shown.
            "filter": [
                "all",
                ["==", ["get", "kind"], "label"],
                ["<", ["get", "rank"], ["step", ["zoom"], 12, 1.5, 30, 2.5, 90, 3.5, 250]],
            ],
            "layout": {
                "icon-image": _make_text(["get", "name"]),
                "symbol-sort-key": ["get", "rank"],
                "icon-padding": 6,
            },
        },
        {
            "id": "degrees",
            "type": "symbol",
            "source": "grid",
            "filter": ["==", ["geometry-type"], "Point"],
            "layout": {
                "icon-image": _make_text(["get", "text"]),
                "icon-anchor": ["get", "anchor"],
                "icon-allow-overlap": True,
            },
        },
    ]


def _make_raster_source(layer: RasterLayer) -> dict[str, Any]:
    address = {"tiles": [layer.url]} if "{z}" in layer.url else {"url": layer.url}
    return {"type": "raster", "tileSize": 256, **address}


def _make_raster(layer: RasterLayer, *, is_hidden: bool) -> dict[str, Any]:
    return {
        "id": layer.layer_id,
        "type": "raster",
        "source": layer.layer_id,
        "layout": {"visibility": "visible" if layer.is_visible and not is_hidden else "none"},
        "paint": {
            "raster-opacity": layer.opacity,
            "raster-fade-duration": 0,
            "raster-resampling": "linear" if layer.is_smooth else "nearest",
        },
    }


def _make_vector(layer: VectorLayer) -> list[dict[str, Any]]:
    color: Any = layer.color or "@outline"
    if layer.color_property:
        color = ["to-color", ["get", layer.color_property], color]
    size: Any = layer.size_px
    if layer.selected_id and layer.id_property:
        chosen = ["==", ["to-string", ["get", layer.id_property]], layer.selected_id]
        size = ["case", chosen, layer.size_px + 2, layer.size_px]
    common = {
        "source": layer.layer_id,
        "layout": {"visibility": "visible" if layer.is_visible else "none"},
    }
    outline = {"line-color": color, "line-width": size}
    if layer.is_dashed:
        outline["line-dasharray"] = [3, 2]
    if layer.mark is Mark.LINE:
        paint = {**outline, "line-opacity": layer.opacity}
        return [{"id": layer.layer_id, "type": "line", **common, "paint": paint}]
    if layer.mark is Mark.FILL:
        edge = {**outline, "line-color": "@outline"}
        return [
            {
                "id": layer.layer_id,
                "type": "fill",
                **common,
                "paint": {"fill-color": color, "fill-opacity": layer.opacity},
            },
            {"id": f"{layer.layer_id}|edge", "type": "line", **common, "paint": edge},
        ]
    circle = {
        "circle-color": color,
        "circle-opacity": layer.opacity,
        "circle-radius": size,
        "circle-stroke-width": 1.5,
        "circle-stroke-color": "@halo",
    }
    if not layer.is_clustered:
        return [{"id": layer.layer_id, "type": "circle", **common, "paint": circle}]
    radius = ["step", ["get", "point_count"], 13, 20, 17, 200, 22]
    gathered = {**circle, "circle-color": "@land", "circle-stroke-color": "@outline"}
    return [
        {
            "id": layer.layer_id,
            "type": "circle",
            **common,
            "paint": {
                **{
                    name: ["case", ["has", "point_count"], gathered[name], circle[name]]
                    for name in ("circle-color", "circle-stroke-color")
                },
                "circle-radius": ["case", ["has", "point_count"], radius, size],
                "circle-opacity": layer.opacity,
                "circle-stroke-width": 1.5,
            },
        },
        {
            "id": f"{layer.layer_id}|count",
            "type": "symbol",
            **common,
            "filter": ["has", "point_count"],
            "layout": {
                **common["layout"],  # type: ignore[dict-item]  # a mapping, as above
                "icon-image": _make_text(["to-string", ["get", "point_count"]]),
                "icon-allow-overlap": True,
            },
        },
    ]


def _make_drawn() -> list[dict[str, Any]]:
    """What is being drawn, above everything."""
    color = ["to-color", ["get", "color"], "@outline"]
    return [
        {
            "id": "drawn|area",
            "type": "fill",
            "source": "drawn",
            "filter": ["==", ["geometry-type"], "Polygon"],
            "paint": {"fill-color": color, "fill-opacity": 0.25},
        },
        {
            "id": "drawn|halo",
            "type": "line",
            "source": "drawn",
            "filter": ["!=", ["geometry-type"], "Point"],
            "paint": {"line-color": "@halo", "line-width": 5, "line-opacity": 0.8},
        },
        {
            "id": "drawn|edge",
            "type": "line",
            "source": "drawn",
            "filter": ["!=", ["geometry-type"], "Point"],
            "paint": {"line-color": color, "line-width": 2.5},
        },
        {
            "id": "drawn|point",
            "type": "circle",
            "source": "drawn",
            "filter": ["==", ["geometry-type"], "Point"],
            "paint": {
                "circle-color": color,
                "circle-radius": ["case", ["has", "is_corner"], 4.5, 6.5],
                "circle-stroke-color": "@halo",
                "circle-stroke-width": 2,
            },
        },
    ]
