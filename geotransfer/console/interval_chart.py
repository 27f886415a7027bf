"""Figures with their intervals as charts; every chart says in words what it shows."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd
import streamlit as st

from geotransfer.core.estimate import Estimate

ROW_PX = 34
COLOR = "#0b6e6e"
PADDING = {"left": 5, "right": 24, "top": 5, "bottom": 5}
"""Around a chart: the last label of an axis would lose its end otherwise."""


def write_interval(e: Estimate) -> str:
    """Return a figure with its interval, which no table breaks over two lines."""
    return str(e).replace("–", "\u2060–\u2060")


def write_gain(e: Estimate) -> str:
    """Return a difference with its interval, signs in front."""
    return f"{e.value:+.3f} ({e.low:+.3f}\u00a0to\u00a0{e.high:+.3f})"


def show_intervals(
    rows: Sequence[tuple[str, Estimate]],
    *,
    title: str,
    alternative: str,
    zero: float | None = None,
    marked: str = "",
) -> None:
    """Show one point with its interval a row, in the order given.

    Parameters
    ----------
    rows
        Name and figure; names are unique.
    title
        Of the axis.
    alternative
        What the chart says, in words.
    zero
        Value at which a line is drawn.
    marked
        Name of the row that is filled; the others are hollow.
    """
    frame = pd.DataFrame(
        [
            {"name": name, "value": e.value, "low": e.low, "high": e.high, "marked": name == marked}
            for name, e in rows
        ]
    )
    y = alt.Y("name:N", sort=None, title=None, axis=alt.Axis(labelLimit=320))
    bars = (
        alt.Chart(frame)
        .mark_rule(strokeWidth=2, color=COLOR)
        .encode(
            x=alt.X(
                "low:Q",
                title=title,
                scale=alt.Scale(zero=False, nice=True),
                axis=alt.Axis(tickCount=6, labelFlush=True),
            ),
            x2="high:Q",
            y=y,
        )
    )
    points = (
        alt.Chart(frame)
        .mark_point(size=75, color=COLOR, strokeWidth=2, opacity=1)
        .encode(
            x="value:Q",
            y=y,
            fill=alt.condition("datum.marked", alt.value(COLOR), alt.value("transparent")),
            tooltip=[
                alt.Tooltip("name:N", title=" "),
                alt.Tooltip("value:Q", format=".3f"),
                alt.Tooltip("low:Q", format=".3f"),
                alt.Tooltip("high:Q", format=".3f"),
            ],
        )
    )
    layers = [bars, points]
    if zero is not None:
        line = pd.DataFrame({"at": [zero]})
        layers.insert(
            0, alt.Chart(line).mark_rule(strokeDash=[4, 3], color="#888").encode(x="at:Q")
        )
    chart = alt.layer(*layers).properties(height=ROW_PX * len(rows) + 40, padding=PADDING)
    st.altair_chart(chart, alt=alternative)


def show_by_distance(
    rows: Sequence[tuple[float, float, Estimate]], *, title: str, alternative: str
) -> None:
    """Show a figure with its interval for each class of distance, from near to far (km)."""
    frame = pd.DataFrame(
        [
            {
                "distance": f"{start:g}–{stop:g} km",
                "value": e.value,
                "low": e.low,
                "high": e.high,
                "labels": e.n,
            }
            for start, stop, e in rows
        ]
    )
    x = alt.X(
        "distance:N",
        sort=None,
        title="distance to the nearest label that trained",
        axis=alt.Axis(labelAngle=0),
    )
    bars = (
        alt.Chart(frame)
        .mark_rule(strokeWidth=2, color=COLOR)
        .encode(x=x, y=alt.Y("low:Q", title=title, scale=alt.Scale(zero=False)), y2="high:Q")
    )
    points = (
        alt.Chart(frame)
        .mark_point(size=75, color=COLOR, filled=True, opacity=1)
        .encode(
            x=x,
            y="value:Q",
            tooltip=[
                "distance",
                alt.Tooltip("value:Q", format=".3f"),
                alt.Tooltip("low:Q", format=".3f"),
                alt.Tooltip("high:Q", format=".3f"),
                "labels",
            ],
        )
    )
    st.altair_chart(
        alt.layer(bars, points).properties(height=260, padding=PADDING), alt=alternative
    )
