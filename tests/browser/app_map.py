"""A small application for the tests of the map component: one synthetic raster, every feature.

Started by ``streamlit run``; the page's controls are query parameters and buttons.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import streamlit as st

from geotransfer.core.legend import Legend, LegendClass
from geotransfer.tiles.catalog import RasterEntry, RasterKind
from geotransfer.tiles.routes import make_routes

FOLDER = Path(os.environ["APP_MAP_FOLDER"])
LEGEND = Legend(
    name="quarters",
    classes=(
        LegendClass(code=0, name="north-west", color="#0072b2"),
        LegendClass(code=1, name="north-east", color="#e69f00"),
        LegendClass(code=2, name="south-west", color="#009e73"),
        LegendClass(code=3, name="south-east", color="#cc79a7"),
    ),
)


class FolderCatalog:
    folder = FOLDER

    def find_raster(self, region_id: str, layer: str, version: str | None) -> RasterEntry | None:
        path = FOLDER / f"{layer}.tif"
        if layer == "class":
            return RasterEntry(
                path=path, name="Class", kind=RasterKind.CLASS, legend=LEGEND,
                attribution="Made up for tests",
            )  # fmt: skip
        if layer == "probability":
            return RasterEntry(
                path=path, name="Probability", kind=RasterKind.SHARE,
                colors=("#35185a", "#22988a", "#f7e84e"),
            )  # fmt: skip
        return None

    def read_vector(self, name: str, version: str | None) -> bytes | None:
        if name == "points":
            return (FOLDER / "points.geojson").read_bytes()
        if name == "outline":
            return (FOLDER / "outline.geojson").read_bytes()
        return None


app = st.App(Path(__file__).with_name("page_map.py"), routes=list(make_routes(FolderCatalog())))


def write_inputs(folder: Path) -> None:
    """Write a raster of four quarters around 1.8° E, 43.2° N, a ramp, points and an outline."""
    import numpy as np
    from pyproj import Transformer

    from geotransfer.core.grid import Grid, cut_tiles
    from geotransfer.imagery.rasters import write_cog

    side = 1200
    grid = Grid(
        crs="EPSG:32631", transform=(10.0, 0.0, 396000.0, 0.0, -10.0, 4796000.0),
        height=side, width=side,
    )  # fmt: skip
    half = side // 2
    tiles = cut_tiles(grid, half)
    write_cog(
        folder / "class.tif", grid,
        [(t, np.full((1, half, half), i, dtype=np.uint8)) for i, t in enumerate(tiles)],
        dtype="uint8", names=["class"], nodata=255, legend=LEGEND,
    )  # fmt: skip
    ramp = np.linspace(0, 10000, side).astype(np.uint16)[None, None].repeat(side, axis=1)
    write_cog(
        folder / "probability.tif", grid,
        [(t, ramp[:, t.row : t.row + half, t.col : t.col + half]) for t in tiles],
        dtype="uint16", names=["crop"], nodata=65535, scale=1e-4,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    points = [
        {
            "type": "Feature",
            "properties": {"id": f"p{i}", "text": f"point {i}", "color": "#d55e00"},
            "geometry": {"type": "Point", "coordinates": [float(lon), float(lat)]},
        }
        for i, (lon, lat) in enumerate(rng.uniform((1.74, 43.22), (1.85, 43.30), (200, 2)))
    ]
    # One of its own, away from the raster.
    points.append(
        {
            "type": "Feature",
            "properties": {"id": "alone", "text": "alone <b>here</b>", "color": "#0072b2"},
            "geometry": {"type": "Point", "coordinates": [1.70, 43.26]},
        }
    )
    to_degrees = Transformer.from_crs(32631, 4326, always_xy=True)
    edges = [(396000, 4784000), (408000, 4784000), (408000, 4796000), (396000, 4796000)]
    ring = [list(to_degrees.transform(*corner)) for corner in edges]
    outline = {
        "type": "Feature",
        "properties": {"id": "r1", "text": "Region one"},
        "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
    }
    for name, features in (("points", points), ("outline", [outline])):
        document = {"type": "FeatureCollection", "features": features}
        (folder / f"{name}.geojson").write_text(json.dumps(document))
