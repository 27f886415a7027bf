"""How fast the geometric median and its deviations are, against ``geomad`` at its best.

``python -m benchmarks.composite_arms --json [--quick]``. The opponent is the compiled library that
Digital Earth Africa and Australia run: its float32 call (its int16 call is slower, and has no int16
deviations), its own default tolerance, without its optional input checks, fed by a compiled
conversion from (time, band, y, x) integers to (y, x, band, time) floats with NaN, in as many
threads. Both start from the same int16 scenes and mask and end with the median and three
deviations; arms take turns and the fastest of each counts.

Scenes are textured and random: a spectrum of nine bands a pixel, smooth in space, a gain a date,
noise, missed clouds, a third of the dates masked, each pixel by itself. Thresholds, seed and sizes
are fixed here.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

REACH = {"geomedian_x": 15.0, "geomedian_cold_x": 8.0}
SEED = 20260
N_BANDS = 9
N_THREADS = 2
N_TIMES = 12
OTHER_N_TIMES = (6, 24)
SIDE_PX, QUICK_SIDE_PX = 512, 256
COLD_SIDE_PX, QUICK_COLD_SIDE_PX = 2048, 512
STRIP_PX = 128
"""Rows of scenes that are drawn; larger scenes repeat them, which no arm can notice."""
REPEATS, QUICK_REPEATS = 7, 3
COLD_REPEATS, QUICK_COLD_REPEATS = 3, 1
SCALE = 1e-4
FIELDS = ("median", "edev", "sdev", "bcdev")


def make_scenes(n_times: int, side_px: int, seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return int16 scenes (time, band, y, x) and their mask (time, y, x)."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    shape = (min(STRIP_PX, side_px), side_px)
    base = np.empty((N_BANDS, *shape), np.float32)
    for band in range(N_BANDS):
        field = gaussian_filter(rng.normal(size=shape), 4, mode="wrap")
        base[band] = rng.uniform(600, 3000) * np.exp(0.5 * field / field.std())
    dn = np.empty((n_times, N_BANDS, side_px, side_px), np.int16)
    valid = np.empty((n_times, side_px, side_px), np.bool_)
    copies = side_px // shape[0]
    for date in range(n_times):
        scene = base * rng.normal(1, 0.12, shape).astype(np.float32)
        scene += rng.normal(0, 80, base.shape).astype(np.float32)
        cloud = rng.random(shape) < 0.05
        bright = rng.uniform(4000, 9000, shape).astype(np.float32)
        scene[:, cloud] = (bright + rng.normal(0, 200, base.shape).astype(np.float32))[:, cloud]
        np.clip(scene, 1, 20_000, out=scene)
        dn[date] = np.tile(np.rint(scene).astype(np.int16), (1, copies, 1))
        valid[date] = np.tile(rng.random(shape) > 1 / 3, (copies, 1))
    return dn, valid


def compose_ours(
    dn: NDArray[Any], valid: NDArray[Any], n_threads: int = N_THREADS
) -> tuple[NDArray[Any], ...]:
    """Our median (band, y, x) and deviations (y, x)."""
    from geotransfer.imagery.geomedian import compute_geomedian

    found = compute_geomedian(dn, valid, scale=SCALE, n_threads=n_threads)
    return tuple(getattr(found, name) for name in FIELDS)


def compose_theirs(
    dn: NDArray[Any], valid: NDArray[Any], n_threads: int = N_THREADS, eps: float = 1e-4
) -> tuple[NDArray[Any], ...]:
    """The opponent's median (y, x, band) and deviations (y, x)."""
    import geomad

    n_times, n_bands, n_rows, n_cols = dn.shape
    floats = np.empty((n_rows, n_cols, n_bands, n_times), np.float32)
    convert = _compile_conversion()
    with ThreadPoolExecutor(n_threads) as pool:
        list(
            pool.map(lambda row: convert(dn, valid, np.float32(SCALE), row, floats), range(n_rows))
        )
    options = {"num_threads": n_threads, "nocheck": True}
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pixels without a valid date.
        median = geomad.nangeomedian_pcm(floats, eps=eps, **options)
        deviations = (
            measure(floats, median, num_threads=n_threads)
            for measure in (geomad.emad_pcm, geomad.smad_pcm, geomad.bcmad_pcm)
        )
        return (median, *deviations)


_conversion: list[Any] = []


def _compile_conversion() -> Any:
    if not _conversion:
        from numba import njit

        _conversion.append(njit(cache=True, nogil=True)(convert_row))
    return _conversion[0]


def convert_row(
    dn: NDArray[Any], valid: NDArray[Any], scale: np.float32, row: int, floats: NDArray[Any]
) -> None:
    """Convert one row of scenes, a few pixels at a time so that what is read stays in the cache."""
    n_times, n_bands, _, n_cols = dn.shape
    for start in range(0, n_cols, 16):
        for time_ in range(n_times):
            for band in range(n_bands):
                for col in range(start, min(start + 16, n_cols)):
                    value = np.float32(np.nan)
                    if valid[time_, row, col]:
                        value = dn[time_, band, row, col] * scale
                    floats[row, col, band, time_] = value


def take_turns(
    arms: dict[str, Callable[[], object]], repeats: int
) -> dict[str, tuple[float, float]]:
    """Least wall and CPU seconds of each arm."""
    best = dict.fromkeys(arms, (np.inf, np.inf))
    for _ in range(repeats):
        for name, run in arms.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            spent = time.perf_counter() - wall, time.process_time() - cpu
            best[name] = min(best[name][0], spent[0]), min(best[name][1], spent[1])
    return best


def compare_warm(n_times: int, side_px: int, repeats: int) -> dict[str, float]:
    """Throughput in one process, everything compiled, and how close each comes to the minimum."""
    dn, valid = make_scenes(n_times, side_px, SEED)
    small = (slice(None), slice(None), slice(0, 64), slice(0, 64))
    ours = compose_ours(dn[small], valid[:, :64, :64])
    theirs = compose_theirs(dn[small], valid[:, :64, :64])
    x = np.where(valid[:, None, :64, :64], dn[small] * SCALE, np.nan)

    def sum_distances(y: NDArray[Any]) -> NDArray[Any]:
        return np.nansum(np.linalg.norm(x - y, axis=1), axis=0)

    a, b = sum_distances(ours[0]), sum_distances(theirs[0].transpose(2, 0, 1))
    counted = valid[:, :64, :64].sum(axis=0) >= 3
    spent = take_turns(
        {
            "ours": lambda: compose_ours(dn, valid),
            "theirs": lambda: compose_theirs(dn, valid),
        },
        repeats,
    )
    n_pixels = side_px**2
    return {
        "n_times": n_times,
        "ours_mpix_s": n_pixels / spent["ours"][0] / 1e6,
        "theirs_mpix_s": n_pixels / spent["theirs"][0] / 1e6,
        "wall_x": spent["theirs"][0] / spent["ours"][0],
        "cpu_x": spent["theirs"][1] / spent["ours"][1],
        "ours_cpu_ns_px": spent["ours"][1] / n_pixels * 1e9,
        "theirs_cpu_ns_px": spent["theirs"][1] / n_pixels * 1e9,
        "objective_worse_share": float((a > b * (1 + 1e-6))[counted].mean()),
        "objective_better_share": float((b > a * (1 + 1e-6))[counted].mean()),
    }


def compare_cold(side_px: int, repeats: int) -> dict[str, float]:
    """Wall seconds of a process that starts, maps the scenes, composites them and ends."""
    with tempfile.TemporaryDirectory() as folder:
        dn, valid = make_scenes(N_TIMES, side_px, SEED)
        np.save(Path(folder) / "dn.npy", dn)
        np.save(Path(folder) / "valid.npy", valid)
        del dn, valid
        best = {"ours": np.inf, "theirs": np.inf}
        for _ in range(repeats):
            for arm in best:
                start = time.perf_counter()
                command = [sys.executable, "-m", "benchmarks.composite_arms", "--arm", arm, folder]
                subprocess.run(command, check=True)
                best[arm] = min(best[arm], time.perf_counter() - start)
    return {
        "side_px": side_px,
        "ours_s": best["ours"],
        "theirs_s": best["theirs"],
        "wall_x": best["theirs"] / best["ours"],
    }


def run_arm(arm: str, folder: Path) -> None:
    """What a process of ``compare_cold`` does."""
    dn = np.load(folder / "dn.npy", mmap_mode="r")
    valid = np.load(folder / "valid.npy", mmap_mode="r")
    compose = compose_ours if arm == "ours" else compose_theirs
    compose(dn, valid)


def measure_geomedian(quick: bool) -> dict[str, Any]:
    """Return the figures ``geomedian_x`` and ``geomedian_cold_x``, and the arms behind them."""
    side_px = QUICK_SIDE_PX if quick else SIDE_PX
    repeats = QUICK_REPEATS if quick else REPEATS
    arms: dict[str, Any] = {"n_threads": N_THREADS, "n_processors": os.cpu_count()}
    for n_times in (N_TIMES, *OTHER_N_TIMES):
        arms[f"warm_{n_times}"] = compare_warm(n_times, side_px, repeats)
    cold_px = QUICK_COLD_SIDE_PX if quick else COLD_SIDE_PX
    arms["cold"] = compare_cold(cold_px, QUICK_COLD_REPEATS if quick else COLD_REPEATS)
    warm = arms[f"warm_{N_TIMES}"]
    others = ", ".join(f"{arms[f'warm_{n}']['wall_x']:.1f} at T={n}" for n in OTHER_N_TIMES)
    values = {
        "geomedian_x": (
            warm["wall_x"],
            side_px**2,
            (
                f"T={N_TIMES}, {N_BANDS} bands, int16, {warm['ours_mpix_s']:.2f} Mpixel/s in "
                f"{N_THREADS} threads; {others}; by CPU {warm['cpu_x']:.1f}"
            ),
        ),
        "geomedian_cold_x": (
            arms["cold"]["wall_x"],
            cold_px**2,
            (
                f"{cold_px} × {cold_px} pixels in {arms['cold']['ours_s']:.2f} s, "
                "start-up included, compiled code from the cache"
            ),
        ),
    }
    figures = [
        {
            "id": name,
            "value": round(value, 2),
            "holds": value >= REACH[name],
            "n": n,
            "seed": SEED,
            "note": note,
        }
        for name, (value, n, note) in values.items()
    ]
    return {"figures": figures, "arms": arms}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="end within a minute")
    parser.add_argument("--arm", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.arm:
        run_arm(options.arm[0], Path(options.arm[1]))
        return
    result = measure_geomedian(options.quick)
    if options.json:
        print(json.dumps(result, indent=1))
        return
    for figure in result["figures"]:
        print(f"{figure['id']:>18} {figure['value']:>8} {figure['note']}")


if __name__ == "__main__":
    main()
