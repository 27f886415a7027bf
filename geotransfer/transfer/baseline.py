"""The global model: trained on the source regions, scaled by what it scores where it never was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from geotransfer.core.legend import Legend
from geotransfer.core.spec import BANDS, SEASONS
from geotransfer.errors import TableInvalid
from geotransfer.transfer.gaussian_process import Kernel, fit_projection
from geotransfer.transfer.kernel_learning import learn_kernel, make_practices
from geotransfer.transfer.model import Model, Scores
from geotransfer.transfer.samples import Samples
from geotransfer.transfer.threads import limit_blas, run_tasks
from geotransfer.transfer.trees import Training, predict_mean, train_members

Float64 = NDArray[np.float64]

BASELINE_TRAINING = (Training(n_trees=500, n_leaves=31, learning_rate=0.05),)
"""The shipped size: at most 32 leaves; the curve behind it is in docs/decisions/0007."""

_RAIN = ("rain_S1", "rain_S2")
_RAIN_USE = ("log_NDVI/rain_S1", "log_NDVI/rain_S2", "log_NDVI/rain_S2-S1")
_REFLECTANCES = tuple(f"{band}_{season}" for season in SEASONS for band in BANDS)

CLIMATE_TRAINING = (
    Training(n_trees=500, without=(*_RAIN, *_RAIN_USE)),
    Training(n_trees=500, without=_REFLECTANCES),
    Training(n_trees=800, feature_share=0.3, is_extra_random=True, without=(*_RAIN, *_RAIN_USE)),
    Training(n_trees=800, feature_share=0.3, is_extra_random=True, without=_REFLECTANCES),
)
"""The climate model: an average of four. Amounts of rain and light do not carry over together, so
no member reads both (docs/decisions/0010)."""

MIN_SLOPE, MAX_SLOPE = 0.05, 2.0
"""A scaling never inverts a ranking and never sharpens it beyond reason."""


def index_classes(legend: Legend, classes: NDArray[np.int64], *, where: str) -> NDArray[np.int64]:
    """Turn class codes into positions in the legend; an unknown code is an error."""
    position = {code: i for i, code in enumerate(legend.codes)}
    unknown = sorted(set(classes.tolist()) - set(position))
    if unknown:
        raise TableInvalid(
            f"{where}: class code {unknown[0]} is not in legend {legend.name!r}; map it to one of"
            f" {', '.join(f'{c.code} ({c.name})' for c in legend.classes)}."
        )
    return np.array([position[code] for code in classes.tolist()], dtype=np.int64)


def split_regions(samples: Samples, *, n_folds: int = 5) -> Iterator[NDArray[np.bool_]]:
    """Yield the test rows of leave-one-region-out.

    A single region falls back to folds of neighbouring rows in table order, which is weaker: its
    scaling may be too sure of itself elsewhere.
    """
    regions = np.unique(samples.region_ids)
    if len(regions) > 1:
        for region_id in regions:
            yield samples.region_ids == region_id
        return
    fold = np.arange(len(samples)) * n_folds // max(len(samples), 1)
    for k in range(n_folds):
        yield fold == k


def predict_left_out(
    samples: Samples,
    legend: Legend,
    *,
    trainings: tuple[Training, ...] = BASELINE_TRAINING,
    seed: int = 0,
    n_threads: int = 1,
) -> Float64:
    """Raw scores (n_latent, n) of each region's rows by trees that never saw the region."""
    targets = index_classes(legend, samples.classes, where="source samples")
    n_classes = len(legend.classes)
    out = np.zeros((1 if n_classes == 2 else n_classes, len(samples)))
    features = samples.features

    def predict(test: NDArray[np.bool_]) -> None:
        members = train_members(
            samples.spec,
            features[~test],
            targets[~test],
            samples.weights[~test],
            n_classes=n_classes,
            trainings=trainings,
            seed=seed,
        )
        out[:, test] = predict_mean(members, np.ascontiguousarray(features[test].T))

    run_tasks([partial(predict, test) for test in split_regions(samples)], n_threads=n_threads)
    return out


def fit_scaling(
    raw: Float64, targets: NDArray[np.int64], weights: Float64
) -> tuple[float, tuple[float, ...]]:
    """Fit slope and intercepts that make raw scores honest logits (Platt 1999).

    ``raw`` has shape (n_latent, n). One slope serves all classes, so that no scaling can exchange
    them. Where the slope would leave ``MIN_SLOPE … MAX_SLOPE`` it stays at the end.
    """
    n_latent = len(raw)
    weights = weights / weights.sum()
    rows = np.arange(raw.shape[1])

    def measure_loss(parameters: Float64) -> tuple[float, Float64]:
        slope, intercepts = parameters[0], parameters[1:]
        latent = slope * raw + intercepts[:, None]
        full = latent if n_latent > 1 else np.concatenate([np.zeros_like(latent), latent])
        full = full - full.max(axis=0)
        log_p = full - np.log(np.exp(full).sum(axis=0))
        surprise = np.exp(log_p) * weights
        surprise[targets, rows] -= weights
        surprise = surprise[-n_latent:]
        slope_gradient = (surprise * raw).sum()
        return float(-(weights * log_p[targets, rows]).sum()), np.array(
            [slope_gradient, *surprise.sum(axis=1)]
        )

    result = minimize(
        measure_loss,
        np.array([0.5, *np.zeros(n_latent)]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(MIN_SLOPE, MAX_SLOPE), *[(-20.0, 20.0)] * n_latent],
    )
    # Rounded, so that the last bits of an optimiser never change a model's name.
    slope, *intercepts = (round(float(v), 6) for v in result.x)
    return slope, tuple(intercepts)


def scale_scores(raw: Float64, scaling: tuple[float, tuple[float, ...]]) -> Float64:
    """Turn raw scores (n_latent, n) into calibrated ones."""
    return np.asarray(scaling[0] * raw + np.array(scaling[1])[:, None])


def train_baseline(
    source: Samples,
    legend: Legend,
    *,
    trainings: tuple[Training, ...] = BASELINE_TRAINING,
    seed: int = 0,
    n_threads: int = 1,
    report: Callable[[float, str], None] | None = None,
    scaling: tuple[float, tuple[float, ...]] | None = None,
    positions_km: Float64 | None = None,
    kernel: Kernel | None = None,
) -> Model:
    """Train the global model; the same bytes for one seed and any thread count.

    Parameters
    ----------
    source
        Samples of the source regions. Rows with a missing feature are left out.
    report
        Told a share done, 0–1, and what is being done.
    trainings
        One for each member; the model's score is the mean of theirs.
    scaling
        Slope and intercepts of the logit where they are known; None: fitted leave-one-region-out,
        which trains once more for each region.
    positions_km
        Shape (n, 2), of the samples, NaN where not known (``gather_positions``): where scaling is
        fitted, the lengths of a correction are learned on the regions that have them.
    kernel
        Of a correction, where it is known.

    Raises
    ------
    TableInvalid
        No rows, a class code outside the legend, or fewer than two classes.
    """
    valid = np.flatnonzero(np.isfinite(source.features).all(axis=1))
    source = source.take(valid)
    if positions_km is not None:
        positions_km = positions_km[valid]
    targets = index_classes(legend, source.classes, where="source samples")
    if len(np.unique(targets)) < 2:
        raise TableInvalid(
            "the source samples hold fewer than two classes; add samples of the others."
        )
    with limit_blas():
        projection = fit_projection(source.features, source.weights)
        if scaling is None:
            if report:
                report(0.0, "Scaling the score leave-one-region-out")
            left_out = predict_left_out(
                source, legend, trainings=trainings, seed=seed, n_threads=n_threads
            )
            scaling = fit_scaling(left_out, targets, source.weights)
            if positions_km is not None and kernel is None:
                if report:
                    report(0.7, "Learning the lengths of a correction on the source regions")
                kernel = learn_kernel(
                    make_practices(
                        projection.project(source.features),
                        positions_km,
                        scale_scores(left_out, scaling),
                        targets,
                        source.region_ids,
                    ),
                    seed=seed,
                )
        if report:
            report(0.8, "Training on all source regions")
        members = train_members(
            source.spec,
            source.features,
            targets,
            source.weights,
            n_classes=len(legend.classes),
            trainings=trainings,
            seed=seed,
        )
    if report:
        report(1.0, "Global model trained")
    return Model(
        spec=source.spec,
        legend=legend,
        kind="baseline",
        scores=Scores(
            trees=members,
            slopes=(scaling[0] / len(members),) * len(members),
            intercepts=scaling[1],
        ),
        projection=projection,
        kernel=kernel,
        source_region_ids=tuple(np.unique(source.region_ids).tolist()),
        source_id=source.content_id,
    )
