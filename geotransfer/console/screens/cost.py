"""Cost: what maps cost, what only-if-changed avoided, and whether a cadence is worth it."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from geotransfer.console.state import find_workspace
from geotransfer.workflows.views import list_cost_views


def show() -> None:
    """Show the page."""
    st.title("Cost")
    workspace = find_workspace()
    settings = workspace.settings
    views = list_cost_views(workspace)
    if not views:
        st.info("Nothing has run yet. Refresh a region to see what a km² costs.")
        return
    if settings.usd_per_cpu_hour:
        st.caption(f"Money at {settings.usd_per_cpu_hour:g} USD per CPU hour (a setting).")
    else:
        st.caption(
            "Measured CPU seconds. Set `GEOTRANSFER_USD_PER_CPU_HOUR` and"
            " `GEOTRANSFER_WATT_PER_CPU` to see money and energy."
        )
    spent = sum(view.cost.cpu_s for view in views)
    avoided = sum(view.avoided.cpu_s for view in views)
    left, middle, right = st.columns(3)
    left.metric("CPU seconds spent", f"{spent:.1f}")
    middle.metric("CPU seconds avoided", f"{avoided:.1f}")
    right.metric("Share avoided", f"{avoided / (spent + avoided):.0%}" if spent + avoided else "–")
    st.dataframe(
        pd.DataFrame(
            {
                "Region": [v.region_id for v in views],
                "Runs": [v.n_runs for v in views],
                "CPU-s": [v.cost.cpu_s for v in views],
                "Avoided CPU-s": [v.avoided.cpu_s for v in views],
                "km² computed": [v.cost.area_km2 for v in views],
                "CPU-s per km²": [v.cpu_s_per_km2 for v in views],
                "Read MB": [v.cost.read_bytes / 1e6 for v in views],
                "Peak MB": [v.cost.peak_rss_bytes / 1e6 for v in views],
                "USD": [v.cost_usd for v in views],
                "Wh": [v.energy_wh for v in views],
            }
        ),
        hide_index=True,
        column_config={
            name: st.column_config.NumberColumn(format="%.2f")
            for name in ("CPU-s", "Avoided CPU-s", "km² computed", "CPU-s per km²", "Read MB")
        },
    )
    known = [v.cpu_s_per_km2 for v in views if v.cpu_s_per_km2 is not None]
    if known:
        _show_worth(sum(known) / len(known), settings.usd_per_cpu_hour)


def _show_worth(cpu_s_per_km2: float, usd_per_cpu_hour: float) -> None:
    st.subheader("Worth it?")
    a, b, c, d = st.columns(4)
    area_km2 = a.number_input("Area (km²)", min_value=1.0, value=10_000.0, step=1_000.0)
    per_year = b.number_input("Refreshes a year", min_value=1, value=52)
    changed_share = c.slider("Share that changes each time", 0.0, 1.0, 0.1)
    value_usd = d.number_input("Value per km² and year (USD)", min_value=0.0, value=0.05)
    cpu_hours = cpu_s_per_km2 * area_km2 * (1 + (per_year - 1) * changed_share) / 3600
    if not usd_per_cpu_hour:
        st.markdown(
            f"About **{cpu_hours:,.1f} CPU hours** a year. With a rate set, this page also says"
            " whether that is worth it."
        )
        return
    cost_usd = cpu_hours * usd_per_cpu_hour
    worth_usd = value_usd * area_km2
    once_usd = cpu_s_per_km2 * area_km2 / 3600 * usd_per_cpu_hour
    more = (worth_usd - once_usd) / (once_usd * changed_share) if changed_share else float("inf")
    verdict = "worth it" if worth_usd >= cost_usd else "not worth it"
    st.markdown(
        f"About **{cpu_hours:,.1f} CPU hours**, **{cost_usd:,.2f} USD** a year against a value of"
        f" {worth_usd:,.2f} USD: **{verdict}**. Break-even at {max(0.0, 1 + more):,.0f} refreshes"
        " a year."
    )
