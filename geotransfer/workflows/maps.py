"""Maps: a region's tiles put together as cloud-optimised GeoTIFFs any GIS opens."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from geotransfer.core.fact import RefreshDone
from geotransfer.core.grid import Tile, cut_tiles
from geotransfer.core.legend import NODATA_CLASS, Legend
from geotransfer.core.model import ModelVersion
from geotransfer.core.region import Region
from geotransfer.core.spec import FeatureSpec
from geotransfer.imagery.rasters import (
    PROBABILITY_NODATA,
    PROBABILITY_SCALE,
    Array,
    render_rgb,
    write_cog,
)
from geotransfer.store.tables import Row, read_table
from geotransfer.store.tile_files import locate_answers, locate_features, read_tile
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.definitions import find_spec
from geotransfer.workflows.map_layers import write_map_layers
from geotransfer.workflows.models import load_cached_model
from geotransfer.workflows.scene_list import RegionScenes
from geotransfer.workflows.tile import list_probability_names

COLOURS = (
    ("true-colour", ("red", "green", "blue"), 0.3),
    ("false-colour", ("nir", "red", "green"), 0.5),
)
"""Composites to look at: name, bands, reflectance shown brightest."""
VIEWS = tuple(name for name, _, _ in COLOURS)


@dataclass(frozen=True, eq=False, kw_only=True)
class _Raster:
    """One file of a map, put together tile by tile."""

    name: str
    read: Callable[[Tile], Array]
    """Return a tile's layers, shape (band, y, x)."""
    dtype: str
    layers: list[str]
    nodata: int
    legend: Legend | None = None
    scale: float | None = None
    resampling: str = "nearest"


def locate_map(workspace: Workspace, region_id: str, map_id: str) -> Path:
    """Folder of one map's rasters."""
    return workspace.locate_maps(region_id) / map_id[:16]


def write_map(
    workspace: Workspace,
    region: Region,
    inputs: RegionScenes,
    rows: Sequence[Row],
    map_id: str,
    version: ModelVersion,
) -> Path:
    """Write a map's rasters; those of a map that exists are reused.

    Class, probability, observations, composites; and against the map before, what changed and when.
    """
    folder = locate_map(workspace, region.region_id, map_id)
    legend = load_cached_model(workspace.blobs_url, version.model_id).legend
    grid = inputs.grid
    by_id = {str(row["tile_id"]): row for row in rows}
    tiles = [tile for tile in cut_tiles(grid, inputs.tile_px) if tile.tile_id in by_id]
    store = workspace.locate_tiles(region.region_id)

    spec = find_spec(workspace, region.spec_name)

    def read_answers(tile: Tile) -> Array:
        return read_tile(locate_answers(store, str(by_id[tile.tile_id]["map_key"])), tile)

    def read_features(tile: Tile) -> Array:
        return read_tile(locate_features(store, str(by_id[tile.tile_id]["feature_key"])), tile)

    rasters = [
        *_list_map_rasters(legend, read_answers),
        *_list_colour_rasters(spec, read_features),
    ]
    if spec.gap_filling:
        rasters = [
            _add_filled(raster, spec, read_answers, read_features)
            if raster.name == "observations"
            else raster
            for raster in rasters
        ]

    last = workspace.ledger.read_last(RefreshDone, region_id=region.region_id)
    previous = locate_map(workspace, region.region_id, last.map_id) if last else None
    is_same_view = last is not None and _list_views(rows) == _list_views(
        read_table(workspace.blobs.get(last.tiles_id))
    )

    def write(raster: _Raster) -> None:
        path = folder / f"{raster.name}.tif"
        if is_same_view and previous is not None and raster.name in VIEWS and not path.exists():
            with contextlib.suppress(OSError):
                folder.mkdir(parents=True, exist_ok=True)
                os.link(previous / path.name, path)
        if not path.exists():
            write_cog(
                path, grid, ((tile, raster.read(tile)) for tile in tiles), dtype=raster.dtype,
                names=raster.layers, nodata=raster.nodata, legend=raster.legend,
                scale=raster.scale, resampling=raster.resampling,
            )  # fmt: skip

    with ThreadPoolExecutor(workspace.settings.thread_count) as pool:
        for writing in [pool.submit(write, raster) for raster in rasters]:
            writing.result()
    write_map_layers(
        folder,
        previous,
        grid=grid,
        tiles=tiles,
        rows=by_id,
        legend=legend,
    )
    return folder


def _list_views(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Return what the composites to look at were made of."""
    return [(str(row["tile_id"]), str(row.get("view_key") or row["feature_key"])) for row in rows]


def _list_map_rasters(legend: Legend, read_answers: Callable[[Tile], Array]) -> list[_Raster]:
    def read(tile: Tile, layers: slice, dtype: str) -> Array:
        return read_answers(tile)[layers].astype(dtype)

    names = list_probability_names(legend.names)
    return [
        _Raster(
            name="class", read=partial(read, layers=slice(1), dtype="uint8"), dtype="uint8",
            layers=["class"], nodata=NODATA_CLASS, legend=legend, resampling="mode",
        ),
        _Raster(
            name="probability", read=partial(read, layers=slice(1, -1), dtype="uint16"),
            dtype="uint16", layers=names, nodata=PROBABILITY_NODATA, scale=PROBABILITY_SCALE,
            resampling="average",
        ),
        _Raster(
            name="observations", read=partial(read, layers=slice(-1, None), dtype="uint16"),
            dtype="uint16", layers=["valid observations"], nodata=PROBABILITY_NODATA,
        ),
    ]  # fmt: skip


def _add_filled(
    raster: _Raster,
    spec: FeatureSpec,
    read_answers: Callable[[Tile], Array],
    read_features: Callable[[Tile], Array],
) -> _Raster:
    """Give the observations a second band: periods filled in between others, of mapped pixels."""

    def read(tile: Tile) -> Array:
        counts = read_features(tile)[len(spec.measured) :]
        codes = read_answers(tile)[0]
        n_unseen = (counts == 0).sum(axis=0).astype(np.uint16)
        filled = np.where(codes == NODATA_CLASS, PROBABILITY_NODATA, n_unseen).astype(np.uint16)
        return np.concatenate([raster.read(tile), filled[None]])

    return replace(raster, read=read, layers=[*raster.layers, "periods filled in"])


def _list_colour_rasters(
    spec: FeatureSpec, read_features: Callable[[Tile], Array]
) -> list[_Raster]:
    """Return the composites of the spec's last period; none where it does not hold their bands."""

    def read(tile: Tile, layers: Sequence[int], high: float) -> Array:
        return render_rgb(read_features(tile)[list(layers)], high=high)

    rasters = []
    for name, bands, high in COLOURS:
        columns = [f"{band}_{spec.periods[-1].name}" for band in bands]
        if set(columns) <= set(spec.measured_names):
            layers = [spec.measured_names.index(column) for column in columns]
            rasters.append(
                _Raster(
                    name=name, read=partial(read, layers=layers, high=high), dtype="uint8",
                    layers=list(bands), nodata=0, resampling="average",
                )
            )  # fmt: skip
    return rasters
