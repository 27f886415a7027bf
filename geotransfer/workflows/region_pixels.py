"""Some of a region's pixels, spread over its whole map: what stands for the region."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geotransfer.core.fact import RefreshDone
from geotransfer.core.grid import cut_tiles
from geotransfer.core.spec import FeatureSpec
from geotransfer.errors import NotFound
from geotransfer.imagery.features import derive_features
from geotransfer.imagery.grids import locate_pixels
from geotransfer.store.tables import read_table
from geotransfer.store.tile_files import locate_features, read_tile
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.scene_list import RegionScenes

BLOCK_PX = 64
"""Pixels of one block of this side count as neighbours."""


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class RegionPixels:
    """Some of a region's pixels."""

    measured: NDArray[np.float32]
    """Shape (n_measured, n)."""
    features: NDArray[np.float32]
    """Shape (n_features, n)."""
    xy_km: NDArray[np.float64]
    """Shape (2, n), EPSG:6933, kilometres."""
    rows: NDArray[np.int64]
    """Shape (n,), row of each in the region's grid."""
    cols: NDArray[np.int64]
    """Shape (n,)."""
    blocks: NDArray[np.int64]
    """Shape (n,), block of each pixel."""


def find_map(workspace: Workspace, region_id: str) -> RefreshDone:
    """Return the refresh that made a region's present map.

    Raises
    ------
    NotFound
        The region has no map yet.
    """
    done = workspace.ledger.read_last(RefreshDone, region_id=region_id)
    if done is None:
        raise NotFound(
            f"region {region_id!r} has no map yet; run `geotransfer refresh {region_id}` first."
        )
    return done


def read_feature_keys(workspace: Workspace, done: RefreshDone) -> dict[str, str]:
    """Return the key of each tile's stored features."""
    return {
        str(row["tile_id"]): str(row["feature_key"])
        for row in read_table(workspace.blobs.get(done.tiles_id))
    }


def draw_pixels(
    workspace: Workspace,
    done: RefreshDone,
    inputs: RegionScenes,
    spec: FeatureSpec,
    *,
    n_pixels: int,
    seed: int,
) -> RegionPixels:
    """Draw pixels from every tile, as many as its share of the area."""
    rng = np.random.default_rng(seed)
    store = workspace.locate_tiles(str(done.region_id))
    keys = read_feature_keys(workspace, done)
    n_whole = inputs.grid.height * inputs.grid.width
    measured, places, rows, cols = [], [], [], []
    for tile in cut_tiles(inputs.grid, inputs.tile_px):
        if tile.tile_id not in keys:
            continue
        n_tile = tile.height * tile.width
        chosen = rng.permutation(n_tile)[: max(1, round(n_pixels * n_tile / n_whole))]
        layers = read_tile(locate_features(store, keys[tile.tile_id]), tile)
        flat = layers[: len(spec.measured)].reshape(len(spec.measured), -1)
        measured.append(flat[:, chosen].astype(np.float32))
        places.append(locate_pixels(inputs.grid, tile).reshape(2, -1)[:, chosen])
        rows.append(tile.row + chosen // tile.width)
        cols.append(tile.col + chosen % tile.width)
    whole = np.concatenate(measured, axis=1)
    row, col = np.concatenate(rows), np.concatenate(cols)
    n_columns = -(-inputs.grid.width // BLOCK_PX)
    return RegionPixels(
        measured=whole,
        features=derive_features(spec, whole),
        xy_km=np.concatenate(places, axis=1),
        rows=row,
        cols=col,
        blocks=(row // BLOCK_PX) * n_columns + col // BLOCK_PX,
    )
