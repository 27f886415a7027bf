from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer
from rio_tiler.errors import TileOutsideBounds
from rio_tiler.io.rasterio import Reader

from geotransfer.errors import SceneUnreadable
from geotransfer.tiles import reading
from geotransfer.tiles.catalog import RasterEntry, RasterKind
from geotransfer.tiles.reading import (
    HALF_WORLD_M,
    describe_raster,
    find_tile_rectangle,
    read_rectangle,
)

Writer = Callable[..., Path]

GRIDS = {
    "utm": ("EPSG:32631", Affine(10, 0, 400000, 0, -10, 4800000)),
    "utm-south": ("EPSG:32736", Affine(20, 0, 250000, 0, -20, 9200000)),
    "utm-south-up": ("EPSG:32631", Affine(10, 0, 400000, 0, 10, 4790000)),
    "rotated": ("EPSG:32633", Affine(9, 3, 500000, 3, -9, 5000000)),
    "degrees": ("EPSG:4326", Affine(0.01, 0, 20, 0, -0.01, 55)),
    "equal-area": ("EPSG:3035", Affine(100, 0, 4000000, 0, -100, 3000000)),
    "polar": ("EPSG:3413", Affine(500, 0, -100000, 0, -500, -1500000)),
    "mercator": ("EPSG:3857", Affine(30, 0, 500000, 0, -30, 6000000)),
}


def make_entry(path: Path, *, bands: tuple[int, ...] = (1,)) -> RasterEntry:
    return RasterEntry(path=path, name="Layer", kind=RasterKind.SHARE, bands=bands)


def find_tile(lon: float, lat: float, z: int) -> tuple[int, int, int]:
    x, y = Transformer.from_crs(4326, 3857, always_xy=True).transform(lon, lat)
    side = 2 * HALF_WORLD_M / 2**z
    return z, int((x + HALF_WORLD_M) // side), int((HALF_WORLD_M - y) // side)


def locate_pixels(
    crs: str, transform: Affine, rectangle: reading.Rectangle, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """The obvious way: project the centre of every pixel of the answer."""
    west, south, east, north = rectangle
    x = west + (np.arange(size) + 0.5) * (east - west) / size
    y = north - (np.arange(size) + 0.5) * (north - south) / size
    projected = Transformer.from_crs(3857, crs, always_xy=True).transform(*np.meshgrid(x, y))
    return ~transform @ projected


@pytest.mark.parametrize("grid", GRIDS)
def test_each_pixel_shows_the_source_pixel_it_lies_in(write_raster: Writer, grid: str) -> None:
    crs, transform = GRIDS[grid]
    ids = np.arange(500 * 400, dtype=np.uint32).reshape(1, 500, 400)
    entry = make_entry(write_raster(ids, crs=crs, transform=transform))
    info = describe_raster(entry.path)
    west, south, east, north = info.bounds
    for z in (info.max_zoom, info.max_zoom - 2, info.max_zoom + 2):
        tile = find_tile((west + east) / 2, (south + north) / 2, z)
        rectangle = find_tile_rectangle(*tile)
        pixels = read_rectangle(entry, rectangle, width=256, height=256)
        assert pixels is not None
        cols, rows = locate_pixels(crs, transform, rectangle, 256)
        inside = (cols >= 0) & (cols < 400) & (rows >= 0) & (rows < 500)
        # Interpolated coordinates are off by an eighth of a pixel at most: leave the edges out.
        clear = (np.abs(cols - np.round(cols)) > 0.126) & (np.abs(rows - np.round(rows)) > 0.126)
        np.testing.assert_array_equal(pixels.valid[clear], inside[clear])
        expected = (np.floor(rows) * 400 + np.floor(cols))[inside & clear]
        np.testing.assert_array_equal(pixels.values[0][inside & clear], expected)
        assert (inside & clear).sum() > 1000


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # in rio-tiler
@pytest.mark.parametrize("z", range(8, 16))
def test_agrees_with_gdal_through_all_overviews(class_entry: RasterEntry, z: int) -> None:
    west, south, east, north = describe_raster(class_entry.path).bounds
    rng = np.random.default_rng(z)
    with Reader(str(class_entry.path)) as reference:
        for _ in range(4):
            _, x, y = find_tile(rng.uniform(west, east), rng.uniform(south, north), z)
            pixels = read_rectangle(
                class_entry, find_tile_rectangle(z, x, y), width=256, height=256
            )
            try:
                expected = reference.tile(x, y, z, tilesize=256)
            except TileOutsideBounds:
                continue
            assert pixels is not None
            valid = expected.mask > 0
            both = valid & pixels.valid
            # Where an overview begins is rounded differently; patches are 10 pixels wide.
            assert (valid != pixels.valid).mean() < 0.02
            if z >= 11:
                assert (expected.data[0] != pixels.values[0])[both].mean() < 0.04


def test_low_zooms_of_the_whole_world_are_exact(write_raster: Writer) -> None:
    ids = np.arange(180 * 360, dtype=np.uint32).reshape(1, 180, 360)
    transform = Affine(1, 0, -180, 0, -1, 90)
    entry = make_entry(write_raster(ids, crs="EPSG:4326", transform=transform))
    for tile in ((0, 0, 0), (1, 1, 0), (2, 0, 3)):
        rectangle = find_tile_rectangle(*tile)
        pixels = read_rectangle(entry, rectangle, width=256, height=256)
        assert pixels is not None
        assert pixels.valid.all()
        cols, rows = locate_pixels("EPSG:4326", transform, rectangle, 256)
        same = pixels.values[0] == np.floor(rows) * 360 + np.floor(cols)
        # Coarse tiles skip pixels of a raster without overviews: the neighbour may be shown.
        assert same.mean() > (0.98 if tile[0] else 0.2)
        shown_rows, shown_cols = np.divmod(pixels.values[0], 360)
        assert np.abs(shown_rows + 0.5 - rows).max() <= 1.5
        assert np.abs(shown_cols + 0.5 - cols).max() <= 1.5


def test_raster_across_the_antimeridian_shows_on_both_sides(write_raster: Writer) -> None:
    ones = np.ones((1, 400, 400), dtype=np.uint8)
    # UTM zone 1, 20 km on either side of 180° at 17° S.
    transform = Affine(100, 0, 160000, 0, -100, 8140000)
    entry = make_entry(write_raster(ones, crs="EPSG:32701", transform=transform))
    for lon in (179.99, -179.99):
        rectangle = find_tile_rectangle(*find_tile(lon, -17, 12))
        pixels = read_rectangle(entry, rectangle, width=256, height=256)
        assert pixels is not None
        assert pixels.valid.all()
    away = read_rectangle(entry, find_tile_rectangle(*find_tile(10, 50, 12)), width=256, height=256)
    assert away is None or not away.valid.any()


def test_nothing_is_read_where_there_is_nothing(class_entry: RasterEntry) -> None:
    rectangle = find_tile_rectangle(*find_tile(-60, -10, 10))
    assert read_rectangle(class_entry, rectangle, width=256, height=256) is None


@pytest.mark.parametrize("kind", ["nodata", "nan", "mask", "nan-without-nodata"])
def test_pixels_without_data_are_not_valid(write_raster: Writer, kind: str) -> None:
    hole = np.zeros((300, 300), dtype=bool)
    hole[100:200, 50:250] = True
    values = np.ones((2, 300, 300), dtype=np.float32 if "nan" in kind else np.uint8)
    if kind == "nodata":
        values[1, hole] = 9
        path = write_raster(values, nodata=9)
    elif kind == "mask":
        path = write_raster(values, mask=~hole)
    else:
        values[1, hole] = np.nan
        path = write_raster(values, **({"nodata": np.nan} if kind == "nan" else {}))
    info = describe_raster(path)
    pixels = read_rectangle(make_entry(path, bands=(1, 2)), info.rectangle, width=300, height=300)
    assert pixels is not None
    cols, rows = locate_pixels(*GRIDS["utm"], info.rectangle, 300)
    within = (cols >= 0) & (cols < 300) & (rows >= 0) & (rows < 300)
    expected = within.copy()
    expected[within] = ~hole[rows[within].astype(int), cols[within].astype(int)]
    assert (pixels.valid == expected).mean() > 0.99


def test_coarse_answer_from_a_raster_without_overviews_skips_pixels(write_raster: Writer) -> None:
    ramp = np.arange(3000, dtype=np.uint16)[None, None].repeat(3000, axis=1)
    entry = make_entry(write_raster(ramp))
    info = describe_raster(entry.path)
    assert info.factors == ()
    pixels = read_rectangle(entry, info.rectangle, width=64, height=64)
    assert pixels is not None
    cols, _ = locate_pixels(*GRIDS["utm"], info.rectangle, 64)
    assert np.abs(pixels.values[0] - cols)[pixels.valid].max() < 40


def test_zooms_in_until_pixels_are_seen(write_raster: Writer) -> None:
    entry = make_entry(write_raster(np.ones((1, 256, 256), dtype=np.uint8)))
    info = describe_raster(entry.path)
    tile_pixel_m = 2 * HALF_WORLD_M / 256 / 2**info.max_zoom
    source_pixel_m = (info.rectangle[2] - info.rectangle[0]) / 256
    assert 0.2 < tile_pixel_m / source_pixel_m <= 0.5


def test_a_file_replaced_is_read_anew(write_raster: Writer) -> None:
    path = write_raster(np.ones((1, 200, 200), dtype=np.uint8))
    entry = make_entry(path)
    rectangle = describe_raster(path).rectangle
    first = read_rectangle(entry, rectangle, width=50, height=50)
    other = write_raster(np.full((1, 200, 200), 2, dtype=np.uint8), name="other.tif")
    os.utime(other, ns=(1, 1))
    other.replace(path)
    second = read_rectangle(entry, rectangle, width=50, height=50)
    assert first is not None
    assert second is not None
    assert (first.values[first.valid[None]] == 1).all()
    assert (second.values[second.valid[None]] == 2).all()


def test_threads_do_not_share_files(class_entry: RasterEntry) -> None:
    west, south, east, north = describe_raster(class_entry.path).bounds
    rng = np.random.default_rng(3)
    tiles = [
        find_tile(rng.uniform(west, east), rng.uniform(south, north), int(rng.integers(9, 15)))
        for _ in range(60)
    ]
    barrier = threading.Barrier(4)

    def read(tile: tuple[int, int, int]) -> bytes:
        pixels = read_rectangle(class_entry, find_tile_rectangle(*tile), width=256, height=256)
        return b"" if pixels is None else pixels.values.tobytes() + pixels.valid.tobytes()

    files = []

    def read_all(_: int) -> list[bytes]:
        barrier.wait(10)
        answers = [read(tile) for tile in tiles]
        files.append(reading._open_level(class_entry.path, -1))
        barrier.wait(60)
        return answers

    expected = [read(tile) for tile in tiles]
    with ThreadPoolExecutor(4) as pool:
        assert all(answer == expected for answer in pool.map(read_all, range(4)))
    assert len({id(file) for file in files}) == 4


def test_few_files_stay_open(write_raster: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_OPEN_FILES", 3)
    entries = [
        make_entry(write_raster(np.full((1, 64, 64), i, dtype=np.uint8), name=f"{i}.tif"))
        for i in range(6)
    ]
    for _ in range(2):
        for i, entry in enumerate(entries):
            rectangle = describe_raster(entry.path).rectangle
            pixels = read_rectangle(entry, rectangle, width=32, height=32)
            assert pixels is not None
            assert (pixels.values[pixels.valid[None]] == i).all()
    assert len(reading._open_files.datasets) == 3


def test_damage_is_said_in_one_sentence_with_the_file(write_raster: Writer) -> None:
    path = write_raster(np.ones((1, 300, 300), dtype=np.uint8))
    with pytest.raises(SceneUnreadable, match=r"gone\.tif cannot be read"):
        describe_raster(path.with_name("gone.tif"))
    path.write_bytes(b"not a raster")
    with pytest.raises(SceneUnreadable, match=r"layer\.tif cannot be read"):
        describe_raster(path)


def test_cut_file_is_an_error_and_not_an_empty_tile(write_raster: Writer) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (1, 600, 600), dtype=np.uint8)
    path = write_raster(noise, compress="deflate")
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(size * 2 // 3)
    entry = make_entry(path)
    with pytest.raises(SceneUnreadable, match=r"layer\.tif"):
        read_rectangle(entry, describe_raster(path).rectangle, width=600, height=600)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_raster_without_crs_is_refused(write_raster: Writer) -> None:
    path = write_raster(np.ones((1, 64, 64), dtype=np.uint8), crs=None)
    with pytest.raises(SceneUnreadable, match="no coordinate reference system"):
        describe_raster(path)


@given(
    st.integers(1, 17),
    st.lists(st.floats(0, 1), min_size=1, max_size=20),
    st.floats(-5, 5),
    st.floats(-5, 5),
)
def test_interpolation_is_exact_on_straight_lines(
    n: int, shares: list[float], slope: float, start: float
) -> None:
    nodes = np.linspace(10, 20, n)
    places = 10 + 10 * np.array(shares) if n > 1 else np.full(len(shares), 10.0)
    weights = reading._find_weights(nodes, places)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    assert (weights > -1e-12).all()
    np.testing.assert_allclose(weights @ (start + slope * nodes), start + slope * places, atol=1e-9)
