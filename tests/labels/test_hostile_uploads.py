"""Sixty hostile uploads, parsers' weak spots and random damage: each ends in a sentence."""

from __future__ import annotations

import io
import sqlite3
import struct
import zipfile
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
import shapely

from benchmarks.hostile_uploads import (
    KINDS,
    HostileUpload,
    make_csv,
    make_geojson,
    make_hostile_uploads,
    make_parquet,
    make_shapefile,
    spoil,
    write_ogr,
)
from benchmarks.upload_endings import upload
from geotransfer.errors import LabelsInvalid
from geotransfer.labels import limits, read_labels
from geotransfer.labels.geometries import parse_wkb, read_simple_code

CASES = make_hostile_uploads()


def test_there_are_six_of_ten_kinds() -> None:
    assert Counter(case.kind for case in CASES) == dict.fromkeys(KINDS, 6)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}-{case.name}")
def test_a_hostile_upload_ends_in_a_clear_message(case: HostileUpload) -> None:
    ending = upload(case)
    assert ending.ok, (ending.why, ending.messages[:3])


FILES = {
    "a.csv": make_csv().encode(),
    "a.geojson": make_geojson().encode(),
    "a.gpkg": write_ogr("GPKG"),
    "a.zip": write_ogr("ESRI Shapefile"),
    "a.parquet": make_parquet(),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("share", [0.0003, 0.003, 0.03])
def test_random_damage_never_ends_in_a_traceback(name: str, share: float) -> None:
    for seed in range(12):
        data = spoil(FILES[name], share, seed=seed)
        ending = upload(HostileUpload("fuzzed", name, name, lambda data=data: data, ""))
        assert ending.ok, (seed, ending.why)


@pytest.mark.parametrize("part", ["shp", "shx", "dbf", "prj"])
def test_random_damage_in_a_part_never_ends_in_a_traceback(part: str) -> None:
    with zipfile.ZipFile(io.BytesIO(FILES["a.zip"])) as archive:
        honest = archive.read(f"labels.{part}")
    for seed in range(12):
        data = make_shapefile(**{part: spoil(honest, 0.01, seed=seed)})
        ending = upload(HostileUpload("fuzzed", part, "a.zip", lambda data=data: data, ""))
        assert ending.ok, (seed, ending.why)


def test_a_view_is_refused_before_its_query_runs() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(FILES["a.gpkg"])
        connection.execute("PRAGMA journal_mode = MEMORY")
        connection.execute(
            "CREATE VIEW endless AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n)"
            " SELECT i FROM n"
        )
        data = bytes(connection.serialize())
    with pytest.raises(LabelsInvalid, match="'endless' in it is a view"):
        read_labels(data, "a.gpkg")


def test_limits_are_kept_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geotransfer.labels.formats.MAX_UPLOAD_BYTES", 2**20)
    with pytest.raises(LabelsInvalid, match="2 MiB, more than the 1 MiB an upload may have"):
        read_labels(b"x" * 2**21, "a.csv")
    monkeypatch.setattr("geotransfer.labels.delimited.MAX_ROWS", 10)
    with pytest.raises(LabelsInvalid, match="more than 10 rows"):
        read_labels(make_csv().encode(), "a.csv")
    monkeypatch.setattr("geotransfer.labels.positions.MAX_TOTAL_VERTICES", 10)
    with pytest.raises(LabelsInvalid, match="60 corners together, more than the 10"):
        read_labels(make_geojson().encode(), "a.geojson")
    monkeypatch.setattr("geotransfer.labels.delimited.MAX_COLUMNS", 2)
    with pytest.raises(LabelsInvalid, match="4 columns, more than the 2"):
        read_labels(make_csv().encode(), "a.csv")
    long = f'wkt,class\n"POINT ({"4" * limits.MAX_CELL_CHARS} 50)",crop\n'
    with pytest.raises(LabelsInvalid, match="line 2 holds a cell of more than 131,072"):
        read_labels(long.encode(), "a.csv")


def test_every_limit_says_why() -> None:
    source = Path(limits.__file__).read_text(encoding="utf-8")
    names = [name for name in vars(limits) if name.isupper()]
    assert names
    for name in names:
        after = source.split(f"\n{name} = ")[1].splitlines()
        assert after[1].startswith('"""'), name


POINT = struct.pack("<BIdd", 1, 1, 5.0, 51.0)


@pytest.mark.parametrize("code", [4, 5, 6, 7])
def test_nested_geometry_never_reaches_the_recursive_parser(code: int) -> None:
    # Half a million levels overflow the stack of GEOS and end the process.
    blob = struct.pack("<BII", 1, code, 1) * 500_000 + POINT
    geometry, faults = parse_wkb([blob, POINT])
    assert geometry[0] is None
    assert list(faults) == [0]
    assert geometry[1] == shapely.Point(5, 51)


@pytest.mark.parametrize("flavor", ["iso", "extended"])
@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize(
    "text",
    [
        "POINT (1 2)",
        "POINT Z (1 2 3)",
        "POINT ZM (1 2 3 4)",
        "LINESTRING M (1 2 3, 3 4 5)",
        "POLYGON ((0 0, 4 0, 4 4, 0 0), (1 1, 2 1, 2 2, 1 1))",
        "MULTIPOINT (1 2, 3 4)",
        "MULTILINESTRING Z ((1 2 3, 3 4 5), (5 6 7, 7 8 9))",
        "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)), ((0 0, 4 0, 4 4, 0 0), (1 1, 2 1, 2 2, 1 1)))",
        "MULTIPOLYGON EMPTY",
    ],
)
def test_the_walk_accepts_what_every_writer_writes(text: str, order: int, flavor: str) -> None:
    shape = shapely.from_wkt(text)
    for srid in (0, 4326):
        blob = shapely.to_wkb(
            shapely.set_srid(shape, srid),
            byte_order=order,
            flavor=flavor,
            output_dimension=4,
            include_srid=srid > 0 and flavor == "extended",
        )
        code = {0: 1, 1: 2, 3: 3, 4: 4, 5: 5, 6: 6}[shapely.get_type_id(shape)]
        assert read_simple_code(blob) == code
        assert parse_wkb([blob])[0][0] is not None
