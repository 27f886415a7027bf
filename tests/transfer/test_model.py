from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from geotransfer.core.identity import canonical_json, content_id
from geotransfer.core.spec import S2_SEMIANNUAL_CLIMATE
from geotransfer.errors import ModelInvalid, SpecMismatch
from geotransfer.transfer.gaussian_process import Kernel
from geotransfer.transfer.model import explain_model, to_probability, weigh_distance
from geotransfer.transfer.model_file import dump_model, load_model
from geotransfer.transfer.strategies import Average, GaussianProcess


@pytest.fixture(scope="module")
def tuned(baseline, labels, source):
    model = Average().fit(baseline, labels, source, seed=0, n_threads=1)
    return replace(model, within_km=150.0)


@pytest.fixture(scope="module")
def places(make):
    samples = make(1400, seed=21)
    measured = np.ascontiguousarray(samples.measured.T)
    measured[5, 17] = np.nan
    measured[29, 1399] = np.inf
    return measured, np.ascontiguousarray(samples.xy_km.T)


@pytest.mark.parametrize("size", [1, 13, 700])
def test_the_same_bits_in_any_chunking_and_on_any_threads(tuned, places, size):
    measured, xy = places
    n = 130 if size == 1 else measured.shape[1]
    whole = tuned.predict(measured[:, :n], xy[:, :n])
    parts = [
        tuned.predict(measured[:, i : i + size], xy[:, i : i + size], n_threads=2)
        for i in range(0, n, size)
    ]
    assert whole.tobytes() == np.ascontiguousarray(np.concatenate(parts, axis=1)).tobytes()


def test_a_missing_feature_is_never_a_class(tuned, places):
    probability = tuned.predict(*places)
    bad = np.isnan(probability).all(axis=0)
    assert np.flatnonzero(bad).tolist() == [17, 1399]
    good = probability[:, ~bad]
    np.testing.assert_allclose(good.sum(axis=0), 1, atol=1e-6)


def test_beyond_its_reach_a_tuned_model_is_the_global_one(tuned, baseline, places):
    measured, xy = places
    far = tuned.predict(measured, xy + 10_000)
    assert far.tobytes() == baseline.predict(measured).tobytes()
    near = tuned.predict(measured, xy)
    assert np.nanmax(np.abs(near - far)) > 0.05


def test_local_knowledge_fades_without_a_step():
    distance = np.linspace(0, 200, 2001)
    weight = weigh_distance(distance, within_km=150)
    assert weight[0] == 1
    assert (weight[distance >= 150] == 0).all()
    assert np.abs(np.diff(weight)).max() < 0.01
    assert (np.diff(weight) <= 0).all()


def test_bytes_round_trip(tuned, land_baseline):
    for model in (tuned, land_baseline):
        data = dump_model(model)
        assert dump_model(load_model(data)) == data


def test_a_file_from_before_kernels_were_learned_still_loads(baseline):
    learned = replace(baseline, kernel=Kernel(features=1.0, position=1.0, product=1.0, near=2.0))
    assert load_model(dump_model(learned)).kernel == learned.kernel
    document = json.loads(dump_model(learned))
    del document["content"]["kernel"]
    document["sha256"] = content_id(document["content"])
    assert load_model(canonical_json(document)).kernel is None


def test_a_loaded_model_predicts_the_same_bits(tuned, places):
    again = load_model(dump_model(tuned))
    assert again.predict(*places).tobytes() == tuned.predict(*places).tobytes()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: b"PK\x03\x04",
        lambda data: data[: len(data) // 2],
        lambda data: b"[1, 2]",
        lambda data: b'{"format":"other"}',
        lambda data: data.replace(b"num_leaves=7", b"num_leaves=8", 1),
        lambda data: data.replace(b'"kind":"baseline"', b'"kind":"baselina"'),
    ],
)
def test_a_damaged_or_foreign_file_is_one_clear_error(baseline, damage):
    data = dump_model(baseline)
    assert damage(data) != data
    with pytest.raises(ModelInvalid, match=r"\."):
        load_model(damage(data))


def test_a_newer_format_says_so(baseline):
    document = json.loads(dump_model(baseline))
    document["version"] = 99
    with pytest.raises(ModelInvalid, match="format version 99"):
        load_model(json.dumps(document).encode())


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.pop("scores"),
        lambda m: m["projection"]["axes"].update(float64="AAA"),
        lambda m: m["projection"]["axes"].update(shape=[1, 2]),
        lambda m: m["scores"]["slopes"].append(1.0),
        lambda m: m["legend"]["classes"].append(m["legend"]["classes"][0]),
        lambda m: m["scores"].update(trees=["tree\nversion=v4\n"]),
        lambda m: m["scores"].update(trees=["import os"]),
        lambda m: m["spec"]["derived"].pop(),
        lambda m: m["spec"]["derived"][0].update(formula="__import__"),
    ],
)
def test_parts_that_do_not_fit_are_refused_even_with_a_right_checksum(baseline, change):
    document = json.loads(dump_model(baseline))
    change(document["content"])
    document["sha256"] = content_id(document["content"])
    with pytest.raises(ModelInvalid, match=r"\."):
        load_model(json.dumps(document).encode())


def test_another_number_of_columns_is_refused(baseline, places):
    with pytest.raises(SpecMismatch, match="30 measured columns"):
        baseline.predict(places[0][:29])
    with pytest.raises(SpecMismatch, match="xy_km"):
        baseline.predict(places[0], places[1].T)


def test_a_model_of_another_spec_names_the_missing_column(baseline):
    with pytest.raises(SpecMismatch, match="not in the order"):
        baseline.spec.check_columns(baseline.spec.measured_names[::-1], where="table")
    with pytest.raises(SpecMismatch, match="'rain_S1'"):
        S2_SEMIANNUAL_CLIMATE.check_columns(baseline.spec.measured_names, where="table")


def test_contributions_add_up_to_the_latent_score(baseline, labels, places):
    tuned = GaussianProcess().fit(baseline, labels, None, seed=0, n_threads=1)
    measured, xy = places[0][:, :40], places[1][:, :40]
    names, parts = explain_model(tuned, measured, xy)
    assert names[-2:] == ("base", "local labels")
    np.testing.assert_allclose(
        parts.sum(axis=1), tuned.predict_latent(measured, xy), atol=1e-5, equal_nan=True
    )
    assert np.isnan(parts[:, :, 17]).all()


def test_class_probabilities_of_scores():
    np.testing.assert_allclose(to_probability(np.array([[0.0, 800.0, -800.0]]))[1], [0.5, 1, 0],
                               atol=1e-20)  # fmt: skip
    three = to_probability(np.array([[1.0, 900.0], [1.0, 0.0], [1.0, 0.0]]))
    np.testing.assert_allclose(three, [[1 / 3, 1], [1 / 3, 0], [1 / 3, 0]])
