"""A region's layers without a date: which its spec reads, what they are, which are missing."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from geotransfer.store.workspace import Workspace
from geotransfer.workflows.definitions import find_spec
from geotransfer.workflows.scene_list import find_layers
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
            f"The spec {spec.name} also reads {', '.join(missing)}. Add each with `geotransfer"
            f" layers add {region.region_id} FILE --name {missing[0]} --unit UNIT`; rain needs"
            " `--years`, because one year's rain is weather and the model knows climates."
        )
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
