from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from geotransfer.core.spec import S2_SEMIANNUAL, S2_SEMIANNUAL_CLIMATE
from geotransfer.errors import LeakRefused, SpecMismatch, TableInvalid
from geotransfer.transfer.samples import (
    CalibrationSet,
    HoldoutSet,
    aggregate_prototypes,
    check_separation,
    concatenate_samples,
    read_reference_table,
)


def test_content_id_follows_every_part(labels):
    changed = [
        replace(labels, classes=1 - labels.classes),
        replace(labels, weights=labels.weights * 2),
        replace(labels, xy_km=labels.xy_km + 1e-6),
        replace(labels, xy_km=None),
        labels.take(np.arange(len(labels))[::-1]),
        replace(labels, measured=labels.measured + np.float32(1e-6)),
        replace(labels, region_ids=np.full(len(labels), "other")),
    ]
    ids = {part.content_id for part in changed}
    assert len(ids) == len(changed)
    assert labels.content_id not in ids
    assert labels.take(np.arange(len(labels))).content_id == labels.content_id


def test_a_table_of_another_spec_is_refused(labels):
    with pytest.raises(TableInvalid, match="match the columns by name"):
        replace(labels, spec=S2_SEMIANNUAL_CLIMATE)


def test_missing_features_cannot_calibrate(labels):
    measured = labels.measured.copy()
    measured[4, 7] = np.nan
    with pytest.raises(TableInvalid, match="label 5 has a feature without a value"):
        CalibrationSet(replace(labels, measured=measured))


def test_a_holdout_row_that_trained_is_refused(labels):
    with pytest.raises(LeakRefused, match="1 of 41 holdout rows are calibration rows"):
        check_separation(
            CalibrationSet(labels.take(np.arange(40))),
            HoldoutSet(labels.take(np.arange(39, 80))),
            separation_km=0,
        )


def test_a_neighbour_of_a_calibration_label_is_refused(make):
    labels = make(60, seed=1)
    far = replace(make(20, seed=2), xy_km=np.full((20, 2), 5000.0))
    check_separation(CalibrationSet(labels), HoldoutSet(far), separation_km=100)
    near = replace(far, xy_km=np.vstack([far.xy_km[:-1], labels.xy_km[:1] + 3]))
    with pytest.raises(LeakRefused, match="1 of 20 holdout rows lie within 100 km"):
        check_separation(CalibrationSet(labels), HoldoutSet(near), separation_km=100)


def test_a_distance_cannot_be_kept_without_positions(make):
    with pytest.raises(LeakRefused, match="without positions"):
        check_separation(
            CalibrationSet(make(20, has_position=False)),
            HoldoutSet(make(20, seed=3)),
            separation_km=5,
        )


def test_prototypes_keep_class_region_and_mass(source):
    prototypes = aggregate_prototypes(source)
    assert prototypes.weights.max() <= 4
    assert prototypes.weights.sum() == len(source)
    assert len(prototypes) < 0.3 * len(source)
    for name in np.unique(source.region_ids):
        for code in (0, 1):
            rows = (source.region_ids == name) & (source.classes == code)
            part = (prototypes.region_ids == name) & (prototypes.classes == code)
            mean = np.average(prototypes.measured[part], axis=0, weights=prototypes.weights[part])
            np.testing.assert_allclose(mean, source.measured[rows].mean(axis=0), rtol=1e-4)


def test_prototypes_average_neighbours_not_strangers(make):
    samples = make(400, seed=8)
    prototypes = aggregate_prototypes(samples)
    spread = prototypes.measured.var(axis=0)[[3, 18]]
    shuffled = samples.measured[np.random.default_rng(0).permutation(400)].reshape(100, 4, -1)
    assert (spread > 1.5 * shuffled.mean(axis=1).var(axis=0)[[3, 18]]).all()


def write_table(folder, header, rows):
    folder.mkdir()
    (folder / "training_data.txt").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def test_columns_are_matched_by_name(tmp_path):
    names = S2_SEMIANNUAL.measured_names[::-1]
    write_table(
        tmp_path / "kivu",
        "# Class " + " ".join(names) + " rain",
        [" ".join(str(v) for v in [1, *range(30), 9])] * 2,
    )
    samples = read_reference_table(tmp_path / "kivu", S2_SEMIANNUAL)
    assert samples.measured[0].tolist() == list(range(29, -1, -1))
    assert samples.region_ids.tolist() == ["kivu", "kivu"]
    assert samples.xy_km is None


def test_a_missing_column_is_named(tmp_path):
    names = [n for n in S2_SEMIANNUAL.measured_names if n != "red_S2"]
    write_table(tmp_path / "kivu", "# Class " + " ".join(names), [" ".join(["1"] * 30)])
    with pytest.raises(SpecMismatch, match="'red_S2'"):
        read_reference_table(tmp_path / "kivu", S2_SEMIANNUAL)


def test_a_missing_or_damaged_table_is_one_sentence(tmp_path):
    with pytest.raises(TableInvalid, match=r"training_data\.txt: cannot be read"):
        read_reference_table(tmp_path / "nowhere", S2_SEMIANNUAL)
    write_table(tmp_path / "torn", "# Class a b", ["1 2 3", "1 2"])
    with pytest.raises(TableInvalid, match="cannot be read"):
        read_reference_table(tmp_path / "torn", S2_SEMIANNUAL)


def test_positions_must_match_the_rows(tmp_path):
    folder = tmp_path / "kivu"
    header = "# Class " + " ".join(S2_SEMIANNUAL.measured_names)
    write_table(folder, header, [" ".join(["1"] * 31)] * 2)
    (folder / "coordinates_epsg6933.txt").write_text("1000 2000\n", encoding="utf-8")
    with pytest.raises(TableInvalid, match="1 positions for 2 rows"):
        read_reference_table(folder, S2_SEMIANNUAL)


def test_samples_of_two_specs_are_not_joined(labels):
    other = replace(labels, spec=replace(S2_SEMIANNUAL, version=2))
    with pytest.raises(TableInvalid, match="different specs"):
        concatenate_samples(labels, other)


@pytest.mark.reference
def test_reference_table_is_read_with_positions(reference_folder):
    samples = read_reference_table(reference_folder / "western", S2_SEMIANNUAL)
    assert len(samples) == 2113
    assert (samples.classes == 1).sum() == 882
    assert samples.xy_km is not None
    # An independent check of the order: neighbours agree in class in 79 % of rows.
    from scipy.spatial import cKDTree

    _, nearest = cKDTree(samples.xy_km).query(samples.xy_km, k=2)
    agree = (samples.classes == samples.classes[nearest[:, 1]]).mean()
    assert 0.76 < agree < 0.82
