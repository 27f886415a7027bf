"""How hard the simulated world is: accuracy lost between its sources and its targets.

``python -m benchmarks.world_arms --json [--quick]``. Everything here is simulated.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
from scipy.ndimage import binary_dilation
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from geotransfer.core.spec import BANDS, MADS, S2_SEMIANNUAL, SEASONS
from geotransfer.imagery.features import derive_table, evaluate_column
from geotransfer.imagery.geomedian import compute_geomedian
from geotransfer.store.shipped import BASELINE, locate_shipped
from geotransfer.testing.ground import Ground, simulate_scene_arrays
from geotransfer.testing.placement import spread_dates
from geotransfer.testing.statistics import load_statistics
from geotransfer.testing.world import SimulatedRegion, build_world
from geotransfer.transfer.model_file import load_model
from geotransfer.workflows.prepare import WORLD_LIKES, WORLD_SEED, WORLD_SHIFT

THRESHOLD = 0.10
SHIFTS = (0.0, 1.0, 1.5)
"""0 is the control: a target like its sources must lose almost nothing."""
FIGURE_SHIFT = 1.0
"""As far apart as the real regions are."""
N_SOURCES = 2
N_SCENES = 24
SIZE_PX = 256
HELD_SHARE = 0.4
N_PIXELS = 12_000
BAD_CODES = (0, 1, 3, 8, 9, 10, 11)
MODEL = {
    "objective": "binary",
    "num_leaves": 15,
    "learning_rate": 0.05,
    "feature_fraction": 0.3,
    "min_data_in_leaf": 30,
    "seed": 1,
    "deterministic": True,
    "num_threads": 1,
    "verbose": -1,
}
N_TREES = 200


@dataclass(frozen=True, eq=False)
class Rows:
    """Some pixels: features (n, feature), class codes (n,), units of land (n,)."""

    features: np.ndarray
    classes: np.ndarray
    units: np.ndarray

    def take(self, chosen: np.ndarray) -> Rows:
        return Rows(self.features[chosen], self.classes[chosen], self.units[chosen])


def composite_measured(ground: Ground, dates: tuple[dt.date, ...]) -> np.ndarray:
    """Return the measured columns of every pixel, (column, y, x), from masked simulated scenes."""
    values: dict[str, np.ndarray] = {}
    for season in SEASONS:
        months = next(p.months for p in S2_SEMIANNUAL.periods if p.name == season)
        scenes = [simulate_scene_arrays(ground, d) for d in dates if d.month in months]
        valid = np.stack(
            [~binary_dilation(np.isin(s.scl, BAD_CODES), np.ones((5, 5))) for s in scenes]
        )
        composite = compute_geomedian(np.stack([s.dn for s in scenes]), valid)
        for band, layer in zip(BANDS, composite.median, strict=True):
            values[f"{band}_{season}"] = layer
        for mad in MADS:
            values[f"{mad}_{season}"] = -np.log(np.maximum(getattr(composite, mad), 1e-9))
    for column in S2_SEMIANNUAL.measured:
        if column.formula:
            values[column.name] = evaluate_column(column, values)
    return np.stack([values[name] for name in S2_SEMIANNUAL.measured_names])


def draw_rows(region: SimulatedRegion, rng: np.random.Generator) -> Rows:
    """Return features, classes and units of some pixels that have enough valid dates."""
    dates = spread_dates(region.start.year, N_SCENES)
    table = composite_measured(region.ground, dates).reshape(len(S2_SEMIANNUAL.measured), -1).T
    features = derive_table(S2_SEMIANNUAL, table)
    pixels = np.flatnonzero(np.isfinite(features).all(axis=1))
    pixels = rng.choice(pixels, min(N_PIXELS, len(pixels)), replace=False)
    truth = region.ground.find_truth(dates[0]).ravel()
    return Rows(features[pixels], truth[pixels], region.ground.land.unit_of.ravel()[pixels])


def measure_worlds(
    likes: tuple[str, ...], seed: int, *, size_px: int
) -> dict[float, dict[str, float]]:
    """Return, for each shift, balanced accuracy on the sources' held-out fields and the target.

    The sources do not depend on the shift, so one model is judged on all targets.
    """
    rng = np.random.default_rng([seed, 0xF1E1D])
    model: lgb.Booster | None = None
    source = np.nan
    found = {}
    for shift in SHIFTS:
        world = build_world(
            likes, shift, seed, folder=Path("simulated"), size_px=size_px, changed_share=0.0
        )
        if model is None:
            train, held = [], []
            for region in world.sources:
                rows = draw_rows(region, rng)
                # Whole units are held out: pixels of one field are one observation.
                is_held = (rng.random(region.ground.land.n_units) < HELD_SHARE)[rows.units]
                train.append(rows.take(~is_held))
                held.append(rows.take(is_held))
            data = lgb.Dataset(
                np.concatenate([r.features for r in train]),
                np.concatenate([r.classes for r in train]),
            )
            model = lgb.train(MODEL, data, N_TREES)
            source = float(np.mean([score(model, rows) for rows in held]))
        (region,) = world.targets
        found[shift] = {"source": source, "target": score(model, draw_rows(region, rng))}
    return found


def measure_shipped_model() -> dict[str, Any]:
    """Return how the shipped model ranks the pixels of the default workspace's target."""
    world = build_world(WORLD_LIKES, WORLD_SHIFT, WORLD_SEED, folder=Path("simulated"))
    (region,) = world.targets
    measured = composite_measured(region.ground, spread_dates(region.start.year, N_SCENES))
    model = load_model(locate_shipped(BASELINE).read_bytes())
    crop = model.predict(measured.reshape(len(measured), -1))[1]
    truth = region.ground.find_truth(dt.date(region.start.year, 12, 31)).ravel()
    is_known = np.isfinite(crop)
    return {
        "likes": list(WORLD_LIKES),
        "shift": WORLD_SHIFT,
        "seed": WORLD_SEED,
        "auc": float(roc_auc_score(truth[is_known], crop[is_known])),
        "balanced_accuracy": float(balanced_accuracy_score(truth[is_known], crop[is_known] > 0.5)),
        "known_share": float(is_known.mean()),
    }


def score(model: lgb.Booster, rows: Rows) -> float:
    """Return balanced accuracy of a model on some rows."""
    crop = np.asarray(model.predict(rows.features)) > 0.5
    return float(balanced_accuracy_score(rows.classes, crop))


def measure_world_gap(quick: bool) -> dict[str, Any]:
    """Return the figure ``world_gap`` and its arms.

    Every real region is once the target (quick: every other one), the next two in the alphabet its
    sources. The figure is the mean loss at shift 1; shift 0 is the control.
    """
    names = sorted(load_statistics())
    seeds = (1,) if quick else (1, 2, 3)
    worlds = [
        (tuple(names[(i + k) % len(names)] for k in (*range(1, N_SOURCES + 1), 0)), seed)
        for i in range(0, len(names), 2 if quick else 1)
        for seed in seeds
    ]
    found = [measure_worlds(likes, seed, size_px=SIZE_PX) for likes, seed in worlds]
    arms: dict[str, Any] = {}
    for shift in SHIFTS:
        losses = [f[shift]["source"] - f[shift]["target"] for f in found]
        arms[f"shift_{shift:g}"] = {
            "loss": float(np.mean(losses)),
            "loss_min": float(np.min(losses)),
            "loss_max": float(np.max(losses)),
            "share_at_least_0.10": float(np.mean([loss >= THRESHOLD for loss in losses])),
            "worlds": [
                {"likes": list(likes), "seed": seed, **f[shift]}
                for (likes, seed), f in zip(worlds, found, strict=True)
            ],
        }
    arms["shipped_model_on_default_target"] = measure_shipped_model()
    figure_arm = arms[f"shift_{FIGURE_SHIFT:g}"]
    figure = {
        "id": "world_gap",
        "value": figure_arm["loss"],
        "holds": figure_arm["loss"] >= THRESHOLD,
        "n": len(figure_arm["worlds"]),
        "seed": seeds[0],
        "note": (
            f"simulated; mean over worlds of balanced accuracy on held-out fields of"
            f" {N_SOURCES} sources minus that on the target, shift {FIGURE_SHIFT:g}; smallest"
            f" {figure_arm['loss_min']:.3f}; control at shift 0 {arms['shift_0']['loss']:.3f}"
        ),
    }
    return {"figures": [figure], "arms": arms}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="end within a minute")
    arguments = parser.parse_args()
    result = measure_world_gap(arguments.quick)
    if arguments.json:
        print(json.dumps(result))
        return
    for figure in result["figures"]:
        print(f"{figure['id']}: {figure['value']:.3f} ({figure['note']})")
    for name, arm in result["arms"].items():
        numbers = {k: round(v, 3) for k, v in arm.items() if isinstance(v, float)}
        print(f"{name}: {numbers}")


if __name__ == "__main__":
    main()
