from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pyproj import Transformer

from geotransfer.errors import InputError
from geotransfer.tiles.catalog import RasterEntry, RasterKind
from geotransfer.tiles.points import read_point

Writer = Callable[..., Path]


def find_place(col: float, row: float) -> tuple[float, float]:
    """Longitude and latitude of a pixel's centre in the fixtures' grid."""
    to_degrees = Transformer.from_crs(32631, 4326, always_xy=True)
    lon, lat = to_degrees.transform(400000 + 10 * (col + 0.5), 4800000 - 10 * (row + 0.5))
    return lon, lat


def test_a_click_reads_the_pixel_under_it(
    class_entry: RasterEntry, class_codes: np.ndarray
) -> None:
    names = {0: "water", 1: "crop", 7: "forest"}
    rng = np.random.default_rng(2)
    for _ in range(60):
        row, col = int(rng.integers(700)), int(rng.integers(600))
        answer = read_point(class_entry, *find_place(col, row))
        code = int(class_codes[0, row, col])
        assert answer.inside
        assert answer.values == (() if code == 255 else (code,))
        assert answer.label == names.get(code)


def test_outside_is_said(class_entry: RasterEntry) -> None:
    answer = read_point(class_entry, 60, -10)
    assert (answer.inside, answer.values, answer.label) == (False, (), None)


def test_values_are_physical_for_every_band(write_raster: Writer) -> None:
    stored = np.arange(3 * 50 * 50, dtype=np.uint16).reshape(3, 50, 50)
    path = write_raster(stored, scale=1e-4)
    entry = RasterEntry(
        path=path, name="Probability", kind=RasterKind.SHARE, bands=(3, 1), unit="share"
    )
    answer = read_point(entry, *find_place(20, 10))
    assert answer.values == (0.552, 0.052)
    assert answer.label is None
    assert answer.unit == "share"


def test_days_are_written_as_dates(write_raster: Writer) -> None:
    path = write_raster(np.full((1, 20, 20), 19723, dtype=np.uint16))
    entry = RasterEntry(path=path, name="Last computed", kind=RasterKind.DATE)
    assert read_point(entry, *find_place(5, 5)).label == "2024-01-01"


def test_code_outside_the_legend_is_named(write_raster: Writer, class_entry: RasterEntry) -> None:
    path = write_raster(np.full((1, 20, 20), 9, dtype=np.uint8))
    entry = RasterEntry(path=path, name="x", kind=RasterKind.CLASS, legend=class_entry.legend)
    assert read_point(entry, *find_place(5, 5)).label == "code 9, not in the legend"


@pytest.mark.parametrize(("lon", "lat"), [(181, 0), (0, 86), (float("nan"), 0)])
def test_place_off_the_map_is_refused(class_entry: RasterEntry, lon: float, lat: float) -> None:
    with pytest.raises(InputError, match="not on the map"):
        read_point(class_entry, lon, lat)
