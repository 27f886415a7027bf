"""A made-up place of four classes, seen by a sensor of somebody's own as JPEG 2000, on disk."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from pyproj import Transformer

SIZE = 64
STEP_M = 40.0
AFFINE = Affine(STEP_M, 0, 300_000, 0, -STEP_M, 9_950_000)
CRS = "EPSG:32737"
CODES = (3, 7, 11, 20)
NAMES = ("maize", "forest", "water", "town")
MONTHS = tuple(range(1, 13))
CURVES = {
    3: 0.35 + 0.3 * np.sin((np.arange(12) - 2) / 12 * 2 * np.pi),
    7: np.full(12, 0.75),
    11: np.full(12, 0.05),
    20: 0.2 + 0.05 * np.cos(np.arange(12) / 12 * 2 * np.pi),
}
"""Greenness by class and month."""

SENSOR = """
name: toy-sat
bands: {green_leaf: ndvi, warm: warmth}
scale: 0.0001
nodata: 0
collections: [toy]
masks:
  clouds: {kind: flag, dilate_px: 0}
"""
SPEC = """
name: toy-quarters
periods: quarters
bands: [ndvi, warmth]
statistics: [median, spread]
min_valid: 1
derived:
  highest: {formula: maximum, inputs: ["ndvi_Q*"]}
"""
LEGEND = """
name: toy-cover
classes:
  - {code: 3, name: maize, color: "#e69f00"}
  - {code: 7, name: forest, color: "#009e73"}
  - {code: 11, name: water, color: "#0072b2"}
  - {code: 20, name: town, color: "#cc79a7"}
"""


@dataclass(frozen=True)
class Place:
    """What the files say, and the truth."""

    folder: Path
    truth: np.ndarray
    """Codes, shape (SIZE, SIZE)."""

    @property
    def items(self) -> str:
        return str(self.folder / "items.json")

    def outline(self, first_row: int, last_row: int) -> str:
        to_lonlat = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True)
        corners = [(0, first_row), (SIZE, first_row), (SIZE, last_row), (0, last_row)]
        ring = [to_lonlat.transform(*(AFFINE @ xy)) for xy in (*corners, corners[0])]
        return json.dumps({"type": "Polygon", "coordinates": [[list(p) for p in ring]]})

    def write_labels(
        self, rows: range, n: int, *, seed: int, words: dict[int, str], without: tuple = ()
    ) -> bytes:
        """A CSV of points drawn at random, classes in the words of whoever made it."""
        rng = np.random.default_rng(seed)
        to_lonlat = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True)
        table = io.StringIO()
        writer = csv.writer(table)
        writer.writerow(["lon", "lat", "class"])
        places = [(row, col) for row in rows for col in range(SIZE)]
        places = [at for at in places if int(self.truth[at]) not in without]
        for number in rng.choice(len(places), n, replace=False):
            row, col = places[number]
            code = int(self.truth[row, col])
            lon, lat = to_lonlat.transform(*(AFFINE @ (col + 0.5, row + 0.5)))
            writer.writerow([f"{lon:.7f}", f"{lat:.7f}", words[code]])
        return table.getvalue().encode()


def make_place(folder: Path) -> Place:
    """Write twelve dated scenes of two JPEG 2000 bands and a cloud flag, and their items."""
    rng = np.random.default_rng(11)
    cells = rng.choice(CODES, (16, 16), p=[0.4, 0.3, 0.15, 0.15])
    truth = np.kron(cells, np.ones((4, 4), dtype=int))
    to_lonlat = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True)
    west, south = to_lonlat.transform(*(AFFINE @ (0, SIZE)))
    east, north = to_lonlat.transform(*(AFFINE @ (SIZE, 0)))
    items = []
    for month in MONTHS:
        curve = np.zeros((SIZE, SIZE))
        for code in CODES:
            curve[truth == code] = CURVES[code][month - 1]
        ndvi = curve + rng.normal(0, 0.05, curve.shape)
        warmth = 0.3 + 0.2 * (truth == 20) + rng.normal(0, 0.04, curve.shape)
        cloud = np.zeros((SIZE, SIZE), dtype=np.uint8)
        top, left = rng.integers(0, 40, 2)
        cloud[top : top + 14, left : left + 14] = 1
        bands = {
            "green_leaf": np.where(cloud, 0.9, ndvi), "warm": np.where(cloud, 0.9, warmth)
        }  # fmt: skip
        assets = {}
        for name, values in bands.items():
            dn = np.clip(np.rint(values * 1e4), 1, 65000).astype(np.uint16)
            _write(folder / f"{month:02d}-{name}.jp2", dn, driver="JP2OpenJPEG",
                   QUALITY="100", REVERSIBLE="YES")  # fmt: skip
            assets[name] = {"href": f"./{month:02d}-{name}.jp2"}
        _write(folder / f"{month:02d}-clouds.tif", cloud, driver="GTiff")
        assets["clouds"] = {"href": f"./{month:02d}-clouds.tif"}
        items.append(
            {
                "type": "Feature",
                "stac_version": "1.0.0",
                "id": f"toy-{month:02d}",
                "collection": "toy-l2",
                "bbox": [west, south, east, north],
                "geometry": None,
                "properties": {"datetime": f"2022-{month:02d}-15T08:00:00Z"},
                "assets": assets,
            }
        )
    document = {"type": "FeatureCollection", "features": items}
    (folder / "items.json").write_text(json.dumps(document))
    for name, text in (("sensor", SENSOR), ("spec", SPEC), ("legend", LEGEND)):
        (folder / f"{name}.yaml").write_text(text)
    return Place(folder, truth)


def _write(path: Path, values: np.ndarray, **options: str) -> None:
    with rasterio.open(
        path, "w", height=SIZE, width=SIZE, count=1, dtype=values.dtype, crs=CRS,
        transform=AFFINE, **options,
    ) as file:  # fmt: skip
        file.write(values, 1)
