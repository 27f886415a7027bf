"""Champions as a replay of facts: promotions, rollbacks, and what served at any moment."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from geotransfer.core.fact import ModelPromoted, ModelRolledBack
from geotransfer.registry.champions import find_champion, find_previous, list_moves
from geotransfer.settings import read_settings
from geotransfer.store.workspace import Workspace, open_workspace
from tests.conftest import Clock

REGION = "nakuru"
ROLL_BACK = "roll back"


def promote(workspace: Workspace, model_id: str, region_id: str = REGION) -> None:
    fact = ModelPromoted(
        region_id=region_id,
        previous_id=find_champion(workspace, region_id),
        model_id=model_id,
        gates=(),
        reason="",
    )
    workspace.ledger.append(fact, actor="test")


def roll_back(workspace: Workspace, region_id: str = REGION) -> None:
    champion = find_champion(workspace, region_id)
    assert champion is not None
    fact = ModelRolledBack(
        region_id=region_id,
        previous_id=champion,
        model_id=find_previous(workspace, region_id),
        reason="",
    )
    workspace.ledger.append(fact, actor="test")


def test_the_global_model_serves_until_something_is_promoted(workspace: Workspace) -> None:
    assert find_champion(workspace, REGION) is None
    assert find_previous(workspace, REGION) is None
    assert list_moves(workspace, REGION) == []


def test_rollbacks_undo_one_by_one_and_never_go_forward(workspace: Workspace) -> None:
    promote(workspace, "a")
    promote(workspace, "b")
    roll_back(workspace)
    assert find_champion(workspace, REGION) == "a"
    roll_back(workspace)
    assert find_champion(workspace, REGION) is None, "b must not come back"


def test_a_promotion_after_a_rollback_goes_back_to_what_served_then(workspace: Workspace) -> None:
    for model_id in "ab":
        promote(workspace, model_id)
    roll_back(workspace)
    promote(workspace, "c")
    roll_back(workspace)
    assert find_champion(workspace, REGION) == "a"


def test_regions_do_not_move_each_other(workspace: Workspace) -> None:
    promote(workspace, "a")
    promote(workspace, "z", "elsewhere")
    roll_back(workspace)
    assert find_champion(workspace, "elsewhere") == "z"


ACTS = st.lists(st.sampled_from(["a", "b", "c", ROLL_BACK]), max_size=12)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Clock, list[int]]:
    """One ledger for all examples, each in a region of its own: opening one takes a while."""
    folder: Path = tmp_path_factory.mktemp("champions")
    clock = Clock()
    settings = read_settings({}, {"workspace": str(folder)})
    return open_workspace(settings, clock=clock, create=True), clock, []


@given(acts=ACTS)
@hypothesis_settings(max_examples=40, deadline=None)
def test_the_replay_is_a_stack_at_every_moment(
    shared: tuple[Workspace, Clock, list[int]], acts: list[str]
) -> None:
    """Reference: a plain stack, driven beside the ledger; asked again afterwards by date."""
    workspace, clock, examples = shared
    examples.append(1)
    region_id = f"r{len(examples)}"
    stack: list[str | None] = [None]
    remembered: list[tuple[datetime, str | None]] = [(clock.now, None)]
    for act in acts:
        clock.advance(60)
        if act == ROLL_BACK:
            if stack[-1] is None:
                continue
            roll_back(workspace, region_id)
            stack.pop()
        elif act != stack[-1]:
            promote(workspace, act, region_id)
            stack.append(act)
        assert find_champion(workspace, region_id) == stack[-1]
        assert find_previous(workspace, region_id) == (stack[-2] if len(stack) > 1 else None)
        remembered.append((clock.now, stack[-1]))
    clock.advance(60)
    for moment, champion in remembered:
        assert find_champion(workspace, region_id, until=moment) == champion
