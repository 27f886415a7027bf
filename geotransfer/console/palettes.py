"""One scale and palette for map, chart and legend, safe for colour-blind readers.

A ramp's lightness only rises or only falls, so it still reads in grey and under every common colour
vision deficiency (`tests/console/test_palettes.py` simulates them); steps are even in OKLab
(Ottosson 2020, https://bottosson.github.io/posts/oklab).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum

from geotransfer.core.legend import CLASS_COLORS

SMALLEST_POWER = -307
"""Of ten, as a float with all its digits; below it powers become zero."""
MISSING_COLOR = "#8c8c8c"
"""No figure: a mid grey no ramp contains, legible on light and dark."""


def choose_class_colors(n: int) -> tuple[str, ...]:
    """Return ``n`` colours for classes; from the ninth on they are darker turns of the first."""
    return tuple(
        mix_colors(CLASS_COLORS[i % 8], "#000000", min(0.3 * (i // 8), 0.75)) for i in range(n)
    )


@dataclass(frozen=True, slots=True)
class Ramp:
    """Colours from low to high through a few anchors."""

    anchors: tuple[str, ...]

    def pick(self, share: float) -> str:
        """Return the colour at ``share`` of the way, clipped to 0–1, as ``#rrggbb``."""
        place = min(1.0, max(0.0, share)) * (len(self.anchors) - 1)
        first = min(int(place), len(self.anchors) - 2)
        return mix_colors(self.anchors[first], self.anchors[first + 1], place - first)

    def sample(self, n: int) -> tuple[str, ...]:
        """Return ``n`` ≥ 2 evenly spaced colours, both ends among them."""
        return tuple(self.pick(i / (n - 1)) for i in range(n))


RISING = Ramp(("#35185a", "#2c5f94", "#22988a", "#86c95c", "#f7e84e"))
"""More is better: accuracy, reach, probability."""
SPENDING = Ramp(("#fdeebc", "#f2a65a", "#c4502f", "#741a3c", "#35092f"))
"""More is dearer or further away: cost, dissimilarity."""
COUNTING = Ramp(("#e4eef8", "#8fbfdc", "#3f86bd", "#12447e"))
"""How many: valid observations, labels."""
DATING = Ramp(("#1b2a55", "#6b6f7c", "#b3a96f", "#fbe45a"))
"""How recent."""
DIFFERING = Ramp(("#7a3d08", "#d98f45", "#f1efeb", "#6ba3cf", "#1c4f8a"))
"""Less or more than before; the middle is no difference."""


class Format(StrEnum):
    """How a scale writes its values."""

    NUMBER = "number"
    PERCENT = "percent"
    DATE = "date"
    """Values are days since 1970-01-01."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Values of one figure and their colours."""

    name: str
    label: str
    """Heading of the legend and title of the axis, in sentence case."""
    low: float
    high: float
    ramp: Ramp
    unit: str = ""
    form: Format = Format.NUMBER

    def place(self, value: float) -> float:
        """Return where ``value`` lies from low (0) to high (1), unclipped."""
        return (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5

    def color(self, value: float | None) -> str:
        """Return a value's colour; grey where there is none."""
        if value is None or not math.isfinite(value):
            return MISSING_COLOR
        return self.ramp.pick(self.place(value))

    def text(self, value: float | None) -> str:
        """Return a value as written in legend, tooltip and axis, unit included."""
        if value is None or not math.isfinite(value):
            return "no figure"
        if self.form is Format.PERCENT:
            return f"{value:.0%}".replace("%", " %")
        if self.form is Format.DATE:
            return (date(1970, 1, 1) + timedelta(days=round(value))).isoformat()
        digits = max(0, 2 - math.floor(math.log10(abs(value)))) if 0 < abs(value) < 100 else 0
        number = f"{value:,.{min(digits, 6)}f}"
        number = number.rstrip("0").rstrip(".") if "." in number else number
        return f"{number} {self.unit}".rstrip()

    def steps(self, n: int = 5) -> tuple[tuple[float, str, str], ...]:
        """Return ``n`` ≥ 2 rows (value, colour, text) from low to high, for legends and axes."""
        values = [self.low + (self.high - self.low) * i / (n - 1) for i in range(n)]
        return tuple((value, self.color(value), self.text(value)) for value in values)

    def css_gradient(self) -> str:
        """Return the ramp as a CSS background, low at the left."""
        return f"linear-gradient(to right, {', '.join(self.ramp.sample(9))})"


ACCURACY = Scale(
    name="accuracy", label="Accuracy", low=0.5, high=1.0, ramp=RISING, form=Format.PERCENT
)
REACH = Scale(name="reach", label="Reach", low=0.0, high=1.0, ramp=RISING, form=Format.PERCENT)
PROBABILITY = Scale(
    name="probability", label="Probability", low=0.0, high=1.0, ramp=RISING, form=Format.PERCENT
)
GAIN = Scale(
    name="gain", label="Transfer gain", low=-0.2, high=0.2, ramp=DIFFERING, form=Format.PERCENT
)
COST = Scale(
    name="cost", label="Compute cost", low=0.0, high=1.0, ramp=SPENDING, unit="CPU-s per km²"
)
DISSIMILARITY = Scale(
    name="dissimilarity", label="Dissimilarity index", low=0.0, high=1.0, ramp=SPENDING
)
DENSITY = Scale(
    name="density",
    label="Training samples within the threshold (50 stands for more)",
    low=0.0,
    high=50.0,
    ramp=COUNTING,
)
EXPECTED_ACCURACY = Scale(
    name="expected-accuracy",
    label="Expected overall accuracy",
    low=0.5,
    high=1.0,
    ramp=RISING,
    form=Format.PERCENT,
)
USEFULNESS = Scale(
    name="usefulness",
    label="Usefulness of a label",
    low=0.0,
    high=1.0,
    ramp=RISING,
    form=Format.PERCENT,
)
OBSERVATIONS = Scale(
    name="observations", label="Valid observations", low=0.0, high=30.0, ramp=COUNTING
)
COMPUTED = Scale(
    name="computed", label="Last computed", low=0.0, high=1.0, ramp=DATING, form=Format.DATE
)


def fit_scale(scale: Scale, values: Iterable[float | None]) -> Scale:
    """Return ``scale`` stretched to round numbers around ``values``; unchanged where all miss.

    A diverging scale stays symmetrical, a date scale ends on the days themselves.
    """
    known = [value for value in values if value is not None and math.isfinite(value)]
    if not known:
        return scale
    low, high = min(known), max(known)
    if scale.ramp is DIFFERING:
        high = _round_up(max(abs(low), abs(high))) or scale.high
        low = -high
    elif scale.form is not Format.DATE:
        low, high = min(0.0, -_round_up(-low)), _round_up(high) or scale.high
    return replace(scale, low=low, high=high)


def _round_up(value: float) -> float:
    """Smallest 1, 2, 2.5 or 5 times a power of ten that is not below ``value``; 0 for the rest."""
    if value <= 0:
        return 0.0
    power = 10.0 ** max(math.floor(math.log10(value)), SMALLEST_POWER)
    steps = (1, 2, 2.5, 5, 10)
    return next(step * power for step in steps if step * power >= value * (1 - 1e-12))


@dataclass(frozen=True, slots=True, kw_only=True)
class MapTheme:
    """Colours of the base map."""

    water: str
    land: str
    border: str
    graticule: str
    text: str
    """Labels; at least 4.5 : 1 against land and water (WCAG 2.2, 1.4.3)."""
    halo: str
    outline: str
    """Region outlines and what is being drawn."""


LIGHT = MapTheme(
    water="#dfe8ee",
    land="#f7f6f2",
    border="#a7adb3",
    graticule="#c3ccd3",
    text="#4a5560",
    halo="#ffffff",
    outline="#1b2733",
)
DARK = MapTheme(
    water="#11161c",
    land="#1e252d",
    border="#55606c",
    graticule="#313b46",
    text="#b3bfca",
    halo="#0b0f14",
    outline="#f2f5f8",
)


def mix_colors(start: str, end: str, share: float) -> str:
    """Return the colour ``share`` of the way from ``start`` to ``end`` in OKLab."""
    mixed = [a + (b - a) * share for a, b in zip(to_oklab(start), to_oklab(end), strict=True)]
    return from_oklab((mixed[0], mixed[1], mixed[2]))


def to_oklab(color: str) -> tuple[float, float, float]:
    """Return ``#rrggbb`` as OKLab lightness (0–1), a and b."""
    r, g, b = (_to_linear(int(color[i : i + 2], 16) / 255) for i in (1, 3, 5))
    l_ = math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b)
    m_ = math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b)
    s_ = math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b)
    return (
        0.2104542553 * l_ + 0.7936177850 * m_ - 0.0040720468 * s_,
        1.9779984951 * l_ - 2.4285922050 * m_ + 0.4505937099 * s_,
        0.0259040371 * l_ + 0.7827717662 * m_ - 0.8086757660 * s_,
    )


def from_oklab(lab: tuple[float, float, float]) -> str:
    """Return OKLab as ``#rrggbb``; colours a screen cannot show are clipped."""
    light, a, b = lab
    l_ = (light + 0.3963377774 * a + 0.2158037573 * b) ** 3
    m_ = (light - 0.1055613458 * a - 0.0638541728 * b) ** 3
    s_ = (light - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * l_ - 3.3077115913 * m_ + 0.2309699292 * s_,
        -1.2684380046 * l_ + 2.6097574011 * m_ - 0.3413193965 * s_,
        -0.0041960863 * l_ - 0.7034186147 * m_ + 1.7076147010 * s_,
    )
    return "#" + "".join(f"{round(255 * _to_srgb(c)):02x}" for c in linear)


def _to_linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else float(((channel + 0.055) / 1.055) ** 2.4)


def _to_srgb(channel: float) -> float:
    channel = min(1.0, max(0.0, channel))
    return 12.92 * channel if channel <= 0.0031308 else float(1.055 * channel ** (1 / 2.4) - 0.055)
