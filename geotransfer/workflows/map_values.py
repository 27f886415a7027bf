"""What a stored map says at points."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from pyproj import Transformer

from geotransfer.core.legend import Legend
from geotransfer.imagery.rasters import PROBABILITY_NODATA, PROBABILITY_SCALE
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.label_points import LabelPoints
from geotransfer.workflows.maps import locate_map


def sample_map(
    workspace: Workspace, region_id: str, map_id: str, points: LabelPoints, legend: Legend
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Read class codes (n,) and probabilities (n, n_classes) at points; NaN where no answer."""
    folder = locate_map(workspace, region_id, map_id)
    codes = _sample_raster(folder / "class.tif", points)[:, 0].astype(np.int64)
    encoded = _sample_raster(folder / "probability.tif", points)
    shown = np.where(encoded == PROBABILITY_NODATA, np.nan, encoded * PROBABILITY_SCALE)
    if len(legend.classes) == 2:
        return codes, np.column_stack([1 - shown[:, 0], shown[:, 0]])
    return codes, shown


def _sample_raster(path: Path, points: LabelPoints) -> NDArray[np.float64]:
    with rasterio.open(path) as file:
        to_raster = Transformer.from_crs("EPSG:4326", file.crs, always_xy=True)
        lonlat = points.lonlat
        xs, ys = to_raster.transform(lonlat[:, 0], lonlat[:, 1])
        values: Sequence[NDArray[np.float64]] = list(file.sample(zip(xs, ys, strict=True)))
    return np.asarray(values, dtype=np.float64).reshape(len(points.codes), -1)
