"""Publishing simulated scenes later: new ones, and old ones again."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Any

from geotransfer.errors import InputError
from geotransfer.testing.items import read_items, republish_item, write_items
from geotransfer.testing.region import (
    ChangePlan,
    SimulatedRegion,
    change_region,
    read_date,
    take_scene,
    write_truth,
)
from geotransfer.testing.world import store_change_plans


class Republish(StrEnum):
    """How a scene that is already published is published again."""

    METADATA = "metadata"
    """Other dates in the item; the very same files."""
    REENCODED = "reencoded"
    """Other compression: other bytes and checksums, the same digital numbers."""
    OFFSET = "offset"
    """The other processing baseline: other numbers and offset, the same reflectance."""


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
    items = {read_date(item): item for item in read_items(region.items_path)}
    if republish is None and date in items:
        raise InputError(
            f"{region.items_path}: there is a scene of {date} already; choose another day, or"
            " republish it."
        )
    if republish is not None and date not in items:
        raise InputError(f"{region.items_path}: there is no scene of {date} to publish again.")
    if changed_share > 0:
        region = change_region(region, ChangePlan(dates=(date,), share=changed_share))
        write_truth(region)
        store_change_plans(region)
    if republish is None:
        items[date] = take_scene(region, date)
    else:
        items[date] = _republish_scene(region, items[date], republish)
    write_items(region.items_path, list(items.values()))
    return region


def _republish_scene(
    region: SimulatedRegion, item: dict[str, Any], republish: Republish
) -> dict[str, Any]:
    if republish is Republish.METADATA:
        return republish_item(item)
    date = read_date(item)
    had_offset = item["properties"]["s2:processing_baseline"] >= "04.00"
    revision = 1 + sum(1 for _ in (region.folder / "scenes").glob(f"{date.isoformat()}-r*"))
    return take_scene(
        region,
        date,
        with_offset=had_offset != (republish is Republish.OFFSET),
        revision=revision,
        compress="deflate" if republish is Republish.REENCODED else "zstd",
    )
