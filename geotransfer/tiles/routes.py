"""Routes for the map, on the origin of the pages: map tiles, previews, values, vectors, files.

A tile is read on one of few threads, after the request has waited its turn; who has panned on by
then is not served. rasterio is imported at the first request, so the pages start without it.
"""

from __future__ import annotations

import asyncio
import gzip
import html
import logging
import math
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import lru_cache, partial, wraps
from hashlib import blake2b
from typing import TypeVar
from weakref import WeakKeyDictionary

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from geotransfer.errors import GeoTransferError, InputError, NotFound
from geotransfer.tiles.catalog import RasterCatalog, RasterEntry, RegionFiles
from geotransfer.tiles.downloads import CLIENT_GONE, HEADERS, NAME, Downloads
from geotransfer.tiles.outlines import read_borders, read_land, read_outlines
from geotransfer.tiles.vendor import MEDIA_TYPES, read_vendor_file

Answer = TypeVar("Answer")
Endpoint = Callable[[Request], Awaitable[Response]]

PREVIEW_PX = 1024
"""Largest side of a preview."""
MAX_ZOOM = 24

_ONE_DAY = "private, max-age=86400"
SHIPPED = {"countries": read_outlines, "land": read_land}
"""Vector layers that come with the product."""
_log = logging.getLogger(__name__)


def make_routes(
    catalog: RasterCatalog,
    *,
    files: RegionFiles | None = None,
    prefix: str = "/geo",
    n_threads: int = 0,
) -> list[Route]:
    """Make the routes, to be given to ``st.App(…, routes=…)`` or to Starlette.

    ::

        {prefix}/raster/{region}/{layer}/{z}/{x}/{y}.png     one map tile; 204 outside the raster
        {prefix}/raster/{region}/{layer}/tilejson.json       bounds, zooms and address of the tiles
        {prefix}/raster/{region}/{layer}/preview.png?width=  the whole layer
        {prefix}/raster/{region}/{layer}/point?lon=&lat=     its value at a place
        {prefix}/vector/{name}.geojson                       ``countries``, ``land``, the catalog's
        {prefix}/vector/borders.json                         lines between countries
        {prefix}/download/{region}/{layer}.tif               the file, as it is
        {prefix}/download/{region}/{layer}.qml               its style for QGIS
        {prefix}/download/{region}/{name}                    a table, vector or report of the region
        {prefix}/download/{region}/everything.zip            all of them in one archive
        {prefix}/vendor/maplibre-gl.js, .css                 the map library

    Each takes ``?v=`` for one version of a map. What is unknown is 404, with a sentence as JSON.

    Parameters
    ----------
    files
        The regions' other files; None: there are none to download.
    prefix
        Path before all routes; includes ``server.baseUrlPath`` where one is set.
    n_threads
        Threads that read rasters; 0: one for each processor, at most four.
    """
    service = _Service(catalog, n_threads or min(4, len(os.sched_getaffinity(0))))
    downloads = Downloads(catalog, files, run=service.run, find=service.find_layer)
    layer = f"{prefix}/raster/{{region}}/{{layer}}"
    table: dict[str, Endpoint] = {
        f"{layer}/{{z:int}}/{{x:int}}/{{y:int}}.png": service.send_tile,
        f"{layer}/tilejson.json": service.send_tilejson,
        f"{layer}/preview.png": service.send_preview,
        f"{layer}/point": service.send_point,
        f"{prefix}/vector/{{name:path}}.geojson": service.send_vector,
        f"{prefix}/vector/borders.json": service.send_borders,
        f"{prefix}/download/{{region}}/{{layer}}.tif": service.send_file,
        f"{prefix}/download/{{region}}/{{layer}}.qml": downloads.send_style,
        f"{prefix}/download/{{region}}/everything.zip": downloads.send_archive,
        f"{prefix}/download/{{region}}/{{name}}": downloads.send_file,
        f"{prefix}/vendor/{{name}}": service.send_vendor_file,
        f"{prefix}/{{rest:path}}": _refuse_unknown,
    }
    return [Route(path, guard(endpoint), methods=["GET"]) for path, endpoint in table.items()]


def guard(endpoint: Endpoint) -> Endpoint:
    """Refuse other origins, and answer errors with their sentence as JSON."""

    @wraps(endpoint)
    async def answer(request: Request) -> Response:
        # Browsers say where a request comes from; opening a link is not reading it from a page.
        origin = request.headers.get("sec-fetch-site", "none")
        mode = request.headers.get("sec-fetch-mode", "")
        if origin in ("cross-site", "same-site") and mode != "navigate":
            return _explain("this address answers only pages of the same origin.", 403)
        try:
            return await endpoint(request)
        except NotFound as error:
            return _explain(str(error), 404)
        except InputError as error:
            return _explain(str(error), 400)
        except GeoTransferError as error:
            _log.error("%s: %s", request.url.path, error)
            return _explain(str(error), 500)

    return answer


def _explain(sentence: str, status: int) -> Response:
    return JSONResponse({"error": sentence}, status, {**HEADERS, "Cache-Control": "no-store"})


async def _refuse_unknown(request: Request) -> Response:
    raise NotFound(f"there is nothing at {request.url.path}; see the routes in the documentation.")


class _Service:
    """Endpoints over one catalog."""

    def __init__(self, catalog: RasterCatalog, n_threads: int) -> None:
        self._catalog = catalog
        self._n_threads = n_threads
        self._pool = ThreadPoolExecutor(n_threads, thread_name_prefix="geotransfer-tiles")
        # A semaphore belongs to the event loop that waits on it.
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = (
            WeakKeyDictionary()
        )

    async def run(self, request: Request, work: Callable[[], Answer]) -> Answer | None:
        """Run ``work`` on a reading thread in turn; None if the client has gone meanwhile."""
        loop = asyncio.get_running_loop()
        turns = self._turns.setdefault(loop, asyncio.Semaphore(self._n_threads))
        await request.body()  # the disconnect is the message after it
        async with turns:
            if await request.is_disconnected():
                return None
            return await loop.run_in_executor(self._pool, work)

    def _find_entry(self, request: Request) -> RasterEntry:
        region, layer = request.path_params["region"], request.path_params["layer"]
        return self.find_layer(region, layer, request.query_params.get("v"))

    def find_layer(self, region: str, layer: str, version: str | None) -> RasterEntry:
        """Return a layer whose file may be served: named by us, and inside the catalog's folder."""
        entry = None
        if all(NAME.fullmatch(text) for text in (region, layer, version or "current")):
            entry = self._catalog.find_raster(region, layer, version)
        if entry is None:
            which = f" in version {version!r}" if version else ""
            raise NotFound(
                f"region {region!r} has no layer {layer!r}{which}; see the layers listed on the"
                " page Explore."
            )
        path = entry.path.resolve()
        if not path.is_relative_to(self._catalog.folder.resolve()) or not path.is_file():
            raise NotFound(
                f"the file of layer {layer!r} of region {region!r} is gone; refresh the region."
            )
        return entry

    async def send_tile(self, request: Request) -> Response:
        z, x, y = (int(request.path_params[axis]) for axis in "zxy")
        if z > MAX_ZOOM or x >= 2**z or y >= 2**z:
            raise NotFound(f"there is no tile {z}/{x}/{y}; x and y stay below 2^z, z below 25.")

        def work() -> Response:
            entry = self._find_entry(request)
            tag = _make_tag(entry, f"{z}/{x}/{y}")
            return _answer_cached(request, tag, partial(_render_tile, entry, z, x, y))

        return await self.run(request, work) or Response(status_code=CLIENT_GONE)

    async def send_preview(self, request: Request) -> Response:
        width = _read_number(request, "width", default=PREVIEW_PX)
        if not 16 <= width <= PREVIEW_PX:
            raise InputError(f"width is {width:g}; give 16 to {PREVIEW_PX} pixels.")

        def work() -> Response:
            entry = self._find_entry(request)
            tag = _make_tag(entry, f"preview {width}")
            return _answer_cached(request, tag, partial(_render_preview, entry, int(width)))

        return await self.run(request, work) or Response(status_code=CLIENT_GONE)

    async def send_point(self, request: Request) -> Response:
        lon, lat = _read_number(request, "lon"), _read_number(request, "lat")

        def work() -> Response:
            from geotransfer.tiles.points import read_point

            value = asdict(read_point(self._find_entry(request), lon, lat))
            return JSONResponse({"lon": lon, "lat": lat, **value}, headers=HEADERS)

        return await self.run(request, work) or Response(status_code=CLIENT_GONE)

    async def send_tilejson(self, request: Request) -> Response:
        def work() -> Response:
            from geotransfer.tiles.reading import describe_raster

            entry = self._find_entry(request)
            info = describe_raster(entry.path)
            folder = request.url.path.removesuffix("tilejson.json")
            version = request.query_params.get("v")
            tiles = f"{folder}{{z}}/{{x}}/{{y}}.png" + (f"?v={version}" if version else "")
            document = {
                "tilejson": "3.0.0",
                "name": entry.name,
                # Map libraries show this as HTML.
                "attribution": html.escape(entry.attribution),
                "tiles": [tiles],
                "bounds": info.bounds,
                "minzoom": 0,
                "maxzoom": info.max_zoom,
            }
            return JSONResponse(document, headers=HEADERS)

        return await self.run(request, work) or Response(status_code=CLIENT_GONE)

    async def send_vector(self, request: Request) -> Response:
        name = request.path_params["name"]

        def work() -> Response:
            version = request.query_params.get("v")
            data = None
            if name in SHIPPED:
                data = SHIPPED[name]()
            elif all(NAME.fullmatch(part) for part in (*name.split("/"), version or "current")):
                data = self._catalog.read_vector(name, version)
            if data is None:
                raise NotFound(f"there is no vector layer {name!r}; reload the page.")
            return _send_bytes(request, data, "application/geo+json")

        return await self.run(request, work) or Response(status_code=CLIENT_GONE)

    async def send_borders(self, request: Request) -> Response:
        work = partial(_send_bytes, request, read_borders(), "application/json")
        return await self.run(request, work) or Response(status_code=CLIENT_GONE)

    async def send_file(self, request: Request) -> Response:
        entry = await self.run(request, partial(self._find_entry, request))
        if entry is None:
            return Response(status_code=CLIENT_GONE)
        region, layer = request.path_params["region"], request.path_params["layer"]
        return FileResponse(
            entry.path,
            media_type="image/tiff; application=geotiff; profile=cloud-optimized",
            filename=f"{region}-{layer}.tif",
            headers=HEADERS,
        )

    async def send_vendor_file(self, request: Request) -> Response:
        name = request.path_params["name"]

        def work() -> Response:
            data = read_vendor_file(name)
            return _send_bytes(request, data, MEDIA_TYPES[name])

        return await self.run(request, work) or Response(status_code=CLIENT_GONE)


def _read_number(request: Request, name: str, *, default: float | None = None) -> float:
    text = request.query_params.get(name)
    if text is None and default is not None:
        return default
    try:
        number = float(text or "")
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{name} is {text!r}, which is not a number; add ?{name}= to the address.")
    return number


def _make_tag(entry: RasterEntry, what: str) -> str:
    """Entity tag: changes when the file, its colours or the place do, and is known unread."""
    status = entry.path.stat()
    text = f"{entry!r} {status.st_mtime_ns} {status.st_size} {what}"
    return f'"{blake2b(text.encode(), digest_size=12).hexdigest()}"'


def _answer_cached(request: Request, tag: str, render: Callable[[], bytes | None]) -> Response:
    """Answer 304 where the client has it already, 204 where there is nothing to see."""
    # One version of a map never changes; the current one may, so ask again and answer 304.
    caching = {"Cache-Control": _ONE_DAY} if "v" in request.query_params else {}
    headers = {**HEADERS, **caching, "ETag": tag}
    if _is_known(request, tag):
        return Response(status_code=304, headers=headers)
    png = render()
    if png is None:
        return Response(status_code=204, headers=headers)
    return Response(png, media_type="image/png", headers=headers)


def _is_known(request: Request, tag: str) -> bool:
    known = request.headers.get("if-none-match", "")
    # A proxy that compresses marks the tag as weak.
    return tag in (part.strip().removeprefix("W/") for part in known.split(","))


def _send_bytes(request: Request, data: bytes, media_type: str) -> Response:
    """Send text, compressed once and then kept; Streamlit would compress it at every request."""
    tag = f'"{blake2b(data, digest_size=12).hexdigest()}"'
    caching = {"Cache-Control": _ONE_DAY} if "v" in request.query_params else {}
    headers = {**HEADERS, **caching, "ETag": tag, "Vary": "Accept-Encoding"}
    if _is_known(request, tag):
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers = {**headers, "Content-Encoding": "gzip"}
        return Response(_compress(data), media_type=media_type, headers=headers)
    return Response(data, media_type=media_type, headers=headers)


@lru_cache(maxsize=8)
def _compress(data: bytes) -> bytes:
    return gzip.compress(data, compresslevel=5, mtime=0)


def _render_tile(entry: RasterEntry, z: int, x: int, y: int) -> bytes | None:
    from geotransfer.tiles.painting import paint_png
    from geotransfer.tiles.reading import TILE_PX, find_tile_rectangle, read_rectangle

    pixels = read_rectangle(entry, find_tile_rectangle(z, x, y), width=TILE_PX, height=TILE_PX)
    return None if pixels is None else paint_png(entry, pixels)


def _render_preview(entry: RasterEntry, width: int) -> bytes | None:
    from geotransfer.tiles.painting import paint_png
    from geotransfer.tiles.reading import describe_raster, read_rectangle

    rectangle = describe_raster(entry.path).rectangle
    aspect = (rectangle[3] - rectangle[1]) / (rectangle[2] - rectangle[0])
    height = max(1, round(width * aspect))
    if height > PREVIEW_PX:
        width, height = max(1, round(PREVIEW_PX / aspect)), PREVIEW_PX
    pixels = read_rectangle(entry, rectangle, width=width, height=height)
    return None if pixels is None else paint_png(entry, pixels)
