"""`budget`, `labels next`, `applicability`, `accuracy`: the pages' answers in a shell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from geotransfer.labels.suggested import write_places_csv
from geotransfer.testing.points import write_points_csv
from geotransfer.testing.world import World
from geotransfer.workflows import budget_curve as budget_curve_module
from geotransfer.workflows.prepare import add_reference_regions
from geotransfer.workflows.transfer_views import find_suggestion
from tests.cli.test_commands import Run, Workspace, folder, refuse, region, run, workspace

__all__ = ["folder", "region", "run", "workspace"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget_curve_module, "N_DRAWS", 2)


def test_from_a_drawn_sample_to_design_based_areas(
    workspace: Workspace, region: str, run: Run, world: World, tmp_path: Path
) -> None:
    refuse(run("accuracy", region), "geotransfer evaluate nakuru")
    run("refresh", region, "--here")
    out = tmp_path / "next.csv"
    told = run(
        "labels", "next", region, "--count", "30", "--probability", "--out", str(out), "--here"
    )
    assert told.code == 0, told.error
    assert "wrote 30 places" in told.out
    assert "each with a chance of" in told.out
    found = find_suggestion(workspace, region)
    assert found is not None
    assert out.read_bytes() == write_places_csv(found[1])
    text = out.read_text(encoding="utf-8-sig")
    # Field work: half the places are crop.
    header, *lines = text.splitlines()
    at = header.split(",").index("class")
    for i, line in enumerate(lines):
        cells = line.split(",")
        cells[at] = ("crop", "non-crop")[i % 2]
        lines[i] = ",".join(cells)
    out.write_text("\n".join([header, *lines]))
    told = run("labels", "add", region, str(out), "--holdout")
    assert "Recognised as a probability sample: 30 of the 30 places" in told.out
    assert run("evaluate", region, "--here").code == 0
    told = run("accuracy", region)
    assert "weighted by area (olofsson, design-based)" in told.out
    assert "km²" in told.out
    plain = run("accuracy", region, is_json=True).plain
    assert isinstance(plain, dict)
    assert plain["area"]["is_indicative"] is False


@pytest.mark.slow
def test_useful_places_go_out_as_geojson(region: str, run: Run, tmp_path: Path) -> None:
    run("refresh", region, "--here")
    out = tmp_path / "next.geojson"
    told = run("labels", "next", region, "--count", "5", "--out", str(out), "--here")
    assert told.code == 0, told.error
    document = json.loads(out.read_text())
    assert [f["properties"]["place"] for f in document["features"]] == [1, 2, 3, 4, 5]
    assert document["features"][0]["properties"]["usefulness"] == 1.0
    refuse(run("labels", "next", region, "--out", str(tmp_path / "next.shp")), "neither .geojson")
    lost = tmp_path / "no" / "places.csv"
    refuse(run("labels", "next", region, "--out", str(lost)), "there is no folder")


def test_the_budget_answers_and_shows_its_price(
    region: str, run: Run, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("refresh", region, "--here")
    points = tmp_path / "points.csv"
    write_points_csv(world.targets[0], points, 60, seed=4, n_bad=0)
    run("labels", "add", region, str(points))
    told = run("budget", region, "--here")
    assert told.code == 0, told.error
    assert "labels the fine-tuned model gains" in told.out
    assert "set GEOTRANSFER_USD_PER_LABEL" in told.out
    monkeypatch.setenv("GEOTRANSFER_USD_PER_LABEL", "3")
    plain = run("budget", region, "--here", is_json=True).plain
    assert isinstance(plain, dict)
    assert plain["steps"][1]["cost_usd"] == 3 * plain["steps"][1]["more"]


def test_a_reference_region_answers_without_a_job(workspace: Workspace, run: Run) -> None:
    add_reference_regions(workspace, actor="test")
    told = run("budget", "eastern")
    assert told.code == 0, told.error
    assert "measured on blocks of 100 km held out" in told.out
    assert workspace.jobs.list_jobs() == []


@pytest.mark.slow
def test_layers_are_printed_with_their_cost(region: str, run: Run) -> None:
    run("refresh", region, "--here")
    told = run("applicability", region, "--layer", "density", "--here")
    assert told.code == 0, told.error
    assert "is inside the area of applicability (threshold" in told.out
    assert "folds leave-one-region-out" in told.out
    assert "density:" in told.out
    assert "µs a pixel" in told.out


@pytest.mark.slow
def test_the_verdict_before_labels_shows_every_figure(region: str, run: Run) -> None:
    run("refresh", region, "--here")
    told = run("verdict", region, "--before-labels", "--here")
    assert told.code == 0, told.error
    for part in (
        "inside the area of applicability", "separability", "robustness index",
        "median dissimilarity", "years from the source's labels",
    ):  # fmt: skip
        assert part in told.out
