"""The audited bound on how much of a map is stale, and how it came about."""

from __future__ import annotations

import altair as alt
import pandas as pd
import streamlit as st

from geotransfer.console.stages import AVOIDED_COLOR, SPENT_COLOR, format_cpu
from geotransfer.console.state import find_actor, run_guarded
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.scene_views import NOT_CERTIFIED, AuditView
from geotransfer.workflows.submit import submit_audit


def show_audit(workspace: Workspace, region_id: str, view: AuditView, *, is_busy: bool) -> None:
    """Show the bound, its evidence and history, and let the reader audit now."""
    last = view.last
    left, middle, right = st.columns(3)
    certified = last if last is not None and last.is_certified else None
    left.metric(
        "Stale pixels, at most",
        f"{certified.bound:.2%}" if certified else NOT_CERTIFIED if view.n_judged else "0 %",
        help="One-sided 95 % upper bound on the share of the region's pixels whose class full"
        " recomputation would change; valid however often one looks.",
    )
    left.caption(f"tolerated: {view.tolerance:.1%}")
    middle.metric("Pixels kept by judgement", f"{view.n_judged:,}")
    middle.caption("of the present map; everything else kept is exact")
    right.metric(
        "Blocks audited", f"{last.total_blocks} of {last.needed_blocks}" if last else "none yet"
    )
    right.caption("of 32 × 32 pixels, drawn at random, over all refreshes")
    if last is not None and last.is_tightened:
        st.warning(view.headline, icon=":material/build:")
    elif certified:
        st.success(view.headline, icon=":material/verified:")
    else:
        st.info(view.headline)
    for sentence in view.evidence:
        st.markdown(f"- {sentence}")
    if view.audits:
        _show_history(view)
    st.button(
        "Audit now",
        icon=":material/policy:",
        disabled=is_busy or not view.n_judged,
        help="Computes a random sample of the blocks kept by judgement and compares.",
        on_click=run_guarded,
        args=(lambda: submit_audit(workspace, region_id, by=find_actor()),),
        kwargs={"success": "Audit queued."},
    )


def _show_history(view: AuditView) -> None:
    rows = [
        {
            "at": recorded.at,
            "share": recorded.fact.share,
            "bound": recorded.fact.bound if recorded.fact.is_certified else None,
        }
        for recorded in view.audits
    ]
    frame = pd.DataFrame(rows)
    frame["at"] = pd.to_datetime(frame["at"])
    base = alt.Chart(frame).encode(x=alt.X("at:T", title=None))
    percent = alt.Axis(format=".1%")
    bound = base.mark_line(point=True, color=SPENT_COLOR).encode(
        y=alt.Y("bound:Q", title="stale share of the pixels", axis=percent),
        tooltip=[alt.Tooltip("at:T"), alt.Tooltip("bound:Q", format=".3%")],
    )
    share = base.mark_point(color="#6e6e6e", filled=True).encode(
        y="share:Q", tooltip=[alt.Tooltip("at:T"), alt.Tooltip("share:Q", format=".3%")]
    )
    tolerated = (
        alt.Chart(pd.DataFrame({"share": [view.tolerance]}))
        .mark_rule(color=AVOIDED_COLOR, strokeDash=[5, 4])
        .encode(y="share:Q")
    )
    with st.expander(f"{len(view.audits)} audits", expanded=len(view.audits) > 1):
        st.altair_chart(
            (bound + share + tolerated).properties(height=200),
            alt="The certified bound (line), the estimate (points) and what is tolerated (dashed)"
            " over time; table below",
        )
        st.caption("Line: certified bound. Points: estimate. Dashed: tolerated.")
        _show_table(view)


def _show_table(view: AuditView) -> None:
    newest = list(reversed(view.audits))
    st.dataframe(
        pd.DataFrame(
            {
                "When (UTC)": [r.at[:16].replace("T", " ") for r in newest],
                "Blocks": [r.fact.n_blocks for r in newest],
                "Pixels": [r.fact.n_pixels for r in newest],
                "Changed class": [r.fact.n_stale for r in newest],
                "Estimate so far": [f"{r.fact.share:.3%}" for r in newest],
                "Bound so far": [
                    f"{r.fact.bound:.3%}" if r.fact.is_certified else NOT_CERTIFIED for r in newest
                ],
                "Used": [format_cpu(r.fact.cost.cpu_s) for r in newest],
            }
        ),
        hide_index=True,
        alt="Audits, the newest first",
    )
    last = view.last
    if last is not None and last.strata:
        st.markdown("The last audit by how long ago pixels were computed (refreshes):")
        st.dataframe(
            pd.DataFrame(
                {
                    "Refreshes ago": [s.name for s in last.strata],
                    "Kept by judgement": [s.n_kept for s in last.strata],
                    "Blocks drawn": [s.n_blocks for s in last.strata],
                    "Pixels computed anew": [s.n_pixels for s in last.strata],
                    "Changed class": [s.n_stale for s in last.strata],
                }
            ),
            hide_index=True,
            alt="Strata of the last audit",
        )
