"""How often the offset check is right, and how near the shift check comes; no figure of the issue.

Offsets are added on purpose: to one scene, a third, the later half, two thirds, all. A verdict is
right where a wrong scene is left out; false where a right one is. Places: the simulated world after
six regions, Belgium (``--reference``), Bouconne (``--bouconne``, downloads 4 MB).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import shift as displace

from geotransfer.core.region import Region, RegionKind
from geotransfer.core.scene import Scene
from geotransfer.imagery.catalog import read_catalog
from geotransfer.imagery.grids import choose_grid, complete_scene
from geotransfer.imagery.offsets import CHECKED_BANDS, OffsetOutcome, check_offsets, measure_levels
from geotransfer.imagery.scene_sample import coarsen_grid, sample_scene
from geotransfer.imagery.shifts import STABLE_BANDS, measure_shift
from geotransfer.testing.world import make_world

WORLD = ("eastern", "western", "northern", "sahel", "southern", "central")
N_SCENES, SIZE_PX, SEED = 12, 128, 7
SHIFTS_PX = (0.25, 0.5, 0.75, 1.0, 2.0)
Levels = list[tuple[str, dict[str, float] | None]]


def load_place(items: Path) -> tuple[list[Scene], Region]:
    scenes = [complete_scene(scene) for scene in read_catalog(str(items))]
    document = json.loads(items.read_text(encoding="utf-8"))
    region = Region(
        region_id=items.parent.name, name="", kind=RegionKind.IMAGERY, area_km2=1.0,
        outline=json.dumps(document["features"][0]["geometry"]), spec_name="", legend_name="",
    )  # fmt: skip
    return scenes, region


def judge_offsets(levels: Levels, wrong: set[int], by: float) -> tuple[int, int, int, int, int]:
    """Wrong found, wrong in all, right left out, right in all, undecided."""
    moved = [
        (name, found if found is None or k not in wrong else {b: v + by for b, v in found.items()})
        for k, (name, found) in enumerate(levels)
    ]
    checks = check_offsets(moved).checks
    told = OffsetOutcome.TOO_HIGH if by > 0 else OffsetOutcome.TOO_LOW
    usable = [k for k, (_, found) in enumerate(levels) if found]
    bad = [k for k in usable if k in wrong]
    good = [k for k in usable if k not in wrong]
    accused = (OffsetOutcome.TOO_HIGH, OffsetOutcome.TOO_LOW)
    return (
        sum(checks[k].outcome is told for k in bad), len(bad),
        sum(checks[k].outcome in accused for k in good), len(good),
        sum(checks[k].outcome is OffsetOutcome.UNDECIDED for k in usable),
    )  # fmt: skip


def run_offsets(scenes: Sequence[Scene], region: Region, n_draws: int) -> dict[str, Any]:
    geobox = coarsen_grid(choose_grid(scenes, region))
    bands = [b for b in CHECKED_BANDS if all(s.find_asset(b) is not None for s in scenes)]
    levels: Levels = [
        (s.scene_id, measure_levels(sample_scene(s, bands, geobox), bands)) for s in scenes
    ]
    usable = [k for k, (_, found) in enumerate(levels) if found]
    n, rng = len(usable), np.random.default_rng(0)

    def draw(k: int) -> set[int]:
        return set(rng.choice(usable, k, replace=False).tolist())

    cases: dict[str, Callable[[], set[int]]] = {
        "one": lambda: draw(1),
        "third": lambda: draw(max(1, n // 3)),
        "later half": lambda: set(usable[n // 2 :]),
        "two thirds": lambda: draw(2 * n // 3),
        "all": lambda: set(usable),
    }
    out: dict[str, Any] = {
        "as described": judge_offsets(levels, set(), 0.1)[2:],
        "common error visible": check_offsets(levels).is_common_visible,
    }
    for name, make in cases.items():
        total = np.sum(
            [judge_offsets(levels, make(), by) for _ in range(n_draws) for by in (0.1, -0.1)],
            axis=0,
        )
        out[name] = dict(
            zip(("found", "wrong", "false", "right", "undecided"), total.tolist(), strict=True)
        )
    return out


def run_shifts(scenes: Sequence[Scene], region: Region) -> dict[str, Any]:
    geobox = coarsen_grid(choose_grid(scenes, region), size_px=512)
    band = next(b for b in STABLE_BANDS if all(s.find_asset(b) is not None for s in scenes))
    pictures = [sample_scene(s, [band], geobox)[0] for s in scenes]
    reference = max(pictures, key=lambda p: float(np.isfinite(p).mean()))
    rng, errors, n_lost = np.random.default_rng(0), [], 0
    for picture in pictures:
        still = measure_shift(reference, picture)
        if still is None or picture is reference:
            continue
        for length in SHIFTS_PX:
            angle = rng.uniform(0, 2 * np.pi)
            by = (length * np.sin(angle), length * np.cos(angle))
            known = np.isfinite(picture)
            moved = displace(np.where(known, picture, 0), by, order=3, mode="nearest")
            seen = displace(known.astype(float), by, order=1) > 0.99
            found = measure_shift(reference, np.where(seen, moved, np.nan).astype(np.float32))
            if found is None:
                n_lost += 1
                continue
            gaps = (
                found.down_px - still.down_px - by[0],
                found.right_px - still.right_px - by[1],
            )
            errors.append(float(np.hypot(*gaps)))
    return {
        "band": band, "n": len(errors) + n_lost, "lost": n_lost,
        "error_median_px": float(np.median(errors)) if errors else None,
        "error_p95_px": float(np.quantile(errors, 0.95)) if errors else None,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--reference", type=Path, default=None)
    parser.add_argument("--bouconne", action="store_true")
    options = parser.parse_args()
    arms: dict[str, Any] = {}
    n_draws = 5 if options.quick else 20
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_world(
            WORLD[: 2 if options.quick else 6], 1.0, SEED, folder=folder / "world",
            size_px=SIZE_PX, n_scenes=N_SCENES,
        )  # fmt: skip
        places = sorted((folder / "world").rglob("items.json"))
        if options.reference is not None:
            places.append(options.reference / "worldcereal-belgium-2021" / "items.json")
        if options.bouconne:
            from geotransfer.workflows.bouconne import download_archive, write_scenes

            write_scenes(download_archive(), folder / "bouconne")
            places.append(folder / "bouconne" / "items.json")
        for items in places:
            scenes, region = load_place(items)
            arms[region.region_id] = {
                "offsets": run_offsets(scenes, region, n_draws),
                "shifts": run_shifts(scenes, region),
            }
        if options.reference is not None:
            items = options.reference / "slovenia-series-2015-2017" / "items.json"
            scenes, region = load_place(items)
            arms[region.region_id] = {"shifts": run_shifts(scenes, region)}
    figures: list[dict[str, Any]] = []
    for case in ("one", "third", "all"):
        rows = [arm["offsets"][case] for arm in arms.values() if "offsets" in arm]
        wrong, right = (sum(r[k] for r in rows) for k in ("wrong", "right"))
        figures.append(
            {
                "id": f"offset_found_{case}", "value": sum(r["found"] for r in rows) / wrong,
                "holds": None, "n": wrong, "seed": 0,
                "note": f"false among {right} right scenes: {sum(r['false'] for r in rows)}",
            }
        )  # fmt: skip
    document = {"figures": figures, "arms": arms}
    print(json.dumps(document) if options.json else json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
