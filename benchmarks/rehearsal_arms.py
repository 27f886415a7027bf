"""What ``benchmarks.transfer`` and ``benchmarks.calibrate`` share: regions, models, kept results.

Results are kept one JSON line each under ``--state``, keyed by the rows, the settings and the
product's own source text, so that a run stopped half-way goes on where it was and a changed product
starts anew.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import geotransfer.accuracy.folds
import geotransfer.transfer
from benchmarks.report import make_parser
from geotransfer.accuracy.folds import measure_separation
from geotransfer.core.identity import content_id, hash_bytes
from geotransfer.core.legend import CROPLAND
from geotransfer.core.spec import S2_SEMIANNUAL, FeatureSpec
from geotransfer.core.verdict import VerdictKind
from geotransfer.transfer.baseline import BASELINE_TRAINING, train_baseline
from geotransfer.transfer.budget import Draw, draw_blocks
from geotransfer.transfer.choice import GLOBAL
from geotransfer.transfer.fine_tune import STRATEGIES, fine_tune
from geotransfer.transfer.gain import measure_macro_auc
from geotransfer.transfer.model import Model, to_probability
from geotransfer.transfer.model_file import dump_model, load_model
from geotransfer.transfer.rehearsal import train_left_out
from geotransfer.transfer.samples import (
    CalibrationSet,
    Samples,
    aggregate_prototypes,
    concatenate_samples,
    gather_positions,
    read_reference_table,
)
from geotransfer.transfer.strategies import (
    GaussianProcess,
    Pooled,
    RefitLeaves,
    RegionalOnly,
    average_models,
)
from geotransfer.transfer.threads import limit_blas
from geotransfer.transfer.trees import Training

QUICK_TRAINING = (Training(n_trees=60, n_leaves=15, learning_rate=0.1),)
SPATIAL = ("eastern", "northern", "western")
BLOCKS, CELLS = "blocks of 100 km", "cells of 5 km"
SIDES_KM = {BLOCKS: 100.0, CELLS: 5.0}
FAR_KM = 50.0
N_FULL_DRAWS = 5
"""Draws in which every arm is fitted; in the others the default and the global model."""
HARM = 0.01
USEFUL_GAIN = 0.03


def find_reference_tables() -> Path:
    """Return the folder of the reference tables."""
    here = os.environ.get("GEOTRANSFER_REFERENCE_DATA")
    root = Path(here) if here else Path(__file__).parents[2] / "shared" / "data"
    return root / "deafrica-cropland-2019"


def parse_arguments(description: str) -> argparse.Namespace:
    """Parse the flags both benchmarks take."""
    parser = make_parser(description)
    parser.add_argument("--source", type=Path, help="tables that train (default: reference)")
    parser.add_argument("--tables", type=Path, help="tables of the target regions")
    parser.add_argument("--state", type=Path, default=Path(".benchmarks"), help="kept results")
    parser.add_argument("--draws", type=int, help="at most this many draws of each kind")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    arguments.source = arguments.source or find_reference_tables()
    arguments.tables = arguments.tables or arguments.source
    if arguments.quick:
        # Other models than the shipped ones: their results never mix with a full run's.
        arguments.state = arguments.state / "quick"
    return arguments


def say(text: str) -> None:
    """Print progress to stderr."""
    print(text, file=sys.stderr, flush=True)


def read_tables(folder: Path, spec: FeatureSpec) -> dict[str, Samples]:
    """Read every region below ``folder``, by name."""
    return {
        path.parent.name: read_reference_table(path.parent, spec)
        for path in sorted(folder.glob("*/training_data.txt"))
    }


def hash_product() -> str:
    """Return the content id of the product's source text that decides the results."""
    files = sorted(Path(geotransfer.transfer.__path__[0]).glob("*.py"))
    files.append(Path(geotransfer.accuracy.folds.__file__))
    return hash_bytes(b"".join(path.read_bytes() for path in files))


@dataclass
class State:
    """Results and models kept between runs."""

    folder: Path
    name: str
    key: str
    results: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                # The last line of a run that was killed may be half written.
                with contextlib.suppress(ValueError):
                    row = json.loads(line)
                    self.results[row["id"]] = row["value"]

    @property
    def path(self) -> Path:
        return self.folder / f"{self.name}-{self.key[:16]}.jsonl"

    def keep(self, run_id: str, compute: Callable[[], Any]) -> Any:
        """Return a kept result, or compute and keep it."""
        if run_id not in self.results:
            value = compute()
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"id": run_id, "value": value}) + "\n")
            self.results[run_id] = value
        return self.results[run_id]


@dataclass(frozen=True, eq=False)
class Target:
    """A region, a global model that never saw it, and the prototypes of the others."""

    name: str
    table: Samples
    model: Model
    prototypes: Samples
    source: Samples


def load_targets(
    source: Path,
    tables: Path,
    *,
    names: tuple[str, ...],
    state: Path,
    threads: int,
    is_quick: bool = False,
) -> dict[str, Target]:
    """Train, or load, the global models. A region that is in both folders is left out in training.

    Quick: the smallest region alone, and smaller trees than the shipped ones, so that a cold start
    ends within the minute; the figures then say that something runs, not how well.
    """
    trainings = QUICK_TRAINING if is_quick else BASELINE_TRAINING
    names = names[-1:] if is_quick else names
    targets = read_tables(tables, S2_SEMIANNUAL)
    sources = targets if source == tables else read_tables(source, S2_SEMIANNUAL)
    names = tuple(name for name in names if name in targets)
    refuse_renamed(sources, targets)
    key = content_id(
        {
            "tables": {name: table.content_id for name, table in sources.items()},
            "trainings": trainings,
            "code": {
                name: hash_bytes((Path(geotransfer.transfer.__path__[0]) / name).read_bytes())
                for name in (
                    "baseline.py",
                    "gaussian_process.py",
                    "kernel_learning.py",
                    "model_file.py",
                    "rehearsal.py",
                    "trees.py",
                )
            },
        }
    )
    folder = state / f"models-{key[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    models: dict[str, Model] = {}
    known = tuple(name for name in names if name in sources)
    if known:
        missing = tuple(name for name in known if not (folder / f"{name}.json").exists())
        if missing:
            say(f"training global models without {', '.join(missing)}")
            left_out = train_left_out(
                sources,
                CROPLAND,
                trainings=trainings,
                n_threads=threads,
                regions=missing,
                report=lambda share, what: say(f"  {share:.0%} {what}"),
            )
            for name in missing:
                (folder / f"{name}.json").write_bytes(dump_model(left_out[name].model))
        models = {name: load_model((folder / f"{name}.json").read_bytes()) for name in known}
    if len(known) < len(names):
        path = folder / "all.json"
        if not path.exists():
            say("training the global model on all of --source")
            parts = tuple(sources.values())
            trained = train_baseline(
                concatenate_samples(*parts),
                CROPLAND,
                positions_km=gather_positions(*parts),
                trainings=trainings,
                n_threads=threads,
            )
            path.write_bytes(dump_model(trained))
        unseen = [name for name in names if name not in known]
        models |= dict.fromkeys(unseen, load_model(path.read_bytes()))
    out = {}
    for name in names:
        kept = [t for other, t in sources.items() if other != name]
        joined = concatenate_samples(*kept)
        out[name] = Target(
            name=name,
            table=targets[name],
            model=models[name],
            prototypes=aggregate_prototypes(joined),
            source=joined,
        )
    return out


def refuse_renamed(sources: dict[str, Samples], targets: dict[str, Samples]) -> None:
    """Stop where a target's rows are those of a source region of another name."""
    rows = {name: {r.tobytes() for r in table.measured} for name, table in sources.items()}
    for name, table in targets.items():
        for other, seen in rows.items():
            shared = 0 if other == name else sum(r.tobytes() in seen for r in table.measured)
            if shared > 0.1 * len(table):
                raise SystemExit(
                    f"{shared} of {len(table)} rows of target {name!r} are rows of source region"
                    f" {other!r}; give it that name, so that it is left out."
                )


def draw_rows(target: Target, mode: str, seed: int) -> Draw:
    """Hold out blocks or cells; a fresh grid origin and fresh labels for each seed."""
    assert target.table.xy_km is not None
    return draw_blocks(target.table.xy_km, SIDES_KM[mode], seed=seed)


def measure_balanced(probability: np.ndarray, targets: np.ndarray) -> float:
    """Return the mean of the classes' producer's accuracies."""
    predicted = probability.argmax(axis=0)
    return float(np.mean([(predicted[targets == k] == k).mean() for k in np.unique(targets)]))


def run_fine_tune(target: Target, mode: str, n: int, seed: int, *, is_full: bool) -> dict[str, Any]:
    """Fine-tune on ``n`` labels of one draw and score everything on its held-out rows.

    ``is_full`` tries every strategy on folds as the product does. Without it only the default is
    tried: with fewer labels than the product needs to switch, model and verdict are the same.
    """
    draw = draw_rows(target, mode, seed)
    labels, held = target.table.take(draw.pool[:n]), target.table.take(draw.holdout)
    assert held.xy_km is not None
    assert labels.xy_km is not None
    measured, xy = np.ascontiguousarray(held.measured.T), np.ascontiguousarray(held.xy_km.T)
    far = measure_separation(held.xy_km, labels.xy_km) > FAR_KM
    truth = held.classes

    def score(model: Model) -> dict[str, float]:
        p = to_probability(model.predict_latent(measured, xy))
        out = {
            "auc": float(measure_macro_auc(p, truth)[0]),
            "balanced": measure_balanced(p, truth),
        }
        if far.any() and 0 < truth[far].sum() < far.sum():
            out["far_auc"] = float(measure_macro_auc(p[:, far], truth[far])[0])
        return out

    tuned = fine_tune(
        target.model,
        CalibrationSet(labels),
        target.prototypes if is_full else None,
        seed=seed,
        strategies=STRATEGIES if is_full else (GaussianProcess(),),
    )
    verdict = tuned.verdict
    is_offered = verdict.kind is VerdictKind.USE_FINE_TUNED
    arms = {GLOBAL.name: score(target.model)}
    arms.update({name: score(model) for name, model in fit_arms(target, labels, seed).items()})
    return {
        "n": n,
        "seed": seed,
        "region": target.name,
        "mode": mode,
        "n_holdout": len(held),
        "median_km": float(np.median(measure_separation(held.xy_km, labels.xy_km))),
        "n_far": int(far.sum()),
        "kind": str(verdict.kind),
        "is_offered": is_offered,
        "candidate": score(tuned.model),
        "chosen": score(tuned.model if is_offered else target.model),
        "strategy": verdict.strategy,
        "tried": [row.strategy for row in verdict.strategies],
        "within_km": verdict.within_km,
        "interval": None if verdict.gain is None else [verdict.gain.low, verdict.gain.high],
        "expected": None if verdict.gain is None else verdict.gain.value,
        "chance": verdict.chance_of_gain,
        "observed": next((s.gain.value for s in verdict.strategies if s.is_chosen), None),
        "arms": arms,
    }


def fit_arms(target: Target, labels: Samples, seed: int) -> dict[str, Model]:
    """Fit every strategy on the labels of a draw, the costly ones in the first few draws only."""
    options = {"seed": seed, "n_threads": 1}
    with limit_blas():
        gp = GaussianProcess().fit(target.model, labels, None, **options)
        models = {gp.kind: gp}
        if seed < N_FULL_DRAWS:
            pooled = Pooled().fit(target.model, labels, target.prototypes, **options)
            models[pooled.kind] = pooled
            models["average"] = average_models(gp, pooled, name="average")
            for strategy in (RefitLeaves(), RegionalOnly()):
                if len(labels) >= strategy.min_labels:
                    models[strategy.name] = strategy.fit(target.model, labels, None, **options)
    return models


def keep_fine_tune(
    state: State, target: Target, mode: str, n: int, seed: int, *, is_full: bool = False
) -> dict[str, Any]:
    """Return one fine-tune, kept; both benchmarks share the runs they have in common."""
    run_id = f"{mode} {target.name} n={n} seed={seed} full={is_full} {target.table.content_id[:8]}"
    run: dict[str, Any] = state.keep(
        run_id, lambda: run_fine_tune(target, mode, n, seed, is_full=is_full)
    )
    return run


def average(values: list[float]) -> float | None:
    """Return the mean, or None of nothing."""
    return float(np.mean(values)) if values else None


def summarize_arms(runs: list[dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield every arm's mean AUC gain, its spread and its worst draw, by mode, n and region."""
    for mode, n in dict.fromkeys((r["mode"], r["n"]) for r in runs):
        rows = [r for r in runs if (r["mode"], r["n"]) == (mode, n)]
        for arm in dict.fromkeys(a for r in rows for a in r["arms"]):
            gains = [
                r["arms"][arm]["auc"] - r["arms"][GLOBAL.name]["auc"]
                for r in rows
                if arm in r["arms"]
            ]
            by_region = {
                region: average(
                    [
                        r["arms"][arm]["auc"] - r["arms"][GLOBAL.name]["auc"]
                        for r in rows
                        if r["region"] == region and arm in r["arms"]
                    ]
                )
                for region in dict.fromkeys(r["region"] for r in rows)
            }
            yield (
                f"{mode}, n={n}, {arm}",
                {
                    "auc": average([r["arms"][arm]["auc"] for r in rows if arm in r["arms"]]),
                    "gain": average(gains),
                    "spread": float(np.std(gains)),
                    "worst": min(gains),
                    "by_region": by_region,
                    "median_km": average([r["median_km"] for r in rows]),
                    "n_runs": len(gains),
                },
            )
