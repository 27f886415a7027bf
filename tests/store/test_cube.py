"""The cube: what was read comes back bit for bit, within its bound, oldest out first."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from geotransfer.store.cube import Cube, hash_pixels

SHAPE = (3, 16, 24)
ROOM = 10**9


def draw(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    valid = rng.random(SHAPE[1:]) < 0.6
    return np.where(valid, rng.integers(-900, 9000, SHAPE), 0).astype(np.int16), valid


def test_pixels_come_back_bit_for_bit(tmp_path: Path) -> None:
    cube = Cube(folder=tmp_path, limit_bytes=ROOM)
    dn, valid = draw(1)
    pixels_id = hash_pixels(dn, valid, "here")
    assert cube.get(pixels_id, SHAPE) is None
    cube.put(pixels_id, dn, valid)
    cube.put(pixels_id, dn, valid)
    found = cube.get(pixels_id, SHAPE)
    assert found is not None
    assert (found[0] == dn).all()
    assert (found[1] == valid).all()
    assert cube.measure() == dn.nbytes + valid.size // 8


@pytest.mark.parametrize("change", ["a number", "the mask", "the place"])
def test_the_id_follows_pixels_mask_and_place(change: str) -> None:
    dn, valid = draw(1)
    before = hash_pixels(dn, valid, "here")
    assert before == hash_pixels(dn.copy(), valid.copy(), "here")
    place = "there" if change == "the place" else "here"
    if change == "a number":
        dn[1, 2, 3] += 1
    if change == "the mask":
        valid[0, 0] = not valid[0, 0]
    assert hash_pixels(dn, valid, place) != before


def test_it_stays_within_its_bound_and_forgets_what_was_used_least_recently(tmp_path: Path) -> None:
    each = draw(0)[0].nbytes + SHAPE[1] * SHAPE[2] // 8
    cube = Cube(folder=tmp_path, limit_bytes=5 * each)
    ids = []
    for seed in range(5):
        dn, valid = draw(seed)
        ids.append(hash_pixels(dn, valid, ""))
        cube.put(ids[-1], dn, valid)
        path = next(tmp_path.glob(f"*/{ids[-1]}.px"))
        os.utime(path, ns=(seed, seed))
    assert cube.get(ids[0], SHAPE) is not None  # used now: no longer the oldest
    dn, valid = draw(9)
    cube.put(hash_pixels(dn, valid, ""), dn, valid)
    assert cube.measure() <= 5 * each
    assert cube.get(ids[1], SHAPE) is None
    assert cube.get(ids[0], SHAPE) is not None


def test_a_cube_without_room_keeps_nothing(tmp_path: Path) -> None:
    cube = Cube(folder=tmp_path / "cube", limit_bytes=0)
    dn, valid = draw(1)
    cube.put(hash_pixels(dn, valid, ""), dn, valid)
    assert not (tmp_path / "cube").exists()


def test_a_cut_file_is_not_there(tmp_path: Path) -> None:
    cube = Cube(folder=tmp_path, limit_bytes=ROOM)
    dn, valid = draw(1)
    pixels_id = hash_pixels(dn, valid, "")
    cube.put(pixels_id, dn, valid)
    path = next(tmp_path.glob("*/*.px"))
    path.write_bytes(path.read_bytes()[:100])
    assert cube.get(pixels_id, SHAPE) is None
