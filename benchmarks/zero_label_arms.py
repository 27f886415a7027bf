"""What a global model scores where it has no label at all, and what curation costs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rehearsal_arms import State, read_tables
from geotransfer.core.spec import S2_SEMIANNUAL, S2_SEMIANNUAL_CLIMATE, FeatureSpec
from geotransfer.transfer.baseline import BASELINE_TRAINING, CLIMATE_TRAINING
from geotransfer.transfer.curation import curate_samples
from geotransfer.transfer.gain import measure_macro_auc
from geotransfer.transfer.samples import Samples, concatenate_samples
from geotransfer.transfer.trees import Training, predict_mean, train_members

SHARES = (0.05, 0.1, 0.2, 0.4)
HEADLINE = "20% curated, with the opinion of all"
OPINION_SLOPE = 0.5
"""Raw scores are about twice too sure elsewhere (docs/decisions/0007)."""


def score_region(
    source: Samples, held: Samples, trainings: tuple[Training, ...], *, seed: int = 0
) -> float:
    """AUC on ``held`` of trees that saw ``source`` alone."""
    members = train_members(
        source.spec, source.features, source.classes, source.weights, n_classes=2,
        trainings=trainings, seed=seed,
    )  # fmt: skip
    raw = predict_mean(members, np.ascontiguousarray(held.features.T))
    return float(measure_macro_auc(raw, held.classes)[0])


def _pair_up(source: Path, tables: Path, spec: FeatureSpec) -> dict[str, tuple[Samples, Samples]]:
    """The samples that may train for each target region, and the region's own."""
    targets = read_tables(tables, spec)
    sources = targets if source == tables else read_tables(source, spec)
    return {
        name: (
            concatenate_samples(*[t for other, t in sources.items() if other != name]),
            table,
        )
        for name, table in targets.items()
    }


def measure_climate(source: Path, tables: Path, state: State) -> tuple[float, dict[str, Any]]:
    """Mean AUC of the climate model over the regions left out in turn."""
    arms: dict[str, float] = {}
    for name, (rows, held) in _pair_up(source, tables, S2_SEMIANNUAL_CLIMATE).items():
        arms[name] = state.keep(
            f"climate {name} {held.content_id[:8]} {rows.content_id[:8]}",
            lambda rows=rows, held=held: score_region(rows, held, CLIMATE_TRAINING),
        )
    return float(np.mean(list(arms.values()))), arms


def measure_zero_label(
    source: Path, tables: Path, state: State, *, known: dict[str, float]
) -> tuple[float, dict[str, float]]:
    """Mean AUC of the default spec's model on regions it never saw.

    ``known`` holds regions already scored by the same model.
    """
    arms = dict(known)
    for name, (rows, held) in _pair_up(source, tables, S2_SEMIANNUAL).items():
        if name not in arms:
            arms[name] = state.keep(
                _name_run(name, rows, held),
                lambda rows=rows, held=held: score_region(rows, held, BASELINE_TRAINING),
            )
    return float(np.mean(list(arms.values()))), arms


def _name_run(name: str, rows: Samples, held: Samples) -> str:
    return f"zero label all {name} {held.content_id[:8]} {rows.content_id[:8]}"


def measure_curation(
    source: Path, tables: Path, state: State, *, known: dict[str, float]
) -> tuple[float, dict[str, Any]]:
    """Mean AUC lost by training on a curated fifth of the source samples; the curve is printed."""
    curve: dict[str, dict[str, float]] = {"all": dict(known)}
    for name, (rows, held) in _pair_up(source, tables, S2_SEMIANNUAL).items():
        found = state.keep(
            f"curated {_name_run(name, rows, held)}",
            lambda rows=rows, held=held: _curate(rows, held),
        )
        for arm, auc in found.items():
            curve.setdefault(arm, {})[name] = auc
    means = {arm: float(np.mean(list(by_name.values()))) for arm, by_name in curve.items()}
    return means["all"] - means[HEADLINE], {"mean": means, "by region": curve}


def _curate(rows: Samples, held: Samples) -> dict[str, float]:
    """Train on each share of the rows, with their own classes and with the opinion of all."""
    teacher = train_members(
        rows.spec, rows.features, rows.classes, rows.weights, n_classes=2,
        trainings=BASELINE_TRAINING, seed=0,
    )  # fmt: skip
    raw = predict_mean(teacher, np.ascontiguousarray(rows.features.T))[0]
    crop = 1 / (1 + np.exp(-OPINION_SLOPE * raw))
    opinion = np.column_stack([1 - crop, crop])
    out: dict[str, float] = {}
    for share in SHARES:
        for arm, told in (("", None), (", with the opinion of all", opinion)):
            curated = curate_samples(rows, share=share, opinion=told)
            out[f"{share:.0%} curated{arm}"] = score_region(curated, held, BASELINE_TRAINING)
    return out
