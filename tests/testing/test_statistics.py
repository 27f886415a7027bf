"""Statistics of the simulated world: what ships is what the tables give."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from geotransfer.core.spec import S2_SEMIANNUAL
from geotransfer.errors import TableInvalid
from geotransfer.testing.statistics import (
    ATTRIBUTION,
    COLUMNS,
    IS_BAND,
    STATISTICS_PATH,
    derive_statistics,
    factor_covariance,
    format_statistics,
    load_statistics,
    parse_statistics,
    write_statistics,
)


@pytest.mark.reference
def test_shipped_statistics_are_derived_from_the_tables(reference_data: Path) -> None:
    shipped = json.loads(STATISTICS_PATH.read_text())
    derived = json.loads(
        format_statistics(derive_statistics(reference_data / "deafrica-cropland-2019"))
    )
    assert derived.keys() == shipped.keys()
    assert derived["regions"].keys() == shipped["regions"].keys()
    for name, region in shipped["regions"].items():
        for code, item in region["classes"].items():
            again = derived["regions"][name]["classes"][code]
            assert again["n"] == item["n"]
            # Sums may differ in their last bits between processors: one unit of the fifth digit.
            np.testing.assert_allclose(again["mean"], item["mean"], rtol=1.1e-4)
            np.testing.assert_allclose(again["covariance"], item["covariance"], rtol=1.1e-4)


def test_statistics_name_their_source_and_licence() -> None:
    shipped = json.loads(STATISTICS_PATH.read_text())
    assert "Digital Earth Africa" in shipped["attribution"]
    assert "CC BY 4.0" in ATTRIBUTION
    assert shipped["licence"] == "CC-BY-4.0"
    assert "mean" in shipped["changes"]


def test_statistics_hold_no_sample() -> None:
    shipped = json.loads(STATISTICS_PATH.read_text())
    n = len(COLUMNS)
    for region in shipped["regions"].values():
        for item in region["classes"].values():
            assert len(item["mean"]) == n
            assert len(item["covariance"]) == n * (n + 1) // 2
            assert item["n"] > 10 * n


def test_covariances_are_symmetric_and_nearly_definite() -> None:
    for statistics in load_statistics().values():
        for covariance in statistics.covariances:
            np.testing.assert_array_equal(covariance, covariance.T)
            assert np.linalg.eigvalsh(covariance).min() > -1e-3
            root = factor_covariance(covariance)
            np.testing.assert_allclose(root @ root.T, covariance, atol=2e-3)


def make_tables(folder: Path, n: int = 60) -> Path:
    """Write one small table of the reference layout."""
    rng = np.random.default_rng(5)
    names = S2_SEMIANNUAL.measured_names
    table = np.column_stack([np.arange(n) % 2, rng.uniform(0.05, 0.5, (n, len(names)))])
    (folder / "somewhere").mkdir(parents=True)
    header = "Class " + " ".join(names)
    np.savetxt(folder / "somewhere" / "training_data.txt", table, header=header)
    return folder


def test_derive_equals_a_plain_computation(tmp_path: Path) -> None:
    tables = make_tables(tmp_path)
    statistics = parse_statistics(derive_statistics(tables))["somewhere"]
    rows = np.loadtxt(tables / "somewhere" / "training_data.txt")
    crop = rows[rows[:, 0] == 1, 1:][
        :, [S2_SEMIANNUAL.measured_names.index(name) for name in COLUMNS]
    ]
    crop = np.where(IS_BAND, np.log(crop), crop)
    assert statistics.crop_share == 0.5
    np.testing.assert_allclose(statistics.means[1], crop.mean(axis=0), rtol=1e-4)
    centred = crop - crop.mean(axis=0)
    np.testing.assert_allclose(
        statistics.covariances[1], centred.T @ centred / (len(crop) - 1), rtol=1e-3, atol=1e-6
    )


def test_a_folder_without_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableInvalid, match=r"no folder in it holds a training_data\.txt"):
        derive_statistics(tmp_path)


def test_a_class_with_too_few_samples_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableInvalid, match="too few for a covariance"):
        derive_statistics(make_tables(tmp_path, n=30))


def test_writing_gives_the_same_bytes_again(tmp_path: Path) -> None:
    tables = make_tables(tmp_path / "tables")
    paths = [tmp_path / "first.json", tmp_path / "second.json"]
    for path in paths:
        write_statistics(tables, path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert parse_statistics(json.loads(paths[0].read_text()))["somewhere"].name == "somewhere"
