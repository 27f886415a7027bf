"""A region's layers without a date: which its spec reads, what they are, which are missing."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from geotransfer.console.state import find_actor, run_guarded
from geotransfer.core.layer import LAYER_RULES
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.definitions import find_spec
from geotransfer.workflows.scene_list import find_layers
from geotransfer.workflows.submit import submit_add_layer
from geotransfer.workflows.views import RegionView


def show_layers(workspace: Workspace, view: RegionView) -> None:
    """Show the layers; nothing where the spec reads none."""
    region = view.region
    spec = find_spec(workspace, region.spec_name)
    if not spec.layers:
        return
    layers = {layer.name: layer for layer in find_layers(workspace, region.region_id)}
    st.markdown("**Layers without a date**")
    missing = [name for name in spec.layers if name not in layers]
    if missing:
        st.warning(
            f"The spec {spec.name} also reads {', '.join(missing)}; without them there is no map."
        )
    _show_form(workspace, view, spec.layers, missing)
    if not layers:
        return
    known = [layers[name] for name in spec.layers if name in layers]
    st.dataframe(
        pd.DataFrame(
            {
                "layer": [layer.name for layer in known],
                "unit": [layer.unit for layer in known],
                "mean of": [layer.years or "–" for layer in known],
                "source": [layer.source or "not stated" for layer in known],
                "file": [layer.href for layer in known],
            }
        ),
        hide_index=True,
        alt="Layers without a date",
    )
    if any(layer.is_climatology for layer in known):
        st.caption("Years are as declared by who added the layer; the product cannot check them.")


def _show_form(
    workspace: Workspace, view: RegionView, names: tuple[str, ...], missing: list[str]
) -> None:
    region_id = view.region.region_id
    with st.expander("Add or replace a layer", expanded=bool(missing)):
        left, middle, right = st.columns(3)
        name = left.selectbox(
            "Layer", names, index=names.index(missing[0]) if missing else 0, key="layer-name"
        )
        rule = LAYER_RULES.get(name)
        unit = middle.text_input(
            "Unit of its values", value=rule.unit if rule else "", key=f"layer-unit-{name}"
        )
        years = right.text_input(
            "Mean of the years",
            key="layer-years",
            placeholder="1991-2020",
            help="A long-term mean says its first and last year. Rain needs it: one year's rain is"
            " weather, and the model knows climates.",
        )
        href = st.text_input(
            "Raster: a path or URL as the worker sees it; it stays where it is", key="layer-href"
        )
        source = st.text_input("Where it comes from", key="layer-source")
        st.button(
            "Check and add it",
            disabled=not href.strip() or not unit.strip(),
            icon=":material/layers:",
            on_click=run_guarded,
            args=(
                lambda: submit_add_layer(
                    workspace, region_id, href.strip(), name=name, unit=unit.strip(), years=years,
                    source=source, by=find_actor(),
                ),
            ),
            kwargs={"success": "Checking the layer; the Jobs page says what came of it."},
        )  # fmt: skip
