"""Charts and tables of what was spent and what only-if-changed avoided."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd
import streamlit as st

from geotransfer.console.stages import (
    AVOIDED_COLOR,
    SPENT_COLOR,
    STAGE_COLORS,
    STAGE_TITLES,
    format_cpu,
    format_energy,
    format_usd,
    name_stage,
)
from geotransfer.core.cost import Rates, RunCost
from geotransfer.workflows.cost_views import CostEntry, RegionCost

CHART_FRAME_PX = 150
"""Axis, its title and the legend take this much of a chart's height."""

TICKS = 8
"""About as many values stand below a bar: on a wide screen the default is a ruler."""
EVERY_REGION = "(every region)"


def show_totals(costs: Sequence[RegionCost], entries: Sequence[CostEntry], rates: Rates) -> None:
    """Show what was spent and avoided, in CPU time and, where a rate is set, money and energy."""
    spent = RunCost(cpu_s=sum(entry.cpu_s for entry in entries))
    avoided = RunCost(cpu_s=sum(cost.avoided.cpu_s for cost in costs))
    titles = ("Spent", "Avoided by only-if-changed", "Share avoided")
    show_saving(spent, avoided, rates, titles=titles)


def show_saving(
    spent: RunCost, avoided: RunCost, rates: Rates, *, titles: tuple[str, str, str]
) -> None:
    """Show what was spent, what was avoided and its share of both, under these titles."""
    both = spent.cpu_s + avoided.cpu_s
    left, middle, right = st.columns(3)
    left.metric(titles[0], format_cpu(spent.cpu_s))
    left.caption(describe_rates(spent, rates))
    middle.metric(titles[1], format_cpu(avoided.cpu_s))
    middle.caption(describe_rates(avoided, rates))
    right.metric(titles[2], f"{avoided.cpu_s / both:.0%}" if both else "–")
    right.caption("of what computing everything at each refresh would have used")


def describe_rates(cost: RunCost, rates: Rates) -> str:
    """Return money and energy of a cost in words, or how to see them."""
    usd, watt_hours = rates.cost_usd(cost), rates.energy_wh(cost)
    told = [] if usd is None else [format_usd(usd)]
    told += [] if watt_hours is None else [format_energy(watt_hours)]
    return " · ".join(told) or "no rate set: no money, no energy"


def make_stage_frame(
    entries: Sequence[CostEntry], costs: Sequence[RegionCost], rates: Rates
) -> pd.DataFrame:
    """Return one row a region, month and stage, with costs per km² of the region."""
    by_id = {cost.region_id: cost for cost in costs}
    rows = []
    for entry in entries:
        region = by_id.get(entry.region_id or "")
        cost = RunCost(cpu_s=entry.cpu_s)
        per_km2 = entry.cpu_s / region.area_km2 if region and region.area_km2 else None
        rows.append(
            {
                "region": region.name if region else entry.region_id or EVERY_REGION,
                "month": entry.month,
                "stage": name_stage(entry.stage),
                "cpu_s": entry.cpu_s,
                "cpu_s_per_km2": per_km2,
                "usd": rates.cost_usd(cost),
                "wh": rates.energy_wh(cost),
            }
        )
    columns = ["region", "month", "stage", "cpu_s", "cpu_s_per_km2", "usd", "wh"]
    return pd.DataFrame(rows, columns=columns)


def show_stages(frame: pd.DataFrame, *, by: str) -> None:
    """Show CPU seconds per km² stacked by stage, one bar a region or month."""
    known = frame.dropna(subset=["cpu_s_per_km2"])
    if by == "month":
        # Each region counts by its own area, months add up over what is shown.
        summed = known.groupby(["month", "stage"], sort=False)[["cpu_s_per_km2"]].sum()
        known = summed.reset_index()
    titles = [*STAGE_TITLES.values(), *sorted(set(frame["stage"]) - set(STAGE_TITLES.values()))]
    used = [title for title in titles if title in set(known["stage"])]
    colors = {STAGE_TITLES[key]: color for key, color in STAGE_COLORS.items()}
    known = known.assign(order=known["stage"].map(used.index))
    chart = (
        alt.Chart(known)
        .mark_bar()
        .encode(
            y=alt.Y(f"{by}:N", title=None, sort=None, axis=alt.Axis(labelLimit=240)),
            x=alt.X(
                "sum(cpu_s_per_km2):Q",
                title="CPU-s per km² of the region",
                axis=alt.Axis(tickCount=TICKS),
            ),
            color=alt.Color(
                "stage:N",
                scale=alt.Scale(
                    domain=used, range=[colors.get(title, "#8c8c8c") for title in used]
                ),
                legend=alt.Legend(orient="bottom", title=None, columns=7, labelLimit=220),
            ),
            order=alt.Order("order:Q"),
            tooltip=[by, "stage", alt.Tooltip("sum(cpu_s_per_km2):Q", format=".4f")],
        )
        .properties(height=34 * known[by].nunique() + CHART_FRAME_PX)
    )
    st.altair_chart(
        chart, alt=f"Stacked bars: CPU seconds per km² by {by} and stage; table and CSV below"
    )


def show_stage_table(frame: pd.DataFrame) -> None:
    """Show the same figures as a table, with a file to take along."""
    with st.expander("The same as a table"):
        st.dataframe(
            frame.dropna(axis="columns", how="all"),
            hide_index=True,
            column_config={
                "region": "Region",
                "month": "Month",
                "stage": "Stage",
                "cpu_s": st.column_config.NumberColumn("CPU-s", format="%.3f"),
                "cpu_s_per_km2": st.column_config.NumberColumn("CPU-s per km²", format="%.4f"),
                "usd": st.column_config.NumberColumn("USD", format="%.6f"),
                "wh": st.column_config.NumberColumn("Wh", format="%.4f"),
            },
            alt="CPU seconds by region, month and stage",
        )
    st.download_button(
        "Download as CSV",
        frame.to_csv(index=False),
        file_name="cost.csv",
        mime="text/csv",
        icon=":material/download:",
    )


def show_avoided(costs: Sequence[RegionCost], rates: Rates) -> None:
    """Show spent against avoided, one bar a region."""
    rows = [
        {"region": cost.name, "what": what, "cpu_s": part.cpu_s, "order": order}
        for cost in costs
        for order, (what, part) in enumerate((("Spent", cost.cost), ("Avoided", cost.avoided)))
    ]
    chart = (
        alt.Chart(pd.DataFrame(rows))
        .mark_bar()
        .encode(
            y=alt.Y("region:N", title=None, sort=None, axis=alt.Axis(labelLimit=240)),
            x=alt.X("cpu_s:Q", title="CPU seconds", axis=alt.Axis(tickCount=TICKS)),
            color=alt.Color(
                "what:N",
                scale=alt.Scale(domain=["Spent", "Avoided"], range=[SPENT_COLOR, AVOIDED_COLOR]),
                legend=alt.Legend(orient="bottom", title=None),
            ),
            order=alt.Order("order:Q"),
            tooltip=["region", "what", alt.Tooltip("cpu_s:Q", format=".2f")],
        )
        .properties(height=34 * len(costs) + CHART_FRAME_PX)
    )
    st.altair_chart(chart, alt="Stacked bars: CPU seconds spent and avoided by region; table below")
    table = pd.DataFrame(
        {
            "Region": [c.name for c in costs],
            "km²": [c.area_km2 for c in costs],
            "Refreshes": [c.n_refreshes for c in costs],
            "CPU-s": [c.cost.cpu_s for c in costs],
            "Avoided CPU-s": [c.avoided.cpu_s for c in costs],
            "CPU-s per km²": [c.cpu_s_per_km2 for c in costs],
            "of the first map": [c.unit.first if c.unit else None for c in costs],
            "of a later refresh": [c.unit.again if c.unit else None for c in costs],
            "Read MB": [c.cost.read_bytes / 1e6 for c in costs],
            "Peak MB": [c.cost.peak_rss_bytes / 1e6 for c in costs],
            "USD": [c.cost_usd for c in costs],
            "Wh": [c.energy_wh for c in costs],
        }
    ).dropna(axis="columns", how="all")
    number = st.column_config.NumberColumn(format="%.2f")
    st.dataframe(
        table,
        hide_index=True,
        column_config={
            name: number
            for name in table.columns
            if name not in ("Region", "Refreshes", "Peak MB", "USD")
        }
        | {
            "Peak MB": st.column_config.NumberColumn(format="%.0f"),
            "USD": st.column_config.NumberColumn(format="%.6f"),
        },
        alt="Cost by region",
    )
