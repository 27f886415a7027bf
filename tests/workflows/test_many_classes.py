"""A legend of three classes goes through places, accuracy, area, budget and applicability."""

from __future__ import annotations

import json

import numpy as np
import pytest

from geotransfer.core.cost import RunCost
from geotransfer.core.fact import LegendAdded
from geotransfer.core.legend import Legend, LegendClass
from geotransfer.core.model import Lineage
from geotransfer.core.spec import S2_SEMIANNUAL
from geotransfer.registry.versions import register_model
from geotransfer.store.workspace import open_workspace
from geotransfer.testing.world import World
from geotransfer.transfer.baseline import train_baseline
from geotransfer.transfer.model_file import dump_model
from geotransfer.transfer.samples import Samples
from geotransfer.transfer.trees import Training
from geotransfer.workflows import budget_curve, evaluate, label_next, source_area
from geotransfer.workflows.applicability_maps import map_applicability
from geotransfer.workflows.budget_curve import measure_region_budget
from geotransfer.workflows.evaluate import evaluate_region
from geotransfer.workflows.label_next import suggest_places
from geotransfer.workflows.label_points import add_points, make_points
from geotransfer.workflows.refresh import refresh
from geotransfer.workflows.regions import add_region
from geotransfer.workflows.scenes import add_scenes
from geotransfer.workflows.transfer_views import (
    find_accuracy,
    find_applicability,
    find_budget,
    read_suggestion,
)

LEGEND = Legend(
    name="three",
    classes=(
        LegendClass(code=4, name="water", color="#0072b2"),
        LegendClass(code=7, name="maize", color="#e69f00"),
        LegendClass(code=9, name="forest", color="#009e73"),
    ),
)


def make_source() -> Samples:
    rng = np.random.default_rng(0)
    measured = rng.uniform(0.05, 0.4, (600, len(S2_SEMIANNUAL.measured))).astype(np.float32)
    ndvi = measured[:, S2_SEMIANNUAL.measured_names.index("NDVI_S2")]
    return Samples(
        spec=S2_SEMIANNUAL,
        measured=measured,
        classes=np.array(LEGEND.codes)[np.digitize(ndvi, [0.15, 0.28])],
        weights=np.ones(600),
        xy_km=None,
        region_ids=np.where(np.arange(600) % 2, "north", "south"),
    )


def test_three_classes_go_all_the_way(
    make_settings, clock, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = open_workspace(make_settings(tile_px=48, n_threads=1), clock=clock, create=True)
    workspace.ledger.append(LegendAdded(region_id=None, legend=LEGEND), actor="test")
    source = make_source()
    for module in (budget_curve, evaluate, label_next, source_area):
        monkeypatch.setattr(module, "load_source", lambda *_, **__: (source, "three"))
    monkeypatch.setattr(budget_curve, "N_DRAWS", 2)
    training = (Training(n_trees=10, n_leaves=8, learning_rate=0.2),)
    model = train_baseline(source, LEGEND, trainings=training, scaling=(0.5, (0.0, 0.0, 0.0)))
    lineage = Lineage(
        parent_id=None, strategy="baseline", spec_name=S2_SEMIANNUAL.name,
        spec_id=S2_SEMIANNUAL.spec_id, legend_name="three", labels_id=None, n_labels=600,
        source="test", seed=0, cost=RunCost(), libraries={},
    )  # fmt: skip
    register_model(
        workspace, dump_model(model), name="three", region_id=None, lineage=lineage, actor="test"
    )
    made = world.targets[0]
    region = add_region(
        workspace, json.dumps(made.outline), name="R", actor="test", region_id="r",
        legend_name="three",
    )  # fmt: skip
    add_scenes(workspace, "r", str(made.items_path), actor="test")
    done = refresh(workspace, "r", actor="test")
    present = [name for name, area in done.class_areas_km2.items() if area > 0]

    fact = suggest_places(workspace, "r", n_places=90, is_probability=True, actor="test")
    drawn = read_suggestion(workspace, fact.suggestion_id)
    assert {p.map_class for p in drawn.places} == set(present)
    codes = np.array([LEGEND.codes[LEGEND.names.index(p.map_class)] for p in drawn.places])
    rng = np.random.default_rng(1)
    codes = np.where(rng.random(90) < 0.3, rng.choice(LEGEND.codes, 90), codes)
    lon = np.array([p.lon for p in drawn.places])
    lat = np.array([p.lat for p in drawn.places])
    for role in ("holdout", "calibration"):
        add_points(
            workspace, region, make_points(lon, lat, codes), role=role, file_name="p.csv",
            n_rejected=0, legend=LEGEND, actor="test",
        )  # fmt: skip
    judged = evaluate_region(workspace, "r", actor="test")
    assert judged.evaluation.estimand == "design-based"
    report = find_accuracy(workspace, "r")
    assert report is not None
    assert report.area is not None
    assert [c.name for c in report.area.classes] == ["water", "maize", "forest"]
    total = sum(c.mapped_km2 for c in report.area.classes)
    assert sum(c.area_km2.value for c in report.area.classes) == pytest.approx(total, rel=1e-6)
    assert {f.evaluation.estimand for f in report.figures} >= {"random", "spatial-blocks"}

    map_applicability(
        workspace, "r", layers=("applicability-classes", "expected-accuracy"), actor="test"
    )
    applies = find_applicability(workspace, "r")
    assert applies is not None
    assert [c.name for c in applies.classes] == ["water", "maize", "forest"]
    assert applies.curve is not None
    assert "labels of this region" in applies.curve.rows

    measure_region_budget(workspace, "r", actor="test")
    budget = find_budget(workspace, "r")
    assert budget is not None
    assert {"gp_correction", "regional_only"} <= set(budget.curve.list_strategies())
