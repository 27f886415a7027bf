from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geotransfer.change.keys import PARTS, TileKeys
from geotransfer.change.plan import Action, TileState, plan_refresh

ids = st.text("abc", min_size=1, max_size=3)
keys = st.builds(TileKeys, **{part: st.sampled_from(["1", "2"]) for part in PARTS})


def as_state(value: TileKeys) -> TileState:
    return TileState(keys=value, cpu_s=1.0)


@given(st.dictionaries(ids, keys))
def test_a_settled_region_has_nothing_to_compute(current: dict[str, TileKeys]) -> None:
    plan = plan_refresh({k: as_state(v) for k, v in current.items()}, current)
    assert plan.select(Action.KEEP) == tuple(current)
    assert {d.action for d in plan.decisions} <= {Action.KEEP}


@given(st.dictionaries(ids, keys), st.dictionaries(ids, keys))
def test_every_tile_gets_one_decision_and_the_plan_settles(
    before: dict[str, TileKeys], now: dict[str, TileKeys]
) -> None:
    plan = plan_refresh({k: as_state(v) for k, v in before.items()}, now)
    decided = [d.tile_id for d in plan.decisions]
    assert len(decided) == len(set(decided))
    assert set(decided) == set(before) | set(now)
    for tile_id in plan.select(Action.KEEP):
        assert before[tile_id] == now[tile_id]
    for tile_id in plan.select(Action.PREDICT):
        assert before[tile_id].feature_key == now[tile_id].feature_key
    assert set(plan.select(Action.DROP)) == set(before) - set(now)


@pytest.mark.parametrize("part", PARTS)
def test_flipping_any_part_of_the_key_recomputes(part: str) -> None:
    before = TileKeys(**dict.fromkeys(PARTS, "same"))
    now = replace(before, **{part: "other"})
    plan = plan_refresh({"t": as_state(before)}, {"t": now})
    expected = Action.PREDICT if part == "model" else Action.COMPUTE
    assert plan.decisions[0].action is expected
    assert part in plan.decisions[0].reason
    assert (before.feature_key != now.feature_key) is (part != "model")
    assert before.map_key != now.map_key
