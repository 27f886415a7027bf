from __future__ import annotations

import numpy as np
import pytest

from geotransfer.transfer.correction import predict_correction
from geotransfer.transfer.gaussian_process import Kernel, Projection, evaluate_kernel

KERNEL = Kernel(
    features=0.5, position=0.25, product=1.0, near=2.0, feature_length=2.0, position_km=80.0
)
KENYA = np.array([3600.0, -100.0])
"""Far from the projection's origin, in km."""


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    projection = Projection(
        centre=rng.normal(size=12), scale=rng.uniform(0.5, 2, 12), axes=rng.normal(size=(12, 5)) / 4
    )
    labelled = rng.normal(size=(9, 12)).astype(np.float32)
    return {
        "projection": projection,
        "kernel": KERNEL,
        "points": projection.project(labelled),
        "labels_xy_km": rng.uniform(0, 200, (9, 2)) + KENYA,
        "alpha": rng.normal(size=(9, 2)),
    }


def make_places(n: int):
    rng = np.random.default_rng(1)
    return (
        rng.normal(size=(12, n)).astype(np.float32),
        np.ascontiguousarray((rng.uniform(0, 400, (n, 2)) + KENYA).T),
    )


@pytest.mark.parametrize("has_position", [True, False])
def test_agrees_with_the_kernel_in_double_precision(fitted, has_position):
    features, xy = make_places(1300)
    if not has_position:
        fitted = {**fitted, "labels_xy_km": None}
    fast = predict_correction(features, xy, **fitted)
    places = (fitted["projection"].project(features.T), xy.T if has_position else None)
    labelled = (fitted["points"], fitted["labels_xy_km"])
    slow = evaluate_kernel(KERNEL, places, labelled) @ fitted["alpha"]
    np.testing.assert_allclose(fast, slow.T, rtol=1e-6, atol=3e-6)


@pytest.mark.parametrize("size", [1, 7, 511, 512, 513])
def test_the_same_bits_in_any_chunking(fitted, size):
    features, xy = make_places(1300)
    whole = predict_correction(features, xy, **fitted)
    parts = [
        predict_correction(features[:, i : i + size], xy[:, i : i + size], **fitted)
        for i in range(0, 1300, size)
    ]
    assert whole.tobytes() == np.ascontiguousarray(np.concatenate(parts, axis=1)).tobytes()


def test_the_same_bits_on_any_number_of_threads(fitted):
    features, xy = make_places(5000)
    one = predict_correction(features, xy, **fitted)
    assert one.tobytes() == predict_correction(features, xy, **fitted, n_threads=3).tobytes()


def test_very_distant_places_are_zero_not_noise(fitted):
    features, xy = make_places(5)
    out = predict_correction(features * 0 + np.float32(500), xy + 50_000, **fitted)
    assert np.abs(out).max() < 1e-30
