"""From measured columns to all predictors of a spec: pure functions on arrays.

Arrays are ``(n_columns, …)``: one row a column, any trailing shape. Values that cannot be computed
(0/0, a missing measurement) are NaN and stay NaN; nothing is filled in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from geotransfer.core.spec import Column, FeatureSpec
from geotransfer.errors import SpecMismatch

Array = NDArray[np.float32]

LOG_FLOOR = np.float32(1e-6)
"""Reflectances at or below zero are raised to this before a logarithm."""


def normalized_difference(a: Array, b: Array) -> Array:
    """Return (a − b)/(a + b), in [−1, 1] for non-negative inputs; 0/0 is NaN. Rouse et al. 1974."""
    total = a + b
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (a - b) / total
    # A sum near zero makes the ratio explode: reflectance below zero is noise.
    return np.where(total > LOG_FLOOR, ratio, np.float32(np.nan))


def normalized_difference_change(a1: Array, b1: Array, a2: Array, b2: Array) -> Array:
    """Return the normalised difference of the second season minus that of the first."""
    return normalized_difference(a2, b2) - normalized_difference(a1, b1)


def leaf_area_index(nir: Array, red: Array, blue: Array) -> Array:
    """Return 3.618·EVI − 0.118 with EVI = 2.5(nir − red)/(nir + 6red − 7.5blue + 1).

    Boegh et al. 2002, doi 10.1016/S0034-4257(01)00342-X.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        evi = (
            np.float32(2.5) * (nir - red) / (nir + np.float32(6) * red - np.float32(7.5) * blue + 1)
        )
    index = np.float32(3.618) * evi - np.float32(0.118)
    return np.where(np.isfinite(index), index, np.float32(np.nan))


def share(part: Array, *parts: Array) -> Array:
    """Return ``part`` over the sum of ``parts``."""
    total: Array = parts[0].copy()
    for item in parts[1:]:
        total += item
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(total > LOG_FLOOR, part / total, np.float32(np.nan))


def log_ratio(a: Array, b: Array) -> Array:
    """Return ln(a/b), both floored at ``LOG_FLOOR``."""
    return np.log(np.maximum(a, LOG_FLOOR)) - np.log(np.maximum(b, LOG_FLOOR))


def log_ratio_change(a1: Array, b1: Array, a2: Array, b2: Array) -> Array:
    """Return ln(a/b) of the second season minus that of the first, all floored."""
    return log_ratio(a2, b2) - log_ratio(a1, b1)


def difference(a: Array, b: Array) -> Array:
    """Return a − b."""
    return a - b


def absolute_difference(a: Array, b: Array) -> Array:
    """Return |a − b|."""
    change: Array = np.abs(a - b)
    return change


def maximum(*parts: Array) -> Array:
    """Return the largest value; NaN where any is."""
    found: Array = parts[0].copy()
    for item in parts[1:]:
        np.maximum(found, item, out=found)
    return found


def minimum(*parts: Array) -> Array:
    """Return the smallest value; NaN where any is."""
    found: Array = parts[0].copy()
    for item in parts[1:]:
        np.minimum(found, item, out=found)
    return found


def mean(*parts: Array) -> Array:
    """Return the mean; NaN where any is."""
    total: Array = parts[0].copy()
    for item in parts[1:]:
        total += item
    return total / np.float32(len(parts))


def value_range(*parts: Array) -> Array:
    """Return the largest minus the smallest value; NaN where any is."""
    return maximum(*parts) - minimum(*parts)


def negative(a: Array) -> Array:
    """Return −a."""
    return -a


def log_sum(*parts: Array) -> Array:
    """Return the logarithm of the sum, floored at ``LOG_FLOOR``."""
    total: Array = parts[0].copy()
    for item in parts[1:]:
        total += item
    return np.log(np.maximum(total, LOG_FLOOR))


_FORMULAS: dict[str, Callable[..., Array]] = {
    "normalized_difference": normalized_difference,
    "normalized_difference_change": normalized_difference_change,
    "leaf_area_index": leaf_area_index,
    "share": share,
    "log_ratio": log_ratio,
    "log_ratio_change": log_ratio_change,
    "difference": difference,
    "absolute_difference": absolute_difference,
    "maximum": maximum,
    "minimum": minimum,
    "negative": negative,
    "log_sum": log_sum,
    "mean": mean,
    "range": value_range,
}


def evaluate_column(column: Column, values: dict[str, Array]) -> Array:
    """Evaluate one formula column; ``values`` holds its inputs by name."""
    formula = _FORMULAS.get(column.formula)
    if formula is None:
        raise SpecMismatch(
            f"column {column.name!r}: unknown formula {column.formula!r};"
            f" known are {', '.join(sorted(_FORMULAS))}."
        )
    result: Array = formula(*[values[name] for name in column.inputs])
    return result


def derive_features(spec: FeatureSpec, measured: Array) -> Array:
    """Compute all predictors of ``spec``.

    Parameters
    ----------
    measured
        Shape ``(n_measured, …)``, rows in the order of ``spec.measured``.

    Returns
    -------
    Shape ``(n_measured + n_derived, …)``, float32, rows in the order of ``spec.names``.
    """
    if measured.shape[0] != len(spec.measured):
        raise SpecMismatch(
            f"{measured.shape[0]} measured columns were given, spec {spec.name!r} has"
            f" {len(spec.measured)}."
        )
    out = np.empty((len(spec.measured) + len(spec.derived), *measured.shape[1:]), dtype=np.float32)
    out[: len(spec.measured)] = measured
    values = dict(zip(spec.measured_names, out, strict=False))
    for row, column in enumerate(spec.derived, start=len(spec.measured)):
        out[row] = evaluate_column(column, values)
    return out


def derive_table(spec: FeatureSpec, rows: Array) -> Array:
    """Do the same for a table: ``(n, n_measured)`` in, ``(n, n_features)`` out, C-contiguous."""
    return np.ascontiguousarray(derive_features(spec, np.ascontiguousarray(rows.T)).T)


def select_columns(spec: FeatureSpec, names: Sequence[str], rows: Array, *, where: str) -> Array:
    """Match a table's columns to the spec by name, in any order; extra columns are left out."""
    position = {name: i for i, name in enumerate(names)}
    missing = [name for name in spec.measured_names if name not in position]
    if missing:
        spec.check_columns(tuple(names), where=where)
    return np.ascontiguousarray(rows[:, [position[name] for name in spec.measured_names]])
