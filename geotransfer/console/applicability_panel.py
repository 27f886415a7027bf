"""Where the map may be trusted: inside or outside, and on request how far, how dense, how right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt
import pandas as pd
import streamlit as st

from geotransfer.console.map_panel import make_picture, make_raster_legend
from geotransfer.console.state import find_actor, find_catalog, run_guarded
from geotransfer.core.applicability import AccuracyCurve, ApplicabilityReport
from geotransfer.store.workspace import Workspace
from geotransfer.tiles.catalog import RasterEntry
from geotransfer.workflows.submit import submit_map_applicability
from geotransfer.workflows.transfer_views import find_applicability
from geotransfer.workflows.views import RegionView

REQUESTS = {
    "dissimilarity": "Dissimilarity index",
    "density": "Local point density",
    "applicability-classes": "Inside, for each class by itself",
    "expected-accuracy": "Expected accuracy",
}
USUAL_US = {
    "dissimilarity": 21.0,
    "density": 12.0,
    "applicability-classes": 3.0,
    "expected-accuracy": 2.0,
}
"""Microseconds a pixel, as measured on a region left out (decision 0005); per class of the third.
What a layer really took is shown once it is made."""
MEANINGS = {
    "applicability": "Inside: some training sample is nearer than the threshold. It says that the"
    " model has seen such places, not that it is right there.",
    "expected-accuracy": "What a pixel this unlike the training samples was worth elsewhere, or on"
    " your own labels. Not what this pixel is worth.",
    "dissimilarity": "Distance to the nearest training sample, in features weighted by importance,"
    " over the mean distance between samples.",
    "density": "How many training samples lie within the threshold: one may be chance, fifty are"
    " experience.",
}


def show_applicability(workspace: Workspace, view: RegionView, *, is_busy: bool) -> None:
    """Show where the present map applies, or how to find out."""
    region_id = view.region.region_id
    if view.refresh is None:
        st.info(f"No map yet. {view.needs}")
        return
    report = find_applicability(workspace, region_id)
    if report is None:
        st.info(
            "Nobody has compared this map with what its model was trained on. It takes a few"
            " seconds for a small region."
        )
        _show_button(workspace, region_id, "Map where it applies", (), is_disabled=is_busy)
        return
    if report.map_id != view.refresh.map_id:
        st.warning(
            "Made for an earlier map of this region; make it again for the present one.",
            icon=":material/history:",
        )
        _show_button(workspace, region_id, "Make it again", (), is_disabled=is_busy)
        return
    _show_figures(report)
    _show_pictures(view, report)
    if report.curve is not None:
        _show_curve(report.curve, report.threshold)
    _show_requests(workspace, view, report, is_busy=is_busy)


def _show_figures(report: ApplicabilityReport) -> None:
    inside, threshold, expected, samples = st.columns(4)
    inside.metric("Inside the area of applicability", f"{report.inside_share:.0%}")
    inside.caption("of the pixels with an answer; all were looked at")
    threshold.metric("Threshold of the index", f"{report.threshold:.3f}")
    threshold.caption(f"folds: {report.fold_rule}; rule {report.threshold_rule}")
    if report.expected is not None:
        e = report.expected
        expected.metric("Expected accuracy of the map", f"{e.value:.0%}")
        strange = "; most of it lies outside, where little vouches for the figure"
        expected.caption(
            f"{e.low:.0%}–{e.high:.0%}, mean over the map{strange * (report.inside_share < 0.5)}"
        )
    else:
        expected.metric("Expected accuracy of the map", "–")
        expected.caption("on request, below")
    samples.metric("Training samples", f"{report.n_samples:,}")
    samples.caption(report.source)
    if report.classes:
        st.table(
            pd.DataFrame(
                [
                    {
                        "class": c.name,
                        "inside": "–" if c.share is None else f"{c.share:.1%}",
                        "threshold": "–" if c.threshold is None else f"{c.threshold:.3f}",
                        "note": c.note,
                    }
                    for c in report.classes
                ]
            ),
            border="horizontal",
            hide_index=True,
            alt="Share of the map near training samples of each class",
        )


def _show_pictures(view: RegionView, report: ApplicabilityReport) -> None:
    region_id, version = view.region.region_id, report.map_id[:16]
    found = find_catalog().list_rasters(region_id, version)
    names = [name for name in MEANINGS if name in found]
    if not names:
        st.warning("The rasters of this map are gone; make them again below.")
        return
    _show_grid(region_id, names, version, found)
    by_class = [name for name in found if name.startswith("near-")]
    if by_class:
        with st.expander("Each class by itself: where are training samples of it near enough?"):
            _show_grid(region_id, by_class, version, found)
    st.caption(
        "At full resolution, with the nearest training samples of a pixel you click: *Explore*."
    )


def _show_grid(
    region_id: str, names: Sequence[str], version: str, found: Mapping[str, RasterEntry]
) -> None:
    for start in range(0, len(names), 2):
        columns = st.columns(2, gap="medium")
        for column, name in zip(columns, names[start : start + 2], strict=False):
            with column:
                _show_picture(region_id, name, version, found)


def _show_picture(
    region_id: str, name: str, version: str, shown: Mapping[str, RasterEntry]
) -> None:
    entry = shown[name]
    st.markdown(f"**{entry.name}**")
    st.html(make_picture(region_id, name, entry.name, version))
    st.html(make_raster_legend(entry))
    if name in MEANINGS:
        st.caption(MEANINGS[name])


def _show_curve(curve: AccuracyCurve, threshold: float) -> None:
    """Show expected accuracy against the index, with its interval and the threshold."""
    st.markdown("**Expected accuracy against the dissimilarity index**")
    frame = pd.DataFrame(
        {"di": curve.di, "low": curve.low, "value": curve.value, "high": curve.high}
    )
    x = alt.X("di:Q", title="dissimilarity index")
    band = (
        alt.Chart(frame)
        .mark_area(opacity=0.25, color="#0b6e6e", interpolate="linear")
        .encode(
            x=x,
            y=alt.Y("low:Q", title="overall accuracy", scale=alt.Scale(domain=[0, 1])),
            y2="high:Q",
        )
    )
    line = alt.Chart(frame).mark_line(color="#0b6e6e").encode(x=x, y="value:Q")
    limit = (
        alt.Chart(pd.DataFrame({"at": [threshold]}))
        .mark_rule(strokeDash=[4, 3], color="#888")
        .encode(x="at:Q")
    )
    st.altair_chart(
        alt.layer(band, line, limit).properties(height=240),
        alt=f"Expected accuracy falls from {curve.value[0]:.2f} at an index of {curve.di[0]:.2f} to"
        f" {curve.value[-1]:.2f} at {curve.di[-1]:.2f}; the threshold is {threshold:.2f}.",
    )
    st.caption(
        f"Learned from {curve.rows} ({curve.n:,} rows; {curve.method}). Accuracy may only fall with"
        " the index; where the line is flat, the index tells nothing more. Beyond"
        f" {curve.largest_di:.2f} nobody has measured: the lower end is 0 there."
    )


def _show_requests(
    workspace: Workspace, view: RegionView, report: ApplicabilityReport, *, is_busy: bool
) -> None:
    made = {layer.name: layer for layer in report.layers}
    st.markdown("**Layers on request**")
    st.table(
        pd.DataFrame(
            [
                {
                    "layer": REQUESTS.get(layer.name, "Inside or outside"),
                    "CPU-s it took": f"{layer.cpu_s:.2f}",
                    "µs a pixel": f"{1e6 * layer.cpu_s / max(layer.n_pixels, 1):.1f}",
                }
                for layer in report.layers
            ]
        ),
        border="horizontal",
        hide_index=True,
        alt="What each layer took to compute",
    )
    missing = [name for name in REQUESTS if name not in made]
    if not missing:
        return
    n_pixels = made["applicability"].n_pixels if "applicability" in made else 0
    chosen = st.multiselect(
        "Make",
        missing,
        format_func=lambda name: (
            f"{REQUESTS[name]} (about {_guess_s(name, n_pixels, view):.1f} CPU-s)"
        ),
        placeholder="Choose layers",
        key="applicability-request",
    )
    _show_button(
        workspace, view.region.region_id, "Make these layers", tuple(chosen),
        is_disabled=is_busy or not chosen,
    )  # fmt: skip


def _guess_s(name: str, n_pixels: int, view: RegionView) -> float:
    factor = len(view.legend.classes) if name == "applicability-classes" else 1
    return USUAL_US[name] * factor * n_pixels / 1e6


def _show_button(
    workspace: Workspace,
    region_id: str,
    text: str,
    layers: tuple[str, ...],
    *,
    is_disabled: bool,
) -> None:
    st.button(
        text,
        icon=":material/radar:",
        key=f"applicability-{text}",
        disabled=is_disabled,
        on_click=run_guarded,
        args=(
            lambda: submit_map_applicability(workspace, region_id, layers=layers, by=find_actor()),
        ),
        kwargs={"success": "Queued."},
    )
