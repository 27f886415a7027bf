"""Exclusions of a region's scenes: what is left out, why, and how it comes back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from geotransfer.core.decode import from_plain
from geotransfer.core.exclusion import Exclusion, ExclusionReason
from geotransfer.core.fact import ScenesExcluded, ScenesIncluded
from geotransfer.core.identity import canonical_json
from geotransfer.errors import NotFound
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.scene_list import list_scene_ids, read_scene_facts


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionExclusions:
    """What of a region's catalogs is not in its map."""

    exclusions: tuple[Exclusion, ...]
    """By date and id."""
    passed_over: Mapping[str, int]
    """Items that were not asked for when a catalog was last read, by reason."""

    @property
    def reasons(self) -> dict[str, int]:
        """Scenes by reason, the most frequent first."""
        return dict(Counter(e.reason.value for e in self.exclusions).most_common())


def list_exclusions(workspace: Workspace, region_id: str) -> RegionExclusions:
    """Return what is left out of a region now.

    A scene that is added again, or included by hand, is no longer left out.
    """
    found: dict[str, Exclusion] = {}
    passed_over: Mapping[str, int] = {}
    if workspace.ledger.read_last(ScenesExcluded, region_id=region_id) is None:
        return RegionExclusions(exclusions=(), passed_over={})
    for fact in read_scene_facts(workspace, region_id):
        if isinstance(fact, ScenesExcluded):
            passed_over = fact.passed_over or passed_over
            for plain in json.loads(workspace.blobs.get(fact.exclusions_id)):
                exclusion = from_plain(Exclusion, plain)
                found[exclusion.scene_id] = exclusion
        elif isinstance(fact, ScenesIncluded):
            for scene_id in fact.scene_ids:
                found.pop(scene_id, None)
        elif found:
            for plain in json.loads(workspace.blobs.get(fact.scenes_id)):
                found.pop(plain["scene_id"], None)
    return RegionExclusions(
        exclusions=tuple(sorted(found.values(), key=lambda e: (e.sensed_at, e.scene_id))),
        passed_over=passed_over,
    )


def make_exclusion_fact(
    workspace: Workspace,
    region_id: str,
    exclusions: Sequence[Exclusion],
    *,
    passed_over: Mapping[str, int] | None = None,
) -> ScenesExcluded | None:
    """Return the fact that scenes are left out, as far as it is new; None where nothing is."""
    known = {e.scene_id: e for e in list_exclusions(workspace, region_id).exclusions}
    fresh = [e for e in exclusions if known.get(e.scene_id) != e]
    if not fresh and not passed_over:
        return None
    return ScenesExcluded(
        region_id=region_id,
        exclusions_id=workspace.blobs.put(canonical_json(fresh)),
        reasons=dict(sorted(Counter(e.reason.value for e in fresh).items())),
        passed_over=dict(passed_over or {}),
    )


def exclude_scenes(
    workspace: Workspace, region_id: str, exclusions: Sequence[Exclusion], *, actor: str
) -> ScenesExcluded | None:
    """Leave scenes out of a region's map from the next refresh on, with the reason of each."""
    fact = make_exclusion_fact(workspace, region_id, exclusions)
    if fact is not None:
        workspace.ledger.append(fact, actor=actor)
    return fact


def exclude_by_hand(
    workspace: Workspace, region_id: str, scene_ids: Sequence[str], *, why: str, actor: str
) -> ScenesExcluded | None:
    """Leave scenes out at a person's wish.

    Raises
    ------
    NotFound
        The region has no such scene.
    """
    known = list_scene_ids(workspace, region_id)
    for scene_id in scene_ids:
        if scene_id not in known:
            raise NotFound(
                f"region {region_id!r} has no scene {scene_id!r}; `geotransfer scenes list"
                f" {region_id}` shows them."
            )
    detail = why.strip() or "no reason given"
    exclusions = [
        Exclusion(
            scene_id=scene_id,
            sensed_at=known[scene_id],
            reason=ExclusionReason.BY_HAND,
            detail=detail,
        )
        for scene_id in scene_ids
    ]
    return exclude_scenes(workspace, region_id, exclusions, actor=actor)


def include_scenes(
    workspace: Workspace, region_id: str, scene_ids: Sequence[str], *, actor: str
) -> ScenesIncluded:
    """Use scenes again that were left out; no id means all that are still described.

    Raises
    ------
    NotFound
        A scene is not left out, or its catalog never described it well enough to be used.
    """
    known = list_scene_ids(workspace, region_id)
    excluded = {e.scene_id for e in list_exclusions(workspace, region_id).exclusions}
    chosen = tuple(scene_ids) or tuple(sorted(excluded & known.keys()))
    for scene_id in chosen:
        if scene_id not in excluded:
            raise NotFound(
                f"scene {scene_id!r} of region {region_id!r} is not left out; `geotransfer scenes"
                f" exclusions {region_id}` lists what is."
            )
        if scene_id not in known:
            raise NotFound(
                f"scene {scene_id!r} could not be used as its catalog describes it; correct that,"
                f" then `geotransfer scenes add {region_id} CATALOG`."
            )
    if not chosen:
        raise NotFound(f"region {region_id!r} leaves out no scene that could be used.")
    fact = ScenesIncluded(region_id=region_id, scene_ids=chosen)
    workspace.ledger.append(fact, actor=actor)
    return fact
