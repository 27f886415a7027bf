"""Rehearsals on regions whose reference is known: what a model does where it has never been.

Everything here is pure; a workflow calls it and writes what it returns to ``data/``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from geotransfer.accuracy.matrix import evaluate_rows
from geotransfer.core.budget import BudgetCurve, RehearsedRegion
from geotransfer.core.estimate import Evaluation
from geotransfer.core.legend import Legend
from geotransfer.errors import LeakRefused, TableInvalid
from geotransfer.transfer.baseline import (
    BASELINE_TRAINING,
    fit_scaling,
    index_classes,
    scale_scores,
    train_baseline,
)
from geotransfer.transfer.budget import (
    Draw,
    Trace,
    draw_apart_in_rain,
    draw_blocks,
    summarize_traces,
    trace_draw,
)
from geotransfer.transfer.gaussian_process import fit_projection
from geotransfer.transfer.kernel_learning import learn_kernel, make_practices
from geotransfer.transfer.model import Model
from geotransfer.transfer.samples import Samples, concatenate_samples, gather_positions
from geotransfer.transfer.strategies import GaussianProcess, Pooled, RegionalOnly, Strategy
from geotransfer.transfer.threads import limit_blas, run_tasks
from geotransfer.transfer.trees import Training, predict_mean, train_members

Float64 = NDArray[np.float64]
Report = Callable[[float, str], None]

SIZES = (50, 100, 300, 1000)
BLOCK_KM = 100.0
CELL_KM = 5.0
ARMS: tuple[Strategy, ...] = (GaussianProcess(), Pooled(), RegionalOnly())


@dataclass(frozen=True, eq=False, kw_only=True)
class LeftOut:
    """A global model that never saw one region, and what it scores there."""

    region_id: str
    model: Model
    evaluation: Evaluation
    probability: NDArray[np.float32]
    """Shape (n_classes, n), of the region's rows."""


def train_left_out(
    tables: Mapping[str, Samples],
    legend: Legend,
    *,
    trainings: tuple[Training, ...] = BASELINE_TRAINING,
    seed: int = 0,
    n_threads: int = 1,
    report: Report | None = None,
    regions: tuple[str, ...] | None = None,
) -> dict[str, LeftOut]:
    """Train one global model a region on all the others, and judge it there.

    The logit's scaling is fitted on source regions that were left out in turn, so that the region
    itself takes no part in anything. Trees without a pair of regions serve both of the pair.

    Parameters
    ----------
    tables
        Samples by region id, one spec, at least three regions.
    regions
        Which to leave out; None: each.
    """
    if len(tables) < 3:
        raise TableInvalid("leaving regions out needs tables of at least three regions.")
    wanted = regions or tuple(tables)
    targets = {
        name: index_classes(legend, table.classes, where=name) for name, table in tables.items()
    }
    pairs = [pair for pair in combinations(sorted(tables), 2) if set(pair) & set(wanted)]
    raw: dict[tuple[str, str], Float64] = {}
    done = 0

    def train_without(pair: tuple[str, str]) -> None:
        nonlocal done
        kept = [name for name in tables if name not in pair]
        source = concatenate_samples(*[tables[name] for name in kept])
        members = train_members(
            source.spec,
            source.features,
            np.concatenate([targets[name] for name in kept]),
            source.weights,
            n_classes=len(legend.classes),
            trainings=trainings,
            seed=seed,
        )
        for left, scored in (pair, pair[::-1]):
            raw[left, scored] = predict_mean(
                members, np.ascontiguousarray(tables[scored].features.T)
            )
        done += 1
        if report:
            report(0.7 * done / len(pairs), f"Without {pair[0]} and {pair[1]}")

    out: dict[str, LeftOut] = {}
    with limit_blas():
        run_tasks([partial(train_without, pair) for pair in pairs], n_threads=n_threads)

        def finish(name: str) -> None:
            kept = [other for other in tables if other != name]
            parts = [tables[other] for other in kept]
            source = concatenate_samples(*parts)
            left_out = np.concatenate([raw[name, other] for other in kept], axis=1)
            classes = np.concatenate([targets[other] for other in kept])
            scaling = fit_scaling(left_out, classes, source.weights)
            projection = fit_projection(source.features, source.weights)
            kernel = learn_kernel(
                make_practices(
                    projection.project(source.features),
                    gather_positions(*parts),
                    scale_scores(left_out, scaling),
                    classes,
                    source.region_ids,
                ),
                seed=seed,
            )
            model = train_baseline(
                source,
                legend,
                trainings=trainings,
                seed=seed,
                scaling=scaling,
                kernel=kernel,
            )
            out[name] = judge_left_out(model, tables[name], name, seed=seed)
            if report:
                report(0.7 + 0.3 * len(out) / len(wanted), f"{name} judged")

        run_tasks([partial(finish, name) for name in wanted], n_threads=n_threads)
    return {name: out[name] for name in wanted}


def judge_left_out(model: Model, table: Samples, region_id: str, *, seed: int = 0) -> LeftOut:
    """Judge a model on every row of a region it never saw.

    Raises
    ------
    LeakRefused
        The region trained the model.
    """
    if set(table.region_ids.tolist()) & set(model.source_region_ids):
        raise LeakRefused(
            f"{region_id} trained this model; judge it with a model that left the region out."
        )
    probability = model.predict(np.ascontiguousarray(table.measured.T))
    valid = np.isfinite(probability[0])
    evaluation = evaluate_rows(
        np.array(model.legend.codes)[probability[:, valid].argmax(axis=0)],
        table.classes[valid],
        probability[1, valid] if len(probability) == 2 else None,
        model.legend,
        estimand="leave-one-region-out",
        separation_km=None,
        groups=None,
        seed=seed,
    )
    return LeftOut(region_id=region_id, model=model, evaluation=evaluation, probability=probability)


def rehearse_region(
    model: Model,
    table: Samples,
    source: Samples,
    *,
    rain_mm: Float64 | None = None,
    strategies: tuple[Strategy, ...] = ARMS,
    sizes: tuple[int, ...] = SIZES,
    n_draws: int = 10,
    seed: int = 0,
    check: Callable[[], None] = lambda: None,
) -> RehearsedRegion:
    """Rehearse fine-tuning on one region: global, chosen default, pooled, regional only.

    With positions: whole blocks of ``BLOCK_KM`` held out, and labels spread among the held-out rows
    with cells of ``CELL_KM`` kept apart; never one without the other. Without positions: rows that
    differ in rain from every label, named so, which is no substitute for distance.

    Parameters
    ----------
    model
        A global model that never saw the region.
    source
        Samples or prototypes of the other regions.
    rain_mm
        Shape (n, 2); needed where positions are not known.
    """
    if set(table.region_ids.tolist()) & {*model.source_region_ids, *source.region_ids.tolist()}:
        raise LeakRefused(
            "the region took part in training; rehearse with a model that left it out."
        )

    def trace(draw: Draw, draw_seed: int, sizes: tuple[int, ...]) -> tuple[list[Trace], int]:
        traces = trace_draw(
            model,
            table,
            source,
            draw,
            sizes=sizes,
            strategies=strategies,
            seed=draw_seed,
            check=check,
        )
        return traces, len(draw.holdout)

    curves: list[BudgetCurve] = []
    with limit_blas():
        if table.xy_km is not None:
            for block_km, name in (
                (BLOCK_KM, f"blocks of {BLOCK_KM:g} km"),
                (CELL_KM, f"cells of {CELL_KM:g} km"),
            ):
                results = [
                    trace(draw_blocks(table.xy_km, block_km, seed=seed + k), seed + k, sizes)
                    for k in range(n_draws)
                ]
                curves.append(_summarize(results, name))
        elif rain_mm is not None:
            results = []
            for k in range(n_draws):
                for n in sizes:
                    draw = draw_apart_in_rain(rain_mm, n, seed=seed + k)
                    if len(draw.holdout) < 50:
                        continue
                    results.append(trace(draw, seed + k, (n,)))
            if results:
                curves.append(_summarize(results, "rain differs by 50 mm"))
    return RehearsedRegion(region_id=str(table.region_ids[0]), curves=tuple(curves))


def _summarize(results: list[tuple[list[Trace], int]], name: str) -> BudgetCurve:
    return summarize_traces(
        [trace for traces, _ in results for trace in traces],
        separation=name,
        n_draws=len(results),
        n_holdout=int(np.median([n for _, n in results])),
    )
