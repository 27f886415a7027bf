"""Scenes against tiles: what was skipped by which test, computed or failed."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd
import streamlit as st

from geotransfer.console.stages import format_cpu
from geotransfer.core.decision import DecidedBy
from geotransfer.core.legend import CLASS_COLORS
from geotransfer.workflows.exclusions import RegionExclusions
from geotransfer.workflows.scene_views import SceneSummary, TileDecision

MOST_CELLS = 12_000
"""A browser draws so many rectangles at once; beyond it only the bars are shown."""

_BLUE, _ORANGE, _GREEN, _PINK, _SKY, _RED, _YELLOW, _GREY = CLASS_COLORS
TESTS = {
    DecidedBy.METADATA: ("Skipped: metadata", "#c9d3da"),
    DecidedBy.CONTENT: ("Skipped: same pixels", _SKY),
    DecidedBy.NO_VALID_PIXEL: ("Nothing to see", _GREY),
    DecidedBy.PROOF: ("Kept: proved", _BLUE),
    DecidedBy.JUDGEMENT: ("Partly kept by judgement", _ORANGE),
    DecidedBy.COMPUTED: ("Computed", _GREEN),
    DecidedBy.FAILED: ("Failed", _RED),
}
"""Name and colour of each test, cheapest first."""
MEANINGS = {
    DecidedBy.METADATA: "published again with the same checksums; nothing was read",
    DecidedBy.CONTENT: "read, and pixels and mask are those already known",
    DecidedBy.NO_VALID_PIXEL: "read, and clouds or gaps hide the tile; a missing observation",
    DecidedBy.PROOF: "no pixel can change class, whatever the observation: exact",
    DecidedBy.JUDGEMENT: "some pixels kept because a change of class is unlikely; audited",
    DecidedBy.COMPUTED: "every pixel it shows was computed anew",
    DecidedBy.FAILED: "a file could not be read; the map stayed as it was",
}


def show_timeline(decisions: Sequence[TileDecision], scenes: Sequence[SceneSummary]) -> None:
    """Show the scenes in time: tiles by test as bars, and each tile as a cell below."""
    used = [test for test in TESTS if any(test in scene.tests for scene in scenes)]
    labels = _make_labels(scenes)
    bars = pd.DataFrame(
        [
            {
                "scene": labels[scene.item_id],
                "what": TESTS[test][0],
                "tiles": n,
                "order": used.index(test),
            }
            for scene in scenes
            for test, n in scene.tests.items()
        ]
    )
    order = [labels[scene.item_id] for scene in scenes]
    color = alt.Color(
        "what:N",
        scale=alt.Scale(domain=[TESTS[t][0] for t in used], range=[TESTS[t][1] for t in used]),
        legend=alt.Legend(orient="top", title=None, labelLimit=200, columns=len(used)),
    )
    x = alt.X("scene:O", sort=order, title=None, axis=_make_axis(len(order)))
    chart = (
        alt.Chart(bars)
        .mark_bar()
        .encode(
            x=x if len(decisions) > MOST_CELLS else x.axis(None),
            y=alt.Y("tiles:Q", title="tiles"),
            color=color,
            order=alt.Order("order:Q"),
            tooltip=["scene", "what", "tiles"],
        )
        .properties(height=110, width="container")
    )
    if len(decisions) <= MOST_CELLS:
        chart = alt.vconcat(chart, _make_cells(decisions, labels, order, color), spacing=6)
    st.altair_chart(
        chart.configure_view(strokeWidth=0),
        alt="Scenes by date against tiles, coloured by the test that decided; table below",
    )
    told = "; ".join(f"*{TESTS[t][0].lower()}*: {MEANINGS[t]}" for t in used)
    st.caption(f"{told}.")


def _make_axis(n: int) -> alt.Axis:
    return alt.Axis(
        labelAngle=-90 if n > 12 else 0, labelOverlap="greedy", labelLimit=90, ticks=False
    )


def _make_labels(scenes: Sequence[SceneSummary]) -> dict[str, str]:
    """Return a short name for each scene: its day, numbered where a day has several."""
    seen: dict[str, int] = {}
    labels = {}
    for scene in scenes:
        day = scene.sensed_at[:10]
        seen[day] = seen.get(day, 0) + 1
        labels[scene.item_id] = day if seen[day] == 1 else f"{day} ({seen[day]})"
    return labels


def _make_cells(
    decisions: Sequence[TileDecision],
    labels: dict[str, str],
    order: Sequence[str],
    color: alt.Color,
) -> alt.Chart:
    tiles = sorted({decision.tile_id for decision in decisions})
    cells = pd.DataFrame(
        {
            "scene": [labels[d.item_id] for d in decisions],
            "tile": [d.tile_id for d in decisions],
            "what": [TESTS[d.test][0] for d in decisions],
            "reason": [d.reason for d in decisions],
            "pixels": [d.n_pixels for d in decisions],
            "computed": [d.n_computed for d in decisions],
        }
    )
    chart: alt.Chart = (
        alt.Chart(cells)
        .mark_rect()
        .encode(
            x=alt.X("scene:O", sort=list(order), title=None, axis=_make_axis(len(order))),
            y=alt.Y("tile:O", sort=tiles, title="tile", axis=alt.Axis(labelOverlap="greedy")),
            color=color,
            tooltip=["scene", "tile", "what", "reason", "pixels", "computed"],
        )
        .properties(height=max(80, min(520, 9 * len(tiles))), width="container")
    )
    return chart


def show_scene_table(scenes: Sequence[SceneSummary]) -> None:
    """Show one row a scene, the newest first."""
    rows = list(reversed(scenes))
    st.dataframe(
        pd.DataFrame(
            {
                "Sensed (UTC)": [s.sensed_at[:16].replace("T", " ") for s in rows],
                "Scene": [s.item_id for s in rows],
                "Tiles": [s.told for s in rows],
                "Pixels seen": [s.n_pixels for s in rows],
                "Pixels computed": [s.n_computed for s in rows],
                "CPU-s": [s.cpu_s for s in rows],
            }
        ),
        hide_index=True,
        height=min(390, 38 + 35 * max(1, len(rows))),
        column_config={"CPU-s": st.column_config.NumberColumn(format="%.3f")},
        alt="Scenes with the tests that decided",
    )
    st.caption(f"{len(rows)} scenes; deciding used {format_cpu(sum(s.cpu_s for s in rows))}.")


def show_decision_table(decisions: Sequence[TileDecision]) -> None:
    """Show and offer every decision as a table."""
    frame = pd.DataFrame(
        {
            "sensed_at": [d.sensed_at for d in decisions],
            "scene": [d.item_id for d in decisions],
            "tile": [d.tile_id for d in decisions],
            "test": [d.test.value for d in decisions],
            "reason": [d.reason for d in decisions],
            "pixels": [d.n_pixels for d in decisions],
            "kept": [d.n_kept for d in decisions],
            "computed": [d.n_computed for d in decisions],
            "cpu_s": [d.cpu_s for d in decisions],
            "decided_at": [d.decided_at for d in decisions],
        }
    )
    st.download_button(
        "Download every decision as CSV",
        frame.to_csv(index=False),
        file_name="decisions.csv",
        mime="text/csv",
        icon=":material/download:",
    )


def show_exclusions(excluded: RegionExclusions) -> None:
    """Show which scenes are not in the map, and why."""
    for reason, n in excluded.passed_over.items():
        st.caption(f"{n} items of the catalog were not asked for: {reason}.")
    if not excluded.exclusions:
        st.markdown("No scene is left out.")
        return
    st.markdown("; ".join(f"**{n}** {reason}" for reason, n in excluded.reasons.items()) + ".")
    rows = excluded.exclusions
    st.dataframe(
        pd.DataFrame(
            {
                "Sensed (UTC)": [e.sensed_at[:16].replace("T", " ") or "–" for e in rows],
                "Scene": [e.scene_id for e in rows],
                "Reason": [e.reason.value for e in rows],
                "Detail": [e.detail for e in rows],
            }
        ),
        hide_index=True,
        alt="Scenes left out, with the reason",
    )
