"""`specs`, `legends`, `sensors`, `layers`, `zones` and training on labels, as a shell sees them."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
from shapely.geometry import shape

from geotransfer.settings import read_settings
from geotransfer.store.workspace import Workspace, open_workspace
from geotransfer.transfer.trees import Training
from geotransfer.workflows import train_own
from tests.cli.test_commands import Run, folder, run
from tests.workflows.land_cover import AFFINE, CODES, CRS, NAMES, SIZE, Place, make_place

__all__ = ["folder", "run"]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "place").mkdir()
    return make_place(tmp_path / "place")


@pytest.fixture
def workspace(folder: Path) -> Workspace:
    return open_workspace(read_settings({}, {"workspace": str(folder)}), create=True)


@pytest.mark.usefixtures("workspace")
def test_own_rows_are_added_listed_and_explained(run: Run, place: Place) -> None:
    assert "s2-semiannual-climate" in run("specs", "list").out
    assert "rain_S1, rain_S2, slope" in run("specs", "list").out
    added = run("specs", "add", str(place.folder / "spec.yaml"))
    assert (added.code, "toy-quarters" in added.out) == (0, True)
    assert "16 measured and 1 derived" in added.out
    assert "ndvi, warmth" in run("specs", "list").out
    assert run("legends", "add", str(place.folder / "legend.yaml")).code == 0
    assert "3 maize, 7 forest" in run("legends", "list").out
    assert run("sensors", "add", str(place.folder / "sensor.yaml")).code == 0
    listed = run("sensors", "list").out
    assert "toy-sat" in listed
    assert "clouds (flag, +0 px)" in listed
    assert "qa_pixel (bits 0,1,2,3,4,5, +2 px)" in listed
    plain = place.folder / "plain.yaml"
    plain.write_text("{name: plain, bands: [ndvi]}")
    told = run("sensors", "add", str(plain)).out
    assert "no mask: clouds in its scenes will count as ground" in told
    assert "none: clouds count as ground" in run("sensors", "list").out


@pytest.mark.usefixtures("workspace")
@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("specs", "add", "missing.yaml"), "no such file"),
        (("regions", "add", "{outline}", "--spec", "none"), "there is no spec 'none'"),
        (("regions", "add", "{outline}", "--legend", "none"), "there is no legend 'none'"),
        (("layers", "list", "nowhere"), "there is no region 'nowhere'"),
        (("zones", "nowhere", "{outline}"), "there is no region 'nowhere'"),
        (("zones", "nowhere", "{outline}", "--out", "t.txt"), "written as .csv or .gpkg"),
        (("train",), "one of the two"),
        (("train", "tables", "--labels-of", "x"), "one of the two"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(
    run: Run, place: Place, command: tuple[str, ...], told: str
) -> None:
    outline = place.folder / "outline.geojson"
    outline.write_text(place.outline(0, SIZE))
    result = run(*(part.format(outline=outline) for part in command))
    assert result.code == 2
    assert result.error.startswith("error: ")
    assert told in result.error


@pytest.mark.usefixtures("workspace")
def test_from_files_to_a_table_by_polygon(
    run: Run, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_own, "OWN_TRAINING", (Training(n_trees=10, n_leaves=4),))
    for family, name in (("sensors", "sensor"), ("specs", "spec"), ("legends", "legend")):
        assert run(family, "add", str(place.folder / f"{name}.yaml")).code == 0
    outline = place.folder / "outline.geojson"
    outline.write_text(place.outline(0, SIZE))
    words = dict(zip(CODES, NAMES, strict=True))
    labels = place.folder / "labels.csv"
    labels.write_bytes(place.write_labels(range(SIZE), 200, seed=1, words=words))
    added = run(
        "regions", "add", str(outline), "--name", "whole", "--spec", "toy-quarters",
        "--legend", "toy-cover",
    )  # fmt: skip
    assert added.code == 0, added.error
    assert run("scenes", "add", "whole", place.items).code == 0
    assert run("labels", "add", "whole", str(labels)).code == 0
    trained = run("train", "--labels-of", "whole")
    assert trained.code == 0, trained.error
    assert "200 labels, spec toy-quarters, legend toy-cover" in trained.out
    assert run("refresh", "whole", "--here").code == 0
    assert "reads no layers" in run("layers", "list", "whole").out

    halves = [shape(json.loads(place.outline(*r))) for r in ((0, 32), (32, SIZE))]
    farms = place.folder / "farms.geojson"
    gpd.GeoDataFrame({"farm": ["a", "b"]}, geometry=halves, crs="EPSG:4326").to_file(farms)
    out = place.folder / "farms.csv"
    told = run("zones", "whole", str(farms), "--out", str(out))
    assert told.code == 0, told.error
    assert "carry the map's bias" in told.out
    table = pd.read_csv(out)
    for name, code in zip(NAMES, CODES, strict=True):
        expected = [(half == code).mean() for half in np.split(place.truth, 2)]
        np.testing.assert_allclose(table[f"share {name}"], expected, atol=0.12)


def test_layers_of_a_region_are_told_with_what_is_missing(
    run: Run, place: Place, workspace: Workspace
) -> None:
    outline = place.folder / "outline.geojson"
    outline.write_text(place.outline(0, SIZE))
    assert run("regions", "add", str(outline), "--name", "hills",
               "--spec", "s2-semiannual-climate").code == 0  # fmt: skip
    slope = place.folder / "slope.tif"
    with rasterio.open(
        slope, "w", driver="GTiff", height=SIZE + 4, width=SIZE + 4, count=1, dtype="float32",
        crs=CRS, transform=AFFINE @ AFFINE.translation(-2, -2),
    ) as file:  # fmt: skip
        file.write(np.full((SIZE + 4, SIZE + 4), 8, dtype=np.float32), 1)
    refused = run("layers", "add", "hills", str(slope), "--name", "rain_S1", "--unit", "mm")
    assert refused.code == 2
    assert "one year's rain is weather" in refused.error
    added = run("layers", "add", "hills", str(slope), "--name", "slope", "--unit", "percent")
    assert added.code == 0, added.error
    listed = run("layers", "list", "hills").out
    assert listed.count("missing") == 2
    assert str(slope) in listed
