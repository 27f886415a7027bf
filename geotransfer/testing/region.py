"""One region of a simulated world: where it is, what is true there, and where its files are."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from geotransfer.core.grid import Grid
from geotransfer.testing.ground import (
    ChangeEvent,
    Ground,
    add_changes,
    simulate_scene_arrays,
)
from geotransfer.testing.items import encode_cog, read_items, write_new_file, write_scene


class Role(StrEnum):
    """What a region of the world is for."""

    SOURCE = "source"
    TARGET = "target"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePlan:
    """A share of the area that changes class, in equal parts on some dates."""

    dates: tuple[dt.date, ...]
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthPeriod:
    """The class raster that holds from ``start`` until before ``end``; None: for good."""

    start: dt.date
    end: dt.date | None
    path: Path
    """uint8: 0 non-crop, 1 crop."""


@dataclass(frozen=True, eq=False, kw_only=True)
class SimulatedRegion:
    """One region of a simulated world, on disk and in memory.

    Attributes
    ----------
    name
        Begins with "Simulated".
    like
        Real region whose class statistics it is drawn from.
    outline
        GeoJSON polygon in EPSG:4326, one pixel inside the grid.
    folder
        Holds ``items.json``, ``outline.geojson``, ``scenes/`` and ``truth/``.
    offset_from
        First day of the processing baseline that adds 1000 to digital numbers.
    """

    region_id: str
    name: str
    role: Role
    like: str
    attribution: str
    outline: dict[str, Any] = field(repr=False)
    folder: Path
    grid: Grid
    ground: Ground = field(repr=False)
    start: dt.date
    offset_from: dt.date
    change_plans: tuple[ChangePlan, ...]

    @property
    def items_path(self) -> Path:
        """The STAC item collection of its scenes."""
        return self.folder / "items.json"

    @property
    def outline_path(self) -> Path:
        """The outline as a GeoJSON file."""
        return self.folder / "outline.geojson"

    @property
    def events(self) -> tuple[ChangeEvent, ...]:
        """Change events, by date."""
        return tuple(sorted(self.ground.events, key=lambda event: event.date))

    @property
    def truth(self) -> tuple[TruthPeriod, ...]:
        """Class rasters by period."""
        starts = [self.start, *sorted({event.date for event in self.events} - {self.start})]
        ends: list[dt.date | None] = [*starts[1:], None]
        return tuple(
            TruthPeriod(start=s, end=e, path=self.folder / "truth" / f"{s.isoformat()}.tif")
            for s, e in zip(starts, ends, strict=True)
        )

    @property
    def dates(self) -> tuple[dt.date, ...]:
        """Days of its scenes."""
        return tuple(read_date(item) for item in read_items(self.items_path))


def read_date(item: dict[str, Any]) -> dt.date:
    """Return the day of a STAC item."""
    return dt.date.fromisoformat(item["properties"]["datetime"][:10])


def change_region(region: SimulatedRegion, plan: ChangePlan) -> SimulatedRegion:
    """Return the region with further change events, as planned."""
    return replace(
        region,
        ground=add_changes(region.ground, plan.dates, changed_share=plan.share),
        change_plans=(*region.change_plans, plan),
    )


def take_scene(
    region: SimulatedRegion,
    date: dt.date,
    *,
    with_offset: bool | None = None,
    revision: int = 0,
    compress: str = "zstd",
) -> dict[str, Any]:
    """Simulate and write one scene of a region, and return its STAC item.

    Parameters
    ----------
    with_offset
        Whether by processing baseline 04.00; None: as the date says.
    revision, compress
        As in ``write_scene``.
    """
    if with_offset is None:
        with_offset = date >= region.offset_from
    return write_scene(
        simulate_scene_arrays(region.ground, date, with_offset=with_offset),
        folder=region.folder,
        grid=region.grid,
        region_id=region.region_id,
        date=date,
        revision=revision,
        compress=compress,
    )


def write_truth(region: SimulatedRegion) -> None:
    """Write the class raster of every period of a region."""
    for period in region.truth:
        raster = region.ground.find_truth(period.start)
        write_new_file(period.path, encode_cog(raster, region.grid, nodata=None))
