"""What pages show of transfer, accuracy and applicability: a replay of facts, no science loaded."""

from __future__ import annotations

import json

from geotransfer.core.accuracy_report import AccuracyReport
from geotransfer.core.applicability import ApplicabilityReport
from geotransfer.core.budget import BudgetReport
from geotransfer.core.decode import from_plain
from geotransfer.core.fact import (
    AccuracyReported,
    ApplicabilityMapped,
    BudgetMeasured,
    LabelsSuggested,
)
from geotransfer.core.suggestion import Design, Suggestion
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.rehearsal_report import DEFAULT_STRATEGY
from geotransfer.workflows.views import find_rehearsal


def find_accuracy(workspace: Workspace, region_id: str) -> AccuracyReport | None:
    """Return a region's newest accuracy report, or None."""
    fact = workspace.ledger.read_last(AccuracyReported, region_id=region_id)
    if fact is None:
        return None
    return from_plain(AccuracyReport, json.loads(workspace.blobs.get(fact.report_id)))


def find_applicability(workspace: Workspace, region_id: str) -> ApplicabilityReport | None:
    """Return what is known of where a region's map applies, or None."""
    fact = workspace.ledger.read_last(ApplicabilityMapped, region_id=region_id)
    if fact is None:
        return None
    return from_plain(ApplicabilityReport, json.loads(workspace.blobs.get(fact.report_id)))


def find_budget(workspace: Workspace, region_id: str) -> BudgetReport | None:
    """Return a region's newest label budget; a reference region's is its rehearsal."""
    fact = workspace.ledger.read_last(BudgetMeasured, region_id=region_id)
    if fact is not None:
        return from_plain(BudgetReport, json.loads(workspace.blobs.get(fact.report_id)))
    rehearsed = find_rehearsal(workspace, region_id)
    if rehearsed is None or not rehearsed.curves:
        return None
    return BudgetReport(n_labels=0, chosen=DEFAULT_STRATEGY, curve=rehearsed.curves[0])


def find_suggestion(
    workspace: Workspace, region_id: str, design: Design | None = None
) -> tuple[str, Suggestion] | None:
    """Return the id and the places suggested last, of one design if one is given, or None."""
    for recorded in reversed(workspace.ledger.read(LabelsSuggested, region_id=region_id)):
        if design is None or recorded.fact.design == design.value:
            suggestion_id = recorded.fact.suggestion_id
            return suggestion_id, read_suggestion(workspace, suggestion_id)
    return None


def read_suggestion(workspace: Workspace, suggestion_id: str) -> Suggestion:
    """Return suggested places by their id."""
    return from_plain(Suggestion, json.loads(workspace.blobs.get(suggestion_id)))
