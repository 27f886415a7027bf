"""`specs`, `legends`, `sensors`, `layers`: what is data rather than code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from geotransfer.cli.context import explain_errors, find_session
from geotransfer.core.sensor import Sensor

specs_app = typer.Typer(help="List and add feature specs.", no_args_is_help=True)
legends_app = typer.Typer(help="List and add legends.", no_args_is_help=True)
sensors_app = typer.Typer(help="List and add sensors.", no_args_is_help=True)
layers_app = typer.Typer(help="List and add layers without a date.", no_args_is_help=True)

DefinitionFile = Annotated[Path, typer.Argument(help="YAML or JSON file.")]


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.add_typer(specs_app, name="specs")
    app.add_typer(legends_app, name="legends")
    app.add_typer(sensors_app, name="sensors")
    app.add_typer(layers_app, name="layers")


@specs_app.command("list")
@explain_errors
def list_specs(context: typer.Context) -> None:
    """Show the feature specs a region can use."""
    from geotransfer.workflows.definitions import list_specs as list_all

    session = find_session(context)
    specs = list_all(session.open())
    rows = [
        {
            "spec": spec.name,
            "id": spec.spec_id[:8],
            "periods": len(spec.periods),
            "bands": _shorten(spec.bands),
            "layers": _shorten(spec.layers),
            "measured": len(spec.measured),
            "derived": len(spec.derived),
            "gaps": spec.gap_filling or "no answer",
        }
        for spec in specs
    ]
    session.output.show_table(specs, rows, "no specs")


@specs_app.command("add")
@explain_errors
def add_spec(context: typer.Context, file: DefinitionFile) -> None:
    """Add a feature spec: bands × periods × statistics × indices, and layers."""
    from geotransfer.workflows.definitions import add_spec as add_to_workspace
    from geotransfer.workflows.definitions import open_definition

    session = find_session(context)
    spec = add_to_workspace(session.open(), open_definition(file), actor="cli")
    session.output.show(
        spec,
        f"added spec {spec.name} ({spec.spec_id[:8]}): {len(spec.measured)} measured and"
        f" {len(spec.derived)} derived columns; next: geotransfer regions add OUTLINE --spec"
        f" {spec.name}",
    )


@legends_app.command("list")
@explain_errors
def list_legends(context: typer.Context) -> None:
    """Show the legends a region can use."""
    from geotransfer.workflows.definitions import list_legends as list_all

    session = find_session(context)
    legends = list_all(session.open())
    rows = [
        {
            "legend": legend.name,
            "classes": ", ".join(f"{c.code} {c.name}" for c in legend.classes),
        }
        for legend in legends
    ]
    session.output.show_table(legends, rows, "no legends")


@legends_app.command("add")
@explain_errors
def add_legend(context: typer.Context, file: DefinitionFile) -> None:
    """Add a legend of two or more classes."""
    from geotransfer.workflows.definitions import add_legend as add_to_workspace
    from geotransfer.workflows.definitions import open_definition

    session = find_session(context)
    legend = add_to_workspace(session.open(), open_definition(file), actor="cli")
    session.output.show(legend, f"added legend {legend.name}: {', '.join(legend.names)}")


@sensors_app.command("list")
@explain_errors
def list_sensors(context: typer.Context) -> None:
    """Show the sensors whose scenes can be read."""
    from geotransfer.imagery.sensors import SENSORS
    from geotransfer.workflows.definitions import list_own_sensors

    session = find_session(context)
    own = list_own_sensors(session.open())
    sensors = list({**SENSORS, **{sensor.name: sensor for sensor in own}}.values())
    rows = [
        {
            "sensor": sensor.name,
            "bands": _shorten(tuple(dict.fromkeys(sensor.bands.values()))),
            "scale": f"{sensor.scale:g}",
            "offset": f"{sensor.offset:g}",
            "nodata": "none" if sensor.nodata is None else f"{sensor.nodata:g}",
            "mask": _tell_masks(sensor),
        }
        for sensor in sensors
    ]
    session.output.show_table(sensors, rows, "no sensors")


@sensors_app.command("add")
@explain_errors
def add_sensor(context: typer.Context, file: DefinitionFile) -> None:
    """Add a sensor, or replace one for scenes added from now on."""
    from geotransfer.workflows.definitions import add_sensor as add_to_workspace
    from geotransfer.workflows.definitions import open_definition

    session = find_session(context)
    sensor = add_to_workspace(session.open(), open_definition(file), actor="cli")
    lines = [f"added sensor {sensor.name} for collections named {', '.join(sensor.collections)}"]
    if not sensor.masks:
        lines.append("it has no mask: clouds in its scenes will count as ground")
    session.output.show(sensor, lines)


@layers_app.command("list")
@explain_errors
def list_layers(context: typer.Context, region: str) -> None:
    """Show a region's layers, and those its spec still lacks."""
    from geotransfer.workflows.definitions import find_spec
    from geotransfer.workflows.regions import find_region
    from geotransfer.workflows.scene_list import find_layers

    session = find_session(context)
    workspace = session.open()
    layers = {layer.name: layer for layer in find_layers(workspace, region)}
    spec = find_spec(workspace, find_region(workspace, region).spec_name)
    rows = [
        {
            "layer": name,
            "unit": layers[name].unit if name in layers else "–",
            "years": (layers[name].years if name in layers else "") or "–",
            "file": layers[name].href if name in layers else "missing",
        }
        for name in spec.layers
    ]
    session.output.show_table(
        list(layers.values()), rows, f"spec {spec.name} reads no layers; nothing to add"
    )


@layers_app.command("add")
@explain_errors
def add_layer(
    context: typer.Context,
    region: str,
    file: Annotated[str, typer.Argument(help="Path or URL of a raster; it stays where it is.")],
    name: Annotated[str, typer.Option(help="As the spec reads it: slope, rain_S1 …")],
    unit: Annotated[str, typer.Option(help="Of the values: percent, mm …")],
    years: Annotated[
        str, typer.Option(help="Span of a long-term mean, 1991-2020. Rain needs one.")
    ] = "",
    source: Annotated[str, typer.Option(help="Where it comes from; shown with the map.")] = "",
    band: Annotated[int, typer.Option(help="Band of the file, from 1.")] = 1,
    scale: Annotated[float, typer.Option(help="value = raw · scale + offset.")] = 1.0,
    offset: float = 0.0,
) -> None:
    """Give a region a layer without a date: checked for CRS, coverage, unit and years."""
    from geotransfer.workflows.layers import add_layer as add_to_region

    session = find_session(context)
    layer = add_to_region(
        session.open(), region, file, name=name, unit=unit, years=years, source=source,
        band=band, scale=scale, offset=offset, actor="cli",
    )  # fmt: skip
    told = f", mean of {layer.years}" if layer.years else ""
    session.output.show(
        layer,
        f"added layer {layer.name} ({layer.unit}{told}) to {region};"
        f" next: geotransfer refresh {region}",
    )


def _shorten(names: tuple[str, ...], limit: int = 6) -> str:
    more = f" … {len(names)} in all" if len(names) > limit else ""
    return (", ".join(names[:limit]) + more) or "–"


def _tell_masks(sensor: Sensor) -> str:
    told = [
        f"{name} ({rule.kind.value}{' ' + ','.join(map(str, rule.bad)) if rule.bad else ''},"
        f" +{rule.dilate_px} px)"
        for name, rule in sensor.masks.items()
    ]
    return "; ".join(told) or "none: clouds count as ground"
