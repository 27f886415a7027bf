"""Costs add up: by stage, month and region they are the same seconds, and none is told twice."""

from __future__ import annotations

import pytest

from geotransfer.core.cost import RunCost
from geotransfer.core.fact import RefreshDone, RegionAdded
from geotransfer.core.region import Region, RegionKind
from geotransfer.settings import read_settings
from geotransfer.store.workspace import Workspace, open_workspace
from geotransfer.workflows.cost_views import list_cost_entries, list_region_costs
from geotransfer.workflows.refresh import refresh
from tests.conftest import Clock
from tests.workflows.conftest import Mapped
from tests.workflows.refresh_facts import add_refresh, make_audit

DAY_S = 86400


@pytest.fixture
def priced(tmp_path, clock: Clock) -> Workspace:
    rates = {"usd_per_cpu_hour": 0.5, "watt_per_cpu": 10.0}
    settings = read_settings({}, {"workspace": str(tmp_path / "workspace"), **rates})
    workspace = open_workspace(settings, clock=clock, create=True)
    region = Region(
        region_id="a", name="A", outline='{"type":"Polygon","coordinates":[]}', area_km2=4.0,
        kind=RegionKind.IMAGERY, spec_name="s2-semiannual", legend_name="cropland",
    )  # fmt: skip
    workspace.ledger.append(RegionAdded(region_id="a", region=region), actor="test")
    return workspace


def test_seconds_are_told_once_by_region_month_and_stage(priced: Workspace, clock: Clock) -> None:
    first = RunCost(cpu_s=100, area_km2=4, stages={"read": 60, "composite": 30, "write": 4})
    add_refresh(priced, "a", cost=first, n_computed=4)
    clock.advance(40 * DAY_S)
    again = RunCost(cpu_s=10, stages={"detector": 6})
    add_refresh(priced, "a", cost=again, avoided=RunCost(cpu_s=90), n_computed=1, n_kept=3)
    priced.ledger.append(make_audit("a"), actor="test")
    entries = list_cost_entries(priced)
    told = {(e.month, e.stage): e.cpu_s for e in entries}
    assert told == {
        ("2026-01", "read"): 60,
        ("2026-01", "composite"): 30,
        ("2026-01", "write"): 4,
        ("2026-01", "other"): 6,
        ("2026-02", "detector"): 6,
        ("2026-02", "other"): 4,
        ("2026-02", "audit"): 3,
    }
    (cost,) = list_region_costs(priced)
    assert cost.cost.cpu_s == sum(e.cpu_s for e in entries) == 113
    assert cost.avoided.cpu_s == 90
    assert cost.cpu_s_per_km2 == 113 / 4
    assert cost.cost_usd == pytest.approx(113 / 3600 * 0.5)
    assert cost.energy_wh == pytest.approx(113 / 3600 * 10)
    assert cost.unit is not None
    assert (cost.unit.first, cost.unit.again) == ((10 + 90) / 4, (10 + 3) / 4)


def test_without_a_later_refresh_a_refresh_costs_at_most_a_map(priced: Workspace) -> None:
    add_refresh(priced, "a", cost=RunCost(cpu_s=8), n_computed=4)
    (cost,) = list_region_costs(priced)
    assert cost.unit is not None
    assert cost.unit.again == cost.unit.first == 2


def test_a_real_refresh_tells_its_stages(mapped: Mapped) -> None:
    done = refresh(mapped.workspace, mapped.region.region_id, actor="test")
    assert {"read", "composite", "predict", "write"} <= set(done.cost.stages)
    assert all(cpu_s >= 0 for cpu_s in done.cost.stages.values())
    assert sum(done.cost.stages.values()) <= done.cost.cpu_s + 0.1
    stored = mapped.workspace.ledger.read(RefreshDone)[0].fact
    assert stored.cost.stages == done.cost.stages
