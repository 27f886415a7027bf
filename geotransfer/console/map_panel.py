"""A region's rasters as pictures with their legends; *Explore* shows them at full resolution."""

from __future__ import annotations

import html

import streamlit as st

from geotransfer.console.palettes import PROBABILITY, Format, Ramp, Scale
from geotransfer.console.state import PREFIX
from geotransfer.core.legend import Legend
from geotransfer.core.region import RegionKind
from geotransfer.tiles.catalog import RasterEntry, RasterKind
from geotransfer.workflows.views import RegionView

PICTURES = (
    ("class", "Class map"),
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
    pictures = list_pictures(view.legend)
    for row in (pictures[:2], pictures[2:]):
        for column, (layer, title) in zip(st.columns(2, gap="medium"), row, strict=True):
            with column:
                st.markdown(f"**{title}**")
                st.html(make_picture(view.region.region_id, layer, title, version))
                if layer == "class":
                    st.html(make_class_legend(view.refresh.class_areas_km2, view.legend))
                elif layer.startswith("probability"):
                    st.html(make_ramp_legend(PROBABILITY))
    share = view.refresh.valid_share
    st.caption(f"{share:.0%} of the pixels have enough valid observations in every period.")


def list_pictures(legend: Legend) -> tuple[tuple[str, str], ...]:
    """Return layers and titles; of more than two classes the first one's probability."""
    if legend.is_binary:
        shown = ("probability", f"Probability of {legend.names[-1]}")
    else:
        first = legend.classes[0]
        shown = (f"probability-{first.code}", f"Probability of {first.name}")
    return (PICTURES[0], shown, *PICTURES[1:])


def make_picture(region_id: str, layer: str, title: str, version: str) -> str:
    """Return a layer of one version of a map as a picture with its text alternative."""
    source = f"{PREFIX}/raster/{html.escape(region_id)}/{layer}/preview.png?v={version}"
    return (
        f'<img src="{source}" alt="{html.escape(title)}" loading="lazy" style="width:100%;'
        'image-rendering:pixelated;border:1px solid #8886;border-radius:4px">'
    )


def make_class_legend(areas_km2: object, legend: Legend) -> str:
    """Return a class legend with the mapped area of each class, where it is known."""
    areas = areas_km2 if isinstance(areas_km2, dict) else {}
    rows = "".join(
        '<span style="display:inline-flex;align-items:center;gap:.4rem;margin-right:1rem">'
        f"{_make_swatch(item.color)}<span>{html.escape(item.name)}"
        + (f" · {areas[item.name]:.2f} km² mapped" if item.name in areas else "")
        + "</span></span>"
        for item in legend.classes
    )
    names = html.escape(", ".join(legend.names))
    return f'<div role="img" aria-label="Legend: {names}" style="font-size:.85rem">{rows}</div>'


def make_ramp_legend(scale: Scale) -> str:
    """Return a ramp with its name and unit, its ends and middle; one swatch where all is equal."""
    unit = f" · {scale.unit}" if scale.unit else ""
    heading = f"<strong>{html.escape(scale.label)}</strong>{html.escape(unit)}"
    if scale.low == scale.high:
        bar = _make_swatch(scale.color(scale.low))
        ramp = f"<div>{bar} {html.escape(scale.text(scale.low))}</div>"
    else:
        marks = "".join(f"<span>{html.escape(text)}</span>" for _, _, text in scale.steps(3))
        ramp = (
            f'<div style="height:.7rem;border:1px solid #8888;background:{scale.css_gradient()}">'
            f'</div><div style="display:flex;justify-content:space-between;gap:.5rem">{marks}</div>'
        )
    told = f"Legend: {scale.label}, from {scale.text(scale.low)} to {scale.text(scale.high)}"
    return (
        f'<div role="img" aria-label="{html.escape(told)}" style="font-size:.85rem">'
        f"{heading}{ramp}</div>"
    )


def make_raster_legend(entry: RasterEntry, areas_km2: object = None) -> str:
    """Return the legend of any raster the routes serve; empty for a photograph."""
    if entry.kind is RasterKind.RGB:
        return ""
    if entry.legend is not None:
        return make_class_legend(areas_km2, entry.legend)
    low, high = entry.value_range
    form = Format.DATE if entry.kind is RasterKind.DATE else Format.NUMBER
    if entry.kind is RasterKind.SHARE and (low, high) == (0.0, 1.0) and not entry.unit:
        form = Format.PERCENT
    return make_ramp_legend(
        Scale(
            name="",
            label=entry.name,
            low=low,
            high=high,
            ramp=Ramp(entry.colors),
            unit=entry.unit,
            form=form,
        )
    )


def _make_swatch(color: str) -> str:
    return (
        '<span style="display:inline-block;flex:none;width:1rem;height:.8rem;'
        f'background:{color};border:1px solid #8888"></span>'
    )
