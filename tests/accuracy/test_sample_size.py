from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geotransfer.accuracy.sample_size import allocate_sample, size_sample
from geotransfer.errors import InputError


def test_the_worked_example_of_olofsson_2014() -> None:
    # Section 5.1: shares .02, .015, .32, .645, expected user's accuracies .7, .6, .9, .95.
    assert size_sample((2, 1.5, 32, 64.5), (0.7, 0.6, 0.9, 0.95), target_se=0.01) == 641


def test_each_class_has_its_own_spread() -> None:
    # A peer writes sqrt(U_noncrop (1 − U_crop)): 0.9 and 0.5 would then mix.
    # By hand: (0.8 · 0.3 + 0.2 · 0.5) / 0.02 = 17.
    assert size_sample((80, 20), (0.9, 0.5), target_se=0.02) == 17**2


def test_the_sample_gives_the_standard_error_asked_for() -> None:
    users, target = np.array([0.9, 0.8]), 0.01
    n = size_sample((60, 40), users.tolist(), target_se=target)
    spread = np.array([0.6, 0.4]) * np.sqrt(users * (1 - users))
    placed = n * spread / spread.sum()
    assert np.sqrt((spread**2 / placed).sum()) == pytest.approx(target, rel=1e-3)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 2000),
    st.lists(st.just(0.0) | st.floats(1e-3, 1000), min_size=1, max_size=6).filter(
        lambda areas: sum(areas) > 0
    ),
    st.integers(0, 100),
)
def test_labels_add_up_and_rare_classes_get_their_floor(
    n: int, areas: list[float], floor: int
) -> None:
    counts = allocate_sample(n, areas, floor=floor)
    assert sum(counts) == n
    present = [a > 0 for a in areas]
    for count, is_present in zip(counts, present, strict=True):
        assert count >= (min(floor, n // sum(present)) if is_present else 0)


def test_spread_draws_labels_to_where_errors_are_expected() -> None:
    even = allocate_sample(200, (80, 20), floor=10)
    spread = allocate_sample(200, (80, 20), expected_users=(0.98, 0.6), floor=10)
    assert even == (154, 46)
    assert spread[1] > even[1]


def test_bad_inputs_are_refused() -> None:
    with pytest.raises(InputError, match=r"0\.9"):
        size_sample((1, 1), (90, 80), target_se=0.01)
    with pytest.raises(InputError, match="target_se"):
        size_sample((1, 1), (0.9, 0.8), target_se=0)
    with pytest.raises(InputError, match="each map class"):
        allocate_sample(10, (1, 1), expected_users=(0.9,))
