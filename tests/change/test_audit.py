"""The audit's draws and its bound, where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from geotransfer.change.audit import (
    BLOCK_PX,
    Block,
    add_evidence,
    bound_total,
    count_blocks,
    count_draws,
    count_strata,
    draw_blocks,
    find_block,
    find_bound,
    name_stratum,
)
from geotransfer.core.audit import Evidence

RARE = {"many blocks wholly stale": 0.3, "one tile": 0.01}


def make_blocks(seed: int, n: int) -> list[Block]:
    rng = np.random.default_rng(seed)
    return [
        Block(
            tile_id=f"r{i // 64:03d}c000", number=i % 64, n_judged=int(rng.integers(0, 1025)),
            age=int(rng.integers(1, 12)),
        )
        for i in range(n)
    ]  # fmt: skip


def test_a_block_is_drawn_in_proportion_to_what_was_kept_in_it() -> None:
    blocks = make_blocks(1, 40)
    n_judged = sum(b.n_judged for b in blocks)
    drawn = [b for seed in range(3000) for b in draw_blocks(blocks, 5, seed=seed)]
    assert len(drawn) == 15_000
    for block in blocks:
        share = sum(d == block for d in drawn) / len(drawn)
        assert share == pytest.approx(block.n_judged / n_judged, abs=0.005)


def test_every_age_is_drawn_from_in_its_proportion_each_time() -> None:
    blocks = make_blocks(2, 300)
    n_judged = sum(b.n_judged for b in blocks)
    drawn = draw_blocks(blocks, 60, seed=3)
    assert draw_blocks(blocks, 60, seed=3) == drawn
    for age in range(1, 12):
        expected = 60 * sum(b.n_judged for b in blocks if b.age == age) / n_judged
        assert abs(sum(b.age == age for b in drawn) - expected) < 2
    assert draw_blocks([], 5, seed=0) == ()


def audit_once(
    evidence: Evidence, blocks: list[Block], stale: dict[int, int], seed: int, n_pixels: int
) -> Evidence:
    n_judged = sum(b.n_judged for b in blocks)
    drawn = draw_blocks(blocks, count_draws(n_judged, n_pixels, 32), seed=seed)
    return add_evidence(
        evidence, [(stale[blocks.index(b)], b.n_judged) for b in drawn],
        n_judged=n_judged, n_pixels=n_pixels, audit_blocks=32,
    )  # fmt: skip


@pytest.mark.parametrize("clustering", ["even", "many blocks wholly stale", "one tile"])
def test_the_bound_holds_at_every_look_under_clustering(clustering: str) -> None:
    rng = np.random.default_rng(7)
    n_fail = 0
    for run in range(40):
        evidence, truth = Evidence(), []
        for look in range(8):
            blocks = [b for b in make_blocks(100 * run + look, 64) if b.n_judged]
            n_pixels = 64 * BLOCK_PX**2
            stale = dict.fromkeys(range(len(blocks)), 0)
            for i, b in enumerate(blocks):
                if clustering == "even":
                    stale[i] = int(rng.binomial(b.n_judged, 0.01))
                elif (clustering == "one tile" and look == 5) or rng.random() < RARE[clustering]:
                    stale[i] = b.n_judged
            truth.append(sum(stale.values()) / n_pixels)
            evidence = audit_once(evidence, blocks, stale, 1000 * run + look, n_pixels)
            bound = find_bound(evidence, tolerance=0.02)
            if bound.bound < np.mean(truth):
                n_fail += 1
                break
    assert n_fail / 40 <= 0.05


def test_the_bound_is_tight_where_blocks_are_clean() -> None:
    blocks = [Block(tile_id="t", number=i, n_judged=512, age=1) for i in range(64)]
    evidence = Evidence()
    for look in range(12):
        evidence = audit_once(evidence, blocks, dict.fromkeys(range(64), 0), look, 65_536)
    bound = find_bound(evidence, tolerance=0.02)
    assert bound.share == 0
    assert bound.kept_share == pytest.approx(0.5)
    assert bound.bound < 0.011
    assert bound.bound_kept == pytest.approx(2 * bound.bound)
    assert bound.is_certified


def test_nothing_is_certified_until_enough_blocks_are_seen() -> None:
    blocks = [Block(tile_id="t", number=i, n_judged=1024, age=1) for i in range(64)]
    first = audit_once(Evidence(), blocks, dict.fromkeys(range(64), 0), 1, 65_536)
    told = find_bound(first, tolerance=0.02)
    assert not told.is_certified
    assert told.needed_blocks > 32
    assert find_bound(Evidence(), tolerance=0.02).bound == 1
    assert bound_total(first) == pytest.approx(bound_total(Evidence()))


def test_blocks_tile_the_tile() -> None:
    shape = (70, 45)
    chosen = np.random.default_rng(0).random(70 * 45) < 0.3
    counts = count_blocks(chosen, shape)
    assert len(counts) == 3 * 2
    pixels = [find_block(i, shape) for i in range(6)]
    assert sorted(np.concatenate(pixels).tolist()) == list(range(70 * 45))
    assert counts.tolist() == [int(chosen[p].sum()) for p in pixels]


def test_strata_are_named_by_age_and_add_up() -> None:
    assert [name_stratum(a) for a in (0, 1, 2, 3, 4, 5, 8, 9, 16)] == [
        "1", "1", "2", "3–4", "3–4", "5–8", "5–8", "9–16", "9–16",
    ]  # fmt: skip
    blocks = make_blocks(4, 50)
    drawn = draw_blocks(blocks, 10, seed=1)
    rows = count_strata(blocks, drawn, {(b.tile_id, b.number): 1 for b in drawn})
    assert sum(row[1] for row in rows) == sum(b.n_judged for b in blocks)
    assert sum(row[2] for row in rows) == sum(row[4] for row in rows) == 10
