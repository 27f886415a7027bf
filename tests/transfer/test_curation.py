from __future__ import annotations

import numpy as np
import pytest

from geotransfer.errors import InputError
from geotransfer.transfer.curation import cluster_rows, curate_samples


def test_clusters_hold_every_row_once():
    points = np.random.default_rng(0).normal(size=(157, 4))
    groups = cluster_rows(points, 30)
    assert len(groups) == 30
    assert sorted(np.concatenate(groups)) == list(range(157))


def test_clusters_are_tighter_than_chance():
    rng = np.random.default_rng(1)
    points = rng.normal(size=(400, 3))
    inside = np.mean([points[g].var(axis=0).sum() for g in cluster_rows(points, 80) if len(g) > 1])
    shuffled = points[rng.permutation(400)].reshape(80, 5, 3).var(axis=1).sum(axis=1).mean()
    assert inside < 0.4 * shuffled


def test_a_crowd_gets_no_more_clusters_than_it_needs():
    crowd = np.zeros((900, 2)) + np.random.default_rng(2).normal(0, 1e-3, (900, 2))
    wide = np.random.default_rng(3).normal(0, 5, (100, 2))
    groups = cluster_rows(np.vstack([crowd, wide]), 50)
    assert sum((g >= 900).any() for g in groups) > 30


def test_curated_samples_are_real_rows_with_the_mass_of_all(source):
    curated = curate_samples(source, share=0.2)
    known = {row.tobytes() for row in source.measured}
    assert all(row.tobytes() in known for row in curated.measured)
    assert len(curated) == pytest.approx(0.2 * len(source), abs=6)
    assert curated.weights.sum() == pytest.approx(len(source))
    for name in np.unique(source.region_ids):
        for code in (0, 1):
            of = (source.region_ids == name) & (source.classes == code)
            kept = (curated.region_ids == name) & (curated.classes == code)
            assert curated.weights[kept].sum() == pytest.approx(of.sum())


def test_same_seed_same_rows(source):
    assert curate_samples(source, seed=3).content_id == curate_samples(source, seed=3).content_id
    assert curate_samples(source, seed=3).content_id != curate_samples(source, seed=4).content_id


def test_a_share_must_be_a_share(source):
    with pytest.raises(InputError, match="share is 0"):
        curate_samples(source, share=0)
    with pytest.raises(InputError, match="clusters cannot be made"):
        cluster_rows(np.zeros((3, 1)), 4)


def test_an_opinion_splits_the_weight_of_every_kept_row(source):
    rng = np.random.default_rng(0)
    crop = rng.uniform(0, 1, len(source))
    opinion = np.column_stack([1 - crop, crop])
    plain = curate_samples(source, share=0.2)
    told = curate_samples(source, share=0.2, opinion=opinion)
    assert len(told) == 2 * len(plain)
    half = len(plain)
    assert (told.measured[:half] == plain.measured).all()
    assert (told.measured[half:] == plain.measured).all()
    assert set(told.classes[:half].tolist()) == {0}
    np.testing.assert_allclose(told.weights[:half] + told.weights[half:], plain.weights)
    row = {r.tobytes(): i for i, r in enumerate(source.measured)}
    known = crop[[row[r.tobytes()] for r in plain.measured]]
    np.testing.assert_allclose(told.weights[half:], plain.weights * known)
    with pytest.raises(InputError, match="share of each of the 2 classes"):
        curate_samples(source, opinion=opinion[:, :1])
