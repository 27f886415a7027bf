"""Find scenes: what a catalog offers a region, its gigabytes and cost, before anything is read."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from geotransfer.core.cost import RunCost
from geotransfer.core.decode import from_plain
from geotransfer.core.fact import RefreshDone, ScenesAdded
from geotransfer.core.found import FoundScene, FoundScenes
from geotransfer.core.identity import canonical_json
from geotransfer.core.scene import Scene
from geotransfer.imagery.access import make_access, strip_secrets
from geotransfer.imagery.access_notes import describe_access
from geotransfer.imagery.catalog import Survey, exclude_unusable
from geotransfer.imagery.scene_sizes import SAMPLE_BYTES, list_needed, measure_reach, measure_sizes
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.cost_views import read_rates
from geotransfer.workflows.definitions import find_spec
from geotransfer.workflows.progress import Progress, ignore_progress
from geotransfer.workflows.regions import find_region
from geotransfer.workflows.scene_list import list_scene_ids
from geotransfer.workflows.scenes import SceneSource, add_survey, survey_region

CPU_S_PER_GB = 18.0
"""Of decoded pixels, where no refresh has run in the workspace: docs/decisions/0020."""


def find_scenes(
    workspace: Workspace,
    region_id: str,
    *,
    location: str = "",
    period: str = "",
    max_cloud_percent: float | None = None,
    collections: Sequence[str] = (),
    progress: Progress = ignore_progress,
) -> FoundScenes:
    """List what a catalog offers a region; descriptions and sizes are asked for, no pixel is read.

    Parameters
    ----------
    location
        As of ``add_scenes``; empty: the setting ``catalog_url``.
    period
        First and last day, as in ``2021-01/2021-12``; empty: every date.

    Raises
    ------
    InputError, SceneUnreadable
        The catalog cannot be read.
    """
    region = find_region(workspace, region_id)
    spec = find_spec(workspace, region.spec_name)
    location = location or workspace.settings.catalog_url
    access = make_access(workspace.settings)
    progress(0, 0, f"asking {strip_secrets(location)}")
    source = SceneSource(
        location=location,
        period=period,
        max_cloud_percent=max_cloud_percent,
        collections=tuple(collections),
    )
    survey = survey_region(workspace, region, source)
    usable, unusable = exclude_unusable(survey.scenes, spec.bands, spec_name=spec.name)
    progress(0, 0, f"asking for the sizes of {len(usable)} scenes")
    sizes, by_scene = measure_sizes(usable, spec.bands, access)
    reach = measure_reach(usable, region.outline)
    known = list_scene_ids(workspace, region_id)
    n_files = [len(list_needed(scene, spec.bands)) for scene in usable]
    decoded = sum(r.n_pixels * n * SAMPLE_BYTES for r, n in zip(reach, n_files, strict=True))
    cpu_s_per_byte, basis = find_cpu_rate(workspace, region_id)
    predicted = RunCost(
        cpu_s=cpu_s_per_byte * decoded,
        read_bytes=decoded,
        n_pixels=max((r.n_pixels for r in reach), default=0),
        area_km2=region.area_km2 if usable else 0.0,
    )
    return FoundScenes(
        region_id=region_id,
        location=strip_secrets(location),
        period=period,
        max_cloud_percent=max_cloud_percent,
        collections=source.collections,
        scenes=tuple(
            FoundScene(
                scene_id=scene.scene_id,
                sensed_at=scene.sensed_at,
                cloud_percent=_find_cloud(scene),
                overlap=r.region_share,
                n_bands=sum(scene.find_asset(band) is not None for band in spec.bands),
                has_mask=any(a.is_mask for a in scene.assets),
                size_bytes=by_scene[scene.scene_id],
                is_known=scene.scene_id in known,
            )
            for scene, r in zip(usable, reach, strict=True)
        ),
        exclusions=(*survey.exclusions, *unusable),
        passed_over=survey.passed_over,
        sizes=sizes,
        read_bytes=round(
            sum(
                r.scene_share * (by_scene[s.scene_id] or 0)
                for s, r in zip(usable, reach, strict=True)
            )
        ),
        predicted=predicted,
        cost_basis=basis,
        cost_usd=read_rates(workspace).cost_usd(predicted),
        access=describe_access(usable, spec.bands, access, os.environ),
        scenes_id=workspace.blobs.put(canonical_json(survey.scenes)),
    )


def _find_cloud(scene: Scene) -> float | None:
    if not scene.item:
        return None
    cloud = json.loads(scene.item).get("properties", {}).get("eo:cloud_cover")
    return float(cloud) if isinstance(cloud, int | float) else None


def find_cpu_rate(workspace: Workspace, region_id: str) -> tuple[float, str]:
    """Return CPU seconds per decoded byte, and what that rests on."""
    refreshes = [r.fact for r in workspace.ledger.read(RefreshDone) if r.fact.cost.read_bytes]
    own = [fact for fact in refreshes if fact.region_id == region_id]
    for facts, told in (
        (own, "this region's refreshes"),
        (refreshes, "refreshes of other regions in this workspace"),
    ):
        read_bytes = sum(fact.cost.read_bytes for fact in facts)
        if read_bytes:
            return sum(fact.cost.cpu_s for fact in facts) / read_bytes, f"measured in {told}"
    return CPU_S_PER_GB / 1e9, "measured on another machine; nothing has run in this workspace yet"


def add_found_scenes(workspace: Workspace, found: FoundScenes, *, actor: str) -> ScenesAdded:
    """Add what a search found, as it was found, without asking the catalog again."""
    region = find_region(workspace, found.region_id)
    plain = json.loads(workspace.blobs.get(found.scenes_id))
    survey = Survey(
        scenes=tuple(from_plain(Scene, part) for part in plain),
        exclusions=found.exclusions,
        passed_over=found.passed_over,
    )
    source = SceneSource(
        location=found.location,
        period=found.period,
        max_cloud_percent=found.max_cloud_percent,
        collections=found.collections,
    )
    return add_survey(workspace, region, survey, source=source, actor=actor)
