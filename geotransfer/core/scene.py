"""Scenes: one acquisition of one sensor over one footprint."""

from __future__ import annotations

from dataclasses import dataclass, field

from geotransfer.core.identity import OMIT_DEFAULT
from geotransfer.core.sensor import MaskRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One raster file of a scene."""

    name: str
    """Band name in our vocabulary: blue, green, red, nir, swir_1 …; a mask's in its catalog, after
    ``mask:``."""
    href: str
    """Absolute path or URL."""
    band: int = 1
    """Band of the file, from 1."""
    scale: float = 1.0
    offset: float = 0.0
    """reflectance = dn · scale + offset."""
    nodata: float | None = None
    checksum: str = ""
    """Multihash of the file's bytes as the catalog states it, or empty."""
    size_bytes: int | None = None

    @property
    def is_mask(self) -> bool:
        """Whether it says where the ground is not seen."""
        return self.name.startswith("mask:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One acquisition; in STAC terms one item. Never holds pixels."""

    scene_id: str
    sensed_at: str
    """ISO 8601, UTC."""
    sensor: str
    """Row of the sensor table, which names bands and mask rules."""
    bounds: tuple[float, float, float, float]
    """West, south, east, north in EPSG:4326."""
    assets: tuple[Asset, ...]
    crs: str | None = None
    transform: tuple[float, float, float, float, float, float] | None = None
    shape: tuple[int, int] | None = None
    """Rows, columns."""
    processing_baseline: str = ""
    item: str = ""
    """The STAC item as canonical JSON; what the catalog said, whole."""
    mask_rule: MaskRule | None = field(default=None, metadata=OMIT_DEFAULT)
    """Of a user's own sensor; None: the shipped row of ``sensor`` has it."""

    def find_asset(self, name: str) -> Asset | None:
        """Return the asset called ``name``, or None."""
        return next((asset for asset in self.assets if asset.name == name), None)
