"""The simulated world: source and target regions with known truth, as STAC items and COGs."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from pyproj import Transformer

from geotransfer.core.grid import Grid
from geotransfer.errors import InputError, NotFound
from geotransfer.testing.ground import (
    ChangeEvent,
    Ground,
    add_changes,
    build_ground,
    simulate_scene_arrays,
)
from geotransfer.testing.items import (
    encode_cog,
    read_items,
    republish_item,
    trace_footprint,
    write_items,
    write_new_file,
    write_scene,
)
from geotransfer.testing.land import PIXEL_M
from geotransfer.testing.statistics import ATTRIBUTION, load_statistics

WORLD_FORMAT = 1
MIN_SIZE_PX = 32

PLACES = {
    "eastern": (38.9, 8.1),
    "western": (-1.2, 8.9),
    "northern": (-6.9, 32.6),
    "sahel": (-5.2, 13.9),
    "southern": (27.4, -15.3),
    "central": (15.2, 7.3),
}
"""Longitude and latitude where a region drawn like a real one is put: plausible, but invented."""


DEMO_REGIONS = ("eastern", "western")
DEMO_SHIFT = 1.5
"""World of the default workspace. The shipped model is neither good nor useless on its target, and
a hundred labels help; with ``("eastern", "sahel")`` they do not (docs/decisions/0011)."""


class Role(StrEnum):
    """What a region of the world is for."""

    SOURCE = "source"
    TARGET = "target"


class Republish(StrEnum):
    """How a scene that is already published is published again."""

    METADATA = "metadata"
    """Other dates in the item; the very same files."""
    REENCODED = "reencoded"
    """Other compression: other bytes and checksums, the same digital numbers."""
    OFFSET = "offset"
    """The other processing baseline: other numbers and offset, the same reflectance."""


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
        return tuple(_read_date(item) for item in read_items(self.items_path))


@dataclass(frozen=True, eq=False, kw_only=True)
class World:
    """Simulated regions drawn together: models train on sources and are judged on targets."""

    folder: Path
    seed: int
    shift: float
    regions: tuple[SimulatedRegion, ...]

    @property
    def sources(self) -> tuple[SimulatedRegion, ...]:
        """Regions whose truth may train a model."""
        return tuple(r for r in self.regions if r.role is Role.SOURCE)

    @property
    def targets(self) -> tuple[SimulatedRegion, ...]:
        """Regions nobody trained on."""
        return tuple(r for r in self.regions if r.role is Role.TARGET)

    def find_region(self, region_id: str) -> SimulatedRegion:
        """Return a region by id."""
        for region in self.regions:
            if region.region_id == region_id:
                return region
        known = ", ".join(region.region_id for region in self.regions)
        raise NotFound(f"{self.folder}: no region {region_id!r} in this world; it has {known}.")


def _read_date(item: dict[str, Any]) -> dt.date:
    return dt.date.fromisoformat(item["properties"]["datetime"][:10])


def choose_regions(regions: Sequence[str] | int, seed: int) -> tuple[str, ...]:
    """Return names of real regions to be like: the given ones, or so many drawn by the seed."""
    known = sorted(load_statistics())
    if isinstance(regions, int):
        order = np.random.default_rng([seed, 0x5EED]).permutation(len(known))
        return tuple(known[order[i % len(known)]] for i in range(regions))
    for name in regions:
        if name not in known:
            raise InputError(
                f"there are no statistics of a region {name!r} to simulate one like it; choose"
                f" from {', '.join(known)}."
            )
    return tuple(regions)


def place_grid(like: str, index: int, seed: int, size_px: int) -> Grid:
    """Return a 10 m UTM grid at the invented place of the world's region ``index``."""
    longitude, latitude = PLACES[like]
    # Regions of one world, and worlds of other seeds, lie beside each other.
    longitude += 0.15 * index
    latitude += 0.1 * (seed % 8)
    zone = int((longitude + 180) // 6) + 1
    crs = f"EPSG:{32600 + zone if latitude >= 0 else 32700 + zone}"
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(longitude, latitude)
    left, top = round(x / PIXEL_M) * PIXEL_M, round(y / PIXEL_M) * PIXEL_M
    return Grid(
        crs=crs, transform=(PIXEL_M, 0.0, left, 0.0, -PIXEL_M, top), height=size_px, width=size_px
    )


def spread_dates(year: int, n_scenes: int) -> tuple[dt.date, ...]:
    """Return ``n_scenes`` days spread evenly over a year; 73 are five days apart."""
    step_days = 365 / n_scenes
    return tuple(
        dt.date(year, 1, 1) + dt.timedelta(days=int((i + 0.5) * step_days)) for i in range(n_scenes)
    )


def spread_changes(year: int, n_events: int) -> tuple[dt.date, ...]:
    """Return days of change events: spread over a year, none in its first or last six weeks."""
    return tuple(
        dt.date(year, 2, 15) + dt.timedelta(days=int((i + 0.5) * 275 / n_events))
        for i in range(n_events)
    )


def build_world(
    regions: Sequence[str] | int,
    shift: float,
    seed: int,
    *,
    folder: Path,
    size_px: int = 512,
    year: int = 2022,
    n_targets: int = 1,
    changed_share: float = 0.04,
    n_events: int = 2,
    offset_from: dt.date | None = None,
    id_prefix: str = "simulated",
) -> World:
    """Draw a world in memory; ``make_world`` explains the parameters and writes it."""
    likes = choose_regions(regions, seed)
    if not 0 < n_targets < len(likes):
        raise InputError(
            f"a world of {len(likes)} regions cannot have {n_targets} targets; it needs at least"
            " one source and one target."
        )
    if size_px < MIN_SIZE_PX:
        raise InputError(
            f"{size_px} pixels a side hold no landscape; ask for at least {MIN_SIZE_PX}."
        )
    if shift < 0 or not 0 <= changed_share <= 0.6:
        raise InputError(
            f"shift {shift:g} must not be negative, and changed_share {changed_share:g} must lie"
            " between 0 and 0.6."
        )
    statistics = load_statistics()
    n_sources = len(likes) - n_targets
    sources = [statistics[like] for like in likes[:n_sources]]
    plan = ChangePlan(dates=spread_changes(year, n_events), share=changed_share)
    plans = (plan,) if changed_share > 0 and n_events > 0 else ()
    made = []
    for index, like in enumerate(likes):
        is_source = index < n_sources
        own = statistics[like]
        ground = build_ground(
            [own] if is_source else sources,
            own,
            shift=1.0 if is_source else shift,
            seed=(seed, index),
            size_px=size_px,
        )
        for p in plans:
            ground = add_changes(ground, p.dates, changed_share=p.share)
        grid = place_grid(like, index, seed, size_px)
        region_id = f"{id_prefix}-{index + 1}-{like}"
        made.append(
            SimulatedRegion(
                region_id=region_id,
                name=f"Simulated region {index + 1}, like {like}",
                role=Role.SOURCE if is_source else Role.TARGET,
                like=like,
                attribution=f"Simulated. {ATTRIBUTION}",
                outline=trace_footprint(grid, inset_px=1),
                folder=folder / region_id,
                grid=grid,
                ground=ground,
                start=dt.date(year, 1, 1),
                offset_from=offset_from or dt.date(year, 4, 1),
                change_plans=plans,
            )
        )
    return World(folder=folder, seed=seed, shift=shift, regions=tuple(made))


def make_world(
    regions: Sequence[str] | int,
    shift: float,
    seed: int,
    *,
    folder: Path,
    size_px: int = 512,
    n_scenes: int = 24,
    year: int = 2022,
    n_targets: int = 1,
    changed_share: float = 0.04,
    n_events: int = 2,
    offset_from: dt.date | None = None,
    id_prefix: str = "simulated",
    n_threads: int = 1,
) -> World:
    """Make a simulated world with known truth and write it as STAC items and COGs.

    Parameters
    ----------
    regions
        Names of the real regions whose class statistics the regions are drawn from, or how many
        to draw. The last ``n_targets`` are targets, the others sources.
    shift
        How far targets lie from the sources: 0 as a mixture of them, 1 as their own real region,
        beyond 1 further on.
    seed
        The same seed gives the same bytes on the same machine and libraries.
    folder
        Where to write; a folder for each region, and ``world.json``, from which ``open_world``
        makes the same world again.
    size_px
        Side of each region in pixels of 10 m.
    n_scenes
        Dated scenes spread evenly over ``year``.
    changed_share, n_events
        Share of the area that changes class for good in the year, and on how many dates.
    offset_from
        First day of processing baseline 04.00; None: 1 April.
    id_prefix
        Begins every region id; two worlds in one workspace need two.
    n_threads
        Threads; they change no byte.

    Raises
    ------
    InputError
        An unknown region, or numbers that cannot be used.
    DiskFull
        No space was left.
    """
    world = build_world(
        regions,
        shift,
        seed,
        folder=folder,
        size_px=size_px,
        year=year,
        n_targets=n_targets,
        changed_share=changed_share,
        n_events=n_events,
        offset_from=offset_from,
        id_prefix=id_prefix,
    )
    if not 1 <= n_scenes <= 365:
        raise InputError(f"{n_scenes} scenes cannot have a day each; ask for 1 to 365.")
    dates = spread_dates(year, n_scenes)
    with ThreadPoolExecutor(max_workers=n_threads) as pool:
        for region in world.regions:
            write_items(
                region.items_path, list(pool.map(lambda d, r=region: _take_scene(r, d), dates))
            )
            _write_truth(region)
            outline = {
                "type": "Feature",
                "properties": {"name": region.name, "attribution": region.attribution},
                "geometry": region.outline,
            }
            write_new_file(region.outline_path, (json.dumps(outline) + "\n").encode())
    options = {
        "size_px": size_px,
        "year": year,
        "n_targets": n_targets,
        "offset_from": world.regions[0].offset_from.isoformat(),
        "id_prefix": id_prefix,
    }
    _write_world(world, options)
    return world


def _take_scene(
    region: SimulatedRegion,
    date: dt.date,
    *,
    with_offset: bool | None = None,
    revision: int = 0,
    compress: str = "zstd",
) -> dict[str, Any]:
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


def _write_truth(region: SimulatedRegion) -> None:
    for period in region.truth:
        raster = region.ground.find_truth(period.start)
        write_new_file(period.path, encode_cog(raster, region.grid, nodata=None))


def _write_world(world: World, options: dict[str, Any]) -> None:
    document = {
        "title": "A simulated world; not an observation of the Earth",
        "attribution": ATTRIBUTION,
        "format": WORLD_FORMAT,
        "seed": world.seed,
        "shift": world.shift,
        "likes": [region.like for region in world.regions],
        "options": options,
        "change_plans": {
            region.region_id: [
                {"dates": [d.isoformat() for d in plan.dates], "share": plan.share}
                for plan in region.change_plans
            ]
            for region in world.regions
        },
    }
    write_new_file(world.folder / "world.json", (json.dumps(document, indent=1) + "\n").encode())


def open_world(folder: Path) -> World:
    """Open a world that ``make_world`` wrote: the same ground is drawn again from its seed.

    Raises
    ------
    NotFound
        The folder holds no world.
    InputError
        Another version of the product wrote it.
    """
    path = folder / "world.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFound(f"{path}: there is no simulated world; make one first.") from None
    if document["format"] != WORLD_FORMAT:
        raise InputError(
            f"{path}: written in format {document['format']}, this version reads"
            f" {WORLD_FORMAT}; make the world again."
        )
    options = dict(document["options"])
    options["offset_from"] = dt.date.fromisoformat(options["offset_from"])
    world = build_world(
        document["likes"],
        document["shift"],
        document["seed"],
        folder=folder,
        changed_share=0.0,
        **options,
    )
    regions = []
    for region in world.regions:
        for plan in document["change_plans"][region.region_id]:
            dates = tuple(dt.date.fromisoformat(d) for d in plan["dates"])
            region = _change_region(region, ChangePlan(dates=dates, share=plan["share"]))
        regions.append(region)
    return replace(world, regions=tuple(regions))


def _change_region(region: SimulatedRegion, plan: ChangePlan) -> SimulatedRegion:
    return replace(
        region,
        ground=add_changes(region.ground, plan.dates, changed_share=plan.share),
        change_plans=(*region.change_plans, plan),
    )


def add_scene(
    region: SimulatedRegion,
    date: dt.date,
    *,
    changed_share: float = 0.0,
    republish: Republish | None = None,
) -> SimulatedRegion:
    """Write one more scene of a region, or publish one again, and add it to ``items.json``.

    Parameters
    ----------
    changed_share
        Share of the area that changes class on ``date``, and is seen changed from then on.
    republish
        Publish the existing scene of ``date`` again, in this way.

    Returns
    -------
    The region as it is now, with the change event if there is one.

    Raises
    ------
    InputError
        The date has a scene already and ``republish`` is not given, or the other way round.
    """
    items = {_read_date(item): item for item in read_items(region.items_path)}
    if republish is None and date in items:
        raise InputError(
            f"{region.items_path}: there is a scene of {date} already; choose another day, or"
            " republish it."
        )
    if republish is not None and date not in items:
        raise InputError(f"{region.items_path}: there is no scene of {date} to publish again.")
    if changed_share > 0:
        region = _change_region(region, ChangePlan(dates=(date,), share=changed_share))
        _write_truth(region)
        _store_plans(region)
    if republish is None:
        items[date] = _take_scene(region, date)
    else:
        items[date] = _republish_scene(region, items[date], republish)
    write_items(region.items_path, list(items.values()))
    return region


def _republish_scene(
    region: SimulatedRegion, item: dict[str, Any], republish: Republish
) -> dict[str, Any]:
    if republish is Republish.METADATA:
        return republish_item(item)
    date = _read_date(item)
    had_offset = item["properties"]["s2:processing_baseline"] >= "04.00"
    revision = 1 + sum(1 for _ in (region.folder / "scenes").glob(f"{date.isoformat()}-r*"))
    return _take_scene(
        region,
        date,
        with_offset=had_offset != (republish is Republish.OFFSET),
        revision=revision,
        compress="deflate" if republish is Republish.REENCODED else "zstd",
    )


def _store_plans(region: SimulatedRegion) -> None:
    path = region.folder.parent / "world.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    document["change_plans"][region.region_id] = [
        {"dates": [d.isoformat() for d in plan.dates], "share": plan.share}
        for plan in region.change_plans
    ]
    write_new_file(path, (json.dumps(document, indent=1) + "\n").encode())
