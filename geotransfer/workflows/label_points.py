"""Labels as they are stored: one row a label, with its place and features it brought along."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

from geotransfer.core.fact import LabelsAdded
from geotransfer.core.legend import Legend
from geotransfer.core.region import Region
from geotransfer.imagery.areas import EQUAL_AREA
from geotransfer.store.workspace import Workspace


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelPoints:
    """Checked labels of one region."""

    geometry: NDArray[np.object_]
    """Shape (n,), shapely points or polygons in EPSG:4326; None where a table gave no places."""
    codes: NDArray[np.int64]
    """Shape (n,), class codes of the legend."""
    measured: NDArray[np.float32] | None = None
    """Shape (n, n_measured), where the file carried the spec's columns itself."""

    @property
    def has_places(self) -> bool:
        """Whether every label has a place."""
        return all(geometry is not None for geometry in self.geometry)

    @property
    def lonlat(self) -> NDArray[np.float64]:
        """A point inside each geometry, shape (n, 2), degrees."""
        return np.asarray(shapely.get_coordinates(shapely.point_on_surface(self.geometry)))

    @property
    def xy_km(self) -> NDArray[np.float64]:
        """Positions in EPSG:6933, kilometres, shape (n, 2)."""
        to_equal_area = Transformer.from_crs("EPSG:4326", EQUAL_AREA, always_xy=True)
        lonlat = self.lonlat
        return np.column_stack(to_equal_area.transform(lonlat[:, 0], lonlat[:, 1])) / 1000


def make_points(
    lon: NDArray[np.float64], lat: NDArray[np.float64], codes: NDArray[np.int64]
) -> LabelPoints:
    """Make labels of plain coordinates."""
    return LabelPoints(geometry=np.asarray(shapely.points(lon, lat)), codes=codes)


def write_points(points: LabelPoints) -> bytes:
    """Write labels as Parquet bytes; equal labels give equal bytes."""
    columns: dict[str, object] = {
        "geometry": pa.array(shapely.to_wkb(points.geometry).tolist(), pa.binary()),
        "code": points.codes,
    }
    if points.measured is not None:
        columns["measured"] = points.measured.tolist()
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, compression="zstd")
    return sink.getvalue()


def read_points(data: bytes) -> LabelPoints:
    """Read labels written by ``write_points``."""
    table = pq.read_table(io.BytesIO(data))
    measured = None
    if "measured" in table.column_names:
        measured = np.asarray(table["measured"].to_pylist(), dtype=np.float32)
    return LabelPoints(
        geometry=np.asarray(shapely.from_wkb(table["geometry"].to_pylist())),
        codes=table["code"].to_numpy().astype(np.int64),
        measured=measured,
    )


def make_points_geojson(data: bytes, legend: Legend) -> bytes:
    """Return stored labels as GeoJSON with their class, its code and colour; opens in any GIS."""
    points = read_points(data)
    classes = {
        item.code: {"class": item.name, "code": item.code, "color": item.color}
        for item in legend.classes
    }
    features = [
        {
            "type": "Feature",
            "geometry": json.loads(shapely.to_geojson(geometry)),
            "properties": classes.get(int(code), {"class": "", "code": int(code)}),
        }
        for geometry, code in zip(points.geometry, points.codes, strict=True)
        if geometry is not None
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


def add_points(
    workspace: Workspace,
    region: Region,
    points: LabelPoints,
    *,
    role: str,
    file_name: str,
    n_rejected: int,
    legend: Legend,
    actor: str,
) -> LabelsAdded:
    """Store checked labels for a region and record that they came in."""
    names = dict(zip(legend.codes, legend.names, strict=True))
    fact = LabelsAdded(
        region_id=region.region_id,
        labels_id=workspace.blobs.put(write_points(points)),
        role=role,
        file_name=file_name,
        n_rows=len(points.codes),
        n_rejected=n_rejected,
        class_counts={
            names[int(code)]: int(count)
            for code, count in zip(*np.unique(points.codes, return_counts=True), strict=True)
        },
    )
    workspace.ledger.append(fact, actor=actor)
    return fact


def find_labels(workspace: Workspace, region_id: str, role: str) -> LabelsAdded | None:
    """Return the newest labels of a role that are not erased, or None."""
    facts = workspace.ledger.read(LabelsAdded, region_id=region_id)
    alive = [
        r.fact for r in facts if r.fact.role == role and workspace.blobs.exists(r.fact.labels_id)
    ]
    return alive[-1] if alive else None
