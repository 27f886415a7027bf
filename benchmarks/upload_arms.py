"""How fast an upload is checked, and how sixty hostile ones end.

``python -m benchmarks.upload_arms --json [--quick]``. 100,000 rows of CSV with one in a hundred
rows spoiled in each of seven ways are read and checked, bytes to reasons, best of three; the same
rows in every other format are the arms. The hostile uploads are those of
``benchmarks.hostile_uploads``; nothing is retried.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio.raw
import shapely

from benchmarks.hostile_uploads import HostileUpload, make_hostile_uploads
from benchmarks.report import read_peak_bytes
from benchmarks.upload_endings import OUTLINE, PERIOD, upload
from geotransfer.core.legend import CROPLAND
from geotransfer.core.spec import S2_SEMIANNUAL
from geotransfer.labels import CheckedLabels, check_labels, read_labels

N_ROWS = 100_000
SEED = 100
LIMIT_S = 5.0


def make_rows(n: int) -> pd.DataFrame:
    """Return n labels as text, seven in a hundred of them spoiled."""
    rng = np.random.default_rng(SEED)
    lon = pd.Series(rng.uniform(4.0, 6.0, n)).map("{:.6f}".format)
    lat = pd.Series(rng.uniform(50.0, 52.0, n)).map("{:.6f}".format)
    name = pd.Series(rng.choice(["crop", "Non crop"], n))
    day = pd.Series(np.datetime64("2019-01-01") + rng.integers(0, 365, n)).dt.strftime("%Y-%m-%d")
    rows = pd.DataFrame({"lon": lon, "lat": lat, "class": name, "date": day})
    rows["surveyor"] = "Ana Lima"
    rows["note"] = [f"plot {i}" for i in range(n)]
    kind = rng.integers(0, 100, n)
    rows.loc[kind == 0, "lat"] = ""
    rows.loc[kind == 1, "lon"] = "4°30'"
    swapped = kind == 2
    rows.loc[swapped, ["lon", "lat"]] = rows.loc[swapped, ["lat", "lon"]].to_numpy()
    rows.loc[kind == 3, "lat"] = "12.5"
    rows.loc[kind == 4, "class"] = "maize?"
    rows.loc[kind == 5, "date"] = "2016-07-01"
    rows.loc[kind == 6, ["lon", "lat", "class"]] = ["5.123456", "51.123456", "crop"]
    return rows


def check(data: bytes, file_name: str) -> CheckedLabels:
    return check_labels(
        read_labels(data, file_name),
        region_outline=OUTLINE,
        imagery_bounds=(4.0, 50.0, 6.0, 52.0),
        imagery_period=PERIOD,
        legend=CROPLAND,
    )


def time_check(data: bytes, file_name: str, *, repeats: int) -> tuple[float, float, CheckedLabels]:
    """Return the best wall and processor seconds of ``repeats``, and the last result.

    Far apart, they say that the machine had other work.
    """
    wall_s, cpu_s = [], []
    checked = None
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        checked = check(data, file_name)
        wall_s.append(time.perf_counter() - wall)
        cpu_s.append(time.process_time() - cpu)
    assert checked is not None
    return min(wall_s), min(cpu_s), checked


def write_formats(rows: pd.DataFrame) -> dict[str, bytes]:
    """Return the rows as files of every format, but those without a place."""
    files = {"labels.csv": rows.to_csv(index=False).encode()}
    semicolons = rows.assign(lon=rows["lon"].str.replace(".", ","))
    files["commas.csv"] = semicolons.to_csv(index=False, sep=";").encode("utf-16")
    wide = rows.copy()
    rng = np.random.default_rng(SEED)
    for name in S2_SEMIANNUAL.measured_names:
        wide[name] = rng.random(len(rows)).round(4)
    files["features.csv"] = wide.to_csv(index=False).encode()
    xy = rows[["lon", "lat"]].apply(pd.to_numeric, errors="coerce").to_numpy()
    placed = np.isfinite(xy).all(axis=1)
    points = shapely.points(xy[placed])
    kept = rows[placed].drop(columns=["lon", "lat"])
    wkt = kept.assign(wkt=shapely.to_wkt(points))
    files["wkt.csv"] = wkt.to_csv(index=False).encode()
    squares = shapely.box(*np.add(shapely.bounds(points), [-1e-4, -1e-4, 1e-4, 1e-4]).T)
    features = [
        {
            "type": "Feature",
            "properties": properties,
            "geometry": {"type": "Point", "coordinates": position},
        }
        for properties, position in zip(kept.to_dict("records"), xy[placed].tolist(), strict=True)
    ]
    files["labels.geojson"] = json.dumps(
        {"type": "FeatureCollection", "features": features}
    ).encode()
    geo = {"primary_column": "geometry", "columns": {"geometry": {"encoding": "WKB"}}}
    table = pa.Table.from_pandas(kept, preserve_index=False)
    for name, shapes in (("labels", points), ("squares", squares)):
        packed = io.BytesIO()
        full = table.append_column("geometry", pa.array(shapely.to_wkb(shapes).tolist()))
        pq.write_table(full.replace_schema_metadata({"geo": json.dumps(geo)}), packed)
        files[f"{name}.parquet"] = packed.getvalue()
    with tempfile.TemporaryDirectory() as folder:
        for suffix, driver in (("gpkg", "GPKG"), ("shp", "ESRI Shapefile")):
            pyogrio.raw.write(
                Path(folder) / f"labels.{suffix}",
                shapely.to_wkb(points),
                field_data=[kept[c].to_numpy(dtype=object) for c in kept],
                fields=list(kept.columns),
                geometry_type="Point",
                crs="EPSG:4326",
                driver=driver,
            )
        files["labels.gpkg"] = (Path(folder) / "labels.gpkg").read_bytes()
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(Path(folder).glob("labels.*")):
                if path.suffix != ".gpkg":
                    archive.write(path, path.name)
        files["labels.zip"] = packed.getvalue()
    return files


def measure_upload(quick: bool) -> dict[str, Any]:
    """Return the figures ``upload_rows_s`` and ``hostile_ok`` and what lies behind them.

    ``quick`` checks all rows once, the formats with a hundredth of them, and two of each kind of
    hostile upload.
    """
    rows = make_rows(N_ROWS)
    data = rows.to_csv(index=False).encode()
    repeats = 1 if quick else 3
    wall_s, cpu_s, checked = time_check(data, "labels.csv", repeats=repeats)
    n_arm = N_ROWS // 100 if quick else N_ROWS
    formats = {}
    for name, content in write_formats(rows[:n_arm]).items():
        arm_s, arm_cpu_s, arm = time_check(content, name, repeats=1)
        formats[name] = {
            "rows": len(arm.table),
            "wall_s": round(arm_s, 3),
            "cpu_s": round(arm_cpu_s, 3),
            "megabytes": round(len(content) / 1e6, 2),
            "rejected": len(arm.rejected),
        }
    endings, ok = [], 0
    cases = make_hostile_uploads()
    if quick:
        by_kind: dict[str, list[HostileUpload]] = {}
        for case in cases:
            by_kind.setdefault(case.kind, []).append(case)
        cases = tuple(case for of_kind in by_kind.values() for case in of_kind[:2])
    for case in cases:
        start = time.perf_counter()
        ending = upload(case)
        ok += ending.ok
        endings.append(
            {
                "kind": case.kind,
                "name": case.name,
                "ok": ending.ok,
                "why": ending.why,
                "told": ending.messages[0][:300] if ending.messages else "",
                "wall_s": round(time.perf_counter() - start, 3),
            }
        )
    return {
        "figures": [
            {
                "id": "upload_rows_s",
                "value": round(wall_s, 3),
                "holds": wall_s <= LIMIT_S,
                "n": N_ROWS,
                "seed": SEED,
                "note": f"seconds from bytes to reasons, CSV, best of {repeats}"
                f" ({cpu_s:.2f} s of one processor); {len(checked.rejected):,} rows rejected",
            },
            {
                "id": "hostile_ok",
                "value": ok,
                "holds": ok == len(endings),
                "n": len(endings),
                "seed": 7_060,
                "note": "uploads that end in a clear message, no traceback, no file left behind",
            },
        ],
        "arms": {
            "formats": formats,
            "rejected_by_kind": {str(k): n for k, n in checked.n_by_kind.items()},
            "hostile": endings,
            "peak_rss_mb": round(read_peak_bytes() / 2**20),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="fewer rows in the arms")
    options = parser.parse_args()
    result = measure_upload(options.quick)
    if options.json:
        print(json.dumps(result, ensure_ascii=False))
        return
    for figure in result["figures"]:
        print(f"{figure['id']}: {figure['value']} ({figure['note']})")
    for name, arm in result["arms"]["formats"].items():
        print(f"  {name}: {arm}")
    for ending in result["arms"]["hostile"]:
        print(
            f"  {'ok ' if ending['ok'] else 'BAD'} {ending['kind']} · {ending['name']}:"
            f" {ending['why'] or ending['told']} ({ending['wall_s']} s)"
        )


if __name__ == "__main__":
    main()
