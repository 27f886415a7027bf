"""What the simulated world is drawn from: means and covariances of the real tables."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geotransfer.core.legend import CROPLAND
from geotransfer.core.spec import S2_SEMIANNUAL
from geotransfer.errors import NotFound, TableInvalid
from geotransfer.store.atomic import write_bytes
from geotransfer.store.shipped import FOLDER
from geotransfer.transfer.samples import read_reference_table

Float64 = NDArray[np.float64]

ATTRIBUTION = (
    "Derived from the Digital Earth Africa cropland reference data 2019,"
    " © Digital Earth Africa contributors, CC BY 4.0"
    " (https://creativecommons.org/licenses/by/4.0/)."
)
SOURCE = (
    "https://github.com/digitalearthafrica/crop-mask at commit"
    " d19371cd0a723c6730ceebc033edc5ecce9e265e"
)

COLUMNS = tuple(column.name for column in S2_SEMIANNUAL.measured if column.statistic)
"""Composite columns of the tables: nine bands and three MADs in each half-year. The indices are
functions of the bands, so they carry nothing of their own."""

IS_BAND = np.array([c.statistic == "geomedian" for c in S2_SEMIANNUAL.measured if c.statistic])
"""Which of ``COLUMNS`` are reflectances; these are drawn as logarithms, so never negative."""

REFLECTANCE_FLOOR = 1e-3
SIGNIFICANT_DIGITS = 5
"""Rounding makes the file small, and the same on machines whose last bits differ."""

VARIANCE_FLOOR = 1e-5

STATISTICS_PATH = FOLDER / "simulation_statistics.json"


@dataclass(frozen=True, eq=False, kw_only=True)
class RegionStatistics:
    """Class-conditional distribution of the transformed composite columns of one real region.

    Attributes
    ----------
    name
        Region of the reference tables, for example ``eastern``.
    crop_share
        Share of its samples labelled crop.
    means
        Shape (class, column), columns as ``COLUMNS``; ln(reflectance) for bands, the tables' own
        −ln for MADs.
    covariances
        Shape (class, column, column).
    """

    name: str
    crop_share: float
    means: Float64
    covariances: Float64


def _round(value: float) -> float:
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")


def derive_statistics(tables: Path) -> dict[str, Any]:
    """Derive the simulation's statistics from a folder of reference tables.

    Parameters
    ----------
    tables
        Holds one folder a region, each with ``training_data.txt``.

    Returns
    -------
    Plain parts for JSON: attribution, columns, and for each region the crop share, and for each
    class the number of samples, mean, and lower triangle of the covariance (row by row).

    Raises
    ------
    TableInvalid
        No table is there, one cannot be read, or a class has fewer samples than columns.
    """
    folders = sorted(path.parent for path in tables.glob("*/training_data.txt"))
    if not folders:
        raise TableInvalid(
            f"{tables}: no folder in it holds a training_data.txt; fetch the tables, or give the"
            " folder above the regions."
        )
    lower = np.tril_indices(len(COLUMNS))
    position = [S2_SEMIANNUAL.measured_names.index(name) for name in COLUMNS]
    regions: dict[str, Any] = {}
    for folder in folders:
        samples = read_reference_table(folder, S2_SEMIANNUAL)
        table = samples.measured[:, position].astype(np.float64)
        table[:, IS_BAND] = np.log(np.maximum(table[:, IS_BAND], REFLECTANCE_FLOOR))
        classes: dict[str, Any] = {}
        for legend_class in CROPLAND.classes:
            rows = table[samples.classes == legend_class.code]
            if len(rows) <= len(COLUMNS):
                raise TableInvalid(
                    f"{folder}: {len(rows)} samples of class {legend_class.name!r} are too few for"
                    f" a covariance of {len(COLUMNS)} columns; leave the region out."
                )
            covariance = np.cov(rows.T)
            classes[legend_class.name] = {
                "n": len(rows),
                "mean": [_round(v) for v in rows.mean(axis=0)],
                "covariance": [_round(v) for v in covariance[lower]],
            }
        regions[folder.name] = {
            "crop_share": _round(float((samples.classes == 1).mean())),
            "classes": classes,
        }
    return {
        "title": "Class statistics of six African regions, for the simulated world only",
        "attribution": ATTRIBUTION,
        "licence": "CC-BY-4.0",
        "source": SOURCE,
        "changes": "means and covariances of log reflectances and of -ln MADs; no sample is kept",
        "columns": list(COLUMNS),
        "regions": regions,
    }


def parse_statistics(data: Mapping[str, Any]) -> dict[str, RegionStatistics]:
    """Turn what ``derive_statistics`` returned into arrays, by region name."""
    if tuple(data["columns"]) != COLUMNS:
        raise TableInvalid(
            "the simulation statistics carry other columns than this version draws; derive them"
            " again from the tables."
        )
    n = len(COLUMNS)
    lower = np.tril_indices(n)

    def parse_covariance(values: list[float]) -> Float64:
        matrix = np.zeros((n, n))
        matrix[lower] = values
        return matrix + np.tril(matrix, -1).T

    return {
        name: RegionStatistics(
            name=name,
            crop_share=region["crop_share"],
            means=np.array([region["classes"][c]["mean"] for c in CROPLAND.names]),
            covariances=np.array(
                [parse_covariance(region["classes"][c]["covariance"]) for c in CROPLAND.names]
            ),
        )
        for name, region in data["regions"].items()
    }


@lru_cache(maxsize=1)
def load_statistics() -> Mapping[str, RegionStatistics]:
    """Read the statistics that ship with the product, by region name."""
    try:
        text = STATISTICS_PATH.read_text(encoding="utf-8")
    except OSError as error:
        raise NotFound(
            f"{STATISTICS_PATH}: cannot be read ({error.strerror}); install the product again."
        ) from error
    return parse_statistics(json.loads(text))


def factor_covariance(covariance: Float64) -> Float64:
    """Return the Cholesky root of a covariance whose rounding may have cost it definiteness."""
    values, vectors = np.linalg.eigh(covariance)
    repaired = (vectors * np.maximum(values, VARIANCE_FLOOR)) @ vectors.T
    root: Float64 = np.linalg.cholesky((repaired + repaired.T) / 2)
    return root


def format_statistics(data: Mapping[str, Any]) -> str:
    """Return the statistics as the text of the shipped file, one line a list."""
    text = json.dumps(data, indent=1, sort_keys=True)
    return re.sub(r"\[[^\[\]{}]*\]", lambda m: " ".join(m.group().split()), text) + "\n"


def write_statistics(tables: Path, path: Path = STATISTICS_PATH) -> None:
    """Derive the statistics from a folder of reference tables and write the shipped file."""
    write_bytes(path, format_statistics(derive_statistics(tables)).encode())
    path.chmod(0o644)
