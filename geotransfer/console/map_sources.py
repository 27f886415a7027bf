"""What the maps of a region are made of: its outline, its rasters, places on it, by address."""

from __future__ import annotations

from geotransfer.console.map.spec import Mark, RasterLayer, VectorLayer
from geotransfer.console.state import PREFIX
from geotransfer.workflows.views import RegionView


def make_outline(region_id: str, *, is_simulated: bool = False) -> VectorLayer:
    """Return a region's outline; a dashed line says *simulated*."""
    return VectorLayer(
        layer_id="outline",
        name="Outline",
        url=f"{PREFIX}/vector/outline/{region_id}.geojson",
        mark=Mark.LINE,
        is_dashed=is_simulated,
    )


def find_raster_url(region_id: str, layer: str, version: str) -> str:
    """Return the address of a layer of one version of a region's map."""
    return f"{PREFIX}/raster/{region_id}/{layer}/tilejson.json?v={version}"


def make_ground(view: RegionView) -> tuple[RasterLayer, ...]:
    """Return the true-colour composite of the present map, where there is one."""
    version = view.refresh.map_id[:16] if view.refresh else ""
    return (
        RasterLayer(
            layer_id="ground",
            name="Composite, true colour",
            url=find_raster_url(view.region.region_id, "true-colour", version),
            is_smooth=True,
        ),
    )


def make_places_layer(name: str) -> VectorLayer:
    """Return suggested places, all (by id) or one (``id/number``), as circles."""
    return VectorLayer(
        layer_id="places",
        name="Suggested places",
        url=f"{PREFIX}/vector/suggested/{name}.geojson",
        mark=Mark.CIRCLE,
        color_property="color",
        text_property="text",
        size_px=6,
    )
