"""From a stack of dates to the measured columns of a spec."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geotransfer.core.spec import FeatureSpec
from geotransfer.imagery.features import evaluate_column
from geotransfer.imagery.gaps import fill_gaps
from geotransfer.imagery.geomedian import compute_geomedian
from geotransfer.imagery.scene_windows import DN_SCALE
from geotransfer.imagery.stack import Stack
from geotransfer.imagery.statistics import RULES, summarize

COMPOSITE_VERSION = 3
"""Grows when the same inputs give other measured columns, or their files take another form. Part of
the key of only-if-changed."""

MAD_FLOOR = np.float32(1e-9)
"""Raw deviations below this are raised to it before −ln, so that no deviation is finite too."""


@dataclass(frozen=True)
class Measured:
    """Measured columns of one tile."""

    values: NDArray[np.float32]
    """Shape (n_measured, y, x), rows in the order of the spec; NaN where not measured."""
    counts: NDArray[np.uint16]
    """Valid observations, shape (n_periods, y, x)."""


def compose_measured(
    stack: Stack,
    spec: FeatureSpec,
    *,
    static: NDArray[np.float32] | None = None,
    n_threads: int = 1,
) -> Measured:
    """Compute every measured column of ``spec`` from a stack.

    Parameters
    ----------
    stack
        Bands in the order of ``spec.bands``.
    static
        Layers without a date, shape (n_static, y, x), in the spec's order; None without any.

    Notes
    -----
    Geometric median: Roberts et al. 2017, doi 10.1109/TGRS.2017.2723896. The three deviations
    from it: Roberts, Dunn and Mueller 2018 (IGARSS), stored as −ln of the raw value.
    """
    shape = stack.valid.shape[1:]
    values = np.full((len(spec.measured), *shape), np.nan, dtype=np.float32)
    counts = np.zeros((len(spec.periods), *shape), dtype=np.uint16)
    position = {name: row for row, name in enumerate(spec.measured_names)}
    for number, period in enumerate(spec.periods):
        steps = np.array([period.holds(date) for date in stack.dates], dtype=bool)
        part = _find_run(steps)
        dn = np.ascontiguousarray(stack.dn[part])
        valid = np.ascontiguousarray(stack.valid[part])
        counts[number] = valid.sum(axis=0)
        for name, layer in _summarize_period(dn, valid, spec, period.name, n_threads).items():
            values[position[name]] = layer
    fill_gaps(values, counts, spec)
    row_of_static = 0
    for column in spec.measured:
        if column.statistic == "static" and static is not None:
            values[position[column.name]] = static[row_of_static]
            row_of_static += 1
    by_name = {name: values[row] for name, row in position.items()}
    for column in spec.measured:
        if column.formula:
            values[position[column.name]] = evaluate_column(column, by_name)
    return Measured(values=values, counts=counts)


def _find_run(steps: NDArray[np.bool_]) -> slice | NDArray[np.bool_]:
    """Return chosen dates as a slice where they follow each other, as those of a period do.

    A slice is a view; a copy would cost as much as the median of a few dates.
    """
    chosen = np.flatnonzero(steps)
    if chosen.size and chosen[-1] - chosen[0] + 1 == chosen.size:
        return slice(int(chosen[0]), int(chosen[-1]) + 1)
    return steps


def _summarize_period(
    dn: NDArray[np.int16],
    valid: NDArray[np.bool_],
    spec: FeatureSpec,
    period: str,
    n_threads: int,
) -> dict[str, NDArray[np.float32]]:
    columns = [c for c in spec.measured if c.period == period and c.statistic]
    band_row = {band: row for row, band in enumerate(spec.bands)}
    layers: dict[str, NDArray[np.float32]] = {}
    if any(c.statistic in ("geomedian", "edev", "sdev", "bcdev") for c in columns):
        found = compute_geomedian(dn, valid, scale=DN_SCALE, n_threads=n_threads)
        raw = {"edev": found.edev, "sdev": found.sdev, "bcdev": found.bcdev}
        for column in columns:
            if column.statistic == "geomedian":
                layers[column.name] = found.median[band_row[column.band]]
            elif column.statistic in raw:
                layers[column.name] = -np.log(np.maximum(raw[column.statistic], MAD_FLOOR))
    for statistic in dict.fromkeys(c.statistic for c in columns if c.statistic in RULES):
        found_layers = summarize(statistic, dn, valid, spec.bands)
        for column in columns:
            if column.statistic == statistic:
                layers[column.name] = found_layers[band_row[column.band]]
    return layers
