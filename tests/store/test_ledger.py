from __future__ import annotations

import multiprocessing
from datetime import UTC, datetime

import pytest

from geotransfer.core.fact import LabelsErased, ModelRolledBack, RegionAdded
from geotransfer.core.region import Region, RegionKind
from geotransfer.errors import StoreError
from geotransfer.settings import read_settings
from geotransfer.store.workspace import Workspace, open_workspace


def make_region(region_id: str = "a") -> Region:
    return Region(
        region_id=region_id,
        name="A",
        kind=RegionKind.IMAGERY,
        outline='{"type":"Point"}',
        area_km2=1.5,
        spec_name="s2-semiannual",
        legend_name="cropland",
    )


def test_facts_come_back_equal_and_in_order(workspace: Workspace) -> None:
    first = RegionAdded(region_id="a", region=make_region("a"))
    second = RegionAdded(region_id="b", region=make_region("b"))
    workspace.ledger.append(first, second, actor="ana")

    recorded = workspace.ledger.read(RegionAdded)

    assert [r.fact for r in recorded] == [first, second]
    assert [r.actor for r in recorded] == ["ana", "ana"]
    assert recorded[0].seq < recorded[1].seq
    assert workspace.ledger.count() == recorded[1].seq


def test_history_answers_for_any_date(workspace: Workspace, clock) -> None:
    workspace.ledger.append(LabelsErased(region_id="a", labels_id="1"), actor="ana")
    clock.advance(3600)
    workspace.ledger.append(LabelsErased(region_id="a", labels_id="2"), actor="ana")

    then = workspace.ledger.read(LabelsErased, until=datetime(2026, 1, 1, 0, 30, tzinfo=UTC))

    assert [r.fact.labels_id for r in then] == ["1"]
    last = workspace.ledger.read_last(LabelsErased, region_id="a")
    assert last is not None
    assert last.labels_id == "2"


def test_a_failed_decision_writes_nothing(workspace: Workspace) -> None:
    with pytest.raises(RuntimeError, match="on purpose"), workspace.ledger.writing() as write:
        write((LabelsErased(region_id="a", labels_id="1"),), "ana")
        raise RuntimeError("on purpose")
    assert workspace.ledger.count() == 0


def test_an_unknown_kind_of_fact_is_an_error(workspace: Workspace) -> None:
    class FutureFact(ModelRolledBack):
        kind = "from-the-future"

    workspace.ledger.append(
        FutureFact(region_id="a", previous_id="x", model_id=None, reason=""), actor="ana"
    )
    with pytest.raises(StoreError, match="update the product"):
        workspace.ledger.read_all()


def _append_many(folder: str, name: str) -> None:
    workspace = open_workspace(read_settings({}, {"workspace": folder}))
    for i in range(25):
        workspace.ledger.append(LabelsErased(region_id=name, labels_id=str(i)), actor=name)


def test_processes_queue_instead_of_failing(workspace: Workspace) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_append_many, args=(str(workspace.folder), name)) for name in "abc"
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [p.exitcode for p in processes] == [0, 0, 0]
    facts = workspace.ledger.read(LabelsErased)
    assert len({r.seq for r in facts}) == 75
    for name in "abc":
        assert [r.fact.labels_id for r in facts if r.actor == name] == [str(i) for i in range(25)]
