"""What a map says about itself: where it changed since the map before, how old each tile is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

from geotransfer.core.change_legend import UNCHANGED_CODE, make_change_legend
from geotransfer.core.grid import Grid, Tile
from geotransfer.core.legend import NODATA_CLASS, Legend
from geotransfer.errors import SceneUnreadable
from geotransfer.imagery.rasters import Array, write_cog
from geotransfer.store.tables import Row

CHANGE = "change"
COMPUTED = "computed"
NO_DAY = 0
_EPOCH = date(1970, 1, 1)


def write_map_layers(
    folder: Path,
    previous: Path | None,
    *,
    grid: Grid,
    tiles: Sequence[Tile],
    rows: Mapping[str, Row],
    legend: Legend,
) -> None:
    """Write ``change.tif`` and ``computed.tif`` beside a map's ``class.tif``.

    Both depend on more than the map's content: the same map may follow another one after a
    rollback, and be computed anew. They are therefore written at every refresh that wrote a map.

    Parameters
    ----------
    previous
        Folder of the map before; None for the first. Without a map of the same grid before it
        there is no layer of changes.
    rows
        The tile table's rows by tile.
    """
    days = {tile_id: read_day(str(row["computed_at"])) for tile_id, row in rows.items()}

    def date_tiles() -> Iterator[tuple[Tile, Array]]:
        for tile, codes in _read_classes(folder, tiles):
            answered = codes != NODATA_CLASS
            yield tile, np.where(answered, days[tile.tile_id], NO_DAY).astype(np.uint16)[None]

    write_cog(
        folder / f"{COMPUTED}.tif", grid, date_tiles(), dtype="uint16",
        names=["days since 1970-01-01"], nodata=NO_DAY,
    )  # fmt: skip
    if previous is None or previous == folder:
        return
    if not _is_alike(previous / "class.tif", folder / "class.tif"):
        (folder / f"{CHANGE}.tif").unlink(missing_ok=True)
        return

    def compare_tiles() -> Iterator[tuple[Tile, Array]]:
        before = _read_classes(previous, tiles)
        for (tile, now), (_, was) in zip(_read_classes(folder, tiles), before, strict=True):
            yield tile, compare_classes(was, now, legend)[None]

    write_cog(
        folder / f"{CHANGE}.tif", grid, compare_tiles(), dtype="uint8", names=["change"],
        nodata=NODATA_CLASS, legend=make_change_legend(legend), resampling="mode",
    )  # fmt: skip


def read_day(moment: str) -> int:
    """Return the day of an ISO 8601 moment as days since 1970-01-01."""
    return (date.fromisoformat(moment[:10]) - _EPOCH).days


def compare_classes(
    was: NDArray[np.uint8], now: NDArray[np.uint8], legend: Legend
) -> NDArray[np.uint8]:
    """Return codes of ``make_change_legend``, shape as given; 255 where there never was an answer.

    A pixel that had no answer and has one now *became* its class.
    """
    place = np.full(256, NODATA_CLASS, dtype=np.uint8)
    place[list(legend.codes)] = np.arange(1, len(legend.codes) + 1)
    lost = len(legend.codes) + 1
    changed = np.where(now == NODATA_CLASS, lost, place[now])
    same = np.where(now == NODATA_CLASS, NODATA_CLASS, UNCHANGED_CODE)
    return np.where(was == now, same, changed).astype(np.uint8)


def _is_alike(first: Path, second: Path) -> bool:
    """Whether two rasters lie on the same pixels."""
    if not first.exists():
        return False
    try:
        with rasterio.open(first) as a, rasterio.open(second) as b:
            return bool((a.crs, a.transform, a.shape) == (b.crs, b.transform, b.shape))
    except rasterio.errors.RasterioError:
        return False


def _read_classes(folder: Path, tiles: Sequence[Tile]) -> Iterator[tuple[Tile, NDArray[np.uint8]]]:
    path = folder / "class.tif"
    try:
        with rasterio.open(path) as file:
            for tile in tiles:
                window = Window(tile.col, tile.row, tile.width, tile.height)
                yield tile, file.read(1, window=window)
    except rasterio.errors.RasterioError as error:
        raise SceneUnreadable(
            f"{path} cannot be read ({error}); delete the file, then refresh again."
        ) from error
