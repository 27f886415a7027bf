from __future__ import annotations

import asyncio
import dataclasses
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from geotransfer.errors import StoreError
from geotransfer.tiles import routes
from geotransfer.tiles.catalog import RasterEntry
from geotransfer.tiles.reading import describe_raster
from geotransfer.tiles.routes import make_routes

TILE = "/geo/raster/r1/class/11/1034/750.png"
OUTSIDE = "/geo/raster/r1/class/11/0/0.png"


@pytest.fixture
def client(catalog: object) -> Iterator[TestClient]:
    app = Starlette(routes=list(make_routes(catalog)))  # type: ignore[arg-type]
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def test_tiles_are_png_with_transparency(client: TestClient) -> None:
    answer = client.get(TILE)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cache-control"] == "private, no-cache"
    image = Image.open(io.BytesIO(answer.content))
    assert image.size == (256, 256)
    assert set(np.unique(np.asarray(image.convert("RGBA"))[..., 3])) <= {0, 255}


def test_outside_the_raster_there_is_no_content(client: TestClient) -> None:
    answer = client.get(OUTSIDE)
    assert (answer.status_code, answer.content) == (204, b"")


def test_what_the_client_has_is_not_sent_again(
    client: TestClient, class_entry: RasterEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag = client.get(TILE).headers["etag"]
    rendered: list[object] = []
    render = routes._render_tile
    monkeypatch.setattr(routes, "_render_tile", lambda *a: rendered.append(a) or render(*a))
    again = client.get(TILE, headers={"if-none-match": f'"other", W/{tag}'})
    assert (again.status_code, again.content, rendered) == (304, b"", [])
    os.utime(class_entry.path, ns=(1, 1))
    assert client.get(TILE, headers={"if-none-match": tag}).status_code == 200


def test_other_colours_are_another_tile(client: TestClient, catalog: object) -> None:
    tag = client.get(TILE).headers["etag"]
    rasters = catalog.rasters  # type: ignore[attr-defined]
    entry = rasters["r1", "class", None]
    legend = dataclasses.replace(
        entry.legend,
        classes=tuple(dataclasses.replace(c, color="#123456") for c in entry.legend.classes),
    )
    rasters["r1", "class", None] = dataclasses.replace(entry, legend=legend)
    assert client.get(TILE).headers["etag"] != tag


def test_one_version_of_a_map_may_be_kept(client: TestClient) -> None:
    answer = client.get(f"{TILE}?v=v1")
    assert answer.headers["cache-control"] == "private, max-age=86400"


@pytest.mark.parametrize(
    "path",
    [
        "/geo/raster/nowhere/class/11/1034/750.png",
        "/geo/raster/r1/unheard-of/11/1034/750.png",
        "/geo/raster/r1/class/11/1034/750.png?v=old",
        "/geo/raster/r1/class/3/8/0.png",
        "/geo/raster/r1/class/99/0/0.png",
        "/geo/raster/nowhere/class/preview.png",
        "/geo/raster/nowhere/class/tilejson.json",
        "/geo/raster/nowhere/class/point?lon=1&lat=1",
        "/geo/vector/unheard-of.geojson",
        "/geo/vector/.geojson",
        "/geo/download/r1/unheard-of.tif",
        "/geo/vendor/jquery.js",
        "/geo/vendor/..%2f..%2fsetup.py",
        "/geo",
        "/geo/whatever",
    ],
)
def test_unknown_is_404_with_a_sentence(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    if path != "/geo":  # outside the prefix: Streamlit's own page answers
        sentence = answer.json()["error"]
        assert sentence.endswith(".")
        assert ";" in sentence


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/geo/raster/r1/class/point", "lon"),
        ("/geo/raster/r1/class/point?lon=1&lat=north", "lat"),
        ("/geo/raster/r1/class/point?lon=nan&lat=1", "lon"),
        ("/geo/raster/r1/class/point?lon=999&lat=1", "not on the map"),
        ("/geo/raster/r1/class/preview.png?width=9000", "width"),
        ("/geo/raster/r1/class/preview.png?width=wide", "width"),
    ],
)
def test_what_cannot_be_used_is_400_with_the_remedy(
    client: TestClient, path: str, word: str
) -> None:
    answer = client.get(path)
    assert answer.status_code == 400
    assert word in answer.json()["error"]


def test_tilejson_leads_to_tiles(client: TestClient, class_entry: RasterEntry) -> None:
    document = client.get("/geo/raster/r1/class/tilejson.json?v=v1").json()
    assert document["bounds"] == list(describe_raster(class_entry.path).bounds)
    address = document["tiles"][0].format(z=11, x=1034, y=750)
    assert address == f"{TILE}?v=v1"
    assert client.get(address).content == client.get(TILE).content


def test_attribution_cannot_carry_markup(
    client: TestClient, catalog: object, class_entry: RasterEntry
) -> None:
    catalog.rasters["r1", "class", None] = dataclasses.replace(  # type: ignore[attr-defined]
        class_entry, attribution="<img src=x onerror=alert(1)>"
    )
    document = client.get("/geo/raster/r1/class/tilejson.json").json()
    assert "<" not in document["attribution"]


def test_preview_is_as_wide_as_asked_and_never_larger(client: TestClient) -> None:
    for width in (16, 300, 1024):
        image = Image.open(
            io.BytesIO(client.get(f"/geo/raster/r1/class/preview.png?width={width}").content)
        )
        # The raster is taller than wide: at most 1024 pixels either way.
        assert image.size[0] == width or image.size[1] == 1024
        assert max(image.size) <= 1024
        assert 0.8 < image.size[0] / image.size[1] * 700 / 600 < 1.2


def test_point_says_what_is_there(client: TestClient) -> None:
    answer = client.get("/geo/raster/r1/class/point?lon=1.79&lat=43.33")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["lon"], body["lat"], body["inside"]) == (1.79, 43.33, True)
    assert body["label"] in {"water", "crop", "forest"}


def test_download_is_the_file_itself(client: TestClient, class_entry: RasterEntry) -> None:
    answer = client.get("/geo/download/r1/class.tif")
    assert answer.content == class_entry.path.read_bytes()
    assert 'filename="r1-class.tif"' in answer.headers["content-disposition"]
    with rasterio.MemoryFile(answer.content) as memory, memory.open() as file:
        assert file.crs.to_epsg() == 32631
    part = client.get("/geo/download/r1/class.tif", headers={"range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, class_entry.path.read_bytes()[4:8])


def test_files_outside_the_folder_are_not_served(
    client: TestClient, catalog: object, class_entry: RasterEntry, tmp_path: Path
) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    catalog.folder = inner  # type: ignore[attr-defined]
    (inner / "link.tif").symlink_to(class_entry.path)
    link = dataclasses.replace(class_entry, path=inner / "link.tif")
    escape = dataclasses.replace(class_entry, path=inner / ".." / "class.tif")
    for entry in (class_entry, link, escape):
        catalog.rasters["r1", "class", None] = entry  # type: ignore[attr-defined]
        for path in (TILE, "/geo/download/r1/class.tif"):
            assert client.get(path).status_code == 404


@pytest.mark.parametrize("name", ["..", ".hidden", "a%00b", "a%5Cb", "x" * 200, "%2e%2e%2fetc"])
def test_strange_names_never_reach_the_catalog(
    client: TestClient, catalog: object, name: str
) -> None:
    for path in (f"/geo/raster/{name}/class/1/0/0.png", f"/geo/download/r1/{name}.tif"):
        assert client.get(path).status_code == 404
    assert catalog.asked == []  # type: ignore[attr-defined]


def test_vectors_come_compressed_once(client: TestClient) -> None:
    answer = client.get("/geo/vector/countries.geojson")
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-type"] == "application/geo+json"
    assert len(answer.json()["features"]) == 482
    assert len(client.get("/geo/vector/land.geojson").json()["features"]) == 241
    assert set(client.get("/geo/vector/borders.json").json()[0]) == {"a", "b"}
    plain = client.get("/geo/vector/regions.geojson", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.json()["type"] == "FeatureCollection"
    known = {"if-none-match": plain.headers["etag"]}
    assert client.get("/geo/vector/regions.geojson", headers=known).status_code == 304


def test_map_library_comes_from_the_installed_wheel(client: TestClient) -> None:
    script = client.get("/geo/vendor/maplibre-gl.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert b"maplibregl" in script.content
    style = client.get("/geo/vendor/maplibre-gl.css")
    assert style.headers["content-type"].startswith("text/css")


def test_other_origins_are_refused(client: TestClient) -> None:
    for site in ("cross-site", "same-site"):
        answer = client.get(TILE, headers={"sec-fetch-site": site, "sec-fetch-mode": "no-cors"})
        assert answer.status_code == 403
        assert "same origin" in answer.json()["error"]
    for site in ("same-origin", "none"):
        assert client.get(TILE, headers={"sec-fetch-site": site}).status_code == 200
    followed = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert client.get("/geo/download/r1/class.tif", headers=followed).status_code == 200


def test_failure_is_an_error_and_not_an_empty_tile(
    client: TestClient, class_entry: RasterEntry
) -> None:
    class_entry.path.write_bytes(b"damaged")
    answer = client.get(TILE)
    assert answer.status_code == 500
    assert "class.tif cannot be read" in answer.json()["error"]
    assert str(class_entry.path.parent) not in answer.text
    assert answer.headers["cache-control"] == "no-store"


def test_errors_of_the_store_are_told(
    client: TestClient, catalog: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StoreError("ledger.db is locked; try again.")

    monkeypatch.setattr(catalog, "find_raster", fail)
    answer = client.get(TILE)
    assert (answer.status_code, answer.json()["error"]) == (500, "ledger.db is locked; try again.")


def test_prefix_carries_the_base_path(catalog: object) -> None:
    app = Starlette(routes=list(make_routes(catalog, prefix="/base/geo")))  # type: ignore[arg-type]
    with TestClient(app) as client:
        document = client.get("/base/geo/raster/r1/class/tilejson.json").json()
        assert document["tiles"][0].startswith("/base/geo/raster/r1/class/{z}")


def test_nothing_is_read_for_who_has_left(catalog: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty requests wait behind one; their clients leave; only the first is rendered."""
    rendered: list[object] = []

    async def scenario() -> list[int]:
        release = asyncio.Event()
        loop = asyncio.get_running_loop()

        def render(*arguments: object) -> bytes:
            rendered.append(arguments)
            asyncio.run_coroutine_threadsafe(release.wait(), loop).result(10)
            return b"png"

        monkeypatch.setattr(routes, "_render_tile", render)
        app = Starlette(routes=list(make_routes(catalog, n_threads=1)))  # type: ignore[arg-type]
        statuses: list[int] = []

        async def ask(*, leaves: bool) -> None:
            messages = [{"type": "http.request", "body": b"", "more_body": False}]
            if leaves:
                messages.append({"type": "http.disconnect"})

            async def receive() -> dict[str, object]:
                if messages:
                    return messages.pop(0)
                await asyncio.Event().wait()
                raise AssertionError

            async def send(message: dict[str, object]) -> None:
                if message["type"] == "http.response.start":
                    statuses.append(int(str(message["status"])))

            scope = {
                "type": "http",
                "http_version": "1.1",
                "method": "GET",
                "path": TILE,
                "raw_path": TILE.encode(),
                "root_path": "",
                "query_string": b"",
                "headers": [],
                "scheme": "http",
                "server": ("test", 80),
            }
            await app(scope, receive, send)  # type: ignore[arg-type]

        first = asyncio.create_task(ask(leaves=False))
        while not rendered:
            await asyncio.sleep(0.01)
        others = [asyncio.create_task(ask(leaves=True)) for _ in range(20)]
        await asyncio.sleep(0.05)
        release.set()
        await asyncio.gather(first, *others)
        return statuses

    statuses = asyncio.run(scenario())
    assert len(rendered) == 1
    assert sorted(statuses) == [200] + [499] * 20


def test_pages_start_without_rasterio() -> None:
    code = (
        "import sys, json, geotransfer.tiles.routes;"
        "print(json.dumps([m for m in ('rasterio', 'numpy', 'pyproj', 'PIL', 'maplibre')"
        " if m in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert json.loads(done.stdout) == []
