"""The simulated world: source and target regions with known truth, as STAC items and COGs."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from geotransfer.errors import InputError, NotFound
from geotransfer.testing.ground import add_changes, build_ground
from geotransfer.testing.items import trace_footprint, write_items, write_new_file
from geotransfer.testing.placement import (
    choose_regions,
    place_grid,
    spread_changes,
    spread_dates,
)
from geotransfer.testing.region import (
    ChangePlan,
    Role,
    SimulatedRegion,
    change_region,
    take_scene,
    write_truth,
)
from geotransfer.testing.statistics import ATTRIBUTION, load_statistics

__all__ = [
    "Role",
    "SimulatedRegion",
    "World",
    "build_world",
    "make_world",
    "open_world",
    "store_change_plans",
]

WORLD_FORMAT = 1
MIN_SIZE_PX = 32


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
                region.items_path, list(pool.map(lambda d, r=region: take_scene(r, d), dates))
            )
            write_truth(region)
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


def _write_world(world: World, options: dict[str, Any]) -> None:
    document = {
        "title": "A simulated world; not an observation of the Earth",
        "attribution": ATTRIBUTION,
        "format": WORLD_FORMAT,
        "seed": world.seed,
        "shift": world.shift,
        "likes": [region.like for region in world.regions],
        "options": options,
        "change_plans": {r.region_id: _describe_plans(r) for r in world.regions},
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
            region = change_region(region, ChangePlan(dates=dates, share=plan["share"]))
        regions.append(region)
    return replace(world, regions=tuple(regions))


def store_change_plans(region: SimulatedRegion) -> None:
    """Let ``world.json`` remember the region's change plans."""
    path = region.folder.parent / "world.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    document["change_plans"][region.region_id] = _describe_plans(region)
    write_new_file(path, (json.dumps(document, indent=1) + "\n").encode())


def _describe_plans(region: SimulatedRegion) -> list[dict[str, Any]]:
    return [
        {"dates": [date.isoformat() for date in plan.dates], "share": plan.share}
        for plan in region.change_plans
    ]
