"""Figures, gates and cost of two contenders, side by side."""

from __future__ import annotations

import altair as alt
import pandas as pd
import streamlit as st

from geotransfer.console.evaluation_panel import ESTIMANDS
from geotransfer.core.estimate import Estimate
from geotransfer.core.legend import CLASS_COLORS
from geotransfer.workflows.comparison import Contender, pair_figures

SIDES = ("a", "b")
COLORS = {"a": CLASS_COLORS[0], "b": CLASS_COLORS[5]}


def show_figures(first: Contender, second: Contender) -> None:
    """Show accuracy and reach with intervals, as chart and table."""
    st.subheader("Accuracy and reach", anchor="figures")
    pairs = pair_figures(first, second)
    if not pairs:
        st.info(
            "Neither has been judged: upload a holdout set on the *Calibrate* page and press"
            " *Evaluate* on the region's page."
        )
        return
    rows = [
        (pair.name, side, estimate)
        for pair in pairs
        for side, estimate in zip(SIDES, (pair.first, pair.second), strict=True)
        if estimate is not None
    ]
    frame = pd.DataFrame(
        [
            {"figure": n, "side": s.upper(), "value": e.value, "low": e.low, "high": e.high}
            for n, s, e in rows
        ]
    )
    y = alt.Y("figure:N", sort=None, title=None, axis=alt.Axis(labelLimit=330))
    shift = alt.YOffset("side:N")
    color = alt.Color(
        "side:N",
        scale=alt.Scale(domain=["A", "B"], range=[COLORS["a"], COLORS["b"]]),
        legend=alt.Legend(title=None, orient="top"),
    )
    bars = alt.Chart(frame).mark_rule(strokeWidth=3).encode(
        x=alt.X(
            "low:Q",
            title="share, with its 95 % interval",
            scale=alt.Scale(domain=[0, 1]),
            axis=alt.Axis(values=[0, 0.25, 0.5, 0.75, 1], format=".0%", labelFlush=True),
        ),
        x2="high:Q", y=y, yOffset=shift, color=color,
    )  # fmt: skip
    points = alt.Chart(frame).mark_point(size=70, filled=True, opacity=1).encode(
        x="value:Q", y=y, yOffset=shift, color=color,
        shape=alt.Shape("side:N", scale=alt.Scale(domain=["A", "B"], range=["circle", "diamond"]),
                        legend=None),
        tooltip=["figure", "side", *[alt.Tooltip(f"{c}:Q", format=".3f")
                                     for c in ("value", "low", "high")]],
    )  # fmt: skip
    height = 44 * len(pairs) + 50
    st.altair_chart(
        alt.layer(bars, points).properties(height=height, padding={"left": 5, "right": 24}),
        alt=f"{len(pairs)} figures of {first.title} (A) and {second.title} (B) with their"
        " intervals; the table below says the same.",
    )
    st.dataframe(
        pd.DataFrame(
            {
                "figure": [pair.name for pair in pairs],
                "A": [_write(pair.first) for pair in pairs],
                "B": [_write(pair.second) for pair in pairs],
                "B − A": [_write(pair.difference, sign=True) for pair in pairs],
            }
        ),
        hide_index=True,
        alt="Figures of both, with intervals and differences",
    )
    st.caption(_explain_figures(first, second, has_difference=any(p.difference for p in pairs)))


def _explain_figures(first: Contender, second: Contender, *, has_difference: bool) -> str:
    told = []
    for side, contender in zip(SIDES, (first, second), strict=True):
        e = contender.evaluation
        rests = (
            "no holdout rows judged it"
            if e is None
            else ESTIMANDS.get(e.estimand, e.estimand).rstrip(".")
        )
        told.append(f"**{side.upper()}**: {rests}" + (f", n = {e.matrix.n}" if e else ""))
    note = (
        "The interval of a difference takes both as independent, which is cautious: the same rows"
        " judged both."
        if has_difference
        else "No difference is given: no figure of the two rests on the same rows."
    )
    return " · ".join([*told, note])


def _write(estimate: Estimate | None, *, sign: bool = False) -> str:
    if estimate is None:
        return "–"
    if sign:
        return f"{estimate.value:+.3f} ({estimate.low:+.3f} to {estimate.high:+.3f})"
    return str(estimate)


def show_gates(first: Contender, second: Contender) -> None:
    """Show which gates each passed, with the evidence."""
    st.subheader("Gates", anchor="gates")
    for column, name, contender in zip(st.columns(2), SIDES, (first, second), strict=True):
        with column:
            st.markdown(f"**{name.upper()} · {contender.name}**")
            if not contender.gates:
                st.caption(
                    "A global model passes no gates: it serves where no other was promoted."
                    if contender.model is not None
                    else "No model was promoted here."
                )
                continue
            when = contender.gates_at[:16].replace("T", " ")
            st.caption(f"Promoted {when} (UTC)." if when else "Not promoted; as they would be now.")
            for gate in contender.gates:
                icon = ":green[✓ passed]" if gate.passed else ":red[✗ failed]"
                st.markdown(f"{icon} **{gate.gate}**: {gate.evidence}")


def show_cost(first: Contender, second: Contender) -> None:
    """Show what each model is, what it maps and what that cost."""
    st.subheader("Model and cost", anchor="cost")
    areas = dict.fromkeys(n for c in (first, second) for n, _ in c.class_areas_km2)
    columns = [_describe(contender, tuple(areas)) for contender in (first, second)]
    st.dataframe(
        pd.DataFrame(
            {
                " ": list(columns[0]),
                "A": list(columns[0].values()),
                "B": list(columns[1].values()),
            }
        ),
        hide_index=True,
        alt="Model, mapped areas and cost of both",
    )


def _describe(contender: Contender, classes: tuple[str, ...]) -> dict[str, str]:
    model, training = contender.model, contender.training
    areas = dict(contender.class_areas_km2)
    unit = contender.cpu_s_per_km2
    return {
        "model": contender.name if model is None else model.label,
        "strategy": "–" if model is None else model.lineage.strategy.replace("_", " "),
        "labels": "–" if model is None else str(model.lineage.n_labels or "–"),
        "map of (UTC)": contender.mapped_at[:16].replace("T", " ") or "–",
        **{f"{name}, mapped": _write_area(areas.get(name)) for name in classes},
        "CPU-s per km²": "–" if unit is None else f"{unit:.2f}",
        "CPU-s of its refreshes": f"{contender.cost.cpu_s:.1f}" if contender.cost.cpu_s else "–",
        "CPU-s of training": f"{training.cpu_s:.1f}" if training and training.cpu_s else "–",
    }


def _write_area(area_km2: float | None) -> str:
    return "–" if area_km2 is None else f"{area_km2:,.2f} km²"
