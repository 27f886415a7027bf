"""The work on one tile, from scenes to classes. Runs in threads, processes or a cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geotransfer.change.judgement import Rule
from geotransfer.change.update import Predict
from geotransfer.core.decision import SceneDecision
from geotransfer.core.grid import Grid, Tile
from geotransfer.core.layer import Layer
from geotransfer.core.legend import NODATA_CLASS
from geotransfer.core.region import Region
from geotransfer.core.scene import Scene
from geotransfer.core.spec import FeatureSpec
from geotransfer.imagery.access import DIRECT, Access, use_access
from geotransfer.imagery.composite import compose_measured
from geotransfer.imagery.grids import locate_pixels, mask_outline
from geotransfer.imagery.layers import read_layers
from geotransfer.imagery.rasters import (
    Array,
    choose_classes,
    encode_probability,
)
from geotransfer.imagery.stack import Stack, read_stack
from geotransfer.store.tile_files import read_tile, write_tile
from geotransfer.transfer.model import Model
from geotransfer.workflows.costing import StageMeter
from geotransfer.workflows.models import load_cached_model

CONFIDENCE_BINS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviousTile:
    """What the last refresh left of a tile."""

    feature_path: str
    map_path: str
    state_path: str
    is_other_model: bool
    """Whether another model made the map."""
    is_forced: bool
    """Nothing may be kept by judgement this time: the detector was tightened."""
    stale_pixels: tuple[int, ...]
    """Pixels that an audit found stale, in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking:
    """What lets a tile be updated scene by scene, now and at the next refresh."""

    cube_folder: str
    cube_bytes: int
    place_id: str
    """Id of grid, tile and outline."""
    fingerprints: tuple[str, ...]
    """Of the task's scenes, in their order."""
    layer_prints: tuple[str, ...]
    state_path: str
    """Where the tile's history goes."""
    previous: PreviousTile | None
    rule: Rule
    reason: str
    """Why there is work."""


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
    layers: tuple[Layer, ...] = ()
    """Layers without a date, in the spec's order."""
    access: Access = DIRECT
    """How files elsewhere are asked for."""
    tracking: Tracking | None = None
    """None: the tile is computed whole, and nothing is kept for the next time."""


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
    n_computed: int = 0
    """Pixels computed; all inside the outline where the tile was computed whole."""
    is_kept: bool = False
    """No pixel was computed: features and map are the files of the last refresh."""
    has_new_features: bool = True
    has_new_view: bool = True
    """Whether measured columns of the spec's last period, which is shown, may be others."""
    judged_blocks: tuple[int, ...] = ()
    """Pixels kept by judgement in each block; empty: none at all."""
    judged_ages: tuple[int, ...] = ()
    """Refreshes since they were up to date, the mean of each block."""
    moves: tuple[int, ...] = ()
    """How far scores moved, for ``change.reach``."""
    decisions: tuple[SceneDecision, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TileCounts:
    """What a tile's layers come to."""

    class_counts: tuple[int, ...]
    n_inside: int
    n_valid: int
    confidence_counts: tuple[int, ...]


def compute_tile(task: TileTask, *, read: Callable[[], Stack] | None = None) -> TileResult:
    """Compute one tile, using whatever of it exists already; ``read`` reads its stack otherwise.

    Files are named by their keys and appear whole, so a tile that a killed worker had finished is
    found and not computed again.
    """
    started = time.thread_time()
    meter = StageMeter()
    feature_path, map_path = Path(task.feature_path), Path(task.map_path)
    read_bytes = written_bytes = 0
    inside = mask_outline(task.region, task.grid, task.tile)
    if feature_path.exists():
        features = np.array(read_tile(feature_path, task.tile))
    else:
        features, read_bytes = _make_features(task, inside, meter, read=read)
        with meter.measure("write"):
            written_bytes += write_tile(feature_path, [features])
    if map_path.exists():
        layers = read_tile(map_path, task.tile)
    else:
        layers = _make_map(task, features, meter)
        with meter.measure("write"):
            written_bytes += write_tile(map_path, [layers])
    counts = count_tile(
        task, inside=inside, counts=features[len(task.spec.measured) :], layers=layers
    )
    return TileResult(
        tile_id=task.tile.tile_id,
        class_counts=counts.class_counts,
        n_inside=counts.n_inside,
        n_valid=counts.n_valid,
        confidence_counts=counts.confidence_counts,
        cpu_s=time.thread_time() - started,
        read_bytes=read_bytes,
        written_bytes=written_bytes,
        stages=meter.stages,
        n_computed=counts.n_inside,
    )


def measure_tile(task: TileTask) -> str:
    """Measure one tile without a model, unless it is measured already, and return its id."""
    path = Path(task.feature_path)
    if not path.exists():
        inside = mask_outline(task.region, task.grid, task.tile)
        features, _ = _make_features(task, inside, StageMeter())
        write_tile(path, [features])
    return task.tile.tile_id


def _make_features(
    task: TileTask,
    inside: NDArray[np.bool_],
    meter: StageMeter,
    *,
    read: Callable[[], Stack] | None = None,
) -> tuple[NDArray[np.float32], int]:
    """Return measured columns and valid observations, shape (layer, y, x), and bytes read."""
    if not inside.any():
        n_measured, n_periods = len(task.spec.measured), len(task.spec.periods)
        layers = np.full((n_measured + n_periods, *inside.shape), np.nan, dtype=np.float32)
        layers[n_measured:] = 0
        return layers, 0
    with meter.measure("read"), use_access(task.access):
        stack = read() if read else read_stack(task.scenes, task.spec.bands, task.grid, task.tile)
    is_whole = bool(inside.all())
    if not is_whole:
        # Nothing is computed outside.
        stack.valid[:, ~inside] = False
    with meter.measure("composite"):
        static = read_layers(task.layers, task.grid, task.tile) if task.layers else None
        measured = compose_measured(stack, task.spec, static=static)
        layers = np.concatenate([measured.values, measured.counts.astype(np.float32)])
    if not is_whole:
        layers[: len(measured.values), ~inside] = np.nan
    return layers, stack.read_bytes


def _make_map(task: TileTask, features: NDArray[np.float32], meter: StageMeter) -> Array:
    """Return class, probabilities and valid observations, uint16, shape (layer, y, x)."""
    model = load_cached_model(task.blobs_url, task.model_id)
    n_measured = len(task.spec.measured)
    position = None if model.is_global else locate_pixels(task.grid, task.tile).reshape(2, -1)
    with meter.measure("predict"):
        layers = predict_pixels(
            model,
            features[:n_measured].reshape(n_measured, -1),
            features[n_measured:].reshape(len(features) - n_measured, -1),
            position,
        )
    return layers.reshape(-1, task.tile.height, task.tile.width)


def predict_pixels(
    model: Model,
    measured: NDArray[np.float32],
    counts: NDArray[np.generic],
    position: NDArray[np.float64] | None,
) -> NDArray[np.uint16]:
    """Return class, probabilities and valid observations of pixels in one line: (layer, n)."""
    probability = model.predict(measured, position)
    classes = choose_classes(probability, model.legend).astype(np.uint16)
    shown = probability[1:] if len(model.legend.classes) == 2 else probability
    observations = counts.sum(axis=0).astype(np.uint16)
    return np.concatenate([classes[None], encode_probability(shown), observations[None]])


def make_predict(task: TileTask) -> Predict:
    """Return the function that maps some pixels of a task's tile."""
    model = load_cached_model(task.blobs_url, task.model_id)
    places = None if model.is_global else locate_pixels(task.grid, task.tile).reshape(2, -1)

    def predict(
        values: NDArray[np.float32], counts: NDArray[np.uint16], pixels: NDArray[np.intp]
    ) -> NDArray[np.uint16]:
        position = None if places is None else places[:, pixels]
        return predict_pixels(model, values, counts, position)

    return predict


def list_probability_names(class_names: tuple[str, ...]) -> list[str]:
    """Return the names of the probability layers: with two classes only the second's."""
    shown = class_names[1:] if len(class_names) == 2 else class_names
    return [f"probability of {name}" for name in shown]


def count_tile(
    task: TileTask, *, inside: NDArray[np.bool_], counts: Array, layers: Array
) -> TileCounts:
    """Count classes, valid and confident pixels of a tile.

    ``counts`` are observations, shape (period, y, x), ``layers`` the map's, shape (layer, y, x).
    """
    codes = layers[0]
    enough = (counts >= task.min_valid).all(axis=0)
    enough &= codes != NODATA_CLASS
    legend = load_cached_model(task.blobs_url, task.model_id).legend
    n_by_code = np.bincount(codes.ravel(), minlength=256)
    return TileCounts(
        class_counts=tuple(int(n_by_code[code]) for code in legend.codes),
        n_inside=int(inside.sum()),
        n_valid=int(enough.sum()),
        confidence_counts=count_confidence(layers[1:-1][:, enough]),
    )


def count_confidence(encoded: Array) -> tuple[int, ...]:
    """Count pixels by the probability of their class; ``encoded`` has shape (layer, n)."""
    confidence = find_confidence(encoded)
    bins = np.histogram(confidence, bins=CONFIDENCE_BINS, range=(0.0, 1.0))[0]
    return tuple(int(n) for n in bins)


def find_confidence(encoded: Array) -> NDArray[np.float64]:
    """Return the probability of the chosen class from stored layers, shape (layer, …)."""
    probability = encoded.astype(np.float64) * 1e-4
    if len(encoded) == 1:
        return np.asarray(np.maximum(probability[0], 1 - probability[0]))
    best: NDArray[np.float64] = probability.max(axis=0)
    return best
