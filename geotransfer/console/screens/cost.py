"""Cost: what maps cost, what only-if-changed avoided, and whether a cadence is worth it."""

from __future__ import annotations

import streamlit as st

from geotransfer.console.cost_panel import (
    make_stage_frame,
    show_avoided,
    show_stage_table,
    show_stages,
    show_totals,
)
from geotransfer.console.state import find_workspace
from geotransfer.console.worth_panel import show_forecast
from geotransfer.core.cost import Rates
from geotransfer.settings import Settings
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.cost_views import (
    CostEntry,
    RegionCost,
    list_cost_entries,
    list_region_costs,
    read_rates,
)


@st.cache_resource(show_spinner=False, max_entries=4)
def _load(
    settings: Settings, seq: int, _workspace: Workspace
) -> tuple[tuple[RegionCost, ...], tuple[CostEntry, ...]]:
    """Replay costs; made anew only when a fact was added."""
    return tuple(list_region_costs(_workspace)), tuple(list_cost_entries(_workspace))


def show() -> None:
    """Show the page."""
    st.title("Cost")
    workspace = find_workspace()
    rates = read_rates(workspace)
    costs, entries = _load(workspace.settings, workspace.ledger.count(), workspace)
    if not costs:
        st.info("Nothing has run yet. Refresh a region to see what a km² costs.")
        return
    st.caption(_describe_rates(rates))
    show_totals(costs, entries, rates)
    st.subheader("Where it went")
    left, right = st.columns([1, 2])
    by = left.segmented_control(
        "One bar a", ["region", "month"], default="region", key="cost-by", required=True
    )
    names = {cost.region_id: cost.name for cost in costs}
    chosen = right.multiselect(
        "Regions", list(names), format_func=names.__getitem__, key="cost-regions",
        placeholder="all regions",
    )  # fmt: skip
    shown = [c for c in costs if not chosen or c.region_id in chosen]
    frame = make_stage_frame(
        [e for e in entries if not chosen or e.region_id in chosen], shown, rates
    )
    show_stages(frame, by=by or "region")
    show_stage_table(frame)
    st.subheader("What only-if-changed avoided")
    show_avoided(shown, rates)
    show_forecast(shown, rates)


def _describe_rates(rates: Rates) -> str:
    money = (
        f"Money at {rates.usd_per_cpu_hour:g} USD per CPU hour"
        if rates.usd_per_cpu_hour
        else "Set `GEOTRANSFER_USD_PER_CPU_HOUR` to see money"
    )
    energy = (
        f"energy at {rates.watt_per_cpu:g} W per busy core"
        if rates.watt_per_cpu
        else "`GEOTRANSFER_WATT_PER_CPU` to see energy"
    )
    return f"CPU seconds are measured. {money}; {energy}."
