"""Two models or regions side by side: a replay of facts, no science loaded."""

from __future__ import annotations

import math
from dataclasses import dataclass

from geotransfer.core.cost import RunCost
from geotransfer.core.estimate import Estimate, Evaluation
from geotransfer.core.fact import (
    FineTuneDone,
    ModelPromoted,
    RefreshDone,
    RegionEvaluated,
)
from geotransfer.core.model import GateResult, ModelVersion
from geotransfer.core.region import Region, RegionKind
from geotransfer.core.verdict import Verdict
from geotransfer.errors import GeoTransferError, NotFound
from geotransfer.registry.versions import list_versions
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.promote import find_verdict, preview_gates
from geotransfer.workflows.regions import find_region
from geotransfer.workflows.views import find_unit_cost, sum_costs

ID_LENGTH = 12
LEFT_OUT = "left-out"
"""Stands for the models of a reference region's figures: each has never seen the region."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One model in one region, with everything that is known about it there."""

    region: Region
    key: str
    """First letters of the model's id; unique in the region."""
    name: str
    model: ModelVersion | None
    """None for leave-one-region-out."""
    evaluation: Evaluation | None
    """On rows the model has never seen, of its map."""
    separated: Evaluation | None
    """On the calibration labels, whole blocks held out, from its verdict; a global model's from the
    region's newest."""
    reach: Estimate | None
    gates: tuple[GateResult, ...]
    """As recorded at its promotion, or as they would be now; empty for a global model."""
    gates_at: str
    """When it was promoted, or empty."""
    map_id: str | None
    """Its newest map here; None where it never made one."""
    mapped_at: str
    class_areas_km2: tuple[tuple[str, float], ...]
    cost: RunCost
    """Of all refreshes with it here."""
    cpu_s_per_km2: float | None
    training: RunCost | None

    @property
    def title(self) -> str:
        """Region and model, for a heading."""
        return f"{self.region.name} · {self.name}"


def list_contenders(workspace: Workspace, region_id: str) -> tuple[Contender, ...]:
    """Return the models of a region that can be compared, the one of its newest map first.

    Raises
    ------
    NotFound
        There is no such region.
    """
    region = find_region(workspace, region_id)
    if region.kind is RegionKind.TABLE:
        return (_make_left_out(workspace, region),)
    ledger = workspace.ledger
    mapped = [r.fact.model_id for r in ledger.read(RefreshDone, region_id=region_id)]
    tuned = [
        r.fact.model_id
        for r in ledger.read(FineTuneDone, region_id=region_id)
        if r.fact.model_id is not None
    ]
    ids = dict.fromkeys([*reversed(mapped), *reversed(tuned)])
    return tuple(_make_contender(workspace, region, model_id) for model_id in ids)


def find_contender(workspace: Workspace, region_id: str, key: str) -> Contender:
    """Return one model of a region by its key.

    Raises
    ------
    NotFound
        There is no such region or model.
    """
    for contender in list_contenders(workspace, region_id):
        if contender.key == key:
            return contender
    raise NotFound(f"region {region_id!r} has no model {key!r} to compare; choose another one.")


def _make_left_out(workspace: Workspace, region: Region) -> Contender:
    facts = workspace.ledger.read(RegionEvaluated, region_id=region.region_id)
    of_map = [r.fact for r in facts if r.fact.purpose == "map"]
    last = of_map[-1] if of_map else None
    return Contender(
        region=region,
        key=LEFT_OUT,
        name="leave-one-region-out",
        model=None,
        evaluation=last.evaluation if last else None,
        separated=None,
        reach=last.reach if last else None,
        gates=(),
        gates_at="",
        map_id=None,
        mapped_at="",
        class_areas_km2=(),
        cost=RunCost(),
        cpu_s_per_km2=None,
        training=None,
    )


def _make_contender(workspace: Workspace, region: Region, model_id: str) -> Contender:
    ledger, region_id = workspace.ledger, region.region_id
    model = next((v for v in list_versions(workspace) if v.model_id == model_id), None)
    refreshes = [
        r for r in ledger.read(RefreshDone, region_id=region_id) if r.fact.model_id == model_id
    ]
    evaluations = [
        r.fact
        for r in ledger.read(RegionEvaluated, region_id=region_id)
        if r.fact.model_id == model_id and r.fact.purpose == "map"
    ]
    is_global = model is not None and model.region_id is None
    verdict = _find_verdict(workspace, region_id, None if is_global else model_id)
    separated = None
    if verdict is not None:
        separated = verdict.global_separated if is_global else verdict.separated
    has_gates = verdict is not None and not is_global
    gates, gates_at = _find_gates(workspace, region_id, model_id, has_verdict=has_gates)
    last = refreshes[-1] if refreshes else None
    judged = evaluations[-1] if evaluations else None
    costs = [r.fact.cost for r in refreshes]
    return Contender(
        region=region,
        key=model_id[:ID_LENGTH],
        name=model.name if model else model_id[:8],
        model=model,
        evaluation=judged.evaluation if judged else None,
        separated=separated,
        reach=judged.reach if judged else None,
        gates=gates,
        gates_at=gates_at,
        map_id=last.fact.map_id if last else None,
        mapped_at=last.at if last else "",
        class_areas_km2=tuple(last.fact.class_areas_km2.items()) if last else (),
        cost=sum_costs(costs),
        cpu_s_per_km2=find_unit_cost(costs),
        training=model.lineage.cost if model else None,
    )


def _find_verdict(workspace: Workspace, region_id: str, model_id: str | None) -> Verdict | None:
    """Return the verdict that came with a model; without one the region's newest."""
    try:
        return find_verdict(workspace, region_id, model_id)
    except GeoTransferError:
        return None


def _find_gates(
    workspace: Workspace, region_id: str, model_id: str, *, has_verdict: bool
) -> tuple[tuple[GateResult, ...], str]:
    """Return the gates of a model's last promotion, or what they would say now."""
    promotions = workspace.ledger.read(ModelPromoted, region_id=region_id)
    for recorded in reversed(promotions):
        if recorded.fact.model_id == model_id:
            return recorded.fact.gates, recorded.at
    if not has_verdict:
        return (), ""
    try:
        return preview_gates(workspace, region_id, model_id)[1], ""
    except GeoTransferError:
        return (), ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FigurePair:
    """One figure of two contenders."""

    name: str
    first: Estimate | None
    second: Estimate | None
    difference: Estimate | None
    """Second minus first; None where the two do not describe the same thing."""


def pair_figures(first: Contender, second: Contender) -> tuple[FigurePair, ...]:
    """Return the figures of two contenders side by side, with differences where those mean much.

    Figures of one region on rows kept apart in the same way are subtracted. The interval takes them
    as independent, which is cautious: the same rows judged both.
    """
    a, b = _list_figures(first), _list_figures(second)
    pairs = []
    for name in dict.fromkeys([*a, *b]):
        one, two = a.get(name), b.get(name)
        is_alike = one is not None and two is not None and one[1] == two[1]
        pairs.append(
            FigurePair(
                name=name,
                first=one[0] if one else None,
                second=two[0] if two else None,
                difference=subtract(two[0], one[0])
                if is_alike and one and two and first.key != second.key
                else None,
            )
        )
    return tuple(pairs)


_Rows = tuple[str, str, int]
"""Region, estimand and number of the rows a figure rests on: equal ones are the same rows."""


def _list_figures(contender: Contender) -> dict[str, tuple[Estimate, _Rows]]:
    figures: dict[str, tuple[Estimate, _Rows]] = {}
    region_id = contender.region.region_id
    if (e := contender.evaluation) is not None:
        rows = (region_id, e.estimand, e.matrix.n)
        figures |= {"balanced accuracy": (e.balanced, rows), "overall accuracy": (e.overall, rows)}
        if e.auc is not None:
            figures["AUC"] = (e.auc, rows)
        for what, estimates in (("user's", e.users), ("producer's", e.producers)):
            for name, estimate in zip(e.matrix.class_names, estimates, strict=True):
                figures[f"{what} accuracy of {name}"] = (estimate, rows)
    if (s := contender.separated) is not None:
        rows = (region_id, s.estimand, s.matrix.n)
        figures["balanced accuracy, blocks of labels held out"] = (s.balanced, rows)
    if contender.reach is not None:
        figures["reach"] = (contender.reach, (region_id, "reach", contender.reach.n))
    return figures


def subtract(minuend: Estimate, subtrahend: Estimate) -> Estimate:
    """Return a difference with the interval of two independent figures (Newcombe 1998, method 10).

    Each side's distance from value to end is squared and added, so that unsymmetrical intervals
    stay so; doi 10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I.
    """
    value = minuend.value - subtrahend.value
    below = math.hypot(minuend.value - minuend.low, subtrahend.high - subtrahend.value)
    above = math.hypot(minuend.high - minuend.value, subtrahend.value - subtrahend.low)
    return Estimate(
        value=value,
        low=value - below,
        high=value + above,
        level=min(minuend.level, subtrahend.level),
        method="difference of independent figures",
        n=min(minuend.n, subtrahend.n),
    )
