"""Label budgets, places, accuracies and applicability as a reader meets them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from geotransfer.console.clicking_panel import find_imagery_day
from geotransfer.console.place_labelling import make_labels
from geotransfer.console.strategy_panel import explain_strategy
from geotransfer.core.estimate import Estimate
from geotransfer.core.fact import LabelsAdded
from geotransfer.core.legend import CROPLAND
from geotransfer.core.suggestion import Design
from geotransfer.core.verdict import StrategyResult, Verdict, VerdictKind
from geotransfer.settings import read_settings
from geotransfer.store.workspace import Workspace, open_workspace
from geotransfer.testing.points import sample_points
from geotransfer.testing.world import World
from geotransfer.workflows.applicability_maps import ON_REQUEST, map_applicability
from geotransfer.workflows.budget_curve import measure_region_budget
from geotransfer.workflows.evaluate import evaluate_region
from geotransfer.workflows.label_next import suggest_places
from geotransfer.workflows.label_points import add_points, make_points
from geotransfer.workflows.prepare import add_known_truth, register_shipped_models
from geotransfer.workflows.refresh import refresh
from geotransfer.workflows.transfer_views import find_suggestion
from tests.console.test_screens import open_screen, press, read_text, run
from tests.workflows.conftest import set_up_region, world

__all__ = ["world"]


@pytest.fixture(scope="module")
def charted(tmp_path_factory: pytest.TempPathFactory, world: World) -> tuple[Workspace, str]:
    """A region with everything these panels show, the way a worker would have left it."""
    folder = tmp_path_factory.mktemp("panels") / "workspace"
    settings = read_settings({}, {"workspace": str(folder), "tile_px": 48, "n_threads": 1})
    workspace = open_workspace(settings, create=True)
    register_shipped_models(workspace, actor="test")
    mapped = set_up_region(workspace, world.targets[0], None)
    region_id = mapped.region.region_id
    refresh(workspace, region_id, actor="test")
    add_known_truth(workspace, world.targets[0], n=120, actor="test")
    points = sample_points(world.targets[0], 60, seed=2)
    codes = np.array([CROPLAND.names.index(str(name)) for name in points.class_names])
    add_points(
        workspace, mapped.region, make_points(points.longitude, points.latitude, codes),
        role="calibration", file_name="p.csv", n_rejected=0, legend=CROPLAND, actor="test",
    )  # fmt: skip
    evaluate_region(workspace, region_id, actor="test")
    measure_region_budget(workspace, region_id, actor="test")
    map_applicability(workspace, region_id, layers=ON_REQUEST, actor="test")
    for is_probability in (False, True):
        suggest_places(
            workspace, region_id, n_places=6, is_probability=is_probability, actor="test"
        )
    return workspace, region_id


@pytest.fixture(autouse=True)
def at_workspace(charted: tuple[Workspace, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("GEOTRANSFER_WORKSPACE", str(Path(charted[0].folder)))
    monkeypatch.setenv("GEOTRANSFER_USD_PER_LABEL", "2.5")
    st.cache_resource.clear()
    yield
    st.cache_resource.clear()


def list_tables(app: AppTest) -> str:
    return "\n".join(table.value.to_string() for table in app.table)


def test_the_region_page_names_every_accuracy(charted: tuple[Workspace, str]) -> None:
    app = open_screen("region", region=charted[1])
    told, tables = read_text(app), list_tables(app)
    for kind in ("Known truth", "Random", "Spatial blocks", "kNNDM"):
        assert kind in tables
    assert "Design-based." in told
    assert "no label of the region trained it" in told
    for column in ("with the whole map (PPI++)", "user's accuracy", "F1"):
        assert column in tables
    assert list(app.error) == []


def test_the_region_page_says_where_the_map_applies_and_by_which_rule(
    charted: tuple[Workspace, str],
) -> None:
    app = open_screen("region", region=charted[1])
    told, tables = read_text(app), list_tables(app)
    assert "Inside the area of applicability" in told
    assert "folds: leave-one-region-out" in told
    assert "µs a pixel" in tables
    assert "Expected accuracy against the dissimilarity index" in told


def test_the_budget_is_answered_in_words_with_its_cost(charted: tuple[Workspace, str]) -> None:
    app = open_screen("calibrate", region=charted[1])
    told = read_text(app)
    assert "labels the fine-tuned model gains" in told
    assert "USD" in list_tables(app)
    app = press(app, "Measure again")
    job = charted[0].jobs.list_jobs()[0]
    assert (job.command.verb, job.command.region_id) == ("budget", charted[1])
    charted[0].jobs.cancel(job.job_id)


def test_places_are_listed_downloadable_and_asked_for(charted: tuple[Workspace, str]) -> None:
    workspace, region_id = charted
    app = open_screen("label_next", region=region_id)
    assert "6 places" in read_text(app)
    assert [b.label for b in app.get("download_button")] == ["GeoJSON", "CSV"]
    frame = app.dataframe[0].value
    assert list(frame["usefulness"]) == sorted(frame["usefulness"], reverse=True)
    app.radio(key="label-next-design").set_value("stratified")
    app.number_input(key="label-next-count").set_value(30)
    app = run(app)
    assert "stratum (class of the map)" in list_tables(app)
    assert "the map says" not in app.dataframe[0].value, "who labels must not know"
    press(app, "Suggest places")
    job = workspace.jobs.list_jobs()[0]
    assert job.command.verb == "suggest-labels"
    assert job.command.arguments == {"n_places": 30, "is_probability": True, "seed": 0}
    workspace.jobs.cancel(job.job_id)


def test_drawn_places_are_labelled_one_at_a_time_and_kept_for_judging(
    charted: tuple[Workspace, str],
) -> None:
    workspace, region_id = charted
    app = open_screen("label_next", region=region_id)
    app.radio(key="label-next-design").set_value("stratified")
    app = run(app)
    app.toggle(key="label-next-labelling").set_value(True)
    app = run(app)
    assert "Place 1" in read_text(app)
    app = press(app, "crop")
    app = press(app, "non-crop")
    assert "Place 3" in read_text(app)
    app = press(app, "Take back the last answer")
    assert "Place 2" in read_text(app)
    for _ in range(4):
        app = press(app, "non-crop")
    app = press(app, "Cannot tell")
    assert "Every place was looked at" in read_text(app)
    press(app, "Save 5 holdout labels")
    fact = workspace.ledger.read_last(LabelsAdded, region_id=region_id)
    assert fact is not None
    assert (fact.role, fact.n_rows) == ("holdout", 5)
    done = evaluate_region(workspace, region_id, actor="test")
    assert done.evaluation.estimand == "design-based"


def test_an_uploaded_probability_sample_is_recognised_before_it_is_kept(
    charted: tuple[Workspace, str],
) -> None:
    workspace, region_id = charted
    found = find_suggestion(workspace, region_id, Design.STRATIFIED)
    assert found is not None
    answers = {place.number: CROPLAND.names[0] for place in found[1].places}
    document = make_labels(found[1], answers, find_imagery_day(workspace, region_id))
    app = open_screen("calibrate", region=region_id)
    assert "Recognised as a probability sample" not in read_text(app)
    upload = app.get_by_key(f"upload-{region_id}")
    upload.set_value(("sample.geojson", document, "application/geo+json"))
    assert "Recognised as a probability sample: 6 of the 6 places" in read_text(run(app))


def make_row(strategy: str, auc: float, *, is_chosen: bool = False) -> StrategyResult:
    figure = Estimate(value=auc, low=auc - 0.1, high=auc + 0.1, method="test", n=50)
    return StrategyResult(strategy=strategy, auc=figure, gain=figure, is_chosen=is_chosen)


def make_verdict(*rows: StrategyResult) -> Verdict:
    return Verdict(
        kind=VerdictKind.NO_MEASURABLE_GAIN, reasons=(), strategy="keep_global", n_labels=50,
        class_counts=(), gain=None, chance_of_gain=None, confidence=0.9, within_km=None,
        reach_share=None, block_km=1.0, random=None, separated=None, global_separated=None,
        strategies=rows, gain_by_distance=(),
    )  # fmt: skip


def test_each_strategy_says_why_it_was_not_chosen() -> None:
    rows = (
        make_row("pooled", 0.8),
        make_row("gp_correction", 0.75, is_chosen=True),
        make_row("keep_global", 0.7),
        make_row("refit_leaves", 0.6),
    )
    verdict = make_verdict(*rows)
    pooled, chosen, kept, refit = (explain_strategy(row, verdict) for row in rows)
    assert "not surely" in pooled
    assert chosen == "chosen; the verdict keeps the global model all the same"
    assert "compared with" in kept
    assert "no better" in refit
