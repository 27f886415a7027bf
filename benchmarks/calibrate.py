"""Does calibrating pay, and is the verdict right: ``python -m benchmarks.calibrate --json``.

Each region is judged by a global model of the other five. Labels lie among the held-out rows with
cells of 5 km kept apart, or in other blocks of 100 km; thresholds and seeds are fixed here.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections.abc import Callable
from typing import Any

from benchmarks.rehearsal_arms import (
    BLOCKS,
    CELLS,
    HARM,
    SPATIAL,
    USEFUL_GAIN,
    State,
    Target,
    average,
    draw_rows,
    hash_product,
    keep_fine_tune,
    load_targets,
    parse_arguments,
    say,
    summarize_arms,
)
from benchmarks.report import make_figure, print_report
from geotransfer.core.identity import hash_bytes
from geotransfer.transfer.choice import GLOBAL
from geotransfer.transfer.fine_tune import fine_tune
from geotransfer.transfer.model_file import dump_model
from geotransfer.transfer.samples import CalibrationSet

N_LABELS = 100
N_DRAWS = 10
N_QUICK_DRAWS = 1
REACH = {
    "tour_s": 60.0,
    "gain_auc_100": 0.04,
    "harmful": 0.05,
    "useful_promoted": 0.6,
    "same_bytes": 1.0,
}


def measure_tour() -> tuple[float | None, str]:
    """Seconds of the tour in a browser, where ``benchmarks.tour`` can measure it."""
    if importlib.util.find_spec("benchmarks.tour") is None:
        return None, "needs benchmarks.tour: a browser drives the simulated tour"
    measure: Callable[[], tuple[float | None, str]] = importlib.import_module(
        "benchmarks.tour"
    ).measure_tour
    return measure()


def check_bytes(target: Target, *, seed: int = 0) -> bool:
    """Whether 1 and 2 threads, and two runs, make the same model."""
    labels = CalibrationSet(target.table.take(slice_labels(target, seed)))
    ids = {
        hash_bytes(
            dump_model(
                fine_tune(target.model, labels, target.prototypes, seed=seed, n_threads=n).model
            )
        )
        for n in (1, 2, 2)
    }
    return len(ids) == 1


def slice_labels(target: Target, seed: int) -> Any:
    """Labels for the comparison of bytes."""
    return draw_rows(target, CELLS, seed).pool[:N_LABELS]


def main() -> None:
    arguments = parse_arguments(__doc__ or "")
    n_draws = N_QUICK_DRAWS if arguments.quick else min(N_DRAWS, arguments.draws or N_DRAWS)
    targets = load_targets(
        arguments.source,
        arguments.tables,
        names=SPATIAL,
        state=arguments.state,
        threads=arguments.threads,
        is_quick=arguments.quick,
    )
    targets = {name: t for name, t in targets.items() if t.table.xy_km is not None}
    state = State(arguments.state, "runs", hash_product())
    runs: list[dict[str, Any]] = []
    for mode in (CELLS, BLOCKS):
        for name, target in targets.items():
            for seed in range(n_draws):
                runs.append(keep_fine_tune(state, target, mode, N_LABELS, seed))
                say(f"{mode}, {name}, draw {seed}: {runs[-1]['kind']}")
    seeds = f"0…{n_draws - 1}"
    spread = [r for r in runs if r["mode"] == CELLS]
    gains = [r["chosen"]["auc"] - r["arms"][GLOBAL.name]["auc"] for r in spread]
    harmful = [r["chosen"]["balanced"] < r["arms"][GLOBAL.name]["balanced"] - HARM for r in runs]
    useful = [
        r["is_offered"]
        for r in runs
        if r["candidate"]["auc"] - r["arms"][GLOBAL.name]["auc"] >= USEFUL_GAIN
    ]
    first = next(iter(targets.values()), None)
    same = None
    if first is not None:
        same = float(
            state.keep(f"same bytes {first.table.content_id[:8]}", lambda: check_bytes(first))
        )
    tour, tour_note = (None, "not run by --quick") if arguments.quick else measure_tour()
    values: dict[str, tuple[float | None, int, str]] = {
        "tour_s": (tour, 1, tour_note),
        "gain_auc_100": (
            average(gains),
            len(gains),
            "labels interspersed, 5 km cells disjoint: much of it interpolates between neighbours",
        ),
        "harmful": (
            average([float(v) for v in harmful]),
            len(harmful),
            "interspersed and block runs together; a model that is not offered does no harm",
        ),
        "useful_promoted": (
            average([float(v) for v in useful]),
            len(useful),
            "runs with a true gain of 0.03 AUC or more",
        ),
        "same_bytes": (same, 3, "1 and 2 threads, two runs of 2"),
    }
    figures = []
    for figure_id, (value, n, note) in values.items():
        reach = REACH[figure_id]
        is_upper = figure_id in ("tour_s", "harmful")
        low, high = (-math.inf, reach) if is_upper else (reach, math.inf)
        row = make_figure(
            figure_id, value, low=low, high=high, n=n, seed=seeds, note=note, decimals=5
        )
        figures.append(row)
    arms = dict(summarize_arms(runs))
    for mode in (CELLS, BLOCKS):
        rows = [r for r in runs if r["mode"] == mode]
        arms[f"{mode}: harmful"] = average(
            [
                float(r["chosen"]["balanced"] < r["arms"][GLOBAL.name]["balanced"] - HARM)
                for r in rows
            ]
        )
        arms[f"{mode}: offered"] = average([float(r["is_offered"]) for r in rows])
    print_report({"figures": figures, "arms": arms}, is_json=arguments.json)


if __name__ == "__main__":
    main()
