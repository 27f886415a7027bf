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
from geotransfer.console.state import (
    find_workspace,
    is_dark,
    load_outlooks,
    load_reach,
    load_views,
    remember_region,
    show_notice,
)
from geotransfer.console.waiting import show_running_jobs
from geotransfer.core.estimate import Estimate
from geotransfer.core.region import RegionKind
from geotransfer.workflows.outlook import NEXT_LABELS, Outlook, ReachPoint
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
    _show_headline(views)
    metric = _pick_metric()
    left, right = st.columns([1, 1], gap="medium")
    with left:
        picked = _show_map(views, metric, version=workspace.ledger.count())
    with right:
        listed = _show_table(views, metric)
    chosen = picked or listed
    if chosen is not None:
        _show_choice(next(v for v in views if v.region.region_id == chosen))
    _show_outlooks(load_outlooks())


def _pick_metric() -> Metric:
    titles = {metric.key: metric.title for metric in METRICS}
    key = st.segmented_control(
        "Colour the map by", list(titles), format_func=titles.__getitem__, default="accuracy",
        key="metric", required=True,
    )  # fmt: skip
    return find_metric(key or "accuracy")


def _show_headline(views: Sequence[RegionView]) -> None:
    """Show reach per kind of region with its trend; kinds are never averaged together."""
    target = views[0].reach_target
    trends = load_reach()
    # Words in a row of their own: under boxes of one height.
    columns, words = st.columns(len(RegionKind)), st.columns(len(RegionKind))
    for column, below, kind in zip(columns, words, RegionKind, strict=True):
        of_kind = [v for v in views if v.region.kind is kind]
        known = [v.reach.value for v in of_kind if v.reach is not None]
        told = f"{sum(known) / len(known):.0%}" if known else "not measured"
        trend = trends[kind]
        change = trend[-1].reach - trend[0].reach if len(trend) > 1 else 0.0
        column.metric(
            f"Reach · {KIND_LABELS[kind]}",
            told,
            delta=_write_change(trend),
            delta_color="normal" if change else "off",
            delta_arrow="auto" if change else "off",
            chart_data=[100 * point.reach for point in trend] if len(trend) > 1 else None,
            chart_type="line",
            height="stretch",
            border=True,
            help=f"Mean over regions of the share where the map may be trusted at {target:.0%}"
            " accuracy, judged on rows the model has never seen. Kinds are never averaged together."
            " The line, where there is one, moves each time a region's figure did.",
        )
        below.caption(_explain_reach(kind, len(known), len(of_kind), target))


def _write_change(trend: Sequence[ReachPoint]) -> str | None:
    if not trend:
        return None
    since = trend[0].at[:10]
    change = trend[-1].reach - trend[0].reach
    return f"{100 * change:+.0f} points since {since}" if change else f"as measured on {since}"


def _explain_reach(kind: RegionKind, n_known: int, n_regions: int, target: float) -> str:
    if not n_regions:
        return "no region of this kind yet"
    if not n_known:
        return f"{n_regions} without holdout labels: upload some to measure it"
    what = "samples" if kind is RegionKind.TABLE else "area"
    return f"share of the {what} at {target:.0%} accuracy · {n_known} of {n_regions} measured"


def _show_outlooks(outlooks: Sequence[Outlook]) -> None:
    """Show for each region what the next labels are expected to add, and what they cost."""
    st.subheader("Where next", anchor="where-next")
    has_rate = any(o.cost_usd for o in outlooks)
    rows: dict[str, list[object]] = {
        "Region": [o.name for o in outlooks],
        "Kind": [KIND_LABELS[o.kind] for o in outlooks],
        "Labels now": [str(o.n_labels or "–") for o in outlooks],
        "Expected gain": [None if o.gain is None else o.gain.value for o in outlooks],
        "Interval": ["unknown" if o.gain is None else _write_interval(o.gain) for o in outlooks],
        "Rests on": [o.basis for o in outlooks],
        "Fine-tune": [
            "needs imagery" if o.kind is RegionKind.TABLE
            else "not measured yet" if o.cpu_s is None else f"{o.cpu_s:.0f} CPU-s"
            for o in outlooks
        ],
    }  # fmt: skip
    if has_rate:
        rows["Labels, USD"] = [o.cost_usd for o in outlooks]
        rows["AUC per 1,000 USD"] = [o.gain_per_1000_usd for o in outlooks]
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        column_config={
            "Labels now": st.column_config.TextColumn(),
            "Expected gain": st.column_config.NumberColumn(
                format="%+.3f", help=f"AUC that {NEXT_LABELS} more labels are expected to add."
            ),
            "AUC per 1,000 USD": st.column_config.NumberColumn(format="%+.3f"),
        },
        placeholder="–",
        alt=f"Expected gain of the next {NEXT_LABELS} labels in each region, and its cost",
    )  # fmt: skip
    price = "" if has_rate else (
        " A label costs the same everywhere, so this is also the order by gain for its cost; set"
        " `GEOTRANSFER_USD_PER_LABEL` to see money."
    )  # fmt: skip
    st.caption(
        f"AUC that {NEXT_LABELS} more labels are expected to add to the global model, or to the"
        f" labels there are; most promising first, unknown last.{price} A region's own label"
        " budget, on the *Label next* page, tells more than the range over other regions."
    )


def _write_interval(gain: Estimate) -> str:
    return f"{gain.low:+.3f} to {gain.high:+.3f} ({gain.level:.0%})"


def _show_map(views: Sequence[RegionView], metric: Metric, *, version: int) -> str | None:
    event: Any = st.pydeck_chart(
        make_deck(views, metric, version=version, is_dark=is_dark()),
        height=460,
        on_select="rerun",
        selection_mode="single-object",
        key="regions-map",
        alt=f"Map of {len(views)} regions coloured by {metric.title.lower()}; the table beside it"
        " says the same.",
    )
    st.html(make_legend_html(metric.title, metric.unit, metric.fit(views)))
    st.caption(
        f"{metric.explanation} Markers stand for regions too small to see; a thick rim means"
        " *simulated*. Outlines: Natural Earth."
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
        height=460,
        on_select="rerun",
        selection_mode="single-row",
        key="regions-table",
        column_config={
            "Region": st.column_config.TextColumn(width=190),
            metric.title: st.column_config.NumberColumn(
                format="percent" if metric.is_share else "%.3f", help=metric.unit
            ),
        },
        placeholder="–",
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
