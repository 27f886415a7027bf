"""An evaluation as tables: error matrix, user's and producer's accuracy, all with intervals."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from geotransfer.core.estimate import Estimate, Evaluation
from geotransfer.workflows.views import RegionView

ESTIMANDS = {
    "leave-one-region-out": "Leave-one-region-out: trained on the other regions only.",
    "known-truth": "Known truth: points drawn at random from the simulated world's own truth.",
    "random": "Random: points anywhere in the region, some of them near training labels.",
    "spatial-blocks": "Spatial blocks: whole blocks without labels were held out.",
    "knndm": "kNNDM: folds as far from training as the map's pixels are from labels.",
    "design-based": "Design-based: a probability sample, area-weighted.",
}


def show_evaluation(view: RegionView) -> None:
    """Show the figures of the map, or what is missing for them."""
    if view.evaluation is None:
        st.info(f"No accuracy yet. {view.needs or 'Upload a holdout set, then press *Evaluate*.'}")
        return
    show_figures(view.evaluation)


def show_figures(evaluation: Evaluation) -> None:
    """Show one evaluation whole."""
    distance = evaluation.separation_km
    apart = "" if distance is None else f" At least {distance:g} km from any label used."
    st.markdown(f"**{ESTIMANDS.get(evaluation.estimand, evaluation.estimand)}**{apart}")
    left, right = st.columns([2, 3], gap="medium")
    with left:
        st.markdown("Error matrix (rows: map, columns: reference)")
        names = list(evaluation.matrix.class_names)
        counts = pd.DataFrame(evaluation.matrix.counts, columns=names)
        counts.insert(0, "map \\ reference", names)
        st.dataframe(counts, hide_index=True)
        st.caption(f"{evaluation.matrix.n} rows. {evaluation.note}")
    with right:
        st.markdown("Accuracy with 95 % interval")
        rows = [
            ("overall", "overall accuracy", evaluation.overall),
            ("all", "balanced accuracy", evaluation.balanced),
        ]
        if evaluation.auc is not None:
            rows.append(("all", "AUC", evaluation.auc))
        for kind, estimates in (
            ("user's accuracy", evaluation.users),
            ("producer's accuracy", evaluation.producers),
            ("F1", evaluation.f1),
        ):
            rows += [(n, kind, e) for n, e in zip(names, estimates, strict=True)]
        st.dataframe(
            pd.DataFrame([_make_row(*row) for row in rows]), hide_index=True, height=35 * 10
        )


def _make_row(class_name: str, figure: str, estimate: Estimate) -> dict[str, str]:
    return {
        "class": class_name,
        "figure": figure,
        "value": f"{estimate.value:.3f}" if estimate.n else "unknown",
        "interval": f"{estimate.low:.3f}–{estimate.high:.3f}" if estimate.n else "0–1",
        "n": str(estimate.n),
        "method": estimate.method,
    }
