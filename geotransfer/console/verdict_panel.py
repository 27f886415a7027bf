"""The verdict: what to do, why, how sure, how far; then gates, promotion and the way back."""

from __future__ import annotations

from itertools import pairwise

import pandas as pd
import streamlit as st

from geotransfer.console.evaluation_panel import ESTIMANDS
from geotransfer.console.map_panel import make_class_legend, make_picture
from geotransfer.console.state import find_actor, run_guarded
from geotransfer.console.strategy_panel import show_gain_by_distance, show_strategies
from geotransfer.core.estimate import Evaluation
from geotransfer.core.fact import FineTuneDone, RefreshDone
from geotransfer.core.model import GateResult
from geotransfer.core.verdict import Verdict, VerdictKind
from geotransfer.registry.champions import find_champion
from geotransfer.registry.versions import list_versions
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.promote import preview_gates, promote, roll_back
from geotransfer.workflows.submit import submit_refresh
from geotransfer.workflows.views import RegionView

HEADINGS = {
    VerdictKind.USE_GLOBAL: ("Use the global model", "blue"),
    VerdictKind.USE_FINE_TUNED: ("Use the fine-tuned model", "green"),
    VerdictKind.NO_MEASURABLE_GAIN: ("No measurable gain", "orange"),
    VerdictKind.TOO_FEW_LABELS: ("Too few labels, or all in one place", "orange"),
}


def show_verdict(
    workspace: Workspace, view: RegionView, done: FineTuneDone, verdict: Verdict
) -> None:
    """Show a verdict whole, and what can be done with it."""
    heading, color = HEADINGS[verdict.kind]
    st.subheader(f":{color}[{heading}]", anchor="verdict")
    for reason in verdict.reasons:
        st.markdown(f"- {reason}")
    _show_figures(verdict)
    _show_accuracies(verdict)
    show_strategies(verdict)
    show_gain_by_distance(verdict)
    if done.model_id is not None:
        _show_promotion(workspace, view, done.model_id)
    show_before_after(workspace, view)


def _show_figures(verdict: Verdict) -> None:
    gain, chance, within, labels = st.columns(4)
    if verdict.gain is not None:
        gain.metric(
            "Expected gain (AUC)",
            f"{verdict.gain.value:+.3f}",
            help=f"On blocks without labels; {verdict.gain.method}.",
        )
        gain.caption(
            f"{verdict.gain.level:.0%} interval {verdict.gain.low:+.3f} to {verdict.gain.high:+.3f}"
        )
    if verdict.chance_of_gain is not None:
        chance.metric("Chance that it is a gain", f"{verdict.chance_of_gain:.0%}")
        chance.caption(f"{verdict.confidence:.0%} is asked for")
    if verdict.within_km is not None:
        within.metric("Holds within (km of a label)", f"{verdict.within_km:g}")
        if verdict.reach_share is not None:
            within.caption(
                f"{verdict.reach_share:.0%} of the region; beyond it the map keeps the global model"
            )
    labels.metric("Labels used", verdict.n_labels)
    labels.caption(", ".join(f"{n} {name}" for name, n in verdict.class_counts))


def _show_accuracies(verdict: Verdict) -> None:
    """Random and separated accuracy side by side: never one alone."""
    rows = [
        ("fine-tuned, labels held out at random (flattered by near neighbours)", verdict.random),
        (_name_separated("fine-tuned", verdict), verdict.separated),
        (_name_separated("global model", verdict), verdict.global_separated),
    ]
    known = [(name, e) for name, e in rows if e is not None]
    if not known:
        return
    st.markdown("**Accuracy, random beside spatially separated**")
    st.dataframe(
        pd.DataFrame([_make_row(name, e) for name, e in known]),
        hide_index=True,
        alt="Accuracy at random and spatially separated",
    )


def _name_separated(what: str, verdict: Verdict) -> str:
    return f"{what}, whole blocks of {verdict.block_km or 0:g} km held out"


def _make_row(name: str, evaluation: Evaluation) -> dict[str, str]:
    auc = evaluation.auc
    return {
        "model and separation": name,
        "balanced accuracy": str(evaluation.balanced),
        "overall accuracy": str(evaluation.overall),
        "AUC": "–" if auc is None else str(auc),
        "estimand": ESTIMANDS.get(evaluation.estimand, evaluation.estimand).split(":")[0],
    }


def _show_promotion(workspace: Workspace, view: RegionView, model_id: str) -> None:
    region_id = view.region.region_id
    champion = find_champion(workspace, region_id)
    names = {v.model_id: v.name for v in list_versions(workspace)}
    st.markdown(f"**Serving now: {names.get(champion or '', 'the global model')}**")
    if champion != model_id:
        version, gates = preview_gates(workspace, region_id, model_id)
        _show_gates(gates)
        reason = st.text_input(
            "Reason (needed to override a gate that failed)",
            key=f"reason-{model_id[:8]}",
            placeholder="why this model should serve although a gate failed",
        )

        def promote_and_refresh() -> None:
            promote(workspace, region_id, model_id, reason=reason, actor=find_actor())
            submit_refresh(workspace, region_id, by=find_actor())

        st.button(
            f"Promote {version.name}",
            type="primary",
            icon=":material/verified:",
            on_click=run_guarded,
            args=(promote_and_refresh,),
            kwargs={"success": f"{version.name} serves now; the map is being refreshed."},
        )
    if champion is not None:

        def return_and_refresh() -> None:
            roll_back(workspace, region_id, reason="from the page", actor=find_actor())
            submit_refresh(workspace, region_id, by=find_actor())

        st.button(
            "Roll back",
            icon=":material/undo:",
            on_click=run_guarded,
            args=(return_and_refresh,),
            kwargs={"success": "Rolled back; the map is being refreshed."},
        )


def _show_gates(gates: tuple[GateResult, ...]) -> None:
    for gate in gates:
        icon = ":green[✓]" if gate.passed else ":red[✗]"
        more = " Can be overridden with a written reason." if _can_override(gate) else ""
        st.markdown(f"{icon} **{gate.gate}**: {gate.evidence}{more}")


def _can_override(gate: GateResult) -> bool:
    return gate.is_overridable and not gate.passed


def show_before_after(workspace: Workspace, view: RegionView) -> None:
    """Show the map before and after the last change of model, side by side."""
    facts = [r.fact for r in workspace.ledger.read(RefreshDone, region_id=view.region.region_id)]
    names = {v.model_id: v.name for v in list_versions(workspace)}
    changes = [
        (before, after) for before, after in pairwise(facts) if before.model_id != after.model_id
    ]
    if not changes:
        return
    before, after = changes[-1]
    st.markdown("**Before and after the last change of model**")
    for column, title, fact in zip(
        st.columns(2, gap="medium"), ("before", "after"), (before, after), strict=True
    ):
        with column:
            name = names.get(fact.model_id, fact.model_id[:8])
            st.markdown(f"{title.capitalize()}: {name}")
            st.html(
                make_picture(view.region.region_id, "class", f"Class map {title}", fact.map_id[:16])
            )
            st.html(make_class_legend(fact.class_areas_km2, view.legend))
    told = after.n_computed + after.n_predicted
    st.caption(
        f"{told} tiles were predicted anew, {after.n_kept} kept: only tiles whose classes could"
        " change."
    )
