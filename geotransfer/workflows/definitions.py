"""A workspace's own rows: legends, feature specs and sensors, beside those that ship."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from geotransfer.core.definition import parse_legend, parse_sensor
from geotransfer.core.fact import LegendAdded, SensorAdded, SpecAdded
from geotransfer.core.legend import LEGENDS, Legend
from geotransfer.core.sensor import Sensor
from geotransfer.core.spec import SPECS, FeatureSpec
from geotransfer.core.spec_file import parse_spec_file
from geotransfer.errors import DefinitionInvalid, NotFound
from geotransfer.store.workspace import Workspace

MAX_FILE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class DefinitionFile:
    """A definition as it was uploaded or read from disk."""

    name: str
    data: bytes


def open_definition(path: Path) -> DefinitionFile:
    """Read a definition from disk.

    Raises
    ------
    NotFound
        There is no such file.
    """
    if not path.is_file():
        raise NotFound(f"{path}: there is no such file; check the path.")
    return DefinitionFile(path.name, path.read_bytes())


def parse_definition(file: DefinitionFile) -> Any:
    """Read YAML or JSON as plain parts; nothing in it can run."""
    if len(file.data) > MAX_FILE_BYTES:
        raise DefinitionInvalid(f"{file.name}: larger than 1 MB; a definition is a page of text.")
    try:
        text = file.data.decode("utf-8")
        return json.loads(text) if file.name.endswith(".json") else yaml.safe_load(text)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        told = str(error).splitlines()[0]
        raise DefinitionInvalid(
            f"{file.name}: cannot be read as YAML or JSON ({told}); correct the file."
        ) from error


def list_legends(workspace: Workspace) -> list[Legend]:
    """Return the shipped legends and the workspace's own, in the order they were added."""
    own = [r.fact.legend for r in workspace.ledger.read(LegendAdded)]
    return list({legend.name: legend for legend in (*LEGENDS.values(), *own)}.values())


def find_legend(workspace: Workspace, name: str) -> Legend:
    """Return a legend by its name.

    Raises
    ------
    NotFound
        None is called that; the message lists what there is.
    """
    if name in LEGENDS:
        return LEGENDS[name]
    rows = {legend.name: legend for legend in list_legends(workspace)}
    if name not in rows:
        raise NotFound(
            f"there is no legend {name!r}; there are: {', '.join(rows)}. `geotransfer legends add"
            " FILE` adds one."
        )
    return rows[name]


def add_legend(workspace: Workspace, file: DefinitionFile, *, actor: str) -> Legend:
    """Add a legend from a file; the same legend twice is harmless.

    Raises
    ------
    DefinitionInvalid
        The file cannot be used, or the name stands for other classes already.
    """
    legend = parse_legend(parse_definition(file), where=file.name)
    known = next((x for x in list_legends(workspace) if x.name == legend.name), None)
    if known is None:
        workspace.ledger.append(LegendAdded(region_id=None, legend=legend), actor=actor)
    elif known != legend:
        raise _explain_taken(file, "legend", legend.name)
    return legend


def list_specs(workspace: Workspace) -> list[FeatureSpec]:
    """Return the shipped specs and the workspace's own, in the order they were added."""
    own = [r.fact.spec for r in workspace.ledger.read(SpecAdded)]
    return list({spec.name: spec for spec in (*SPECS.values(), *own)}.values())


def find_spec(workspace: Workspace, name: str) -> FeatureSpec:
    """Return a spec by its name.

    Raises
    ------
    NotFound
        None is called that; the message lists what there is.
    """
    if name in SPECS:
        return SPECS[name]
    rows = {spec.name: spec for spec in list_specs(workspace)}
    if name not in rows:
        raise NotFound(
            f"there is no spec {name!r}; there are: {', '.join(rows)}. `geotransfer specs add FILE`"
            " adds one."
        )
    return rows[name]


def is_own(spec: FeatureSpec, legend_name: str) -> bool:
    """Whether a spec or legend is the workspace's own, so that nothing shipped was learnt on it."""
    return spec.name not in SPECS or legend_name not in LEGENDS


def add_spec(workspace: Workspace, file: DefinitionFile, *, actor: str) -> FeatureSpec:
    """Add a feature spec from a file; the same spec twice is harmless.

    Raises
    ------
    DefinitionInvalid
        The file cannot be used, or the name stands for another spec already.
    """
    spec = parse_spec_file(parse_definition(file), where=file.name)
    known = next((x for x in list_specs(workspace) if x.name == spec.name), None)
    if known is None:
        workspace.ledger.append(SpecAdded(region_id=None, spec=spec), actor=actor)
    elif known.spec_id != spec.spec_id:
        raise _explain_taken(file, "spec", spec.name)
    return spec


def list_own_sensors(workspace: Workspace) -> list[Sensor]:
    """Return the workspace's own sensors, the newest row of each name."""
    own = [r.fact.sensor for r in workspace.ledger.read(SensorAdded)]
    return list({sensor.name: sensor for sensor in own}.values())


def add_sensor(workspace: Workspace, file: DefinitionFile, *, actor: str) -> Sensor:
    """Add a sensor from a file, or replace it for scenes added from now on."""
    sensor = parse_sensor(parse_definition(file), where=file.name)
    if sensor not in list_own_sensors(workspace):
        workspace.ledger.append(SensorAdded(region_id=None, sensor=sensor), actor=actor)
    return sensor


def _explain_taken(file: DefinitionFile, what: str, name: str) -> DefinitionInvalid:
    return DefinitionInvalid(
        f"{file.name}: a {what} called {name!r} exists already and is another; models and maps"
        " were made with it, so choose a new name."
    )
