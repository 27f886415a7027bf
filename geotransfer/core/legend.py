"""The classes a map may show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

NODATA_CLASS = 255
"""Code of *no answer* in every class map; never a class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LegendClass:
    """One class of a legend."""

    code: int
    """Value in the class raster, 0–254."""
    name: str
    """As written in label files and shown to people."""
    color: str
    """``#rrggbb``; the default palette is safe for colour-blind readers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Legend:
    """Classes in the order of a model's probabilities."""

    name: str
    classes: tuple[LegendClass, ...]

    @property
    def codes(self) -> tuple[int, ...]:
        """Codes in order."""
        return tuple(item.code for item in self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """Names in order."""
        return tuple(item.name for item in self.classes)

    @property
    def is_binary(self) -> bool:
        """Whether there are two classes, so that one probability says all."""
        return len(self.classes) == 2


CROPLAND = Legend(
    name="cropland",
    classes=(
        LegendClass(code=0, name="non-crop", color="#9a8f97"),
        LegendClass(code=1, name="crop", color="#e69f00"),
    ),
)
"""The shipped legend: crop or not. In two-class legends the second class is the positive one."""

CLASS_COLORS = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#d55e00",
    "#f0e442",
    "#6e6e6e",
)
"""Okabe and Ito (2008), with grey in the place of black; for legends that bring no colours."""

LEGENDS: Mapping[str, Legend] = {CROPLAND.name: CROPLAND}
"""Shipped legends by name; a workspace adds its own (``legends add``)."""

APPLICABILITY = Legend(
    name="applicability",
    classes=(
        LegendClass(code=0, name="outside: unlike any training sample", color="#d55e00"),
        LegendClass(code=1, name="inside the area of applicability", color="#56b4e9"),
    ),
)
"""Where a model applies (Meyer and Pebesma 2021); not a statement about accuracy by itself."""
