from __future__ import annotations

import io
import json
import tarfile
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from shapely import LineString, MultiLineString, MultiPoint, Point, Polygon
from shapely.geometry import shape

from geotransfer.tiles.outlines import (
    BORDERS_PATH,
    LAND_PATH,
    MEMBER,
    OUTLINES_PATH,
    build_borders,
    build_land,
    build_outlines,
    cut_antimeridian,
    decode_arcs,
    join_ring,
    main,
    read_borders,
    read_land,
    read_outlines,
    simplify_arc,
    unwrap_ring,
)

# Two squares that share an edge: arc 0 is the edge, arcs 1 and 2 the rest of each.
TOPOLOGY = {
    "transform": {"scale": [0.5, 0.25], "translate": [10, 20]},
    "arcs": [
        [[20, 0], [0, 40]],
        [[20, 40], [-20, 0], [0, -40], [20, 0]],
        [[20, 0], [20, 0], [0, 40], [-20, 0]],
    ],
    "objects": {
        "countries": {
            "geometries": [
                {"type": "Polygon", "arcs": [[0, 1]], "properties": {"name": "West"}},
                {"type": "MultiPolygon", "arcs": [[[2, -1]]], "properties": {"name": "East"}},
            ]
        }
    },
}
degrees = st.integers(-1000, 1000).map(lambda hundredths: hundredths / 100)
places = st.tuples(degrees, degrees)


def test_arcs_are_decoded_and_joined_either_way() -> None:
    arcs = decode_arcs(TOPOLOGY)
    assert arcs[0] == [(20, 20), (20, 30)]
    assert join_ring([0, 1], arcs) == [(20, 20), (20, 30), (10, 30), (10, 20), (20, 20)]
    assert join_ring([2, ~0], arcs)[-2:] == [(20, 30), (20, 20)]


def test_countries_share_their_border_and_are_labelled_inside() -> None:
    document = build_outlines(TOPOLOGY)
    west, east, *labels = document["features"]
    assert shape(west["geometry"]).area == shape(east["geometry"]).area == 100
    assert shape(west["geometry"]).intersection(shape(east["geometry"])).area == 0
    for country, label in zip((west, east), labels, strict=True):
        assert label["properties"]["name"] == country["properties"]["name"]
        assert shape(country["geometry"]).contains(shape(label["geometry"]))


@given(st.lists(places, min_size=2, max_size=40), st.floats(0.01, 5))
def test_no_vertex_moves_further_than_the_tolerance(
    arc: list[tuple[float, float]], tolerance: float
) -> None:
    simple = simplify_arc(arc, tolerance)
    assert (simple[0], simple[-1]) == (arc[0], arc[-1])
    assert set(simple) <= set(arc)
    line = LineString(simple)
    assert all(line.distance(Point(place)) <= tolerance * (1 + 1e-9) for place in arc)


@given(st.lists(places, min_size=3, max_size=20, unique=True), st.floats(0.01, 50))
def test_islands_never_vanish_into_a_line(
    shore: list[tuple[float, float]], tolerance: float
) -> None:
    assume(MultiPoint(shore).convex_hull.area > 0)
    assert len(simplify_arc([*shore, shore[0]], tolerance)) >= 4


def test_command_reads_the_package_and_writes_geojson(tmp_path: Path) -> None:
    archive = tmp_path / "world-atlas.tgz"
    data = json.dumps(TOPOLOGY).encode()
    with tarfile.open(archive, "w:gz") as file:
        member = tarfile.TarInfo(MEMBER)
        member.size = len(data)
        file.addfile(member, io.BytesIO(data))
    main([str(archive), str(tmp_path)])
    documents = {
        OUTLINES_PATH: build_outlines(TOPOLOGY),
        LAND_PATH: build_land(TOPOLOGY),
        BORDERS_PATH: build_borders(TOPOLOGY),
    }
    for path, document in documents.items():
        written = json.loads((tmp_path / path.name).read_text())
        assert written == json.loads(json.dumps(document))


def test_borders_are_what_two_countries_share() -> None:
    assert build_borders(TOPOLOGY) == [{"a": (20, 20), "b": (20, 30)}]


def test_shipped_borders_run_between_countries_and_not_along_coasts() -> None:
    assert BORDERS_PATH.stat().st_size <= 200_000
    lines = MultiLineString([(s["a"], s["b"]) for s in json.loads(read_borders())])
    by_name = {
        f["properties"]["name"]: shape(f["geometry"])
        for f in json.loads(read_outlines())["features"]
        if f["properties"]["kind"] == "country"
    }
    shared = by_name["France"].boundary.intersection(by_name["Spain"].boundary.buffer(0.01))
    assert shared.length > 4
    assert lines.buffer(0.3).contains(shared)
    assert by_name["Madagascar"].boundary.distance(lines) > 1


def test_shipped_land_is_the_same_countries_with_fewer_corners() -> None:
    assert LAND_PATH.stat().st_size <= OUTLINES_PATH.stat().st_size / 2
    land = json.loads(read_land())["features"]
    assert len(land) == 241
    assert all(shape(feature["geometry"]).is_valid for feature in land)


def test_shipped_outlines_are_small_valid_and_attributed() -> None:
    assert OUTLINES_PATH.stat().st_size <= 800_000
    document = json.loads(read_outlines())
    assert "Natural Earth" in document["properties"]["attribution"]
    countries = [f for f in document["features"] if f["properties"]["kind"] == "country"]
    labels = [f for f in document["features"] if f["properties"]["kind"] == "label"]
    assert len(countries) == len(labels) == 241
    assert all(shape(feature["geometry"]).is_valid for feature in countries)
    by_name = {f["properties"]["name"]: shape(f["geometry"]) for f in countries}
    assert by_name["Rwanda"].contains(Point(30.06, -1.94))
    assert by_name["France"].contains(Point(1.23, 43.62))
    assert not by_name["France"].contains(Point(-3.7, 40.4))


@pytest.mark.parametrize("pair", [("Kenya", "Tanzania"), ("France", "Spain")])
def test_neighbours_do_not_overlap(pair: tuple[str, str]) -> None:
    features = json.loads(read_outlines())["features"]
    one, other = (
        shape(f["geometry"])
        for f in features
        if f["properties"]["name"] in pair and f["properties"]["kind"] == "country"
    )
    assert one.intersection(other).area < 1e-3
    assert one.distance(other) == 0


def test_rings_across_the_antimeridian_are_cut_and_not_drawn_around_the_world() -> None:
    island = [(179.0, 10.0), (-179.0, 10.0), (-179.0, 12.0), (179.0, 12.0), (179.0, 10.0)]
    ring = unwrap_ring(island)
    assert [lon for lon, _ in ring] == [179, 181, 181, 179, 179]
    parts = cut_antimeridian(Polygon(ring))
    assert parts.area == 4
    assert parts.bounds == (-180, 10, 180, 12)
    assert parts.contains(Point(179.5, 11))
    assert parts.contains(Point(-179.5, 11))
    assert not parts.intersects(Point(0, 11))


def test_ring_around_the_pole_is_closed_over_it() -> None:
    shore = [(lon, -70.0) for lon in range(-180, 180, 30)]
    continent = cut_antimeridian(Polygon(unwrap_ring([*shore, shore[0]])))
    assert continent.area == 360 * 20
    assert continent.contains(Point(5, -85))


def test_no_shipped_border_runs_around_the_world() -> None:
    for feature in json.loads(read_outlines())["features"]:
        if feature["properties"]["kind"] != "country":
            continue
        for polygon in feature["geometry"]["coordinates"]:
            for ring in polygon:
                wide = [
                    one
                    for one, other in pairwise(ring)
                    # Along the pole, beyond the edge of the map, is where a ring may.
                    if abs(one[0] - other[0]) > 180 and one[1] > -89
                ]
                assert wide == [], feature["properties"]["name"]
