"""The label budget of a region's own labels, from upload to answer."""

from __future__ import annotations

import numpy as np
import pytest

from geotransfer.core.budget import answer_budget
from geotransfer.core.fact import BudgetMeasured
from geotransfer.core.legend import CROPLAND
from geotransfer.errors import InputError, LabelsInvalid, NotFound
from geotransfer.testing.points import sample_points
from geotransfer.workflows import budget_curve as budget_curve_module
from geotransfer.workflows.budget_curve import measure_region_budget
from geotransfer.workflows.label_points import add_points, make_points
from geotransfer.workflows.prepare import add_reference_regions
from geotransfer.workflows.refresh import refresh
from geotransfer.workflows.transfer_views import find_budget
from tests.workflows.conftest import Mapped


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few draws; and the small test model has no shipped prototypes of its own."""
    monkeypatch.setattr(budget_curve_module, "N_DRAWS", 3)
    monkeypatch.setattr(budget_curve_module, "load_source", lambda *_, **__: (None, "none"))


def add_labels(mapped: Mapped, n: int) -> None:
    points = sample_points(mapped.made, n, seed=2)
    codes = np.array([CROPLAND.names.index(str(name)) for name in points.class_names])
    add_points(
        mapped.workspace, mapped.region, make_points(points.longitude, points.latitude, codes),
        role="calibration", file_name="p.csv", n_rejected=0, legend=CROPLAND, actor="test",
    )  # fmt: skip


def measure(mapped: Mapped) -> BudgetMeasured:
    return measure_region_budget(mapped.workspace, mapped.region.region_id, actor="test")


def test_the_curve_holds_the_three_models_and_looks_ahead(mapped: Mapped) -> None:
    refresh(mapped.workspace, mapped.region.region_id, actor="test")
    add_labels(mapped, 80)
    fact = measure(mapped)
    report = find_budget(mapped.workspace, mapped.region.region_id)
    assert report is not None
    assert set(report.curve.list_strategies()) == {
        "keep_global", "gp_correction", "regional_only",
    }  # fmt: skip
    assert report.curve.separation.startswith("blocks of")
    for point in report.curve.points:
        assert point.auc.low <= point.auc.value <= point.auc.high
        assert point.n_labels <= 0.6 * fact.n_labels
    sizes = [f.n_labels for f in report.forecasts]
    assert sizes == [fact.n_labels * k for k in (1, 2, 4, 8)]
    widths = [f.gain.high - f.gain.low for f in report.forecasts]
    assert widths == sorted(widths), "the further ahead, the less is known"
    assert answer_budget(report, 1.0)[0].startswith(f"With {fact.n_labels} labels")
    assert measure(mapped).report_id == fact.report_id, "the same labels and seed, the same curve"


@pytest.mark.slow
def test_what_gives_no_curve_is_a_sentence(mapped: Mapped) -> None:
    with pytest.raises(NotFound, match="geotransfer labels add"):
        measure(mapped)
    refresh(mapped.workspace, mapped.region.region_id, actor="test")
    add_labels(mapped, 20)
    with pytest.raises(LabelsInvalid, match="bring at least 30"):
        measure(mapped)


def test_a_reference_region_answers_from_its_rehearsal(mapped: Mapped) -> None:
    add_reference_regions(mapped.workspace, actor="test")
    report = find_budget(mapped.workspace, "eastern")
    assert report is not None
    assert "labels" in answer_budget(report, 0.0)[0]
    with pytest.raises(InputError, match="geotransfer budget eastern"):
        measure_region_budget(mapped.workspace, "eastern", actor="test")
