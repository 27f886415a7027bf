"""Forecast at a cadence and area, and whether it is worth it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import altair as alt
import pandas as pd
import streamlit as st

from geotransfer.console.stages import AVOIDED_COLOR, SPENT_COLOR, format_cpu, format_usd
from geotransfer.core.cost import Rates, RunCost
from geotransfer.core.forecast import UnitCosts
from geotransfer.workflows.cost_views import RegionCost

CADENCES = {"every year": 1, "every quarter": 4, "every month": 12, "every 10 days": 37,
            "every week": 52, "every 5 days": 73, "every day": 365}  # fmt: skip
MOST_A_YEAR = 365
SECONDS_AN_HOUR = 3600


def show_forecast(costs: Sequence[RegionCost], rates: Rates) -> None:
    """Let the reader choose region, cadence, area, rate and value; show cost against value."""
    st.subheader("Forecast, and is it worth it?")
    measured = {cost.region_id: cost for cost in costs if cost.unit is not None}
    if not measured:
        st.info("Refresh a region once to measure what a km² costs.")
        return
    a, b, c = st.columns(3)
    region_id = a.selectbox(
        "As measured in", list(measured), format_func=lambda r: measured[r].name,
        key="forecast-region",
    )  # fmt: skip
    cadence = b.selectbox("Refreshed", list(CADENCES), index=4, key="forecast-cadence")
    area_km2 = c.number_input(
        "Area (km²)", min_value=0.01, value=10_000.0, step=1_000.0, key="forecast-area"
    )
    d, e, f = st.columns(3)
    rate = d.number_input(
        "Price of a CPU hour (USD)", min_value=0.0, value=rates.usd_per_cpu_hour or 0.05,
        step=0.01, format="%.3f", key="forecast-rate",
        help="The setting usd_per_cpu_hour, or an example where none is set.",
    )  # fmt: skip
    value_usd = e.number_input(
        "Value per km² and year (USD)", min_value=0.0, value=0.01, step=0.005, format="%.4f",
        key="forecast-value", help="What a km² of map kept up to date is worth to you.",
    )  # fmt: skip
    unit = _choose_unit(f, measured[region_id].unit or UnitCosts(first=0.0, again=0.0))
    per_year = CADENCES[cadence]
    _show_figures(unit, area_km2=area_km2, per_year=per_year, rate=rate, rates=rates)
    if rate:
        _show_verdict(unit, per_year=per_year, rate=rate, value_usd=value_usd)
        _show_chart(unit, per_year=per_year, rate=rate, value_usd=value_usd)


def _choose_unit(column: object, unit: UnitCosts) -> UnitCosts:
    share = unit.again / unit.first if unit.first else 0.0
    chosen = column.slider(  # type: ignore[attr-defined]  # a column of the page
        "A refresh costs, of a first map", 0.0, 1.0, min(1.0, round(share, 3)), 0.005,
        format="%.3f", key=f"forecast-share-{share:.3f}",
        help=f"Measured in this region: {share:.3f}. It grows with what changes between refreshes.",
    )  # fmt: skip
    return UnitCosts(first=unit.first, again=unit.first * chosen)


def _show_figures(
    unit: UnitCosts, *, area_km2: float, per_year: int, rate: float, rates: Rates
) -> None:
    years = (
        ("First year", unit.spend_first_year(per_year) * area_km2),
        ("Each later year", unit.spend_later_year(per_year) * area_km2),
        ("The same without only-if-changed", unit.first * per_year * area_km2),
    )
    for column, (title, cpu_s) in zip(st.columns(3), years, strict=True):
        cost = RunCost(cpu_s=cpu_s)
        column.metric(title, format_usd(cpu_s / SECONDS_AN_HOUR * rate) if rate else "–")
        energy = rates.energy_wh(cost)
        told = "" if energy is None else f" · {energy / 1000:,.2f} kWh"
        column.caption(f"{format_cpu(cpu_s)}{told}")


def _show_verdict(unit: UnitCosts, *, per_year: int, rate: float, value_usd: float) -> None:
    value_cpu_s = value_usd / rate * SECONDS_AN_HOUR
    later_usd = unit.spend_later_year(per_year) / SECONDS_AN_HOUR * rate
    first_n = unit.break_even_first_year(value_cpu_s)
    later_n = unit.break_even_later_year(value_cpu_s)
    text = (
        f"A km² costs {format_usd(later_usd)} a later year against a value of"
        f" {format_usd(value_usd)}. Break-even: {_tell_cadence(later_n)} in a later year,"
        f" {_tell_cadence(first_n)} in the first."
    )
    if later_usd <= value_usd:
        st.success(f"**Worth it.** {text}", icon=":material/check_circle:")
    else:
        st.warning(f"**Not worth it at this cadence.** {text}", icon=":material/payments:")


def _tell_cadence(per_year: float) -> str:
    if math.isinf(per_year):
        return "any cadence"
    if per_year < 1:
        return "not even one map a year"
    days = 365.25 / per_year
    every = f"every {days:.0f} days" if days >= 1.5 else "daily or more often"
    return f"{per_year:,.0f} refreshes a year ({every})"


def _show_chart(unit: UnitCosts, *, per_year: int, rate: float, value_usd: float) -> None:
    to_usd = rate / SECONDS_AN_HOUR
    steps = sorted({*range(1, 53), *range(55, MOST_A_YEAR + 1, 5), per_year})
    rows = [
        {"per_year": n, "usd": spend(n) * to_usd, "line": name}
        for name, spend in (
            ("First year", unit.spend_first_year),
            ("Later year", unit.spend_later_year),
        )
        for n in steps
    ]
    lines = (
        alt.Chart(pd.DataFrame(rows))
        .mark_line()
        .encode(
            x=alt.X(
                "per_year:Q", title="refreshes a year", scale=alt.Scale(type="log", nice=False)
            ),
            y=alt.Y("usd:Q", title="USD per km² and year", axis=alt.Axis(format=".3~g")),
            color=alt.Color(
                "line:N",
                scale=alt.Scale(
                    domain=["First year", "Later year"], range=[SPENT_COLOR, "#0072b2"]
                ),
                legend=alt.Legend(orient="bottom", title=None),
            ),
            strokeDash=alt.StrokeDash("line:N", legend=None),
            tooltip=["line", "per_year", alt.Tooltip("usd:Q", format=".3~g")],
        )
    )
    worth = (
        alt.Chart(pd.DataFrame({"usd": [value_usd], "text": ["value"]}))
        .mark_rule(color=AVOIDED_COLOR, strokeWidth=2)
        .encode(y="usd:Q", tooltip=[alt.Tooltip("usd:Q", title="value per km²", format=".3~g")])
    )
    here = (
        alt.Chart(pd.DataFrame({"per_year": [per_year]}))
        .mark_rule(color="#6e6e6e", strokeDash=[4, 4])
        .encode(x="per_year:Q")
    )
    st.altair_chart(
        (lines + worth + here).properties(height=340),
        alt="Lines: cost per km² and year against refreshes a year, with the value as a level line",
    )
    st.caption(
        "Green: the value you set. Where a line crosses it is the break-even; dashed grey: the"
        " cadence chosen."
    )
