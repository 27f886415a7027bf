"""How long a map tile takes: one client, twenty clients, and the two ways of reading.

``python -m benchmarks.tile_arms --json [--quick]``. A class raster of 10,000 × 10,000 pixels is
written with the product's own writer; its server is another process, started anew for each figure,
with the raster dropped from the page cache. Tiles are drawn at random over place and zoom, and none
is asked twice. Times are those a client waits, so they hold the server's time and a little more.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import httpx
import numpy as np
import psutil
from starlette.applications import Starlette

from geotransfer.core.grid import Grid, Tile, cut_tiles
from geotransfer.core.legend import Legend, LegendClass
from geotransfer.tiles.catalog import RasterEntry, RasterKind
from geotransfer.tiles.routes import make_routes

SIDE_PX = 10_000
QUICK_SIDE_PX = 4_000
SEED = 20260
ZOOMS = range(7, 16)
LIMIT_MS = {"tile_p95_ms": 60.0, "tiles_20_p95_ms": 450.0}
GRID = Grid(
    crs="EPSG:32631",
    transform=(10.0, 0.0, 300_000.0, 0.0, -10.0, 4_900_000.0),
    height=SIDE_PX,
    width=SIDE_PX,
)
LEGEND = Legend(
    name="benchmark",
    classes=tuple(
        LegendClass(code=code, name=str(code), color=color)
        for code, color in enumerate(("#9a8f97", "#e69f00", "#56b4e9", "#009e73", "#0072b2"))
    ),
)
_RASTER_VARIABLE = "TILE_ARMS_RASTER"


class _OneRaster:
    def __init__(self, path: Path) -> None:
        self.folder = path.parent
        self.entry = RasterEntry(path=path, name="Class", kind=RasterKind.CLASS, legend=LEGEND)

    def find_raster(self, region_id: str, layer: str, version: str | None) -> RasterEntry | None:
        return self.entry

    def read_vector(self, name: str, version: str | None) -> bytes | None:
        return None


def make_app() -> Starlette:
    """The server under test; uvicorn calls this in its own process."""
    return Starlette(routes=list(make_routes(_OneRaster(Path(os.environ[_RASTER_VARIABLE])))))


def write_class_raster(path: Path, *, side_px: int = SIDE_PX, seed: int = SEED) -> None:
    """Fields of a few hundred metres, with a speckle of wrong pixels, as a classifier leaves it."""
    from scipy.ndimage import gaussian_filter

    from geotransfer.imagery.rasters import write_cog

    rng = np.random.default_rng(seed)
    grid = replace(GRID, height=side_px, width=side_px)
    coarse = gaussian_filter(rng.normal(size=(side_px // 8, side_px // 8)).astype(np.float32), 3)
    coarse /= coarse.std()

    def stream() -> Iterator[tuple[Tile, np.ndarray]]:
        for tile in cut_tiles(grid, 1000):
            part = coarse[tile.row // 8 :, tile.col // 8 :][: tile.height // 8, : tile.width // 8]
            field = part.repeat(8, axis=0).repeat(8, axis=1)
            noise = rng.normal(scale=0.2, size=field.shape)
            yield tile, np.digitize(field + noise, (-1.2, -0.3, 0.4, 1.2)).astype(np.uint8)[None]

    write_cog(
        path, grid, stream(), dtype="uint8", names=["class"], nodata=255, legend=LEGEND,
        resampling="mode",
    )  # fmt: skip


@lru_cache(maxsize=1)
def prepare_raster(side_px: int) -> Path:
    """Write the raster once per process, removed at its end."""
    folder = tempfile.TemporaryDirectory(prefix="tile-arms-")
    path = Path(folder.name) / "class.tif"
    write_class_raster(path, side_px=side_px)
    prepare_raster.folder = folder  # type: ignore[attr-defined]  # keeps the folder until exit
    return path


def draw_tiles(path: Path, n: int, *, seed: int) -> list[tuple[int, int, int]]:
    """``n`` different tiles that touch the raster, zooms evenly and places at random."""
    from geotransfer.tiles.reading import describe_raster, find_tile_rectangle

    west, south, east, north = describe_raster(path).rectangle
    rng = np.random.default_rng(seed)
    left, _, _, top = find_tile_rectangle(0, 0, 0)
    chosen: dict[tuple[int, int, int], None] = {}
    while len(chosen) < n:
        z = int(rng.choice(ZOOMS))
        side = -2 * left / 2**z
        x = math.floor((rng.uniform(west, east) - left) / side)
        y = math.floor((top - rng.uniform(south, north)) / side)
        chosen[z, x, y] = None
    return list(chosen)


@contextmanager
def run_server(path: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Start the server with the raster cold; yields its address and its process."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    with tempfile.TemporaryFile("a+") as log:
        server = subprocess.Popen(
            [
                sys.executable, "-m", "uvicorn", "--factory", "benchmarks.tile_arms:make_app",
                "--port", "0", "--no-access-log",
            ],
            env={**os.environ, _RASTER_VARIABLE: str(path)},
            stderr=log,
        )  # fmt: skip
        try:
            yield _await_address(server, log), psutil.Process(server.pid)
        finally:
            server.terminate()
            server.wait(10)


def _await_address(server: subprocess.Popen[bytes], log: IO[str]) -> str:
    deadline = time.monotonic() + 30
    text = ""
    while time.monotonic() < deadline and server.poll() is None:
        log.seek(0)
        text = log.read()
        if "running on " in text:
            return text.split("running on ")[1].split()[0]
        time.sleep(0.05)
    raise RuntimeError(f"the server did not start: {text}")


def measure_waits(
    *, n_clients: int, n_tiles: int, seed: int, side_px: int = SIDE_PX
) -> tuple[np.ndarray, float, float]:
    """Milliseconds each request waited; ``n_clients`` ask one tile after the other, at once.

    With the server's processor time for a tile in milliseconds, which hardly depends on what else
    the machine is doing, and its memory at the end in megabytes.
    """
    path = prepare_raster(side_px)
    tiles = draw_tiles(path, n_tiles, seed=seed)
    waits: list[float] = []
    start = threading.Barrier(n_clients + 1)

    def ask(address: str, mine: list[tuple[int, int, int]]) -> None:
        with httpx.Client(base_url=address, timeout=60) as client:
            # Connection made, modules imported: pages ask for this before any tile.
            client.get("/geo/raster/r/class/tilejson.json").raise_for_status()
            start.wait(60)
            for z, x, y in mine:
                began = time.perf_counter()
                answer = client.get(f"/geo/raster/r/class/{z}/{x}/{y}.png")
                waits.append((time.perf_counter() - began) * 1e3)
                answer.raise_for_status()

    with run_server(path) as (address, process):
        threads = [
            threading.Thread(target=ask, args=(address, tiles[i::n_clients]))
            for i in range(n_clients)
        ]
        for thread in threads:
            thread.start()
        start.wait(60)
        before = sum(process.cpu_times()[:2])
        for thread in threads:
            thread.join()
        cpu_ms = (sum(process.cpu_times()[:2]) - before) / n_tiles * 1e3
        memory_mb = process.memory_info().rss / 1e6
    if len(waits) != n_tiles:
        raise RuntimeError(f"{n_tiles - len(waits)} of {n_tiles} tiles failed")
    return np.array(waits), cpu_ms, memory_mb


def _make_figure(figure_id: str, *, n_clients: int, n_tiles: int, side_px: int) -> dict[str, Any]:
    waits, cpu_ms, memory_mb = measure_waits(
        n_clients=n_clients, n_tiles=n_tiles, seed=SEED + n_clients, side_px=side_px
    )
    median, value = np.percentile(waits, [50, 95])
    return {
        "id": figure_id,
        "value": round(float(value), 2),
        "holds": bool(value <= LIMIT_MS[figure_id]),
        "n": n_tiles,
        "seed": SEED + n_clients,
        "note": f"{side_px:,}², {n_clients} client(s), as waited by the client;"
        f" median {median:.1f} ms, longest {waits.max():.0f} ms;"
        f" server {cpu_ms:.1f} CPU-ms a tile, {memory_mb:.0f} MB",
    }


def tile_p95_ms(*, quick: bool = False) -> dict[str, Any]:
    """95th percentile of one client's waits."""
    return _make_figure(
        "tile_p95_ms", n_clients=1, n_tiles=100 if quick else 1000,
        side_px=QUICK_SIDE_PX if quick else SIDE_PX,
    )  # fmt: skip


def tiles_20_p95_ms(*, quick: bool = False) -> dict[str, Any]:
    """The same with twenty clients at once."""
    return _make_figure(
        "tiles_20_p95_ms", n_clients=20, n_tiles=200 if quick else 4000,
        side_px=QUICK_SIDE_PX if quick else SIDE_PX,
    )  # fmt: skip


def compare_readers(*, n_tiles: int, side_px: int = SIDE_PX, seed: int = SEED) -> dict[str, Any]:
    """Milliseconds to read a tile, ours and GDAL's warper through rio-tiler, in turn."""
    from rio_tiler.errors import TileOutsideBounds
    from rio_tiler.io.rasterio import Reader

    from geotransfer.tiles.painting import paint_png
    from geotransfer.tiles.reading import find_tile_rectangle, read_rectangle

    path = prepare_raster(side_px)
    entry = _OneRaster(path).entry
    times: dict[str, list[float]] = {"lattice": [], "warper": [], "png": []}
    same = []
    with Reader(str(path)) as reader:
        for z, x, y in draw_tiles(path, n_tiles, seed=seed):
            began = time.perf_counter()
            pixels = read_rectangle(entry, find_tile_rectangle(z, x, y), width=256, height=256)
            read = time.perf_counter()
            try:
                image = reader.tile(x, y, z, tilesize=256)
            except TileOutsideBounds:
                continue
            warped = time.perf_counter()
            if pixels is None:
                continue
            paint_png(entry, pixels)
            times["png"].append(time.perf_counter() - warped)
            times["lattice"].append(read - began)
            times["warper"].append(warped - read)
            both = pixels.valid & (image.mask > 0)
            if z >= 10 and both.any():
                same.append(float((image.data[0] == pixels.values[0])[both].mean()))
    arms: dict[str, Any] = {
        name: [round(float(v) * 1e3, 2) for v in np.percentile(values, [50, 95])]
        for name, values in times.items()
    }
    return {"p50_p95_ms": arms, "same_pixel_share": round(float(np.mean(same)), 4)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="end within a minute")
    options = parser.parse_args()
    figures = [tile_p95_ms(quick=options.quick), tiles_20_p95_ms(quick=options.quick)]
    arms = compare_readers(
        n_tiles=60 if options.quick else 300,
        side_px=QUICK_SIDE_PX if options.quick else SIDE_PX,
    )
    if options.json:
        print(json.dumps({"figures": figures, "arms": arms}))
        return
    for figure in figures:
        print(f"{figure['id']}: {figure['value']} (holds: {figure['holds']}; {figure['note']})")
    print(arms)


if __name__ == "__main__":
    main()
