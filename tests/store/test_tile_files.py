"""Tile files: what is read is what was written, in place, and a broken file is one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geotransfer.core.grid import Tile
from geotransfer.errors import SceneUnreadable
from geotransfer.store.tile_files import (
    locate_answers,
    locate_features,
    read_key,
    read_tile,
    write_tile,
)

TILE = Tile(tile_id="t", row=0, col=0, height=40, width=70)


def make_layers(n: int, dtype: str, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 60000, (n, TILE.height, TILE.width)).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "uint16", "uint8"])
def test_layers_come_back_as_they_went(tmp_path: Path, dtype: str) -> None:
    path = tmp_path / "a.npy"
    parts = [make_layers(3, dtype), make_layers(2, dtype, 1)[:, ::-1]]
    size = write_tile(path, parts)
    found = read_tile(path, TILE)
    assert size == path.stat().st_size
    assert found.dtype == dtype
    assert (found == np.concatenate(parts)).all()
    # Any other reader of the format gives the same.
    assert (np.load(path) == found).all()


@given(
    value=st.one_of(st.floats(width=32), st.just(float("nan"))),
    at=st.one_of(st.none(), st.integers(0, TILE.height * TILE.width - 1)),
)
def test_a_tile_of_one_value_is_small_and_no_pixel_is_lost(
    tmp_path_factory: pytest.TempPathFactory, value: float, at: int | None
) -> None:
    path = tmp_path_factory.mktemp("tiles") / "a.npy"
    layers = np.full((2, TILE.height, TILE.width), value, dtype=np.float32)
    layers[1] = 7
    if at is not None:
        layers.reshape(2, -1)[1, at] = -1
    size = write_tile(path, [layers])
    np.testing.assert_array_equal(read_tile(path, TILE), layers)
    assert (size < 200) is (at is None)


def test_what_is_read_cannot_be_written_into(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    write_tile(path, [make_layers(1, "uint16")])
    with pytest.raises(ValueError, match="read-only"):
        read_tile(path, TILE)[0, 0, 0] = 1


def test_a_file_is_replaced_whole_under_a_reader(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    first, second = make_layers(2, "uint16"), make_layers(2, "uint16", 1)
    write_tile(path, [first])
    before = read_tile(path, TILE)
    write_tile(path, [second])
    assert (before == first).all()
    assert (read_tile(path, TILE) == second).all()


@pytest.mark.parametrize("fault", ["missing", "empty", "cut short", "noise", "pickled", "smaller"])
def test_a_broken_file_is_one_sentence_with_the_remedy(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "a.npy"
    write_tile(path, [make_layers(2, "uint16")])
    if fault == "missing":
        path.unlink()
    elif fault == "empty":
        path.write_bytes(b"")
    elif fault == "cut short":
        path.write_bytes(path.read_bytes()[:-100])
    elif fault == "noise":
        path.write_bytes(np.random.default_rng(1).bytes(5000))
    elif fault == "pickled":
        np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    else:
        write_tile(path, [make_layers(2, "uint16")[:, 1:]])
    with pytest.raises(SceneUnreadable, match=r"a\.npy cannot be read .*refresh again") as caught:
        read_tile(path, TILE)
    assert "\n" not in str(caught.value)


def test_files_are_named_by_their_keys(tmp_path: Path) -> None:
    assert read_key(locate_features(tmp_path, "u-1f")) == "u-1f"
    assert read_key(str(locate_answers(tmp_path, "2e"))) == "2e"
    assert locate_features(tmp_path, "a") != locate_answers(tmp_path, "a")
