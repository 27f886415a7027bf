"""Rasters as archives have them: turned, upside down, in another zone, across the antimeridian.

Each is read as an obvious reference reads it: every pixel's centre goes to the file's own CRS, and
the value there is the value here; beyond the file there is none, and never a zero.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer

from geotransfer.core.grid import Grid, Tile, cut_tiles
from geotransfer.core.region import Region, RegionKind
from geotransfer.core.scene import Asset, Scene
from geotransfer.imagery.grids import (
    choose_grid,
    find_footprints,
    locate_pixels,
    mask_outline,
    measure_pixel_km2,
    touch_tile,
)
from geotransfer.imagery.stack import find_solar_day, read_stack

GRID = Grid(crs="EPSG:32631", transform=(10, 0, 500000, 0, -10, 5000000), height=40, width=40)
WHOLE = Tile(tile_id="t", row=0, col=0, height=40, width=40)


def write_scene(
    path: Path,
    transform: Affine,
    *,
    crs: str = GRID.crs,
    shape: tuple[int, int] = (40, 40),
    n_bands: int = 1,
    nodata: int | None = 0,
    offset: float = 0.0,
    bounds: tuple[float, float, float, float] = (3.0, 45.1, 3.01, 45.2),
) -> tuple[Scene, NDArray[np.uint16]]:
    pixels = np.random.default_rng(1).integers(1, 9000, (n_bands, *shape)).astype(np.uint16)
    with rasterio.open(
        path, "w", driver="GTiff", height=shape[0], width=shape[1], count=n_bands, dtype="uint16",
        crs=crs, transform=transform,
    ) as file:  # fmt: skip
        file.write(pixels)
    asset = Asset(
        name="red", href=str(path), scale=1e-4, offset=offset, nodata=nodata, band=n_bands
    )
    scene = Scene(
        scene_id=path.stem, sensed_at="2022-03-01T10:30:00Z", sensor="sentinel-2-l2a",
        bounds=bounds, assets=(asset,), crs=crs, transform=tuple(transform)[:6], shape=shape,
    )  # fmt: skip
    return scene, pixels[-1]


def read_slowly(
    pixels: NDArray[np.uint16], transform: Affine, crs: str, grid: Grid
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Values, where there are any, and where a centre is too near an edge of pixels to tell."""
    to_source = Transformer.from_crs(grid.crs, crs, always_xy=True)
    values = np.zeros((grid.height, grid.width), dtype=np.int64)
    inside = np.zeros(values.shape, dtype=bool)
    unsure = np.zeros(values.shape, dtype=bool)
    for row in range(grid.height):
        for col in range(grid.width):
            x, y = Affine(*grid.transform) @ (col + 0.5, row + 0.5)
            source_col, source_row = ~transform @ to_source.transform(x, y)
            i, j = int(np.floor(source_row)), int(np.floor(source_col))
            edges = [abs(source_row - round(source_row)), abs(source_col - round(source_col))]
            unsure[row, col] = min(edges) < 1e-6
            if 0 <= i < pixels.shape[0] and 0 <= j < pixels.shape[1]:
                values[row, col], inside[row, col] = pixels[i, j], True
    return values, inside, unsure


TURNED = Affine.translation(500050, 4999900) @ Affine.rotation(30) @ Affine.scale(10, -10)
CASES = {
    "rotated": (TURNED, "EPSG:32631"),
    "rotated and mirrored": (
        Affine.translation(500100, 4999700) @ Affine.rotation(-75) @ Affine.scale(10, 10),
        "EPSG:32631",
    ),
    "south-up": (Affine(10, 0, 500030, 0, 10, 4999650), "EPSG:32631"),
    "half a pixel off": (Affine(10, 0, 500033, 0, -10, 4999953), "EPSG:32631"),
    "not square": (Affine(10, 0, 500103, 0, -25, 5000050), "EPSG:32631"),
    "other zone": (Affine(10, 0, 971780, 0, -10, 5017480), "EPSG:32630"),
    "degrees": (Affine(0.00013, 0, 3.0003, 0, -0.00009, 45.1525), "EPSG:4326"),
}


@pytest.mark.parametrize("nodata", [0, None])
@pytest.mark.parametrize("kind", CASES)
def test_every_pixel_is_the_one_an_obvious_reference_finds(
    tmp_path: Path, kind: str, nodata: int | None
) -> None:
    transform, crs = CASES[kind]
    scene, pixels = write_scene(tmp_path / "s.tif", transform, crs=crs, nodata=nodata)
    values, inside, unsure = read_slowly(pixels, transform, crs, GRID)
    assert 0.2 < inside.mean() < 1, "the case is about a scene that covers a part"
    stack = read_stack([scene], ["red"], GRID, WHOLE)
    clear = ~unsure
    assert clear.mean() > 0.4
    assert (stack.valid[0] == inside)[clear].all()
    assert (stack.dn[0, 0] == values)[clear & inside].all()
    assert not stack.dn[0, 0][~stack.valid[0]].any(), "what is not there has no number"


@pytest.mark.parametrize("kind", CASES)
def test_tiles_put_together_are_the_whole_whatever_the_file(tmp_path: Path, kind: str) -> None:
    transform, crs = CASES[kind]
    scene, _ = write_scene(tmp_path / "s.tif", transform, crs=crs)
    whole = read_stack([scene], ["red"], GRID, WHOLE)
    bounds = find_footprints([scene], GRID.crs)[0]
    for tile in cut_tiles(GRID, 13):
        part = np.s_[tile.row : tile.row + tile.height, tile.col : tile.col + tile.width]
        if not touch_tile(bounds, GRID, tile):
            assert not whole.valid[0][part].any(), "a tile that is not matched would miss it"
            continue
        read = read_stack([scene], ["red"], GRID, tile)
        assert (read.valid[0] == whole.valid[0][part]).all()
        assert (read.dn[0, 0] == whole.dn[0, 0][part]).all()


def test_a_band_of_a_file_with_many_is_that_band_on_another_grid_too(tmp_path: Path) -> None:
    transform, crs = CASES["half a pixel off"]
    scene, pixels = write_scene(tmp_path / "s.tif", transform, crs=crs, n_bands=3)
    values, inside, unsure = read_slowly(pixels, transform, crs, GRID)
    stack = read_stack([scene], ["red"], GRID, WHOLE)
    assert (stack.dn[0, 0] == values)[inside & ~unsure].all()


def test_offsets_that_differ_between_scenes_are_one_reflectance(tmp_path: Path) -> None:
    """A series across processing baseline 04.00: the same ground is the same number."""
    affine = Affine(*GRID.transform)
    old, pixels = write_scene(tmp_path / "old.tif", affine)
    new, _ = write_scene(tmp_path / "new.tif", affine, offset=-0.1)
    with rasterio.open(tmp_path / "new.tif", "r+") as file:
        file.write((pixels + 1000).astype(np.uint16), 1)
    new = replace(new, sensed_at="2022-04-01T10:30:00Z")
    stack = read_stack([old, new], ["red"], GRID, WHOLE)
    assert (stack.dn[0] == stack.dn[1]).all()


def test_a_scene_in_degrees_touches_every_tile_it_has_pixels_on(tmp_path: Path) -> None:
    """A parallel bends in UTM: corners alone would miss the tiles its middle reaches into."""
    grid = Grid(
        crs="EPSG:32631", transform=(1000, 0, 400000, 0, -1000, 5600000), height=8, width=200
    )
    scene, _ = write_scene(
        tmp_path / "s.tif", Affine(0.03, 0, 1.6, 0, -0.01, 50.55), crs="EPSG:4326",
        shape=(30, 90), bounds=(1.6, 50.25, 4.3, 50.55),
    )  # fmt: skip
    for described in (scene, replace(scene, crs=None, transform=None, shape=None)):
        bounds = find_footprints([described], grid.crs)[0]
        to_grid = Transformer.from_crs("EPSG:4326", grid.crs, always_xy=True)
        for lon in np.linspace(1.6, 4.3, 50):
            for lat in (50.25, 50.55):
                x, y = to_grid.transform(lon, lat)
                assert bounds[0] - 1 <= x <= bounds[2] + 1
                # Followed at 32 points, an edge of 190 km is met to a few metres.
                assert bounds[1] - 10 <= y <= bounds[3] + 10


DATELINE = {
    "type": "MultiPolygon",
    "coordinates": [
        [[[179.99, -17.02], [180, -17.02], [180, -17.0], [179.99, -17.0], [179.99, -17.02]]],
        [[[-180, -17.02], [-179.99, -17.02], [-179.99, -17.0], [-180, -17.0], [-180, -17.02]]],
    ],
}


def make_region(outline: dict[str, object]) -> Region:
    return Region(
        region_id="r", name="r", kind=RegionKind.IMAGERY, outline=json.dumps(outline), area_km2=1,
        spec_name="s2-semiannual", legend_name="cropland",
    )  # fmt: skip


@pytest.mark.parametrize("zone", [1, 60])
def test_a_region_across_the_antimeridian_is_one_small_grid(tmp_path: Path, zone: int) -> None:
    """Zone 60 ends and zone 1 begins there; neither may stretch the grid round the globe."""
    crs = f"EPSG:327{zone:02d}"
    to_zone = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    x, y = to_zone.transform(179.985, -16.99)
    transform = Affine(20, 0, round(x, -1), 0, -20, round(y, -1))
    scene, pixels = write_scene(
        tmp_path / "s.tif", transform, crs=crs, shape=(200, 200),
        bounds=(179.98, -17.03, -179.97, -16.98),
    )  # fmt: skip
    region = make_region(DATELINE)
    grid = choose_grid([scene], region)
    assert 90 < grid.width < 130
    assert 100 < grid.height < 130
    tile = Tile(tile_id="t", row=0, col=0, height=grid.height, width=grid.width)
    inside = mask_outline(region, grid, tile)
    # Both halves, and no gap at the line between them.
    assert inside.mean() > 0.9
    assert inside.sum() * measure_pixel_km2(grid) == pytest.approx(4.71, rel=0.02)
    east = locate_pixels(grid, tile)[0]
    assert np.abs(east).min() > 17_366, "every pixel lies at the line, none half round the globe"
    assert (np.abs(np.diff(np.abs(east), axis=1)) < 0.021).all()
    stack = read_stack([scene], ["red"], grid, tile)
    assert stack.valid[0][inside].all()
    values, covered, _ = read_slowly(pixels, transform, crs, grid)
    assert (stack.dn[0, 0] == values)[covered].all()


def test_a_scene_of_the_neighbouring_zone_fills_a_region_across_the_antimeridian(
    tmp_path: Path,
) -> None:
    scenes = []
    for zone, lon in ((1, -179.999), (60, 179.95)):
        crs = f"EPSG:327{zone:02d}"
        x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, -16.98)
        transform = Affine(20, 0, round(x, -1), 0, -20, round(y, -1))
        bounds = (179.9, -17.05, -179.9, -16.95)
        scene, _ = write_scene(
            tmp_path / f"z{zone}.tif", transform, crs=crs, shape=(400, 400), bounds=bounds
        )
        scenes.append(scene)
    region = make_region(DATELINE)
    grid = choose_grid([scenes[0], replace(scenes[0], scene_id="more"), scenes[1]], region)
    tile = Tile(tile_id="t", row=0, col=0, height=grid.height, width=grid.width)
    inside = mask_outline(region, grid, tile)
    alone = read_stack([scenes[0]], ["red"], grid, tile)
    both = read_stack(scenes, ["red"], grid, tile)
    assert len(both.dates) == 1
    assert alone.valid[0][inside].mean() < 0.7
    assert both.valid[0][inside].all()


def test_the_solar_day_is_that_of_the_ground_on_either_side_of_the_line() -> None:
    scene = Scene(
        scene_id="s", sensed_at="2022-03-01T22:20:00Z", sensor="sentinel-2-l2a",
        bounds=(179.5, -17, -179.5, -16), assets=(),
    )  # fmt: skip
    east = replace(scene, bounds=(178.5, -17, 179.5, -16))
    west = replace(scene, bounds=(-179.5, -17, -178.5, -16))
    # It is morning of the second of March in Fiji, of the first in Samoa.
    assert find_solar_day(east) == "2022-03-02"
    assert find_solar_day(west) == "2022-03-01"
    assert find_solar_day(scene) in ("2022-03-01", "2022-03-02")
    assert find_solar_day(replace(scene, bounds=(179.4, -17, -179.5, -16))) == "2022-03-02"
