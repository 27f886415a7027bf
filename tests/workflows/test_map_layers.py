"""Layers of change and age: exact by pixel, and written anew after a rollback."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio
from hypothesis import given
from hypothesis import strategies as st

from geotransfer.core.change_legend import make_change_legend
from geotransfer.core.grid import Grid, cut_tiles
from geotransfer.core.legend import CROPLAND, NODATA_CLASS, Legend, LegendClass
from geotransfer.imagery.rasters import write_cog
from geotransfer.workflows.map_layers import compare_classes, write_map_layers

GRID = Grid(
    crs="EPSG:32631", transform=(10.0, 0.0, 300000.0, 0.0, -10.0, 4900000.0), height=40, width=56
)
TILES = cut_tiles(GRID, 32)
ROWS = {
    tile.tile_id: {"computed_at": f"2026-0{number}-03T10:00:00+00:00"}
    for number, tile in enumerate(TILES, start=1)
}
MANY = Legend(
    name="many",
    classes=tuple(LegendClass(code=c, name=f"c{c}", color="#123456") for c in (3, 7, 200)),
)


def write_classes(folder: Path, codes: np.ndarray, grid: Grid = GRID) -> Path:
    def cut():
        for tile in TILES:
            rows = slice(tile.row, tile.row + tile.height)
            yield tile, codes[None, rows, tile.col : tile.col + tile.width]

    write_cog(
        folder / "class.tif", grid, cut(), dtype="uint8", names=["class"], nodata=NODATA_CLASS
    )
    return folder


def write_layers(folder: Path, previous: Path | None) -> None:
    write_map_layers(folder, previous, grid=GRID, tiles=TILES, rows=ROWS, legend=CROPLAND)


def read_layer(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read(1)


def describe_slowly(was: int, now: int, legend: Legend) -> str | None:
    """What a person would say of one pixel."""
    if was == now:
        return None if now == NODATA_CLASS else "as before"
    if now == NODATA_CLASS:
        return "no answer any more"
    return f"became c{now}"


@given(st.lists(st.tuples(*[st.sampled_from((3, 7, 200, 255))] * 2), min_size=1, max_size=40))
def test_each_pixel_says_what_a_person_would(pairs: list[tuple[int, int]]) -> None:
    was, now = (np.array(side, dtype=np.uint8) for side in zip(*pairs, strict=True))
    names = {item.code: item.name for item in make_change_legend(MANY).classes}
    told = [names.get(int(code)) for code in compare_classes(was, now, MANY)]
    assert told == [describe_slowly(a, b, MANY) for a, b in pairs]


def test_a_map_tells_what_changed_and_when(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    first, second = (
        rng.choice([0, 1, 255], (GRID.height, GRID.width)).astype(np.uint8) for _ in range(2)
    )
    a, b = write_classes(tmp_path / "a", first), write_classes(tmp_path / "b", second)
    write_layers(a, None)
    assert not (a / "change.tif").exists()
    write_layers(b, a)
    assert (read_layer(b / "change.tif") == compare_classes(first, second, CROPLAND)).all()
    # After a rollback the first map follows the second one.
    write_layers(a, b)
    assert (read_layer(a / "change.tif") == compare_classes(second, first, CROPLAND)).all()

    days = read_layer(b / "computed.tif")
    assert set(np.unique(days[second == NODATA_CLASS])) == {0}
    last = TILES[-1]
    corner = days[last.row :, last.col :]
    assert set(np.unique(corner[corner > 0])) == {
        (np.datetime64("2026-04-03") - np.datetime64("1970-01-01")).astype(int)
    }
    with rasterio.open(b / "change.tif") as file:
        assert file.colormap(1)[2] == (230, 159, 0, 255)


def test_maps_on_other_pixels_are_not_compared(tmp_path: Path) -> None:
    codes = np.zeros((GRID.height, GRID.width), dtype=np.uint8)
    moved = replace(GRID, transform=(10.0, 0.0, 300010.0, 0.0, -10.0, 4900000.0))
    a, b = write_classes(tmp_path / "a", codes, moved), write_classes(tmp_path / "b", codes)
    write_layers(b, a)
    assert not (b / "change.tif").exists()
