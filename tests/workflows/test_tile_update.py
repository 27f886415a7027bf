"""Only if changed, scene by scene: through the whole pipeline, on rasters on disk."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from geotransfer.core.fact import AuditDone, RefreshDone, RefreshFailed
from geotransfer.errors import NotFound, SceneUnreadable
from geotransfer.store.tables import read_table
from geotransfer.store.workspace import Workspace, open_workspace
from geotransfer.testing import Republish, SimulatedRegion, World, add_scene
from geotransfer.workflows import detector, refresh_plan
from geotransfer.workflows.audit import audit_region
from geotransfer.workflows.maps import locate_map
from geotransfer.workflows.refresh import refresh
from geotransfer.workflows.scene_list import load_scenes
from geotransfer.workflows.scene_update import update_scenes
from geotransfer.workflows.scenes import record_scenes
from tests.workflows.conftest import make_model_bytes, register_baseline, set_up_region

RASTERS = ("class.tif", "probability.tif", "observations.tif", "true-colour.tif")
MIN_VALID = 4
"""So many observations that not every pixel of the world has them in each period."""
NEW_DAYS = [dt.date(2023, month, 9) for month in (2, 3, 5, 8, 10)]


class Arm:
    """A workspace that follows a region's catalog."""

    def __init__(self, workspace: Workspace, made: SimulatedRegion, data: bytes) -> None:
        self.workspace = workspace
        self.region = set_up_region(workspace, made, data).region

    def refresh(self) -> RefreshDone:
        update_scenes(self.workspace, self.region.region_id, actor="test")
        return refresh(self.workspace, self.region.region_id, actor="test")

    def follow(self, other: Arm) -> RefreshDone:
        """Refresh with exactly the scenes another arm has: catalogs are checked as they come."""
        scenes = list(load_scenes(other.workspace, other.region.region_id).scenes)
        record_scenes(self.workspace, self.region, scenes, actor="test")
        return refresh(self.workspace, self.region.region_id, actor="test")

    def read(self, done: RefreshDone, name: str = "class.tif") -> np.ndarray:
        folder = locate_map(self.workspace, self.region.region_id, done.map_id)
        with rasterio.open(folder / name) as file:
            return file.read()

    def decisions(self, done: RefreshDone) -> list[dict[str, Any]]:
        return read_table(self.workspace.blobs.get(done.decisions_id)) if done.decisions_id else []

    def audits(self) -> list[AuditDone]:
        found = self.workspace.ledger.read(AuditDone, region_id=self.region.region_id)
        return [recorded.fact for recorded in found]


@pytest.fixture
def open_arm(make_settings, clock, tmp_path: Path, model_bytes: bytes):
    def open_one(made: SimulatedRegion, name: str, **settings: object) -> Arm:
        overrides = {"workspace": str(tmp_path / name), "tile_px": 48, "n_threads": 1, **settings}
        workspace = open_workspace(make_settings(**overrides), clock=clock, create=True)
        return Arm(workspace, made, model_bytes)

    return open_one


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judge loosely and at once, so that a small region keeps something."""

    def find_reach(counts: object, quantile: float) -> float:
        return 0.5 if quantile < 1 else float("inf")

    monkeypatch.setattr(detector, "find_reach", find_reach)


def test_a_year_without_judgement_is_full_recomputation_bit_for_bit(
    own_world: World, open_arm
) -> None:
    made = own_world.targets[0]
    exact = open_arm(made, "exact", audit_blocks=0, min_valid=MIN_VALID)
    exact.refresh()
    for day in NEW_DAYS:
        made = add_scene(made, day)
        done = exact.refresh()
        assert done.n_judged == 0
        assert done.cost.read_bytes < 3_000_000, "only the new scene is read"
    whole = open_arm(made, "whole", cube_gb=0, min_valid=MIN_VALID)
    full = whole.follow(exact)
    assert 0 < full.valid_share < 1
    for figure in ("valid_share", "confidence_counts"):
        assert getattr(done, figure) == getattr(full, figure), figure
    for name in RASTERS:
        np.testing.assert_array_equal(exact.read(done, name), whole.read(full, name))
    assert done.cube_bytes > 0
    assert full.cube_bytes == 0


def test_what_judgement_keeps_is_counted_audited_and_bounded(
    own_world: World, open_arm, eager: None
) -> None:
    made = own_world.targets[0]
    ours = open_arm(made, "ours")
    ours.refresh()
    for day in NEW_DAYS[:3]:
        made = add_scene(made, day)
        done = ours.refresh()
    assert done.n_judged > 0
    assert {row["test"] for row in ours.decisions(done)} == {"judgement"}
    row = ours.decisions(done)[0]
    assert row["n_kept"] + row["n_computed"] == row["n_pixels"] > 0
    assert done.cost.n_pixels < done.n_pixels
    *_, last = audits = ours.audits()
    assert len(audits) == 3
    assert last.map_id == done.map_id
    assert last.n_blocks > 0
    assert last.n_exact > 0
    assert last.n_exact_wrong == 0
    assert last.share <= last.bound <= 1
    assert sum(s.n_kept for s in last.strata) == done.n_judged
    assert sum(s.n_blocks for s in last.strata) == last.n_blocks
    assert last.total_blocks == sum(a.n_blocks for a in audits)

    again = audit_region(ours.workspace, ours.region.region_id, actor="test")
    assert again.total_blocks == last.total_blocks + again.n_blocks
    assert again.evidence.effort > last.evidence.effort

    # The audit tells the truth: block by block as full recomputation has it.
    whole = open_arm(made, "whole", cube_gb=0)
    truth = whole.read(whole.follow(ours))
    stale = ours.read(done) != truth
    rows = read_table(ours.workspace.blobs.get(last.audit_id))
    for row in rows:
        tile_row, tile_col = int(row["tile_id"][1:4]) * 48, int(row["tile_id"][5:8]) * 48
        y, x = divmod(row["block"], 2)
        top, left = tile_row + 32 * y, tile_col + 32 * x
        bottom, right = min(top + 32, tile_row + 48), min(left + 32, tile_col + 48)
        assert stale[0, top:bottom, left:right].sum() == row["n_stale"]


def test_pixels_found_stale_are_computed_and_no_others(
    own_world: World, open_arm, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Careless: it believes that scores hardly move.
    monkeypatch.setattr(detector, "find_reach", lambda counts, quantile: 0.001)
    made = own_world.targets[0]
    ours, whole = open_arm(made, "ours"), open_arm(made, "whole", cube_gb=0)
    first = ours.refresh()
    made = add_scene(made, NEW_DAYS[0])
    done = ours.refresh()
    before = ours.read(done, "observations.tif")[0]
    behind = before != whole.read(whole.follow(ours), "observations.tif")[0]
    ys, xs = np.argwhere(behind)[[0, -1]].T
    stale = {
        f"r{y // 48:03d}c{x // 48:03d}": (y % 48 * 48 + x % 48,)
        for y, x in zip(ys.tolist(), xs.tolist(), strict=True)
    }
    assert len(stale) == 2
    monkeypatch.setattr(refresh_plan, "find_stale_pixels", lambda *_: stale)
    made = add_scene(made, NEW_DAYS[1])
    following = ours.refresh()
    now = ours.read(following, "observations.tif")[0]
    truth = whole.read(whole.follow(ours), "observations.tif")[0]
    assert (now[ys, xs] == truth[ys, xs]).all()
    assert (now[ys, xs] > ours.read(first, "observations.tif")[0][ys, xs]).all()
    assert (now != before).sum() < behind.sum() / 10


@pytest.mark.slow
def test_a_bound_above_the_tolerance_tightens_and_computes_what_was_kept(
    own_world: World, open_arm, monkeypatch: pytest.MonkeyPatch
) -> None:
    def keep_all(counts: object, quantile: float) -> float:
        return 0.0 if quantile < 1 else float("inf")

    monkeypatch.setattr(detector, "find_reach", keep_all)
    made = own_world.targets[0]
    # One audit is enough here, and hardly any stale pixel allowed.
    ours = open_arm(made, "ours", stale_tolerance=0.001, audit_blocks=6000)
    ours.refresh()
    for day in (dt.date(2023, 7, 19), *NEW_DAYS[3:]):  # the small model reads July to December
        made = add_scene(made, day)
        done = ours.refresh()
    audits = ours.audits()
    n_steps = sum(a.is_tightened for a in audits)
    assert n_steps >= 1
    assert all(a.bound > a.tolerance for a in audits if a.is_tightened)
    facts = [r.fact for r in ours.workspace.ledger.read(RefreshDone)]
    assert any("the detector was tightened" in f.reasons for f in facts)
    assert len({f.detector_id for f in facts}) == n_steps + 1
    # A stricter detector begins a new audit.
    evidence = [a.evidence for a in audits if a.detector_id == done.detector_id]
    assert all(e.effort == 6000 * number for number, e in enumerate(evidence, start=1))
    if done.n_judged == 0:  # what looser detectors had kept is computed
        whole = open_arm(made, "whole", cube_gb=0)
        np.testing.assert_array_equal(ours.read(done), whole.read(whole.follow(ours)))


@pytest.mark.parametrize("how", list(Republish))
def test_scenes_published_again_with_the_same_pixels_change_nothing(
    how: Republish, own_world: World, open_arm
) -> None:
    made = own_world.targets[0]
    ours = open_arm(made, "ours")
    first = ours.refresh()
    store = ours.workspace.locate_tiles(ours.region.region_id)
    before = {p.name for p in store.glob("*.npy")}
    for day in made.dates[1:3]:
        made = add_scene(made, day, republish=how)
    done = ours.refresh()
    assert (done.n_computed, done.n_kept) == (0, 4)
    assert done.map_id == first.map_id
    assert {p.name for p in store.glob("*.npy")} == before
    tests = {row["test"] for row in ours.decisions(done)}
    assert tests == {"metadata" if how is Republish.METADATA else "content"}
    assert (done.cost.read_bytes == 0) is (how is Republish.METADATA)
    assert {row["item_id"][-10:] for row in ours.decisions(done)} == {
        day.isoformat() for day in made.dates[1:3]
    }
    # What was compared once is not read again.
    assert ours.refresh().cost.read_bytes == 0


def test_a_scene_with_other_pixels_or_withdrawn_is_computed(own_world: World, open_arm) -> None:
    made = own_world.targets[0]
    ours = open_arm(made, "ours", audit_blocks=0)
    ours.refresh()
    inputs = load_scenes(ours.workspace, ours.region.region_id)
    # Two dates exchange their files: the catalog says so by its checksums.
    one, two = inputs.scenes[1], inputs.scenes[2]
    swapped = [replace(one, assets=two.assets), replace(two, assets=one.assets)]
    record_scenes(ours.workspace, ours.region, swapped, actor="test")
    done = refresh(ours.workspace, ours.region.region_id, actor="test")
    assert done.n_computed == 4
    reasons = {row["reason"] for row in ours.decisions(done)}
    assert reasons == {"published again with other pixels"}
    fresh = open_arm(made, "fresh", cube_gb=0)
    full = fresh.follow(ours)
    np.testing.assert_array_equal(ours.read(done), fresh.read(full))


def test_a_cloudy_scene_is_a_missing_observation_and_moves_nothing(
    own_world: World, open_arm, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = own_world.targets[0]
    ours = open_arm(made, "ours")
    first = ours.refresh()
    from geotransfer.testing import region as region_module

    take = region_module.simulate_scene_arrays

    def take_clouds(*args: Any, **options: Any):
        arrays = take(*args, **options)
        return replace(arrays, scl=np.full_like(arrays.scl, 9))

    monkeypatch.setattr(region_module, "simulate_scene_arrays", take_clouds)
    add_scene(made, NEW_DAYS[0])
    done = ours.refresh()
    assert done.map_id == first.map_id
    assert done.reasons == {"kept: no valid pixel": 4}
    assert {row["test"] for row in ours.decisions(done)} == {"no valid pixel"}


@pytest.mark.slow
def test_a_lost_cube_is_read_again_and_gives_the_same_map(
    own_world: World, open_arm, eager: None
) -> None:
    made = own_world.targets[0]
    ours, other = open_arm(made, "ours"), open_arm(made, "other")
    ours.refresh()
    other.refresh()
    made = add_scene(made, NEW_DAYS[0])
    shutil.rmtree(other.workspace.locate_cube())
    kept, lost = ours.refresh(), other.refresh()
    np.testing.assert_array_equal(ours.read(kept), other.read(lost))
    assert lost.cost.read_bytes > kept.cost.read_bytes


def test_another_model_forgets_how_far_scores_move(own_world: World, open_arm, eager: None) -> None:
    made = own_world.targets[0]
    ours = open_arm(made, "ours")
    ours.refresh()
    made = add_scene(made, NEW_DAYS[0])
    judged = ours.refresh()
    assert judged.n_judged > 0
    register_baseline(ours.workspace, make_model_bytes(seed=9)[0])
    predicted = ours.refresh()
    assert (predicted.n_predicted, predicted.cost.read_bytes) == (4, 0)
    assert predicted.n_judged == judged.n_judged, "their features still lack an observation"
    assert sum(predicted.reach_counts) == 0


def test_an_audit_needs_a_map(own_world: World, open_arm) -> None:
    ours = open_arm(own_world.targets[0], "ours")
    with pytest.raises(NotFound, match="has no map yet"):
        audit_region(ours.workspace, ours.region.region_id, actor="test")


KILLED = """
import sys, time
from geotransfer.settings import read_settings
from geotransfer.store.workspace import open_workspace
from geotransfer.workflows import detector, refresh as module
detector.find_reach = lambda counts, quantile: 0.5 if quantile < 1 else float("inf")
settings = read_settings({}, {"workspace": sys.argv[1], "n_threads": 1})
workspace = open_workspace(settings)
def tell(done, planned, message):
    print(done, flush=True)
    if done >= int(sys.argv[3]) or message.startswith(sys.argv[4]):
        time.sleep(60)
import geotransfer.imagery.scheduler as scheduler
scheduler.IN_FLIGHT = 1
module.refresh(workspace, sys.argv[2], actor="test", progress=tell)
"""


@pytest.mark.parametrize(
    ("n_tiles", "where"),
    [
        (2, "-"),
        pytest.param(99, "writing the map", marks=pytest.mark.slow),
        pytest.param(99, "auditing", marks=pytest.mark.slow),
    ],
)
def test_sigkill_in_an_update_then_again_gives_the_same_map_without_work_twice(
    n_tiles: int, where: str, own_world: World, open_arm, eager: None
) -> None:
    made = own_world.targets[0]
    ours, straight = open_arm(made, "ours"), open_arm(made, "straight")
    ours.refresh()
    straight.refresh()
    made = add_scene(made, NEW_DAYS[0])
    expected = straight.refresh()
    region_id = ours.region.region_id
    update_scenes(ours.workspace, region_id, actor="test")
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(ours.workspace.folder), region_id, str(n_tiles), where],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    stop = {"writing the map": 6, "auditing": 7}.get(where, n_tiles + 1)
    for number, _ in enumerate(process.stdout, start=1):
        if number == stop:
            break
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    store = ours.workspace.locate_tiles(region_id)
    finished = {p.name: p.stat().st_mtime_ns for p in store.glob("u-*")}
    assert finished
    done = ours.refresh()
    assert {n: (store / n).stat().st_mtime_ns for n in finished} == finished, "work was done twice"
    np.testing.assert_array_equal(ours.read(done), straight.read(expected))
    assert done.n_judged == expected.n_judged


def test_a_scene_that_cannot_be_read_is_a_stored_decision(own_world: World, open_arm) -> None:
    made = own_world.targets[0]
    ours = open_arm(made, "ours")
    first = ours.refresh()
    made = add_scene(made, NEW_DAYS[0])
    update_scenes(ours.workspace, ours.region.region_id, actor="test")
    path = next((made.folder / "scenes" / NEW_DAYS[0].isoformat()).glob("nir.tif"))
    whole = path.read_bytes()
    path.write_bytes(whole[:2000])
    with pytest.raises(SceneUnreadable):
        refresh(ours.workspace, ours.region.region_id, actor="test")
    path.write_bytes(whole)
    failed = ours.workspace.ledger.read_last(RefreshFailed, region_id=ours.region.region_id)
    assert failed is not None
    rows = read_table(ours.workspace.blobs.get(failed.decisions_id))
    assert {row["test"] for row in rows} == {"failed"}
    assert {row["item_id"][-10:] for row in rows} == {NEW_DAYS[0].isoformat()}
    assert len(rows) == 4
    assert ours.workspace.ledger.read_last(RefreshDone) == first
    assert ours.refresh().n_computed > 0
