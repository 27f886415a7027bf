"""Downloads: styles a GIS reads, archives that are whole, nothing outside the folder."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from geotransfer.errors import NotFound
from geotransfer.tiles.bundle import Member, stream_archive
from geotransfer.tiles.catalog import RasterEntry, RasterKind
from geotransfer.tiles.routes import make_routes
from geotransfer.tiles.styles import make_qml
from tests.tiles.conftest import LEGEND, FolderCatalog


class Files:
    """A region's files, one of them hostile."""

    def list_files(self, region_id: str) -> tuple[str, ...]:
        if region_id != "nakuru":
            raise NotFound(f"there is no region {region_id!r}.")
        return ("report.html", "areas.csv")

    def make_file(self, region_id: str, name: str) -> tuple[bytes, str]:
        if name not in self.list_files(region_id):
            raise NotFound(f"no file {name!r}")
        kind = "text/html; charset=utf-8" if name.endswith("html") else "text/csv"
        return f"<script>{name}</script>".encode(), kind


@pytest.fixture
def folder_catalog(tmp_path: Path, write_raster: Callable[..., Path]) -> FolderCatalog:
    path = write_raster(np.array([[[0, 1], [7, 255]]], np.uint8), name="class.tif", nodata=255)
    entry = RasterEntry(path=path, name="Class", kind=RasterKind.CLASS, legend=LEGEND)
    catalog = FolderCatalog(tmp_path)
    catalog.rasters[("nakuru", "class", None)] = entry
    catalog.rasters[("nakuru", "class-7", None)] = replace(entry, name="One band of the same file")
    return catalog


@pytest.fixture
def client(folder_catalog: FolderCatalog) -> Iterator[TestClient]:
    routes = make_routes(folder_catalog, files=Files(), n_threads=1)
    with TestClient(Starlette(routes=routes)) as started:
        yield started


def test_a_report_cannot_run_anything(client: TestClient) -> None:
    saved = client.get("/geo/download/nakuru/report.html")
    assert saved.headers["content-disposition"] == 'attachment; filename="nakuru-report.html"'
    shown = client.get("/geo/download/nakuru/report.html?inline")
    assert shown.headers["content-disposition"].startswith("inline")
    for answer in (saved, shown):
        assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_everything_is_one_archive(client: TestClient, folder_catalog: FolderCatalog) -> None:
    answer = client.get("/geo/download/nakuru/everything.zip")
    assert answer.headers["content-disposition"] == 'attachment; filename="nakuru.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        names = [f"nakuru/{n}" for n in ("class.tif", "class.qml", "report.html", "areas.csv")]
        assert archive.namelist() == names
        entry = folder_catalog.rasters[("nakuru", "class", None)]
        assert archive.read("nakuru/class.tif") == entry.path.read_bytes()


@pytest.mark.parametrize(
    "path",
    [
        "nakuru/secret.csv", "nowhere/everything.zip", "nowhere/areas.csv", "nakuru/none.qml",
        "..%2f..%2fetc/passwd", "nakuru/..%2f..%2fapp.py", "nakuru/.hidden",
    ],
)  # fmt: skip
def test_what_is_not_there_is_404(client: TestClient, path: str) -> None:
    answer = client.get(f"/geo/download/{path}")
    assert answer.status_code == 404
    assert answer.json()["error"]


def test_a_file_outside_the_folder_enters_no_archive(
    client: TestClient, folder_catalog: FolderCatalog, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "class.tif"
    outside.write_bytes(b"secret")
    key = ("nakuru", "class", None)
    folder_catalog.rasters[key] = replace(folder_catalog.rasters[key], path=outside)
    answer = client.get("/geo/download/nakuru/everything.zip")
    assert answer.status_code == 404
    assert b"secret" not in answer.content


def test_a_style_says_what_the_page_says(write_raster: Callable[..., Path]) -> None:
    path = write_raster(np.zeros((1, 2, 2), np.uint16))
    classes = RasterEntry(path=path, name="Class", kind=RasterKind.CLASS, legend=LEGEND)
    palette = ET.fromstring(make_qml(classes)).iter("paletteEntry")
    assert [(e.get("value"), e.get("color"), e.get("label")) for e in palette] == [
        (str(item.code), item.color, item.name) for item in LEGEND.classes
    ]
    ramp = RasterEntry(
        path=path, name="Cost", kind=RasterKind.SHARE, colors=("#000000", "#808080", "#ffffff"),
        value_range=(0.0, 4.0), unit="km <&>",
    )  # fmt: skip
    root = ET.fromstring(make_qml(ramp))
    items = list(root.iter("item"))
    assert [float(e.get("value", "nan")) for e in items] == list(np.linspace(0, 4, 9))
    assert (items[0].get("color"), items[4].get("color"), items[-1].get("color")) == ramp.colors
    assert items[-1].get("label") == "4 km <&>"
    days = replace(ramp, kind=RasterKind.DATE, value_range=(20000.0, 20008.0))
    labels = [e.get("label") for e in ET.fromstring(make_qml(days)).iter("item")]
    assert (labels[0], labels[-1]) == ("2024-10-04", "2024-10-12")
    photo = replace(ramp, kind=RasterKind.RGB, bands=(3, 2, 1))
    (renderer,) = ET.fromstring(make_qml(photo)).iter("rasterrenderer")
    assert renderer.get("redBand") == "3"


def test_an_archive_is_sent_while_it_is_read(tmp_path: Path) -> None:
    large = tmp_path / "large.tif"
    large.write_bytes(np.random.default_rng(0).bytes(5 << 20))
    parts = list(stream_archive([Member(name="a.tif", source=large)]))
    assert max(map(len, parts)) < 3 << 20
    with zipfile.ZipFile(io.BytesIO(b"".join(parts))) as archive:
        assert archive.read("a.tif") == large.read_bytes()
