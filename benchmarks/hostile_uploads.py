"""Sixty hostile uploads, ten kinds of six, made from seeds; ``upload_endings`` judges their end."""

from __future__ import annotations

import io
import json
import pickle
import sqlite3
import struct
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import pyogrio.raw
import shapely

SEED = 7_060
KINDS = (
    "fuzzed",
    "bombs",
    "encodings",
    "truncated",
    "mislabelled",
    "traversal",
    "huge geometry",
    "formula",
    "nested zip",
    "foreign CRS",
)
MARS = 'GEOGCS["Mars 2000",DATUM["D_Mars_2000",SPHEROID["Mars_2000_IAU_IAG",3396190,169.8944472]],PRIMEM["Reference_Meridian",0],UNIT["Degree",0.0174532925199433]]'  # noqa: E501 - as ESRI writes it
SITE = (
    'LOCAL_CS["building site",LOCAL_DATUM["site",0],UNIT["metre",1],AXIS["E",EAST],AXIS["N",NORTH]]'
)


@dataclass(frozen=True)
class HostileUpload:
    """One upload and the words its ending must hold."""

    kind: str
    name: str
    file_name: str
    make: Callable[[], bytes]
    expect: str
    """Regular expression that must be found in what the user is told."""


# --- Honest labels, to be spoiled ---------------------------------------------------------------


def make_points(n: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return longitude, latitude (inside ``upload_endings.OUTLINE``) and class of n labels."""
    rng = np.random.default_rng(SEED)
    lon, lat = rng.uniform(4.1, 5.9, n).round(6), rng.uniform(50.1, 51.9, n).round(6)
    return lon, lat, np.where(np.arange(n) % 2, "crop", "non-crop").astype(object)


def make_csv(n: int = 60) -> str:
    lon, lat, names = make_points(n)
    rows = "".join(
        f"{x},{y},{c},2019-05-{1 + i % 28:02d}\n"
        for i, (x, y, c) in enumerate(zip(lon, lat, names, strict=True))
    )
    return "lon,lat,class,date\n" + rows


def make_geojson(n: int = 60) -> str:
    lon, lat, names = make_points(n)
    features = [
        {
            "type": "Feature",
            "properties": {"class": c, "date": "2019-05-01"},
            "geometry": {"type": "Point", "coordinates": [x, y]},
        }
        for x, y, c in zip(lon.tolist(), lat.tolist(), names, strict=True)
    ]
    return json.dumps({"type": "FeatureCollection", "features": features})


def write_ogr(driver: str, crs: str | None = "EPSG:4326", *, scale: float = 1.0) -> bytes:
    """Return a GeoPackage, or a zip of the parts of a Shapefile, of the honest labels."""
    lon, lat, names = make_points()
    suffix = {"GPKG": "gpkg", "ESRI Shapefile": "shp"}[driver]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # A file without a CRS is written on purpose.
        warnings.filterwarnings("ignore", "'crs' was not provided")
        path = Path(folder) / f"labels.{suffix}"
        pyogrio.raw.write(
            path,
            shapely.to_wkb(shapely.points(lon * scale, lat * scale)),
            field_data=[names],
            fields=["class"],
            geometry_type="Point",
            crs=crs,
            driver=driver,
        )
        if suffix == "gpkg":
            return path.read_bytes()
        return zip_members({p.name: p.read_bytes() for p in sorted(Path(folder).iterdir())})


def read_members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zip_members(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED, 1)
    return packed.getvalue()


def make_shapefile(**replaced: bytes) -> bytes:
    """Return a zipped Shapefile with some parts (``shp=…``) replaced."""
    members = read_members(write_ogr("ESRI Shapefile"))
    return zip_members(members | {f"labels.{suffix}": data for suffix, data in replaced.items()})


def make_parquet(crs: object = "default", wkb: list[bytes] | None = None) -> bytes:
    lon, lat, names = make_points()
    described: dict[str, object] = {"encoding": "WKB", "geometry_types": []}
    if crs != "default":
        described["crs"] = crs
    geo = {
        "version": "1.1.0",
        "primary_column": "geometry",
        "columns": {"geometry": described},
    }
    blobs = wkb or shapely.to_wkb(shapely.points(lon, lat)).tolist()
    table = pa.table({"class": names[: len(blobs)].tolist(), "geometry": pa.array(blobs)})
    return write_parquet(table.replace_schema_metadata({"geo": json.dumps(geo)}))


def write_parquet(table: pa.Table) -> bytes:
    packed = io.BytesIO()
    pq.write_table(table, packed, compression="zstd")
    return packed.getvalue()


# --- The ten kinds ------------------------------------------------------------------------------


def spoil(data: bytes, share: float, *, seed: int = SEED) -> bytes:
    """Return the bytes with a share of them replaced by random ones."""
    rng = np.random.default_rng(seed)
    spoiled = np.frombuffer(data, dtype=np.uint8).copy()
    hit = rng.random(len(spoiled)) < share
    spoiled[hit] = rng.integers(0, 256, int(hit.sum()), dtype=np.uint8)
    return spoiled.tobytes()


def _fuzzed() -> Iterator[tuple[str, str, Callable[[], bytes], str]]:
    yield "noise", "noise.csv", lambda: np.random.default_rng(SEED).bytes(20_000), "no text"
    yield "csv", "labels.csv", lambda: spoil(make_csv().encode(), 0.02), "."
    yield "geojson", "labels.geojson", lambda: spoil(make_geojson().encode(), 0.01), "."
    yield "gpkg", "labels.gpkg", lambda: spoil(write_ogr("GPKG"), 0.02), "."
    yield "zip", "labels.zip", lambda: spoil(write_ogr("ESRI Shapefile"), 0.02), "."
    yield "parquet", "labels.parquet", lambda: spoil(make_parquet(), 0.02), "."


def _bombs() -> Iterator[tuple[str, str, Callable[[], bytes], str]]:
    def lie() -> bytes:
        data = make_shapefile(shp=b"\0" * (257 << 20))
        size = struct.pack("<I", 257 << 20)
        return data.replace(size, struct.pack("<I", 5_000))

    def repeat_value() -> bytes:
        codes = pa.array(np.zeros(400_000, dtype=np.int32))
        values = pa.DictionaryArray.from_arrays(codes, pa.array(["x" * 2_000_000]))
        return write_parquet(pa.table({"class": values, "lon": np.zeros(400_000)}))

    def repeat_rows() -> bytes:
        ones = np.ones(3_000_000)
        return write_parquet(pa.table({"lon": ones, "lat": ones, "class": ones}))

    big = "MiB"
    yield "ratio", "bomb.zip", lambda: make_shapefile(dbf=b"\0" * (257 << 20)), big
    yield "lying size", "bomb.zip", lie, "archive"
    many = {f"{i}.shp": b"" for i in range(5_000)}
    yield "members", "bomb.zip", lambda: zip_members(many), "5,000 files"
    yield "dictionary", "bomb.parquet", repeat_value, big
    yield "rows", "bomb.parquet", repeat_rows, "3,000,000 rows"
    yield "brackets", "bomb.geojson", lambda: b'{"features":[' + b"[]," * (11 << 20), "brackets"


def _encodings() -> Iterator[tuple[str, str, Callable[[], bytes], str]]:
    text = make_csv()
    yield "odd UTF-16", "wide.csv", lambda: text.encode("utf-16")[:-1], "UTF-16"
    yield "ASCII as UTF-16", "wide.csv", lambda: b"\xff\xfe" + text.encode()[:-1], "column|UTF-16"
    bad = text.encode("utf-8-sig").replace(b"non-crop", b"non-\xff\xfecrop")
    yield "broken UTF-8", "marked.csv", lambda: bad, "UTF-8"
    yield "NUL", "nul.csv", lambda: text.encode().replace(b"non-", b"non\0"), "no text"
    yield "EBCDIC", "host.csv", lambda: text.encode("cp500"), "no text|delimiter"
    japanese = text.replace("non-crop", "畑以外").encode("shift-jis")
    yield "Shift-JIS", "japan.csv", lambda: japanese, "Windows-1252"


def _truncated() -> Iterator[tuple[str, str, Callable[[], bytes], str]]:
    half = len(make_csv()) // 2
    cut = make_csv()[: half - half % 30].rsplit(",", 2)[0]
    yield "csv", "cut.csv", cut.encode, "2 cells|1 cell"
    text = make_geojson()
    yield "geojson", "cut.geojson", text[: len(text) // 2].encode, "cut off|no JSON"
    yield "gpkg", "cut.gpkg", lambda: write_ogr("GPKG")[:9_000], "GeoPackage"
    yield "zip", "cut.zip", lambda: write_ogr("ESRI Shapefile")[:-80], "zip"
    yield "parquet", "cut.parquet", lambda: make_parquet()[:-40], "Parquet"
    shp = read_members(write_ogr("ESRI Shapefile"))["labels.shp"]
    yield "shp", "cut.zip", lambda: make_shapefile(shp=shp[: len(shp) // 2]), "."


def _mislabelled() -> Iterator[tuple[str, str, Callable[[], bytes], str]]:
    def workbook() -> bytes:
        return zip_members({"[Content_Types].xml": b"<Types/>", "xl/workbook.xml": b"<workbook/>"})

    def database() -> bytes:
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.execute("CREATE TABLE labels (lon REAL, lat REAL, class TEXT)")
            return bytes(connection.serialize())

    old = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(4_000)
    yield "Excel", "labels.csv", workbook, "Excel"
    yield "old Excel", "labels.csv", lambda: old, "Excel"
    page = b"<!DOCTYPE html><html><body>Sign in</body></html>"
    yield "web page", "labels.csv", lambda: page, "web page"
    yield "picture", "labels.geojson", lambda: b"\x89PNG\r\n\x1a\n" + bytes(500), "picture"
    yield "pickle", "labels.parquet", lambda: pickle.dumps({"class": ["crop"]}), "pickle"
    yield "SQLite", "labels.gpkg", database, "no GeoPackage"


def _traversal() -> Iterator[tuple[str, str, Callable[[], bytes], str]]:
    parts = read_members(write_ogr("ESRI Shapefile"))

    def move(folder: str) -> Callable[[], bytes]:
        return lambda: zip_members({folder + name: data for name, data in parts.items()})

    def link() -> bytes:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for name, data in parts.items():
                member = zipfile.ZipInfo(name)
                if name.endswith(".shp"):
                    member.external_attr, data = 0o120777 << 16, b"/etc/passwd"
                archive.writestr(member, data)
        return packed.getvalue()

    vrt = b'<?xml version="1.0"?><OGRVRTDataSource><SrcDataSource>/etc/passwd</SrcDataSource>'
    yield "dots", "t.zip", move("../../../../tmp/"), "leads out"
    yield "absolute", "t.zip", move("/tmp/"), "leads out"
    yield "backslash", "t.zip", move("..\\..\\"), "leads out"
    yield "drive", "t.zip", move("C:\\labels\\"), "leads out"
    yield "link", "t.zip", link, "cannot be read|no feature"
    yield "indirection", "t.gpkg", lambda: vrt, "XML"


def _huge() -> Iterator[tuple[str, str, Callable[[], bytes], str]]:
    def collect(geometry: dict[str, object]) -> bytes:
        document = json.loads(make_geojson(3))
        document["features"][0]["geometry"] = geometry
        return json.dumps(document).encode()

    def circle() -> bytes:
        angle = np.linspace(0, 2 * np.pi, 20_000)
        ring = np.column_stack([5 + 0.01 * np.cos(angle), 51 + 0.01 * np.sin(angle)])
        ring[-1] = ring[0]
        return collect({"type": "Polygon", "coordinates": [ring.tolist()]})

    def nest_wkb(code: int) -> Callable[[], bytes]:
        head = struct.pack("<BII", 1, code, 1) * 300_000
        nested = head + struct.pack("<BIdd", 1, 1, 5.0, 51.0)
        honest = struct.pack("<BIdd", 1, 1, 5.0, 51.0)
        return lambda: make_parquet(wkb=[nested, honest])

    def nest_wkt() -> bytes:
        nested = "GEOMETRYCOLLECTION(" * 6_000 + "POINT(5 51)" + ")" * 6_000
        return f'wkt;class\n"POINT (5 51)";crop\n"{nested}";crop\n'.encode()

    square = [[[4.1, 50.1], [5.9, 50.1], [5.9, 51.9], [4.1, 51.9], [4.1, 50.1]]]
    endless = struct.pack("<BIII", 1, 3, 1, 0xFFFFFFF0) + bytes(64)
    honest = struct.pack("<BIdd", 1, 1, 5.0, 51.0)
    yield "corners", "h.geojson", circle, "20,000 corners"
    area = {"type": "Polygon", "coordinates": square}
    yield "area", "h.geojson", lambda: collect(area), "km²"
    yield "nested WKB", "h.parquet", nest_wkb(7), "GeometryCollection"
    yield "nested parts", "h.parquet", nest_wkb(6), "damaged"
    yield "nested WKT", "h.csv", nest_wkt, "no geometry"
    yield "endless ring", "h.parquet", lambda: make_parquet(wkb=[endless, honest]), "damaged"


def _formula() -> Iterator[tuple[str, str, Callable[[], bytes], str]]:
    cells = ("=cmd|' /C calc'!A0", "+1+cmd|' /C calc'!A0", "-2+3+cmd", "@SUM(1+1)*cmd")
    for cell in cells:
        text = make_csv().replace("non-crop", f'"{cell}"')
        yield cell[:1], "formula.csv", text.encode, "not in legend"
    link = '"=HYPERLINK(""http://example.invalid"")"'
    text = (
        make_csv(6).replace("lon,lat,class", f"lon,lat,{link},class").replace(",non", ",=1+1,non")
    )
    yield (
        "header",
        "formula.csv",
        text.replace(",crop", ",\t=2+2,crop").replace("2019-05-01", "x").encode,
        "no date",
    )
    document = json.loads(make_geojson(6))
    for feature in document["features"]:
        feature["properties"] = {"class": "\r=1+1", "=note": " =2+2"}
    yield "geojson", "formula.geojson", json.dumps(document).encode, "not in legend"


def _nested() -> Iterator[tuple[str, str, Callable[[], bytes], str]]:
    inner = zip_members({"labels.csv": make_csv().encode()})

    def deepen() -> bytes:
        data = inner
        for level in range(40):
            data = zip_members({f"{level}.zip": data})
        return data

    another = "another archive"
    yield "zip", "n.zip", lambda: zip_members({"labels.zip": inner}), another
    yield "deep", "n.zip", deepen, another
    disguised = "cannot be read|damaged"
    yield "disguised", "n.zip", lambda: make_shapefile(shp=inner), disguised
    yield "gzip", "n.zip", lambda: zip_members({"labels.tar.gz": b"\x1f\x8b" + bytes(50)}), another
    yield "kmz", "n.zip", lambda: zip_members({"labels.KMZ": inner}), another
    yield "as gpkg", "n.gpkg", lambda: zip_members({"a/b/labels.zip": inner}), another


def _foreign() -> Iterator[tuple[str, str, Callable[[], bytes], str]]:
    def no_prj() -> bytes:
        members = read_members(write_ogr("ESRI Shapefile", None, scale=1e5))
        return zip_members({n: d for n, d in members.items() if not n.endswith(".prj")})

    def projected() -> bytes:
        document = json.loads(make_geojson())
        for feature in document["features"]:
            feature["geometry"]["coordinates"] = [652_000.5, 5_600_000.5]
        return json.dumps(document).encode()

    def named(code: str) -> bytes:
        document = json.loads(make_geojson())
        document["crs"] = {"type": "name", "properties": {"name": code}}
        return json.dumps(document).encode()

    table = "x,y,class\n652000,5600000,crop\n653000,5600500,non-crop\n"
    yield "no .prj", "c.zip", no_prj, "choose the CRS"
    yield "projected", "c.geojson", projected, "choose the CRS"
    yield (
        "no such code",
        "c.geojson",
        lambda: named("urn:ogc:def:crs:EPSG::99999"),
        "choose the CRS",
    )
    yield "Mars", "c.zip", lambda: make_shapefile(prj=MARS.encode()), "choose the CRS"
    yield "building site", "c.zip", lambda: make_shapefile(prj=SITE.encode()), "choose the CRS"
    yield "x and y", "c.csv", table.encode, "choose the CRS"


def make_hostile_uploads() -> tuple[HostileUpload, ...]:
    """Return the sixty, six of each kind."""
    makers = (
        _fuzzed,
        _bombs,
        _encodings,
        _truncated,
        _mislabelled,
        _traversal,
        _huge,
        _formula,
        _nested,
        _foreign,
    )
    return tuple(
        HostileUpload(kind, *case)
        for kind, make in zip(KINDS, makers, strict=True)
        for case in make()
    )
