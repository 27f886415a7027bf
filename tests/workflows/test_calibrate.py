"""From a label file to a promoted model and back, on a simulated region."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from geotransfer.core.fact import (
    FineTuneDone,
    LabelsAdded,
    LabelsErased,
    ModelPromoted,
    ModelRegistered,
)
from geotransfer.core.verdict import VerdictKind
from geotransfer.errors import (
    InputError,
    LabelsInvalid,
    LeakRefused,
    NotFound,
    PromotionRefused,
)
from geotransfer.registry.champions import find_champion
from geotransfer.testing.points import sample_points, write_points_csv
from geotransfer.workflows import fine_tune as fine_tune_module
from geotransfer.workflows import promote as promote_module
from geotransfer.workflows.evaluate import evaluate_region
from geotransfer.workflows.fine_tune import fine_tune_region
from geotransfer.workflows.label_points import make_points, read_points, write_points
from geotransfer.workflows.labels import add_checked, check_file, erase_labels
from geotransfer.workflows.promote import find_verdict, preview_gates, promote, roll_back
from geotransfer.workflows.refresh import refresh
from geotransfer.workflows.views import find_state_at, list_history
from tests.workflows.conftest import Mapped

N = 60


@pytest.fixture
def without_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small test model has no shipped prototypes of its own."""
    monkeypatch.setattr(fine_tune_module, "load_source", lambda *_, **__: (None, "none"))


@pytest.fixture
def csv_file(mapped: Mapped, tmp_path: Path) -> Path:
    path = tmp_path / "points.csv"
    write_points_csv(mapped.made, path, N, seed=4, n_bad=6)
    return path


def upload(mapped: Mapped, path: Path, role: str = "calibration") -> LabelsAdded:
    region_id = mapped.region.region_id
    checked = check_file(mapped.workspace, region_id, path.read_bytes(), path.name)
    return add_checked(mapped.workspace, region_id, checked, role=role, actor="test")


def tune(mapped: Mapped, labels_id: str) -> FineTuneDone:
    return fine_tune_region(
        mapped.workspace, mapped.region.region_id, labels_id=labels_id, actor="test"
    )


def update(mapped: Mapped):
    return refresh(mapped.workspace, mapped.region.region_id, actor="test")


def test_six_bad_rows_have_six_reasons_and_the_good_ones_go_on(
    mapped: Mapped, csv_file: Path
) -> None:
    checked = check_file(
        mapped.workspace, mapped.region.region_id, csv_file.read_bytes(), csv_file.name
    )
    assert len({item.kind for item in checked.rejected}) == 6
    assert all(item.reason and item.remedy for item in checked.rejected)
    bad = [item.row for item in checked.rejected]
    assert bad[1:] == list(range(N + 2, N + 8))
    # Of two labels that contradict each other neither can be trusted: a good-looking row goes too.
    twin = checked.rejected[0]
    assert twin.kind == checked.rejected[bad.index(twin.row)].kind == "conflicting labels"
    fact = upload(mapped, csv_file)
    assert (fact.n_rows, fact.n_rejected) == (N - 1, 7)
    kept = read_points(mapped.workspace.blobs.get(fact.labels_id))
    truth = sample_points(mapped.made, N, seed=4)
    expected = np.delete(np.column_stack([truth.longitude, truth.latitude]), twin.index, axis=0)
    assert np.allclose(kept.lonlat, expected, atol=1e-6)


@pytest.mark.usefixtures("without_source")
def test_the_whole_way_and_back(mapped: Mapped, csv_file: Path, clock) -> None:
    workspace, region_id = mapped.workspace, mapped.region.region_id
    before = update(mapped)
    clock.advance(3600)
    done = tune(mapped, upload(mapped, csv_file).labels_id)
    verdict = find_verdict(workspace, region_id, done.model_id)
    assert verdict.n_labels <= N
    assert verdict.reasons
    assert verdict.random is not None
    assert verdict.separated is not None, "random accuracy never stands alone"
    assert done.model_id is not None

    clock.advance(3600)
    _, gates = preview_gates(workspace, region_id, done.model_id)
    reason = "" if all(gate.passed for gate in gates) else "seen and accepted in a test"
    fact = promote(workspace, region_id, done.model_id, reason=reason, actor="ana")
    assert [gate.gate for gate in fact.gates] == [gate.gate for gate in gates]
    assert all(gate.evidence for gate in fact.gates)
    after = update(mapped)
    assert after.n_computed == 0, "no scene is read for a new model"
    assert after.model_id == done.model_id
    assert find_champion(workspace, region_id) == done.model_id

    clock.advance(3600)
    roll_back(workspace, region_id, reason="back", actor="bo")
    again = update(mapped)
    assert again.map_id == before.map_id, "the very map of before is back"
    assert find_champion(workspace, region_id) is None
    with pytest.raises(InputError, match="nothing to roll back"):
        roll_back(workspace, region_id, actor="bo")

    now = clock()
    assert find_state_at(workspace, region_id, now).model_id is None
    assert find_state_at(workspace, region_id, now - timedelta(seconds=5400)).model_id is None
    served = find_state_at(workspace, region_id, now - timedelta(seconds=1))
    assert served.model_id == done.model_id
    assert served.map_id == after.map_id
    assert {e.what for e in list_history(workspace, region_id)} >= {
        "model promoted",
        "model rolled back",
        "fine tune done",
        "labels added",
    }


@pytest.mark.usefixtures("without_source")
def test_the_same_labels_and_seed_give_the_same_model(mapped: Mapped, csv_file: Path) -> None:
    update(mapped)
    labels = upload(mapped, csv_file)
    first, second = tune(mapped, labels.labels_id), tune(mapped, labels.labels_id)
    assert first.model_id == second.model_id
    registered = mapped.workspace.ledger.read(ModelRegistered, region_id=mapped.region.region_id)
    assert len(registered) == 1, "the same bytes are the same version"


@pytest.mark.usefixtures("without_source")
def test_few_labels_are_a_verdict_not_a_crash(mapped: Mapped, tmp_path: Path) -> None:
    update(mapped)
    path = tmp_path / "five.csv"
    write_points_csv(mapped.made, path, 5, seed=1, n_bad=0)
    done = tune(mapped, upload(mapped, path).labels_id)
    assert done.model_id is None
    assert done.verdict_kind == VerdictKind.TOO_FEW_LABELS.value


def test_holdout_labels_never_reach_fine_tuning(mapped: Mapped, csv_file: Path) -> None:
    update(mapped)
    fact = upload(mapped, csv_file, role="holdout")
    with pytest.raises(LeakRefused, match="holdout set"):
        tune(mapped, fact.labels_id)


@pytest.mark.usefixtures("without_source")
def test_a_map_is_not_judged_beside_its_own_labels(mapped: Mapped, csv_file: Path) -> None:
    """Breaking the wall between calibration and holdout must fail here."""
    workspace, region_id = mapped.workspace, mapped.region.region_id
    update(mapped)
    done = tune(mapped, upload(mapped, csv_file).labels_id)
    promote(workspace, region_id, str(done.model_id), reason="for this test only", actor="t")
    update(mapped)
    upload(mapped, csv_file, role="holdout")
    with pytest.raises(LeakRefused, match=r"lie within 0\.2 km of labels"):
        evaluate_region(workspace, region_id, actor="test")


@pytest.mark.usefixtures("without_source")
def test_two_people_promoting_at_once_one_is_told(
    mapped: Mapped, csv_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, region_id = mapped.workspace, mapped.region.region_id
    update(mapped)
    first = tune(mapped, upload(mapped, csv_file).labels_id)
    other = tmp_path / "other.csv"
    write_points_csv(mapped.made, other, N, seed=8, n_bad=0)
    second = tune(mapped, upload(mapped, other).labels_id)
    check = promote_module.preview_gates

    def meanwhile(*args: object) -> object:
        monkeypatch.setattr(promote_module, "preview_gates", check)
        promote(workspace, region_id, str(first.model_id), reason="I was faster", actor="ana")
        return check(*args)

    monkeypatch.setattr(promote_module, "preview_gates", meanwhile)
    with pytest.raises(PromotionRefused, match="somebody else changed the champion"):
        promote(workspace, region_id, str(second.model_id), reason="me too, please", actor="bo")
    assert find_champion(workspace, region_id) == first.model_id
    assert len(workspace.ledger.read(ModelPromoted)) == 1


@pytest.mark.usefixtures("without_source")
def test_a_failed_gate_needs_a_written_reason(
    mapped: Mapped, csv_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, region_id = mapped.workspace, mapped.region.region_id
    update(mapped)
    done = tune(mapped, upload(mapped, csv_file).labels_id)
    verdict = replace(
        find_verdict(workspace, region_id, done.model_id), kind=VerdictKind.NO_MEASURABLE_GAIN
    )
    monkeypatch.setattr(promote_module, "find_verdict", lambda *_: verdict)
    with pytest.raises(PromotionRefused, match="write a reason") as refused:
        promote(workspace, region_id, str(done.model_id), actor="ana")
    assert any("positive gain" in reason for reason in refused.value.reasons)
    assert workspace.ledger.read(ModelPromoted) == []
    fact = promote(
        workspace, region_id, str(done.model_id), reason="field visit agrees", actor="ana"
    )
    assert fact.reason == "field visit agrees"


def test_erased_labels_are_gone_and_history_keeps_their_id(mapped: Mapped, csv_file: Path) -> None:
    fact = upload(mapped, csv_file)
    erase_labels(mapped.workspace, mapped.region.region_id, fact.labels_id[:8], actor="ana")
    with pytest.raises(NotFound, match="erased"):
        mapped.workspace.blobs.get(fact.labels_id)
    assert mapped.workspace.ledger.read(LabelsErased)[0].fact.labels_id == fact.labels_id


def test_a_file_without_a_good_row_keeps_nothing(mapped: Mapped) -> None:
    data = b"lon,lat,class\n0,0,crop\n1,1,crop\n"
    checked = check_file(mapped.workspace, mapped.region.region_id, data, "sea.csv")
    with pytest.raises(LabelsInvalid, match="none of its 2 rows"):
        add_checked(mapped.workspace, mapped.region.region_id, checked, actor="test")
    assert mapped.workspace.ledger.read(LabelsAdded) == []


def test_fine_tuning_before_a_map_says_what_to_do(mapped: Mapped, csv_file: Path) -> None:
    fact = upload(mapped, csv_file)
    with pytest.raises(NotFound, match="geotransfer refresh"):
        tune(mapped, fact.labels_id)


def test_points_survive_the_store(mapped: Mapped) -> None:
    points = make_points(np.array([1.0, 2.0]), np.array([3.0, 4.0]), np.array([0, 1]))
    back = read_points(write_points(points))
    assert (back.lonlat == points.lonlat).all()
    assert (back.codes == points.codes).all()
