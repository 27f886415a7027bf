"""Refresh a map without the scenes whose files cannot be read: each is left out and listed."""

from __future__ import annotations

from geotransfer.core.exclusion import Exclusion, ExclusionReason
from geotransfer.core.fact import RefreshDone
from geotransfer.errors import SceneUnreadable
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.exclusions import exclude_scenes
from geotransfer.workflows.progress import Progress, ignore_progress
from geotransfer.workflows.refresh import refresh
from geotransfer.workflows.scene_list import load_known_scenes

MOST_LEFT_OUT = 0.25
"""Beyond this share of a region's scenes the fault is the archive's or the network's: it stops."""


def refresh_readable(
    workspace: Workspace,
    region_id: str,
    *,
    actor: str,
    progress: Progress = ignore_progress,
) -> RefreshDone:
    """Refresh a region, leaving out each scene that turns out to be unreadable, with its reason.

    A scene is left out of the whole region, so every tile is made of the same scenes. It comes back
    by ``include_scenes``, or when its catalog describes it otherwise.

    Raises
    ------
    SceneUnreadable
        More than a quarter of the scenes cannot be read.
    """
    scenes = load_known_scenes(workspace, region_id)
    most = max(1, int(MOST_LEFT_OUT * len(scenes)))
    left_out: set[str] = set()
    while True:
        try:
            return refresh(workspace, region_id, actor=actor, progress=progress)
        except SceneUnreadable as error:
            scene = scenes.get(error.scene_id)
            if scene is None or scene.scene_id in left_out:
                raise
            if len(left_out) == most:
                raise SceneUnreadable(
                    f"more than {most} of {len(scenes)} scenes cannot be read, the last:"
                    f" {error} Check the archive and the network.",
                    scene.scene_id,
                ) from error
            left_out.add(scene.scene_id)
            exclusion = Exclusion(
                scene_id=scene.scene_id,
                sensed_at=scene.sensed_at,
                reason=ExclusionReason.UNREADABLE,
                detail=str(error),
            )
            exclude_scenes(workspace, region_id, [exclusion], actor=actor)
            progress(0, 0, f"left out {scene.scene_id}: its file cannot be read")
