"""Sensors: a row of names, scale and mask rules; never code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class MaskKind(StrEnum):
    """How a mask band says that a pixel is not the ground."""

    CLASSES = "classes"
    """One code a pixel; some codes are bad (Sentinel-2 SCL)."""
    BITS = "bits"
    """Flags packed in bits; any of some bits is bad (Landsat QA_PIXEL)."""
    FLAG = "flag"
    """Zero is clear, anything else is cloud."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskRule:
    """Which pixels of a scene do not show the ground. Part of the key of only-if-changed."""

    kind: MaskKind
    bad: tuple[int, ...] = ()
    """Bad codes, or bad bit positions."""
    dilate_px: int = 2
    """Bad pixels grow by this many pixels of the grid: cloud edges are seldom masked whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensor:
    """One row of the sensor table."""

    name: str
    bands: Mapping[str, str]
    """Asset name in the catalog → our band name."""
    scale: float
    """Where the catalog states none."""
    offset: float
    nodata: float | None
    masks: Mapping[str, MaskRule] = field(default_factory=dict)
    """Asset name in the catalog → rule; the first one found is used. Empty: no mask, and every
    list of its scenes says so."""
    collections: tuple[str, ...] = ()
    """Words of a catalog's collection or platform that name this sensor; lower case."""
