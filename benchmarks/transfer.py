"""Transfer that is honest: ``python -m benchmarks.transfer --json [--quick]``.

``--source DIR`` holds the tables that train, ``--tables DIR`` those of the target regions (default:
the reference tables for both); a region in both is judged by models that left it out.
Figures that separate labels from tests in space use target regions with coordinates; for others
they are null with the reason. Thresholds and seeds are fixed here; results are kept under
``--state``, so a run that was stopped goes on. Every arm is printed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.accuracy_arms import measure_accuracy
from benchmarks.rehearsal_arms import (
    BLOCKS,
    CELLS,
    FAR_KM,
    HARM,
    N_FULL_DRAWS,
    USEFUL_GAIN,
    State,
    Target,
    average,
    hash_product,
    keep_fine_tune,
    load_targets,
    parse_arguments,
    read_tables,
    say,
    summarize_arms,
)
from benchmarks.report import make_figure, print_report
from benchmarks.transfer_rivals import (
    BEST_SIZES,
    RAW_SIZES,
    measure_labels_to_equal,
    run_pooled_raw,
    run_regional_best,
    run_regional_raw,
)
from benchmarks.zero_label_arms import measure_climate, measure_curation, measure_zero_label
from geotransfer.core.spec import S2_SEMIANNUAL
from geotransfer.transfer.choice import GLOBAL, MIN_LABELS_TO_SWITCH
from geotransfer.transfer.gain import measure_macro_auc
from geotransfer.transfer.model import to_probability

REACH: dict[str, tuple[float, float]] = {
    "zero_label_auc": (0.74, 1),
    "zero_label_climate_auc": (0.77, 1),
    "blocks_gain_300": (0.045, 1),
    "blocks_gain_far_300": (0.025, 1),
    "interspersed_gain_100": (0.06, 1),
    "labels_equal_raw": (1000, np.inf),
    "labels_equal_best": (200, np.inf),
    "choice_regret": (-1, 0.008),
    "harmful": (0, 0.05),
    "useful_promoted": (0.6, 1),
    "gain_coverage": (0.87, 0.97),
    "gain_width": (0, 0.12),
    "design_coverage": (0.93, 0.97),
    "ppi_width": (0, 0.75),
    "curation_auc": (-1, 0.005),
}
"""Lowest and highest value at which a figure holds."""
N_DRAWS = {BLOCKS: {300: 17, 100: 17, 200: 17, 50: 17}, CELLS: {100: 10, 50: 10, 200: 10}}
N_QUICK_DRAWS = 1
MIN_INTERVALS = 200
REGRET_SIZES = (50, 100, 200)

Figures = dict[str, tuple[float | None, int, str]]
Runs = list[dict[str, Any]]


def score_zero_label(target: Target) -> float:
    """AUC of the global model on a region it never saw."""
    latent = target.model.predict_latent(np.ascontiguousarray(target.table.measured.T))
    return float(measure_macro_auc(to_probability(latent), target.table.classes)[0])


def collect_runs(
    targets: dict[str, Target], state: State, *, is_quick: bool, max_draws: int
) -> Runs:
    """Fine-tune every region, mode, number of labels and draw."""
    runs: Runs = []
    for mode, by_n in N_DRAWS.items():
        for n, n_draws in by_n.items():
            for name, target in targets.items():
                for seed in range(N_QUICK_DRAWS if is_quick else min(n_draws, max_draws)):
                    is_full = n >= MIN_LABELS_TO_SWITCH and seed < N_FULL_DRAWS and not is_quick
                    runs.append(keep_fine_tune(state, target, mode, n, seed, is_full=is_full))
                say(f"{mode}, n={n}, {name} done")
    return runs


def gain_of(run: dict[str, Any], which: str = "auc") -> float:
    """AUC of what the product would use minus the global model's."""
    return float(run["chosen"][which] - run["arms"][GLOBAL.name][which])


def summarize_runs(runs: Runs, arms: dict[str, Any]) -> Figures:
    """Turn the runs into figures."""
    far_300 = [
        gain_of(r, "far_auc")
        for r in runs
        if r["mode"] == BLOCKS and r["n"] == 300 and "far_auc" in r["chosen"]
    ]
    blocks_300 = [gain_of(r) for r in runs if r["mode"] == BLOCKS and r["n"] == 300]
    regrets = {
        mode: {
            n: average(
                [
                    max(a["auc"] for a in r["arms"].values()) - r["chosen"]["auc"]
                    for r in runs
                    if r["mode"] == mode and r["n"] == n and r["seed"] < N_FULL_DRAWS
                ]
            )
            for n in REGRET_SIZES
        }
        for mode in (CELLS, BLOCKS)
    }
    arms["choice regret against each run's best arm"] = regrets
    spread = [v for v in regrets[CELLS].values() if v is not None]
    blocks = [r for r in runs if r["mode"] == BLOCKS]
    harmful = [
        float(r["chosen"]["balanced"] < r["arms"][GLOBAL.name]["balanced"] - HARM) for r in runs
    ]
    arms["harmful, blocks alone"] = {
        n: average(
            [
                float(r["chosen"]["balanced"] < r["arms"][GLOBAL.name]["balanced"] - HARM)
                for r in blocks
                if r["n"] == n
            ]
        )
        for n in N_DRAWS[BLOCKS]
    }
    arms["strategy chosen where all were tried"] = {
        name: sum(r["strategy"] == name for r in runs if len(r.get("tried", ())) > 2)
        for name in dict.fromkeys(r["strategy"] for r in runs)
    }
    arms["offered, blocks alone"] = {
        n: average([float(r["is_offered"]) for r in blocks if r["n"] == n]) for n in N_DRAWS[BLOCKS]
    }
    block_harm = [h for h, r in zip(harmful, runs, strict=True) if r["mode"] == BLOCKS]
    useful = [
        float(r["is_offered"])
        for r in runs
        if r["candidate"]["auc"] - r["arms"][GLOBAL.name]["auc"] >= USEFUL_GAIN
    ]
    stated = [r for r in blocks if r["interval"] is not None]
    covered = [
        float(low <= r["candidate"]["auc"] - r["arms"][GLOBAL.name]["auc"] <= high)
        for r in stated
        for low, high in [r["interval"]]
    ]
    widths = [r["interval"][1] - r["interval"][0] for r in stated]
    arms["gain coverage by region"] = {
        region: average([c for c, r in zip(covered, stated, strict=True) if r["region"] == region])
        for region in dict.fromkeys(r["region"] for r in stated)
    }
    enough = len(covered) >= MIN_INTERVALS
    few = "" if enough else f"fewer than {MIN_INTERVALS} runs: "
    return {
        "blocks_gain_300": (average(blocks_300), len(blocks_300), "blocks of 100 km, no labels in"),
        "blocks_gain_far_300": (
            average(far_300),
            len(far_300),
            f"rows more than {FAR_KM:g} km from any label",
        ),
        "choice_regret": (
            average(spread),
            sum(r["mode"] == CELLS and r["seed"] < N_FULL_DRAWS for r in runs),
            "labels interspersed, against the best arm of each run; blocks are in arms",
        ),
        "harmful": (
            average(block_harm),
            len(block_harm),
            "of all runs on held-out blocks, offered or not",
        ),
        "useful_promoted": (average(useful), len(useful), "blocks and cells, true gain ≥ 0.03"),
        "gain_coverage": (
            average(covered),
            len(covered),
            f"{few}stated 90 % intervals; a region's draws share rows",
        ),
        "gain_width": (
            float(np.median(widths)) if widths else None,
            len(widths),
            "median width of the stated interval",
        ),
    }


def measure_rivals(
    targets: dict[str, Target], runs: Runs, state: State, arms: dict[str, Any], *, is_quick: bool
) -> Figures:
    """Compare the result at 100 labels with what people usually train."""
    n_draws = N_QUICK_DRAWS if is_quick else 10
    curve_draws = N_QUICK_DRAWS if is_quick else 3
    at_100 = [r for r in runs if r["mode"] == CELLS and r["n"] == 100]

    def keep(what: str, target: Target, n: int, seed: int, run: Callable[..., Any]) -> Any:
        run_id = f"{what} {target.name} n={n} seed={seed} {target.table.content_id[:8]}"
        return state.keep(run_id, lambda: run(target, n, seed))

    gains = []
    pooled: dict[str, list[float]] = {}
    for run in at_100:
        if run["seed"] >= n_draws:
            continue
        target = targets[run["region"]]
        rival = keep("pooled raw", target, 100, run["seed"], run_pooled_raw)
        pooled.setdefault(target.name, []).append(rival)
        gains.append(run["chosen"]["auc"] - rival)
    arms["weighted pooling x20, 30 measured columns, n=100"] = {
        name: average(values) for name, values in pooled.items()
    }
    wanted = {
        # The same draws as the rivals' curves: a fresh draw moves both.
        name: float(
            np.mean(
                [
                    r["chosen"]["auc"]
                    for r in at_100
                    if r["region"] == name and r["seed"] < curve_draws
                ]
            )
        )
        for name in targets
    }
    raw: dict[str, dict[int, list[float]]] = {}
    best: dict[str, dict[int, list[float]]] = {}
    learners: dict[str, Any] = {}
    for name, target in targets.items():
        for seed in range(curve_draws):
            for n in RAW_SIZES:
                value = keep("regional raw", target, n, seed, run_regional_raw)
                if value is not None:
                    raw.setdefault(name, {}).setdefault(n, []).append(value)
            for n in BEST_SIZES:
                found = keep("regional best", target, n, seed, run_regional_best)
                if found:
                    best.setdefault(name, {}).setdefault(n, []).append(max(found.values()))
                    for learner, auc in found.items():
                        learners.setdefault(f"{name}, n={n}", {}).setdefault(learner, []).append(
                            auc
                        )
        say(f"rivals of {name} done")
    arms["regional learners"] = {
        place: {learner: average(aucs) for learner, aucs in found.items()}
        for place, found in learners.items()
    }
    equal_raw, arms["labels to equal, raw LightGBM"] = measure_labels_to_equal(raw, wanted)
    equal_best, arms["labels to equal, best regional"] = measure_labels_to_equal(best, wanted)
    return {
        "interspersed_gain_100": (
            average(gains),
            len(gains),
            "rival: 30 measured columns, 300 trees",
        ),
        "labels_equal_raw": (
            equal_raw,
            len(raw),
            "a region that never reaches it counts its largest n",
        ),
        "labels_equal_best": (
            equal_best,
            len(best),
            "best of forests and Gaussian processes, in each draw, all features and position",
        ),
    }


def main() -> None:
    arguments = parse_arguments(__doc__ or "")
    is_quick = arguments.quick
    names = tuple(read_tables(arguments.tables, S2_SEMIANNUAL))
    state = State(arguments.state, "runs", hash_product())
    with_position = tuple(
        n for n in names if (arguments.tables / n / "coordinates_epsg6933.txt").exists()
    )
    spatial = load_targets(
        arguments.source,
        arguments.tables,
        names=with_position,
        state=arguments.state,
        threads=arguments.threads,
        is_quick=arguments.quick,
    )
    arms: dict[str, Any] = {}
    missing = "no target region has coordinates"
    figures: Figures = dict.fromkeys(REACH, (None, 0, missing))
    design = state.keep(f"design {is_quick}", lambda: measure_accuracy(is_quick))
    arms["design"] = design["arms"]
    for row in design["figures"]:
        figures[row["id"]] = (row["value"], row["n"], row["note"])
    zero = {name: score_zero_label(target) for name, target in spatial.items()}
    arms["zero label, s2-semiannual"] = zero
    if spatial:
        runs = collect_runs(spatial, state, is_quick=is_quick, max_draws=arguments.draws or 1000)
        arms.update(summarize_arms(runs))
        figures.update(summarize_runs(runs, arms))
        figures.update(measure_rivals(spatial, runs, state, arms, is_quick=is_quick))
    if is_quick:
        skipped = "not in --quick: it trains for minutes"
        for figure_id in ("zero_label_auc", "zero_label_climate_auc", "curation_auc"):
            figures[figure_id] = (None, 0, skipped)
    else:
        where = (arguments.source, arguments.tables, state)
        value, zero = measure_zero_label(*where, known=zero)
        arms["zero label, s2-semiannual"] = zero
        figures["zero_label_auc"] = (value, len(zero), "each region by a model without it")
        value, arms["zero label, climate"] = measure_climate(*where)
        figures["zero_label_climate_auc"] = (value, len(zero), "average of four ensembles")
        value, arms["curation"] = measure_curation(*where, known=zero)
        figures["curation_auc"] = (
            value,
            len(zero),
            "20 % of the samples, each with the class shares that a model of all gives it",
        )
    rows = []
    for figure_id, (low, high) in REACH.items():
        value, n, note = figures[figure_id]
        row = make_figure(
            figure_id, value, low=low, high=high, n=n, seed="0…", note=note, decimals=5
        )
        rows.append(row)
    print_report({"figures": rows, "arms": arms}, is_json=arguments.json)


if __name__ == "__main__":
    main()
