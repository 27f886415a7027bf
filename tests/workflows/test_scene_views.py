"""What pages say of decisions and audits: the newest word on each scene and tile, in full."""

from __future__ import annotations

import pytest

from geotransfer.core.decision import DecidedBy
from geotransfer.core.grid import Grid
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.refresh import refresh
from geotransfer.workflows.scene_views import (
    find_audit_view,
    find_rings,
    list_decisions,
    list_tile_ages,
    summarize_scenes,
)
from tests.workflows.conftest import Mapped
from tests.workflows.refresh_facts import add_refresh, make_audit, make_decision


def test_the_newest_decision_stands_for_each_scene_and_tile(workspace: Workspace) -> None:
    late = {"sensed_at": "2024-06-01T10:00:00Z"}
    add_refresh(
        workspace, "a",
        decisions=[
            make_decision("s1", "t1", DecidedBy.COMPUTED),
            make_decision("s1", "t2", DecidedBy.JUDGEMENT),
        ],
    )  # fmt: skip
    add_refresh(workspace, "a")
    add_refresh(
        workspace, "a",
        decisions=[
            make_decision("s1", "t2", DecidedBy.METADATA),
            make_decision("s0", "t1", DecidedBy.PROOF, **late),
        ],
    )  # fmt: skip
    add_refresh(workspace, "b", decisions=[make_decision("s9", "t9", DecidedBy.FAILED)])
    found = list_decisions(workspace, "a")
    told = [(d.item_id, d.tile_id, d.test.value) for d in found]
    assert told == [("s1", "t1", "computed"), ("s1", "t2", "metadata"), ("s0", "t1", "proof")]
    first, second = summarize_scenes(found)
    assert (first.item_id, first.told) == ("s1", "1 metadata, 1 computed")
    assert (first.n_pixels, first.n_computed, first.cpu_s) == (20, 8, 1.0)
    assert second.tests == {DecidedBy.PROOF: 1}


def test_a_bound_is_told_only_where_it_is_certified(workspace: Workspace) -> None:
    assert "every kept pixel is exact" in find_audit_view(workspace, "a").headline
    add_refresh(workspace, "a", n_judged=500)
    assert "not yet certified; no audit has run" in find_audit_view(workspace, "a").headline
    workspace.ledger.append(
        make_audit("a", is_certified=False, total_blocks=12, bound=1.0), actor="test"
    )
    view = find_audit_view(workspace, "a")
    assert "not yet certified; 12 of 59 blocks seen" in view.headline
    assert "100" not in view.headline, "an uncertified bound is no figure"
    assert not any("at most" in sentence for sentence in view.evidence)
    workspace.ledger.append(make_audit("a"), actor="test")
    view = find_audit_view(workspace, "a")
    assert view.headline.startswith("At most 0.80% of the pixels are stale, mean over 2")
    assert "60 random blocks" in view.evidence[0]
    assert "none differs" in view.evidence[-1]


def test_a_broken_promise_is_said_aloud(workspace: Workspace) -> None:
    workspace.ledger.append(
        make_audit("a", is_tightened=True, bound=0.05, n_exact_wrong=3), actor="test"
    )
    evidence = " ".join(find_audit_view(workspace, "a").evidence)
    assert "judges more strictly" in evidence
    assert "3 of 500 pixels kept by an exact test differ" in evidence


def test_tiles_have_a_place_and_an_age(mapped: Mapped) -> None:
    workspace, region_id = mapped.workspace, mapped.region.region_id
    assert list_tile_ages(workspace, region_id) == []
    refresh(workspace, region_id, actor="test")
    mapped.workspace.clock.advance(3600)  # type: ignore[attr-defined]
    refresh(workspace, region_id, actor="test")
    ages = list_tile_ages(workspace, region_id)
    assert len(ages) == 4
    assert all(age.computed_at < age.confirmed_at for age in ages)
    assert len({age.ring for age in ages}) == 4


def test_neighbouring_tiles_share_their_corners() -> None:
    grid = Grid(
        crs="EPSG:32631", transform=(10, 0, 500_000, 0, -10, 5_000_000), height=20, width=30
    )
    rings = find_rings(grid, 20)
    assert list(rings) == ["r000c000", "r000c001"]
    left, right = rings.values()
    assert left[1] == right[0]
    assert left[2] == right[3]
    lon, lat = left[0]
    assert (lon, lat) == pytest.approx((3.0, 45.1537), abs=1e-3)
