from __future__ import annotations

import numpy as np
import pytest

from geotransfer.errors import InputError
from geotransfer.transfer.next_labels import draw_probability_sample, suggest_labels


@pytest.fixture(scope="module")
def candidates(make):
    samples = make(600, seed=91)
    measured = np.ascontiguousarray(samples.measured.T)
    measured[0, :5] = np.nan
    return measured, np.ascontiguousarray(samples.xy_km.T)


def test_suggestions_are_distinct_ranked_and_have_all_features(baseline, source, candidates):
    found = suggest_labels(baseline, *candidates, n_labels=40, source=source)
    assert len(np.unique(found.rows)) == 40
    assert (found.rows >= 5).all()
    assert (np.diff(found.usefulness) <= 0).all()
    assert found.usefulness[0] == 1
    product = found.applicability_gap * found.uncertainty * found.coverage
    np.testing.assert_allclose(found.usefulness, product / product.max())
    for part in (found.applicability_gap, found.uncertainty, found.coverage):
        assert ((part >= 0) & (part <= 1)).all()


def test_places_near_existing_labels_are_worth_less(baseline, candidates, make):
    labels = make(80, seed=92, extent_km=300)
    fresh = suggest_labels(baseline, *candidates, n_labels=30)
    after = suggest_labels(baseline, *candidates, n_labels=30, labels=labels)

    def share_near(found):
        gap = np.sqrt(((found.xy_km[:, None] - labels.xy_km[None]) ** 2).sum(axis=2)).min(axis=1)
        return (gap[:10] < 60).mean()

    assert share_near(after) < share_near(fresh) or share_near(after) == 0


def test_suggestions_spread_over_the_region(baseline, candidates):
    found = suggest_labels(baseline, *candidates, n_labels=60)
    everything = candidates[1].T
    cells = {tuple(c) for c in np.floor(everything / 250).astype(int)}
    covered = {tuple(c) for c in np.floor(found.xy_km / 250).astype(int)}
    assert len(covered) > 0.7 * len(cells)


def test_a_probability_sample_gives_every_place_the_same_chance():
    counts = np.zeros(20)
    for seed in range(3000):
        counts[draw_probability_sample(20, 5, seed=seed)] += 1
    assert np.abs(counts / 3000 - 0.25).max() < 0.04
    assert len(np.unique(draw_probability_sample(20, 20, seed=1))) == 20


def test_too_many_or_too_few_is_one_sentence(baseline, candidates):
    with pytest.raises(InputError, match="600 places cannot be chosen among 595"):
        suggest_labels(baseline, *candidates, n_labels=600)
    with pytest.raises(InputError, match="cannot be drawn"):
        draw_probability_sample(5, 6, seed=0)
