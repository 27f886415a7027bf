"""A whole map in few numbers: pixels, area and mean probability of each class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.windows import Window

from geotransfer.accuracy.mapped_area import measure_mapped_km2
from geotransfer.accuracy.ppi import MapSummary
from geotransfer.core.grid import Grid
from geotransfer.core.legend import Legend
from geotransfer.imagery.rasters import PROBABILITY_NODATA, PROBABILITY_SCALE

STRIP_PX = 256
"""Rows read at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapAreas:
    """Sums over a whole map, classes in the legend's order."""

    n_pixels: tuple[int, ...]
    areas_km2: tuple[float, ...]
    probability: tuple[MapSummary, ...]
    """Of each class's probability over all pixels with an answer."""

    @property
    def total_km2(self) -> float:
        """Area with an answer."""
        return sum(self.areas_km2)


def read_strips(path: Path) -> Iterator[tuple[int, NDArray[np.generic]]]:
    """Yield the first row and the layers, shape (band, y, x), of strips from north to south."""
    with rasterio.open(path) as file:
        for row in range(0, file.height, STRIP_PX):
            height = min(STRIP_PX, file.height - row)
            yield row, file.read(window=Window(0, row, file.width, height))


def measure_map(folder: Path, grid: Grid, legend: Legend) -> MapAreas:
    """Read a map's class and probability rasters once and add them up."""
    k = len(legend.classes)
    n_pixels = np.zeros(k, dtype=np.int64)
    areas = np.zeros(k)
    sums, squares, n_known = np.zeros(k), np.zeros(k), 0
    strips = zip(
        read_strips(folder / "class.tif"), read_strips(folder / "probability.tif"), strict=True
    )
    for (row, classes), (_, encoded) in strips:
        codes = classes[0]
        n_pixels += [int((codes == code).sum()) for code in legend.codes]
        areas += measure_mapped_km2(codes, _cut_strip(grid, row, codes.shape[0]), legend)
        known = (encoded != PROBABILITY_NODATA).all(axis=0)
        shown = encoded[:, known].astype(np.float64) * PROBABILITY_SCALE
        if k == 2:
            shown = np.stack([1 - shown[0], shown[0]])
        n_known += int(known.sum())
        sums += shown.sum(axis=1)
        squares += (shown**2).sum(axis=1)
    mean = sums / max(n_known, 1)
    variance = np.maximum(squares / max(n_known, 1) - mean**2, 0)
    return MapAreas(
        n_pixels=tuple(int(n) for n in n_pixels),
        areas_km2=tuple(float(area) for area in areas),
        probability=tuple(
            MapSummary(n=n_known, mean=float(m), variance=float(v))
            for m, v in zip(mean, variance, strict=True)
        ),
    )


def _cut_strip(grid: Grid, row: int, height: int) -> Grid:
    a, b, c, d, e, f = grid.transform
    return replace(grid, transform=(a, b, c + b * row, d, e, f + e * row), height=height)


def find_lonlat(
    grid: Grid, rows: NDArray[np.int64], cols: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the centres of pixels in degrees, shape (n, 2), longitude first."""
    a, b, c, d, e, f = grid.transform
    x = a * (cols + 0.5) + b * (rows + 0.5) + c
    y = d * (cols + 0.5) + e * (rows + 0.5) + f
    to_degrees = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
    return np.column_stack(to_degrees.transform(x, y))
