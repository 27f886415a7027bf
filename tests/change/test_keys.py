"""Each thing that determines a tile flips the key; nothing else does."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from geotransfer.change import keys as keys_module
from geotransfer.change.keys import TileKeys, fingerprint_scene, hash_file, make_keys
from geotransfer.core.grid import Grid, Tile
from geotransfer.core.region import Region, RegionKind
from geotransfer.core.scene import Asset, Scene
from geotransfer.core.spec import S2_SEMIANNUAL
from geotransfer.errors import SceneUnreadable

REGION = Region(
    region_id="a",
    name="A",
    kind=RegionKind.IMAGERY,
    outline='{"coordinates":[],"type":"Polygon"}',
    area_km2=1.0,
    spec_name="s2-semiannual",
    legend_name="cropland",
)
GRID = Grid(crs="EPSG:32631", transform=(10, 0, 0, 0, -10, 0), height=8, width=8)
TILE = Tile(tile_id="t", row=0, col=0, height=8, width=8)
ASSET = Asset(name="red", href="/x/red.tif", scale=1e-4, nodata=0, checksum="1220aa")
SCENE = Scene(
    scene_id="s1",
    sensed_at="2022-01-01T00:00:00Z",
    sensor="sentinel-2-l2a",
    bounds=(0, 0, 1, 1),
    assets=(ASSET, replace(ASSET, name="mask:scl", checksum="1220bb")),
    crs="EPSG:32631",
    transform=(10, 0, 0, 0, -10, 0),
    shape=(8, 8),
)
ARGUMENTS: dict[str, Any] = {
    "fingerprints": ["f1", "f2"],
    "mask_rules": ["rule"],
    "spec": S2_SEMIANNUAL,
    "region": REGION,
    "grid": GRID,
    "tile": TILE,
    "model_id": "m1",
    "libraries": {"numpy": "2.4"},
}


def make(**changes: Any) -> TileKeys:
    return make_keys(**{**ARGUMENTS, **changes})


FLIPS: dict[str, tuple[str, dict[str, Any]]] = {
    "another input": ("inputs", {"fingerprints": ["f1", "f3"]}),
    "one more input": ("inputs", {"fingerprints": ["f1", "f2", "f3"]}),
    "mask rule": ("mask", {"mask_rules": ["other"]}),
    "feature spec": (
        "spec",
        {"spec": replace(S2_SEMIANNUAL, measured=S2_SEMIANNUAL.measured[::-1])},
    ),
    "outline": ("area", {"region": replace(REGION, outline='{"type":"Point"}')}),
    "grid": ("area", {"grid": replace(GRID, crs="EPSG:32632")}),
    "tile": ("area", {"tile": replace(TILE, height=7)}),
    "library version": ("processing", {"libraries": {"numpy": "2.5"}}),
    "model": ("model", {"model_id": "m2"}),
    "derived columns": ("model", {"spec": replace(S2_SEMIANNUAL, derived=())}),
}


@pytest.mark.parametrize("name", FLIPS)
def test_each_part_flips_its_own_key_only(name: str) -> None:
    part, changes = FLIPS[name]
    before, after = make(), make(**changes)
    changed = {p for p in keys_module.PARTS if getattr(before, p) != getattr(after, p)}
    assert changed == {part}
    assert before.map_key != after.map_key


def test_our_own_versions_are_part_of_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    feature_key, map_key = make().feature_key, make().map_key
    monkeypatch.setattr(keys_module, "COMPOSITE_VERSION", 99)
    assert make().feature_key != feature_key
    monkeypatch.undo()
    monkeypatch.setattr(keys_module, "PREDICT_VERSION", 99)
    assert make().map_key != map_key
    assert make().feature_key == feature_key


def test_the_order_of_scenes_does_not_matter() -> None:
    assert make(fingerprints=["f2", "f1"]) == make()


SCENE_FLIPS: dict[str, Callable[[], Scene]] = {
    "checksum": lambda: replace(SCENE, assets=(replace(ASSET, checksum="1220cc"),)),
    "offset": lambda: replace(SCENE, assets=(replace(ASSET, offset=-0.1), SCENE.assets[1])),
    "scale": lambda: replace(SCENE, assets=(replace(ASSET, scale=2e-4), SCENE.assets[1])),
    "nodata": lambda: replace(SCENE, assets=(replace(ASSET, nodata=7), SCENE.assets[1])),
    "mask file": lambda: replace(
        SCENE, assets=(ASSET, replace(SCENE.assets[1], checksum="1220cc"))
    ),
    "date": lambda: replace(SCENE, sensed_at="2022-07-01T00:00:00Z"),
    "place": lambda: replace(SCENE, transform=(10, 0, 10, 0, -10, 0)),
}


@pytest.mark.parametrize("name", SCENE_FLIPS)
def test_whatever_reaches_the_composite_flips_the_fingerprint(name: str) -> None:
    assert fingerprint_scene(SCENE_FLIPS[name](), ["red"]) != fingerprint_scene(SCENE, ["red"])


def test_what_does_not_reach_it_does_not() -> None:
    unused = replace(ASSET, name="coastal", checksum="1220dd")
    moved = replace(SCENE.assets[1], href="/elsewhere/scl.tif")
    republished = replace(SCENE, item='{"updated":"tomorrow"}', assets=(ASSET, moved, unused))
    assert fingerprint_scene(republished, ["red"]) == fingerprint_scene(SCENE, ["red"])


def test_without_a_checksum_the_bytes_are_hashed(tmp_path: Path) -> None:
    path = tmp_path / "red.tif"
    path.write_bytes(b"abc")
    before = hash_file(str(path))
    stat = path.stat()
    path.write_bytes(b"abd")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert hash_file(str(path)) != before
    with pytest.raises(SceneUnreadable, match=r"gone\.tif"):
        hash_file(str(tmp_path / "gone.tif"))
