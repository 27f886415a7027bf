"""A real series as a spec of one band and many dates, and a real legend of five classes."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from pyproj import Transformer

from geotransfer.store.workspace import Workspace, open_workspace
from geotransfer.transfer.trees import Training
from geotransfer.workflows import train_own
from geotransfer.workflows.check_list import describe_checks
from geotransfer.workflows.definitions import add_legend, add_spec, open_definition
from geotransfer.workflows.evaluate import evaluate_region
from geotransfer.workflows.labels import add_checked, check_file
from geotransfer.workflows.maps import locate_map
from geotransfer.workflows.refresh import refresh
from geotransfer.workflows.regions import add_region
from geotransfer.workflows.scenes import add_scenes
from geotransfer.workflows.train_own import train_on_labels

FOLDER = "slovenia-series-2015-2017"
SPEC = """
name: ndvi-months
periods: months
bands: [ndvi]
statistics: [median, maximum, minimum]
min_valid: 1
gap_filling: linear
derived:
  ndvi_mean: {formula: mean, inputs: ["ndvi_m0*", "ndvi_m1*"]}
  ndvi_range: {formula: range, inputs: ["ndvi_m0*", "ndvi_m1*"]}
"""
LEGEND = """
name: land-cover
classes:
  - {code: 1, name: cultivated land}
  - {code: 2, name: forest}
  - {code: 3, name: grassland}
  - {code: 4, name: shrubland}
  - {code: 8, name: artificial surface}
"""
MIDDLE, WIDTH = 50, 100
APART = 21
"""Columns of 10 m between the half that trains and the points that judge."""


class LandCover:
    """The real land cover, and label files drawn from parts of it."""

    def __init__(self, folder: Path) -> None:
        with rasterio.open(folder / "reference" / "land_cover.tif") as file:
            self.codes, self.affine, crs = file.read(1), file.transform, file.crs
        self.to_lonlat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)

    def outline(self, first: int, last: int) -> str:
        rows = len(self.codes)
        ring = [(first, 0), (last, 0), (last, rows), (first, rows), (first, 0)]
        places = [self.to_lonlat.transform(*(self.affine @ xy)) for xy in ring]
        return json.dumps({"type": "Polygon", "coordinates": [[list(p) for p in places]]})

    def draw(self, first: int, last: int, n: int, seed: int) -> bytes:
        rows, cols = np.nonzero(self.codes)
        inside = (cols >= first) & (cols < last)
        rows, cols = rows[inside], cols[inside]
        table = io.StringIO()
        writer = csv.writer(table)
        writer.writerow(["lon", "lat", "class"])
        for k in np.random.default_rng(seed).permutation(len(rows))[:n]:
            xy = self.affine @ (cols[k] + 0.5, rows[k] + 0.5)
            lon, lat = self.to_lonlat.transform(*xy)
            writer.writerow([f"{lon:.8f}", f"{lat:.8f}", self.codes[rows[k], cols[k]]])
        return table.getvalue().encode()


def add_labels(workspace: Workspace, region: str, data: bytes, role: str) -> None:
    checked = check_file(workspace, region, data, "land-cover.csv")
    assert len(checked.rejected) == 0
    add_checked(workspace, region, checked, role=role, actor="test")


@pytest.mark.reference
@pytest.mark.slow
def test_half_of_a_real_land_cover_maps_the_other_half(
    make_settings, clock, reference_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_own, "OWN_TRAINING", (Training(n_trees=60, n_leaves=15),))
    cover = LandCover(reference_data / FOLDER)
    workspace = open_workspace(make_settings(tile_px=64, n_threads=1), clock=clock, create=True)
    for name, text in (("spec", SPEC), ("legend", LEGEND)):
        (tmp_path / f"{name}.yaml").write_text(text)
    add_spec(workspace, open_definition(tmp_path / "spec.yaml"), actor="test")
    add_legend(workspace, open_definition(tmp_path / "legend.yaml"), actor="test")
    for region, first, last in (("west", 0, MIDDLE), ("east", MIDDLE, WIDTH)):
        add_region(
            workspace, cover.outline(first, last), name=region, actor="test",
            spec_name="ndvi-months", legend_name="land-cover",
        )  # fmt: skip
        added = add_scenes(
            workspace, region, str(reference_data / FOLDER / "items.json"), actor="test"
        )
        assert added.n_scenes == 68
    add_labels(workspace, "west", cover.draw(0, MIDDLE, 1200, seed=1), "calibration")
    version = train_on_labels(workspace, ["west"], actor="test")
    assert version.lineage.n_labels == 1200, "gaps are filled in, so every label counts"

    done = refresh(workspace, "east", actor="test")
    add_labels(workspace, "east", cover.draw(MIDDLE + APART, WIDTH, 1500, seed=2), "holdout")
    evaluation = evaluate_region(workspace, "east", actor="test").evaluation

    assert evaluation.separation_km is not None
    assert evaluation.separation_km >= 0.2
    assert evaluation.overall.value > 0.75
    by_class = dict(zip(evaluation.matrix.class_names, evaluation.producers, strict=True))
    assert by_class["forest"].value > 0.85
    assert by_class["grassland"].value > 0.4
    folder = locate_map(workspace, "east", done.map_id)
    with rasterio.open(folder / "observations.tif") as file:
        assert file.descriptions == ("valid observations", "periods filled in")
        observed, filled = file.read()
    assert observed[observed != 65535].max() > 20
    assert set(np.unique(filled[filled != 65535])) <= set(range(7))
    # The first Sentinel-2 images were placed less well than later ones; real, and told.
    assert any("pixel off the others" in told for told in describe_checks(workspace, "east"))
