"""Separability judged on blocks, and nearest regions."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from geotransfer.applicability.area import fit_applicability
from geotransfer.applicability.shift import measure_separability, rank_regions
from geotransfer.errors import TableInvalid


def make_blocks(
    n_blocks: int, *, shift: float, seed: int, per_block: int = 60
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Rows whose blocks differ from each other, around a mean moved by ``shift``."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(n_blocks, 5)) + shift
    blocks = np.repeat(np.arange(n_blocks), per_block)
    rows = centers[blocks] + 0.2 * rng.normal(size=(len(blocks), 5))
    return rows.astype(np.float32), blocks + 1000 * seed


def test_alike_far_and_between() -> None:
    source, source_blocks = make_blocks(20, shift=0, seed=1)
    values = []
    for shift in (0, 1, 6):
        target, target_blocks = make_blocks(20, shift=shift, seed=2)
        estimate = measure_separability(
            source, target, source_blocks=source_blocks, target_blocks=target_blocks
        )
        assert estimate.low <= estimate.value <= estimate.high
        values.append(estimate)
    assert values[0].low < 0.5 < values[0].high
    assert 0.6 < values[1].value < 0.97
    assert values[2].value > 0.99


def test_blocks_seen_in_training_would_flatter() -> None:
    # Same law on both sides, but rows of one block are alike: split by row, the origin shows.
    source, source_blocks = make_blocks(8, shift=0, seed=1)
    target, target_blocks = make_blocks(8, shift=0, seed=2)
    honest = measure_separability(
        source, target, source_blocks=source_blocks, target_blocks=target_blocks
    )
    naive = measure_separability(
        source,
        target,
        source_blocks=np.arange(len(source)),
        target_blocks=np.arange(len(target)) + 10**6,
    )
    assert naive.value > 0.9
    assert honest.value < 0.75
    assert honest.high - honest.low > naive.high - naive.low


def test_shift_of_year_keeps_a_place_in_one_fold() -> None:
    first, blocks = make_blocks(20, shift=0, seed=1)
    rng = np.random.default_rng(0)
    again = first + rng.normal(size=first.shape).astype(np.float32) * np.float32(0.05)
    same = measure_separability(first, again, source_blocks=blocks, target_blocks=blocks)
    assert same.low < 0.55
    moved = measure_separability(
        first, again + np.float32(3), source_blocks=blocks, target_blocks=blocks
    )
    assert moved.value > 0.9


def test_same_seed_same_bits_and_one_block_is_refused() -> None:
    source, source_blocks = make_blocks(6, shift=0, seed=1)
    target, target_blocks = make_blocks(6, shift=1, seed=2)

    def measure(blocks: NDArray[np.int64]) -> object:
        return measure_separability(
            source, target, source_blocks=source_blocks, target_blocks=blocks, seed=3
        )

    assert measure(target_blocks) == measure(target_blocks)
    with pytest.raises(TableInvalid, match="target rows are all in one block"):
        measure(np.zeros_like(target_blocks))


def test_nearest_region_is_the_one_alike_however_many_samples_it_has() -> None:
    rng = np.random.default_rng(0)
    regions = np.repeat(["far", "near", "many"], [100, 60, 2000])
    centers = {"far": 9.0, "near": 0.0, "many": 1.5}
    samples = np.stack([rng.normal(size=4) + centers[name] for name in regions]).astype(np.float32)
    fitted = fit_applicability(
        samples, np.ones(4), np.unique(regions, return_inverse=True)[1], fold_rule="regions"
    )
    target = rng.normal(size=(300, 4)).astype(np.float32)
    ranked = rank_regions(fitted, target, regions)
    assert [item.region_id for item in ranked] == ["near", "many", "far"]
    assert ranked == rank_regions(fitted, target, regions)
