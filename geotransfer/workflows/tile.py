"""The work on one tile, from scenes to classes. Runs in threads, processes or a cluster."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geotransfer.core.grid import Grid, Tile
from geotransfer.core.legend import NODATA_CLASS
from geotransfer.core.region import Region
from geotransfer.core.scene import Scene
from geotransfer.core.spec import FeatureSpec
from geotransfer.imagery.composite import compose_measured
from geotransfer.imagery.grids import locate_pixels, mask_outline
from geotransfer.imagery.rasters import (
    PROBABILITY_NODATA,
    Array,
    choose_classes,
    encode_probability,
    read_tile,
    write_tile,
)
from geotransfer.imagery.stack import read_stack
from geotransfer.workflows.costing import StageMeter
from geotransfer.workflows.models import load_cached_model

CONFIDENCE_BINS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class TileTask:
    """All that one tile needs; travels to workers."""

    region: Region
    spec: FeatureSpec
    grid: Grid
    tile: Tile
    scenes: tuple[Scene, ...]
    """Scenes that touch the tile."""
    blobs_url: str
    model_id: str
    feature_path: str
    """Where the measured columns are, or go."""
    map_path: str
    min_valid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TileResult:
    """What one tile came to, and what it cost."""

    tile_id: str
    class_counts: tuple[int, ...]
    """Pixels per class of the legend, in its order."""
    n_inside: int
    """Pixels inside the outline."""
    n_valid: int
    """Of these, pixels with enough valid observations in every period."""
    confidence_counts: tuple[int, ...]
    """Of these, pixels by the probability of their class, in 100 equal bins from 0 to 1."""
    cpu_s: float
    read_bytes: int
    written_bytes: int
    stages: Mapping[str, float]
    """Of ``cpu_s``, the seconds of each stage."""


def compute_tile(task: TileTask) -> TileResult:
    """Bring one tile up to date, using whatever of it exists already.

    Files are named by their keys and appear whole, so a tile that a killed worker had finished is
    found and not computed again.
    """
    started = time.thread_time()
    meter = StageMeter()
    feature_path, map_path = Path(task.feature_path), Path(task.map_path)
    read_bytes = written_bytes = 0
    if not feature_path.exists():
        read_bytes, written_bytes = _write_features(task, feature_path, meter)
    if not map_path.exists():
        written_bytes += _write_map(task, feature_path, map_path, meter)
    return summarize_tile(
        task,
        cpu_s=time.thread_time() - started,
        read_bytes=read_bytes,
        written_bytes=written_bytes,
        stages=meter.stages,
    )


def _write_features(task: TileTask, path: Path, meter: StageMeter) -> tuple[int, int]:
    with meter.measure("read"):
        stack = read_stack(task.scenes, task.spec.bands, task.grid, task.tile)
    with meter.measure("composite"):
        measured = compose_measured(stack, task.spec)
    outside = ~mask_outline(task.region, task.grid, task.tile)
    values = measured.values
    values[:, outside] = np.nan
    counts = measured.counts.astype(np.float32)
    counts[:, outside] = 0
    names = [*task.spec.measured_names, *[f"count_{p.name}" for p in task.spec.periods]]
    layers = np.concatenate([values, counts])
    with meter.measure("write"):
        size = write_tile(path, layers, task.grid, task.tile, names=names, nodata=float("nan"))
    return stack.read_bytes, size


def _write_map(task: TileTask, feature_path: Path, path: Path, meter: StageMeter) -> int:
    model = load_cached_model(task.blobs_url, task.model_id)
    layers = read_tile(feature_path)
    n_measured = len(task.spec.measured)
    measured = layers[:n_measured].astype(np.float32, copy=False)
    position = locate_pixels(task.grid, task.tile).reshape(2, -1)
    with meter.measure("predict"):
        probability = model.predict(measured.reshape(n_measured, -1), position)
    probability = probability.reshape(-1, task.tile.height, task.tile.width)
    classes = choose_classes(probability, model.legend).astype(np.uint16)
    shown = probability[1:] if len(model.legend.classes) == 2 else probability
    observations = layers[n_measured:].sum(axis=0).astype(np.uint16)
    stacked = np.concatenate([classes[None], encode_probability(shown), observations[None]])
    names = ["class", *list_probability_names(model.legend.names), "observations"]
    with meter.measure("write"):
        return write_tile(
            path, stacked, task.grid, task.tile, names=names, nodata=PROBABILITY_NODATA
        )


def list_probability_names(class_names: tuple[str, ...]) -> list[str]:
    """Return the names of the probability layers: with two classes only the second's."""
    shown = class_names[1:] if len(class_names) == 2 else class_names
    return [f"probability of {name}" for name in shown]


def summarize_tile(
    task: TileTask,
    *,
    cpu_s: float,
    read_bytes: int,
    written_bytes: int,
    stages: Mapping[str, float],
) -> TileResult:
    """Count classes, valid and confident pixels of a stored tile."""
    layers = read_tile(Path(task.map_path))
    counts = read_tile(Path(task.feature_path))[len(task.spec.measured) :]
    codes = layers[0]
    enough = (counts >= task.min_valid).all(axis=0) & (codes != NODATA_CLASS)
    legend = load_cached_model(task.blobs_url, task.model_id).legend
    confidence = find_confidence(layers[1:-1])
    bins = np.histogram(confidence[enough], bins=CONFIDENCE_BINS, range=(0.0, 1.0))[0]
    return TileResult(
        tile_id=task.tile.tile_id,
        class_counts=tuple(int((codes == code).sum()) for code in legend.codes),
        n_inside=int(mask_outline(task.region, task.grid, task.tile).sum()),
        n_valid=int(enough.sum()),
        confidence_counts=tuple(int(n) for n in bins),
        cpu_s=cpu_s,
        read_bytes=read_bytes,
        written_bytes=written_bytes,
        stages=stages,
    )


def find_confidence(encoded: Array) -> NDArray[np.float64]:
    """Return the probability of the chosen class from stored layers, shape (y, x)."""
    probability = encoded.astype(np.float64) * 1e-4
    if len(encoded) == 1:
        return np.asarray(np.maximum(probability[0], 1 - probability[0]))
    best: NDArray[np.float64] = probability.max(axis=0)
    return best
