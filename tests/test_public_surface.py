"""What a notebook sees, and what importing it must not load."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import subprocess
import sys

import pytest

import geotransfer
from geotransfer.console import screens

HEAVY = ("rasterio", "xarray", "dask", "distributed", "lightgbm", "numba", "sklearn", "odc", "zarr")
PAGES = [f"{screens.__name__}.{module.name}" for module in pkgutil.iter_modules(screens.__path__)]
ENTRY = ["geotransfer.console.state", "geotransfer.console.ports", "geotransfer.console.waiting"]


def list_loaded(*imported: str) -> set[str]:
    """Heavy libraries a fresh process has loaded after importing ``imported``."""
    program = (
        "import importlib, json, sys\n"
        "for name in sys.argv[2:]: importlib.import_module(name)\n"
        "print(json.dumps([n for n in json.loads(sys.argv[1]) if n in sys.modules]))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, json.dumps(HEAVY), *imported],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(result.stdout.splitlines()[-1]))


def test_every_public_name_resolves_and_is_explained() -> None:
    assert geotransfer.__all__ == sorted(set(geotransfer.__all__))
    for name in geotransfer.__all__:
        value = getattr(geotransfer, name)
        assert callable(value), name
        assert inspect.getdoc(value), name


def test_public_functions_take_no_anonymous_options() -> None:
    for name in geotransfer.__all__:
        parameters = inspect.signature(getattr(geotransfer, name)).parameters.values()
        assert all(p.kind is not inspect.Parameter.VAR_KEYWORD for p in parameters), name
        positional = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        assert len(positional) <= 4, name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'pickle'"):
        geotransfer.pickle  # noqa: B018  # reading it is the test


def test_dir_lists_the_public_names() -> None:
    assert set(geotransfer.__all__) < set(dir(geotransfer))


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert list_loaded("geotransfer") == set()


def test_no_page_loads_rasters_models_or_schedulers() -> None:
    assert len(PAGES) >= 7
    assert list_loaded(*ENTRY, *PAGES) == set()


def test_the_probe_sees_what_is_loaded() -> None:
    assert "rasterio" in list_loaded("rasterio")


def test_the_version_is_the_distribution_s() -> None:
    metadata = importlib.import_module("importlib.metadata")
    assert geotransfer.__version__ == metadata.version("geotransfer")
