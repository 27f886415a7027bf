"""Every accuracy by its name: which labels judge, which estimator, and what is only indicative."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from geotransfer.core.accuracy_report import AccuracyReport
from geotransfer.core.fact import AccuracyReported, LabelsAdded, RegionEvaluated
from geotransfer.core.legend import CROPLAND
from geotransfer.core.suggestion import Suggestion
from geotransfer.errors import LeakRefused, NotFound
from geotransfer.registry.versions import find_baseline, register_model
from geotransfer.testing.points import sample_points
from geotransfer.transfer.model_file import dump_model
from geotransfer.workflows import evaluate as evaluate_module
from geotransfer.workflows import fine_tune as fine_tune_module
from geotransfer.workflows import label_next as label_next_module
from geotransfer.workflows.evaluate import evaluate_region
from geotransfer.workflows.fine_tune import fine_tune_region
from geotransfer.workflows.label_next import suggest_places
from geotransfer.workflows.label_points import add_points, make_points
from geotransfer.workflows.models import load_cached_model
from geotransfer.workflows.prepare import add_known_truth
from geotransfer.workflows.promote import promote
from geotransfer.workflows.refresh import refresh
from geotransfer.workflows.transfer_views import find_accuracy, read_suggestion
from tests.workflows.conftest import Mapped


@pytest.fixture(autouse=True)
def without_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small test model has no shipped prototypes of its own."""
    for module in (evaluate_module, fine_tune_module, label_next_module):
        monkeypatch.setattr(module, "load_source", lambda *_, **__: (None, "none"))


@pytest.fixture
def ready(mapped: Mapped) -> Mapped:
    refresh(mapped.workspace, mapped.region.region_id, actor="test")
    return mapped


def evaluate(mapped: Mapped) -> tuple[RegionEvaluated, AccuracyReport]:
    region_id = mapped.region.region_id
    fact = evaluate_region(mapped.workspace, region_id, actor="test")
    report = find_accuracy(mapped.workspace, region_id)
    assert report is not None
    return fact, report


def add_random(mapped: Mapped, role: str, *, n: int = 80, seed: int = 2) -> LabelsAdded:
    points = sample_points(mapped.made, n, seed=seed)
    codes = np.array([CROPLAND.names.index(str(name)) for name in points.class_names])
    return keep(mapped, points.longitude, points.latitude, codes, role)


def keep(
    mapped: Mapped, lon: np.ndarray, lat: np.ndarray, codes: np.ndarray, role: str
) -> LabelsAdded:
    return add_points(
        mapped.workspace, mapped.region, make_points(lon, lat, codes), role=role,
        file_name="points.csv", n_rejected=0, legend=CROPLAND, actor="test",
    )  # fmt: skip


def draw(mapped: Mapped, n: int = 40) -> Suggestion:
    fact = suggest_places(
        mapped.workspace, mapped.region.region_id, n_places=n, is_probability=True, actor="test"
    )
    return read_suggestion(mapped.workspace, fact.suggestion_id)


def label_places(mapped: Mapped, suggestion: Suggestion, role: str = "holdout") -> np.ndarray:
    """Label drawn places: what the map says, but for every fifth place."""
    names = [p.map_class for p in suggestion.places]
    codes = np.array([CROPLAND.names.index(name) for name in names])
    codes[::5] = 1 - codes[::5]
    lon = np.array([p.lon for p in suggestion.places])
    lat = np.array([p.lat for p in suggestion.places])
    keep(mapped, lon, lat, codes, role)
    return codes


def test_without_a_label_nothing_is_judged(ready: Mapped) -> None:
    with pytest.raises(NotFound, match="geotransfer labels add"):
        evaluate_region(ready.workspace, ready.region.region_id, actor="test")
    assert ready.workspace.ledger.read(AccuracyReported) == []


def test_calibration_labels_judge_a_map_that_never_saw_them_and_are_indicative(
    ready: Mapped,
) -> None:
    add_random(ready, "calibration")
    fact, report = evaluate(ready)
    kinds = [figure.evaluation.estimand for figure in report.figures]
    assert kinds == ["known-truth", "random", "spatial-blocks", "knndm"]
    assert fact.evaluation == report.figures[0].evaluation
    assert "indicative" in fact.evaluation.note
    assert report.area is not None
    assert report.area.is_indicative
    assert report.area.estimator == "olofsson"
    assert all("indicative" in c.area_km2.method for c in report.area.classes)
    assert not report.by_distance
    assert "no label of the region trained it" in report.distance_note
    for figure in report.figures:
        e = figure.evaluation
        for estimate in (e.overall, e.balanced, *e.users, *e.producers, *e.f1):
            assert estimate.low <= estimate.value <= estimate.high


def test_known_truth_is_a_random_sample_of_the_whole_map(ready: Mapped) -> None:
    add_known_truth(ready.workspace, ready.made, n=200, actor="test")
    fact, report = evaluate(ready)
    assert fact.evaluation.estimand == "known-truth"
    assert report.area is not None
    assert not report.area.is_indicative
    total = sum(c.mapped_km2 for c in report.area.classes)
    assert sum(c.area_km2.value for c in report.area.classes) == pytest.approx(total, rel=1e-6)
    for c in report.area.classes:
        assert c.area_km2.low < c.area_km2.value < c.area_km2.high
        assert c.powered_km2 is not None
        assert c.powered_km2.low < c.powered_km2.value < c.powered_km2.high
    assert any("No calibration labels" in note for note in report.notes)


def test_labels_at_drawn_places_are_design_based(ready: Mapped) -> None:
    """By hand: the strata's shares of wrong labels, weighted by their areas."""
    suggestion = draw(ready)
    codes = label_places(ready, suggestion)
    fact, report = evaluate(ready)
    assert report.area is not None
    assert (report.area.estimator, report.area.is_indicative) == ("olofsson", False)
    assert fact.evaluation.estimand == "design-based"
    mapped_codes = np.array([CROPLAND.names.index(p.map_class) for p in suggestion.places])
    areas = np.array([s.area_km2 for s in suggestion.strata])
    right = [(codes == mapped_codes)[mapped_codes == k].mean() for k in (0, 1)]
    expected = float((np.array(right) * areas).sum() / areas.sum())
    assert fact.evaluation.overall.value == pytest.approx(expected, rel=1e-3)
    crop = sum((codes == 1)[mapped_codes == k].mean() * areas[k] for k in (0, 1))
    assert report.area.classes[1].area_km2.value == pytest.approx(float(crop), rel=1e-3)


@pytest.mark.slow
def test_one_strange_label_among_them_makes_them_indicative(ready: Mapped) -> None:
    suggestion = draw(ready)
    lon = np.array([p.lon for p in suggestion.places] + [suggestion.places[0].lon + 4e-4])
    lat = np.array([p.lat for p in suggestion.places] + [suggestion.places[0].lat + 4e-4])
    keep(ready, lon, lat, np.resize([0, 1], len(lon)), "holdout")
    _, report = evaluate(ready)
    assert report.area is None or report.area.is_indicative


def promote_own(mapped: Mapped, labels_id: str) -> None:
    region_id = mapped.region.region_id
    done = fine_tune_region(mapped.workspace, region_id, labels_id=labels_id, actor="test")
    promote(mapped.workspace, region_id, str(done.model_id), reason="for this test", actor="t")
    refresh(mapped.workspace, region_id, actor="test")


def test_a_fine_tuned_map_is_judged_by_folds_where_all_labels_trained_it(ready: Mapped) -> None:
    labels = add_random(ready, "calibration")
    promote_own(ready, labels.labels_id)
    fact, report = evaluate(ready)
    assert fact.evaluation.estimand == "knndm"
    kinds = [figure.evaluation.estimand for figure in report.figures]
    assert kinds == ["random", "spatial-blocks", "knndm"]
    assert all("fine-tuned model" in figure.name for figure in report.figures)
    assert report.area is None
    assert any("Every label has trained this map" in note for note in report.notes)
    assert report.by_distance
    assert sum(d.accuracy.n for d in report.by_distance) <= 3 * labels.n_rows


def test_a_newer_global_model_does_not_stand_in_for_the_one_that_was_fine_tuned(
    ready: Mapped,
) -> None:
    labels = add_random(ready, "calibration")
    promote_own(ready, labels.labels_id)
    _, before = evaluate(ready)
    old = find_baseline(ready.workspace, ready.region.spec_name)
    model = load_cached_model(ready.workspace.blobs_url, old.model_id)
    turned = replace(model.scores, slopes=tuple(-slope for slope in model.scores.slopes))
    blind = replace(model, scores=turned)
    register_model(
        ready.workspace, dump_model(blind), name="baseline", region_id=None, lineage=old.lineage,
        actor="test",
    )  # fmt: skip
    assert find_baseline(ready.workspace, ready.region.spec_name).model_id != old.model_id
    _, after = evaluate(ready)
    assert after.figures == before.figures


def test_strata_of_an_earlier_map_judge_a_later_one(
    ready: Mapped, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stehman 2014: places drawn on the global map judge the fine-tuned one."""
    suggestion = draw(ready)
    labels = add_random(ready, "calibration")
    promote_own(ready, labels.labels_id)
    # The region is 1 km wide: at its usual distance no holdout point would be far enough.
    monkeypatch.setattr("geotransfer.workflows.unseen_labels.HOLDOUT_SEPARATION_KM", 0.0)
    label_places(ready, suggestion)
    _, report = evaluate(ready)
    assert report.map_id != suggestion.map_id
    assert report.area is not None
    assert report.area.estimator == "stehman"
    assert not report.area.is_indicative


@pytest.mark.slow
def test_a_refused_holdout_leaves_what_can_be_told_without_it(ready: Mapped) -> None:
    labels = add_random(ready, "calibration")
    promote_own(ready, labels.labels_id)
    add_random(ready, "holdout")
    with pytest.raises(LeakRefused, match=r"lie within 0\.2 km"):
        evaluate_region(ready.workspace, ready.region.region_id, actor="test")
    (headline,) = ready.workspace.ledger.read(RegionEvaluated)
    assert headline.fact.evaluation.estimand == "knndm", "nothing of the refused labels"
    report = find_accuracy(ready.workspace, ready.region.region_id)
    assert report is not None
    assert "known-truth" not in [figure.evaluation.estimand for figure in report.figures]
    assert any("lie within 0.2 km" in note for note in report.notes)
