"""Maps: a region's tiles put together as cloud-optimised GeoTIFFs any GIS opens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from geotransfer.core.fact import RefreshDone
from geotransfer.core.grid import Tile, cut_tiles
from geotransfer.core.legend import NODATA_CLASS
from geotransfer.core.model import ModelVersion
from geotransfer.core.region import Region
from geotransfer.imagery.rasters import (
    PROBABILITY_NODATA,
    PROBABILITY_SCALE,
    Array,
    read_tile,
    render_rgb,
    write_cog,
)
from geotransfer.store.tables import Row
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.definitions import find_spec
from geotransfer.workflows.map_layers import write_map_layers
from geotransfer.workflows.models import load_cached_model
from geotransfer.workflows.scene_list import RegionScenes
from geotransfer.workflows.tile import list_probability_names

TRUE_COLOUR = ("red", "green", "blue")
FALSE_COLOUR = ("nir", "red", "green")


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

    def read_maps(first: int, last: int | None, dtype: str) -> Iterator[tuple[Tile, Array]]:
        for tile in tiles:
            layers = read_tile(store / f"{by_id[tile.tile_id]['map_key']}.map.tif")
            yield tile, layers[first:last].astype(dtype)

    def exists(name: str) -> bool:
        return (folder / name).exists()

    if not exists("class.tif"):
        write_cog(
            folder / "class.tif", grid, read_maps(0, 1, "uint8"), dtype="uint8", names=["class"],
            nodata=NODATA_CLASS, legend=legend, resampling="mode",
        )  # fmt: skip
    if not exists("probability.tif"):
        write_cog(
            folder / "probability.tif", grid, read_maps(1, -1, "uint16"), dtype="uint16",
            names=list_probability_names(legend.names), nodata=PROBABILITY_NODATA,
            scale=PROBABILITY_SCALE, resampling="average",
        )  # fmt: skip
    if not exists("observations.tif"):
        write_cog(
            folder / "observations.tif", grid, read_maps(-1, None, "uint16"), dtype="uint16",
            names=["valid observations"], nodata=PROBABILITY_NODATA,
        )  # fmt: skip
    spec = find_spec(workspace, region.spec_name)
    period = spec.periods[-1].name
    for name, bands in (("true-colour", TRUE_COLOUR), ("false-colour", FALSE_COLOUR)):
        columns = [f"{band}_{period}" for band in bands]
        if exists(f"{name}.tif") or not set(columns) <= set(spec.measured_names):
            continue
        layers = [spec.measured_names.index(column) for column in columns]

        def read_colours(layers: list[int] = layers) -> Iterator[tuple[Tile, Array]]:
            for tile in tiles:
                values = read_tile(store / f"{by_id[tile.tile_id]['feature_key']}.features.tif")
                high = 0.5 if layers[0] == spec.measured_names.index(f"nir_{period}") else 0.3
                yield tile, render_rgb(values[layers].astype(np.float32), high=high)

        write_cog(
            folder / f"{name}.tif", grid, read_colours(), dtype="uint8", names=list(bands),
            nodata=0, resampling="average",
        )  # fmt: skip
    last = workspace.ledger.read_last(RefreshDone, region_id=region.region_id)
    write_map_layers(
        folder,
        locate_map(workspace, region.region_id, last.map_id) if last else None,
        grid=grid,
        tiles=tiles,
        rows=by_id,
        legend=legend,
    )
    return folder
