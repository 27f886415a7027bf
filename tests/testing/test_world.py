"""The simulated world on disk: STAC items and COGs that keep their word."""

from __future__ import annotations

import datetime as dt
import errno
import hashlib
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rio_cogeo
from shapely.geometry import shape

from geotransfer.core.spec import BANDS
from geotransfer.errors import DiskFull, InputError, NotFound
from geotransfer.imagery.catalog import check_bands, read_catalog
from geotransfer.testing import (
    Republish,
    Role,
    World,
    add_scene,
    make_world,
    open_world,
    simulate_scene_arrays,
)
from geotransfer.testing.items import ASSET_NAMES, read_items
from geotransfer.testing.placement import choose_regions, spread_dates

SMALL = {"size_px": 64, "n_scenes": 6}


def make_small(folder: Path, *, n_threads: int = 1, seed: int = 2) -> World:
    return make_world(
        ("eastern", "western"), 1.0, seed, folder=folder, size_px=64, n_scenes=6,
        n_threads=n_threads,
    )  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_small(tmp_path_factory.mktemp("world"))


def hash_folder(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_seed_gives_the_same_bytes(world: World, tmp_path: Path) -> None:
    again = make_small(tmp_path, n_threads=3)
    assert hash_folder(again.folder) == hash_folder(world.folder)


def test_another_seed_gives_other_scenes(world: World, tmp_path: Path) -> None:
    other = hash_folder(make_small(tmp_path, seed=3).folder)
    scenes = {k: v for k, v in hash_folder(world.folder).items() if k.endswith("red.tif")}
    assert not set(scenes.values()) & set(other.values())


def test_everything_says_it_is_simulated(world: World) -> None:
    for region in world.regions:
        assert region.name.startswith("Simulated")
        assert region.region_id.startswith("simulated-")
        assert region.attribution.startswith("Simulated.")
        assert "CC BY 4.0" in region.attribution
        for item in read_items(region.items_path):
            assert item["id"].startswith("simulated-")
            assert item["collection"].startswith("simulated-")
            assert item["properties"]["title"].startswith("Simulated")
            assert item["properties"]["platform"] == "simulated"


def test_roles(world: World) -> None:
    assert [r.role for r in world.regions] == [Role.SOURCE, Role.TARGET]
    assert world.sources == world.regions[:1]
    assert world.targets == world.regions[1:]


def test_items_describe_their_files(world: World) -> None:
    region = world.regions[0]
    items = read_items(region.items_path)
    assert len(items) == SMALL["n_scenes"]
    for item in items:
        properties = item["properties"]
        is_new = properties["datetime"] >= "2022-04-01"
        assert properties["s2:processing_baseline"] == ("04.00" if is_new else "03.01")
        assert 0 <= properties["eo:cloud_cover"] <= 100
        assert set(item["assets"]) == {*ASSET_NAMES, "scl"}
        for name, asset in item["assets"].items():
            path = region.folder / asset["href"]
            data = path.read_bytes()
            assert asset["file:checksum"] == "1220" + hashlib.sha256(data).hexdigest()
            assert asset["file:size"] == len(data)
            (band,) = asset["raster:bands"]
            with rasterio.open(path) as file:
                assert file.crs.to_string() == properties["proj:code"]
                assert list(file.transform)[:6] == properties["proj:transform"]
                assert list(file.shape) == properties["proj:shape"]
                assert file.dtypes == (band["data_type"],)
                assert file.nodata == band["nodata"] == 0
            if name != "scl":
                assert band["scale"] == 1e-4
                assert band["offset"] == (-0.1 if is_new else 0.0)


def test_both_baselines_occur(world: World) -> None:
    for region in world.regions:
        found = {i["properties"]["s2:processing_baseline"] for i in read_items(region.items_path)}
        assert found == {"03.01", "04.00"}


@pytest.mark.parametrize("size_px", [64, 530])
def test_rasters_are_cloud_optimised(size_px: int, tmp_path: Path) -> None:
    world = make_world(2, 1.0, 1, folder=tmp_path, size_px=size_px, n_scenes=1)
    path = next(world.regions[0].folder.glob("scenes/*/red.tif"))
    valid, errors, warnings = rio_cogeo.cog_validate(str(path), quiet=True)
    assert (valid, errors, warnings) == (True, [], [])


def test_files_hold_the_arrays(world: World) -> None:
    region = world.regions[1]
    date = region.dates[-1]
    scene = simulate_scene_arrays(region.ground, date, with_offset=True)
    for raster, name in zip((*scene.dn, scene.scl), (*ASSET_NAMES, "scl"), strict=True):
        with rasterio.open(region.folder / "scenes" / date.isoformat() / f"{name}.tif") as file:
            np.testing.assert_array_equal(file.read(1), raster)


def test_the_product_reads_the_catalog(world: World) -> None:
    for region in world.regions:
        scenes = read_catalog(str(region.items_path))
        assert len(scenes) == SMALL["n_scenes"]
        check_bands(scenes, BANDS, spec_name="s2-semiannual")
        assert scenes[0].crs == region.grid.crs
        assert scenes[0].find_asset("mask:scl") is not None


def test_the_outline_lies_inside_the_scenes(world: World) -> None:
    for region in world.regions:
        outline = shape(region.outline)
        assert outline.is_valid
        item = read_items(region.items_path)[0]
        footprint = shape(item["geometry"])
        assert footprint.buffer(1e-6).contains(outline)
        assert outline.area > 0.9 * footprint.area
        assert region.grid.crs.startswith("EPSG:326")
        stored = json.loads(region.outline_path.read_text())
        assert stored["geometry"] == region.outline


def test_truth_is_written_for_every_period(world: World) -> None:
    for region in world.regions:
        assert region.events
        periods = region.truth
        assert periods[0].start == dt.date(2022, 1, 1)
        assert periods[-1].end is None
        for period in periods:
            with rasterio.open(period.path) as file:
                np.testing.assert_array_equal(file.read(1), region.ground.find_truth(period.start))
        changed = region.ground.find_truth(periods[0].start) != region.ground.find_truth(
            periods[-1].start
        )
        assert changed.mean() == pytest.approx(0.04, abs=0.02)


def test_a_world_opens_again(world: World) -> None:
    opened = open_world(world.folder)
    assert (opened.seed, opened.shift) == (world.seed, world.shift)
    for region, again in zip(world.regions, opened.regions, strict=True):
        assert region.truth == again.truth
        assert region.grid == again.grid
        for date in region.dates:
            np.testing.assert_array_equal(
                simulate_scene_arrays(region.ground, date).dn,
                simulate_scene_arrays(again.ground, date).dn,
            )


def test_one_more_scene_with_change(tmp_path: Path) -> None:
    world = make_small(tmp_path)
    date = dt.date(2023, 1, 9)
    region = add_scene(world.regions[1], date, changed_share=0.1)
    assert region.dates[-1] == date
    assert len(region.dates) == SMALL["n_scenes"] + 1
    before = region.ground.find_truth(date - dt.timedelta(days=1))
    changed = region.ground.find_truth(date) != before
    assert changed.mean() == pytest.approx(0.1, abs=0.02)
    assert region.truth[-1].start == date
    assert region.truth[-1].path.exists()
    # The world on disk remembers the change.
    again = open_world(tmp_path).find_region(region.region_id)
    np.testing.assert_array_equal(again.ground.find_truth(date), region.ground.find_truth(date))
    assert again.truth == region.truth


def read_reflectance(region_folder: Path, item: dict[str, object]) -> np.ndarray:
    layers = []
    for name in ASSET_NAMES:
        asset = item["assets"][name]  # type: ignore[index]
        with rasterio.open(region_folder / asset["href"]) as file:
            (band,) = asset["raster:bands"]
            dn = file.read(1)
            value = np.rint((dn * band["scale"] + band["offset"]) / band["scale"])
            layers.append(np.where(dn == 0, -9999, value))
    return np.stack(layers)


@pytest.mark.parametrize("how", list(Republish))
def test_publishing_again_keeps_the_picture(how: Republish, tmp_path: Path) -> None:
    region = make_small(tmp_path).regions[0]
    date = region.dates[3]
    (old,) = [i for i in read_items(region.items_path) if i["id"].endswith(date.isoformat())]
    region = add_scene(region, date, republish=how)
    (new,) = [i for i in read_items(region.items_path) if i["id"].endswith(date.isoformat())]
    assert new != old
    assert new["properties"]["updated"] > old["properties"]["updated"]
    same_file = [new["assets"][n]["file:checksum"] == old["assets"][n]["file:checksum"]
                 for n in ASSET_NAMES]  # fmt: skip
    assert all(same_file) if how is Republish.METADATA else not any(same_file)
    baselines = [i["properties"]["s2:processing_baseline"] for i in (old, new)]
    assert (baselines[0] != baselines[1]) == (how is Republish.OFFSET)
    np.testing.assert_array_equal(
        read_reflectance(region.folder, old), read_reflectance(region.folder, new)
    )


def test_publishing_twice_gives_new_files_each_time(tmp_path: Path) -> None:
    region = make_small(tmp_path).regions[0]
    date = region.dates[0]
    for _ in range(2):
        add_scene(region, date, republish=Republish.REENCODED)
    (item,) = [i for i in read_items(region.items_path) if i["id"].endswith(date.isoformat())]
    assert "-r2/" in item["assets"]["red"]["href"]


def test_a_year_of_five_day_scenes() -> None:
    dates = spread_dates(2022, 73)
    assert {(b - a).days for a, b in itertools.pairwise(dates)} == {5}
    assert (dates[0].year, dates[-1].year) == (2022, 2022)


def test_a_number_of_regions_is_drawn_from_the_six() -> None:
    assert len(set(choose_regions(6, 1))) == 6
    assert choose_regions(3, 1) == choose_regions(3, 1)
    assert len({choose_regions(3, seed) for seed in range(8)}) > 1


@pytest.mark.parametrize(
    ("regions", "options", "message"),
    [
        (("eastern", "atlantis"), {}, "atlantis"),
        (("eastern",), {}, "at least one source and one target"),
        (("eastern", "western"), {"n_targets": 2}, "at least one source and one target"),
        (2, {"size_px": 8}, "at least 32"),
        (2, {"n_scenes": 0}, "1 to 365"),
        (2, {"changed_share": 0.9}, "between 0 and 0.6"),
    ],
)
def test_what_cannot_be_made_is_refused(
    regions: object, options: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        make_world(regions, 1.0, 1, folder=tmp_path, **{**SMALL, **options})  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir()), "nothing half written"


def test_a_date_is_not_taken_twice(world: World) -> None:
    region = world.regions[0]
    with pytest.raises(InputError, match="already"):
        add_scene(region, region.dates[0])
    with pytest.raises(InputError, match="no scene of 2021-05-05"):
        add_scene(region, dt.date(2021, 5, 5), republish=Republish.METADATA)


def test_a_full_disk_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = Path.write_bytes

    def fill_disk(path: Path, data: bytes) -> int:
        if len(list(tmp_path.rglob("*.tif"))) > 12:
            raise OSError(errno.ENOSPC, "No space left on device")
        return written(path, data)

    monkeypatch.setattr(Path, "write_bytes", fill_disk)
    with pytest.raises(DiskFull, match="no space left"):
        make_small(tmp_path)
    assert not list(tmp_path.rglob("items.json"))
    assert not list(tmp_path.rglob(".part-*"))
    assert not (tmp_path / "world.json").exists()


def test_no_world_in_a_folder(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no simulated world"):
        open_world(tmp_path)
    with pytest.raises(NotFound, match="no region"):
        make_small(tmp_path).find_region("simulated-9-nowhere")
