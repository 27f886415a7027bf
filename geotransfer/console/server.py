"""The server side of the console: its configuration and the regions' vectors by URL."""

from __future__ import annotations

import json
from collections.abc import Sequence

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from geotransfer.console.region_layers import make_region_features
from geotransfer.console.state import PREFIX, load_views
from geotransfer.settings import Settings

__all__ = ["PREFIX", "make_config", "make_region_routes"]


HEADING_SIZES = ["2rem", "1.6rem", "1.3rem", "1.1rem", "1rem", "0.9rem"]
"""Streamlit's own titles take a fifth of a laptop's screen."""


def make_region_routes() -> Sequence[BaseRoute]:
    """Return the route of the regions' outlines with their figures and colours."""

    async def send_regions(request: Request) -> Response:
        document = await run_in_threadpool(lambda: make_region_features(load_views()))
        return Response(
            json.dumps(document, separators=(",", ":")),
            media_type="application/geo+json",
            headers={"Cache-Control": "private, max-age=60"},
        )

    return [Route(f"{PREFIX}/regions.geojson", send_regions)]


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
    }
