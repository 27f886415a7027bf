"""GeoTransfer: a satellite-image model that is good in one place, made to work in another.

The same verbs as the console and the command line. Names are loaded when first used, so that
importing the package loads no raster library, model or scheduler.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "add_checked": "geotransfer.workflows.labels",
    "add_region": "geotransfer.workflows.regions",
    "add_scenes": "geotransfer.workflows.scenes",
    "check_file": "geotransfer.workflows.labels",
    "evaluate_region": "geotransfer.workflows.evaluate",
    "explain_pixel": "geotransfer.workflows.pixel",
    "find_accuracy": "geotransfer.workflows.transfer_views",
    "find_budget": "geotransfer.workflows.transfer_views",
    "find_scenes": "geotransfer.workflows.find_scenes",
    "find_verdict": "geotransfer.workflows.promote",
    "fine_tune_region": "geotransfer.workflows.fine_tune",
    "list_exclusions": "geotransfer.workflows.exclusions",
    "list_history": "geotransfer.workflows.views",
    "list_region_views": "geotransfer.workflows.views",
    "map_applicability": "geotransfer.workflows.applicability_maps",
    "measure_region_budget": "geotransfer.workflows.budget_curve",
    "open_cube": "geotransfer.workflows.cube",
    "open_workspace": "geotransfer.store.workspace",
    "plan_region": "geotransfer.workflows.refresh",
    "prepare_workspace": "geotransfer.workflows.prepare",
    "promote": "geotransfer.workflows.promote",
    "read_settings": "geotransfer.settings",
    "refresh": "geotransfer.workflows.refresh",
    "roll_back": "geotransfer.workflows.promote",
    "suggest_places": "geotransfer.workflows.label_next",
    "train_global": "geotransfer.workflows.train",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605  # the table above is the one list of public names


def __getattr__(name: str) -> Any:
    """Load a public name from its room."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return [*__all__, "__version__"]
