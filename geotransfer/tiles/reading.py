"""Read any rectangle of a raster in Web Mercator, fast enough to pan.

Each pixel of a tile shows the nearest source pixel. The coordinates of a coarse lattice are
projected and interpolated between (checked, and exact where that is off), the overview of matching
resolution is read as it lies in the file, and its pixels are picked by index. GDAL's warper picks
the same pixels through a virtual dataset set up anew for every tile, in seven times the time
(docs/decisions/0013-tiles-by-lattice.md); the tests hold one against the other.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError
from rasterio.enums import MaskFlags
from rasterio.windows import Window

from geotransfer.errors import SceneUnreadable
from geotransfer.tiles.catalog import RasterEntry

HALF_WORLD_M = 20037508.342789244
"""Half the side of the Web Mercator square (EPSG:3857)."""
LAT_LIMIT = 85.0511287798066
"""Where Web Mercator ends, degrees."""
TILE_PX = 256
MAX_ZOOM = 24

_NODES = 17
"""Lattice nodes along each side of what is read."""
_TOLERANCE = 0.125
"""Largest error of interpolated coordinates, in pixels of the level that is read."""
_CACHE_BYTES = 64 * 2**20
"""Decoded blocks GDAL keeps for all threads; its own bound is a twentieth of the memory."""
_OPEN_FILES = 24
"""Datasets one thread keeps open; each overview counts."""

Rectangle = tuple[float, float, float, float]
"""West, south, east, north in EPSG:3857 metres."""
Coordinates = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Columns and rows in full-resolution pixels, shape (y, x); the first pixel's centre is 0.5."""


@dataclass(frozen=True, slots=True)
class Pixels:
    """Pixels of a rectangle."""

    values: NDArray[Any]
    """Shape (band, y, x), as stored; row 0 is the north."""
    valid: NDArray[np.bool_]
    """Shape (y, x); false outside the raster and where any band has no data."""
    scale: float
    offset: float
    """Physical value = stored · scale + offset."""


@dataclass(frozen=True, slots=True)
class RasterInfo:
    """Where a raster lies and how fine it is."""

    bounds: tuple[float, float, float, float]
    """West, south, east, north in degrees (EPSG:4326)."""
    rectangle: Rectangle
    """The same, as far as Web Mercator goes."""
    max_zoom: int
    """First zoom at which a tile pixel is at most half a source pixel."""
    crs: str
    """As WKT."""
    transform: tuple[float, float, float, float, float, float]
    """Affine coefficients of the full resolution."""
    height: int
    width: int
    factors: tuple[tuple[float, float], ...]
    """Full-resolution pixels in one of each overview's, across and down."""


class _OpenFiles(threading.local):
    """Datasets of this thread: GDAL's handles must not be shared between threads."""

    def __init__(self) -> None:
        # Left open as long as the thread lives: closing it would restore GDAL's own bound.
        self.environment = rasterio.Env(GDAL_CACHEMAX=_CACHE_BYTES)
        self.environment.__enter__()
        self.datasets: OrderedDict[tuple[str, int, int, int], Any] = OrderedDict()


_open_files = _OpenFiles()


def _open_level(path: Path, level: int) -> Any:
    """Open an overview, or the full resolution (−1); a file replaced meanwhile is reopened."""
    status = path.stat()
    key = (str(path), level, status.st_mtime_ns, status.st_size)
    datasets = _open_files.datasets
    if key in datasets:
        datasets.move_to_end(key)
        return datasets[key]
    options = {} if level < 0 else {"overview_level": level}
    dataset = datasets[key] = rasterio.open(path, **options)
    while len(datasets) > _OPEN_FILES:
        datasets.popitem(last=False)[1].close()
    return dataset


@contextmanager
def _explain_failure(path: Path) -> Iterator[None]:
    """Turn what GDAL and PROJ raise into one sentence that names the file."""
    try:
        yield
    except (rasterio.errors.RasterioError, ProjError, OSError) as error:
        reason = str(error).replace(str(path), path.name)  # folders are nobody's business
        raise SceneUnreadable(
            f"{path.name} cannot be read ({reason}); refresh the region to compute it again."
        ) from error


@lru_cache(maxsize=64)
def _find_transformer(source: str, target: str) -> Transformer:
    return Transformer.from_crs(CRS.from_user_input(source), target, always_xy=True)


def describe_raster(path: Path) -> RasterInfo:
    """Return where a raster lies and how far zooming in shows more.

    Raises
    ------
    SceneUnreadable
        The file is damaged, missing or without CRS.
    """
    with _explain_failure(path):
        return _describe(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=256)
def _describe(path: Path, _mtime_ns: int) -> RasterInfo:
    dataset = _open_level(path, -1)
    if dataset.crs is None:
        raise SceneUnreadable(
            f"{path.name} states no coordinate reference system; assign one, then refresh again."
        )
    crs: str = dataset.crs.to_wkt()
    height, width = dataset.height, dataset.width
    a, b, c, d, e, f = transform = tuple(dataset.transform)[:6]
    corners = [(0, 0), (width, 0), (0, height), (width, height)]
    xs, ys = [a * x + b * y + c for x, y in corners], [d * x + e * y + f for x, y in corners]
    # 21 points along each edge (the default): sides that are straight in one CRS bend in another.
    west, south, east, north = _find_transformer(crs, "EPSG:4326").transform_bounds(
        min(xs), min(ys), max(xs), max(ys)
    )
    if west > east:  # across the antimeridian
        west, east = -180.0, 180.0
    (left, right), (bottom, top) = _find_transformer("EPSG:4326", "EPSG:3857").transform(
        [west, east], [max(south, -LAT_LIMIT), min(north, LAT_LIMIT)]
    )
    pixel_m = math.sqrt((right - left) * (top - bottom) / (height * width))
    factors = []
    for level in range(len(dataset.overviews(1))):
        overview = _open_level(path, level)
        factors.append((width / overview.width, height / overview.height))
    return RasterInfo(
        bounds=(west, south, east, north),
        rectangle=(left, bottom, right, top),
        max_zoom=min(
            MAX_ZOOM, max(0, math.ceil(math.log2(2 * HALF_WORLD_M / TILE_PX / pixel_m)) + 1)
        ),
        crs=crs,
        transform=transform,
        height=height,
        width=width,
        factors=tuple(factors),
    )


def find_tile_rectangle(z: int, x: int, y: int) -> Rectangle:
    """Return the rectangle of an XYZ tile; row 0 is in the north."""
    side = 2 * HALF_WORLD_M / 2**z
    west, north = -HALF_WORLD_M + x * side, HALF_WORLD_M - y * side
    return west, north - side, west + side, north


def read_rectangle(
    entry: RasterEntry, rectangle: Rectangle, *, width: int, height: int
) -> Pixels | None:
    """Read a rectangle by nearest neighbour; None where it does not touch the raster.

    Parameters
    ----------
    rectangle
        In Web Mercator.
    width, height
        Of the answer, in pixels.

    Raises
    ------
    SceneUnreadable
        The file is damaged, missing or without CRS.
    """
    info = describe_raster(entry.path)
    window = _find_overlap(rectangle, info.rectangle, width, height)
    if window is None:
        return None
    rows, cols = window
    west, _, _, north = rectangle
    step_x = (rectangle[2] - west) / width
    step_y = (north - rectangle[1]) / height
    x = west + (np.arange(cols.start, cols.stop) + 0.5) * step_x
    y = north - (np.arange(rows.start, rows.stop) + 0.5) * step_y
    with _explain_failure(entry.path):
        place, error = _interpolate_coordinates(info, x, y)
        level, factor = _choose_level(info, place)
        if not error <= _TOLERANCE * min(factor):  # also when it is not a number
            place = _project(info, *np.meshgrid(x, y))
        picked = _pick_pixels(_open_level(entry.path, level), place, factor, entry.bands)
        full = _open_level(entry.path, -1)
        scale, offset = full.scales[entry.bands[0] - 1], full.offsets[entry.bands[0] - 1]
    if picked is None:
        return None
    values = np.zeros((len(entry.bands), height, width), dtype=picked[0].dtype)
    valid = np.zeros((height, width), dtype=bool)
    values[:, rows, cols], valid[rows, cols] = picked
    return Pixels(values, valid, scale, offset)


def _find_overlap(
    rectangle: Rectangle, raster: Rectangle, width: int, height: int
) -> tuple[slice, slice] | None:
    """Rows and columns of the answer that can lie on the raster."""
    west, south, east, north = rectangle
    step_x, step_y = (east - west) / width, (north - south) / height
    # One pixel of slack: the raster's own rectangle was found from points along its edges.
    left = max(0, math.floor((raster[0] - west) / step_x) - 1)
    right = min(width, math.ceil((raster[2] - west) / step_x) + 1)
    top = max(0, math.floor((north - raster[3]) / step_y) - 1)
    bottom = min(height, math.ceil((north - raster[1]) / step_y) + 1)
    if left >= right or top >= bottom:
        return None
    return slice(top, bottom), slice(left, right)


def _project(info: RasterInfo, x: NDArray[np.float64], y: NDArray[np.float64]) -> Coordinates:
    """Full-resolution pixel coordinates of Web Mercator places; infinite where there are none."""
    east, north = _find_transformer("EPSG:3857", info.crs).transform(x, y)
    inverse = ~Affine(*info.transform)
    return (
        inverse.a * east + inverse.b * north + inverse.c,
        inverse.d * east + inverse.e * north + inverse.f,
    )


def _interpolate_coordinates(
    info: RasterInfo, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[Coordinates, float]:
    """Pixel coordinates of the places ``x`` × ``y``, and the error found in between, in pixels."""
    nodes_x, nodes_y = (np.linspace(a[0], a[-1], min(_NODES, len(a))) for a in (x, y))
    weights_x, weights_y = _find_weights(nodes_x, x), _find_weights(nodes_y, y)
    lattice = _project(info, *np.meshgrid(nodes_x, nodes_y))
    # The error of linear interpolation is largest half-way between nodes.
    middle_x, middle_y = (
        np.interp(np.arange(_NODES - 1) + 0.5, np.arange(len(n)), n) for n in (nodes_x, nodes_y)
    )
    exact = _project(info, middle_x, middle_y)
    half_x, half_y = _find_weights(nodes_x, middle_x), _find_weights(nodes_y, middle_y)
    error = max(
        float(np.abs(((half_y @ guess) * half_x).sum(axis=1) - truth).max())
        for guess, truth in zip(lattice, exact, strict=True)
    )
    cols, rows = (weights_y @ nodes @ weights_x.T for nodes in lattice)
    return (cols, rows), error


def _find_weights(nodes: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear interpolation from evenly spaced ``nodes`` to ``places``, shape (place, node)."""
    weights = np.zeros((len(places), len(nodes)))
    if len(nodes) == 1:
        weights[:] = 1
        return weights
    at = (places - nodes[0]) / (nodes[1] - nodes[0])
    first = np.clip(at.astype(np.intp), 0, len(nodes) - 2)
    share = at - first
    line = np.arange(len(places))
    weights[line, first], weights[line, first + 1] = 1 - share, share
    return weights


def _choose_level(info: RasterInfo, place: Coordinates) -> tuple[int, tuple[float, float]]:
    """Coarsest level that is no coarser than the answer, and its factors."""
    steps = []
    for axis, size in enumerate(place[0].shape):
        # The distance between neighbours hardly changes: a few places tell it.
        apart = max(1, size // 8)
        some = [coordinates[::apart, ::apart] for coordinates in place]
        if some[0].shape[axis] > 1:
            distance = np.hypot(*(np.diff(coordinates, axis=axis) for coordinates in some))
            steps.append(float(np.median(distance)) / apart)
    step = min(steps, default=1.0)
    level, factor = -1, (1.0, 1.0)
    for index, candidate in enumerate(info.factors):
        if max(candidate) <= step * 1.01:
            level, factor = index, candidate
    return level, factor


def _pick_pixels(
    dataset: Any, place: Coordinates, factor: tuple[float, float], bands: Sequence[int]
) -> tuple[NDArray[Any], NDArray[np.bool_]] | None:
    """Values and validity at ``place``, shapes (band, y, x) and (y, x); None if all is outside."""
    cols, rows = (np.floor(c / f) for c, f in zip(place, factor, strict=True))
    inside = (cols >= 0) & (cols < dataset.width) & (rows >= 0) & (rows < dataset.height)
    if not inside.all():
        if not inside.any():
            return None
        cols[~inside], rows[~inside] = cols[inside].min(), rows[inside].min()
    left, top = int(cols.min()), int(rows.min())
    across, down = int(cols.max()) + 1 - left, int(rows.max()) + 1 - top
    # Without overviews a coarse answer would need every pixel of the file: let GDAL skip some.
    width, height = (
        math.ceil(n / max(1, n // (2 * wanted)))
        for n, wanted in zip((across, down), cols.shape[::-1], strict=True)
    )
    window = Window(left, top, across, down)
    block = dataset.read(list(bands), window=window, out_shape=(len(bands), height, width))
    mask = _find_valid(dataset, block, bands, window)
    cols -= left
    rows -= top
    if (width, height) != (across, down):
        cols, rows = np.floor(cols * (width / across)), np.floor(rows * (height / down))
    rows *= width
    rows += cols
    index = rows.astype(np.intp)
    values = block.reshape(len(bands), -1).take(index, axis=1)
    return values, mask.ravel().take(index) & inside


def _find_valid(
    dataset: Any, block: NDArray[Any], bands: Sequence[int], window: Window
) -> NDArray[np.bool_]:
    """Where every band of ``block``, shape (band, y, x), has data."""
    nodata = dataset.nodatavals[bands[0] - 1]
    if nodata is not None:
        valid = ~np.isnan(block) if math.isnan(nodata) else block != nodata
    elif block.dtype.kind == "f":
        valid = ~np.isnan(block)
    elif MaskFlags.per_dataset in dataset.mask_flag_enums[bands[0] - 1]:
        valid = dataset.read_masks(list(bands), window=window, out_shape=block.shape) > 0
    else:
        return np.ones(block.shape[1:], dtype=bool)
    result: NDArray[np.bool_] = valid.all(axis=0)
    return result
