"""What pages share: the workspace, views cached until something happens, who is looking."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import streamlit as st

from geotransfer.console.raster_catalog import WorkspaceCatalog
from geotransfer.core.region import RegionKind
from geotransfer.errors import GeoTransferError
from geotransfer.settings import Settings, read_settings
from geotransfer.store.workspace import Workspace, open_workspace
from geotransfer.workflows.outlook import Outlook, ReachPoint, list_outlooks, trace_reach
from geotransfer.workflows.views import RegionView, list_region_views

PREFIX = "/geo"
"""Where the console's own routes live."""
NOTICE_S = 30.0
"""How long the answer to a button stays: time to find and read it, on a page that moves."""


@st.cache_resource(show_spinner=False)
def _open(settings: Settings) -> Workspace:
    return open_workspace(settings, create=True)


def find_workspace() -> Workspace:
    """Return the workspace, opened once per server."""
    return _open(read_settings(os.environ))


@st.cache_resource(show_spinner=False)
def _make_catalog(settings: Settings) -> WorkspaceCatalog:
    return WorkspaceCatalog(settings)


def find_catalog() -> WorkspaceCatalog:
    """Return the catalog of rasters, as the map's routes use it, for their names and legends."""
    return _make_catalog(find_workspace().settings)


@st.cache_resource(show_spinner=False, max_entries=8)
def _load_views(settings: Settings, seq: int) -> tuple[RegionView, ...]:
    return tuple(list_region_views(_open(settings)))


def load_views() -> tuple[RegionView, ...]:
    """Return every region's view; made anew only when a fact was added."""
    workspace = find_workspace()
    return _load_views(workspace.settings, workspace.ledger.count())


@st.cache_resource(show_spinner=False, max_entries=8)
def _load_outlooks(settings: Settings, seq: int) -> tuple[Outlook, ...]:
    return list_outlooks(_open(settings), _load_views(settings, seq))


def load_outlooks() -> tuple[Outlook, ...]:
    """Return what the next labels are expected to add in each region."""
    workspace = find_workspace()
    return _load_outlooks(workspace.settings, workspace.ledger.count())


@st.cache_resource(show_spinner=False, max_entries=8)
def _load_reach(settings: Settings, seq: int) -> dict[RegionKind, tuple[ReachPoint, ...]]:
    return trace_reach(_open(settings))


def load_reach() -> Mapping[RegionKind, tuple[ReachPoint, ...]]:
    """Return the mean reach of each kind of region over time."""
    workspace = find_workspace()
    return _load_reach(workspace.settings, workspace.ledger.count())


def is_dark() -> bool:
    """Whether this reader sees the dark theme."""
    return st.context.theme.type == "dark"


def find_actor() -> str:
    """Return the name under which this browser acts."""
    return str(st.session_state.get("actor") or "analyst")


def choose_region(views: tuple[RegionView, ...]) -> RegionView | None:
    """Return the region of the address or the session, and keep both in step."""
    by_id = {view.region.region_id: view for view in views}
    asked = st.query_params.get("region") or st.session_state.get("region_id")
    if asked not in by_id:
        if "region" in st.query_params:
            st.warning(
                f"This page has nothing to show for {asked!r}, the region in its address; choose"
                " another one.",
                icon=":material/link_off:",
            )
        return None
    remember_region(str(asked))
    return by_id[str(asked)]


def remember_region(region_id: str) -> None:
    """Keep the chosen region for the other pages."""
    st.session_state["region_id"] = region_id


def read_address(name: str, allowed: Collection[str] | None = None) -> str | None:
    """Return a value of the page's address; None where it is missing or not allowed."""
    value = st.query_params.get(name)
    return value if value is not None and (allowed is None or value in allowed) else None


def write_address(values: Mapping[str, str | None]) -> None:
    """Keep the page's address in step with what is shown; None removes a value."""
    for name, value in values.items():
        if value is None:
            st.query_params.pop(name, None)
        elif st.query_params.get(name) != value:
            st.query_params[name] = value


@contextmanager
def explain_errors() -> Iterator[None]:
    """Show one of our errors as a message; nothing of the page is lost."""
    try:
        yield
    except GeoTransferError as error:
        st.error(str(error), icon=":material/error:")


def pick_region(views: tuple[RegionView, ...], *, key: str) -> RegionView | None:
    """Show a region picker and return the chosen one; None where there is none at all."""
    if not views:
        st.info("No regions yet. The first ones are being prepared; see the Jobs page.")
        return None
    chosen = choose_region(views) or views[0]
    names = {view.region.region_id: view.region.name for view in views}
    ids = list(names)

    def keep() -> None:
        remember_region(st.session_state[key])
        st.query_params["region"] = st.session_state[key]

    region_id = st.selectbox(
        "Region", ids, index=ids.index(chosen.region.region_id), format_func=names.__getitem__,
        key=key, on_change=keep,
    )  # fmt: skip
    remember_region(region_id)
    return next(view for view in views if view.region.region_id == region_id)


def run_guarded(action: Callable[[], object], *, success: str) -> None:
    """Run a command of a button: say so when it went in, the error's sentence when not.

    A sentence that the action returns is said too.
    """
    try:
        told = action()
    except GeoTransferError as error:
        st.session_state["notice"] = Notice(text=str(error), is_error=True)
    else:
        more = f" {told}" if isinstance(told, str) and told else ""
        st.session_state["notice"] = Notice(text=f"{success}{more}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What the last button came to."""

    text: str
    is_error: bool = False
    place: tuple[str, str] = ("", "")
    """Page and part of it that showed it first, and goes on showing it."""
    until_s: float = math.inf
    """By the monotonic clock."""


def show_notice(part: str = "page") -> None:
    """Show what the last button came to, until the next one or for ``NOTICE_S``.

    A page may be drawn anew at any moment, as jobs end, also by others' doing: said only once, it
    would be gone before it was read.
    """
    notice: Notice | None = st.session_state.get("notice")
    if notice is None:
        return
    place = (urlsplit(st.context.url or "").path, part)
    if notice.place == ("", ""):
        notice = replace(notice, place=place, until_s=time.monotonic() + NOTICE_S)
        st.session_state["notice"] = notice
    if notice.place[0] != place[0] or time.monotonic() > notice.until_s:
        del st.session_state["notice"]
    elif notice.place == place and notice.is_error:
        st.error(notice.text, icon=":material/error:")
    elif notice.place == place:
        st.success(notice.text, icon=":material/check_circle:")
