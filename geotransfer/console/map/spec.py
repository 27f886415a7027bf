"""What a map shows and what it tells: frozen values, checked before they reach the browser."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from geotransfer.errors import InputError

Place = tuple[float, float]
"""Longitude and latitude in degrees."""
Bounds = tuple[float, float, float, float]
"""West, south, east, north in degrees."""


class DrawMode(StrEnum):
    """What a click does."""

    NONE = "none"
    """It tells the place."""
    POINT = "point"
    """It adds a labelled point."""
    POLYGON = "polygon"
    """It adds a corner."""


class Mark(StrEnum):
    """How a vector layer is drawn."""

    LINE = "line"
    FILL = "fill"
    CIRCLE = "circle"


@dataclass(frozen=True, slots=True, kw_only=True)
class RasterLayer:
    """A raster by URL."""

    layer_id: str
    """Unique among the map's layers."""
    name: str
    url: str
    """Path on this origin: a ``tilejson.json`` or a template with ``{z}/{x}/{y}``."""
    opacity: float = 1.0
    """0–1; changing it asks for no tile."""
    is_visible: bool = True
    is_smooth: bool = False
    """Smooth between pixels, for photographs; classes and measurements show their pixels."""

    def __post_init__(self) -> None:
        """Refuse what is not on this origin."""
        _check_url(self.url, self.layer_id)
        if not 0 <= self.opacity <= 1:
            raise InputError(f"layer {self.layer_id!r}: opacity is {self.opacity}; give 0 to 1.")


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorLayer:
    """A GeoJSON document by URL: regions, points, outlines."""

    layer_id: str
    name: str
    url: str
    """Path on this origin."""
    mark: Mark = Mark.LINE
    color: str = ""
    """``#rrggbb``; empty: the theme's outline colour."""
    color_property: str = ""
    """Feature property that holds ``#rrggbb``; features without it get ``color``."""
    opacity: float = 1.0
    size_px: float = 2.0
    """Width of lines, radius of circles."""
    is_dashed: bool = False
    is_visible: bool = True
    is_clustered: bool = False
    """Gather circles that would overlap into one with their number."""
    id_property: str = ""
    """Feature property a click tells; empty: the layer takes no clicks."""
    text_property: str = ""
    """Feature property shown under the pointer."""
    selected_id: str = ""
    """Feature drawn heavier, by its ``id_property``."""

    def __post_init__(self) -> None:
        """Refuse what is not on this origin."""
        _check_url(self.url, self.layer_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Swipe:
    """Two raster layers side by side, divided by a handle."""

    before: str
    """Layer id; at the left."""
    after: str
    """Layer id; at the right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What is drawn is one of these."""

    name: str
    color: str
    """``#rrggbb``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnFeature:
    """A point or polygon somebody drew."""

    geometry: Mapping[str, Any]
    """GeoJSON Point or Polygon, EPSG:4326; rings are closed."""
    label: str = ""
    """Name of the label it was drawn with."""
    color: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """Drawn features as the page sets them; afterwards the browser adds to them.

    The browser takes ``features`` when ``revision`` differs from what it has, and otherwise keeps
    its own: raise it to clear the map, to undo from the page, or to show what was saved.
    """

    revision: int = 0
    features: tuple[DrawnFeature, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A camera: either bounds to fit, or centre and zoom."""

    bounds: Bounds | None = None
    center: Place = (0.0, 20.0)
    zoom: float = 1.2


@dataclass(frozen=True, slots=True, kw_only=True)
class MapSpec:
    """Everything a map shows."""

    description: str
    """Says in words what is seen; the map's text alternative."""
    view: View
    focus: str = ""
    """What ``view`` is about, for example a region's id. The camera moves to ``view`` at first and
    when the focus changes; otherwise it stays where the reader left it, over reruns and pages."""
    rasters: tuple[RasterLayer, ...] = ()
    """Bottom first."""
    vectors: tuple[VectorLayer, ...] = ()
    """Bottom first, above all rasters."""
    swipe: Swipe | None = None
    draw: DrawMode = DrawMode.NONE
    draw_limit: int = 0
    """Features kept, the oldest dropped; 0: all. One for a region's outline."""
    label: Label | None = None
    drawing: Drawing = Drawing()
    has_base: bool = True
    """Countries with their names, and a grid of degrees."""
    theme: str = "auto"
    """``light``, ``dark``, or ``auto``: as the page."""
    height_px: int = 560
    base_url: str = "/geo"
    """Prefix of our routes."""

    def __post_init__(self) -> None:
        """Refuse ids that are used twice and a swipe between layers that are not there."""
        _check_url(self.base_url, "base_url")
        ids = [layer.layer_id for layer in self.rasters]
        ids += [layer.layer_id for layer in self.vectors]
        twice = sorted({layer_id for layer_id in ids if ids.count(layer_id) > 1})
        if twice:
            raise InputError(f"layer id {twice[0]!r} is used twice; give each layer its own.")
        rasters = {layer.layer_id for layer in self.rasters}
        for side in (self.swipe.before, self.swipe.after) if self.swipe else ():
            if side not in rasters:
                raise InputError(f"swipe names layer {side!r}, which is no raster of this map.")


@dataclass(frozen=True, slots=True, kw_only=True)
class MapClick:
    """A click outside drawing."""

    lon: float
    lat: float
    layer_id: str = ""
    """Vector layer under it, if one takes clicks there."""
    feature_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenView:
    """Where the reader has moved the camera to."""

    center: Place
    zoom: float
    bounds: Bounds


@dataclass(frozen=True, slots=True, kw_only=True)
class MapEvent:
    """What the browser tells."""

    click: MapClick | None = None
    """The click that caused this run; None in any other run."""
    view: SeenView | None = None
    """Last view the reader chose; None until then."""
    drawn: tuple[DrawnFeature, ...] = ()
    """All drawn features of the spec's revision, oldest first."""


def _check_url(url: str, what: str) -> None:
    if not url.startswith("/") or url.startswith("//") or "\\" in url:
        raise InputError(
            f"{what}: {url!r} is not on this origin; give a path that starts with one slash."
        )


def parse_event(state: Mapping[str, Any], spec: MapSpec) -> MapEvent:
    """Read what the browser sent; whatever is not as expected counts as not sent."""
    drawn = state.get("drawn")
    features: tuple[DrawnFeature, ...] = spec.drawing.features
    if isinstance(drawn, Mapping) and drawn.get("revision") == spec.drawing.revision:
        items = drawn.get("features")
        parsed = [_parse_feature(item) for item in items] if isinstance(items, list) else []
        features = tuple(feature for feature in parsed if feature is not None)
    return MapEvent(
        click=_parse_click(state.get("click")), view=_parse_view(state.get("view")), drawn=features
    )


def _parse_click(value: object) -> MapClick | None:
    if not isinstance(value, Mapping):
        return None
    place = _parse_place([value.get("lon"), value.get("lat")])
    if place is None:
        return None
    return MapClick(
        lon=place[0],
        lat=place[1],
        layer_id=str(value.get("layer") or ""),
        feature_id=str(value.get("feature") or ""),
    )


def _parse_view(value: object) -> SeenView | None:
    if not isinstance(value, Mapping):
        return None
    center = _parse_place(value.get("center"))
    zoom, bounds = value.get("zoom"), value.get("bounds")
    if center is None or not _is_number(zoom) or not isinstance(bounds, list) or len(bounds) != 4:
        return None
    if not all(_is_number(edge) for edge in bounds):
        return None
    west, south, east, north = (float(edge) for edge in bounds)
    return SeenView(center=center, zoom=float(str(zoom)), bounds=(west, south, east, north))


def _parse_feature(value: object) -> DrawnFeature | None:
    geometry = value.get("geometry") if isinstance(value, Mapping) else None
    if not isinstance(value, Mapping) or not isinstance(geometry, Mapping):
        return None
    coordinates = geometry.get("coordinates")
    clean: object
    if geometry.get("type") == "Point":
        clean = _parse_place(coordinates)
    elif geometry.get("type") == "Polygon" and isinstance(coordinates, list) and coordinates:
        ring = [_parse_place(place) for place in coordinates[0]]
        clean = [ring] if len(ring) >= 4 and None not in ring and ring[0] == ring[-1] else None
    else:
        return None
    if clean is None:
        return None
    properties = value.get("properties")
    known = properties if isinstance(properties, Mapping) else {}
    return DrawnFeature(
        geometry={"type": geometry["type"], "coordinates": clean},
        label=str(known.get("label") or ""),
        color=str(known.get("color") or ""),
    )


def _parse_place(value: object) -> Place | None:
    if not isinstance(value, list) or len(value) != 2 or not all(_is_number(v) for v in value):
        return None
    lon, lat = float(value[0]), float(value[1])
    return (lon, lat) if -180 <= lon <= 180 and -90 <= lat <= 90 else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
