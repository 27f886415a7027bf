"""Regions: a region is a row, never code."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RegionKind(StrEnum):
    """What a region's figures rest on; kinds are never averaged together."""

    TABLE = "table"
    """Real reference samples without imagery."""
    IMAGERY = "imagery"
    """Real scenes."""
    SIMULATED = "simulated"
    """A simulated world with known truth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A named outline with its own calibration and model."""

    region_id: str
    """Lower case letters, digits and hyphens; unique in a workspace."""
    name: str
    kind: RegionKind
    outline: str
    """GeoJSON geometry (Polygon or MultiPolygon) in EPSG:4326, as canonical JSON."""
    area_km2: float
    """Area of the outline on the ellipsoid's equal-area projection (EPSG:6933)."""
    spec_name: str
    """Feature spec its models use."""
    legend_name: str
    attribution: str = ""
    """Shown wherever the region is."""
