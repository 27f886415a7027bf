"""Outlines: every file that cannot be used is one sentence, and nothing of it is kept."""

from __future__ import annotations

import contextlib
import io
import json
import re
import zipfile
from pathlib import Path

import geopandas as gpd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely import union_all
from shapely.geometry import Point, box, shape

from geotransfer.core.fact import RegionAdded
from geotransfer.errors import InputError, NotFound, OutlineInvalid
from geotransfer.imagery.areas import measure_area_km2
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.regions import (
    add_region,
    check_outline,
    find_region,
    list_regions,
    name_to_id,
    parse_outline,
    read_outline,
)

SQUARE = box(36.0, -0.4, 36.2, -0.2)
BOW_TIE = {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}


def encode(geometry: object) -> bytes:
    feature = {"type": "Feature", "properties": {}, "geometry": geometry}
    return json.dumps({"type": "FeatureCollection", "features": [feature]}).encode()


def write_file(path: Path, crs: str | None, *geometries: object) -> Path:
    frame = gpd.GeoDataFrame({"n": range(len(geometries))}, geometry=list(geometries), crs=crs)
    driver = {".gpkg": "GPKG", ".shp": "ESRI Shapefile"}[path.suffix]
    with pytest.warns(UserWarning, match="crs") if crs is None else contextlib.nullcontext():
        frame.to_file(path, driver=driver)
    return path


def zip_folder(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    return buffer.getvalue()


def test_geojson_becomes_canonical_and_measured(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "nakuru.geojson"
    path.write_bytes(encode(SQUARE.__geo_interface__))
    region = add_region(workspace, path, name="Nakuru, Kenya", actor="ana")
    assert region.region_id == "nakuru-kenya"
    assert shape(json.loads(region.outline)).equals(SQUARE)
    assert region.area_km2 == pytest.approx(measure_area_km2(region.outline))
    assert region.area_km2 == pytest.approx(0.2 * 0.2 * 111.2**2, rel=0.02)
    assert find_region(workspace, "nakuru-kenya") == region
    assert list_regions(workspace) == [region]
    assert workspace.ledger.read(RegionAdded)[0].actor == "ana"


@pytest.mark.parametrize("suffix", [".gpkg", ".zip"])
def test_projected_outlines_are_brought_to_degrees(tmp_path: Path, suffix: str) -> None:
    projected = gpd.GeoSeries([SQUARE], crs="EPSG:4326").to_crs("EPSG:32736")[0]
    folder = tmp_path / "files"
    folder.mkdir()
    if suffix == ".gpkg":
        data = write_file(folder / "a.gpkg", "EPSG:32736", projected).read_bytes()
    else:
        write_file(folder / "a.shp", "EPSG:32736", projected)
        data = zip_folder(folder)
    outline = shape(json.loads(parse_outline(data, f"a{suffix}")))
    assert outline.symmetric_difference(SQUARE).area < 1e-6


def test_two_polygons_are_one_region_of_both(tmp_path: Path) -> None:
    path = write_file(tmp_path / "two.gpkg", "EPSG:4326", SQUARE, box(37, 0, 37.1, 0.1))
    assert shape(json.loads(read_outline(path))).geom_type == "MultiPolygon"


def test_an_outline_without_crs_says_how_to_give_one(tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.shp", None, SQUARE)
    path.with_suffix(".prj").unlink(missing_ok=True)
    with pytest.raises(OutlineInvalid, match=r"^a\.zip: the outline has no CRS; assign one"):
        parse_outline(zip_folder(tmp_path), "a.zip")


def test_a_self_crossing_outline_names_the_polygon_and_the_place() -> None:
    with pytest.raises(
        OutlineInvalid, match=r"^bow\.geojson: polygon 1 is not valid \(Self-intersection\[0\.5 0"
    ):
        parse_outline(encode(BOW_TIE), "bow.geojson")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "cannot be read as an outline"),
        (b"no outline at all", "cannot be read as an outline"),
        (b"PK\x03\x04 but no archive", "cannot be read as an outline"),
        (b"<OGRVRTDataSource></OGRVRTDataSource>", "cannot be read as an outline"),
        (b'{"no": "outline"}', "cannot be read as an outline"),
        (b'{"type": "FeatureCollection", "features": []}', "no polygon in it"),
        (encode(None), "no polygon in it"),
        (encode(Point(1, 2).__geo_interface__), "no polygon in it"),
        (encode(box(500_000, 0, 600_000, 1).__geo_interface__), "which are no degrees"),
        (encode({"type": "Polygon", "coordinates": []}), "no polygon in it"),
    ],
    ids=[
        "empty",
        "text",
        "not-a-zip",
        "points-at-files",
        "json",
        "no-feature",
        "null",
        "point",
        "metres",
        "no-ring",
    ],
)
def test_files_that_are_no_outline(data: bytes, told: str) -> None:
    with pytest.raises(OutlineInvalid) as caught:
        parse_outline(data, "given.geojson")
    sentence = str(caught.value)
    assert sentence.startswith("given.geojson: ")
    assert told in sentence
    assert "\n" not in sentence


def test_an_outline_too_large_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geotransfer.workflows.regions.MAX_OUTLINE_BYTES", 1 << 20)
    with pytest.raises(OutlineInvalid, match="larger than 1 MB"):
        parse_outline(b" " * ((1 << 20) + 1), "huge.geojson")


@pytest.mark.parametrize("name", ["missing.geojson", "."])
def test_a_path_that_is_no_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFound, match="there is no such file"):
        read_outline(tmp_path / name)


def test_a_bad_outline_adds_no_region(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "bow.geojson"
    path.write_bytes(encode(BOW_TIE))
    with pytest.raises(OutlineInvalid):
        add_region(workspace, path, name="Bow", actor="ana")
    assert list_regions(workspace) == []


@pytest.mark.parametrize(
    "text", ["", "not json", "[1, 2]", '{"type": "Point"}', json.dumps(BOW_TIE)]
)
def test_drawn_outlines_are_checked_like_files(workspace: Workspace, text: str) -> None:
    with pytest.raises(OutlineInvalid):
        add_region(workspace, text, name="Drawn", actor="ana")
    assert list_regions(workspace) == []


def test_a_region_is_added_once(workspace: Workspace) -> None:
    outline = json.dumps(SQUARE.__geo_interface__)
    add_region(workspace, outline, name="Nakuru", actor="ana")
    with pytest.raises(InputError, match=r"region 'nakuru' exists already; choose another name"):
        add_region(workspace, outline, name="NAKURU!", actor="bo")
    assert len(list_regions(workspace)) == 1


def test_an_unknown_region_lists_the_known(workspace: Workspace) -> None:
    with pytest.raises(NotFound, match="there are: none yet"):
        find_region(workspace, "nakuru")
    add_region(workspace, json.dumps(SQUARE.__geo_interface__), name="Nakuru", actor="ana")
    with pytest.raises(NotFound, match=r"no region 'nakru'; there are: nakuru\."):
        find_region(workspace, "nakru")


@given(st.text(max_size=200).filter(lambda name: re.search("[a-zA-Z0-9]", name)))
def test_ids_are_plain_whatever_the_name(name: str) -> None:
    region_id = name_to_id(name)
    assert 0 < len(region_id) <= 60
    assert set(region_id) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert region_id == region_id.strip("-")
    assert name_to_id(region_id) == region_id


@pytest.mark.parametrize("name", ["", "  ", "—", "日本"])
def test_a_name_without_letters_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="has no letter or digit"):
        name_to_id(name)


@pytest.mark.parametrize("west", [179.9, -180.1])
def test_an_outline_past_the_antimeridian_is_cut_there(west: float) -> None:
    """A map without ends gives longitudes past 180; the same ground is meant either way."""
    outline = shape(json.loads(check_outline([box(west, -17, west + 0.2, -16.9)], where="x")))
    halves = [box(179.9, -17, 180, -16.9), box(-180, -17, -179.9, -16.9)]
    assert outline.symmetric_difference(union_all(halves)).area < 1e-9


def test_an_outline_round_the_globe_is_asked_to_be_split() -> None:
    with pytest.raises(OutlineInvalid, match="spans more than half the globe; if it crosses"):
        check_outline([box(-179.9, -17, 179.9, -16.9)], where="x")
