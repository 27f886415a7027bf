"""Promote and roll back: move a region's champion, with evidence, undisturbed by others."""

from __future__ import annotations

import json

from geotransfer.core.decode import from_plain
from geotransfer.core.fact import FineTuneDone, ModelPromoted, ModelRolledBack
from geotransfer.core.model import GateResult, ModelVersion
from geotransfer.core.verdict import Verdict
from geotransfer.errors import InputError, NotFound, PromotionRefused
from geotransfer.registry.champions import find_champion, find_previous
from geotransfer.registry.gates import check_gates, refuse_failed
from geotransfer.registry.versions import find_version
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.definitions import find_spec
from geotransfer.workflows.regions import find_region


def find_verdict(workspace: Workspace, region_id: str, model_id: str | None = None) -> Verdict:
    """Return the newest verdict of a region, or the one that came with a model.

    Raises
    ------
    NotFound
        No fine-tune has run.
    """
    facts = [r.fact for r in workspace.ledger.read(FineTuneDone, region_id=region_id)]
    matches = [fact for fact in facts if model_id is None or fact.model_id == model_id]
    if not matches:
        raise NotFound(
            f"region {region_id!r} has no verdict yet; run `geotransfer fine-tune {region_id}"
            " --labels FILE`."
        )
    plain = json.loads(workspace.blobs.get(matches[-1].verdict_id))
    return from_plain(Verdict, plain)


def preview_gates(
    workspace: Workspace, region_id: str, reference: str
) -> tuple[ModelVersion, tuple[GateResult, ...]]:
    """Return what a promotion would be checked against."""
    region = find_region(workspace, region_id)
    version = find_version(workspace, reference)
    if version.region_id not in (None, region_id):
        raise InputError(
            f"{version.name} was fine-tuned for region {version.region_id!r}; fine-tune one for"
            f" {region_id!r}."
        )
    if version.region_id is None:
        raise InputError(f"{version.name} is the global model; roll back to return a region to it.")
    verdict = find_verdict(workspace, region_id, version.model_id)
    spec = find_spec(workspace, region.spec_name)
    return version, check_gates(version, verdict, spec=spec, legend_name=region.legend_name)


def promote(
    workspace: Workspace, region_id: str, reference: str, *, reason: str = "", actor: str
) -> ModelPromoted:
    """Make a model the region's champion; refresh the region afterwards to see it on the map.

    Raises
    ------
    PromotionRefused
        A gate failed, or the champion changed meanwhile.
    """
    before = find_champion(workspace, region_id)
    version, gates = preview_gates(workspace, region_id, reference)
    refuse_failed(gates, reason=reason)
    with workspace.ledger.writing() as write:
        champion = find_champion(workspace, region_id)
        if champion == version.model_id:
            raise PromotionRefused(f"{version.name} already serves {region_id!r}; nothing to do.")
        if champion != before:
            raise PromotionRefused(
                f"somebody else changed the champion of {region_id!r} just now; look at it, then"
                " promote again."
            )
        fact = ModelPromoted(
            region_id=region_id,
            previous_id=champion,
            model_id=version.model_id,
            gates=gates,
            reason=reason.strip(),
        )
        write((fact,), actor)
    return fact


def roll_back(
    workspace: Workspace, region_id: str, *, reason: str = "", actor: str
) -> ModelRolledBack:
    """Return a region to what served before its champion; nothing is deleted.

    Raises
    ------
    InputError
        The global model serves: there is nothing to go back to.
    """
    find_region(workspace, region_id)
    with workspace.ledger.writing() as write:
        champion = find_champion(workspace, region_id)
        if champion is None:
            raise InputError(
                f"region {region_id!r} is served by the global model; nothing to roll back."
            )
        fact = ModelRolledBack(
            region_id=region_id,
            previous_id=champion,
            model_id=find_previous(workspace, region_id),
            reason=reason.strip(),
        )
        write((fact,), actor)
    return fact
