"""Views: what pages and lists show, as a replay of facts. Loads no raster, model or scheduler."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from geotransfer.core.budget import RehearsedRegion
from geotransfer.core.cost import RunCost
from geotransfer.core.decode import from_plain
from geotransfer.core.estimate import Estimate, Evaluation
from geotransfer.core.fact import (
    ApplicabilityMapped,
    BudgetMeasured,
    FineTuneDone,
    LabelsAdded,
    LabelsSuggested,
    ModelPromoted,
    ModelRolledBack,
    Recorded,
    RefreshDone,
    RegionAdded,
    RegionAssessed,
    RegionEvaluated,
    RehearsalMade,
    ScenesAdded,
)
from geotransfer.core.legend import Legend
from geotransfer.core.model import ModelVersion
from geotransfer.core.region import Region, RegionKind
from geotransfer.errors import NotFound
from geotransfer.registry.champions import find_champion, find_serving, list_moves
from geotransfer.registry.versions import list_versions
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.definitions import find_legend


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionView:
    """Everything the first page says about a region."""

    region: Region
    legend: Legend
    """Classes of the region's map."""
    evaluation: Evaluation | None
    """Of the map shown, by a model that has never seen these rows."""
    evaluated_model_id: str | None
    reach: Estimate | None
    reach_target: float
    serving: ModelVersion | None
    serving_since: str | None
    """When the champion took over; None while the global model serves."""
    gain: Estimate | None
    """Transfer gain: of the last fine-tune, or rehearsed on the region's own table."""
    gain_note: str
    n_scenes: int
    refresh: RefreshDone | None
    """The last refresh."""
    refreshed_at: str | None
    cpu_s_per_km2: float | None
    """CPU seconds per km² of the runs that computed something."""
    total: RunCost
    avoided: RunCost
    needs: str
    """The next step where something is missing, or empty."""

    @property
    def summary(self) -> str:
        """One line for a terminal."""
        if self.evaluation is None:
            return f"{self.region.name}: not evaluated. {self.needs}"
        e = self.evaluation
        apart = "" if e.separation_km is None else f", {e.separation_km:g} km from any label used"
        return (
            f"{self.region.name}: balanced accuracy {e.balanced}, overall {e.overall}"
            f" ({e.estimand}{apart}, n = {e.matrix.n})"
        )


def list_region_views(workspace: Workspace) -> list[RegionView]:
    """Return the view of every region, in the order they were added."""
    regions = {r.fact.region.region_id: r.fact.region for r in workspace.ledger.read(RegionAdded)}
    return [make_region_view(workspace, region) for region in regions.values()]


def find_region_view(workspace: Workspace, region_id: str) -> RegionView:
    """Return the view of one region."""
    return make_region_view(workspace, find_added(workspace, region_id))


def find_added(workspace: Workspace, region_id: str) -> Region:
    """Return a region by its id; raise ``NotFound`` where there is none."""
    fact = workspace.ledger.read_last(RegionAdded, region_id=region_id)
    if fact is None:
        raise NotFound(f"there is no region {region_id!r}; `geotransfer regions list` shows them.")
    return fact.region


def make_region_view(workspace: Workspace, region: Region) -> RegionView:
    """Replay one region's facts."""
    ledger = workspace.ledger
    region_id = region.region_id
    refreshes = ledger.read(RefreshDone, region_id=region_id)
    last = refreshes[-1] if refreshes else None
    evaluated = _find_map_evaluation(ledger.read(RegionEvaluated, region_id=region_id), last)
    scenes = ledger.read(ScenesAdded, region_id=region_id)
    moves = list_moves(workspace, region_id)
    gain, gain_note = _find_gain(workspace, region_id)
    total = sum_costs([r.fact.cost for r in refreshes])
    return RegionView(
        region=region,
        legend=find_legend(workspace, region.legend_name),
        evaluation=evaluated.evaluation if evaluated else None,
        evaluated_model_id=evaluated.model_id if evaluated else None,
        reach=evaluated.reach if evaluated else None,
        reach_target=evaluated.reach_target if evaluated else workspace.settings.accuracy_target,
        serving=_find_serving_or_none(workspace, region),
        serving_since=moves[-1].at if moves else None,
        gain=gain,
        gain_note=gain_note,
        n_scenes=sum(r.fact.n_scenes - r.fact.n_replaced for r in scenes),
        refresh=last.fact if last else None,
        refreshed_at=last.at if last else None,
        cpu_s_per_km2=find_unit_cost([r.fact.cost for r in refreshes]),
        total=total,
        avoided=sum_costs([r.fact.avoided for r in refreshes]),
        needs=_find_need(workspace, region, has_scenes=bool(scenes), has_map=last is not None),
    )


def _find_serving_or_none(workspace: Workspace, region: Region) -> ModelVersion | None:
    if region.kind is RegionKind.TABLE:
        return None
    try:
        return find_serving(workspace, region)
    except NotFound:
        return None


def _find_map_evaluation(
    evaluations: Sequence[Recorded[RegionEvaluated]], refresh: Recorded[RefreshDone] | None
) -> RegionEvaluated | None:
    """Return the newest figure that belongs to the map shown; an older map's would mislead."""
    of_map = [r.fact for r in evaluations if r.fact.purpose == "map"]
    if refresh is not None:
        of_map = [fact for fact in of_map if fact.model_id == refresh.fact.model_id]
    return of_map[-1] if of_map else None


def _find_gain(workspace: Workspace, region_id: str) -> tuple[Estimate | None, str]:
    tuned = workspace.ledger.read_last(FineTuneDone, region_id=region_id)
    if tuned is not None:
        return tuned.gain, tuned.verdict_kind.replace("_", " ")
    rehearsal = workspace.ledger.read_last(RehearsalMade, region_id=region_id)
    if rehearsal is not None:
        return rehearsal.gain, f"rehearsed with {rehearsal.n_labels} labels, {rehearsal.metric}"
    return None, ""


def _find_need(workspace: Workspace, region: Region, *, has_scenes: bool, has_map: bool) -> str:
    if region.kind is RegionKind.TABLE:
        return "Cost per km² needs imagery."
    if region.region_id == "bouconne" and not has_scenes:
        return "Run `geotransfer demo` with a connection to fetch its scenes."
    if not has_scenes:
        return "Add scenes: open the region, or `geotransfer scenes add`."
    if not has_map:
        return "Refresh it to make the first map."
    if workspace.ledger.read_last(LabelsAdded, region_id=region.region_id) is None:
        return "No labels here: upload some to judge and improve the map."
    return ""


def sum_costs(costs: Sequence[RunCost]) -> RunCost:
    """Add costs up."""
    total = RunCost()
    for cost in costs:
        total = total + cost
    return total


def find_unit_cost(costs: Sequence[RunCost]) -> float | None:
    """Return CPU seconds per km² over the runs that computed any area, or None."""
    working = sum_costs([cost for cost in costs if cost.area_km2 > 0])
    return working.cpu_s / working.area_km2 if working.area_km2 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One thing that happened to a region, for a person to read."""

    at: str
    actor: str
    what: str
    detail: str


def list_history(workspace: Workspace, region_id: str) -> list[HistoryEntry]:
    """Return what happened to a region, newest first.

    Raises
    ------
    NotFound
        There is no such region.
    """
    find_added(workspace, region_id)
    entries = [
        HistoryEntry(
            at=recorded.at,
            actor=recorded.actor,
            what=recorded.fact.kind.replace("-", " "),
            detail=describe_fact(recorded.fact),
        )
        for recorded in workspace.ledger.read_all(region_id=region_id)
    ]
    return entries[::-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class StateAt:
    """What a region's map said at a time, and which model said it."""

    at: str
    model_id: str | None
    """None: the global model of that time, or none yet."""
    model_name: str
    map_id: str | None
    accuracy: Estimate | None
    """Balanced accuracy known at that time."""


def find_state_at(workspace: Workspace, region_id: str, moment: datetime) -> StateAt:
    """Answer what served a region at a time: replays only the facts up to then."""
    ledger = workspace.ledger
    find_added(workspace, region_id)
    champion = find_champion(workspace, region_id, until=moment)
    done = ledger.read_last(RefreshDone, region_id=region_id, until=moment)
    evaluations = ledger.read(RegionEvaluated, region_id=region_id, until=moment)
    names = {v.model_id: v.name for v in list_versions(workspace)}
    return StateAt(
        at=moment.isoformat(),
        model_id=champion,
        model_name=names.get(champion or "", "the global model"),
        map_id=done.map_id if done else None,
        accuracy=evaluations[-1].fact.evaluation.balanced if evaluations else None,
    )


def list_refresh_rows(workspace: Workspace, region_id: str) -> list[dict[str, object]]:
    """Return one row a refresh, newest first: what was done, why, and what it used."""
    return [
        {
            "at": recorded.at[:19].replace("T", " "),
            "computed": recorded.fact.n_computed,
            "re-predicted": recorded.fact.n_predicted,
            "kept": recorded.fact.n_kept,
            "cpu_s": recorded.fact.cost.cpu_s,
            "avoided_cpu_s": recorded.fact.avoided.cpu_s,
            "read_mb": recorded.fact.cost.read_bytes / 1e6,
            "peak_mb": recorded.fact.cost.peak_rss_bytes / 1e6,
            "km²": round(recorded.fact.cost.area_km2, 3),
            "why": "; ".join(f"{n} × {why}" for why, n in recorded.fact.reasons.items()),
        }
        for recorded in reversed(workspace.ledger.read(RefreshDone, region_id=region_id))
    ]


def find_assessment_plain(workspace: Workspace, region_id: str) -> dict[str, Any] | None:
    """Return a region's newest assessment as plain parts, or None; no science room is loaded."""
    fact = workspace.ledger.read_last(RegionAssessed, region_id=region_id)
    if fact is None:
        return None
    plain: dict[str, Any] = json.loads(workspace.blobs.get(fact.assessment_id))
    return plain


def find_rehearsal(workspace: Workspace, region_id: str) -> RehearsedRegion | None:
    """Return a reference region's newest budget curves, or None."""
    fact = workspace.ledger.read_last(RehearsalMade, region_id=region_id)
    if fact is None:
        return None
    return from_plain(RehearsedRegion, json.loads(workspace.blobs.get(fact.report_id)))


def describe_fact(fact: object) -> str:
    """Return a fact in one sentence."""
    if isinstance(fact, RefreshDone):
        return (
            f"{fact.n_computed} tiles computed, {fact.n_predicted} re-predicted, {fact.n_kept} kept"
            f"; {fact.cost.cpu_s:.1f} CPU-s, {fact.avoided.cpu_s:.1f} avoided"
        )
    if isinstance(fact, ScenesAdded):
        return f"{fact.n_scenes} scenes, {fact.n_replaced} of them replaced"
    if isinstance(fact, RegionEvaluated):
        return f"balanced accuracy {fact.evaluation.balanced} ({fact.evaluation.estimand})"
    if isinstance(fact, LabelsAdded):
        counts = ", ".join(f"{n} {name}" for name, n in fact.class_counts.items())
        return f"{fact.n_rows} {fact.role} labels ({counts}), {fact.n_rejected} rejected"
    if isinstance(fact, FineTuneDone):
        return fact.verdict_kind.replace("_", " ")
    if isinstance(fact, ModelPromoted):
        passed = sum(gate.passed for gate in fact.gates)
        reason = f"; reason: {fact.reason}" if fact.reason else ""
        return f"{fact.model_id[:8]}, {passed} of {len(fact.gates)} gates passed{reason}"
    if isinstance(fact, ModelRolledBack):
        return f"back to {(fact.model_id or 'the global model')[:16]}; {fact.reason}"
    if isinstance(fact, BudgetMeasured):
        return f"label budget: gain {fact.gain} with {fact.n_labels} labels at hand"
    if isinstance(fact, LabelsSuggested):
        return f"{fact.n_places} places to label, {fact.design}"
    if isinstance(fact, ApplicabilityMapped):
        return f"{fact.inside_share:.0%} of the map inside; {fact.cost.cpu_s:.1f} CPU-s"
    if isinstance(fact, RegionAssessed):
        return f"before labels: {fact.recommendation}; inside {fact.inside_share}"
    if isinstance(fact, RehearsalMade):
        return f"gain {fact.gain} with {fact.n_labels} labels ({fact.metric})"
    return ""


def read_bounds(region: Region) -> tuple[float, float, float, float]:
    """Return a region's bounds: west, south, east, north in degrees."""
    points: list[tuple[float, float]] = []

    def collect(part: object) -> None:
        if isinstance(part, list) and part and isinstance(part[0], (int, float)):
            points.append((float(part[0]), float(part[1])))
        elif isinstance(part, list):
            for item in part:
                collect(item)

    collect(json.loads(region.outline).get("coordinates", []))
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs), min(ys), max(xs), max(ys)
