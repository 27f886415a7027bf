"""The same labels as files of every format."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio.raw
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer

OUTLINE = json.dumps(
    {"type": "Polygon", "coordinates": [[[4, 50], [6, 50], [6, 52], [4, 52], [4, 50]]]}
)


@dataclass(frozen=True)
class Labels:
    """Honest labels in EPSG:4326."""

    geometry: NDArray[np.object_]
    names: Sequence[str]
    days: Sequence[str]

    @property
    def xy(self) -> NDArray[np.float64]:
        return shapely.get_coordinates(self.geometry)


def make_labels(n: int = 12, *, outlines: bool = False) -> Labels:
    rng = np.random.default_rng(7)
    xy = np.column_stack([rng.uniform(4.1, 5.9, n), rng.uniform(50.1, 51.9, n)]).round(6)
    geometry = shapely.points(xy)
    if outlines:
        geometry = shapely.box(*np.add(xy, -2e-4).T, *np.add(xy, 2e-4).T)
    names = ["forêt claire", "non-crop", "crop"] * n
    return Labels(geometry, names[:n], [f"2019-05-{1 + i % 28:02d}" for i in range(n)])


def project(geometry: NDArray[np.object_], crs: str) -> NDArray[np.object_]:
    transformer = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    return shapely.transform(
        geometry, lambda xy: np.column_stack(transformer.transform(xy[:, 0], xy[:, 1]))
    )


def write_csv(header: str, rows: Sequence[Sequence[object]], delimiter: str = ",") -> str:
    lines = [header, *(delimiter.join(str(cell) for cell in row) for row in rows)]
    return "\n".join(lines) + "\n"


def write_geojson(labels: Labels, crs: str | None = None) -> bytes:
    geometry = project(labels.geometry, crs) if crs else labels.geometry
    document: dict[str, object] = {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "properties": {"class": name, "date": day},
                "geometry": json.loads(shapely.to_geojson(shape)),
            }
            for shape, name, day in zip(geometry, labels.names, labels.days, strict=True)
        ],
    }
    if crs:
        code = crs.replace("EPSG:", "urn:ogc:def:crs:EPSG::")
        document["crs"] = {"type": "name", "properties": {"name": code}}
    return json.dumps(document).encode()


def write_vector(
    labels: Labels,
    driver: str,
    *,
    crs: str | None = "EPSG:4326",
    layers: Sequence[str] = ("labels",),
    encoding: str = "UTF-8",
) -> dict[str, bytes]:
    """Return the files GDAL writes: one GeoPackage, or the parts of Shapefiles, by name."""
    geometry = project(labels.geometry, crs) if crs and crs != "EPSG:4326" else labels.geometry
    kind = "Point" if geometry[0].geom_type == "Point" else "Polygon"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for layer in layers:
            path = folder / ("labels.gpkg" if driver == "GPKG" else f"{layer}.shp")
            pyogrio.raw.write(
                path,
                shapely.to_wkb(geometry),
                field_data=[np.array(labels.names, object), np.array(labels.days, "datetime64[D]")],
                fields=["class", "date"],
                geometry_type=kind,
                crs=crs,
                driver=driver,
                layer=layer,
                append=path.exists(),
                encoding=encoding if driver != "GPKG" else None,
            )
        return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def zip_files(files: Mapping[str, bytes], *, folder: str = "") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(folder + name, data)
    return packed.getvalue()


def write_geoparquet(labels: Labels, crs: str | None = None) -> bytes:
    geometry = project(labels.geometry, crs) if crs else labels.geometry
    described: dict[str, object] = {"encoding": "WKB", "geometry_types": []}
    if crs:
        described["crs"] = CRS.from_user_input(crs).to_json_dict()
    geo = {"version": "1.1.0", "primary_column": "shape", "columns": {"shape": described}}
    table = pa.table(
        {
            "class": pa.array(labels.names).dictionary_encode(),
            "date": pa.array(np.array(labels.days, "datetime64[D]")),
            "shape": pa.array(shapely.to_wkb(geometry).tolist()),
        }
    )
    packed = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"geo": json.dumps(geo)}), packed)
    return packed.getvalue()
