"""Places to label next: ranked by what a label there would teach, or drawn with known chances."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Design(StrEnum):
    """How places were picked; it decides what may be concluded from labels there."""

    RANKED = "ranked"
    """The most useful for the model; says nothing of areas."""
    STRATIFIED = "stratified"
    """Drawn at random within each class of the map, with known chances: accuracy and area of the
    whole map follow (Olofsson et al. 2014, doi 10.1016/j.rse.2014.02.015)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """One class of the map that places were drawn from."""

    name: str
    area_km2: float
    n_pixels: int
    n_places: int

    @property
    def chance(self) -> float:
        """Inclusion probability of each of its pixels."""
        return self.n_places / self.n_pixels if self.n_pixels else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One place to label: the centre of a pixel."""

    number: int
    """From 1: the most useful first, or in the order of drawing."""
    lon: float
    lat: float
    map_class: str
    """What the map says there; the stratum of a drawn place."""
    usefulness: float | None = None
    """0–1, the product of the next three, the best place 1; None for a drawn place."""
    applicability_gap: float | None = None
    uncertainty: float | None = None
    coverage: float | None = None
    chance: float | None = None
    """Inclusion probability; None for a ranked place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """Places to label in one region, for one state of its map."""

    region_id: str
    map_id: str
    model_id: str
    design: Design
    seed: int
    pixel_m: float
    """Side of a pixel: labels this near a drawn place are labels of it."""
    pixel_km2: float
    places: tuple[Place, ...]
    strata: tuple[Stratum, ...] = ()
    """Of a drawn sample."""
