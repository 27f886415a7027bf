"""How fast and how exact ``geotransfer.transfer.forest`` is beside ``Booster.predict``.

``python -m benchmarks.predict_arms --json [--quick]``. 500 trees of 31 leaves are trained on the
real tables, once on their 33 columns and once on the 110 of the default spec. Rows to predict:

- *coherent*: the real pixels over Belgium in raster order, mirrored to the number of rows wanted
  (neighbours are alike, which helps LightGBM's branch prediction);
- *shuffled*: the same pixels in random order;
- *random*: rows of the tables in random order.

LightGBM gets its best case, C-contiguous rows in float32; the forest the order imagery has,
``(n_features, n)``. Both run on the same threads in one process, in turns; the forest repeats until
it has used as much time as LightGBM, so that a busy machine slows both alike; least of the turns.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import rasterio
from numpy.typing import NDArray

from benchmarks.report import make_figure
from geotransfer.core.spec import BANDS, S2_SEMIANNUAL
from geotransfer.imagery.features import (
    derive_features,
    leaf_area_index,
    normalized_difference,
    select_columns,
)
from geotransfer.transfer.forest import Forest, compile_forest, make_probes
from geotransfer.transfer.forest_plan import parse_model

Float32 = NDArray[np.float32]

SEED = 0
N_TREES = 500
N_LEAVES = 31
N_THREADS = 2
N_ROWS, N_ROWS_QUICK = 200_000, 10_000
N_TURNS, N_TURNS_QUICK = 5, 1
QUICK_EVERY = 8
"""In the quick run, models learn from every eighth row."""
REACH_X = 20.0
REACH_DIFF = 1e-6
BOX_SHARE = np.float32(0.01)
"""Half width of the boxes of the bounds arm, as a share of the value."""

SEASONS = {
    "S1": ("2021-01", "2021-02", "2021-03", "2021-04", "2021-05", "2021-06"),
    "S2": ("2021-07", "2021-08", "2021-09", "2021-10", "2020-11", "2020-12"),
}
ASSETS = {band: band.replace("_", "") for band in BANDS} | {
    "swir_1": "swir16",
    "swir_2": "swir22",
}


@dataclass(frozen=True)
class Case:
    """A model, and rows for it in several orders, each ``(n_features, n)``."""

    name: str
    model_text: str
    rows: dict[str, Float32]


def find_reference() -> Path:
    given = os.environ.get("GEOTRANSFER_REFERENCE_DATA")
    return Path(given) if given else Path(__file__).resolve().parents[2] / "shared" / "data"


def read_tables(folder: Path, every: int = 1) -> tuple[list[str], Float32, NDArray[np.int64]]:
    """Return column names, every so many rows ``(n, 33)`` and classes of the six regions."""
    names: list[str] = []
    tables = []
    for path in sorted((folder / "deafrica-cropland-2019").glob("*/training_data.txt")):
        with path.open() as lines:
            names = lines.readline().removeprefix("#").split()[1:]
        tables.append(np.loadtxt(path, skiprows=1, dtype=np.float32))
    table = np.concatenate(tables)[::every]
    return names, np.ascontiguousarray(table[:, 1:]), table[:, 0].astype(np.int64)


def read_pixels(folder: Path, names: list[str]) -> Float32:
    """Return the Belgian pixels as the tables' columns, ``(n_columns, 100, 100)``.

    Plain medians of the months and deviations from them: close enough to the product's composites
    to time a prediction, not to map with.
    """
    scenes = folder / "worldcereal-belgium-2021" / "scenes"

    def read(month: str, asset: str) -> Float32:
        with rasterio.open(scenes / month / f"{asset}.tif") as source:
            return np.asarray(source.read(1), np.float32)

    values: dict[str, Float32] = {}
    for season, months in SEASONS.items():
        stack = np.stack([[read(month, ASSETS[band]) for band in BANDS] for month in months])
        stack = stack[(stack != 65535).all(axis=(1, 2, 3))] * np.float32(1e-4)
        median = np.median(stack, axis=0)
        values |= {f"{band}_{season}": median[i] for i, band in enumerate(BANDS)}
        product = (stack * median).sum(axis=1)
        norms = np.sqrt((stack**2).sum(axis=1) * (median**2).sum(axis=0))
        deviations = {
            "edev": np.sqrt(((stack - median) ** 2).sum(axis=1)),
            "sdev": 1 - product / norms,
            "bcdev": np.abs(stack - median).sum(axis=1) / (stack + median).sum(axis=1),
        }
        for name, deviation in deviations.items():
            middle = np.median(deviation, axis=0)
            values[f"{name}_{season}"] = -np.log(np.maximum(middle, np.float32(1e-9)))
        blue, green, red, nir, swir = (
            values[f"{band}_{season}"] for band in ("blue", "green", "red", "nir", "swir_1")
        )
        values[f"NDVI_{season}"] = normalized_difference(nir, red)
        values[f"LAI_{season}"] = leaf_area_index(nir, red, blue)
        values[f"MNDWI_{season}"] = normalized_difference(green, swir)
        rain = np.stack([read(month, "precipitation") for month in months])
        values[f"rain_{season}"] = rain.sum(axis=0) * np.float32(0.01)
    with rasterio.open(scenes.parent / "slope.tif") as source:
        values["slope"] = np.asarray(source.read(1), np.float32)
    return np.stack([values[name] for name in names]).astype(np.float32)


def mirror_pixels(pixels: Float32, n_rows: int) -> Float32:
    """Tile an image with its mirror images and return ``n_rows`` pixels in raster order."""
    _, height, width = pixels.shape
    side = int(np.ceil(np.sqrt(n_rows)))
    down = np.pad(np.arange(height), (0, max(0, side - height)), mode="symmetric")[:side]
    along = np.pad(np.arange(width), (0, max(0, side - width)), mode="symmetric")[:side]
    image = pixels[:, down[:, None], along]
    return np.ascontiguousarray(image.reshape(len(pixels), -1)[:, :n_rows])


def train_model(
    table: Float32,
    classes: NDArray[np.int64],
    *,
    n_trees: int = N_TREES,
    settings: dict[str, object] | None = None,
) -> str:
    parameters: dict[str, object] = {
        "objective": "binary", "num_leaves": N_LEAVES, "learning_rate": 0.05,
        # One thread: on a busy machine two mostly wait for each other.
        "num_threads": 1, "seed": SEED, "verbose": -1,
    }  # fmt: skip
    data = lightgbm.Dataset(table, classes)
    return str(lightgbm.train(parameters | (settings or {}), data, n_trees).model_to_string())


def prepare_cases(folder: Path, n_rows: int, every: int, *, n_cases: int) -> list[Case]:
    """Return the measured columns, and as a second case all features of the default spec."""
    rng = np.random.default_rng(SEED)
    names, table, classes = read_tables(folder, every)
    pixels = read_pixels(folder, names)
    where = "the reference tables"
    measured = select_columns(S2_SEMIANNUAL, names, table, where=where)
    flat = select_columns(S2_SEMIANNUAL, names, pixels.reshape(len(names), -1).T, where=where)
    derived_pixels = derive_features(S2_SEMIANNUAL, flat.T.reshape(-1, *pixels.shape[1:]))
    cases = []
    for features, image in (
        (table.T, pixels),
        (derive_features(S2_SEMIANNUAL, measured.T), derived_pixels),
    )[:n_cases]:
        coherent = mirror_pixels(image, n_rows)
        rows = {
            "coherent": coherent,
            "shuffled": coherent[:, rng.permutation(n_rows)],
            "random": np.ascontiguousarray(features[:, rng.integers(0, len(table), n_rows)]),
        }
        text = train_model(np.ascontiguousarray(features.T), classes)
        cases.append(Case(f"{len(features)} features", text, rows))
    return cases


def measure_call(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def race(
    forest: Forest, booster: lightgbm.Booster, rows: Float32, *, n_turns: int, n_threads: int
) -> dict[str, float]:
    """Time both on the same rows and threads; µs per row, ratio, largest difference."""
    table = np.ascontiguousarray(rows.T)
    expected = booster.predict(table, num_threads=n_threads)
    found = forest.predict_probability(rows, n_threads=n_threads)[:, 1]
    repeats = 1
    theirs, ours = [], []
    for _ in range(n_turns):
        theirs.append(measure_call(lambda: booster.predict(table, num_threads=n_threads)))
        lap = measure_call(lambda: forest.predict_probability(rows, n_threads=n_threads))
        repeats = max(repeats, round(theirs[-1] / lap))
        laps = [
            measure_call(lambda: forest.predict_probability(rows, n_threads=n_threads))
            for _ in range(repeats)
        ]
        ours.append(sum(laps) / repeats)
    n = rows.shape[1]
    return {
        "lightgbm_us_per_row": min(theirs) / n * 1e6,
        "forest_us_per_row": min(ours) / n * 1e6,
        "ratio": min(theirs) / min(ours),
        "max_diff": float(np.abs(found - expected).max()),
    }


def time_bounds(forest: Forest, rows: Float32, *, n_turns: int) -> float:
    """Return µs per row of bounding the score over boxes around the rows."""
    half = np.abs(rows) * BOX_SHARE
    low, high = rows - half, rows + half
    forest.bound_raw(low[:, :1], high[:, :1])
    least = min(
        measure_call(lambda: forest.bound_raw(low, high, n_threads=N_THREADS))
        for _ in range(n_turns)
    )
    return least / int(rows.shape[1]) * 1e6


def compare_special_values(text: str, rows: Float32, rng: np.random.Generator) -> tuple[float, int]:
    """Return the largest difference on probes and on rows with special values strewn in."""
    ensemble = parse_model(text)
    probes = make_probes(ensemble)
    strewn = rows[:, :N_ROWS_QUICK].copy()
    for feature, values in enumerate(strewn):
        chosen = rng.random(values.size) < 0.1
        values[chosen] = rng.choice(probes[feature], int(chosen.sum()))
    both = np.hstack([probes, strewn])
    forest = compile_forest(text)
    if forest.notice is not None:
        raise RuntimeError(forest.notice)
    expected = lightgbm.Booster(model_str=text).predict(np.ascontiguousarray(both.T))
    difference = np.abs(forest.predict_probability(both, n_threads=N_THREADS)[:, 1] - expected)
    return float(difference.max()), both.shape[1]


def measure_exactness(
    cases: list[Case], folder: Path, every: int
) -> tuple[float, int, dict[str, float]]:
    """Compare on special values: the timed models, and models that learned what missing means."""
    rng = np.random.default_rng(SEED)
    differences: dict[str, float] = {}
    n_rows = 0
    for case in cases:
        differences[case.name], n = compare_special_values(
            case.model_text, case.rows["random"], rng
        )
        n_rows += n
    _, table, classes = read_tables(folder, every)
    holes = table.copy()
    holes[rng.random(table.shape) < 0.1] = np.nan
    holes[rng.random(table.shape) < 0.05] = 0
    variants: tuple[tuple[str, dict[str, object]], ...] = (
        ("missing is NaN", {}),
        ("missing is zero", {"zero_as_missing": True}),
        ("missing is ignored", {"use_missing": False}),
    )
    for name, settings in variants:
        text = train_model(holes, classes, n_trees=100, settings=settings)
        differences[name], n = compare_special_values(
            text, np.ascontiguousarray(holes[rng.permutation(len(holes))].T), rng
        )
        n_rows += n
    return max(differences.values()), n_rows, differences


def measure_prediction(quick: bool = False) -> dict[str, Any]:
    """Return ``figures`` (predict_x, predict_max_diff) and ``arms``."""
    folder = find_reference()
    if not (folder / "deafrica-cropland-2019").exists():
        note = f"needs the reference tables; none in {folder}"
        figures = [
            make_figure(name, None, n=0, seed=SEED, note=note)
            for name in ("predict_x", "predict_max_diff")
        ]
        return {"figures": figures, "arms": {}}
    n_rows, n_turns = (N_ROWS_QUICK, N_TURNS_QUICK) if quick else (N_ROWS, N_TURNS)
    every = QUICK_EVERY if quick else 1
    cases = prepare_cases(folder, n_rows, every, n_cases=1 if quick else 2)
    arms: dict[str, Any] = {}
    for case in cases:
        forest = compile_forest(case.model_text)
        if forest.notice is not None:
            raise RuntimeError(forest.notice)
        booster = lightgbm.Booster(model_str=case.model_text)
        for kind, rows in case.rows.items():
            arms[f"{case.name}, {kind}"] = race(
                forest, booster, rows, n_turns=n_turns, n_threads=N_THREADS
            )
        coherent = case.rows["coherent"]
        arms[f"{case.name}, coherent, one thread"] = race(
            forest, booster, coherent[:, :N_ROWS_QUICK], n_turns=n_turns, n_threads=1
        )
        arms[f"{case.name}, coherent, bounds"] = {
            "forest_us_per_row": time_bounds(forest, coherent[:, :N_ROWS_QUICK], n_turns=n_turns)
        }
    worst, n_compared, differences = measure_exactness(cases, folder, every)
    worst = max([worst, *(arm["max_diff"] for arm in arms.values() if "max_diff" in arm)])
    arms["largest difference on special values"] = differences
    name = cases[0].name
    x = arms[f"{name}, coherent"]["ratio"]
    others = "; ".join(f"{key} {arm['ratio']:.1f}" for key, arm in arms.items() if "ratio" in arm)
    figures = [
        make_figure(
            "predict_x", x, low=REACH_X, n=n_rows, seed=SEED,
            note=f"{name}, coherent rows, {N_THREADS} threads; all arms: {others}",
        ),
        make_figure(
            "predict_max_diff", worst, high=REACH_DIFF, n=n_compared, seed=SEED,
            note="probability; NaN, infinities, zeros, thresholds and their neighbours included",
        ),
    ]  # fmt: skip
    return {"figures": figures, "arms": arms}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="fewer rows, within a minute")
    given = parser.parse_args()
    result = measure_prediction(given.quick)
    if given.json:
        print(json.dumps(result))
        return
    for figure in result["figures"]:
        print(figure["id"], figure["value"], "holds" if figure["holds"] else "does not hold")
        print("   ", figure["note"])
    for name, arm in result["arms"].items():
        print(name, {key: float(f"{value:.3g}") for key, value in arm.items()})


if __name__ == "__main__":
    main()
