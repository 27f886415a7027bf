"""One tile of an applicability layer, from stored features. Runs in threads, processes, a cluster.

A pixel's answer does not depend on its neighbours, so tiles of any size give the same map.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geotransfer.accuracy.profile import predict_accuracy
from geotransfer.applicability.area import Applicability, from_bytes, select_class
from geotransfer.applicability.search import (
    NODATA,
    compute_dissimilarity,
    count_local_points,
    find_inside,
)
from geotransfer.core.applicability import AccuracyCurve
from geotransfer.core.grid import Grid, Tile
from geotransfer.core.identity import content_id
from geotransfer.core.spec import FeatureSpec
from geotransfer.errors import TableInvalid
from geotransfer.imagery.features import derive_features
from geotransfer.imagery.rasters import (
    PROBABILITY_NODATA,
    PROBABILITY_SCALE,
    Array,
    encode_probability,
)
from geotransfer.store.blobs import BlobStore
from geotransfer.store.tile_files import locate_features, read_tile, write_tile

INSIDE = "applicability"
CLASSES = "applicability-classes"
DISSIMILARITY = "dissimilarity"
DENSITY = "density"
EXPECTED = "expected-accuracy"
LAYERS = (INSIDE, CLASSES, DISSIMILARITY, DENSITY, EXPECTED)

SCALE = PROBABILITY_SCALE
"""Of the dissimilarity index and the expected accuracy, stored as uint16."""
LARGEST_DI = (PROBABILITY_NODATA - 1) * SCALE
"""Larger indices are stored as this: a place so far away is equally far for any purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaTask:
    """All that one tile of one layer needs; travels to workers."""

    layer: str
    blobs_url: str
    area_id: str
    class_codes: tuple[int, ...]
    """Classes of ``applicability-classes``, one layer each."""
    curve: AccuracyCurve | None
    """Of ``expected-accuracy``."""
    spec: FeatureSpec
    grid: Grid
    tile: Tile
    feature_key: str
    folder: str
    """Where tile files are."""

    @property
    def path(self) -> Path:
        """Where the answer is, or goes: named by everything it depends on."""
        key = content_id(
            [self.layer, self.area_id, self.feature_key, list(self.class_codes), self.curve]
        )
        return Path(self.folder) / f"{key}.{self.layer}.npy"


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaResult:
    """What one tile came to."""

    n_pixels: int
    """Pixels answered."""
    sums: tuple[float, ...]
    """Sum of each band over them, in physical values."""
    cpu_s: float


@lru_cache(maxsize=4)
def load_area(blobs_url: str, area_id: str) -> Applicability:
    """Load a fitted area of applicability once a process."""
    return from_bytes(BlobStore(blobs_url).get(area_id))


@lru_cache(maxsize=32)
def find_class_area(blobs_url: str, area_id: str, code: int) -> Applicability | None:
    """Return the area of one class; None where its samples give no threshold."""
    try:
        return select_class(load_area(blobs_url, area_id), code)
    except TableInvalid:
        return None


def compute_area_tile(task: AreaTask) -> AreaResult:
    """Answer one tile; a file that is there already is only read."""
    started = time.thread_time()
    path = task.path
    if not path.exists():
        source = locate_features(Path(task.folder), task.feature_key)
        layers = _answer(task, source)
        write_tile(path, [layers])
    layers = read_tile(path, task.tile)
    cpu_s = time.thread_time() - started
    known = layers != find_nodata(task.layer)
    scale = SCALE if layers.dtype == np.uint16 else 1.0
    return AreaResult(
        n_pixels=int(known.any(axis=0).sum()),
        sums=tuple(
            float(band[answered].sum(dtype=np.float64)) * scale
            for band, answered in zip(layers, known, strict=True)
        ),
        cpu_s=cpu_s,
    )


def find_nodata(layer: str) -> int:
    """Return the value of *no answer* in a layer's raster."""
    return PROBABILITY_NODATA if layer in (DISSIMILARITY, EXPECTED) else NODATA


def _answer(task: AreaTask, source: Path) -> Array:
    """Return the layer of one tile, shape (band, y, x)."""
    shape = (-1, task.tile.height, task.tile.width)
    if task.layer == EXPECTED:
        return _predict_accuracy(task).reshape(shape)
    measured = np.array(read_tile(source, task.tile)[: len(task.spec.measured)])
    features = derive_features(task.spec, measured.reshape(len(measured), -1))
    area = load_area(task.blobs_url, task.area_id)
    if task.layer == INSIDE:
        return find_inside(area, features).reshape(shape)
    if task.layer == CLASSES:
        return np.stack(
            [_find_inside_class(task, code, features) for code in task.class_codes]
        ).reshape(shape)
    if task.layer == DENSITY:
        counts = count_local_points(area, features)
        return np.where(counts < 0, NODATA, counts).astype(np.uint8).reshape(shape)
    return _encode_di(compute_dissimilarity(area, features)).reshape(shape)


def _find_inside_class(
    task: AreaTask, code: int, features: NDArray[np.float32]
) -> NDArray[np.uint8]:
    own = find_class_area(task.blobs_url, task.area_id, code)
    if own is None:
        return np.full(features.shape[1], NODATA, dtype=np.uint8)
    return find_inside(own, features)


def _encode_di(di: NDArray[np.float32]) -> NDArray[np.uint16]:
    return encode_probability(np.minimum(di, np.float32(LARGEST_DI)))


def _predict_accuracy(task: AreaTask) -> NDArray[np.uint16]:
    """Return expected accuracy with its lower and upper end from the tile of the index."""
    if task.curve is None:
        raise TableInvalid("no curve of accuracy against dissimilarity was given; fit one first.")
    encoded = read_tile(locate_dissimilarity(task), task.tile)[0].ravel()
    di = np.where(encoded == PROBABILITY_NODATA, np.nan, encoded * SCALE)
    low, value, high = predict_accuracy(task.curve, di)
    return encode_probability(np.stack([value, low, high]).astype(np.float32))


def locate_dissimilarity(task: AreaTask) -> Path:
    """Return where the index of a task's tile is."""
    return replace(task, layer=DISSIMILARITY, class_codes=(), curve=None).path
