"""Strategies compared on the same held-out blocks: every figure, and why it was not chosen."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from geotransfer.console.interval_chart import (
    show_by_distance,
    show_intervals,
    write_gain,
    write_interval,
)
from geotransfer.core.verdict import StrategyResult, Verdict

STRATEGY_NAMES = {
    "keep_global": "keep the global model",
    "gp_correction": "Gaussian-process correction",
    "pooled": "weighted pooling",
    "refit_leaves": "leaf refit",
    "regional_only": "regional labels only",
    "average": "average of correction and pooling",
}


def name_strategy(strategy: str) -> str:
    """Return a strategy as people call it."""
    return STRATEGY_NAMES.get(strategy, strategy.replace("_", " "))


def show_strategies(verdict: Verdict) -> None:
    """Show every strategy's figure with its interval, and what kept it from being chosen."""
    rows = verdict.strategies
    if not rows:
        st.caption("No strategy was tried: the labels are too few, or all in one place.")
        return
    st.markdown("**Strategies compared, on the same held-out blocks**")
    chosen = next((name_strategy(row.strategy) for row in rows if row.is_chosen), "")
    told = "; ".join(f"{name_strategy(row.strategy)} {row.auc}" for row in rows)
    show_intervals(
        [(name_strategy(row.strategy), row.auc) for row in rows],
        title=f"AUC on held-out labels, {rows[0].auc.level:.0%} interval",
        alternative=f"AUC of each strategy: {told}. Chosen: {chosen or 'none'}.",
        marked=chosen,
    )
    st.table(
        pd.DataFrame(
            {
                "strategy": [name_strategy(row.strategy) for row in rows],
                "AUC": [write_interval(row.auc) for row in rows],
                "gain over global": [write_gain(row.gain) for row in rows],
                "why": [explain_strategy(row, verdict) for row in rows],
            }
        ),
        border="horizontal",
        hide_index=True,
        alt="Strategies with their figures and why each was or was not chosen",
    )


def explain_strategy(row: StrategyResult, verdict: Verdict) -> str:
    """Return why a strategy was chosen, or was not."""
    if row.is_chosen:
        serves = verdict.strategy == row.strategy
        more = "" if serves else "; the verdict keeps the global model all the same"
        return f"chosen{'' if not row.note else f': {row.note}'}{more}"
    if row.note:
        return row.note
    if row.strategy == "keep_global":
        return "what the others are compared with; it answers wherever a gain is not sure"
    chosen = next((other for other in verdict.strategies if other.is_chosen), None)
    if chosen is None:
        return "no strategy was chosen"
    if row.auc.value <= chosen.auc.value:
        return "scores no better on the held-out blocks"
    return (
        "scores higher here, but not surely: with few labels held-out blocks are noisier than"
        " strategies differ, so the one that did best in rehearsals stays"
    )


def show_gain_by_distance(verdict: Verdict) -> None:
    """Show the gain against distance to labels, and how much of the map lies at each distance."""
    rows = verdict.gain_by_distance
    if not rows:
        return
    st.markdown("**Gain against distance to the nearest label that trained**")
    told = "; ".join(f"{d.from_km:g} to {d.to_km:g} km {d.gain.value:+.3f}" for d in rows)
    left, right = st.columns([3, 2], gap="medium")
    if len(rows) > 1:
        with left:
            show_by_distance(
                [(d.from_km, d.to_km, d.gain) for d in rows],
                title="gain (AUC)",
                alternative=f"Gain in AUC by distance: {told}.",
            )
    shares = ["–" if d.share is None else f"{d.share:.0%}" for d in rows]
    with right if len(rows) > 1 else left:
        st.table(
            pd.DataFrame(
                {
                    "distance (km)": [f"{d.from_km:.2g}–{d.to_km:.2g}" for d in rows],
                    "gain (AUC)": [write_gain(d.gain) for d in rows],
                    "labels": [d.gain.n for d in rows],
                    "share of the map": shares,
                }
            ),
            border="horizontal",
            hide_index=True,
            alt="Gain by distance with the share of the map there",
        )
        known = [d.share for d in rows if d.share is not None]
        if known and sum(known) < 0.995:
            st.caption(f"{1 - sum(known):.0%} of the map lies at distances nothing was tested at.")
