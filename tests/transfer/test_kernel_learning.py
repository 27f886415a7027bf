from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from geotransfer.errors import JobCancelled
from geotransfer.transfer import kernel_learning
from geotransfer.transfer.kernel_learning import (
    GRID,
    KERNEL,
    Practice,
    learn_kernel,
    make_practices,
)


def make_practice(wave_km: float, *, n: int = 900, seed: int = 0) -> Practice:
    """A region whose classes come in waves over the ground; the global score knows nothing."""
    rng = np.random.default_rng(seed)
    xy = rng.uniform(0, 1000, (n, 2))
    waves = np.sin(2 * np.pi * xy[:, 0] / wave_km) + np.sin(2 * np.pi * xy[:, 1] / wave_km)
    return Practice(
        points=rng.normal(size=(n, 4)) / 10,
        xy_km=xy,
        latent=np.zeros((n, 1)),
        targets=(waves + rng.normal(0, 0.2, n) > 0).astype(np.int64),
    )


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(kernel_learning, "N_DRAWS", 2)
    monkeypatch.setattr(kernel_learning, "SITUATIONS", ((5.0, 100), (100.0, 200)))
    monkeypatch.setattr(kernel_learning, "MAX_HELD", 250)


@pytest.mark.usefixtures("quick")
def test_the_length_follows_the_ground():
    short = learn_kernel([make_practice(300)])
    long = learn_kernel([make_practice(1600)])
    assert short.position_km < KERNEL.position_km < long.position_km
    assert {short.position_km, long.position_km} <= set(GRID["position_km"])
    assert replace(short, position_km=1, feature_length=1) == replace(
        KERNEL, position_km=1, feature_length=1
    ), "amplitudes are not learned"


@pytest.mark.usefixtures("quick")
def test_the_same_seed_learns_the_same():
    practices = [make_practice(400, n=400), make_practice(400, n=400, seed=1)]
    assert learn_kernel(practices, seed=3) == learn_kernel(practices, seed=3)


def test_too_little_to_practise_on_keeps_the_start():
    assert learn_kernel([]) is KERNEL
    assert learn_kernel([make_practice(300, n=40)]) is KERNEL
    one_class = replace(make_practice(300), targets=np.zeros(900, dtype=np.int64))
    assert learn_kernel([one_class]) is KERNEL


@pytest.mark.usefixtures("quick")
def test_learning_can_be_cancelled():
    def stop() -> None:
        raise JobCancelled("stopped")

    with pytest.raises(JobCancelled):
        learn_kernel([make_practice(300, n=400)], check=stop)


def test_rows_without_a_position_are_not_practised_on():
    rng = np.random.default_rng(0)
    positions = rng.uniform(0, 100, (30, 2))
    positions[:10] = np.nan
    positions[12] = np.nan
    practices = make_practices(
        rng.normal(size=(30, 3)),
        positions,
        rng.normal(size=(1, 30)),
        rng.integers(0, 2, 30),
        np.repeat(["a", "b", "c"], 10),
    )
    assert [len(p.targets) for p in practices] == [9, 10]
    assert all(np.isfinite(p.xy_km).all() and p.latent.shape[1] == 1 for p in practices)
