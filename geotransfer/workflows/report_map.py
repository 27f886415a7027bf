"""Pictures for a report: a map's classes, or a region's outline, put into the page itself."""

from __future__ import annotations

import base64
import html
import io
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from PIL import Image

from geotransfer.core.legend import NODATA_CLASS, Legend
from geotransfer.errors import SceneUnreadable
from geotransfer.imagery.rasters import make_colormap

LARGEST_PX = 900
"""Longer side of a picture: 17 cm on paper at 130 dots an inch."""
OUTLINE_PX = 420


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A map as a picture with what is needed to read it."""

    source: str
    """``data:`` address."""
    width_km: float | None
    """Of what is shown; None in a geographic CRS, whose pixels are no squares on the ground."""
    crs: str


def draw_classes(path: Path, legend: Legend) -> Picture:
    """Draw a class raster, decimated by its overviews, in its own CRS with north up.

    Raises
    ------
    SceneUnreadable
        The file is damaged.
    """
    try:
        with rasterio.open(path) as file:
            share = min(1.0, LARGEST_PX / max(file.width, file.height))
            shape = (max(1, round(file.height * share)), max(1, round(file.width * share)))
            codes = file.read(1, out_shape=shape)
            crs = file.crs
            width_km = file.width * file.transform.a / 1000 if crs and crs.is_projected else None
    except rasterio.errors.RasterioError as error:
        raise SceneUnreadable(f"{path} cannot be read ({error}); refresh the region.") from error
    palette = np.full((256, 3), 140, dtype=np.uint8)
    for code, color in make_colormap(legend).items():
        palette[code] = color[:3]
    image = Image.fromarray(codes.astype(np.uint8))
    image.putpalette(palette.tobytes())
    data = io.BytesIO()
    image.save(data, "PNG", optimize=True, transparency=NODATA_CLASS)
    encoded = base64.b64encode(data.getvalue()).decode()
    return Picture(
        source=f"data:image/png;base64,{encoded}",
        width_km=width_km,
        crs=crs.to_string() if crs else "unknown",
    )


def choose_scale_km(width_km: float) -> float:
    """Return a round length of 1, 2 or 5 times a power of ten, up to a third of the width."""
    power = 10.0 ** math.floor(math.log10(width_km / 3))
    return max(step * power for step in (1, 2, 5) if step * power <= width_km / 3 * (1 + 1e-9))


def draw_outline(outline: str, *, title: str) -> str:
    """Return a GeoJSON geometry as inline SVG: longitude squeezed by the cosine of the latitude."""
    geometry = json.loads(outline)
    parts = geometry["coordinates"]
    rings = parts if geometry["type"] == "Polygon" else [ring for part in parts for ring in part]
    places = [place for ring in rings for place in ring]
    west, east = min(p[0] for p in places), max(p[0] for p in places)
    south, north = min(p[1] for p in places), max(p[1] for p in places)
    squeeze = max(0.05, math.cos(math.radians((south + north) / 2)))
    scale = OUTLINE_PX / max((east - west) * squeeze, north - south, 1e-9)
    width, height = (east - west) * squeeze * scale, (north - south) * scale
    path = " ".join(
        "M"
        + " L".join(
            f"{(x - west) * squeeze * scale:.1f},{(north - y) * scale:.1f}" for x, y, *_ in ring
        )
        + "Z"
        for ring in rings
    )
    return (
        f'<svg role="img" aria-label="{html.escape(title)}" viewBox="-4 -4 {width + 8:.0f}'
        f' {height + 8:.0f}" width="{width + 8:.0f}" height="{height + 8:.0f}">'
        f'<path d="{path}" fill="#dfe8ee" fill-rule="evenodd" stroke="#1b2733"'
        ' stroke-width="1.5"/></svg>'
    )
