from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from geotransfer.transfer.gaussian_process import (
    Kernel,
    balance_classes,
    evaluate_kernel,
    fit_correction,
    fit_projection,
    measure_variance,
)

KERNEL = Kernel(features=0.5, position=0.5, product=1.0, near=3.0)


def make_problem(n: int, k: int, seed: int):
    rng = np.random.default_rng(seed)
    points = (rng.normal(size=(n, 4)), rng.uniform(0, 300, (n, 2)))
    covariance = evaluate_kernel(KERNEL, points, points)
    targets = np.concatenate([np.arange(k), rng.integers(0, k, n - k)])
    prior = rng.normal(size=(n, 1 if k == 2 else k))
    return covariance, prior, targets, rng.uniform(0.3, 2, n)


def find_mode_slowly(covariance, prior, targets, weights):
    """Maximise the posterior over alpha by a general optimiser."""
    n, n_latent = prior.shape

    def loss(flat):
        alpha = flat.reshape(n, n_latent)
        shift = covariance @ alpha
        latent = prior + shift
        full = latent if n_latent > 1 else np.concatenate([np.zeros_like(latent), latent], axis=1)
        log_p = full - np.log(np.exp(full).sum(axis=1, keepdims=True))
        fit = (weights * log_p[np.arange(n), targets]).sum()
        return -fit + 0.5 * (alpha * shift).sum()

    result = minimize(
        loss, np.zeros(n * n_latent), method="L-BFGS-B",
        options={"maxiter": 5000, "maxfun": 10**6, "ftol": 1e-14, "gtol": 1e-9},
    )  # fmt: skip
    return covariance @ result.x.reshape(n, n_latent)


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_mode_agrees_with_a_general_optimiser(k, seed):
    covariance, prior, targets, weights = make_problem(8, k, seed)
    alpha = fit_correction(covariance, prior, targets, weights)
    slow = find_mode_slowly(covariance, prior, targets, weights)
    np.testing.assert_allclose(covariance @ alpha, slow, atol=2e-3)


@pytest.mark.parametrize("k", [2, 3])
def test_at_the_mode_alpha_is_what_the_model_did_not_expect(k):
    covariance, prior, targets, weights = make_problem(40, k, 5)
    alpha = fit_correction(covariance, prior, targets, weights)
    latent = prior + covariance @ alpha
    full = latent if k > 2 else np.concatenate([np.zeros_like(latent), latent], axis=1)
    p = np.exp(full) / np.exp(full).sum(axis=1, keepdims=True)
    observed = np.eye(k)[targets]
    np.testing.assert_allclose(
        alpha, (weights[:, None] * (observed - p))[:, -prior.shape[1] :], atol=1e-6
    )


def test_far_from_every_label_nothing_is_added():
    covariance, prior, targets, weights = make_problem(30, 2, 2)
    alpha = fit_correction(covariance, prior, targets, weights)
    rng = np.random.default_rng(2)
    points = (rng.normal(size=(30, 4)), rng.uniform(0, 300, (30, 2)))
    far = (np.full((1, 4), 200.0), np.full((1, 2), 5000.0))
    assert np.abs(evaluate_kernel(KERNEL, far, points) @ alpha).max() < 1e-9


def test_without_positions_everything_is_one_place_and_nothing_is_near():
    z = np.random.default_rng(0).normal(size=(6, 3))
    here = np.zeros((6, 2))
    np.testing.assert_allclose(
        evaluate_kernel(KERNEL, (z, None), (z, None)),
        evaluate_kernel(replace(KERNEL, near=0.0), (z, here), (z, here)),
    )


def test_near_reaches_a_quarter_as_far():
    alone = Kernel(features=0.0, position=0.0, product=0.0, near=3.0, position_km=80.0)
    z = np.zeros((1, 2))
    for gap_km in (0.0, 10.0, 33.0):
        found = evaluate_kernel(alone, (z, np.array([[gap_km, 0.0]])), (z, np.zeros((1, 2))))
        assert found[0, 0] == pytest.approx(3.0 * np.exp(-(gap_km**2) / (2 * 20.0**2)))


def test_variance_is_prior_far_away_and_smaller_at_labels():
    rng = np.random.default_rng(4)
    labelled = (rng.normal(size=(30, 3)), rng.uniform(0, 300, (30, 2)))
    far = (np.full((1, 3), 90.0), np.full((1, 2), 9000.0))
    latent = np.zeros((30, 1))
    assert measure_variance(KERNEL, labelled, far, latent)[0] == pytest.approx(KERNEL.variance)
    at_labels = measure_variance(KERNEL, labelled, labelled, latent)
    assert (at_labels < 0.9 * KERNEL.variance).all()
    # Slow reference: (K^-1 + W)^-1 at the labels themselves.
    covariance = evaluate_kernel(KERNEL, labelled, labelled) + 1e-10 * np.eye(30)
    slow = np.diag(np.linalg.inv(np.linalg.inv(covariance) + 0.25 * np.eye(30)))
    np.testing.assert_allclose(at_labels, slow, rtol=1e-3)


def test_components_are_white_on_the_source_and_stable_in_sign():
    rng = np.random.default_rng(6)
    mixed = rng.normal(size=(500, 8)) @ rng.normal(size=(8, 8)) + 3
    table = np.concatenate([mixed, mixed[:, :1]], axis=1).astype(np.float32)
    projection = fit_projection(table, np.ones(500), n_components=20)
    z = projection.project(table)
    # The doubled column adds no direction.
    assert z.shape[1] == 8
    np.testing.assert_allclose(z.T @ z / 500, np.eye(8), atol=1e-3)
    again = fit_projection(table[::-1], np.ones(500), n_components=20)
    np.testing.assert_allclose(projection.axes, again.axes, atol=1e-4)


@settings(deadline=None, max_examples=60)
@given(counts=st.lists(st.integers(1, 60), min_size=2, max_size=4), seed=st.integers(0, 99))
def test_balanced_classes_count_the_same_within_bounds(counts, seed):
    targets = np.repeat(np.arange(len(counts)), counts)
    weights = np.random.default_rng(seed).uniform(0.5, 2, len(targets))
    balanced = balance_classes(targets, weights)
    assert balanced.mean() == pytest.approx(1)
    mass = np.bincount(targets, weights=balanced)
    fair = weights.sum() / len(counts)
    factors = fair / np.bincount(targets, weights=weights)
    if (factors > 0.2).all() and (factors < 5).all():
        np.testing.assert_allclose(mass, mass.mean())
    ratio = (balanced / weights).max() / (balanced / weights).min()
    assert ratio <= 25 + 1e-9
