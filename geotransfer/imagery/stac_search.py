"""STAC APIs and static catalogs: where items come from when they are not in one file."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import requests
from pystac.errors import STACError
from pystac.utils import make_absolute_href
from pystac_client import Client
from pystac_client.errors import ClientTypeError
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO
from pystac_client.warnings import DoesNotConformTo
from shapely.geometry import mapping, shape

from geotransfer.errors import InputError, NotFound, SceneInvalid, SceneUnreadable
from geotransfer.imagery.access import (
    Access,
    check_status,
    is_http,
    make_retry,
    read_document,
    strip_secrets,
)
from geotransfer.imagery.scene_query import Query
from geotransfer.imagery.signers import make_headers

MAX_ITEMS = 20_000
MAX_DOCUMENTS = 100_000
MAX_OUTLINE_CHARS = 20_000
"""A longer outline is sent as its convex hull; what it brings too much is left out afterwards."""
PAGE = 100
N_READERS = 8

FAULTS = (
    DoesNotConformTo,  # a warning by its kind, and raised: no search is promised
    ClientTypeError,  # the landing page is no catalog
    STACError,  # its root leads nowhere
    AttributeError, KeyError, TypeError, ValueError,  # a part is missing, or of another type
)  # fmt: skip
"""What the client raises where a server answers, but not as a STAC API does."""


def is_api(document: Any) -> bool:
    """Whether a document is the landing page, or a collection, of a STAC API."""
    if not isinstance(document, dict):
        return False
    classes = document.get("conformsTo")
    if isinstance(classes, list) and any("item-search" in str(name) for name in classes):
        return True
    relations = _list_relations(document)
    if "search" in relations:
        return True
    # A collection of an API lists its items by one link; a static one links to each.
    return document.get("type") == "Collection" and "items" in relations


def _list_relations(document: Mapping[str, Any]) -> dict[str, str]:
    links = document.get("links")
    return {
        str(link.get("rel")): str(link.get("href"))
        for link in (links if isinstance(links, list) else [])
        if isinstance(link, dict)
    }


def search_items(
    location: str, document: Mapping[str, Any], query: Query, access: Access
) -> Iterator[Mapping[str, Any]]:
    """Yield the items of a STAC API that meet a query, page by page.

    Raises
    ------
    InputError
        The query is too wide.
    SceneUnreadable
        The API refuses, fails, or does not answer, after the retries.
    """
    root, collections = location, query.collections
    if document.get("type") == "Collection":
        root = make_absolute_href(_list_relations(document).get("root", location), location, False)
        collections = collections or (str(document.get("id")),)
    told = strip_secrets(root)
    transport = StacApiIO(timeout=access.timeout_s, max_retries=make_retry(access))

    def add_keys(request: requests.Request) -> None:
        # By each request's own host: a page may link to another, which must not get the key.
        request.headers = {**request.headers, **make_headers(str(request.url), access.signers)}

    def ask() -> Iterator[Mapping[str, Any]]:
        # Opening sets the transport's timeout to its own argument.
        client = Client.open(
            root, stac_io=transport, timeout=access.timeout_s, request_modifier=add_keys
        )
        search = client.search(
            collections=list(collections) or None,
            intersects=_make_area(query.outline),
            datetime=_make_interval(query),
            limit=PAGE,
            max_items=MAX_ITEMS + 1,
        )
        yield from search.pages_as_dicts()

    n_items = 0
    pages = ask()
    try:
        while True:
            with warnings.catch_warnings():
                # The client warns of what an API does not promise; what it cannot do fails below.
                warnings.simplefilter("ignore")
                page = next(pages, None)
            if page is None:
                return
            features = page["features"]
            if any(not isinstance(item, dict) for item in features):
                raise TypeError("a page holds something else than items")
            n_items += len(features)
            if n_items > MAX_ITEMS:
                raise InputError(
                    f"{told}: more than {MAX_ITEMS:,} items; give a shorter period or a collection."
                )
            yield from features
    except APIError as error:
        _raise_failure(error, told, access)
    except FAULTS as error:
        raise SceneInvalid(
            f"{told}: not a STAC API that can be searched ({strip_secrets(str(error))[:200]});"
            " check the address."
        ) from None


def _raise_failure(error: APIError, told: str, access: Access) -> None:
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        if status == 400:
            raise InputError(
                f"{told}: the API does not accept the search ({strip_secrets(str(error))[:200]});"
                " check collection and period."
            ) from None
        check_status(status, told, access)
    is_late = "timed out" in str(error).lower()
    raise SceneUnreadable(
        f"{told}: {'did not answer in time' if is_late else 'cannot be reached'}, after the"
        " retries; check the address and the network, then try again."
    ) from None


def _make_area(outline: str) -> dict[str, Any] | None:
    if not outline:
        return None
    geometry: dict[str, Any] = json.loads(outline)
    if len(outline) > MAX_OUTLINE_CHARS:
        geometry = dict(mapping(shape(geometry).convex_hull))
    return geometry


def _make_interval(query: Query) -> str | None:
    if query.start is None and query.end is None:
        return None
    start = f"{query.start}T00:00:00Z" if query.start else ".."
    end = f"{query.end}T23:59:59Z" if query.end else ".."
    return f"{start}/{end}"


def walk_catalog(
    location: str, document: Mapping[str, Any], access: Access
) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Yield every item of a static catalog with the address it was read from.

    Links are followed once each, however they go round.

    Raises
    ------
    NotFound, SceneUnreadable
        A linked document is not there or does not answer.
    """
    seen = {location}
    waiting: list[tuple[str, Mapping[str, Any]]] = [(location, document)]
    with ThreadPoolExecutor(N_READERS) as pool:
        while waiting:
            where, parent = waiting.pop(0)
            links = _list_children(parent, where)
            fresh = [(rel, href) for rel, href in dict.fromkeys(links) if href not in seen]
            seen.update(href for _, href in fresh)
            if len(seen) > MAX_DOCUMENTS:
                raise InputError(
                    f"{strip_secrets(location)}: more than {MAX_DOCUMENTS:,} documents; give a"
                    " collection of it."
                )
            read = partial(_read_linked, where=where, access=access)
            children = pool.map(read, [href for _, href in fresh])
            for (rel, href), child in zip(fresh, children, strict=True):
                if rel == "item":
                    yield child, href
                else:
                    waiting.append((href, child))


def _list_children(parent: Mapping[str, Any], where: str) -> list[tuple[str, str]]:
    """Return relation and absolute address of each child and item that a document links to."""
    links = parent.get("links")
    found = []
    for link in links if isinstance(links, list) else []:
        if not isinstance(link, dict) or link.get("rel") not in ("child", "item"):
            continue
        href = make_absolute_href(str(link.get("href")), where, False)
        if is_http(where) and not is_http(href):
            raise InputError(
                f"{strip_secrets(where)}: links to {strip_secrets(href)}, a file on this machine;"
                " correct the link."
            )
        found.append((str(link["rel"]), href))
    return found


def _read_linked(href: str, *, where: str, access: Access) -> Mapping[str, Any]:
    try:
        child = read_document(href, access)
    except NotFound as error:
        raise NotFound(f"{strip_secrets(where)}: a broken link; {error}") from None
    return child if isinstance(child, dict) else {}
