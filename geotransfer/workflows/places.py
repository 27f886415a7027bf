"""Places spread evenly over a region's map: what stands for the area to predict."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geotransfer.core.grid import Tile
from geotransfer.imagery.grids import locate_pixels
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.scene_list import load_scenes

PLACES_PER_SIDE = 40


def spread_places(workspace: Workspace, region_id: str) -> NDArray[np.float64]:
    """Return places spread evenly over the region's grid, shape (m, 2), km in EPSG:6933."""
    grid = load_scenes(workspace, region_id).grid
    whole = Tile(tile_id="all", row=0, col=0, height=grid.height, width=grid.width)
    positions = locate_pixels(grid, whole)
    rows = np.linspace(0, grid.height - 1, PLACES_PER_SIDE).astype(int)
    cols = np.linspace(0, grid.width - 1, PLACES_PER_SIDE).astype(int)
    return positions[:, rows][:, :, cols].reshape(2, -1).T
