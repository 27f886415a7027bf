"""What was spent, on what, where and when; what only-if-changed avoided. A replay of facts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from geotransfer.core.cost import OTHER_STAGE, Rates, RunCost
from geotransfer.core.fact import (
    ApplicabilityMapped,
    AuditDone,
    BudgetMeasured,
    Fact,
    FineTuneDone,
    ModelRegistered,
    RefreshDone,
    RegionAdded,
)
from geotransfer.core.forecast import UnitCosts
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.views import find_unit_cost, sum_costs

_WHOLE_STAGES: Mapping[
    type[AuditDone | FineTuneDone | BudgetMeasured | ApplicabilityMapped], str
] = {
    AuditDone: "audit",
    FineTuneDone: "training",
    BudgetMeasured: "training",
    ApplicabilityMapped: "applicability",
}
"""Work for a region that is one stage as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostEntry:
    """CPU seconds of one region, month and stage."""

    region_id: str | None
    """None: work for every region, such as training the global model."""
    month: str
    """``YYYY-MM``, UTC."""
    stage: str
    """One of ``RunCost.stages``, what a whole run counts as, or what no stage claims."""
    cpu_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionCost:
    """What a region's map has cost, and what it cost to keep."""

    region_id: str
    name: str
    area_km2: float
    """Area of the region's outline."""
    n_refreshes: int
    cost: RunCost
    """All work for this region: refreshes, audits, training."""
    avoided: RunCost
    """What refreshing without only-if-changed would have used on top."""
    computed_cpu_s_per_km2: float | None
    """CPU seconds of refreshes per km² they computed."""
    unit: UnitCosts | None
    """Of the first map and of later refreshes, per km² of the region; None before a full map."""
    cost_usd: float | None
    energy_wh: float | None

    @property
    def cpu_s_per_km2(self) -> float | None:
        """CPU seconds of all work per km² of the region."""
        return self.cost.cpu_s / self.area_km2 if self.area_km2 else None


def read_rates(workspace: Workspace) -> Rates:
    """Return the rates of the settings."""
    settings = workspace.settings
    return Rates(usd_per_cpu_hour=settings.usd_per_cpu_hour, watt_per_cpu=settings.watt_per_cpu)


def list_cost_entries(workspace: Workspace) -> list[CostEntry]:
    """Return what was spent by region, month and stage, the oldest month first."""
    spent: dict[tuple[str | None, str, str], float] = defaultdict(float)
    for work in _list_work(workspace):
        for stage, cpu_s in work.stages.items():
            if cpu_s > 0:
                spent[work.fact.region_id, work.at[:7], stage] += cpu_s
    return [
        CostEntry(region_id=region_id, month=month, stage=stage, cpu_s=cpu_s)
        for (region_id, month, stage), cpu_s in sorted(
            spent.items(), key=lambda item: (item[0][1], item[0][0] or "", item[0][2])
        )
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """One piece of work that was measured."""

    fact: Fact
    at: str
    cost: RunCost
    stages: Mapping[str, float]


def _list_work(workspace: Workspace) -> Iterator[_Work]:
    """Yield everything that was measured, kind by kind."""
    ledger = workspace.ledger
    for done in ledger.read(RefreshDone):
        cost = done.fact.cost
        stages = {**cost.stages, OTHER_STAGE: cost.other_cpu_s}
        yield _Work(fact=done.fact, at=done.at, cost=cost, stages=stages)
    for kind, stage in _WHOLE_STAGES.items():
        for recorded in ledger.read(kind):
            cost = recorded.fact.cost
            yield _Work(fact=recorded.fact, at=recorded.at, cost=cost, stages={stage: cost.cpu_s})
    for made in ledger.read(ModelRegistered):
        # A fine-tuned model's cost is told by its fine-tune.
        if made.fact.version.region_id is None:
            cost = made.fact.version.lineage.cost
            yield _Work(fact=made.fact, at=made.at, cost=cost, stages={"training": cost.cpu_s})


def list_region_costs(workspace: Workspace) -> list[RegionCost]:
    """Return the cost of every region that had a refresh, in the order regions were added."""
    rates = read_rates(workspace)
    spent: dict[str | None, list[RunCost]] = defaultdict(list)
    refreshes: dict[str | None, list[RefreshDone]] = defaultdict(list)
    audits: dict[str | None, list[RunCost]] = defaultdict(list)
    for work in _list_work(workspace):
        spent[work.fact.region_id].append(work.cost)
        if isinstance(work.fact, RefreshDone):
            refreshes[work.fact.region_id].append(work.fact)
        elif isinstance(work.fact, AuditDone):
            audits[work.fact.region_id].append(work.cost)
    regions = {r.fact.region.region_id: r.fact.region for r in workspace.ledger.read(RegionAdded)}
    found = []
    for region in regions.values():
        facts = refreshes.get(region.region_id, [])
        if not facts:
            continue
        total = sum_costs(spent[region.region_id])
        found.append(
            RegionCost(
                region_id=region.region_id,
                name=region.name,
                area_km2=region.area_km2,
                n_refreshes=len(facts),
                cost=total,
                avoided=sum_costs([fact.avoided for fact in facts]),
                computed_cpu_s_per_km2=find_unit_cost([fact.cost for fact in facts]),
                unit=find_unit_costs(facts, audits[region.region_id], region.area_km2),
                cost_usd=rates.cost_usd(total),
                energy_wh=rates.energy_wh(total),
            )
        )
    return found


def find_unit_costs(
    facts: Sequence[RefreshDone], audits: Sequence[RunCost], area_km2: float
) -> UnitCosts | None:
    """Return what a map costs at first and what a refresh costs after it, per km² of the region.

    Making the whole map costs what the newest refresh that worked used and avoided together. A
    refresh costs the mean of those after the first, audits included; before there is one it is
    taken to cost a map, which is what it costs at most.
    """
    worked = [fact for fact in facts if fact.n_computed]
    if not worked or not area_km2:
        return None
    newest = worked[-1]
    first = (newest.cost.cpu_s + newest.avoided.cpu_s) / area_km2
    later = facts[facts.index(worked[0]) + 1 :]
    spent = sum_costs([*(fact.cost for fact in later), *audits]).cpu_s
    return UnitCosts(first=first, again=spent / len(later) / area_km2 if later else first)
