"""Only if changed: ``python -m benchmarks.only_if_changed --json``.

How much of the compute disappears, how stale that makes the map, and is the certified bound true?
Costs are CPU seconds through the real pipeline on rasters on disk; staleness, bounds and delays
come from the same functions on arrays in memory. Thresholds and seeds are fixed here.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import change_arms, plan_arms, refresh_arms, slovenia_arms
from benchmarks.report import make_figure, make_parser, print_report
from geotransfer.testing import Republish

SEED = 61
BOUND_SEEDS = range(1000, 1200)
YEAR_SEEDS = range(70, 76)
REACH = {
    "cpu_share_2": 0.20,
    "cpu_share_republished": 0.10,
    "cpu_share_nothing": 0.005,
    "stale_share": 0.005,
    "bound_holds": 0.95,
    "bound_tight": 0.02,
    "year_diff": 0.005,
    "detector_cost": 1.3,
    "plan_s": 60.0,
    "delay_days": 5.0,
}
AT_LEAST = ("bound_holds",)


def judge(
    figure_id: str, value: float | None, *, n: int, seed: int | None, note: str
) -> dict[str, Any]:
    """Return one figure of this benchmark."""
    mark = REACH[figure_id]
    low, high = (mark, math.inf) if figure_id in AT_LEAST else (-math.inf, mark)
    return make_figure(figure_id, value, low=low, high=high, n=n, seed=seed, note=note, decimals=5)


def measure_costs(folder: Path, *, quick: bool) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """CPU shares, the detector's cost, and the arms with other shares of change."""
    size_px, n_steps = (256, 6) if quick else (1024, 73)
    full_at = [0, n_steps - 1] if quick else [0, 12, 24, 36, 48, 60, 72]
    cost, workspace, region = refresh_arms.run_year(
        folder / "year", SEED, size_px=size_px, changed_share=0.02, n_steps=n_steps,
        full_at=full_at,
    )  # fmt: skip
    region_id = region.region_id
    full_s = cost.full_s[-1]
    nothing_s = min(refresh_arms.time_refresh(workspace, region_id)[0] for _ in range(3))
    metadata_s, done, region = refresh_arms.republish(workspace, region, Republish.METADATA)
    arms: dict[str, Any] = {
        "year": _describe(cost),
        "republished": {"metadata": [metadata_s / full_s, done.reasons]},
    }
    if not quick:
        for how in (Republish.REENCODED, Republish.OFFSET):
            again_s, done, region = refresh_arms.republish(workspace, region, how)
            arms["republished"][how.value] = [again_s / full_s, done.reasons]
        for share in (0.0, 0.10, 0.50):
            other, *_ = refresh_arms.run_year(
                folder / f"share-{share}", SEED, size_px=512, changed_share=share, n_steps=73,
                full_at=[0, 24, 48, 72],
            )  # fmt: skip
            arms[f"year with {share:.0%} change, 512 pixels"] = _describe(other)
    where = f"{size_px} × {size_px} pixels, {refresh_arms.N_BEFORE} scenes before, one thread"
    detector = cost.stages.get("detector", 0.0)
    figures = [
        judge(
            "cpu_share_2", cost.share, n=n_steps, seed=SEED,
            note=f"{where}; {n_steps} refreshes, one a scene; full recomputation measured after"
            f" {len(cost.full_s)} of them, interpolated between; audit {cost.audit_s:.1f} s inside",
        ),
        judge(
            "cpu_share_republished", metadata_s / full_s, n=1, seed=SEED,
            note=f"{where}; every item with new metadata, equal checksums",
        ),
        judge(
            "cpu_share_nothing", nothing_s / full_s, n=3, seed=SEED,
            note=f"{where}; least of three",
        ),
        judge(
            "detector_cost", (detector + cost.stages["read"]) / cost.stages["read"], n=n_steps,
            seed=SEED,
            note="CPU of reading the new scene once, hashing and deciding, over that of reading"
            f" alone; without the reading {detector / cost.stages['read']:.2f}",
        ),
    ]  # fmt: skip
    if quick:
        # Too small a region and too few scenes: what every refresh costs weighs too much.
        figures = [{**figure, "holds": None} for figure in figures]
    return figures, arms


def _describe(cost: refresh_arms.YearCost) -> dict[str, Any]:
    return {
        "cpu_share": cost.share,
        "ours_s": float(np.mean(cost.ours_s)),
        "full_s": dict(zip(cost.full_at, cost.full_s, strict=True)),
        "stale": dict(zip(cost.full_at, cost.stale, strict=True)),
        "stages_s": cost.stages,
        "audit_s": cost.audit_s,
        "decisions": cost.tests,
        "cube_bytes": cost.cube_bytes,
        "audit": cost.state,
    }


def _follow(seed: int, n_scenes: int) -> change_arms.YearRun:
    return change_arms.follow_year(seed, size_px=256, changed_share=0.02, n_scenes=n_scenes)


def _check(seed: int) -> change_arms.BoundRun:
    return change_arms.check_bound(seed, size_px=256, changed_share=0.10, n_steps=12)


def measure_staleness(*, quick: bool, n_processes: int) -> tuple[list[dict[str, Any]], Any]:
    """Stale shares, delays and bounds of simulated years in memory."""
    year_seeds = YEAR_SEEDS[:1] if quick else YEAR_SEEDS
    bound_seeds = BOUND_SEEDS[:1] if quick else BOUND_SEEDS
    n_scenes = 12 if quick else 73
    with multiprocessing.get_context("spawn").Pool(n_processes) as pool:
        years = pool.starmap(_follow, [(seed, n_scenes) for seed in year_seeds])
        bounds = pool.map(_check, bound_seeds, chunksize=1)
    delays = np.concatenate([year.delays_days for year in years])
    certified = [run.bound for run in bounds if run.bound is not None]
    runs = f"{len(years)} years of {n_scenes} five-day refreshes, 256 × 256 pixels"
    figures = [
        judge(
            "stale_share", np.mean([y.stale_share for y in years]), n=len(years),
            seed=year_seeds[0], note=f"{runs}; mean over all steps of the share of all pixels",
        ),
        judge(
            "bound_holds", np.mean([run.holds for run in bounds]) if certified else None,
            n=len(bounds), seed=bound_seeds[0],
            note="a run holds if every certified bound, at every look, is at or above the mean"
            f" stale share up to then; {len(certified)} runs were certified",
        ),
        judge(
            "bound_tight", np.median(certified) if certified else None, n=len(certified),
            seed=bound_seeds[0], note="share of all pixels; the last certified bound of each run",
        ),
        judge(
            "year_diff", np.mean([y.year_diff for y in years]), n=len(years), seed=year_seeds[0],
            note=f"{runs}; after the last refresh",
        ),
        judge(
            "delay_days", np.median(delays) if len(delays) else None, n=len(delays),
            seed=year_seeds[0],
            note=f"pixels whose change both maps show by the end; mean {np.mean(delays):.1f}"
            if len(delays)
            else "no land changes in so few weeks",
        ),
    ]  # fmt: skip
    arms = {
        "computed share of pixels a step": [round(y.computed_share, 3) for y in years],
        "stale share by year": [round(y.stale_share, 5) for y in years],
        "difference at the end by year": [round(y.year_diff, 5) for y in years],
        "bounds": {
            "stale share, median": float(np.median([run.stale_share for run in bounds])),
            "difference at the end, median": float(np.median([run.end_share for run in bounds])),
            "runs tightened": sum(run.n_tightened > 0 for run in bounds),
        },
    }
    return figures, arms


def measure_plan(*, quick: bool) -> dict[str, Any]:
    """The planner's seconds, in a process of its own."""
    told = plan_arms.measure_plan(quick)
    note = f"{told['n_tiles']} tiles, peak memory {told['peak_rss_bytes'] / 2**30:.2f} GiB"
    figure = judge("plan_s", told["plan_s"], n=1, seed=told["seed"], note=note)
    return {**figure, "holds": told["holds"]}


def measure_all(*, quick: bool, n_processes: int) -> dict[str, Any]:
    """Return the report."""
    started = time.monotonic()
    staleness, memory_arms = measure_staleness(quick=quick, n_processes=n_processes)
    with tempfile.TemporaryDirectory(prefix="only-if-changed-") as name:
        costs, cost_arms = measure_costs(Path(name), quick=quick)
        slovenia = {"skipped": "--quick"} if quick else slovenia_arms.measure_slovenia(Path(name))
    by_id = {f["id"]: f for f in [*costs, *staleness, measure_plan(quick=quick)]}
    return {
        "figures": [by_id[figure_id] for figure_id in REACH],
        "arms": {
            "pipeline": cost_arms,
            "memory": memory_arms,
            "slovenia": slovenia,
            "wall_s": time.monotonic() - started,
        },
    }


def main() -> None:
    """Print the report."""
    parser = make_parser(__doc__)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    report = measure_all(quick=options.quick, n_processes=options.processes)
    print_report(report, is_json=options.json)
    if not options.json:
        print(json.dumps(report["arms"], indent=1))


if __name__ == "__main__":
    main()
