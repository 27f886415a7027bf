"""A workspace's own rows: legends, feature specs and sensors, beside those that ship."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from geotransfer.core.definition import parse_legend, parse_sensor
from geotransfer.core.fact import LegendAdded, SensorAdded, SpecAdded
from geotransfer.core.identity import content_id
from geotransfer.core.legend import LEGENDS, Legend
from geotransfer.core.sensor import Sensor
from geotransfer.core.spec import SPECS, FeatureSpec
from geotransfer.core.spec_file import parse_spec_file
from geotransfer.errors import DefinitionInvalid, NotFound
from geotransfer.store.workspace import Workspace

MAX_FILE_BYTES = 1 << 20

Row = TypeVar("Row", Legend, FeatureSpec, Sensor)


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


def _list_newest(rows: Iterable[Row]) -> list[Row]:
    """Return the newest row of each name, in the order the names came."""
    return list({row.name: row for row in rows}.values())


def _find_row(rows: Iterable[Row], name: str, what: str) -> Row:
    by_name = {row.name: row for row in rows}
    if name not in by_name:
        raise NotFound(
            f"there is no {what} {name!r}; there are: {', '.join(by_name)}. `geotransfer {what}s"
            " add FILE` adds one."
        )
    return by_name[name]


def _is_new(row: Row, rows: Iterable[Row], file: DefinitionFile, what: str) -> bool:
    """Whether a row is to be added; one of the same name must be the same row."""
    known = next((other for other in rows if other.name == row.name), None)
    if known is not None and content_id(known) != content_id(row):
        raise DefinitionInvalid(
            f"{file.name}: a {what} called {row.name!r} exists already and is another; models and"
            " maps were made with it, so choose a new name."
        )
    return known is None


def list_legends(workspace: Workspace) -> list[Legend]:
    """Return the shipped legends and the workspace's own, in the order they were added."""
    own = [r.fact.legend for r in workspace.ledger.read(LegendAdded)]
    return _list_newest([*LEGENDS.values(), *own])


def find_legend(workspace: Workspace, name: str) -> Legend:
    """Return a legend by its name.

    Raises
    ------
    NotFound
        None is called that; the message lists what there is.
    """
    if name in LEGENDS:
        return LEGENDS[name]
    return _find_row(list_legends(workspace), name, "legend")


def add_legend(workspace: Workspace, file: DefinitionFile, *, actor: str) -> Legend:
    """Add a legend from a file; the same legend twice is harmless.

    Raises
    ------
    DefinitionInvalid
        The file cannot be used, or the name stands for other classes already.
    """
    legend = parse_legend(parse_definition(file), where=file.name)
    if _is_new(legend, list_legends(workspace), file, "legend"):
        workspace.ledger.append(LegendAdded(region_id=None, legend=legend), actor=actor)
    return legend


def list_specs(workspace: Workspace) -> list[FeatureSpec]:
    """Return the shipped specs and the workspace's own, in the order they were added."""
    own = [r.fact.spec for r in workspace.ledger.read(SpecAdded)]
    return _list_newest([*SPECS.values(), *own])


def find_spec(workspace: Workspace, name: str) -> FeatureSpec:
    """Return a spec by its name.

    Raises
    ------
    NotFound
        None is called that; the message lists what there is.
    """
    if name in SPECS:
        return SPECS[name]
    return _find_row(list_specs(workspace), name, "spec")


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
    if _is_new(spec, list_specs(workspace), file, "spec"):
        workspace.ledger.append(SpecAdded(region_id=None, spec=spec), actor=actor)
    return spec


def list_own_sensors(workspace: Workspace) -> list[Sensor]:
    """Return the workspace's own sensors, the newest row of each name."""
    own = [r.fact.sensor for r in workspace.ledger.read(SensorAdded)]
    return _list_newest(own)


def add_sensor(workspace: Workspace, file: DefinitionFile, *, actor: str) -> Sensor:
    """Add a sensor from a file, or replace it for scenes added from now on."""
    sensor = parse_sensor(parse_definition(file), where=file.name)
    if sensor not in list_own_sensors(workspace):
        workspace.ledger.append(SensorAdded(region_id=None, sensor=sensor), actor=actor)
    return sensor
