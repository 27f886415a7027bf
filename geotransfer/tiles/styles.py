"""QGIS layer styles: a raster looks in the GIS as it does on the page."""

from __future__ import annotations

from datetime import date, timedelta
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from geotransfer.tiles.catalog import RasterEntry, RasterKind

_HEAD = b"<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
_STEPS = 9
"""Colours of a ramp in the style; QGIS interpolates between them."""
_OPACITY = {"opacity": "1", "alphaBand": "-1", "nodataColor": ""}


def make_qml(entry: RasterEntry) -> bytes:
    """Return the style of a raster; QGIS takes it by itself when it lies beside the file.

    Values are physical: QGIS applies the file's scale and offset when it reads, as we do.
    """
    root = Element("qgis", version="3.28", styleCategories="Symbology")
    pipe = SubElement(root, "pipe")
    if entry.kind is RasterKind.RGB:
        red, green, blue = (str(band) for band in entry.bands)
        bands = {"type": "multibandcolor", "redBand": red, "greenBand": green, "blueBand": blue}
        SubElement(pipe, "rasterrenderer", bands | _OPACITY)
    elif entry.legend is not None:
        renderer = SubElement(
            pipe, "rasterrenderer", {"type": "paletted", "band": str(entry.bands[0])} | _OPACITY
        )
        palette = SubElement(renderer, "colorPalette")
        for item in entry.legend.classes:
            SubElement(
                palette, "paletteEntry", value=str(item.code), color=item.color, label=item.name,
                alpha="255",
            )  # fmt: skip
    else:
        _add_ramp(pipe, entry)
    SubElement(pipe, "brightnesscontrast", brightness="0", contrast="0", gamma="1")
    SubElement(pipe, "rasterresampler", maxOversampling="2")
    indent(root)
    text: bytes = tostring(root, encoding="utf-8")
    return _HEAD + text + b"\n"


def _add_ramp(pipe: Element, entry: RasterEntry) -> None:
    low, high = entry.value_range
    renderer = SubElement(
        pipe,
        "rasterrenderer",
        {
            "type": "singlebandpseudocolor",
            "band": str(entry.bands[0]),
            "classificationMin": f"{low:g}",
            "classificationMax": f"{high:g}",
        }
        | _OPACITY,
    )
    shader = SubElement(
        SubElement(renderer, "rastershader"), "colorrampshader",
        colorRampType="INTERPOLATED", classificationMode="1", clip="0",
        minimumValue=f"{low:g}", maximumValue=f"{high:g}",
    )  # fmt: skip
    colors = entry.colors or ("#000000", "#ffffff")
    for step in range(_STEPS):
        share = step / (_STEPS - 1)
        value = low + share * (high - low)
        color = colors[round(share * (len(colors) - 1))]
        SubElement(
            shader, "item", value=f"{value:.10g}", color=color, alpha="255",
            label=_write_value(value, entry),
        )  # fmt: skip


def _write_value(value: float, entry: RasterEntry) -> str:
    if entry.kind is RasterKind.DATE:
        return (date(1970, 1, 1) + timedelta(days=round(value))).isoformat()
    return f"{value:.4g} {entry.unit}".rstrip()
