from __future__ import annotations

import numpy as np
import pytest
import rasterio

from geotransfer.core.spec import S2_SEMIANNUAL
from geotransfer.errors import NotFound
from geotransfer.workflows.cube import open_cube
from geotransfer.workflows.maps import locate_map
from geotransfer.workflows.refresh import refresh
from tests.workflows.conftest import Mapped


def test_the_cube_is_lazy_whole_and_in_place(mapped: Mapped) -> None:
    region_id = mapped.region.region_id
    with pytest.raises(NotFound, match="refresh it first"):
        open_cube(mapped.workspace, region_id)
    done = refresh(mapped.workspace, region_id, actor="test")
    cube = open_cube(mapped.workspace, region_id)
    assert cube.chunks is not None, "nothing is read before it is asked for"
    assert cube.dims == ("feature", "y", "x")
    assert tuple(cube.feature.values) == S2_SEMIANNUAL.measured_names
    folder = locate_map(mapped.workspace, region_id, done.map_id)
    with rasterio.open(folder / "class.tif") as file:
        known = file.read(1) != 255
        x, y = file.xy(5, 7)
    assert (float(cube.x[7]), float(cube.y[5])) == (x, y)
    assert (np.isfinite(cube.values).all(axis=0) == known).mean() > 0.99
    ndvi = cube.sel(feature="NDVI_S2").mean().compute()
    assert -1 < float(ndvi) < 1
