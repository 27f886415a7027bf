from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from geotransfer.console import palettes
from geotransfer.console.palettes import (
    CLASS_COLORS,
    DARK,
    LIGHT,
    Format,
    MapTheme,
    Ramp,
    Scale,
    choose_class_colors,
    fit_scale,
    from_oklab,
    mix_colors,
    to_oklab,
)

# Machado, Oliveira and Fernandes (2009), doi:10.1109/TVCG.2009.113, severity 1, linear RGB.
VISIONS = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
RAMPS = {name: value for name, value in vars(palettes).items() if isinstance(value, Ramp)}
SCALES = [value for value in vars(palettes).values() if isinstance(value, Scale)]


def to_linear(color: str) -> np.ndarray:
    channels = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def simulate(color: str, vision: str) -> str:
    linear = np.clip(VISIONS[vision] @ to_linear(color), 0, 1)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return "#" + "".join(f"{round(255 * c):02x}" for c in srgb)


def find_contrast(one: str, other: str) -> float:
    luminance = sorted(float(to_linear(c) @ [0.2126, 0.7152, 0.0722]) for c in (one, other))
    return (luminance[1] + 0.05) / (luminance[0] + 0.05)


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("name", sorted(set(RAMPS) - {"DIFFERING"}))
def test_lightness_of_a_ramp_runs_one_way_for_every_eye(name: str, vision: str) -> None:
    lightness = np.array([to_oklab(simulate(c, vision))[0] for c in RAMPS[name].sample(33)])
    steps = np.diff(lightness)
    assert (steps > 0).all() or (steps < 0).all()
    assert abs(lightness[-1] - lightness[0]) > 0.4


@pytest.mark.parametrize("vision", VISIONS)
def test_sides_of_a_diverging_ramp_differ_for_every_eye(vision: str) -> None:
    colors = [np.array(to_oklab(simulate(c, vision))) for c in RAMPS["DIFFERING"].sample(33)]
    lightness = np.array([c[0] for c in colors])
    assert (np.diff(lightness[:17]) > 0).all()
    assert (np.diff(lightness[16:]) < 0).all()
    # Equally far from the middle, the two sides must not look alike.
    assert all(np.linalg.norm(colors[i] - colors[32 - i]) > 0.06 for i in range(9))


@pytest.mark.parametrize("vision", VISIONS)
def test_class_colours_differ_for_every_eye(vision: str) -> None:
    colors = [np.array(to_oklab(simulate(c, vision))) for c in CLASS_COLORS]
    distances = [np.linalg.norm(a - b) for a, b in itertools.combinations(colors, 2)]
    assert min(distances) > 0.05


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_base_map_is_legible(theme: MapTheme) -> None:
    for ground in (theme.land, theme.water):
        assert find_contrast(theme.text, ground) >= 4.5
        assert find_contrast(theme.outline, ground) >= 7
    assert find_contrast(theme.text, theme.halo) >= 4.5
    assert find_contrast(theme.border, theme.land) >= 1.8
    assert find_contrast(theme.graticule, theme.water) >= 1.2


@given(st.text("0123456789abcdef", min_size=6, max_size=6), st.floats(0, 1))
def test_oklab_goes_there_and_back(digits: str, share: float) -> None:
    color = f"#{digits}"
    assert from_oklab(to_oklab(color)) == color
    assert mix_colors(color, color, share) == color


def test_ramp_starts_and_ends_on_its_anchors() -> None:
    for ramp in RAMPS.values():
        colors = ramp.sample(256)
        assert (colors[0], colors[-1]) == (ramp.anchors[0], ramp.anchors[-1])
        assert ramp.pick(-3) == ramp.anchors[0]
        assert ramp.pick(7) == ramp.anchors[-1]


def test_legend_chart_and_map_say_the_same() -> None:
    for scale in SCALES:
        for value, color, text in scale.steps(7):
            assert color == scale.color(value) == scale.ramp.pick(scale.place(value))
            assert text == scale.text(value)


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6), st.just(float("nan")))))
@example([5e-324])
@example([-5e-324])
def test_fitted_scale_holds_its_values(values: list[float | None]) -> None:
    for scale in SCALES:
        fitted = fit_scale(scale, values)
        for value in values:
            if value is None or value != value:
                assert fitted.color(value) == palettes.MISSING_COLOR
            else:
                assert -1e-9 <= fitted.place(value) <= 1 + 1e-9


@pytest.mark.parametrize(
    ("form", "value", "unit", "text"),
    [
        (Format.PERCENT, 0.834, "", "83 %"),
        (Format.NUMBER, 0.00123, "CPU-s per km²", "0.00123 CPU-s per km²"),
        (Format.NUMBER, 12.0, "", "12"),
        (Format.NUMBER, 1234.4, "USD", "1,234 USD"),
        (Format.NUMBER, 0.0, "", "0"),
        (Format.DATE, 19723.0, "", "2024-01-01"),
        (Format.NUMBER, float("nan"), "USD", "no figure"),
    ],
)
def test_values_are_written_plainly(form: Format, value: float, unit: str, text: str) -> None:
    scale = Scale(name="x", label="X", low=0, high=1, ramp=palettes.RISING, unit=unit, form=form)
    assert scale.text(value) == text


def test_many_classes_get_different_colours() -> None:
    assert len(set(choose_class_colors(20))) == 20
    assert choose_class_colors(8) == CLASS_COLORS
