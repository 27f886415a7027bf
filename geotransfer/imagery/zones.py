"""Zones: what a map says of each polygon, pixels weighted by the share of them it covers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import rasterio
from exactextract import exact_extract

from geotransfer.core.legend import Legend
from geotransfer.imagery.areas import EQUAL_AREA

if TYPE_CHECKING:
    import geopandas as gpd


def summarize_zones(
    folder: Path, polygons: gpd.GeoDataFrame, legend: Legend, *, pixel_km2: float
) -> pd.DataFrame:
    """Summarise a map's rasters by polygon.

    Parameters
    ----------
    folder
        Holds ``class.tif``, ``probability.tif`` and ``observations.tif`` on one grid.
    polygons
        Any CRS.
    pixel_km2
        Area of a pixel.

    Returns
    -------
    One row a polygon: ``area_km2``; ``mapped_share`` of it that has an answer; of each class
    ``share <class>`` of the mapped part and ``km2 <class>``; ``mean probability <class>``; ``mean
    observations`` of the mapped part. NaN where nothing is mapped. Areas count pixels: they carry
    the map's bias, and estimates of area need reference labels (Olofsson et al. 2014).
    """
    on_grid = polygons.to_crs(_read_crs(folder / "class.tif"))
    frame = pd.DataFrame(index=polygons.index)
    frame["area_km2"] = polygons.to_crs(EQUAL_AREA).area.to_numpy() / 1e6
    counted = _extract(folder / "class.tif", on_grid, ["count", "frac", "unique"])
    mapped_km2 = counted["count"].to_numpy(dtype=float) * pixel_km2
    frame["mapped_share"] = np.minimum(mapped_km2 / frame["area_km2"], 1.0)
    is_mapped = mapped_km2 > 0
    shares = [
        dict(zip(codes, found, strict=True))
        for codes, found in zip(counted["unique"], counted["frac"], strict=True)
    ]
    for item in legend.classes:
        share = np.array([float(row.get(item.code, 0.0)) for row in shares])
        frame[f"share {item.name}"] = np.where(is_mapped, share, np.nan)
        frame[f"km2 {item.name}"] = share * mapped_km2
    means = _extract(folder / "probability.tif", on_grid, ["mean"]).to_numpy(dtype=float)
    shown = legend.names[1:] if legend.is_binary else legend.names
    for column, name in enumerate(shown):
        frame[f"mean probability {name}"] = means[:, column]
    observed = _extract(folder / "observations.tif", on_grid, ["mean"]).to_numpy(dtype=float)
    frame["mean observations"] = observed[:, 0]
    return frame


def _read_crs(path: Path) -> str:
    with rasterio.open(path) as file:
        return str(file.crs)


def _extract(path: Path, polygons: gpd.GeoDataFrame, ops: list[str]) -> pd.DataFrame:
    found: pd.DataFrame = exact_extract(str(path), polygons[["geometry"]], ops, output="pandas")
    return found
