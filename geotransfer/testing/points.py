"""Labelled points from a simulated region's truth, and files of them with planted faults."""

from __future__ import annotations

import csv
import datetime as dt
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

from geotransfer.core.legend import CROPLAND
from geotransfer.errors import InputError
from geotransfer.testing.items import write_new_file
from geotransfer.testing.world import SimulatedRegion

Design = Literal["random", "stratified", "clustered"]

FAULTS = (
    "longitude and latitude swapped",
    "unknown class",
    "missing coordinate",
    "outside the region",
    "conflicting class at the place of another point",
    "date outside the imagery's period",
)
"""What ``write_points_csv`` plants, in this order, again from the start after the sixth."""

_CLUSTER_PX = 12
_N_CLUSTERS = 8
_EDGE_PX = 2


@dataclass(frozen=True, eq=False, kw_only=True)
class Points:
    """Labelled pixel centres.

    Attributes
    ----------
    longitude, latitude
        Degrees in EPSG:4326, shape (n,).
    class_names
        Name in the cropland legend, shape (n,).
    rows, cols
        Pixel of each point in the region's grid, shape (n,).
    units
        Unit of land (field, patch, road) of each point, shape (n,): points of one unit are not
        independent.
    date
        Day whose truth the classes are.
    """

    longitude: NDArray[np.float64]
    latitude: NDArray[np.float64]
    class_names: NDArray[np.str_]
    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    units: NDArray[np.int64]
    date: dt.date

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.rows)


def sample_points(
    region: SimulatedRegion,
    n: int,
    seed: int,
    *,
    design: Design = "random",
    date: dt.date | None = None,
) -> Points:
    """Draw labelled points from a region's truth, each pixel at most once.

    Parameters
    ----------
    design
        ``random``: every pixel with the same chance; ``stratified``: as many of each class;
        ``clustered``: around eight random places, as labels collected by car are.
    date
        Day whose truth is the label; None: the last day of the world's year.
    """
    rng = np.random.default_rng([*region.ground.seed, 0xDA7A, seed])
    date = date or dt.date(region.start.year, 12, 31)
    truth = region.ground.find_truth(date)
    inside = np.zeros(truth.shape, bool)
    inside[_EDGE_PX:-_EDGE_PX, _EDGE_PX:-_EDGE_PX] = True
    candidates = np.flatnonzero(inside)
    if n > len(candidates):
        raise InputError(f"{n} points do not fit into {len(candidates)} pixels; ask for fewer.")
    if design == "random":
        chosen = rng.choice(candidates, n, replace=False)
    elif design == "stratified":
        classes = truth.ravel()[candidates]
        parts = np.array_split(np.arange(n), len(CROPLAND.codes))
        chosen = np.concatenate(
            [
                rng.choice(candidates[classes == code], len(part), replace=False)
                for code, part in zip(CROPLAND.codes, parts, strict=True)
            ]
        )
    else:
        y, x = np.divmod(candidates, truth.shape[1])
        places = rng.uniform((0, 0), truth.shape, (_N_CLUSTERS, 2))
        distance = np.hypot(y[:, np.newaxis] - places[:, 0], x[:, np.newaxis] - places[:, 1])
        chance = np.exp(-0.5 * (distance / _CLUSTER_PX) ** 2).sum(axis=1) + 1e-12
        chosen = rng.choice(candidates, n, replace=False, p=chance / chance.sum())
    rng.shuffle(chosen)
    rows, cols = np.divmod(chosen, truth.shape[1])
    longitude, latitude = _find_lonlat(region, rows, cols)
    return Points(
        longitude=longitude,
        latitude=latitude,
        class_names=np.array(CROPLAND.names)[truth[rows, cols]],
        rows=rows,
        cols=cols,
        units=region.ground.land.unit_of[rows, cols].astype(np.int64),
        date=date,
    )


def _find_lonlat(
    region: SimulatedRegion, rows: NDArray[np.int64], cols: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    a, _, left, _, e, top = region.grid.transform
    to_lonlat = Transformer.from_crs(region.grid.crs, "EPSG:4326", always_xy=True)
    longitude, latitude = to_lonlat.transform(left + a * (cols + 0.5), top + e * (rows + 0.5))
    return np.asarray(longitude), np.asarray(latitude)


def write_points_csv(
    region: SimulatedRegion,
    path: Path,
    n: int,
    seed: int,
    *,
    n_bad: int = 6,
    design: Design = "random",
) -> Points:
    """Write ``n`` good points and ``n_bad`` faulty ones as CSV, and return the good ones.

    The columns are ``lon``, ``lat``, ``class``, ``date``; the faulty rows follow the good ones, in
    the order of ``FAULTS``.
    """
    points = sample_points(region, n, seed, design=design)
    rng = np.random.default_rng([*region.ground.seed, 0xBAD, seed])
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["lon", "lat", "class", "date"])
    day = points.date.isoformat()
    good = [
        [f"{x:.7f}", f"{y:.7f}", str(name), day]
        for x, y, name in zip(points.longitude, points.latitude, points.class_names, strict=True)
    ]
    writer.writerows(good)
    # Faults are made from other places, so that each row has only its own fault.
    spare = sample_points(region, n + n_bad, seed + 1, design=design)
    taken = set(zip(points.rows.tolist(), points.cols.tolist(), strict=True))
    free = [
        i
        for i, place in enumerate(zip(spare.rows.tolist(), spare.cols.tolist(), strict=True))
        if place not in taken
    ][:n_bad]
    for k, i in enumerate(free):
        lon, lat = f"{spare.longitude[i]:.7f}", f"{spare.latitude[i]:.7f}"
        name = str(spare.class_names[i])
        match k % len(FAULTS):
            case 0:
                row = [lat, lon, name, day]
            case 1:
                row = [lon, lat, "cropp", day]
            case 2:
                row = [lon, "", name, day]
            case 3:
                row = [f"{spare.longitude[i] + 1.0:.7f}", lat, name, day]
            case 4:
                x, y, other, _ = good[int(rng.integers(len(good)))]
                row = [x, y, next(c for c in CROPLAND.names if c != other), day]
            case _:
                row = [lon, lat, name, dt.date(region.start.year - 8, 6, 1).isoformat()]
        writer.writerow(row)
    write_new_file(path, text.getvalue().encode())
    return points
