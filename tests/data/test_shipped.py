"""What ships is what our commands make, and shows no figure of a model on its own regions."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import numpy as np
import pytest

from geotransfer.core.applicability import AccuracyCurve
from geotransfer.core.decode import from_plain
from geotransfer.core.identity import hash_bytes
from geotransfer.core.legend import CROPLAND
from geotransfer.core.spec import S2_SEMIANNUAL, S2_SEMIANNUAL_CLIMATE
from geotransfer.store.shipped import (
    BASELINE,
    BASELINE_CARD,
    CLIMATE,
    CLIMATE_CARD,
    EXPECTED_ACCURACY,
    PROTOTYPES,
    REGIONS,
    locate_shipped,
)
from geotransfer.transfer.baseline import train_baseline
from geotransfer.transfer.model_file import dump_model, load_model
from geotransfer.transfer.rehearsal import train_left_out
from geotransfer.transfer.samples import aggregate_prototypes, concatenate_samples
from geotransfer.workflows.source import read_samples, write_samples
from geotransfer.workflows.train import read_tables

NAMES = ("central", "eastern", "northern", "sahel", "southern", "western")


def read_regions() -> dict[str, dict]:
    document = json.loads(locate_shipped(REGIONS).read_text())
    return {entry["region"]["region_id"]: entry for entry in document["regions"]}


def test_the_card_names_the_file_that_ships() -> None:
    card = json.loads(locate_shipped(BASELINE_CARD).read_text())
    model = load_model(locate_shipped(BASELINE).read_bytes())
    assert card["version"]["model_id"] == hash_bytes(locate_shipped(BASELINE).read_bytes())
    assert card["schema"]["spec_id"] == model.spec.spec_id == S2_SEMIANNUAL.spec_id
    assert card["schema"]["features"] == list(S2_SEMIANNUAL.names)
    assert card["version"]["lineage"]["n_labels"] == 24111
    assert model.source_region_ids == NAMES


def test_the_climate_card_names_the_file_that_ships_and_what_it_scores_elsewhere() -> None:
    card = json.loads(locate_shipped(CLIMATE_CARD).read_text())
    packed = locate_shipped(CLIMATE).read_bytes()
    assert len(packed) < 4_000_000
    data = lzma.decompress(packed)
    assert card["version"]["model_id"] == hash_bytes(data)
    assert card["version"]["lineage"]["spec_name"] == S2_SEMIANNUAL_CLIMATE.name
    assert card["schema"]["features"] == list(S2_SEMIANNUAL_CLIMATE.names)
    aucs = card["card"]["leave_one_region_out_auc"]
    assert tuple(aucs) == NAMES
    assert np.mean(list(aucs.values())) >= 0.77
    assert all(0.7 < auc < 0.9 for auc in aucs.values()), "on its own regions it scores above .95"


def test_the_climate_model_reads_what_its_spec_says() -> None:
    model = load_model(lzma.decompress(locate_shipped(CLIMATE).read_bytes()))
    assert model.spec.spec_id == S2_SEMIANNUAL_CLIMATE.spec_id
    assert len(model.scores.trees) == 4
    assert model.source_region_ids == NAMES
    assert model.kernel is not None


def test_lengths_of_a_correction_were_learned() -> None:
    model = load_model(locate_shipped(BASELINE).read_bytes())
    assert model.kernel is not None
    card = json.loads(locate_shipped(BASELINE_CARD).read_text())
    assert card["card"]["kernel"]["position_km"] == model.kernel.position_km


def test_every_region_shows_a_model_that_never_saw_it() -> None:
    """A leak would show: on its own regions the model scores an AUC of .96 to .99."""
    baseline_id = hash_bytes(locate_shipped(BASELINE).read_bytes())
    for name, entry in read_regions().items():
        (fact,) = entry["evaluations"]
        assert fact["evaluation"]["estimand"] == "leave-one-region-out"
        assert fact["model_id"] != baseline_id, "the shipped model has seen every region"
        assert 0.6 < fact["evaluation"]["auc"]["value"] < 0.9, name
        low, high = fact["evaluation"]["balanced"]["low"], fact["evaluation"]["balanced"]["high"]
        assert low < fact["evaluation"]["balanced"]["value"] < high
        assert sum(entry["confidence"]["n"]) == fact["evaluation"]["overall"]["n"]


def test_every_region_ships_a_rehearsal_with_its_rivals() -> None:
    for entry in read_regions().values():
        strategies = {p["strategy"] for c in entry["budget"]["curves"] for p in c["points"]}
        assert {"keep_global", "pooled", "regional_only"} <= strategies
        assert entry["rehearsal"]["n_labels"] == 100
        assert all(c["separation"] for c in entry["budget"]["curves"])


def test_expected_accuracy_is_that_of_the_left_out_regions() -> None:
    """An isotonic fit keeps the mean, and its bins hold equally many rows."""
    curve = from_plain(AccuracyCurve, json.loads(locate_shipped(EXPECTED_ACCURACY).read_text()))
    judged = [entry["evaluations"][0]["evaluation"]["overall"] for entry in read_regions().values()]
    rows = sum(e["n"] for e in judged)
    right = sum(e["n"] * e["value"] for e in judged)
    assert curve.n == rows
    assert np.mean(curve.value) == pytest.approx(right / rows, abs=0.002)
    assert list(curve.value) == sorted(curve.value, reverse=True)
    assert all(a <= b <= c for a, b, c in zip(curve.low, curve.value, curve.high, strict=True))


@pytest.mark.reference
def test_prototypes_are_rebuilt_byte_for_byte(reference_data: Path) -> None:
    tables = list(read_tables(reference_data / "deafrica-cropland-2019", S2_SEMIANNUAL).values())
    source = concatenate_samples(tables[0], *tables[1:])
    shipped = locate_shipped(PROTOTYPES).read_bytes()
    assert write_samples(aggregate_prototypes(source)) == shipped
    assert read_samples(shipped, S2_SEMIANNUAL).weights.sum() == len(source)


@pytest.mark.slow
@pytest.mark.reference
def test_the_baseline_is_rebuilt_byte_for_byte(reference_data: Path) -> None:
    shipped = locate_shipped(BASELINE).read_bytes()
    model = load_model(shipped)
    tables = list(read_tables(reference_data / "deafrica-cropland-2019", S2_SEMIANNUAL).values())
    source = concatenate_samples(tables[0], *tables[1:])
    assert source.content_id == model.source_id
    # The scaling is fitted leave-one-region-out, six trainings more; the trees are the model.
    scaling = (model.scores.slopes[0] * len(model.scores.slopes), model.scores.intercepts)
    again = train_baseline(
        source, CROPLAND, seed=0, n_threads=2, scaling=scaling, kernel=model.kernel
    )
    assert dump_model(again) == shipped


@pytest.mark.slow
@pytest.mark.reference
def test_a_left_out_region_is_recomputed(reference_data: Path) -> None:
    tables = read_tables(reference_data / "deafrica-cropland-2019", S2_SEMIANNUAL)
    out = train_left_out(tables, CROPLAND, seed=0, n_threads=2, regions=("western",))["western"]
    shipped = read_regions()["western"]["evaluations"][0]
    assert out.evaluation.matrix.counts == tuple(
        tuple(row) for row in shipped["evaluation"]["matrix"]["counts"]
    )
    assert hash_bytes(dump_model(out.model)) == shipped["model_id"]
    assert np.isfinite(out.probability).all()
