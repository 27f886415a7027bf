"""Files that ship with the product in ``data/``: derived by our own commands, never changed."""

from __future__ import annotations

from pathlib import Path

from geotransfer.errors import NotFound

FOLDER = Path(__file__).resolve().parents[2] / "data"

BASELINE = "baseline.json"
BASELINE_CARD = "baseline-card.json"
CLIMATE = "climate.json.xz"
"""The model file of the climate spec, compressed: 2,600 trees."""
CLIMATE_CARD = "climate-card.json"
PROTOTYPES = "source-prototypes.parquet"
REGIONS = "reference-regions.json"
EXPECTED_ACCURACY = "expected-accuracy.json"


def locate_shipped(name: str) -> Path:
    """Return the path of a shipped file.

    Raises
    ------
    NotFound
        The installation lacks it.
    """
    path = FOLDER / name
    if not path.exists():
        raise NotFound(
            f"{path} is missing from the installation; restore it, or make it with"
            " `geotransfer train TABLES --ship data`."
        )
    return path
