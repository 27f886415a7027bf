"""What a catalog may get wrong, and the sentence that says so."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from geotransfer.core.spec import S2_SEMIANNUAL
from geotransfer.errors import NotFound, SceneInvalid, SceneUnreadable
from geotransfer.imagery.catalog import check_bands, check_files, read_catalog
from geotransfer.imagery.grids import complete_scene

ITEM: dict[str, Any] = {
    "type": "Feature",
    "id": "s1",
    "collection": "sentinel-2-l2a",
    "bbox": [5, 50, 6, 51],
    "properties": {
        "datetime": "2022-03-01T10:00:00Z",
        "proj:epsg": 32631,
        "proj:shape": [8, 8],
        "proj:transform": [10, 0, 0, 0, -10, 0],
    },
    "assets": {
        name: {
            "href": f"./{name}.tif",
            "raster:bands": [{"scale": 1e-4, "offset": 0, "nodata": 0}],
            "file:checksum": "1220" + "a" * 64,
        }
        for name in ("blue", "red", "nir", "swir16")
    }
    | {"scl": {"href": "./scl.tif"}},
}


def write(folder: Path, *items: dict[str, Any]) -> str:
    path = folder / "items.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(items)}))
    return str(path)


def change(**properties: Any) -> dict[str, Any]:
    item = copy.deepcopy(ITEM)
    item["properties"].update(properties)
    return item


def test_an_item_becomes_a_scene(tmp_path: Path) -> None:
    (scene,) = read_catalog(write(tmp_path, ITEM))
    assert [a.name for a in scene.assets] == ["blue", "red", "nir", "swir_1", "mask:scl"]
    assert scene.assets[0].href == str(tmp_path / "blue.tif")
    assert scene.assets[0].checksum.startswith("1220")
    assert scene.crs == "EPSG:32631"
    assert scene.shape == (8, 8)


def test_scenes_come_in_the_order_of_their_dates(tmp_path: Path) -> None:
    late = change(datetime="2022-09-01T10:00:00Z") | {"id": "a"}
    assert [s.scene_id for s in read_catalog(write(tmp_path, late, ITEM))] == ["s1", "a"]


def test_a_folder_of_items_is_a_catalog_too(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(json.dumps(ITEM))
    assert len(read_catalog(str(tmp_path))) == 1


@pytest.mark.parametrize(
    ("baseline", "applied", "offset"),
    [("03.01", None, 0.0), ("04.00", None, -0.1), ("05.10", False, -0.1), ("05.10", True, 0.0)],
)
def test_the_offset_follows_the_processing_baseline_where_nothing_states_it(
    tmp_path: Path, baseline: str, applied: bool | None, offset: float
) -> None:
    item = change(**{"s2:processing_baseline": baseline})
    if applied is not None:
        item["properties"]["earthsearch:boa_offset_applied"] = applied
    for asset in item["assets"].values():
        asset.pop("raster:bands", None)
    (scene,) = read_catalog(write(tmp_path, item))
    assert {a.offset for a in scene.assets if a.name != "mask:scl"} == {offset}


def drop(item: dict[str, Any], *path: str) -> dict[str, Any]:
    item = copy.deepcopy(item)
    inner = item
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return item


def mix_offsets() -> dict[str, Any]:
    item = copy.deepcopy(ITEM)
    item["assets"]["red"]["raster:bands"][0]["offset"] = -0.1
    return item


@pytest.mark.parametrize(
    ("item", "sentence"),
    [
        (drop(ITEM, "properties", "datetime"), "s1 has no datetime; add one"),
        (drop(ITEM, "bbox"), "s1 has no bbox"),
        (drop(ITEM, "id"), "no id"),
        (mix_offsets(), r"s1 mixes scale and offset between its bands .*red: 0.0001, -0.1"),
        ({**ITEM, "assets": {"thumbnail": {"href": "x.png"}}}, "it has thumbnail"),
    ],
)
def test_a_faulty_item_is_named_with_the_fix(
    tmp_path: Path, item: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(SceneInvalid, match=sentence):
        read_catalog(write(tmp_path, item))


def test_a_missing_band_is_named(tmp_path: Path) -> None:
    scenes = read_catalog(write(tmp_path, ITEM))
    with pytest.raises(SceneInvalid, match=r"item s1: band 'green' is missing, spec 's2-semi"):
        check_bands(scenes, S2_SEMIANNUAL.bands, spec_name=S2_SEMIANNUAL.name)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    scenes = read_catalog(write(tmp_path, ITEM))
    with pytest.raises(SceneUnreadable, match=r"blue\.tif of band 'blue' does not exist"):
        check_files(scenes, ["blue"])


def test_an_empty_folder_says_what_it_should_hold(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no STAC item"):
        read_catalog(str(tmp_path))
    with pytest.raises(NotFound, match="no such file"):
        read_catalog(str(tmp_path / "none.json"))


@pytest.mark.parametrize("content", [b"not json", b"\xff\xfe\x00", b"[1, 2]", b"{}"])
def test_what_is_no_catalog_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "items.json"
    path.write_bytes(content)
    with pytest.raises((SceneInvalid, NotFound), match=r"items\.json"):
        read_catalog(str(path))


def test_a_scene_without_a_crs_anywhere_is_refused(tmp_path: Path) -> None:
    with rasterio.open(
        tmp_path / "blue.tif", "w", driver="GTiff", width=4, height=4, count=1, dtype="uint16",
        transform=rasterio.Affine(10, 0, 0, 0, -10, 0),
    ) as file:  # fmt: skip
        file.write(np.ones((1, 4, 4), dtype=np.uint16))
    (scene,) = read_catalog(write(tmp_path, drop(ITEM, "properties", "proj:epsg")))
    with pytest.raises(SceneInvalid, match=r"s1: neither the item nor .*blue\.tif states a CRS"):
        complete_scene(scene)
