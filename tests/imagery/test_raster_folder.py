"""A plain folder of GeoTIFFs and its description: dates, bands, numbers, and every fault named."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import yaml
from affine import Affine

from geotransfer.core.exclusion import ExclusionReason
from geotransfer.core.grid import Grid, Tile
from geotransfer.core.sensor import MaskKind
from geotransfer.errors import DefinitionInvalid, NotFound
from geotransfer.imagery.catalog import exclude_unusable, survey_catalog
from geotransfer.imagery.folder_description import read_description
from geotransfer.imagery.scene_query import Query
from geotransfer.imagery.signers import read_signers
from geotransfer.imagery.stack import read_stack

AFFINE = Affine(10, 0, 500000, 0, -10, 5000000)
GRID = Grid(crs="EPSG:32631", transform=(10, 0, 500000, 0, -10, 5000000), height=8, width=8)
WHOLE = Tile(tile_id="t", row=0, col=0, height=8, width=8)
SINGLE: dict[str, Any] = {
    "name": "field",
    "files": "S2_{YYYY}{MM}{DD}_{band}.tif",
    "bands": {"B04": "red", "B08": "nir"},
    "scale": 0.0001,
    "offset": 0,
    "nodata": 0,
    "mask": {"band": "SCL", "kind": "classes", "bad": [3, 8, 9], "dilate_px": 0},
}


def write_raster(
    path: Path, *values: int, dtype: str = "uint16", crs: str | None = "EPSG:32631", **profile: Any
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="GTiff", width=8, height=8, count=len(values), dtype=dtype, crs=crs,
        transform=AFFINE, **profile,
    ) as file:  # fmt: skip
        for number, value in enumerate(values, start=1):
            file.write(np.full((8, 8), value, dtype=dtype), number)


def describe(folder: Path, description: Mapping[str, Any]) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scenes.yaml").write_text(yaml.safe_dump(dict(description)))
    return str(folder)


def test_one_band_a_file(tmp_path: Path) -> None:
    for day in ("20210305", "20210820"):
        write_raster(tmp_path / f"S2_{day}_B04.tif", 1500)
        write_raster(tmp_path / "deep" / f"S2_{day}_B08.tif", 3000)
        write_raster(tmp_path / f"S2_{day}_SCL.tif", 4, dtype="uint8")
    (tmp_path / "S2_20210820_SCL.tif").unlink()
    write_raster(tmp_path / "readme_2021.tif", 1)
    (tmp_path / "notes.txt").write_text("not a raster")
    survey = survey_catalog(describe(tmp_path, SINGLE))
    first, second = survey.scenes
    assert [s.scene_id for s in survey.scenes] == ["field-2021-03-05", "field-2021-08-20"]
    assert [a.name for a in first.assets] == ["red", "nir", "mask:folder"]
    assert [a.name for a in second.assets] == ["red", "nir"]
    assert first.sensed_at.startswith("2021-03-05T11:4"), "local noon at three degrees east"
    assert (first.assets[0].scale, first.assets[0].nodata) == (1e-4, 0)
    assert first.mask_rule is not None
    assert first.mask_rule.kind is MaskKind.CLASSES
    assert survey.passed_over == {"file name does not fit the pattern": 1}
    assert survey.exclusions == ()
    stack = read_stack(survey.scenes, ["red", "nir"], GRID, WHOLE)
    assert stack.dates == ("2021-03-05", "2021-08-20")
    assert (stack.dn[:, 0] == 1500).all()
    assert (stack.dn[:, 1] == 3000).all()
    assert stack.valid.all()


def test_all_bands_in_one_file_with_the_mask_among_them(tmp_path: Path) -> None:
    write_raster(tmp_path / "2021" / "064_x.tif", 1500, 3000, 1)
    write_raster(tmp_path / "2021" / "065_x.tif", 1600, 3100, 0)
    description = {
        "files": "{YYYY}/{DOY}_{*}.tif",
        "bands": {1: "red", 2: "nir"},
        "scale": 0.0001,
        "nodata": "none",
        "mask": {"band": 3, "kind": "flag", "dilate_px": 0},
    }
    survey = survey_catalog(describe(tmp_path, description))
    scene = survey.scenes[0]
    assert [(a.name, a.band, a.nodata) for a in scene.assets] == [
        ("red", 1, None), ("nir", 2, None), ("mask:folder", 3, None),
    ]  # fmt: skip
    assert sum(a.size_bytes or 0 for a in scene.assets) == Path(scene.assets[0].href).stat().st_size
    stack = read_stack(survey.scenes, ["red", "nir"], GRID, WHOLE)
    assert stack.dates == ("2021-03-05", "2021-03-06")
    assert (stack.dn[1, 1] == 3100).all()
    assert not stack.valid[0].any()
    assert stack.valid[1].all()


def test_a_file_states_its_own_scale_offset_and_nodata(tmp_path: Path) -> None:
    path = tmp_path / "ndvi_2021-03-05.tif"
    write_raster(path, 120, dtype="uint8", nodata=255)
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (0.01,), (-1.0,)
    survey = survey_catalog(
        describe(tmp_path, {"files": "ndvi_{YYYY}-{MM}-{DD}.tif", "bands": {1: "ndvi"}})
    )
    asset = survey.scenes[0].assets[0]
    assert (asset.scale, asset.offset, asset.nodata) == (0.01, -1.0, 255)
    assert (read_stack(survey.scenes, ["ndvi"], GRID, WHOLE).dn == 2000).all()


def test_jpeg_2000_files_are_scenes_too(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(1, 9000, (1, 32, 32)).astype(np.uint16)
    with rasterio.open(
        tmp_path / "T31_20210305T101010_B04.jp2", "w", driver="JP2OpenJPEG", width=32, height=32,
        count=1, dtype="uint16", crs="EPSG:32631", transform=AFFINE, quality=100, reversible=True,
    ) as file:  # fmt: skip
        file.write(pixels)
    description = {
        "files": "{tile}_{YYYY}{MM}{DD}T{hh}{mm}{ss}_{band}.jp2",
        "bands": {"B04": "red"},
        "scale": 0.0001,
        "nodata": 0,
    }
    (scene,) = survey_catalog(describe(tmp_path, description)).scenes
    assert scene.sensed_at == "2021-03-05T10:10:10Z"
    assert scene.scene_id == f"{tmp_path.name}-2021-03-05T10:10:10Z-T31"
    assert (read_stack([scene], ["red"], GRID, WHOLE).dn[0, 0] == pixels[0, :8, :8]).all()


def test_tiles_of_one_day_are_scenes_of_their_own(tmp_path: Path) -> None:
    for tile in ("31UES", "31UFS"):
        write_raster(tmp_path / f"{tile}_20210305_B04.tif", 1)
    description = {**SINGLE, "files": "{tile}_{YYYY}{MM}{DD}_{band}.tif"}
    survey = survey_catalog(describe(tmp_path, description))
    assert [s.scene_id for s in survey.scenes] == [
        "field-2021-03-05-31UES", "field-2021-03-05-31UFS",
    ]  # fmt: skip
    with pytest.raises(DefinitionInvalid, match="of the same date and band; add a placeholder"):
        survey_catalog(describe(tmp_path, {**SINGLE, "files": "{*}_{YYYY}{MM}{DD}_{band}.tif"}))


def test_the_period_and_the_region_are_asked_of_a_folder_too(tmp_path: Path) -> None:
    for day in ("20210305", "20210820"):
        write_raster(tmp_path / f"S2_{day}_B04.tif", 1)
    location = describe(tmp_path, SINGLE)
    late = survey_catalog(location, query=Query(start=date(2021, 6, 1)))
    assert [s.sensed_at[:10] for s in late.scenes] == ["2021-08-20"]
    assert late.passed_over == {"outside the period": 1}
    outline = '{"type":"Polygon","coordinates":[[[50,0],[51,0],[51,1],[50,0]]]}'
    assert survey_catalog(location, query=Query(outline=outline)).passed_over == {
        "outside the region": 2
    }


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ({"crs": None}, "states no CRS; assign one"),
        ({"nodata": None, "drop": "nodata"}, "states no nodata; write nodata: 0 in scenes.yaml"),
        ({"drop": "scale"}, "whole numbers and states no scale; write scale: 0.0001"),
    ],
)
def test_a_file_that_leaves_its_numbers_open_excludes_its_scene(
    tmp_path: Path, fault: dict[str, Any], sentence: str
) -> None:
    dropped = fault.pop("drop", "")
    write_raster(tmp_path / "S2_20210305_B04.tif", 1, **fault)
    description = {key: value for key, value in SINGLE.items() if key != dropped}
    survey = survey_catalog(describe(tmp_path, description))
    assert survey.scenes == ()
    assert sentence in survey.exclusions[0].detail
    assert survey.exclusions[0].detail.startswith("scene field-2021-03-05: ")


def test_a_truncated_file_excludes_its_scene_and_no_other(tmp_path: Path) -> None:
    for day in ("20210305", "20210820"):
        write_raster(tmp_path / f"S2_{day}_B04.tif", 1)
    path = tmp_path / "S2_20210305_B04.tif"
    path.write_bytes(path.read_bytes()[:20])
    survey = survey_catalog(describe(tmp_path, SINGLE))
    assert [s.sensed_at[:10] for s in survey.scenes] == ["2021-08-20"]
    assert survey.exclusions[0].reason is ExclusionReason.UNREADABLE
    assert "S2_20210305_B04.tif" in survey.exclusions[0].detail


def test_a_missing_band_is_found_against_the_spec(tmp_path: Path) -> None:
    write_raster(tmp_path / "S2_20210305_B04.tif", 1)
    survey = survey_catalog(describe(tmp_path, SINGLE))
    usable, exclusions = exclude_unusable(survey.scenes, ["red", "nir"], spec_name="two")
    assert usable == []
    assert exclusions[0].reason is ExclusionReason.BAND
    assert "band 'nir' is missing" in exclusions[0].detail


def test_a_raster_that_points_at_other_files_is_not_read(tmp_path: Path) -> None:
    write_raster(tmp_path / "secret.tif", 1)
    vrt = f"""<VRTDataset rasterXSize="8" rasterYSize="8"><SRS>EPSG:32631</SRS>
      <GeoTransform>500000,10,0,5000000,0,-10</GeoTransform>
      <VRTRasterBand dataType="UInt16" band="1"><SimpleSource><SourceFilename>
      {tmp_path / "secret.tif"}</SourceFilename><SourceBand>1</SourceBand></SimpleSource>
      </VRTRasterBand></VRTDataset>"""
    (tmp_path / "S2_20210305_B04.tif").write_text(vrt)
    survey = survey_catalog(describe(tmp_path, SINGLE))
    assert survey.scenes == ()
    assert survey.exclusions[0].reason is ExclusionReason.UNREADABLE


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"files": None}, "'files' is no text"),
        ({"bands": {}}, "'bands' is no mapping"),
        ({"bands": {"B04": "red", "B05": "red"}}, "two bands are called 'red'"),
        ({"bands": {"B04": "red", 2: "nir"}}, "mixes words and numbers"),
        ({"bands": {0: "red"}, "files": "{YYYY}{DOY}.tif", "mask": None}, "a band number is 0"),
        ({"files": "S2_{band}.tif"}, "no date; write {YYYY}{MM}{DD}"),
        ({"files": "S2_{YYYY}{MM}{DD}.tif"}, "contradict each other; write {band}"),
        ({"files": "S2_{YEAR}{MM}{DD}_{band}.tif"}, r"placeholder {YEAR}; use {YYYY}"),
        ({"files": "S2_{YYYY}{MM}{DD_{band}.tif"}, "placeholder|close every brace"),
        ({"scale": "big"}, "scale is 'big', which is no number"),
        ({"scale": 0}, "the scale is 0; give a positive number"),
        ({"nodata": [0]}, "nodata is .0., which is no number"),
        ({"sensor": "spot"}, "sensor 'spot' is not known"),
        ({"mask": {"band": "SCL"}}, "'kind' is missing"),
        ({"mask": {"band": "SCL", "kind": "classes"}}, "lists no bad classes"),
        ({"mask": {"band": 3, "kind": "flag"}}, "mask is band 3 of one-band files"),
        ({"surprise": 1}, "'surprise' is not known; use name, files"),
    ],
)
def test_a_faulty_description_is_one_sentence_with_the_key(
    tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    location = describe(tmp_path, {**SINGLE, **change})
    with pytest.raises(DefinitionInvalid, match=sentence) as caught:
        survey_catalog(location)
    assert "scenes.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["a: [", "!!python/object/new:os.system ['x']", "- 1", "", "a: &x [1]\nb: *x", "\0"]
)
def test_what_is_no_description_is_said_to_be_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "scenes.yaml").write_text(text)
    with pytest.raises(DefinitionInvalid, match=r"scenes\.yaml"):
        read_description(tmp_path / "scenes.yaml")


def test_no_file_and_no_description_are_said(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no file in .* fits 'files'"):
        survey_catalog(describe(tmp_path, SINGLE))
    with pytest.raises(NotFound, match="there is no such file"):
        survey_catalog(str(tmp_path / "other.yaml"))


@pytest.mark.parametrize("day", ["20210230", "20211301", "20210000"])
def test_a_day_that_is_none_does_not_fit(tmp_path: Path, day: str) -> None:
    write_raster(tmp_path / "S2_20210305_B04.tif", 1)
    write_raster(tmp_path / f"S2_{day}_B04.tif", 1)
    survey = survey_catalog(describe(tmp_path, SINGLE))
    assert len(survey.scenes) == 1
    assert survey.passed_over == {"file name does not fit the pattern": 1}


def test_what_the_documents_show_can_be_used(tmp_path: Path) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "catalogs.md").read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 3
    path = tmp_path / "scenes.yaml"
    for block in blocks:
        path.write_text(block)
        if "signers:" in block:
            assert [row.name for row in read_signers(str(path))] == ["tokens", "archive"]
        else:
            assert "nir" in read_description(path).bands.values()
