"""Layers: rasters without a date that a region's owner supplies, kept by reference and hash."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from geotransfer.change.keys import hash_file
from geotransfer.core.definition import BAND, read_number
from geotransfer.core.fact import LayerAdded
from geotransfer.core.identity import content_id
from geotransfer.core.layer import Layer
from geotransfer.core.region import Region
from geotransfer.core.spec import FeatureSpec
from geotransfer.errors import InputError, LayerInvalid
from geotransfer.imagery.access import strip_secrets
from geotransfer.imagery.layers import check_layer
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.definitions import find_spec
from geotransfer.workflows.regions import find_region
from geotransfer.workflows.scene_list import RegionScenes


def add_layer(
    workspace: Workspace,
    region_id: str,
    href: str,
    *,
    name: str,
    unit: str,
    years: str = "",
    source: str = "",
    band: int = 1,
    scale: float = 1.0,
    offset: float = 0.0,
    actor: str,
) -> Layer:
    """Check a raster and make it a layer of a region; the next refresh computes what reads it.

    Parameters
    ----------
    href
        Path or URL of a raster; it stays where it is.
    name
        As the spec reads it: slope, rain_S1 …
    unit
        Of the values after ``scale`` and ``offset``; the shipped specs' layers have fixed ones.
    years
        Span of a long-term mean, ``1991-2020``. Rain without it is refused: one year's weather
        would pass for a climate.

    Raises
    ------
    LayerInvalid
        The raster or what is declared of it does not fit.
    InputError
        The name cannot be used, or the address carries a key.
    """
    region = find_region(workspace, region_id)
    spec = find_spec(workspace, region.spec_name)
    if not BAND.fullmatch(name):
        raise InputError(f"the layer name {name!r} cannot be used; use letters and digits.")
    if name not in spec.layers:
        reads = ", ".join(spec.layers) or "none"
        raise LayerInvalid(
            f"spec {spec.name!r} of region {region_id!r} reads no layer {name!r} (it reads:"
            f" {reads}); add the region with another spec: `geotransfer regions add --spec NAME`."
        )
    if strip_secrets(href) != href:
        raise InputError(
            f"{strip_secrets(href)}: the layer's address carries a key, which would be kept in the"
            " history; download the raster and give its path."
        )
    place = href if "://" in href else str(Path(href).expanduser().absolute())
    layer = Layer(
        name=name,
        href=place,
        content_hash=hash_file(place),
        unit=unit.strip(),
        years=_check_years(years, name),
        source=source.strip(),
        band=band,
        scale=read_number(scale, "scale", where=name),
        offset=read_number(offset, "offset", where=name),
    )
    check_layer(layer, region)
    workspace.ledger.append(LayerAdded(region_id=region_id, layer=layer), actor=actor)
    return layer


def _check_years(years: str, name: str) -> str:
    text = years.replace("–", "-").replace(" ", "")
    if not text:
        return ""
    parts: list[Any] = text.split("-")
    if len(parts) not in (1, 2) or any(not (p.isdigit() and len(p) == 4) for p in parts):
        raise LayerInvalid(f"layer {name!r}: the years {years!r} are no span; write 1991-2020.")
    if int(parts[-1]) < int(parts[0]):
        raise LayerInvalid(f"layer {name!r}: the years {years!r} run backwards; write 1991-2020.")
    return text


def fingerprint_layers(inputs: RegionScenes, spec: FeatureSpec, region: Region) -> list[str]:
    """Return what identifies each layer a spec reads, hashing the files anew.

    Raises
    ------
    LayerInvalid
        The region lacks a layer, or a file is not what was added.
    """
    have = {layer.name for layer in inputs.layers}
    missing = [name for name in spec.layers if name not in have]
    if missing:
        raise LayerInvalid(
            f"region {region.region_id!r} lacks layer {missing[0]!r}, which spec {spec.name!r}"
            f" reads; add it with `geotransfer layers add {region.region_id} FILE --name"
            f" {missing[0]} --unit UNIT`."
        )
    for layer in inputs.layers:
        if hash_file(layer.href) != layer.content_hash:
            raise LayerInvalid(
                f"layer {layer.name!r}: {layer.href} is no longer the file that was added; add it"
                " again, or restore it."
            )
    return [content_id(layer) for layer in inputs.layers]
