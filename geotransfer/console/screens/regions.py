"""Regions: where the map can be trusted, what it costs, how old it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import streamlit as st

from geotransfer.console.metrics import (
    METRICS,
    Metric,
    find_metric,
    format_age,
    make_legend_html,
)
from geotransfer.console.region_layers import KIND_LABELS, LAYER_IDS, make_deck
from geotransfer.console.state import find_workspace, load_views, remember_region, show_notice
from geotransfer.console.waiting import show_running_jobs
from geotransfer.core.region import RegionKind
from geotransfer.workflows.views import RegionView


def show() -> None:
    """Show the page."""
    workspace = find_workspace()
    views = load_views()
    st.title("Regions")
    show_notice()
    show_running_jobs(workspace)
    if not views:
        st.info(
            "The workspace is empty. If a preparation is running above, regions appear here one by"
            " one; otherwise run `geotransfer init`."
        )
        return
    metric = _pick_metric()
    _show_headline(views)
    left, right = st.columns([1, 1], gap="medium")
    with left:
        picked = _show_map(views, metric, version=workspace.ledger.count())
    with right:
        listed = _show_table(views, metric)
    chosen = picked or listed
    if chosen is not None:
        _show_choice(next(v for v in views if v.region.region_id == chosen))


def _pick_metric() -> Metric:
    titles = {metric.key: metric.title for metric in METRICS}
    key = st.segmented_control(
        "Colour the map by", list(titles), format_func=titles.__getitem__, default="accuracy",
        key="metric", required=True,
    )  # fmt: skip
    return find_metric(key or "accuracy")


def _show_headline(views: Sequence[RegionView]) -> None:
    """Show reach per kind of region; kinds are never averaged together."""
    columns = st.columns(len(RegionKind))
    for column, kind in zip(columns, RegionKind, strict=True):
        of_kind = [v for v in views if v.region.kind is kind]
        known = [v.reach.value for v in of_kind if v.reach is not None]
        told = f"{sum(known) / len(known):.0%}" if known else "no labels yet"
        column.metric(
            f"Reach · {KIND_LABELS[kind]}",
            told,
            help=f"Mean over {len(known)} of {len(of_kind)} regions of the share where the map may"
            f" be trusted at {views[0].reach_target:.0%} accuracy. Kinds are never averaged"
            " together.",
        )


def _show_map(views: Sequence[RegionView], metric: Metric, *, version: int) -> str | None:
    event: Any = st.pydeck_chart(
        make_deck(views, metric, version=version),
        height=520,
        on_select="rerun",
        selection_mode="single-object",
        key="regions-map",
        alt=f"Map of {len(views)} regions coloured by {metric.title.lower()}; the table beside it"
        " says the same.",
    )
    legend, notes = st.columns([1, 1])
    legend.html(make_legend_html(metric.title, metric.unit, metric.fit(views)))
    notes.caption(
        f"{metric.explanation} Markers stand for regions too small to see; a ring around a marker"
        " means *simulated*. Outlines: Natural Earth."
    )
    objects = event.selection.objects if event and event.selection else {}
    for layer in LAYER_IDS:
        for item in objects.get(layer, []):
            properties = item.get("properties", item)
            if properties.get("region_id"):
                return str(properties["region_id"])
    return None


def _show_table(views: Sequence[RegionView], metric: Metric) -> str | None:
    frame = pd.DataFrame(
        {
            "Region": [v.region.name for v in views],
            metric.title: [metric.read(v) for v in views],
            "With its interval": [metric.show(v) for v in views],
            "Kind": [KIND_LABELS[v.region.kind] for v in views],
            "Model": [_name_model(v) for v in views],
            "Refreshed": [(v.refreshed_at or "–")[:16].replace("T", " ") for v in views],
        }
    )
    event: Any = st.dataframe(
        frame,
        hide_index=True,
        height=520,
        on_select="rerun",
        selection_mode="single-row",
        key="regions-table",
        column_config={
            "Region": st.column_config.TextColumn(width=190),
            metric.title: st.column_config.NumberColumn(
                format="percent" if metric.is_share else "%.3f", help=metric.unit
            ),
        },
        alt=f"Table of regions with {metric.title.lower()}",
    )
    rows = event.selection.rows if event and event.selection else []
    return views[rows[0]].region.region_id if rows else None


def _name_model(view: RegionView) -> str:
    if view.region.kind is RegionKind.TABLE:
        return "leave-one-region-out"
    if view.serving is None:
        return "–"
    if view.serving_since is None:
        return view.serving.name
    since = datetime.fromisoformat(view.serving_since)
    return f"{view.serving.name}, for {format_age((datetime.now(UTC) - since).total_seconds())}"


def _show_choice(view: RegionView) -> None:
    remember_region(view.region.region_id)
    with st.container(border=True):
        st.subheader(view.region.name)
        st.markdown(view.summary)
        if view.needs:
            st.caption(view.needs)
        if view.region.attribution:
            st.caption(view.region.attribution)
        if st.button("Open region", type="primary", icon=":material/arrow_forward:"):
            st.query_params["region"] = view.region.region_id
            st.switch_page(st.session_state["pages"]["region"])
