"""What the routes may serve: rasters by region and layer, vectors by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from geotransfer.core.legend import Legend


class RasterKind(StrEnum):
    """How a raster's values become colours."""

    CLASS = "class"
    """Codes of a legend."""
    SHARE = "share"
    """A share, index or other measurement on a ramp."""
    COUNT = "count"
    """A whole number on a ramp."""
    DATE = "date"
    """Days since 1970-01-01 on a ramp."""
    RGB = "rgb"
    """Three bands of 8 bits, shown as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RasterEntry:
    """One layer of one region, ready to be shown."""

    path: Path
    """A cloud-optimised GeoTIFF inside the catalog's folder."""
    name: str
    """As shown to people."""
    kind: RasterKind
    bands: tuple[int, ...] = (1,)
    """Bands to read, from 1; three for ``RGB``, one otherwise."""
    legend: Legend | None = None
    """Classes and colours; for ``CLASS``."""
    colors: tuple[str, ...] = ()
    """``#rrggbb`` from low to high, evenly spaced, 2–255 of them; for the ramps."""
    value_range: tuple[float, float] = (0.0, 1.0)
    """Physical values of the first and last colour, after the file's scale and offset."""
    unit: str = ""
    attribution: str = ""
    """Whose data it is made of."""


class RasterCatalog(Protocol):
    """Looks layers up; called on worker threads, so it must be safe there."""

    @property
    def folder(self) -> Path:
        """Folder no served raster may lie outside of."""
        ...

    def find_raster(self, region_id: str, layer: str, version: str | None) -> RasterEntry | None:
        """Return a region's layer, of the current map or of the map named by ``version``."""
        ...

    def list_rasters(self, region_id: str, version: str | None) -> Mapping[str, RasterEntry]:
        """Return every layer of a region's map by its name; empty where there is no map."""
        ...

    def read_vector(self, name: str, version: str | None) -> bytes | None:
        """Return a GeoJSON document by name: ``regions``, ``points/<id>`` …, in EPSG:4326."""
        ...


class RegionFiles(Protocol):
    """A region's tables, vectors and report; called on worker threads."""

    def list_files(self, region_id: str) -> tuple[str, ...]:
        """Return the names of the files there are; raises ``NotFound`` for an unknown region."""
        ...

    def make_file(self, region_id: str, name: str) -> tuple[bytes, str]:
        """Return a file and its media type; raises ``NotFound`` where there is none."""
        ...
