"""What a tile's features know and what they do not: one file beside them."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geotransfer.change.update import TilePixels
from geotransfer.core.grid import Tile
from geotransfer.core.identity import to_plain
from geotransfer.store.atomic import replace_atomically
from geotransfer.store.tile_files import read_tile


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownScene:
    """A scene as it was read on a tile."""

    scene_id: str
    fingerprint: str
    """What its files were, by ``fingerprint_scene``."""
    pixels_id: str
    """Content of its pixels on the tile, by ``hash_pixels``; its file in the cube."""
    day: str
    n_valid: int
    """Pixels inside the outline that show the ground."""


@dataclass(frozen=True, eq=False, kw_only=True)
class TileHistory:
    """The observations a tile has, and which of them its features do not know.

    Attributes
    ----------
    scenes
        Every scene the tile has seen, known to its features or not.
    layer_prints
        Layers without a date its features were made with.
    counts
        Observations each pixel's features know, shape (period, y, x).
    pending
        Observations they do not know, shape (period, y, x).
    age
        Refreshes since a pixel with unknown observations was last up to date, shape (y, x).
    inside
        Pixels inside the outline, shape (y, x).
    result
        What the work that wrote this came to, so that it is not done twice.
    """

    scenes: tuple[KnownScene, ...]
    layer_prints: tuple[str, ...]
    counts: NDArray[np.uint16]
    pending: NDArray[np.uint8]
    age: NDArray[np.uint8]
    inside: NDArray[np.bool_]
    result: Mapping[str, Any]


def locate_history(folder: Path, state_key: str) -> Path:
    """Return where a tile's history of a key is."""
    return folder / f"{state_key}.state.npz"


def write_history(path: Path, history: TileHistory) -> int:
    """Write a history whole or not at all, and return its size in bytes."""
    told = {
        "scenes": to_plain(history.scenes),
        "layer_prints": list(history.layer_prints),
        "result": dict(history.result),
    }
    sink = io.BytesIO()
    np.savez(
        sink,
        counts=history.counts,
        pending=history.pending,
        age=history.age,
        inside=history.inside,
        told=np.frombuffer(json.dumps(told).encode(), dtype=np.uint8),
    )
    with replace_atomically(path) as temporary:
        temporary.write_bytes(sink.getbuffer())
    return sink.tell()


def read_history(path: Path) -> TileHistory | None:
    """Read a history; None where there is none, so that the tile is computed anew."""
    try:
        with np.load(path, allow_pickle=False) as file:
            told = json.loads(file["told"].tobytes())
            return TileHistory(
                scenes=tuple(KnownScene(**scene) for scene in told["scenes"]),
                layer_prints=tuple(told["layer_prints"]),
                counts=file["counts"],
                pending=file["pending"],
                age=file["age"],
                inside=file["inside"],
                result=told["result"],
            )
    except FileNotFoundError:
        return None


def make_state(
    history: TileHistory, map_path: Path, tile: Tile, *, values: NDArray[np.float32]
) -> TilePixels:
    """Return a tile's state with its pixels in one line; ``values`` are its measured columns."""
    layers = read_tile(map_path, tile)
    n_periods = len(history.counts)
    return TilePixels(
        values=values,
        counts=history.counts.reshape(n_periods, -1),
        layers=layers.reshape(len(layers), -1),
        pending=history.pending.reshape(n_periods, -1),
        age=history.age.ravel(),
    )
