"""The same guarantees on the real tables, with the weights of a real model."""

from __future__ import annotations

from pathlib import Path

import lightgbm as lgb
import numpy as np
import pytest
from scipy.spatial import cKDTree

from geotransfer.applicability.area import fit_applicability, list_points, weight_features
from geotransfer.applicability.assess import Recommendation, assess_region, predict_new_region
from geotransfer.applicability.search import compute_dissimilarity, find_inside
from geotransfer.core.spec import S2_SEMIANNUAL
from geotransfer.imagery.features import derive_table, select_columns

SOURCES = ("central", "northern", "western")


def read_features(folder: Path, region: str) -> tuple[np.ndarray, np.ndarray]:
    path = folder / "deafrica-cropland-2019" / region / "training_data.txt"
    with path.open() as lines:
        names = lines.readline().removeprefix("#").split()[1:]
    rows = np.loadtxt(path, skiprows=1, dtype=np.float32)
    measured = select_columns(S2_SEMIANNUAL, names, rows[:, 1:], where=region)
    return derive_table(S2_SEMIANNUAL, measured), rows[:, 0]


@pytest.mark.slow
@pytest.mark.reference
def test_a_region_left_out_is_mapped_exactly_and_found_familiar(reference_data: Path) -> None:
    parts = [read_features(reference_data, region) for region in SOURCES]
    samples = np.concatenate([features for features, _ in parts])
    classes = np.concatenate([labels for _, labels in parts])
    regions = np.repeat(SOURCES, [len(labels) for _, labels in parts])
    settings = {"objective": "binary", "num_threads": 1, "verbose": -1, "deterministic": True}
    booster = lgb.train(settings, lgb.Dataset(samples, classes), 100)
    fitted = fit_applicability(
        samples,
        booster.feature_importance("gain"),
        np.unique(regions, return_inverse=True)[1],
        fold_rule="leave-one-region-out",
        feature_names=S2_SEMIANNUAL.names,
    )
    target, _ = read_features(reference_data, "eastern")
    pixels = np.ascontiguousarray(target.T)
    asked = weight_features(target, fitted.columns, fitted.center, fitted.scale)
    exact, _ = cKDTree(list_points(fitted).astype(np.float64)).query(asked[:500].astype(np.float64))
    di = compute_dissimilarity(fitted, pixels)
    np.testing.assert_allclose(di[:500], exact / fitted.mean_distance, atol=1e-6)
    np.testing.assert_array_equal(find_inside(fitted, pixels) == 1, di <= fitted.threshold)
    verdict = assess_region(
        fitted,
        pixels,
        source_regions=regions,
        expected_left_out=predict_new_region([0.627, 0.676, 0.612]),
    )
    assert verdict.recommendation is Recommendation.CALIBRATE
    assert verdict.inside_share.value > 0.9
    far = np.ascontiguousarray((target + 8 * samples.std(axis=0)).T)
    assert find_inside(fitted, far).mean() < 0.01
