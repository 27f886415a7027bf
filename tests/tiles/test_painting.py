from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geotransfer.core.legend import Legend, LegendClass
from geotransfer.tiles.catalog import RasterEntry, RasterKind
from geotransfer.tiles.painting import UNKNOWN_COLOR, find_steps, paint_png, read_color
from geotransfer.tiles.reading import Pixels

RNG = np.random.default_rng(5)


def make_entry(kind: RasterKind, **fields: object) -> RasterEntry:
    return RasterEntry(path=Path("x.tif"), name="x", kind=kind, **fields)  # type: ignore[arg-type]


def make_pixels(values: np.ndarray, *, scale: float = 1.0, offset: float = 0.0) -> Pixels:
    valid = RNG.random(values.shape[1:]) > 0.2
    return Pixels(values=values, valid=valid, scale=scale, offset=offset)


def decode(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))


@pytest.mark.parametrize("dtype", ["uint8", "int16"])
def test_classes_wear_their_legend_colours(legend: Legend, dtype: str) -> None:
    codes = RNG.choice([0, 1, 7, 33], size=(1, 40, 50)).astype(dtype)
    pixels = make_pixels(codes)
    image = decode(paint_png(make_entry(RasterKind.CLASS, legend=legend), pixels))
    colors = {item.code: read_color(item.color) for item in legend.classes} | {33: UNKNOWN_COLOR}
    for row, col in np.ndindex(40, 50):
        red, green, blue, alpha = image[row, col].tolist()
        assert alpha == (255 if pixels.valid[row, col] else 0)
        if alpha:
            assert (red, green, blue) == colors[int(codes[0, row, col])]


def test_legends_of_many_classes_keep_every_colour() -> None:
    many = Legend(
        name="many",
        classes=tuple(
            LegendClass(code=code, name=str(code), color=f"#{code:02x}{255 - code:02x}40")
            for code in range(255)
        ),
    )
    codes = np.arange(255, dtype=np.uint8)[None, None]
    pixels = Pixels(values=codes, valid=np.ones((1, 255), dtype=bool), scale=1, offset=0)
    image = decode(paint_png(make_entry(RasterKind.CLASS, legend=many), pixels))
    expected = [[*read_color(item.color), 255] for item in many.classes]
    np.testing.assert_array_equal(image[0], expected)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32"])
def test_steps_follow_the_physical_value(dtype: str) -> None:
    values = RNG.integers(0, 250, size=(1, 30, 30)).astype(dtype)
    pixels = make_pixels(values, scale=0.01, offset=-0.5)
    entry = make_entry(RasterKind.SHARE, value_range=(0.0, 1.0))
    steps = find_steps(entry, pixels)
    for row, col in np.ndindex(30, 30):
        physical = float(values[0, row, col]) * 0.01 - 0.5
        expected = round(min(1.0, max(0.0, physical)) * 254) if pixels.valid[row, col] else 255
        assert abs(int(steps[row, col]) - expected) <= (1 if expected < 255 else 0)


def test_ramp_runs_from_first_to_last_colour() -> None:
    colors = ("#102030", "#808080", "#f0e0d0")
    entry = make_entry(RasterKind.SHARE, colors=colors, value_range=(0.0, 254.0))
    values = np.arange(255, dtype=np.uint8)[None, None]
    pixels = Pixels(values=values, valid=np.ones((1, 255), dtype=bool), scale=1, offset=0)
    image = decode(paint_png(entry, pixels))[0]
    for index, color in zip((0, 127, 254), colors, strict=True):
        assert tuple(image[index, :3].tolist()) == read_color(color)


def test_not_a_number_is_transparent_and_never_a_colour() -> None:
    values = np.full((1, 4, 4), np.nan, dtype=np.float32)
    pixels = Pixels(values=values, valid=np.zeros((4, 4), dtype=bool), scale=1, offset=0)
    entry = make_entry(RasterKind.SHARE, colors=("#000000", "#ffffff"))
    assert (decode(paint_png(entry, pixels))[..., 3] == 0).all()


def test_one_value_range_is_the_middle_of_the_ramp() -> None:
    values = np.full((1, 2, 2), 3, dtype=np.uint8)
    pixels = Pixels(values=values, valid=np.ones((2, 2), dtype=bool), scale=1, offset=0)
    entry = make_entry(RasterKind.COUNT, value_range=(3.0, 3.0))
    assert (find_steps(entry, pixels) == 127).all()


def test_colour_composites_are_shown_as_they_are() -> None:
    values = RNG.integers(0, 256, size=(3, 20, 20), dtype=np.uint8)
    pixels = make_pixels(values)
    image = decode(paint_png(make_entry(RasterKind.RGB, bands=(1, 2, 3)), pixels))
    np.testing.assert_array_equal(image[..., 3] > 0, pixels.valid)
    # Black stands for no data, so the darkest value that is shown is 1.
    shown = np.maximum(values, 1).transpose(1, 2, 0)
    np.testing.assert_array_equal(image[pixels.valid][:, :3], shown[pixels.valid])
