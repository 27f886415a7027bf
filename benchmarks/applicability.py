"""Area of applicability and dissimilarity index: exact, and at what fraction of a k-d tree's time.

``python -m benchmarks.applicability --json [--quick]``. Trains on ``--source`` and maps the regions
of ``--tables``; where both are one folder, the region mapped is left out of training.

Thresholds, seed and sizes are fixed here. The pixels are an image made from real rows of the
left-out region: rows at the knots of a lattice 20 pixels wide, measured columns interpolated
between them, 1 % noise on every measured value of every pixel, predictors derived from that.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from benchmarks.report import make_figure, make_parser, print_report
from geotransfer.accuracy.auc import measure_auc
from geotransfer.accuracy.folds import assign_blocks
from geotransfer.applicability.area import (
    Applicability,
    fit_applicability,
    list_points,
    weight_features,
)
from geotransfer.applicability.assess import assess_region
from geotransfer.applicability.robustness import measure_robustness
from geotransfer.applicability.search import (
    compute_dissimilarity,
    count_local_points,
    find_inside,
)
from geotransfer.core.spec import S2_SEMIANNUAL
from geotransfer.imagery.features import derive_features, derive_table, select_columns

Float32 = NDArray[np.float32]

REACH = {"aoa_x": 0.05, "di_x": 0.15, "aoa_agreement": 0.9999}
SEED = 0
SIDE = 1000
"""Side of the image: a million pixels."""
STRIP = 100
"""Image lines in one block: arms take turns block by block, and memory stays small."""
KNOT = 20
NOISE = 0.01
TRIALS = {"region": 1000, "in-domain": 100, "outliers": 20}
"""Lines of a thousand pixels in each set."""
QUICK_TRIALS = {"region": 12, "in-domain": 4, "outliers": 2}
ROTATED_EVERY = 5
"""The rotated tree, a rival no figure needs, takes every fifth block."""


@dataclass(frozen=True)
class Table:
    """One region's rows."""

    name: str
    measured: Float32
    features: Float32
    classes: NDArray[np.int64]
    xy_km: NDArray[np.float64] | None


def find_reference() -> Path:
    given = os.environ.get("GEOTRANSFER_REFERENCE_DATA")
    base = Path(given) if given else Path(__file__).resolve().parents[2] / "shared" / "data"
    return base / "deafrica-cropland-2019"


def read_table(folder: Path) -> Table:
    path = folder / "training_data.txt"
    with path.open() as lines:
        names = lines.readline().removeprefix("#").split()[1:]
    rows = np.loadtxt(path, skiprows=1)
    measured = select_columns(S2_SEMIANNUAL, names, rows[:, 1:].astype(np.float32), where=str(path))
    places = folder / "coordinates_epsg6933.txt"
    return Table(
        name=folder.name,
        measured=measured,
        features=derive_table(S2_SEMIANNUAL, measured),
        classes=rows[:, 0].astype(np.int64),
        xy_km=np.loadtxt(places) / 1000 if places.exists() else None,
    )


def read_tables(folder: Path) -> list[Table]:
    return [read_table(path.parent) for path in sorted(folder.glob("*/training_data.txt"))]


def train_baseline(sources: list[Table]) -> lgb.Booster:
    settings = {
        "objective": "binary",
        "num_leaves": 31,
        "learning_rate": 0.05,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "seed": SEED,
        "verbose": -1,
    }
    features = np.concatenate([table.features for table in sources])
    classes = np.concatenate([table.classes for table in sources])
    return lgb.train(settings, lgb.Dataset(features, classes), 300)


def fit_area(
    sources: list[Table], weights: NDArray[np.float64], fold_rule: str, n_threads: int
) -> Applicability:
    features = np.concatenate([table.features for table in sources])
    folds = np.repeat(np.arange(len(sources)), [len(table.classes) for table in sources])
    if fold_rule == "ten random folds":
        folds = np.random.default_rng(SEED).integers(0, 10, len(features))
    return fit_applicability(
        features, weights, folds, fold_rule=fold_rule, feature_names=S2_SEMIANNUAL.names,
        n_threads=n_threads,
    )  # fmt: skip


def paint_strips(measured: Float32, n_lines: int, rng: np.random.Generator) -> Iterator[Float32]:
    """Yield measured columns ``(30, pixels)`` of image strips, line by line."""
    n_columns = SIDE // KNOT + 1
    across = (np.arange(SIDE) % KNOT / KNOT).astype(np.float32)
    left = np.arange(SIDE) // KNOT
    above = measured[rng.integers(0, len(measured), n_columns)]
    below = measured[rng.integers(0, len(measured), n_columns)]
    strip: list[Float32] = []
    for line in range(n_lines):
        if line and line % KNOT == 0:
            above, below = below, measured[rng.integers(0, len(measured), n_columns)]
        knots = above + (below - above) * np.float32(line % KNOT / KNOT)
        pixels = knots[left] + (knots[left + 1] - knots[left]) * across[:, np.newaxis]
        noise = rng.standard_normal(pixels.shape, dtype=np.float32)
        strip.append(pixels * (1 + np.float32(NOISE) * noise))
        if len(strip) == STRIP or line == n_lines - 1:
            yield np.ascontiguousarray(np.concatenate(strip).T)
            strip = []


def list_blocks(kind: str, target: Table, sources: list[Table], n_lines: int) -> Iterator[Float32]:
    """Yield features ``(110, pixels)`` of one set of pixels, block by block."""
    rng = np.random.default_rng([SEED, list(TRIALS).index(kind)])
    source_rows = np.concatenate([table.measured for table in sources])
    rows = source_rows if kind == "in-domain" else target.measured
    center = np.concatenate([table.features for table in sources]).mean(axis=0)
    for measured in paint_strips(rows, n_lines, rng):
        features = derive_features(S2_SEMIANNUAL, measured)
        if kind == "in-domain":
            features = features[:, rng.permutation(features.shape[1])]
        elif kind == "outliers":
            features = center[:, np.newaxis] + 4 * (features - center[:, np.newaxis])
        yield np.ascontiguousarray(features[:, np.isfinite(features).all(axis=0)])


def time_arm(
    times: dict[str, float], arm: str, run: Callable[..., Any], *args: Any, **settings: Any
) -> Any:
    started = time.perf_counter()
    result = run(*args, **settings)
    times[arm] = times.get(arm, 0.0) + time.perf_counter() - started
    return result


def compare(
    areas: dict[str, Applicability], blocks: Iterator[Float32], n_threads: int
) -> dict[str, Any]:
    """Run all arms over the blocks, in turn; return µs per pixel and agreement."""
    first = next(iter(areas.values()))
    n_axes = int((first.scale > 0).sum())
    points = list_points(first)[:, :n_axes].astype(np.float64)
    tree = cKDTree(points)
    center = points.mean(axis=0)
    axes = np.linalg.eigh(np.cov(points.T))[1][:, ::-1]
    rotated_tree = cKDTree((points - center) @ axes)
    reach = first.threshold * first.mean_distance
    times: dict[str, float] = {}
    n = n_rotated = 0
    wrong = dict.fromkeys(areas, 0)
    inside = dict.fromkeys(areas, 0)
    di_error = 0.0
    for number, features in enumerate(blocks):
        n += features.shape[1]
        # Weighting and conversion are not charged to the trees; our arms include theirs.
        asked = weight_features(features.T, first.columns, first.center, first.scale)
        asked = np.ascontiguousarray(asked[:, :n_axes], dtype=np.float64)
        ours = partial(time_arm, times, features=features, n_threads=n_threads)
        maps = {rule: ours(f"inside, {rule}", find_inside, areas[rule]) for rule in areas}
        exact = time_arm(times, "cKDTree", tree.query, asked, workers=n_threads)[0]
        di = ours("di", compute_dissimilarity, first)
        ours("lpd up to 50", count_local_points, first)
        if number % ROTATED_EVERY == 0:
            n_rotated += features.shape[1]
            rivals = partial(time_arm, times, workers=n_threads)
            turned = (asked - center) @ axes
            rivals("rotated", rotated_tree.query, turned)
            rivals("rotated, bounded", rotated_tree.query, turned, distance_upper_bound=reach)
        exact = exact / first.mean_distance
        di_error = max(di_error, float(np.abs(di - exact).max()))
        for rule, area in areas.items():
            inside[rule] += int(maps[rule].sum())
            wrong[rule] += int(((exact <= area.threshold) != (maps[rule] == 1)).sum())
    micro = {arm: t / n * 1e6 for arm, t in times.items() if not arm.startswith("rotated")}
    micro["cKDTree on principal axes"] = times["rotated"] / n_rotated * 1e6
    micro["cKDTree on principal axes, bounded by the threshold"] = (
        times["rotated, bounded"] / n_rotated * 1e6
    )
    return {
        "pixels": n,
        "us_per_pixel": {arm: round(value, 3) for arm, value in micro.items()},
        "aoa_x": {rule: micro[f"inside, {rule}"] / micro["cKDTree"] for rule in areas},
        "di_x": micro["di"] / micro["cKDTree"],
        "inside_share": {rule: inside[rule] / n for rule in areas},
        "agreement": {rule: 1 - wrong[rule] / n for rule in areas},
        "di_error": di_error,
    }


def judge_region(
    target: Table, sources: list[Table], booster: lgb.Booster, area: Applicability
) -> dict[str, Any]:
    """Set what is known before labelling beside the AUC the labels then show."""
    regions = np.repeat([t.name for t in sources], [len(t.classes) for t in sources])
    classes = np.concatenate([t.classes for t in sources])
    verdict = assess_region(
        area,
        np.ascontiguousarray(target.features.T),
        source_regions=regions,
        target_blocks=None if target.xy_km is None else assign_blocks(target.xy_km, 100.0),
    )
    scores = np.asarray(booster.predict(target.features, num_threads=1))
    return {
        "auc": round(measure_auc(scores, target.classes == 1), 4),
        "inside_share": round(verdict.inside_share.value, 4),
        "separability": round(verdict.separability.value, 4),
        "nearest": verdict.nearest[0].region_id,
        "median_di_to_nearest": round(verdict.nearest[0].median_di, 4),
        "source_robustness": round(
            measure_robustness(list_points(area), classes, regions).index.value, 4
        ),
        "recommendation": verdict.recommendation.value,
    }


def run(source: Path, tables: Path, *, is_quick: bool, n_threads: int) -> dict[str, Any]:
    targets = read_tables(tables)
    all_sources = targets if source.resolve() == tables.resolve() else read_tables(source)
    is_left_out = all_sources is targets
    arms: dict[str, object] = {"threads": n_threads}
    trials = QUICK_TRIALS if is_quick else TRIALS
    results: dict[str, dict[str, Any]] = {}
    verdicts: dict[str, object] = {}
    # The first region is mapped; all are judged in a full run.
    for target in targets if not is_quick else targets[:1]:
        sources = [t for t in all_sources if not is_left_out or t.name != target.name]
        booster = train_baseline(sources)
        weights = booster.feature_importance("gain")
        started = time.perf_counter()
        area = fit_area(sources, weights, "leave-one-region-out", n_threads)
        if target is targets[0]:
            arms["fit_s"] = round(time.perf_counter() - started, 2)
            mixed = fit_area(sources, weights, "ten random folds", n_threads)
            areas = {area.fold_rule: area, mixed.fold_rule: mixed}
            arms["mapped_region"] = target.name
            arms["samples"] = area.n_samples
            arms["features"] = len(area.feature_names)
            arms["thresholds"] = {rule: round(a.threshold, 4) for rule, a in areas.items()}
            warm = np.ascontiguousarray(target.features[:64].T)
            for function in (find_inside, compute_dissimilarity, count_local_points):
                function(area, warm)
            for kind, n_lines in trials.items():
                print(f"{kind}: {n_lines * SIDE} pixels", file=sys.stderr)
                blocks = list_blocks(kind, target, sources, n_lines)
                results[kind] = compare(areas, blocks, n_threads)
        if not is_quick:
            verdicts[target.name] = judge_region(target, sources, booster, area)
    arms["sets"] = results
    arms["verdicts"] = verdicts or None
    return {"figures": list_figures(results, arms), "arms": arms}


def list_figures(
    results: dict[str, dict[str, Any]], arms: dict[str, object]
) -> list[dict[str, object]]:
    region = results["region"]
    values: dict[str, float] = {
        "aoa_x": max(region["aoa_x"].values()),
        "di_x": region["di_x"],
        "aoa_agreement": min(min(part["agreement"].values()) for part in results.values()),
    }
    image = (
        f"image interpolated between real rows of {arms['mapped_region']} (20-pixel knots, 1 %"
        f" noise), {arms['samples']} samples, {arms['features']} features,"
        f" {arms['threads']} threads"
    )
    notes = {
        "aoa_x": f"the slower of two fold rules; {image}",
        "di_x": image,
        "aoa_agreement": "the worst of three sets of pixels and two fold rules",
    }
    figures = []
    for name, value in values.items():
        mark = REACH[name]
        low, high = (mark, math.inf) if name == "aoa_agreement" else (-math.inf, mark)
        figures.append(
            make_figure(
                name, value, low=low, high=high, n=region["pixels"], seed=SEED, note=notes[name]
            )
        )
    return figures


def main() -> None:
    """Print the report."""
    parser = make_parser(__doc__)
    parser.add_argument("--source", type=Path, default=find_reference(), help="tables to train on")
    parser.add_argument("--tables", type=Path, help="tables of the regions to map")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    given = parser.parse_args()
    if not any(given.source.glob("*/training_data.txt")):
        sys.exit(f"no tables in {given.source}; name the folder with --source.")
    result = run(
        given.source, given.tables or given.source, is_quick=given.quick, n_threads=given.threads
    )
    print_report(result, is_json=given.json)
    if not given.json:
        print(json.dumps(result["arms"], indent=1))


if __name__ == "__main__":
    main()
