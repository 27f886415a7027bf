"""The server side of the console: its configuration and the regions' vectors by URL."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from geotransfer.console.region_layers import make_markers, make_outlines, make_region_features
from geotransfer.console.state import PREFIX, load_views
from geotransfer.settings import Settings
from geotransfer.workflows.views import RegionView

__all__ = ["PREFIX", "make_config", "make_region_routes"]


HEADING_SIZES = ["2rem", "1.6rem", "1.3rem", "1.1rem", "1rem", "0.9rem"]
"""Streamlit's own titles take a fifth of a laptop's screen."""


def make_region_routes() -> Sequence[BaseRoute]:
    """Return the routes of the regions with their figures and colours, markers and outlines."""

    async def send(make: Callable[[Sequence[RegionView]], object], media_type: str) -> Response:
        document = await run_in_threadpool(lambda: make(load_views()))
        return Response(
            json.dumps(document, separators=(",", ":")),
            media_type=media_type,
            headers={"Cache-Control": "private, max-age=60"},
        )

    async def send_regions(request: Request) -> Response:
        return await send(make_region_features, "application/geo+json")

    async def send_outlines(request: Request) -> Response:
        return await send(make_outlines, "application/json")

    async def send_markers(request: Request) -> Response:
        return await send(make_markers, "application/json")

    return [
        Route(f"{PREFIX}/markers.json", send_markers),
        Route(f"{PREFIX}/regions.geojson", send_regions),
        Route(f"{PREFIX}/outlines.json", send_outlines),
    ]


def make_config(settings: Settings) -> dict[str, object]:
    """Return Streamlit's configuration: nothing leaves the machine, uploads are bounded."""
    return {
        "server.address": settings.host,
        "server.port": settings.port,
        "server.headless": True,
        "server.fileWatcherType": "none",
        "server.runOnSave": False,
        "server.maxUploadSize": settings.max_upload_mb,
        "browser.gatherUsageStats": False,
        "client.showErrorDetails": "none",
        "client.toolbarMode": "minimal",
        # One colour for both would pin the light theme: a theme of its own for each keeps the
        # reader's choice, or what the operating system asks for.
        "theme.light.primaryColor": "#0b6e6e",
        "theme.light.linkColor": "#064f4f",
        "theme.light.headingFontSizes": HEADING_SIZES,
        "theme.dark.headingFontSizes": HEADING_SIZES,
        # White on it, on a button, is legible too.
        "theme.dark.primaryColor": "#1f7f78",
        "theme.dark.codeTextColor": "#8fe3b0",
        "theme.light.codeTextColor": "#074d28",
        "theme.dark.linkColor": "#7fd3ca",
        "logger.level": "warning",
        # Coloured tracebacks go to standard output, where `serve` silences Streamlit's banner.
        "logger.enableRich": False,
    }
