"""What pixels said about a region's scenes, as its facts tell. Loads no raster library."""

from __future__ import annotations

import json

from geotransfer.core.decode import from_plain
from geotransfer.core.fact import PixelsChecked
from geotransfer.core.pixel_check import SHIFT_LIMIT_PX, PixelReport, SceneCheck, list_shifted
from geotransfer.store.workspace import Workspace

SHOWN = 3


def list_checks(workspace: Workspace, region_id: str) -> list[SceneCheck]:
    """Return the newest check of each scene of a region, in the order they were first made."""
    checks: dict[str, SceneCheck] = {}
    for recorded in workspace.ledger.read(PixelsChecked, region_id=region_id):
        plain = json.loads(workspace.blobs.get(recorded.fact.report_id))
        for check in from_plain(PixelReport, plain).scenes:
            checks[check.scene_id] = check
    return list(checks.values())


def describe_checks(workspace: Workspace, region_id: str) -> list[str]:
    """Return what a reader must know of a region's scenes, one sentence each; often none.

    Scenes that were left out are told with the other exclusions.
    """
    told = []
    shifted = list_shifted(list_checks(workspace, region_id))
    if shifted:
        first = ", ".join(f"{c.scene_id} ({c.shift_px:.1f} px)" for c in shifted[:SHOWN])
        more = f" and {len(shifted) - SHOWN} more" if len(shifted) > SHOWN else ""
        told.append(
            f"{len(shifted)} scenes lie more than {SHIFT_LIMIT_PX:g} pixel off the others and blur"
            f" the composite: {first}{more}."
        )
    last = workspace.ledger.read_last(PixelsChecked, region_id=region_id)
    if last is not None and last.n_agree and not last.is_common_visible:
        told.append(
            "The offsets of the scenes agree with each other; whether all of them are a tenth of"
            " reflectance off cannot be seen over soil this bright."
        )
    return told
