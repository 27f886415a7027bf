"""A region's rasters as pictures with their legends; *Explore* shows them at full resolution."""

from __future__ import annotations

import html

import streamlit as st

from geotransfer.console.palettes import PROBABILITY, Scale
from geotransfer.console.state import PREFIX
from geotransfer.core.legend import CROPLAND, Legend
from geotransfer.core.region import RegionKind
from geotransfer.workflows.views import RegionView

PICTURES = (
    ("class", "Class map"),
    ("probability", "Probability of crop"),
    ("true-colour", "Composite, true colour (second half-year)"),
    ("false-colour", "Composite, false colour (near infrared as red)"),
)


def show_previews(view: RegionView) -> None:
    """Show the map, its probability and the composite."""
    if view.region.kind is RegionKind.TABLE:
        st.info(
            "This region is a table of reference samples; it has no imagery, so there is no map."
            " What fine-tuning would bring here is rehearsed under *Rehearsal*."
        )
        return
    if view.refresh is None:
        st.info(f"No map yet. {view.needs}")
        return
    version = view.refresh.map_id[:16]
    for row in (PICTURES[:2], PICTURES[2:]):
        for column, (layer, title) in zip(st.columns(2, gap="medium"), row, strict=True):
            with column:
                st.markdown(f"**{title}**")
                st.html(make_picture(view.region.region_id, layer, title, version))
                if layer == "class":
                    st.html(make_class_legend(view.refresh.class_areas_km2))
                elif layer == "probability":
                    st.html(make_ramp_legend(PROBABILITY))
    share = view.refresh.valid_share
    st.caption(f"{share:.0%} of the pixels have enough valid observations in both half-years.")


def make_picture(region_id: str, layer: str, title: str, version: str) -> str:
    """Return a layer of one version of a map as a picture with its text alternative."""
    source = f"{PREFIX}/raster/{html.escape(region_id)}/{layer}/preview.png?v={version}"
    return (
        f'<img src="{source}" alt="{html.escape(title)}" loading="lazy" style="width:100%;'
        'image-rendering:pixelated;border:1px solid #8886;border-radius:4px">'
    )


def make_class_legend(areas_km2: object, legend: Legend = CROPLAND) -> str:
    """Return a class legend with the mapped area of each class, where it is known."""
    areas = areas_km2 if isinstance(areas_km2, dict) else {}
    rows = "".join(
        '<span style="display:inline-flex;align-items:center;gap:.4rem;margin-right:1rem">'
        f'<span style="width:1rem;height:.8rem;background:{item.color};border:1px solid #8888">'
        f"</span>{html.escape(item.name)}"
        + (f" · {areas[item.name]:.2f} km² mapped" if item.name in areas else "")
        + "</span>"
        for item in legend.classes
    )
    return f'<div role="img" aria-label="Legend of classes" style="font-size:.85rem">{rows}</div>'


def make_ramp_legend(scale: Scale) -> str:
    """Return a ramp with its ends and middle."""
    marks = "".join(f"<span>{text}</span>" for _, _, text in scale.steps(3))
    return (
        f'<div role="img" aria-label="Legend: {scale.label}" style="font-size:.85rem">'
        f'<div style="height:.7rem;border:1px solid #8888;background:{scale.css_gradient()}"></div>'
        f'<div style="display:flex;justify-content:space-between">{marks}</div></div>'
    )
