"""A small STAC API on the tests' own web server: landing page, one collection, paged search."""

from __future__ import annotations

from typing import Any

from tests.faulty_server import Server

CORE = "https://api.stacspec.org/v1.0.0"


def publish_api(
    server: Server,
    items: list[dict[str, Any]],
    *,
    page: int = 10,
    ignores_query: bool = False,
    never_ends: bool = False,
    asked: list[dict[str, Any]] | None = None,
) -> str:
    """Publish items under ``/api`` and return its address; ``asked`` collects the searches."""
    api = f"{server.url}/api"
    collection = {
        "type": "Collection", "id": "sentinel-2-l2a", "stac_version": "1.0.0", "description": "",
        "license": "other",
        "extent": {"spatial": {"bbox": [[-180, -90, 180, 90]]},
                   "temporal": {"interval": [[None, None]]}},
        "links": [{"rel": "root", "href": api},
                  {"rel": "items", "href": f"{api}/collections/sentinel-2-l2a/items"}],
    }  # fmt: skip
    landing = {
        "type": "Catalog", "id": "test", "stac_version": "1.0.0", "description": "",
        "conformsTo": [f"{CORE}/core", f"{CORE}/item-search", f"{CORE}/collections"],
        "links": [
            {"rel": "root", "href": api}, {"rel": "self", "href": api},
            {"rel": "search", "href": f"{api}/search", "type": "application/geo+json",
             "method": "POST"},
            {"rel": "search", "href": f"{api}/search", "type": "application/geo+json",
             "method": "GET"},
        ],
    }  # fmt: skip

    def search(body: dict[str, Any]) -> dict[str, Any]:
        if asked is not None:
            asked.append(body)
        chosen = items if ignores_query else [item for item in items if _meets(item, body)]
        start = int(body.get("token", 0))
        part = chosen[start : start + page]
        links: list[dict[str, Any]] = []
        if start + page < len(chosen) or never_ends:
            following = {**body, "token": 0 if never_ends else start + page}
            links = [{"rel": "next", "href": f"{api}/search", "method": "POST", "body": following}]
        return {"type": "FeatureCollection", "features": part, "links": links}

    server.answers |= {
        "/api": lambda _: landing,
        "/api/": lambda _: landing,
        "/api/search": search,
        "/api/collections/sentinel-2-l2a": lambda _: collection,
    }
    return api


def _meets(item: dict[str, Any], body: dict[str, Any]) -> bool:
    if "datetime" in body:
        start, _, end = str(body["datetime"]).partition("/")
        day = item["properties"]["datetime"]
        if (start != ".." and day < start) or (end not in ("", "..") and day > end):
            return False
    return not body.get("collections") or item.get("collection") in body["collections"]
