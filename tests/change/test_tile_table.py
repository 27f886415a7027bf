from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from geotransfer.change.keys import PARTS, TileKeys
from geotransfer.change.plan import Action, TileState, plan_refresh
from geotransfer.change.tile_table import (
    ACTIONS,
    COLUMN_BITS,
    TileTable,
    count_tiles,
    explain_bits,
    find_windows,
    hash_scene_sets,
    join_id,
    make_places,
    plan_tiles,
    split_ids,
    spread_over_tiles,
)
from geotransfer.core.grid import Grid, cut_tiles
from geotransfer.core.identity import content_id
from geotransfer.imagery.grids import touch_tile

IDS = tuple(content_id(i) for i in range(3))
keys = st.builds(TileKeys, **{part: st.sampled_from(IDS) for part in PARTS})
tiles = st.dictionaries(st.integers(0, 5), keys, max_size=6)


def make_table(found: dict[int, TileKeys]) -> TileTable:
    """Columns of a few tiles; a part all agree in is stored once, as large regions do."""
    parts = {}
    for part in PARTS:
        values = [getattr(k, part) for k in found.values()]
        parts[part] = split_ids(values[:1] if len(set(values)) == 1 else values)
    return TileTable(places=np.array(list(found), dtype=np.int64), parts=parts)


@given(tiles, tiles)
def test_columns_decide_as_the_obvious_plan_does(
    before: dict[int, TileKeys], now: dict[int, TileKeys]
) -> None:
    states = {str(t): TileState(keys=k, cpu_s=1.0) for t, k in before.items()}
    expected = plan_refresh(states, {str(t): k for t, k in now.items()})
    plan = plan_tiles(make_table(before), make_table(now))
    assert plan.reasons == expected.reasons
    told = [
        (str(t), ACTIONS[a], explain_bits(int(c)))
        for t, a, c in zip(now, plan.actions, plan.changed, strict=True)
    ]
    told += [(str(t), Action.DROP, "no longer in the region") for t in plan.dropped]
    assert told == [(d.tile_id, d.action, d.reason) for d in expected.decisions]
    for action in ACTIONS:
        assert [str(list(now)[i]) for i in plan.select(action)] == list(expected.select(action))


numbers = st.integers(-3, 13)
boxes = st.tuples(numbers, numbers, numbers, numbers).map(
    lambda n: (float(min(n[0], n[2])), float(min(n[1], n[3])), float(max(n[0], n[2])),
               float(max(n[1], n[3])))
)  # fmt: skip
grids = st.builds(
    Grid,
    crs=st.just("EPSG:32631"),
    transform=st.sampled_from([(1.0, 0.0, 0.0, 0.0, -1.0, 10.0), (0.3, 0.0, 0.1, 0.0, -0.3, 9.7)]),
    height=st.integers(1, 12),
    width=st.integers(1, 12),
)


@given(st.lists(boxes, max_size=8), grids, st.integers(1, 5))
def test_scenes_touch_and_mark_the_tiles_they_did_one_by_one(
    footprints: list[tuple[float, float, float, float]], grid: Grid, tile_px: int
) -> None:
    shape = count_tiles(grid, tile_px)
    windows = find_windows(footprints, grid, tile_px)
    fingerprints = [content_id(i) for i in range(len(footprints))]
    touching = [
        [i for i, box in enumerate(footprints) if touch_tile(box, grid, tile)]
        for tile in cut_tiles(grid, tile_px)
    ]
    counts = spread_over_tiles(np.ones((len(footprints), 1), np.uint64), windows, shape)
    assert counts[:, 0].tolist() == [len(found) for found in touching]
    sets = hash_scene_sets(fingerprints, windows, shape)
    assert [join_id(row) for row in sets] == [add_ids(fingerprints, f) for f in touching]
    assert len(make_places(grid, tile_px)) == len(touching)


def add_ids(fingerprints: Sequence[str], found: Sequence[int]) -> str:
    """The obvious way: big integers, lane by lane."""
    lanes = [0, 0]
    for i in found:
        lanes[0] += int(fingerprints[i][:16], 16)
        lanes[1] += int(fingerprints[i][16:32], 16)
    return "".join(f"{lane % 2**64:016x}" for lane in lanes)


def test_a_place_names_row_and_column() -> None:
    grid = Grid(crs="EPSG:32631", transform=(1, 0, 0, 0, -1, 0), height=5, width=9)
    places = make_places(grid, 4)
    found = [f"r{p >> COLUMN_BITS:03d}c{p & (1 << COLUMN_BITS) - 1:03d}" for p in places.tolist()]
    assert found == [tile.tile_id for tile in cut_tiles(grid, 4)]
