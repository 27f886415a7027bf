"""Four classes, a sensor, a spec and a legend of somebody's own, from files to pages."""

from __future__ import annotations

import io
import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import streamlit as st
from pyproj import Transformer
from rio_cogeo.cogeo import cog_validate
from shapely.geometry import shape
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from geotransfer.console.raster_catalog import WorkspaceCatalog
from geotransfer.core.fact import (
    AccuracyReported,
    BudgetMeasured,
    FineTuneDone,
    RefreshDone,
    RegionEvaluated,
)
from geotransfer.errors import DefinitionInvalid, InputError, LeakRefused, NotFound, SceneInvalid
from geotransfer.imagery.rasters import make_colormap
from geotransfer.settings import read_settings
from geotransfer.store.workspace import Workspace, open_workspace
from geotransfer.transfer.model import explain_model
from geotransfer.transfer.trees import Training
from geotransfer.wiring import run_job
from geotransfer.workflows import train_own as train_own_module
from geotransfer.workflows.budget_curve import measure_region_budget
from geotransfer.workflows.definitions import (
    add_legend,
    add_sensor,
    add_spec,
    find_legend,
    find_spec,
    list_legends,
    list_specs,
    open_definition,
    parse_definition,
)
from geotransfer.workflows.evaluate import evaluate_region
from geotransfer.workflows.fine_tune import fine_tune_region
from geotransfer.workflows.label_points import find_labels
from geotransfer.workflows.labels import add_checked, check_file
from geotransfer.workflows.maps import locate_map
from geotransfer.workflows.models import load_cached_model
from geotransfer.workflows.pixel import explain_pixel
from geotransfer.workflows.promote import find_verdict, preview_gates, promote
from geotransfer.workflows.refresh import refresh
from geotransfer.workflows.regions import add_region, find_region
from geotransfer.workflows.scene_list import load_scenes
from geotransfer.workflows.scenes import add_scenes
from geotransfer.workflows.submit import submit_zones
from geotransfer.workflows.train_own import train_on_labels
from tests.workflows.land_cover import CODES, NAMES, SIZE, Place, make_place

MAIN = Path(__file__).resolve().parents[2] / "geotransfer" / "console" / "main.py"
HALF = SIZE // 2
WORDS = dict(zip(CODES, ("Maize", "forest", "lake", "20"), strict=True))
"""As a label file writes the classes: by spelling, by name, by another word, by code."""
MAPPING = {"lake": "water"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return make_place(tmp_path_factory.mktemp("land-cover"))


@pytest.fixture(scope="module")
def mapped(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The north trained the model, the south was mapped with it and then fine-tuned."""
    folder = tmp_path_factory.mktemp("own") / "workspace"
    settings = read_settings({}, {"workspace": str(folder), "tile_px": 32, "n_threads": 1})
    workspace = open_workspace(settings, create=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            train_own_module, "OWN_TRAINING", (Training(n_trees=30, n_leaves=6, learning_rate=0.2),)
        )
        _run_all(workspace, place)
    return workspace


def _run_all(workspace: Workspace, place: Place) -> None:
    add_sensor(workspace, open_definition(place.folder / "sensor.yaml"), actor="test")
    spec = add_spec(workspace, open_definition(place.folder / "spec.yaml"), actor="test")
    legend = add_legend(workspace, open_definition(place.folder / "legend.yaml"), actor="test")
    for name, rows in (("north", (0, HALF)), ("south", (HALF, SIZE))):
        add_region(
            workspace, place.outline(*rows), name=name, actor="test", spec_name=spec.name,
            legend_name=legend.name,
        )  # fmt: skip
        add_scenes(workspace, name, place.items, actor="test")
    _add(workspace, place, "north", range(HALF), 200, seed=1)
    train_on_labels(workspace, ["north"], actor="test")
    refresh(workspace, "south", actor="test")
    _add(workspace, place, "south", range(HALF + 18, SIZE), 150, seed=2, role="holdout")
    evaluate_region(workspace, "south", actor="test")
    labels_id = _add(workspace, place, "south", range(HALF, HALF + 10), 60, seed=3, without=(20,))
    fine_tune_region(workspace, "south", labels_id=labels_id, actor="test")


def _add(
    workspace: Workspace, place: Place, region: str, rows: range, n: int, *, seed: int,
    role: str = "calibration", without: tuple[int, ...] = (),
) -> str:  # fmt: skip
    data = place.write_labels(rows, n, seed=seed, words=WORDS, without=without)
    checked = check_file(workspace, region, data, "labels.csv", mapping=MAPPING)
    assert len(checked.rejected) == 0
    return add_checked(workspace, region, checked, role=role, actor="test").labels_id


def read_last_map(workspace: Workspace) -> Path:
    done = workspace.ledger.read_last(RefreshDone, region_id="south")
    assert done is not None
    return locate_map(workspace, "south", done.map_id)


def test_scenes_of_an_own_sensor_carry_its_scale_nodata_and_mask(mapped: Workspace) -> None:
    scene = load_scenes(mapped, "south").scenes[0]
    assert scene.sensor == "toy-sat"
    band = scene.find_asset("ndvi")
    assert band is not None
    assert (band.scale, band.nodata, Path(band.href).suffix) == (1e-4, 0.0, ".jp2")
    assert scene.mask_rule is not None
    assert scene.mask_rule.dilate_px == 0


def test_the_map_of_four_classes_is_right_away_from_the_labels(
    mapped: Workspace, place: Place
) -> None:
    with rasterio.open(read_last_map(mapped) / "class.tif") as file:
        codes = file.read(1)
    assert set(np.unique(codes)) <= {*CODES, 255}
    known = codes != 255
    assert known.mean() > 0.9
    assert (codes == place.truth[HALF:])[known].mean() > 0.85


def test_a_class_absent_from_calibration_is_handled_and_stated(mapped: Workspace) -> None:
    verdict = find_verdict(mapped, "south")
    assert dict(verdict.class_counts)["town"] == 0
    assert any("No label shows 'town'" in reason for reason in verdict.reasons)
    assert any("crop and non-crop" in reason for reason in verdict.reasons)
    assert verdict.separated is not None
    assert verdict.separated.matrix.class_names == NAMES


def test_gates_know_the_legend_and_a_fine_tuned_map_still_shows_the_absent_class(
    mapped: Workspace,
) -> None:
    fact = mapped.ledger.read_last(FineTuneDone, region_id="south")
    assert fact is not None
    assert fact.model_id is not None
    version, gates = preview_gates(mapped, "south", fact.model_id)
    assert version.lineage.legend_name == "toy-cover"
    schema = next(gate for gate in gates if gate.gate == "schema")
    assert schema.passed
    promote(mapped, "south", fact.model_id, reason="shows that four classes hold", actor="test")
    done = refresh(mapped, "south", actor="test")
    assert set(done.class_areas_km2) == set(NAMES)
    assert done.class_areas_km2["town"] > 0, "no label showed it, the global model still does"


def test_evaluation_has_a_row_and_column_for_each_class(mapped: Workspace) -> None:
    fact = evaluate_region(mapped, "south", actor="test")
    assert fact.evaluation.matrix.class_names == NAMES
    assert fact.evaluation.overall.value > 0.8
    assert len(fact.evaluation.producers) == 4


def test_a_click_names_the_class_and_explains_its_own_score(mapped: Workspace) -> None:
    with rasterio.open(read_last_map(mapped) / "class.tif") as file:
        row, col = np.argwhere(file.read(1) == CODES[0])[0]
        xy = file.xy(row, col)
        lon, lat = Transformer.from_crs(file.crs, "EPSG:4326", always_xy=True).transform(*xy)
    pixel = explain_pixel(mapped, "south", lon=lon, lat=lat)
    assert pixel is not None
    assert pixel.class_name == NAMES[0], "not the last class, which two-class legends explain"
    assert [name for name, _ in pixel.probabilities] == list(NAMES)
    assert sum(p for _, p in pixel.probabilities) == pytest.approx(1, abs=1e-5)
    best = max(pixel.probabilities, key=lambda pair: pair[1])[0]
    assert pixel.class_name == pixel.explained_class == best
    done = mapped.ledger.read_last(RefreshDone, region_id="south")
    assert done is not None
    model = load_cached_model(mapped.blobs_url, done.model_id)
    measured = np.array([[value] for _, value in pixel.features], dtype=np.float32)
    terms, values = explain_model(model, measured)
    own = dict(zip(terms, values[NAMES.index(best), :, 0], strict=True))
    for name, weight in pixel.contributions:
        if name != "local labels":
            assert weight == pytest.approx(own[name], abs=1e-6)


def test_every_raster_of_a_map_is_a_valid_cog_with_its_colours(mapped: Workspace) -> None:
    folder = read_last_map(mapped)
    files = sorted(folder.glob("*.tif"))
    assert {"class", "probability", "observations"} <= {file.stem for file in files}
    for path in files:
        is_valid, errors, warnings = cog_validate(path, strict=True, quiet=True)
        assert is_valid, (path.name, errors, warnings)
    with rasterio.open(folder / "class.tif") as file:
        assert (file.dtypes[0], file.nodata) == ("uint8", 255)
        colors = file.colormap(1)
    expected = make_colormap(find_legend(mapped, "toy-cover"))
    assert {code: colors[code] for code in expected if code != 255} == {
        code: color for code, color in expected.items() if code != 255
    }
    with rasterio.open(folder / "probability.tif") as file:
        assert file.descriptions == tuple(f"probability of {name}" for name in NAMES)
        assert (file.nodata, file.scales[0]) == (65535, 1e-4)


def test_each_class_has_a_layer_of_its_own_on_the_map(mapped: Workspace) -> None:
    catalog = WorkspaceCatalog(mapped.settings)
    entries = catalog.list_rasters("south", None)
    assert entries["class"].legend == find_legend(mapped, "toy-cover")
    assert [entries[f"probability-{code}"].name for code in CODES] == [
        f"Probability of {name}" for name in NAMES
    ]
    assert [entries[f"probability-{code}"].bands for code in CODES] == [(1,), (2,), (3,), (4,)]
    assert "probability" not in entries
    assert catalog.find_raster("south", "probability-99", None) is None


@pytest.mark.parametrize("page", ["explore", "region", "calibrate"])
def test_pages_speak_of_the_regions_own_classes(
    mapped: Workspace, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    monkeypatch.setenv("GEOTRANSFER_WORKSPACE", str(mapped.folder))
    monkeypatch.setenv("GEOTRANSFER_TILE_PX", "32")
    monkeypatch.setenv("GEOTRANSFER_N_THREADS", "1")
    st.cache_resource.clear()
    app = AppTest.from_file(str(MAIN), default_timeout=60)
    app._page_hash = calc_hash(page)
    app.query_params["region"] = "south"
    app.run()
    st.cache_resource.clear()
    assert [e.value for e in app.exception] == []
    assert [e.value for e in app.error] == []
    html = " ".join(str(block.proto.body) for block in app.get("html"))
    options = " ".join(str(option) for radio in app.radio for option in radio.options)
    text = " ".join(str(e.value) for kind in (app.markdown, app.caption) for e in kind)
    if page == "explore":
        assert all(name in html for name in NAMES), "the legend shows the region's classes"
        assert "Probability of town" in options
    elif page == "region":
        assert all(name in html for name in NAMES)
    told = (html + options + text).replace("of crop and non-crop on Sentinel-2", "")
    found = told.find("non-crop")
    assert found < 0, told[max(0, found - 200) : found + 200]


def test_zones_are_a_job_whose_tables_can_be_downloaded(
    mapped: Workspace, place: Place, tmp_path: Path
) -> None:
    halves = [shape(json.loads(place.outline(*rows))) for rows in ((HALF, 48), (48, SIZE))]
    frame = gpd.GeoDataFrame({"farm": ["a", "b"]}, geometry=halves, crs="EPSG:4326")
    frame.to_file(tmp_path / "farms.gpkg")
    job = submit_zones(
        mapped, "south", (tmp_path / "farms.gpkg").read_bytes(), "farms.gpkg", by="test"
    )
    claimed = mapped.jobs.claim("worker", job_id=job.job_id)
    assert claimed is not None
    run_job(mapped, claimed, "worker")
    done = mapped.jobs.find(job.job_id)
    assert done.error in (None, "")
    assert done.result is not None
    table = pd.read_csv(io.BytesIO(mapped.blobs.get(str(done.result["csv_id"]))))
    assert table["farm"].tolist() == ["a", "b"]
    shares = table[[f"share {name}" for name in NAMES]]
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    (tmp_path / "zones.gpkg").write_bytes(mapped.blobs.get(str(done.result["gpkg_id"])))
    back = gpd.read_file(tmp_path / "zones.gpkg")
    assert len(back) == 2
    assert back.crs is not None


def test_rows_keep_their_names_meaning(mapped: Workspace, place: Place, tmp_path: Path) -> None:
    again = add_spec(mapped, open_definition(place.folder / "spec.yaml"), actor="test")
    assert again.spec_id == find_spec(mapped, "toy-quarters").spec_id
    assert [s.name for s in list_specs(mapped)].count("toy-quarters") == 1
    changed = tmp_path / "spec.yaml"
    changed.write_text((place.folder / "spec.yaml").read_text().replace("median", "mean"))
    with pytest.raises(DefinitionInvalid, match="'toy-quarters' exists already"):
        add_spec(mapped, open_definition(changed), actor="test")
    changed.write_text((place.folder / "legend.yaml").read_text().replace("town", "village"))
    with pytest.raises(DefinitionInvalid, match="'toy-cover' exists already"):
        add_legend(mapped, open_definition(changed), actor="test")
    assert len(list_legends(mapped)) == 2
    with pytest.raises(NotFound, match="there is no spec 'none'; there are: s2-semiannual"):
        find_spec(mapped, "none")


def test_fine_tuning_where_the_model_was_trained_is_refused(mapped: Workspace) -> None:
    labels = find_labels(mapped, "north", "calibration")
    assert labels is not None
    refresh(mapped, "north", actor="test")
    with pytest.raises(LeakRefused, match="'north' trained the global model"):
        fine_tune_region(mapped, "north", labels_id=labels.labels_id, actor="test")


def test_labels_that_trained_the_global_model_judge_nothing(
    mapped: Workspace, place: Place
) -> None:
    refresh(mapped, "north", actor="test")
    with pytest.raises(LeakRefused, match="'north' trained the global model"):
        evaluate_region(mapped, "north", actor="test")
    with pytest.raises(LeakRefused, match="'north' trained the global model"):
        measure_region_budget(mapped, "north", actor="test")
    _add(mapped, place, "north", range(HALF), 150, seed=4, role="holdout")
    with pytest.raises(LeakRefused, match=r"lie within 0\.2 km of labels that"):
        evaluate_region(mapped, "north", actor="test")
    assert mapped.ledger.read(RegionEvaluated, region_id="north") == []
    assert mapped.ledger.read(AccuracyReported, region_id="north") == []
    assert mapped.ledger.read(BudgetMeasured, region_id="north") == []


def test_labels_beside_those_of_another_region_judge_nothing_either(
    mapped: Workspace, place: Place
) -> None:
    """The north's labels trained the model; a region that overlaps the north has them too."""
    south = find_region(mapped, "south")
    add_region(
        mapped, place.outline(0, SIZE), name="whole", actor="test", spec_name=south.spec_name,
        legend_name=south.legend_name,
    )  # fmt: skip
    add_scenes(mapped, "whole", place.items, actor="test")
    refresh(mapped, "whole", actor="test")
    _add(mapped, place, "whole", range(HALF), 150, seed=5, role="holdout")
    with pytest.raises(LeakRefused, match=r"lie within 0\.2 km of labels that"):
        evaluate_region(mapped, "whole", actor="test")
    assert mapped.ledger.read(RegionEvaluated, region_id="whole") == []


def test_a_region_without_a_model_for_its_legend_says_what_to_do(
    workspace: Workspace, place: Place
) -> None:
    add_sensor(workspace, open_definition(place.folder / "sensor.yaml"), actor="test")
    add_spec(workspace, open_definition(place.folder / "spec.yaml"), actor="test")
    add_legend(workspace, open_definition(place.folder / "legend.yaml"), actor="test")
    add_region(
        workspace, place.outline(0, SIZE), name="alone", actor="test", spec_name="toy-quarters",
        legend_name="toy-cover",
    )  # fmt: skip
    with pytest.raises(NotFound, match="train your own"):
        refresh_alone(workspace, place)
    with pytest.raises(NotFound, match="no calibration labels"):
        train_on_labels(workspace, ["alone"], actor="test")
    with pytest.raises(InputError, match="at least one"):
        train_on_labels(workspace, [], actor="test")


def refresh_alone(workspace: Workspace, place: Place) -> None:
    add_scenes(workspace, "alone", place.items, actor="test")
    refresh(workspace, "alone", actor="test")


def test_values_that_cannot_be_kept_are_refused_not_cut(
    workspace: Workspace, place: Place, tmp_path: Path
) -> None:
    loud = tmp_path / "sensor.yaml"
    loud.write_text((place.folder / "sensor.yaml").read_text().replace("0.0001", "0.01"))
    add_sensor(workspace, open_definition(loud), actor="test")
    for add, name in ((add_spec, "spec"), (add_legend, "legend")):
        add(workspace, open_definition(place.folder / f"{name}.yaml"), actor="test")
    add_region(
        workspace, place.outline(0, SIZE), name="loud", actor="test", spec_name="toy-quarters",
        legend_name="toy-cover",
    )  # fmt: skip
    with pytest.raises(SceneInvalid, match=r"'warmth' reaches .*beyond the ±3\.2 .*smaller"):
        add_scenes(workspace, "loud", place.items, actor="test")


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.yaml", "a: [1", "cannot be read as YAML"),
        ("b.json", "{", "cannot be read as YAML or JSON"),
        ("c.yaml", "a: 2020-02-30", "cannot be read as YAML"),
        ("d.yaml", "!!python/object/apply:os.system ['true']", "cannot be read as YAML"),
    ],
)
def test_a_definition_that_is_no_text_of_plain_parts_is_one_sentence(
    tmp_path: Path, name: str, text: str, told: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(DefinitionInvalid, match=told):
        parse_definition(open_definition(path))
    with pytest.raises(NotFound):
        open_definition(tmp_path / "missing.yaml")
