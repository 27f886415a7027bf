from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.shutil import copy as copy_raster

from geotransfer.core.legend import Legend, LegendClass
from geotransfer.tiles.catalog import RasterEntry, RasterKind

UTM = Affine(10, 0, 400000, 0, -10, 4800000)
LEGEND = Legend(
    name="test",
    classes=(
        LegendClass(code=0, name="water", color="#0072b2"),
        LegendClass(code=1, name="crop", color="#e69f00"),
        LegendClass(code=7, name="forest", color="#009e73"),
    ),
)


@dataclass
class FolderCatalog:
    """Entries by region and layer; the last version is the current one."""

    folder: Path
    rasters: dict[tuple[str, str, str | None], RasterEntry] = field(default_factory=dict)
    vectors: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)

    def find_raster(self, region_id: str, layer: str, version: str | None) -> RasterEntry | None:
        self.asked.append((region_id, layer, version))
        return self.rasters.get((region_id, layer, version))

    def list_rasters(self, region_id: str, version: str | None) -> dict[str, RasterEntry]:
        return {
            layer: entry
            for (region, layer, v), entry in self.rasters.items()
            if region == region_id and v == version
        }

    def read_vector(self, name: str, version: str | None) -> bytes | None:
        return self.vectors.get(name)


@pytest.fixture
def write_raster(tmp_path: Path) -> Callable[..., Path]:
    """Write an array of shape (band, y, x) and return its path."""

    def write(
        array: np.ndarray,
        *,
        crs: str | None = "EPSG:32631",
        transform: Affine = UTM,
        name: str = "layer.tif",
        overviews: str | None = None,
        scale: float | None = None,
        mask: np.ndarray | None = None,
        **profile: Any,
    ) -> Path:
        path = tmp_path / name
        draft = tmp_path / f"draft-{name}"
        options = {
            "driver": "GTiff",
            "count": array.shape[0],
            "height": array.shape[1],
            "width": array.shape[2],
            "dtype": array.dtype.name,
            "crs": crs,
            "transform": transform,
            "tiled": True,
            "blockxsize": 128,
            "blockysize": 128,
            **profile,
        }
        with rasterio.open(draft if overviews else path, "w", **options) as file:
            file.write(array)
            if scale is not None:
                file.scales = (scale,) * array.shape[0]
            if mask is not None:
                file.write_mask(mask)
        if overviews:
            copy_raster(draft, path, driver="COG", blocksize=128, overview_resampling=overviews)
            draft.unlink()
        return path

    return write


@pytest.fixture
def legend() -> Legend:
    return LEGEND


@pytest.fixture
def class_codes() -> np.ndarray:
    """Patches of the three classes, a corner without data; shape (1, 700, 600)."""
    rng = np.random.default_rng(7)
    patches = rng.choice([0, 1, 7], size=(70, 60)).astype(np.uint8)
    codes = patches.repeat(10, axis=0).repeat(10, axis=1)
    codes[:100, :150] = 255
    return codes[None]


@pytest.fixture
def class_entry(
    write_raster: Callable[..., Path], class_codes: np.ndarray, legend: Legend
) -> RasterEntry:
    path = write_raster(class_codes, name="class.tif", overviews="mode", nodata=255)
    return RasterEntry(path=path, name="Class", kind=RasterKind.CLASS, legend=legend)


@pytest.fixture
def catalog(tmp_path: Path, class_entry: RasterEntry) -> FolderCatalog:
    return FolderCatalog(
        folder=tmp_path,
        rasters={("r1", "class", None): class_entry, ("r1", "class", "v1"): class_entry},
        vectors={"regions": b'{"type":"FeatureCollection","features":[]}'},
    )
