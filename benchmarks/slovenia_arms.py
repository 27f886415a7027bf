"""The real series: 68 dates over Slovenia, refreshed one by one, against full recomputation."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from pyproj import Transformer

from benchmarks.refresh_arms import ACTOR, read_classes, time_refresh
from geotransfer.core.fact import AuditDone, ModelPromoted, ModelRegistered, RefreshDone
from geotransfer.settings import read_settings
from geotransfer.store.tables import read_table
from geotransfer.store.workspace import Workspace, open_workspace
from geotransfer.workflows.definitions import add_legend, add_spec, open_definition
from geotransfer.workflows.labels import add_checked, check_file
from geotransfer.workflows.refresh import refresh
from geotransfer.workflows.regions import add_region
from geotransfer.workflows.scenes import add_scenes
from geotransfer.workflows.train_own import train_on_labels

FOLDER = "slovenia-series-2015-2017"
REGION = "slovenia"
SEED = 5
N_FIRST = 28
"""Dates of the first map: one year, so that every season is seen."""
SPEC = """
name: ndvi-seasons
periods:
  winter: [12, 1, 2, 3]
  spring: [4, 5, 6]
  summer: [7, 8]
  autumn: [9, 10, 11]
bands: [ndvi]
statistics: [median, maximum, minimum]
min_valid: 1
"""
LEGEND = """
name: slovenia-land-cover
classes:
  - {code: 1, name: cultivated land}
  - {code: 2, name: forest}
  - {code: 3, name: grassland}
  - {code: 4, name: shrubland}
  - {code: 8, name: artificial surface}
"""


def find_reference_data() -> Path:
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("GEOTRANSFER_REFERENCE_DATA", default))


def measure_slovenia(folder: Path) -> dict[str, Any]:
    """CPU share, stale share and what was judged significant, date by date."""
    data = find_reference_data() / FOLDER
    if not (data / "items.json").exists():
        return {"skipped": f"{data} is absent; set GEOTRANSFER_REFERENCE_DATA"}
    features = json.loads((data / "items.json").read_text())["features"]
    features.sort(key=lambda item: (item["properties"]["datetime"], item["id"]))
    for item in features:
        for asset in item["assets"].values():
            asset["href"] = str((data / asset["href"]).resolve())
    ours = _open(folder / "slovenia", data, features[:N_FIRST])
    labels = _draw_labels(data / "reference" / "land_cover.tif")
    checked = check_file(ours, REGION, labels, "land-cover.csv")
    add_checked(ours, REGION, checked, role="calibration", actor=ACTOR)
    model = train_on_labels(ours, [REGION], actor=ACTOR)
    refresh(ours, REGION, actor=ACTOR)
    later = features[N_FIRST:]
    rows, ours_s, full_s, stale = [], [], [], []
    for number, item in enumerate(later, start=N_FIRST + 1):
        _add(ours, folder, [item])
        cpu_s, done = time_refresh(ours, REGION)
        classes = read_classes(ours, done)
        full = _open(folder / "full", data, features[:number], copy_model=(ours, model.model_id))
        again_s, again = time_refresh(full, REGION)
        truth = read_classes(full, again)
        shutil.rmtree(folder / "full")
        ours_s.append(cpu_s)
        full_s.append(again_s)
        stale.append(float((classes != truth).mean()))
        rows.append(_describe(ours, item, done, stale[-1]))
    audits = [r.fact for r in ours.ledger.read(AuditDone, region_id=REGION)]
    return {
        "cpu_share": sum(ours_s) / sum(full_s),
        "stale_share": float(np.mean(stale)),
        "difference_at_the_end": stale[-1],
        "n_dates": len(rows),
        "bound": audits[-1].bound if audits else None,
        "is_certified": audits[-1].is_certified if audits else None,
        "dates": rows,
    }


def _describe(
    workspace: Workspace, item: dict[str, Any], done: RefreshDone, stale: float
) -> list[Any]:
    """Date, test, share of its clear pixels that were computed, stale share afterwards."""
    decisions = read_table(workspace.blobs.get(done.decisions_id)) if done.decisions_id else []
    own = [row for row in decisions if row["item_id"] == item["id"]]
    n_pixels = sum(row["n_pixels"] for row in own)
    n_computed = sum(row["n_computed"] for row in own)
    share = round(n_computed / n_pixels, 3) if n_pixels else None
    tests = ", ".join(sorted({row["test"] for row in own}))
    return [item["id"].removeprefix("si-"), tests, n_pixels, share, round(stale, 4)]


def _open(
    folder: Path,
    data: Path,
    features: list[dict[str, Any]],
    *,
    copy_model: tuple[Workspace, str] | None = None,
) -> Workspace:
    settings: dict[str, object] = {"workspace": str(folder), "n_threads": 1, "tile_px": 64}
    if copy_model is not None:
        # The same model and definitions, nothing of the maps: a whole computation.
        shutil.copytree(copy_model[0].folder / "blobs", folder / "blobs")
        settings["cube_gb"] = 0
    workspace = open_workspace(read_settings({}, settings), create=True)
    for name, text in (("spec", SPEC), ("legend", LEGEND)):
        path = folder / f"{name}.yaml"
        path.write_text(text)
        add = add_spec if name == "spec" else add_legend
        add(workspace, open_definition(path), actor=ACTOR)
    with rasterio.open(data / "reference" / "land_cover.tif") as file:
        ring = [(0, 0), (file.width, 0), (file.width, file.height), (0, file.height), (0, 0)]
        to_lonlat = Transformer.from_crs(file.crs, "EPSG:4326", always_xy=True)
        places = [list(to_lonlat.transform(*(file.transform @ xy))) for xy in ring]
    add_region(
        workspace, json.dumps({"type": "Polygon", "coordinates": [places]}), name=REGION,
        region_id=REGION, spec_name="ndvi-seasons", legend_name="slovenia-land-cover",
        actor=ACTOR,
    )  # fmt: skip
    _add(workspace, folder, features)
    if copy_model is not None:
        _copy_model(*copy_model, workspace)
    return workspace


def _copy_model(source: Workspace, model_id: str, target: Workspace) -> None:
    """Register another workspace's model by its facts."""
    for kind in (ModelRegistered, ModelPromoted):
        for recorded in source.ledger.read(kind):
            target.ledger.append(recorded.fact, actor=ACTOR)


def _add(workspace: Workspace, folder: Path, features: list[dict[str, Any]]) -> None:
    path = folder / "items.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    add_scenes(workspace, REGION, str(path), actor=ACTOR)


def _draw_labels(path: Path) -> bytes:
    """Half of the pixels with a land cover, as a label file."""
    with rasterio.open(path) as file:
        codes, affine, crs = file.read(1), file.transform, file.crs
    to_lonlat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    rows, cols = np.nonzero(codes)
    chosen = np.random.default_rng(SEED).permutation(len(rows))[: len(rows) // 2]
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["lon", "lat", "class"])
    for k in chosen:
        lon, lat = to_lonlat.transform(*(affine @ (cols[k] + 0.5, rows[k] + 0.5)))
        writer.writerow([f"{lon:.8f}", f"{lat:.8f}", codes[rows[k], cols[k]]])
    return table.getvalue().encode()
