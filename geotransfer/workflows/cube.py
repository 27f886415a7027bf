"""A region's measured columns as an xarray cube for notebooks: lazy, one Dask block a tile."""

from __future__ import annotations

from pathlib import Path

import dask.array as da
import numpy as np
import xarray as xr
from dask.delayed import delayed
from numpy.typing import NDArray

from geotransfer.core.fact import RefreshDone
from geotransfer.core.grid import Tile, cut_tiles
from geotransfer.errors import NotFound
from geotransfer.store.tables import read_table
from geotransfer.store.tile_files import locate_features, read_tile
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.definitions import find_spec
from geotransfer.workflows.regions import find_region
from geotransfer.workflows.scene_list import load_scenes


def open_cube(workspace: Workspace, region_id: str) -> xr.DataArray:
    """Open the measured columns behind a region's present map.

    Returns
    -------
    float32, dims ``(feature, y, x)``, coordinates in the region's own CRS (attribute ``crs``), NaN
    where nothing was measured. Nothing is read until it is computed.

    Raises
    ------
    NotFound
        The region has no map yet.
    """
    region = find_region(workspace, region_id)
    done = workspace.ledger.read_last(RefreshDone, region_id=region_id)
    if done is None:
        raise NotFound(f"region {region_id!r} has no map yet; refresh it first.")
    inputs = load_scenes(workspace, region_id)
    names = find_spec(workspace, region.spec_name).measured_names
    keys = {
        row["tile_id"]: row["feature_key"] for row in read_table(workspace.blobs.get(done.tiles_id))
    }
    store = workspace.locate_tiles(region_id)

    def make_block(tile: Tile) -> da.Array:
        path = locate_features(store, keys[tile.tile_id])
        block = delayed(_read_block, pure=True)(path, tile, len(names))
        shape = (len(names), tile.height, tile.width)
        array: da.Array = da.from_delayed(block, shape, np.float32)
        return array

    rows: dict[int, list[da.Array]] = {}
    for tile in cut_tiles(inputs.grid, inputs.tile_px):
        rows.setdefault(tile.row, []).append(make_block(tile))
    a, _, c, _, e, f = inputs.grid.transform
    return xr.DataArray(
        da.block([row for _, row in sorted(rows.items())]),
        dims=("feature", "y", "x"),
        coords={
            "feature": list(names),
            "y": f + e * (np.arange(inputs.grid.height) + 0.5),
            "x": c + a * (np.arange(inputs.grid.width) + 0.5),
        },
        attrs={"crs": inputs.grid.crs, "map_id": done.map_id, "spec": region.spec_name},
    )


def _read_block(path: Path, tile: Tile, n_measured: int) -> NDArray[np.float32]:
    return np.array(read_tile(path, tile)[:n_measured], dtype=np.float32)
