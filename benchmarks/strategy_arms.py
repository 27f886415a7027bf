"""Ways to use a few labels that lost, measured beside the one that is shipped.

``python -m benchmarks.strategy_arms [--quick]`` prints the mean AUC gain over the global model on
blocks and among cells, for what docs/decisions/0023 says was tried: residual and continued
boosting, leaf refit, weighted pooling with and without similarity to the target, and a logistic
rescaling (Platt). Nothing here is part of the product; models and draws are the transfer
benchmark's.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import lightgbm as lgb
import numpy as np
from scipy.spatial import cKDTree
from sklearn.linear_model import LogisticRegression

from benchmarks.rehearsal_arms import (
    BLOCKS,
    CELLS,
    SPATIAL,
    State,
    Target,
    average,
    draw_rows,
    hash_product,
    load_targets,
    parse_arguments,
    say,
)
from benchmarks.transfer_rivals import score_auc
from geotransfer.transfer.samples import Samples
from geotransfer.transfer.strategies import GaussianProcess, Pooled, RefitLeaves

SIZES = (30, 100, 300)
N_DRAWS = 5
_PARAMETERS = {
    "objective": "binary",
    "seed": 0,
    "deterministic": True,
    "force_col_wise": True,
    "num_threads": 1,
    "verbose": -1,
}
Scores = np.ndarray
Arm = Callable[[Target, Samples, Samples], Scores]


def _predict_global(target: Target, rows: Samples) -> Scores:
    return target.model.predict_latent(np.ascontiguousarray(rows.measured.T))[0]


def run_residual(target: Target, labels: Samples, held: Samples) -> Scores:
    """Sixty trees of depth two on what the global logit leaves."""
    data = lgb.Dataset(labels.features, labels.classes, init_score=_predict_global(target, labels))
    parameters = {
        **_PARAMETERS, "num_leaves": 4, "max_depth": 2, "learning_rate": 0.05,
        "min_data_in_leaf": 5,
    }  # fmt: skip
    booster = lgb.train(parameters, data, 60)
    return _predict_global(target, held) + booster.predict(
        held.features, raw_score=True, num_threads=1
    )


def run_continued(target: Target, labels: Samples, held: Samples) -> Scores:
    """Fifty more trees on the global ensemble (LightGBM ``init_model``)."""
    parent = lgb.Booster(model_str=target.model.scores.trees[0].text)
    parameters = {
        **_PARAMETERS, "num_leaves": 15, "learning_rate": 0.05, "min_data_in_leaf": 5,
    }  # fmt: skip
    data = lgb.Dataset(labels.features, labels.classes, free_raw_data=False)
    booster = lgb.train(parameters, data, 50, init_model=parent)
    return np.asarray(booster.predict(held.features, raw_score=True, num_threads=1))


def run_similar(target: Target, labels: Samples, held: Samples) -> Scores:
    """Weighted pooling; source rows count by their likeness to the labels."""
    z = target.model.projection.project
    distance, _ = cKDTree(z(labels.features)).query(z(target.prototypes.features))
    likeness = np.exp(-(distance**2) / (2 * np.median(distance) ** 2))
    rows = target.prototypes
    weights = rows.weights * likeness * rows.weights.sum() / (rows.weights * likeness).sum()
    parameters = {**_PARAMETERS, "num_leaves": 31, "learning_rate": 0.1, "feature_fraction": 0.5}
    data = lgb.Dataset(
        np.concatenate([rows.features, labels.features]),
        np.concatenate([rows.classes, labels.classes]),
        weight=np.concatenate([weights, np.full(len(labels), 20.0)]),
    )
    booster = lgb.train(parameters, data, 150)
    return np.asarray(booster.predict(held.features, raw_score=True, num_threads=1))


def run_platt(target: Target, labels: Samples, held: Samples) -> Scores:
    """Slope and intercept of the global logit fitted to the labels: it may invert the ranking."""
    model = LogisticRegression(C=1e6, max_iter=200)
    model.fit(_predict_global(target, labels)[:, None], labels.classes)
    return np.asarray(model.decision_function(_predict_global(target, held)[:, None]))


def _run_strategy(strategy: GaussianProcess | Pooled | RefitLeaves) -> Arm:
    def run(target: Target, labels: Samples, held: Samples) -> Scores:
        model = strategy.fit(target.model, labels, target.prototypes, seed=0, n_threads=1)
        assert held.xy_km is not None
        return model.predict_latent(
            np.ascontiguousarray(held.measured.T), np.ascontiguousarray(held.xy_km.T)
        )[0]

    return run


ARMS: dict[str, Arm] = {
    "gp correction (shipped default)": _run_strategy(GaussianProcess()),
    "weighted pooling x20": _run_strategy(Pooled()),
    "weighted pooling x20, by likeness": run_similar,
    "residual boosting, depth 2": run_residual,
    "continued boosting": run_continued,
    "leaf refit, decay .9": _run_strategy(RefitLeaves()),
    "Platt on the global logit": run_platt,
}


def main() -> None:
    arguments = parse_arguments(__doc__ or "")
    targets = load_targets(
        arguments.source,
        arguments.tables,
        names=SPATIAL,
        state=arguments.state,
        threads=arguments.threads,
        is_quick=arguments.quick,
    )
    state = State(arguments.state, "strategies", hash_product())
    n_draws = 1 if arguments.quick else min(arguments.draws or N_DRAWS, N_DRAWS)
    table: dict[str, dict[str, float | None]] = {}
    for mode in (BLOCKS, CELLS):
        for n in SIZES:
            for arm, run in ARMS.items():
                gains = []
                for name, target in targets.items():
                    for seed in range(n_draws):
                        draw = draw_rows(target, mode, seed)
                        labels = target.table.take(draw.pool[:n])
                        held = target.table.take(draw.holdout)
                        gains.append(
                            state.keep(
                                f"{arm} {mode} {name} n={n} seed={seed}",
                                lambda run=run, target=target, labels=labels, held=held: (
                                    score_auc(run(target, labels, held), held.classes)
                                    - score_auc(_predict_global(target, held), held.classes)
                                ),
                            )
                        )
                table.setdefault(arm, {})[f"{mode}, n={n}"] = average(gains)
            say(f"{mode}, n={n} done")
    if arguments.json:
        print(json.dumps({"figures": [], "arms": table}))
        return
    for arm, by_case in table.items():
        print(f"{arm:36}", *(f"{case} {gain:+.3f} " for case, gain in by_case.items()))


if __name__ == "__main__":
    main()
