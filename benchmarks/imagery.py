"""Imagery at full speed: the composite, the prediction, and the whole way from scenes to a map.

``python -m benchmarks.imagery --json [--quick]``. Composites and predictions are measured by
``composite_arms`` and ``predict_arms``; the pipeline against the same job written plainly
(``imagery_opponent``) by ``imagery_pipeline``; memory, workers and bits by ``imagery_processes``.
Scenes are textured and random, a third masked (``imagery_archive``). Ratios are of least times of
arms that take turns. Thresholds, sizes and seeds are fixed here and there.
"""

from __future__ import annotations

import math
import os
import tempfile
import warnings
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.composite_arms import measure_geomedian
from benchmarks.imagery_archive import SEED, make_archive
from benchmarks.imagery_pipeline import measure_pipeline, train_model
from benchmarks.imagery_processes import (
    measure_exactness,
    measure_memory,
    measure_two_workers,
    start_cluster,
    wait_for_workers,
)
from benchmarks.predict_arms import measure_prediction
from benchmarks.report import make_figure, make_parser, print_report

REACH_PIPELINE_X = 8.0
REACH_OVERHEAD = 0.15
REACH_MEMORY_X = 1.3
REACH_TWO_WORKERS_X = 1.8
N_SCENES = 12


@dataclass(frozen=True)
class Sizes:
    """How much is run."""

    pipeline_px: int
    pipeline_tile_px: int
    pipeline_repeats: int
    memory_px: tuple[int, int]
    workers_tile_px: int
    workers_repeats: int
    exact_px: int


FULL = Sizes(
    pipeline_px=2048, pipeline_tile_px=512, pipeline_repeats=3, memory_px=(2048, 8192),
    workers_tile_px=512, workers_repeats=3, exact_px=1024,
)  # fmt: skip
QUICK = Sizes(
    pipeline_px=256, pipeline_tile_px=128, pipeline_repeats=1, memory_px=(256, 512),
    workers_tile_px=128, workers_repeats=1, exact_px=256,
)  # fmt: skip


def measure_all(quick: bool, folder: Path) -> dict[str, Any]:
    """Return figures and arms."""
    sizes = QUICK if quick else FULL
    composite, prediction = measure_geomedian(quick), measure_prediction(quick)
    trained = train_model()
    small = make_archive(folder / "small", side_px=sizes.exact_px, n_scenes=N_SCENES)
    archive = make_archive(folder / "large", side_px=sizes.pipeline_px, n_scenes=N_SCENES)
    # Everything is loaded and compiled before any arm is timed.
    warm = make_archive(folder / "warm", side_px=128, n_scenes=N_SCENES)
    tile_px, repeats = sizes.pipeline_tile_px, sizes.pipeline_repeats
    measure_pipeline(folder / "run", warm, trained, tile_px=tile_px, repeats=1)
    pipeline = measure_pipeline(folder / "run", archive, trained, tile_px=tile_px, repeats=repeats)
    with ExitStack() as stack:
        addresses = {
            n: stack.enter_context(start_cluster(folder / f"cluster{n}", n)) for n in (1, 2)
        }
        for n, address in addresses.items():
            wait_for_workers(address, n)
        workers = measure_two_workers(
            folder / "workers", archive, trained, addresses, tile_px=sizes.workers_tile_px,
            repeats=sizes.workers_repeats,
        )  # fmt: skip
        exactness = measure_exactness(folder / "exact", small, trained, addresses[2])
    memory = measure_memory(folder / "memory", trained, sizes.memory_px)
    side = sizes.pipeline_px
    low, high = sizes.memory_px
    figures = [
        *composite["figures"],
        *prediction["figures"],
        judge(
            "pipeline_x", pipeline["wall_x"], side**2,
            f"{side} × {side} pixels, {N_SCENES} dates × 9 bands, {pipeline['n_threads']} threads,"
            f" {pipeline['ours_mpix_s']:.2f} Mpixel/s; while keeping pixels for the next refresh"
            f" {pipeline['wall_with_cube_x']:.1f}; by CPU {pipeline['cpu_x']:.1f}; same class in"
            f" {pipeline['same_class_share']:.1%} of pixels",
            low=REACH_PIPELINE_X,
        ),
        judge(
            "overhead_share", pipeline["overhead_share"], side**2,
            "wall time of the same runs outside reading, composite, prediction, writing; waiting"
            " threads count",
            high=REACH_OVERHEAD,
        ),
        judge(
            "memory_x", memory["ratio"], high**2,
            f"{memory[f'peak_mb_{high}']:.0f} MB at {high} px a side over"
            f" {memory[f'peak_mb_{low}']:.0f} MB at {low}, limit {memory['memory_gb']:g} GB,"
            f" {memory[f'read_gb_{high}']:.1f} GB decoded",
            high=REACH_MEMORY_X,
        ),
        judge(
            "two_workers_x", workers["ratio"], side**2,
            f"Dask workers of one thread, tiles of {workers['tile_px']} pixels"
            f" {workers['one_s']:.1f} s and {workers['two_s']:.1f} s",
            low=REACH_TWO_WORKERS_X,
        ),
        judge(
            "exact_blocks", exactness["share"], exactness["n_blocks"],
            "measured columns, class, probability, observations; threads, processes and a tcp"
            " cluster, four tile sizes, one and two threads",
            low=1, high=1,
        ),
    ]  # fmt: skip
    arms = {
        "composite": composite["arms"], "prediction": prediction["arms"], "pipeline": pipeline,
        "memory": memory, "workers": workers, "exactness": exactness,
        "n_processors": os.cpu_count(),
    }  # fmt: skip
    return {"figures": figures, "arms": arms}


def judge(
    figure_id: str, value: float, n: int, note: str, *, low: float = -math.inf,
    high: float = math.inf,
) -> dict[str, Any]:  # fmt: skip
    """Return one figure of this benchmark."""
    return make_figure(figure_id, value, low=low, high=high, n=n, seed=SEED, note=note, decimals=4)


def main() -> None:
    """Print the report."""
    options = make_parser(__doc__).parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="geotransfer-imagery-") as folder:
        report = measure_all(options.quick, Path(folder))
    print_report(report, is_json=options.json)


if __name__ == "__main__":
    main()
