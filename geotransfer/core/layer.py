"""Layers: rasters without a date that a region's owner supplies (slope, rain climatology …)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRule:
    """What a layer of a shipped spec must be, so that a model reads what it was trained on."""

    unit: str
    """As the declaration must spell it."""
    low: float
    high: float
    """Plausible values; a layer whose values lie outside is in another unit."""
    is_climatology: bool = False
    """Whether it must be a long-term mean: one year's weather is another thing."""


LAYER_RULES: Mapping[str, LayerRule] = {
    "slope": LayerRule(unit="percent", low=0, high=400),
    "rain_S1": LayerRule(unit="mm", low=0, high=8000, is_climatology=True),
    "rain_S2": LayerRule(unit="mm", low=0, high=8000, is_climatology=True),
}
"""Layers of the shipped specs. Others are taken as they are, unit as declared."""

MIN_CLIMATOLOGY_YEARS = 10
"""Fewer years are weather, not climate (the World Meteorological Organization asks for thirty)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer of one region; pixels stay where they are, their hash is part of every key."""

    name: str
    """As a spec reads it: slope, rain_S1, elevation …"""
    href: str
    """Absolute path or URL."""
    content_hash: str
    """Hash of the file's bytes when it was added."""
    unit: str
    years: str = ""
    """First and last year of the mean, ``1991-2020``; empty where no year matters."""
    source: str = ""
    """Where it comes from, in the words of who added it; shown with the map."""
    band: int = 1
    scale: float = 1.0
    """value = raw · scale + offset."""
    offset: float = 0.0

    @property
    def n_years(self) -> int:
        """How many years the mean spans; 0 where none is stated."""
        first, _, last = self.years.partition("-")
        return int(last or first) - int(first) + 1 if first else 0

    @property
    def is_climatology(self) -> bool:
        """Whether it is a mean over enough years to be called a climate."""
        return self.n_years >= MIN_CLIMATOLOGY_YEARS
