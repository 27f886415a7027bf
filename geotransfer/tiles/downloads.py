"""Files to take away: a raster's style, a region's tables and report, everything in one archive."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from geotransfer.errors import NotFound
from geotransfer.tiles.bundle import Member, list_members, stream_archive
from geotransfer.tiles.catalog import RasterCatalog, RasterEntry, RegionFiles
from geotransfer.tiles.styles import make_qml

Run = Callable[[Request, Callable[[], Any]], Awaitable[Any]]
"""Runs work in turn on a reading thread; None if the client has gone meanwhile."""
Find = Callable[[str, str, str | None], RasterEntry]
"""Finds a layer and makes sure that its file may be served."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
CLIENT_GONE = 499
_PAGE_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""For HTML made here: it runs nothing and asks for nothing, whatever it holds."""
HEADERS = {
    "Cache-Control": "private, no-cache",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Downloads:
    """Endpoints over a catalog of rasters and a region's other files."""

    def __init__(
        self, catalog: RasterCatalog, files: RegionFiles | None, *, run: Run, find: Find
    ) -> None:
        self._catalog = catalog
        self._files = files
        self._run = run
        self._find = find

    async def send_style(self, request: Request) -> Response:
        """Send a layer's QGIS style."""
        region_id, layer = request.path_params["region"], request.path_params["layer"]
        version = request.query_params.get("v")
        entry = await self._run(request, lambda: self._find(region_id, layer, version))
        if entry is None:
            return Response(status_code=CLIENT_GONE)
        return _attach(make_qml(entry), "application/xml", f"{region_id}-{layer}.qml")

    async def send_file(self, request: Request) -> Response:
        """Send one of a region's files; ``?inline`` shows it instead of saving it."""
        region_id, name = request.path_params["region"], request.path_params["name"]
        files = self._files
        if files is None or not all(NAME.fullmatch(text) for text in (region_id, name)):
            raise NotFound(f"region {region_id!r} has no file {name!r}; see its page.")
        made = await self._run(request, lambda: files.make_file(region_id, name))
        if made is None:
            return Response(status_code=CLIENT_GONE)
        data, media_type = made
        is_inline = "inline" in request.query_params
        return _attach(data, media_type, f"{region_id}-{name}", is_inline=is_inline)

    async def send_archive(self, request: Request) -> Response:
        """Send every raster with its style, and every other file, as one ZIP."""
        region_id = request.path_params["region"]
        members = await self._run(request, lambda: tuple(self._list_members(region_id)))
        if members is None:
            return Response(status_code=CLIENT_GONE)
        headers = {**HEADERS, "Content-Disposition": f'attachment; filename="{region_id}.zip"'}
        return StreamingResponse(
            stream_archive(members), media_type="application/zip", headers=headers
        )

    def _list_members(self, region_id: str) -> Iterator[Member]:
        if self._files is None or not NAME.fullmatch(region_id):
            raise NotFound(f"there is no region {region_id!r}; see the page Regions.")
        listed = self._catalog.list_rasters(region_id, None)
        checked = {layer: self._find(region_id, layer, None) for layer in listed}
        return list_members(checked, self._files, region_id)


def _attach(data: bytes, media_type: str, file_name: str, *, is_inline: bool = False) -> Response:
    disposition = "inline" if is_inline else "attachment"
    headers = {**HEADERS, "Content-Disposition": f'{disposition}; filename="{file_name}"'}
    if media_type.startswith("text/html"):
        headers["Content-Security-Policy"] = _PAGE_POLICY
    return Response(data, media_type=media_type, headers=headers)
