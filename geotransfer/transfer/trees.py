"""LightGBM ensembles as text: trained to the same bytes on any number of threads."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import lightgbm
import numpy as np
from numpy.typing import NDArray

from geotransfer.core.spec import FeatureSpec
from geotransfer.errors import ModelInvalid
from geotransfer.transfer.forest import Forest, compile_forest

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How an ensemble is grown; chosen leave-one-region-out (docs/decisions/0007)."""

    n_trees: int = 300
    n_leaves: int = 31
    learning_rate: float = 0.05
    min_rows_in_leaf: int = 20
    feature_share: float = 1.0
    is_extra_random: bool = False
    """Thresholds drawn at random (extremely randomised trees, Geurts et al. 2006)."""
    without: tuple[str, ...] = ()
    """Columns the trees may not split, by name; the model still reads the whole spec."""

    def to_parameters(self, *, n_classes: int, seed: int) -> dict[str, object]:
        """Return LightGBM's parameters."""
        parameters: dict[str, object] = {
            "num_leaves": self.n_leaves,
            "learning_rate": self.learning_rate,
            "min_data_in_leaf": self.min_rows_in_leaf,
            "feature_fraction": self.feature_share,
            "extra_trees": self.is_extra_random,
            "objective": "binary" if n_classes == 2 else "multiclass",
            "seed": seed,
            # One thread an ensemble: its bytes cannot follow the machine, and on a busy one the
            # waiting threads cost more than they bring. Folds and regions run side by side.
            "num_threads": 1,
            "deterministic": True,
            "force_col_wise": True,
            "verbose": -1,
        }
        if n_classes > 2:
            parameters["num_class"] = n_classes
        return parameters


@dataclass(frozen=True)
class Trees:
    """One LightGBM ensemble, stored as its text."""

    text: str

    @cached_property
    def booster(self) -> lightgbm.Booster:
        """The ensemble, parsed once."""
        try:
            return lightgbm.Booster(model_str=self.text)
        except (lightgbm.basic.LightGBMError, ValueError, TypeError) as error:
            raise ModelInvalid(
                f"the LightGBM text cannot be parsed ({error}); train or fetch the model again."
            ) from error

    @cached_property
    def forest(self) -> Forest:
        """The ensemble compiled for prediction, once."""
        return compile_forest(self.text)

    @property
    def n_latent(self) -> int:
        """Raw scores a row: 1 for two classes, else one a class."""
        return self.forest.n_classes

    def predict_raw(self, features: Float32, *, n_threads: int = 1) -> Float64:
        """Raw scores, shape (n_latent, n), of ``features`` (n_features, n)."""
        raw = self.forest.predict_raw(
            np.ascontiguousarray(features, dtype=np.float32), n_threads=max(n_threads, 1)
        )
        return np.ascontiguousarray(raw.reshape(features.shape[1], self.n_latent).T)

    def explain(self, features: Float32, *, n_threads: int = 1) -> Float64:
        """Contributions to the raw scores, shape (n_latent, n_features + 1, n); last is the base.

        Shapley values of the trees (Lundberg et al. 2020, doi 10.1038/s42256-019-0138-9); they add
        up to the raw score.
        """
        n_features, n = features.shape
        parts = self.booster.predict(
            np.ascontiguousarray(features.T), pred_contrib=True, num_threads=max(n_threads, 1)
        )
        table = np.asarray(parts, dtype=np.float64).reshape(n, self.n_latent, n_features + 1)
        return np.ascontiguousarray(table.transpose(1, 2, 0))


def clean_text(booster: lightgbm.Booster) -> str:
    """Return the ensemble's text without the run's parameters, which name the thread count."""
    text = booster.model_to_string(num_iteration=-1)
    return re.sub(r"\nparameters:\n.*?end of parameters\n", "\n", text, flags=re.DOTALL)


def train_trees(
    features: Float32,
    targets: NDArray[np.int64],
    weights: Float64,
    *,
    n_classes: int,
    training: Training,
    seed: int,
) -> Trees:
    """Grow an ensemble, on one thread.

    Parameters
    ----------
    features
        Shape (n, n_features).
    targets
        Shape (n,), index of the class, 0 … n_classes − 1.
    weights
        Shape (n,).
    """
    parameters = training.to_parameters(n_classes=n_classes, seed=seed)
    data = lightgbm.Dataset(features, targets, weight=weights, free_raw_data=True)
    return Trees(clean_text(lightgbm.train(parameters, data, training.n_trees)))


def train_members(
    spec: FeatureSpec,
    features: Float32,
    targets: NDArray[np.int64],
    weights: Float64,
    *,
    n_classes: int,
    trainings: tuple[Training, ...],
    seed: int,
) -> tuple[Trees, ...]:
    """Grow one ensemble for each training; their mean raw score is the model's."""
    members = []
    for training in trainings:
        table = features
        if training.without:
            # A constant column is never split, so every member reads the same features.
            table = features.copy()
            table[:, [spec.names.index(name) for name in training.without]] = 0
        members.append(
            train_trees(table, targets, weights, n_classes=n_classes, training=training, seed=seed)
        )
    return tuple(members)


def predict_mean(members: tuple[Trees, ...], features: Float32) -> Float64:
    """Mean raw score of the members, shape (n_latent, n), of ``features`` (n_features, n)."""
    total = members[0].predict_raw(features)
    for member in members[1:]:
        total = total + member.predict_raw(features)
    return total / len(members)
