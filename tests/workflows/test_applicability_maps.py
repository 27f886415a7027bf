"""Where a map applies: one answer for any tile size, rules stored with it, layers on request."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from geotransfer.applicability.search import compute_dissimilarity, count_local_points
from geotransfer.core.applicability import ApplicabilityReport
from geotransfer.core.fact import ApplicabilityMapped
from geotransfer.core.spec import S2_SEMIANNUAL
from geotransfer.errors import InputError, NotFound
from geotransfer.imagery.features import derive_features
from geotransfer.settings import read_settings
from geotransfer.store.workspace import open_workspace
from geotransfer.testing.world import World
from geotransfer.workflows.applicability_maps import ON_REQUEST, map_applicability
from geotransfer.workflows.applicability_tile import SCALE, load_area
from geotransfer.workflows.cube import open_cube
from geotransfer.workflows.expected_accuracy import find_curve
from geotransfer.workflows.maps import locate_map
from geotransfer.workflows.pixel import explain_pixel
from geotransfer.workflows.prepare import add_known_truth, register_shipped_models
from geotransfer.workflows.refresh import refresh
from geotransfer.workflows.region_pixels import find_map
from geotransfer.workflows.source_area import fit_source_area
from geotransfer.workflows.transfer_views import find_applicability
from geotransfer.workflows.views import read_bounds
from tests.workflows.conftest import Mapped, set_up_region

TILE_PX = 48


@pytest.fixture(scope="module")
def charted(tmp_path_factory: pytest.TempPathFactory, world: World) -> Mapped:
    """A mapped region of the shipped model with every layer; tests only read it."""
    return chart(tmp_path_factory.mktemp("charted"), world, TILE_PX)


def chart(folder: Path, world: World, tile_px: int) -> Mapped:
    settings = read_settings(
        {}, {"workspace": f"{folder}/workspace", "tile_px": tile_px, "n_threads": 1}
    )
    workspace = open_workspace(settings, create=True)
    register_shipped_models(workspace, actor="test")
    mapped = set_up_region(workspace, world.targets[0], None)
    refresh(workspace, mapped.region.region_id, actor="test")
    map_applicability(workspace, mapped.region.region_id, layers=ON_REQUEST, actor="test")
    return mapped


def read_report(mapped: Mapped) -> ApplicabilityReport:
    report = find_applicability(mapped.workspace, mapped.region.region_id)
    assert report is not None
    return report


def read_layer(mapped: Mapped, name: str) -> tuple[np.ndarray, dict[str, str]]:
    done = find_map(mapped.workspace, mapped.region.region_id)
    folder = locate_map(mapped.workspace, mapped.region.region_id, done.map_id)
    with rasterio.open(folder / f"{name}.tif") as file:
        return file.read(), file.tags()


def test_shares_are_those_of_the_whole_map(charted: Mapped) -> None:
    report = read_report(charted)
    inside = read_layer(charted, "applicability")[0][0]
    assert report.inside_share == pytest.approx((inside == 1).sum() / (inside != 255).sum())
    by_class = read_layer(charted, "applicability-classes")[0]
    assert [c.name for c in report.classes] == ["non-crop", "crop"]
    for band, told in zip(by_class, report.classes, strict=True):
        assert told.share == pytest.approx((band == 1).sum() / (band != 255).sum())
        assert told.threshold is not None


def test_the_rule_is_stored_with_report_and_raster(charted: Mapped) -> None:
    report = read_report(charted)
    tags = read_layer(charted, "applicability")[1]
    assert tags["fold_rule"] == report.fold_rule == "leave-one-region-out"
    assert tags["threshold_rule"] == report.threshold_rule
    assert float(tags["threshold"]) == report.threshold
    assert report.regions == ("central", "eastern", "northern", "sahel", "southern", "western")


def test_layers_are_what_the_science_says_and_each_has_its_cost(charted: Mapped) -> None:
    """Slowly, from the features of every pixel at once."""
    report = read_report(charted)
    area = load_area(charted.workspace.blobs_url, report.area_id)
    cube = open_cube(charted.workspace, charted.region.region_id).to_numpy()
    features = derive_features(S2_SEMIANNUAL, cube.reshape(len(cube), -1).astype(np.float32))
    di = compute_dissimilarity(area, features)
    shape = cube.shape[1:]
    stored = read_layer(charted, "dissimilarity")[0][0]
    known = np.isfinite(di).reshape(shape)
    assert ((stored != 65535) == known).all()
    assert np.allclose(
        stored[known] * SCALE, np.minimum(di.reshape(shape)[known], 6.5534), atol=6e-5
    )
    inside = read_layer(charted, "applicability")[0][0]
    assert ((inside == 1) == (di.reshape(shape) <= report.threshold)).all()
    counts = count_local_points(area, features).reshape(shape)
    density = read_layer(charted, "density")[0][0]
    assert (np.where(counts < 0, 255, counts) == density).all()
    assert [layer.name for layer in report.layers] == [
        "applicability", "applicability-classes", "dissimilarity", "density", "expected-accuracy",
    ]  # fmt: skip
    assert all(layer.cpu_s > 0 and layer.n_pixels == known.sum() for layer in report.layers)


@pytest.mark.slow
def test_tiles_of_another_size_give_the_same_map(
    charted: Mapped, world: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = chart(tmp_path_factory.mktemp("other"), world, 32)
    for name in ("applicability", "applicability-classes", "dissimilarity", "expected-accuracy"):
        assert (read_layer(other, name)[0] == read_layer(charted, name)[0]).all(), name


def test_expected_accuracy_falls_with_the_index_and_says_whose_rows(charted: Mapped) -> None:
    report = read_report(charted)
    assert report.curve is not None
    assert report.expected is not None
    assert "reference regions, each by a model that never saw it" in report.curve.rows
    assert list(report.curve.value) == sorted(report.curve.value, reverse=True)
    value, low, high = read_layer(charted, "expected-accuracy")[0].astype(float) * SCALE
    di = read_layer(charted, "dissimilarity")[0][0] * SCALE
    known = di < 6.5534
    assert (low[known] <= value[known] + 1e-9).all()
    assert (value[known] <= high[known] + 1e-9).all()
    order = np.argsort(di[known])
    assert (np.diff(value[known][order]) <= 1e-9).all()
    assert report.expected.value == pytest.approx(value[known].mean(), abs=1e-6)
    assert report.curve.n == 24111


@pytest.mark.slow
def test_own_labels_teach_the_curve_where_there_are_enough(
    make_settings, clock, world: World
) -> None:
    workspace = open_workspace(
        make_settings(tile_px=TILE_PX, n_threads=1), clock=clock, create=True
    )
    register_shipped_models(workspace, actor="test")
    mapped = set_up_region(workspace, world.targets[0], None)
    region_id = mapped.region.region_id
    with pytest.raises(NotFound, match="geotransfer refresh"):
        map_applicability(workspace, region_id, actor="test")
    refresh(workspace, region_id, actor="test")
    with pytest.raises(InputError, match="is no layer"):
        map_applicability(workspace, region_id, layers=("truth",), actor="test")
    add_known_truth(workspace, world.targets[0], n=150, actor="test")
    done = find_map(workspace, region_id)
    curve = find_curve(workspace, done, fit_source_area(workspace, mapped.region))
    assert curve.n <= 150
    assert "labels of this region: points drawn at random" in curve.rows
    assert find_applicability(workspace, region_id) is None


def test_a_layer_made_later_keeps_those_made_before(charted: Mapped) -> None:
    workspace, region_id = charted.workspace, charted.region.region_id
    before = read_report(charted)
    map_applicability(workspace, region_id, layers=("density",), actor="test")
    after = read_report(charted)
    assert [x.name for x in after.layers] == [x.name for x in before.layers]
    assert (after.curve, after.classes, after.expected) == (
        before.curve, before.classes, before.expected,
    )  # fmt: skip
    assert len(workspace.ledger.read(ApplicabilityMapped)) >= 2


def test_a_pixel_names_its_nearest_training_samples(charted: Mapped) -> None:
    west, south, east, north = read_bounds(charted.region)
    report = read_report(charted)
    found = None
    for share in np.linspace(0.2, 0.8, 7):
        found = explain_pixel(
            charted.workspace, charted.region.region_id,
            lon=west + share * (east - west), lat=south + share * (north - south),
        )  # fmt: skip
        if found is not None and found.class_name is not None:
            break
    assert found is not None
    support = found.support
    assert support is not None
    gaps = [sample.dissimilarity for sample in support.samples]
    assert len(gaps) == 5
    assert gaps == sorted(gaps)
    assert support.dissimilarity == gaps[0]
    assert support.is_inside == (gaps[0] <= report.threshold)
    assert {s.region_id for s in support.samples} <= set(report.regions)
    assert {s.class_name for s in support.samples} <= {"crop", "non-crop"}
