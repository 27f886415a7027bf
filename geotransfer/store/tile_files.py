"""Tile files: the layers of one tile as a plain array in NumPy's own format, read in place.

They are the working storage of a region, written and read at every refresh; what a GIS opens are
the maps made of them. A GeoTIFF takes three times as long to write, and nine times to open.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geotransfer.core.grid import Tile
from geotransfer.errors import SceneUnreadable
from geotransfer.store.atomic import replace_atomically

FEATURES = ".features.npy"
ANSWERS = ".map.npy"


def locate_features(folder: Path, feature_key: str) -> Path:
    """Return where a tile's measured columns and observations are."""
    return folder / f"{feature_key}{FEATURES}"


def locate_answers(folder: Path, map_key: str) -> Path:
    """Return where a tile's classes, probabilities and observations are."""
    return folder / f"{map_key}{ANSWERS}"


def read_key(path: str | Path) -> str:
    """Return the key a tile file is named by."""
    return Path(path).name.split(".")[0]


def write_tile(path: Path, parts: Sequence[NDArray[Any]]) -> int:
    """Write a tile's layers whole or not at all, and return the file's size in bytes.

    Parameters
    ----------
    parts
        Arrays of shape (layer, y, x), of one type and size; their layers follow one another.

    Nothing is compressed: a quarter of the size of features, whose last digits are noise, would
    cost five times the time. A tile whose layers have one value each, as outside an outline, is
    written as one pixel.
    """
    if all(_is_blank(part) for part in parts):
        parts = [part[:, :1, :1] for part in parts]
    shape = (sum(len(part) for part in parts), *parts[0].shape[1:])
    header = {
        "descr": np.lib.format.dtype_to_descr(parts[0].dtype),
        "fortran_order": False,
        "shape": shape,
    }
    with replace_atomically(path) as temporary:
        with temporary.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for part in parts:
                file.write(np.ascontiguousarray(part).data)
        return temporary.stat().st_size


def read_tile(path: Path, tile: Tile) -> NDArray[Any]:
    """Return a tile's layers, shape (layer, y, x), not to be written into.

    Numbers are read as they are used: a few pixels, or layers, of a tile cost little.

    Raises
    ------
    SceneUnreadable
        The file is missing, cut short, or of another tile.
    """
    try:
        layers = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
        return np.broadcast_to(layers, (len(layers), tile.height, tile.width))
    except (OSError, ValueError, EOFError, TypeError) as error:
        raise SceneUnreadable(
            f"{path} cannot be read ({error}); delete the file, then refresh again."
        ) from error


def _is_blank(layers: NDArray[Any]) -> bool:
    """Whether each layer has one value, which may be NaN."""
    first = layers[:, :1, :1]

    def is_first(values: NDArray[Any]) -> bool:
        return bool(((values == first) | ((values != values) & (first != first))).all())

    # Nearly every other tile ends at a few of its pixels.
    return is_first(layers[:, ::32, ::32]) and is_first(layers)
