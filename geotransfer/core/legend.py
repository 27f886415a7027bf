"""The classes a map may show."""

from __future__ import annotations

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


CROPLAND = Legend(
    name="cropland",
    classes=(
        LegendClass(code=0, name="non-crop", color="#9a8f97"),
        LegendClass(code=1, name="crop", color="#e69f00"),
    ),
)
"""The shipped legend: crop or not. In two-class legends the second class is the positive one."""

APPLICABILITY = Legend(
    name="applicability",
    classes=(
        LegendClass(code=0, name="outside: unlike any training sample", color="#d55e00"),
        LegendClass(code=1, name="inside the area of applicability", color="#56b4e9"),
    ),
)
"""Where a model applies (Meyer and Pebesma 2021); not a statement about accuracy by itself."""
