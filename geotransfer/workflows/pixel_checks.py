"""Pixel checks: offsets and shifts of scenes, before any of them reaches a composite."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from geotransfer.core.definition import DN_REACH
from geotransfer.core.exclusion import Exclusion, ExclusionReason
from geotransfer.core.fact import PixelsChecked, ScenesAdded
from geotransfer.core.grid import Grid
from geotransfer.core.identity import canonical_json
from geotransfer.core.pixel_check import PixelReport, SceneCheck
from geotransfer.core.region import Region
from geotransfer.core.scene import Scene
from geotransfer.errors import SceneUnreadable
from geotransfer.imagery.access import Access
from geotransfer.imagery.grids import choose_grid
from geotransfer.imagery.offsets import (
    CHECKED_BANDS,
    MIN_BANDS,
    OffsetCheck,
    OffsetOutcome,
    OffsetReport,
    check_offsets,
    measure_levels,
)
from geotransfer.imagery.scene_sample import coarsen_grid, sample_scene
from geotransfer.imagery.sensors import SENSORS, SENTINEL_2
from geotransfer.imagery.shifts import STABLE_BANDS, Shift, measure_shift
from geotransfer.imagery.stac_items import OFFSET_BASELINE
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.check_list import list_checks
from geotransfer.workflows.definitions import find_spec

N_READERS = 8
SHIFT_WINDOW_PX = 512
"""Shifts are measured on the middle of the region, at most this many pixels a side."""
MAX_BEYOND = 0.001
"""Share of a band's values that may be out of range: single pixels are faults of the sensor."""
MIN_SCENES = 3
"""Fewer scenes have no common place to be off from."""
CONTRADICTIONS = (OffsetOutcome.TOO_HIGH, OffsetOutcome.TOO_LOW, OffsetOutcome.UNDECIDED)
REMEDIES = {
    OffsetOutcome.TOO_HIGH: "0.1 should come off",
    OffsetOutcome.TOO_LOW: "0.1 should not come off",
    OffsetOutcome.UNDECIDED: "the pixels do not tell which group is right",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """Scenes after the look at their pixels."""

    scenes: tuple[Scene, ...]
    exclusions: tuple[Exclusion, ...]
    """Scenes whose pixels contradict their description."""
    report: PixelReport | None
    """None where nothing could be checked."""


def override_offset(scenes: Sequence[Scene], offset: float) -> list[Scene]:
    """Return scenes whose bands all have one offset, as a person settled it."""
    return [
        replace(
            scene,
            assets=tuple(a if a.is_mask else replace(a, offset=offset) for a in scene.assets),
        )
        for scene in scenes
    ]


def check_pixels(
    workspace: Workspace,
    region: Region,
    scenes: Sequence[Scene],
    access: Access,
    *,
    is_offset_settled: bool = False,
) -> Checked:
    """Compare scenes with their descriptions, with each other and with those of the region.

    Parameters
    ----------
    is_offset_settled
        A person gave the offset: it is not questioned.
    """
    if not scenes or not workspace.settings.check_pixels:
        return Checked(scenes=tuple(scenes), exclusions=(), report=None)
    last = workspace.ledger.read_last(ScenesAdded, region_id=region.region_id)
    grid = last.grid if last else choose_grid(scenes, region)
    offsets = None
    if not is_offset_settled:
        offsets = _check_offsets(workspace, region, scenes, grid, access)
    judged = {check.scene_id: check for check in offsets.checks} if offsets else {}
    contradicted = [
        _exclude(scene, judged[scene.scene_id])
        for scene in scenes
        if scene.scene_id in judged and judged[scene.scene_id].outcome in CONTRADICTIONS
    ]
    bands = find_spec(workspace, region.spec_name).bands
    exclusions = (*contradicted, *_find_out_of_range(scenes, bands, grid, access))
    left_out = {exclusion.scene_id for exclusion in exclusions}
    kept = tuple(scene for scene in scenes if scene.scene_id not in left_out)
    band, shifts = _measure_shifts(kept, grid, access)
    report = PixelReport(
        scenes=tuple(
            _join(scene.scene_id, judged.get(scene.scene_id), shifts.get(scene.scene_id))
            for scene in scenes
        ),
        is_common_visible=offsets.is_common_visible if offsets else False,
        shift_band=band,
    )
    return Checked(scenes=kept, exclusions=exclusions, report=report)


def _find_out_of_range(
    scenes: Sequence[Scene], bands: Sequence[str], grid: Grid, access: Access
) -> list[Exclusion]:
    """Exclude scenes of own sensors whose scaled values a stack cannot hold: never cut in silence.

    Of the shipped sensors values beyond reflectance 3.2 are glints and hot pixels, and cut.
    """
    geobox = coarsen_grid(grid)
    exclusions = []
    for scene in scenes:
        wanted = [b for b in bands if scene.find_asset(b) is not None]
        if scene.sensor in SENSORS or not wanted:
            continue
        try:
            sample = np.abs(sample_scene(scene, wanted, geobox, access=access))
        except SceneUnreadable:
            continue
        beyond = (sample > DN_REACH).reshape(len(wanted), -1).mean(axis=1)
        worst = int(beyond.argmax())
        if beyond[worst] > MAX_BEYOND:
            exclusions.append(
                Exclusion(
                    scene_id=scene.scene_id,
                    sensed_at=scene.sensed_at,
                    reason=ExclusionReason.PIXELS,
                    detail=f"band {wanted[worst]!r} reaches {np.nanmax(sample[worst]):.4g} after"
                    f" scale and offset, beyond the ±{DN_REACH:g} that can be kept; give sensor"
                    f" {scene.sensor!r} a smaller scale and add the scenes again.",
                )
            )
    return exclusions


def _check_offsets(
    workspace: Workspace, region: Region, scenes: Sequence[Scene], grid: Grid, access: Access
) -> OffsetReport | None:
    """Judge the Sentinel-2 scenes that have enough bands; None where none has."""
    checkable = [
        scene
        for scene in scenes
        if scene.sensor == SENTINEL_2.name and len(_list_bands(scene)) >= MIN_BANDS
    ]
    if not checkable:
        return None
    geobox = coarsen_grid(grid)

    def measure(scene: Scene) -> dict[str, float] | None:
        bands = _list_bands(scene)
        try:
            return measure_levels(sample_scene(scene, bands, geobox, access=access), bands)
        except SceneUnreadable:
            # The refresh says what cannot be read, and leaves it out.
            return None

    with ThreadPoolExecutor(min(N_READERS, workspace.settings.thread_count * 2)) as pool:
        found = list(pool.map(measure, checkable))
    ids = {scene.scene_id for scene in checkable}
    before = [
        dict(check.levels)
        for check in list_checks(workspace, region.region_id)
        if check.offset == OffsetOutcome.AGREES and check.scene_id not in ids
    ]
    return check_offsets(
        [(scene.scene_id, levels) for scene, levels in zip(checkable, found, strict=True)],
        before,
        anchors={scene.scene_id for scene in checkable if _is_anchor(scene)},
    )


def _list_bands(scene: Scene) -> list[str]:
    return [band for band in CHECKED_BANDS if scene.find_asset(band) is not None]


def _is_anchor(scene: Scene) -> bool:
    """Whether a scene was made before offsets were added, and says so."""
    try:
        baseline = float(scene.processing_baseline)
    except ValueError:
        return False
    bands = [a for a in scene.assets if not a.is_mask]
    return 0 < baseline < OFFSET_BASELINE and all(a.offset == 0 for a in bands)


def _exclude(scene: Scene, check: OffsetCheck) -> Exclusion:
    stated = next(a.offset for a in scene.assets if not a.is_mask)
    return Exclusion(
        scene_id=scene.scene_id,
        sensed_at=scene.sensed_at,
        reason=ExclusionReason.PIXELS,
        detail=f"the description states offset {stated:g}, but {check.outcome} ({check.detail});"
        f" {REMEDIES[check.outcome]}: look at the scene, then add it with --offset 0 or"
        " --offset -0.1.",
    )


def _measure_shifts(
    scenes: Sequence[Scene], grid: Grid, access: Access
) -> tuple[str, dict[str, tuple[float, float]]]:
    """Return the band compared and each scene's place against the median of all, in pixels."""
    band = next((b for b in STABLE_BANDS if all(s.find_asset(b) is not None for s in scenes)), "")
    if not band or len(scenes) < MIN_SCENES:
        return "", {}
    geobox = _crop_middle(grid)

    def read(scene: Scene) -> NDArray[np.float32] | None:
        try:
            picture: NDArray[np.float32] = sample_scene(scene, [band], geobox, access=access)[0]
        except SceneUnreadable:
            return None
        return picture

    with ThreadPoolExecutor(N_READERS) as pool:
        read_all = list(pool.map(read, scenes))
    pictures = {s.scene_id: p for s, p in zip(scenes, read_all, strict=True) if p is not None}
    if len(pictures) < MIN_SCENES:
        return "", {}
    clearest = max(pictures, key=lambda name: (float(np.isfinite(pictures[name]).mean()), name))
    found: dict[str, Shift] = {}
    for name, picture in pictures.items():
        shift = measure_shift(pictures[clearest], picture)
        if shift is not None:
            found[name] = shift
    if len(found) < MIN_SCENES:
        return "", {}
    middle = np.median([(s.down_px, s.right_px) for s in found.values()], axis=0)
    return band, {
        name: (float(s.down_px - middle[0]), float(s.right_px - middle[1]))
        for name, s in found.items()
    }


def _crop_middle(grid: Grid) -> GeoBox:
    height, width = (min(n, SHIFT_WINDOW_PX) for n in (grid.height, grid.width))
    row, col = (grid.height - height) // 2, (grid.width - width) // 2
    affine = Affine(*grid.transform) @ Affine.translation(col, row)
    return GeoBox((height, width), affine, grid.crs)


def _join(
    scene_id: str, check: OffsetCheck | None, shift: tuple[float, float] | None
) -> SceneCheck:
    return SceneCheck(
        scene_id=scene_id,
        offset="" if check is None else check.outcome.value,
        levels={} if check is None else dict(check.levels),
        down_px=None if shift is None else round(shift[0], 3),
        right_px=None if shift is None else round(shift[1], 3),
    )


def make_check_fact(
    workspace: Workspace, region_id: str, report: PixelReport | None
) -> PixelsChecked | None:
    """Store a report and return its fact; None where nothing was checked."""
    if report is None or not report.scenes:
        return None
    told = [check.offset for check in report.scenes]
    return PixelsChecked(
        region_id=region_id,
        report_id=workspace.blobs.put(canonical_json(report)),
        n_scenes=len(report.scenes),
        n_agree=told.count(OffsetOutcome.AGREES),
        n_contradict=sum(told.count(outcome) for outcome in CONTRADICTIONS),
        n_unknown=told.count(OffsetOutcome.UNKNOWN),
        n_shifted=len(report.shifted),
        is_common_visible=report.is_common_visible,
    )
