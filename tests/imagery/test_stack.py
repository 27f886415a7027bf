"""Reading: window and warp agree, masks mask, days merge in a pinned order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from shapely.geometry import Point

from geotransfer.core.grid import Grid, Tile, cut_tiles
from geotransfer.core.scene import Asset, Scene
from geotransfer.errors import SceneUnreadable
from geotransfer.imagery.grids import make_geobox, mask_shape
from geotransfer.imagery.masks import find_bad
from geotransfer.imagery.scene_windows import find_offset, normalize_dn, read_window, warp_assets
from geotransfer.imagery.sensors import MaskKind, MaskRule
from geotransfer.imagery.stack import read_stack

GRID = Grid(crs="EPSG:32631", transform=(10, 0, 500000, 0, -10, 5000000), height=24, width=20)
WHOLE = Tile(tile_id="t", row=0, col=0, height=24, width=20)


def write_band(
    path: Path, pixels: NDArray[np.generic], *, transform: Affine | None = None, crs: str = GRID.crs
) -> None:
    with rasterio.open(
        path, "w", driver="GTiff", height=pixels.shape[0], width=pixels.shape[1], count=1,
        dtype=pixels.dtype.name, crs=crs, transform=transform or Affine(*GRID.transform),
    ) as file:  # fmt: skip
        file.write(pixels, 1)


def make_scene(
    folder: Path,
    name: str,
    day: str,
    pixels: NDArray[np.generic],
    *,
    mask: NDArray[np.uint8] | None = None,
    offset: float = 0.0,
    transform: Affine | None = None,
    crs: str = GRID.crs,
) -> Scene:
    path = folder / f"{name}.tif"
    write_band(path, pixels, transform=transform, crs=crs)
    assets = [Asset(name="red", href=str(path), scale=1e-4, offset=offset, nodata=0)]
    if mask is not None:
        write_band(folder / f"{name}-scl.tif", mask, transform=transform, crs=crs)
        assets.append(Asset(name="mask:scl", href=str(folder / f"{name}-scl.tif"), nodata=None))
    return Scene(
        scene_id=name,
        sensed_at=f"{day}T10:30:00Z",
        sensor="sentinel-2-l2a",
        bounds=(3.0, 45.1, 3.01, 45.2),
        assets=tuple(assets),
        crs=crs,
        transform=tuple(transform or Affine(*GRID.transform))[:6],
        shape=(pixels.shape[0], pixels.shape[1]),
    )


@pytest.fixture
def pixels() -> NDArray[np.uint16]:
    return np.random.default_rng(0).integers(1, 9000, (24, 20)).astype(np.uint16)


def test_tiles_put_together_are_the_whole(tmp_path: Path, pixels: NDArray[np.uint16]) -> None:
    scene = make_scene(tmp_path, "s", "2022-03-01", pixels)
    whole = read_stack([scene], ["red"], GRID, WHOLE)
    assert (whole.dn[0, 0] == pixels).all()
    assert whole.valid.all()
    for tile in cut_tiles(GRID, 7):
        part = read_stack([scene], ["red"], GRID, tile)
        rows = slice(tile.row, tile.row + tile.height)
        cols = slice(tile.col, tile.col + tile.width)
        assert (part.dn[0, 0] == pixels[rows, cols]).all()


def test_the_window_and_the_warp_agree(tmp_path: Path, pixels: NDArray[np.uint16]) -> None:
    shifted = Affine(10, 0, 500040, 0, -10, 5000030)
    scene = make_scene(tmp_path, "s", "2022-03-01", pixels, transform=shifted)
    geobox = make_geobox(GRID, WHOLE)
    found = read_window(scene, scene.assets[0], geobox)
    assert found is not None
    window = found.pixels
    warped = warp_assets(scene, scene.assets, geobox)["red"]
    assert (window == warped).all()
    assert (window[:, :4] == 0).all(), "outside the file there is no data"
    assert (window[3:, 4:] != 0).any()


@pytest.mark.parametrize("kind", ["south-up", "coarser", "other zone"])
def test_files_on_another_grid_are_warped(
    tmp_path: Path, pixels: NDArray[np.uint16], kind: str
) -> None:
    if kind == "south-up":
        transform = Affine(10, 0, 500000, 0, 10, 5000000 - 240)
        scene = make_scene(tmp_path, "s", "2022-03-01", pixels[::-1].copy(), transform=transform)
        stack = read_stack([scene], ["red"], GRID, WHOLE)
        assert (stack.dn[0, 0] == pixels).all()
        return
    if kind == "coarser":
        coarse = pixels[::2, ::2].copy()
        scene = make_scene(
            tmp_path, "s", "2022-03-01", coarse, transform=Affine(20, 0, 500000, 0, -20, 5000000)
        )
        stack = read_stack([scene], ["red"], GRID, WHOLE)
        assert (stack.dn[0, 0] == coarse.repeat(2, axis=0).repeat(2, axis=1)).all()
        return
    # Zone 30 sees the same ground at another easting; a flat picture must come through whole.
    flat = np.full((200, 200), 1234, dtype=np.uint16)
    transform = Affine(10, 0, 972000, 0, -10, 5014000)
    scene = make_scene(tmp_path, "s", "2022-03-01", flat, transform=transform, crs="EPSG:32630")
    stack = read_stack([scene], ["red"], GRID, WHOLE)
    assert set(np.unique(stack.dn[0, 0])) <= {0, 1234}
    assert (stack.valid[0] == (stack.dn[0, 0] == 1234)).all()


def test_an_offset_that_normalizes_away_changes_nothing(
    tmp_path: Path, pixels: NDArray[np.uint16]
) -> None:
    before = make_scene(tmp_path, "old", "2022-03-01", pixels)
    after = make_scene(tmp_path, "new", "2022-03-01", pixels + np.uint16(1000), offset=-0.1)
    old = read_stack([before], ["red"], GRID, WHOLE)
    new = read_stack([after], ["red"], GRID, WHOLE)
    assert (old.dn == new.dn).all()


def test_clouds_are_missing_and_grow_by_the_dilation(
    tmp_path: Path, pixels: NDArray[np.uint16]
) -> None:
    mask = np.full((24, 20), 4, dtype=np.uint8)
    mask[10, 10] = 9
    scene = make_scene(tmp_path, "s", "2022-03-01", pixels, mask=mask)
    valid = read_stack([scene], ["red"], GRID, WHOLE).valid[0]
    expected = np.ones_like(valid)
    expected[8:13, 8:13] = False
    assert (valid == expected).all()
    # A cloud beyond a tile's edge reaches into it just the same.
    for tile in cut_tiles(GRID, 9):
        part = read_stack([scene], ["red"], GRID, tile).valid[0]
        rows = slice(tile.row, tile.row + tile.height)
        cols = slice(tile.col, tile.col + tile.width)
        assert (part == expected[rows, cols]).all()


def test_scenes_of_one_day_merge_by_id_and_clear_ground_wins(
    tmp_path: Path, pixels: NDArray[np.uint16]
) -> None:
    left = np.full((24, 20), 9, dtype=np.uint8)
    left[:, :8] = 4
    first = make_scene(tmp_path, "a", "2022-03-01", pixels, mask=left)
    second = make_scene(tmp_path, "b", "2022-03-01", np.full_like(pixels, 77))
    for order in ([first, second], [second, first]):
        stack = read_stack(order, ["red"], GRID, WHOLE)
        assert stack.dates == ("2022-03-01",)
        assert (stack.dn[0, 0][:, :6] == pixels[:, :6]).all()
        assert (stack.dn[0, 0][:, 8:] == 77).all()
        assert stack.valid.all()


def test_a_band_without_nodata_is_not_invented_outside_its_file(
    tmp_path: Path, pixels: NDArray[np.uint16]
) -> None:
    shifted = Affine(10, 0, 500000 + 70, 0, -10, 5000000)
    scene = make_scene(tmp_path, "s", "2022-03-01", pixels, transform=shifted)
    bare = replace(scene, assets=(replace(scene.assets[0], nodata=None),))
    valid = read_stack([bare], ["red"], GRID, WHOLE).valid[0]
    assert not valid[:, :7].any()
    assert valid[:, 7:].all()


def test_a_broken_file_is_named_with_its_band(tmp_path: Path, pixels: NDArray[np.uint16]) -> None:
    scene = make_scene(tmp_path, "s", "2022-03-01", pixels)
    path = Path(scene.assets[0].href)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(SceneUnreadable, match=r"item s: file .*s\.tif of band 'red' cannot be"):
        read_stack([scene], ["red"], GRID, WHOLE)


@given(st.integers(-20, 20), st.integers(-20, 20))
def test_aligned_grids_are_found_and_others_are_not(row: int, col: int) -> None:
    source = Affine(*GRID.transform)
    assert find_offset(source, source @ Affine.translation(col, row)) == (row, col)
    assert find_offset(source, source @ Affine.translation(col + 0.5, row)) is None
    assert find_offset(source, source @ Affine.scale(2)) is None


@given(
    st.integers(0, 65535), st.sampled_from([1e-4, 2.75e-5, 1e-3]), st.sampled_from([0, -0.1, -0.2])
)
def test_digital_numbers_keep_their_reflectance(dn: int, scale: float, offset: float) -> None:
    asset = Asset(name="red", href="", scale=scale, offset=offset)
    normalized = normalize_dn(np.array([dn], dtype=np.uint16), asset)[0]
    expected = min(max(dn * scale + offset, -3.2), 3.2)
    assert normalized * 1e-4 == pytest.approx(expected, abs=0.51e-4)


def test_mask_rules_read_classes_bits_and_flags() -> None:
    flags = np.array([[0, 4, 9]], dtype=np.uint8)
    assert find_bad(flags, MaskRule(kind=MaskKind.CLASSES, bad=(9,), dilate_px=0)).tolist() == [
        [False, False, True]
    ]
    assert find_bad(flags, MaskRule(kind=MaskKind.BITS, bad=(3,), dilate_px=0)).tolist() == [
        [False, False, True]
    ]
    assert find_bad(flags, MaskRule(kind=MaskKind.FLAG, dilate_px=0)).tolist() == [
        [False, True, True]
    ]


@pytest.mark.parametrize("radius_m", [40.0, 90.0, 1000.0])
def test_a_mask_holds_the_pixels_whose_centres_are_inside(radius_m: float) -> None:
    shape = Point(500_101, 4_999_883).buffer(radius_m, quad_segs=2)
    geobox = make_geobox(GRID, WHOLE)
    slow = np.array(
        [
            [shape.contains(Point(*(geobox.affine @ (col + 0.5, row + 0.5)))) for col in range(20)]
            for row in range(24)
        ]
    )
    assert (mask_shape(shape, geobox) == slow).all()
    assert not mask_shape(Point(0, 0).buffer(5), geobox).any()
