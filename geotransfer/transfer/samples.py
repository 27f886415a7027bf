"""Labelled feature rows, and the wall between those that train and those that judge."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from geotransfer.core.spec import FeatureSpec
from geotransfer.errors import LeakRefused, TableInvalid
from geotransfer.imagery.features import derive_table, select_columns

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Codes = NDArray[np.int64]
Names = NDArray[np.str_]


@dataclass(frozen=True, eq=False, kw_only=True)
class Samples:
    """Rows of measured features with their reference class.

    Raises
    ------
    TableInvalid
        The arrays differ in length, or the columns are not the spec's measured ones.
    """

    spec: FeatureSpec
    measured: Float32
    """Shape (n, n_measured), columns in the order of ``spec.measured``."""
    classes: Codes
    """Shape (n,), class codes of the legend."""
    weights: Float64
    """Shape (n,), how many samples a row stands for."""
    xy_km: Float64 | None
    """Shape (n, 2), position in EPSG:6933, kilometres; None where it is not known."""
    region_ids: Names
    """Shape (n,), region each row was drawn in."""

    def __post_init__(self) -> None:
        n = len(self.measured)
        if self.measured.ndim != 2 or self.measured.shape[1] != len(self.spec.measured):
            raise TableInvalid(
                f"the samples have shape {self.measured.shape}, spec {self.spec.name!r} measures"
                f" {len(self.spec.measured)} columns; match the columns by name first."
            )
        for name in ("classes", "weights", "region_ids"):
            if getattr(self, name).shape != (n,):
                raise TableInvalid(f"{name} must have one entry for each of the {n} samples.")
        if self.xy_km is not None and self.xy_km.shape != (n, 2):
            raise TableInvalid(f"xy_km must have shape ({n}, 2), one position a sample.")

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.measured)

    @cached_property
    def features(self) -> Float32:
        """All predictors of the spec, shape (n, n_features)."""
        return derive_table(self.spec, self.measured)

    @cached_property
    def content_id(self) -> str:
        """Content id of the rows, their order and their spec."""
        digest = hashlib.sha256(self.spec.spec_id.encode())
        digest.update(np.ascontiguousarray(self.measured, dtype="<f4").tobytes())
        digest.update(np.ascontiguousarray(self.classes, dtype="<i8").tobytes())
        digest.update(np.ascontiguousarray(self.weights, dtype="<f8").tobytes())
        if self.xy_km is not None:
            digest.update(np.ascontiguousarray(self.xy_km, dtype="<f8").tobytes())
        digest.update("\n".join(self.region_ids.tolist()).encode())
        return digest.hexdigest()

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Samples:
        """Return some of the rows, by mask or index."""
        return replace(
            self,
            measured=self.measured[rows],
            classes=self.classes[rows],
            weights=self.weights[rows],
            xy_km=None if self.xy_km is None else self.xy_km[rows],
            region_ids=self.region_ids[rows],
        )


@dataclass(frozen=True, eq=False)
class CalibrationSet:
    """Labels of the target region that may adapt a model.

    Raises
    ------
    TableInvalid
        A row has a feature that is missing or not finite.
    """

    samples: Samples

    def __post_init__(self) -> None:
        bad = np.flatnonzero(~np.isfinite(self.samples.features).all(axis=1))
        if len(bad):
            raise TableInvalid(
                f"label {bad[0] + 1} has a feature without a value ({len(bad)} labels in all);"
                " remove it, or bring scenes that cover it."
            )


@dataclass(frozen=True, eq=False)
class HoldoutSet:
    """Labels of the target region that only judge; no function that trains accepts them."""

    samples: Samples


def concatenate_samples(first: Samples, *others: Samples) -> Samples:
    """Join samples of one spec; positions are kept only where all have them."""
    parts = (first, *others)
    if len({part.spec.spec_id for part in parts}) > 1:
        raise TableInvalid("samples of different specs cannot be joined; train one model a spec.")
    positions = [part.xy_km for part in parts if part.xy_km is not None]
    return Samples(
        spec=first.spec,
        measured=np.concatenate([part.measured for part in parts]),
        classes=np.concatenate([part.classes for part in parts]),
        weights=np.concatenate([part.weights for part in parts]),
        xy_km=np.concatenate(positions) if len(positions) == len(parts) else None,
        region_ids=np.concatenate([part.region_ids for part in parts]),
    )


def gather_positions(first: Samples, *others: Samples) -> Float64:
    """Positions (n, 2) of the samples joined, NaN where they are not known."""
    return np.concatenate(
        [
            np.full((len(part), 2), np.nan) if part.xy_km is None else part.xy_km
            for part in (first, *others)
        ]
    )


def check_separation(
    calibration: CalibrationSet, holdout: HoldoutSet, *, separation_km: float
) -> None:
    """Refuse a holdout that overlaps the calibration set, row for row or as neighbours.

    Raises
    ------
    LeakRefused
        A holdout row is also a calibration row, or lies within ``separation_km`` of one.
    """
    train, test = calibration.samples, holdout.samples
    seen = {row.tobytes() for row in train.measured}
    same = sum(row.tobytes() in seen for row in test.measured)
    if same:
        raise LeakRefused(
            f"{same} of {len(test)} holdout rows are calibration rows; hold out other rows."
        )
    if separation_km <= 0:
        return
    if train.xy_km is None or test.xy_km is None:
        raise LeakRefused(
            f"a separation of {separation_km:g} km cannot be kept without positions; bring"
            " coordinates, or judge without a distance and say so."
        )
    distance_km, _ = cKDTree(train.xy_km).query(test.xy_km)
    near = int((distance_km < separation_km).sum())
    if near:
        raise LeakRefused(
            f"{near} of {len(test)} holdout rows lie within {separation_km:g} km of a calibration"
            " label; hold out whole blocks at that distance."
        )


def read_reference_table(folder: Path, spec: FeatureSpec) -> Samples:
    """Read one region of the Digital Earth Africa layout.

    Parameters
    ----------
    folder
        Holds ``training_data.txt`` (space separated, header ``# Class blue_S1 …``) and, where
        positions are known, ``coordinates_epsg6933.txt`` (x y in metres, same order). Its name is
        the region's id.

    Raises
    ------
    TableInvalid
        The table is missing, damaged or lacks a column.
    """
    path = folder / "training_data.txt"
    try:
        with path.open(encoding="utf-8") as file:
            names = file.readline().lstrip("#").split()
            table = np.loadtxt(file, dtype=np.float64, ndmin=2)
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise TableInvalid(f"{path}: cannot be read ({error}); fetch the table again.") from error
    if not names or names[0] != "Class" or table.shape[1] != len(names):
        raise TableInvalid(f"{path}: the header must be '# Class' and one name for each column.")
    measured = select_columns(spec, names[1:], table[:, 1:].astype(np.float32), where=str(path))
    positions = folder / "coordinates_epsg6933.txt"
    xy_km = None
    if positions.exists():
        xy_km = np.loadtxt(positions, dtype=np.float64, ndmin=2) / 1000
        if xy_km.shape != (len(table), 2):
            raise TableInvalid(
                f"{positions}: {len(xy_km)} positions for {len(table)} rows;"
                " fetch both files again."
            )
    return Samples(
        spec=spec,
        measured=measured,
        classes=table[:, 0].astype(np.int64),
        weights=np.ones(len(table)),
        xy_km=xy_km,
        region_ids=np.full(len(table), folder.name),
    )


def aggregate_prototypes(samples: Samples, *, max_size: int = 4) -> Samples:
    """Average neighbouring samples: micro-aggregates that stand in for the samples.

    Each prototype is the mean of at most ``max_size`` samples of one region and class, found by
    halving along the direction in which the standardised group varies most (a k-d tree whose
    leaves are the groups; Domingo-Ferrer & Mateo-Sanz 2002, doi 10.1109/69.979982). Its weight is
    the sum of theirs; positions are dropped.
    """
    centre = samples.measured.mean(axis=0, dtype=np.float64)
    scale = samples.measured.std(axis=0, dtype=np.float64)
    table = (samples.measured - centre) / np.where(scale > 0, scale, 1)
    groups: list[NDArray[np.int64]] = []

    def split(rows: NDArray[np.int64]) -> None:
        if len(rows) <= max_size:
            groups.append(rows)
            return
        axis = int(table[rows].var(axis=0).argmax())
        order = rows[np.argsort(table[rows, axis], kind="stable")]
        # Cut at a multiple of the size, so that nearly every leaf is full.
        half = (len(rows) // max_size + 1) // 2 * max_size
        split(order[:half])
        split(order[half:])

    for region_id in np.unique(samples.region_ids):
        for code in np.unique(samples.classes):
            rows = np.flatnonzero((samples.region_ids == region_id) & (samples.classes == code))
            if len(rows):
                split(rows)
    first = np.array([rows[0] for rows in groups])
    weighted = [
        np.average(samples.measured[rows], axis=0, weights=samples.weights[rows]) for rows in groups
    ]
    return Samples(
        spec=samples.spec,
        measured=np.array(weighted, dtype=np.float32),
        classes=samples.classes[first],
        weights=np.array([samples.weights[rows].sum() for rows in groups]),
        xy_km=None,
        region_ids=samples.region_ids[first],
    )
