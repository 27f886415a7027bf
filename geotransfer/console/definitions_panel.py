"""Which features and classes a region uses, and rows of the workspace's own from files."""

from __future__ import annotations

import streamlit as st

from geotransfer.console.state import find_actor, run_guarded
from geotransfer.core.legend import Legend
from geotransfer.core.spec import FeatureSpec
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.definitions import (
    DefinitionFile,
    add_legend,
    add_sensor,
    add_spec,
    list_legends,
    list_own_sensors,
    list_specs,
)

KINDS = {"spec": add_spec, "legend": add_legend, "sensor": add_sensor}


def pick_definitions(workspace: Workspace) -> tuple[str, str]:
    """Show the choice of spec and legend, and the upload of others; return both names."""
    specs = {spec.name: spec for spec in list_specs(workspace)}
    legends = {legend.name: legend for legend in list_legends(workspace)}
    with st.expander("Features and classes (the defaults fit Sentinel-2 and crop or non-crop)"):
        left, right = st.columns(2)
        spec_name = left.selectbox(
            "Feature spec", list(specs), key="region-spec",
            format_func=lambda name: describe_spec(specs[name]),
        )  # fmt: skip
        legend_name = right.selectbox(
            "Legend", list(legends), key="region-legend",
            format_func=lambda name: describe_legend(legends[name]),
        )  # fmt: skip
        _show_upload(workspace)
    return spec_name, legend_name


def describe_spec(spec: FeatureSpec) -> str:
    """Return a spec in half a line."""
    layers = f" + {', '.join(spec.layers)}" if spec.layers else ""
    bands = f"{len(spec.bands)} bands × {len(spec.periods)} periods" if spec.bands else "no scenes"
    return f"{spec.name}: {bands}{layers}"


def describe_legend(legend: Legend) -> str:
    """Return a legend in half a line."""
    shown = ", ".join(legend.names[:5])
    return f"{legend.name}: {shown}{' …' if len(legend.names) > 5 else ''}"


def _show_upload(workspace: Workspace) -> None:
    own = ", ".join(sensor.name for sensor in list_own_sensors(workspace)) or "none yet"
    st.caption(
        "A spec, a legend or a sensor of your own is a small YAML or JSON file; the document"
        f" *Specs, legends, sensors, layers* shows each. Own sensors: {own}."
    )
    left, right = st.columns([1, 2])
    kind = left.radio("What the file defines", list(KINDS), key="definition-kind", horizontal=True)
    uploaded = right.file_uploader("File", type=["yaml", "yml", "json"], key="definition-file")
    if uploaded is None:
        return
    file = DefinitionFile(uploaded.name, uploaded.getvalue())
    st.button(
        f"Add this {kind}",
        icon=":material/playlist_add:",
        on_click=run_guarded,
        args=(lambda: KINDS[kind](workspace, file, actor=find_actor()),),
        kwargs={"success": f"Added; {kind}s keep their name's meaning for good."},
    )
