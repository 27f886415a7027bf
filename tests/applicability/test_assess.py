"""The verdict before labelling: each recommendation for its reason."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from geotransfer.applicability.area import Applicability, fit_applicability
from geotransfer.applicability.assess import (
    Assessment,
    Recommendation,
    assess_region,
    decide,
    predict_new_region,
)
from geotransfer.core.decode import from_plain
from geotransfer.core.estimate import Estimate
from geotransfer.core.identity import to_plain
from geotransfer.errors import InputError, TableInvalid


def share(value: float, half: float = 0.02) -> Estimate:
    return Estimate(value=value, low=value - half, high=value + half, method="test", n=100)


FAMILIAR = {
    "measured_share": 1.0,
    "inside_share": share(0.97),
    "separability": share(0.85),
    "expected_left_out": share(0.66, 0.1),
    "expected_alike": share(0.86),
    "accuracy_target": 0.8,
}


@pytest.mark.parametrize(
    ("change", "expected", "word"),
    [
        ({}, Recommendation.CALIBRATE, "does not surely reach"),
        ({"expected_left_out": None}, Recommendation.CALIBRATE, "No evaluation"),
        ({"expected_left_out": share(0.9)}, Recommendation.USE_AS_IS, "reaches the target"),
        # Looks alike: the accuracy of left-out blocks counts, not that of left-out regions.
        ({"separability": share(0.55)}, Recommendation.USE_AS_IS, "reaches the target"),
        ({"separability": share(0.69)}, Recommendation.CALIBRATE, "does not surely"),
        ({"inside_share": share(0.8)}, Recommendation.COLLECT_LABELS_FIRST, "80%"),
        ({"separability": share(0.995)}, Recommendation.COLLECT_LABELS_FIRST, "AUC 0.995"),
        ({"inside_share": share(0.31)}, Recommendation.REFUSE, "extrapolation"),
        ({"measured_share": 0.3}, Recommendation.REFUSE, "30% of the pixels"),
    ],
)
def test_decision_and_its_reason(
    change: dict[str, object], expected: Recommendation, word: str
) -> None:
    _, recommendation, reasons = decide(**{**FAMILIAR, **change})  # type: ignore[arg-type]
    assert recommendation == expected
    assert word in reasons[0]


def test_a_region_unlike_those_tested_promises_no_accuracy() -> None:
    strange = {**FAMILIAR, "separability": share(0.999), "expected_left_out": share(0.95)}
    expected, recommendation, _ = decide(**strange)  # type: ignore[arg-type]
    assert expected is None
    assert recommendation is Recommendation.COLLECT_LABELS_FIRST


def test_prediction_interval_for_a_new_region() -> None:
    estimate = predict_new_region([0.6, 0.7], level=0.95)
    # t(.975, 1) = 12.7, s = .0707, √(1 + 1/2): wider than 0–1.
    assert (estimate.low, estimate.high) == (0, 1)
    six = predict_new_region([0.751, 0.819, 0.778, 0.705, 0.690, 0.697])
    half = 2.015 * np.std([0.751, 0.819, 0.778, 0.705, 0.690, 0.697], ddof=1) * np.sqrt(7 / 6)
    assert six.high - six.value == pytest.approx(half, rel=1e-3)
    assert six.n == 6
    with pytest.raises(InputError, match="at least two"):
        predict_new_region([0.7])
    with pytest.raises(InputError, match="level"):
        predict_new_region([0.7, 0.8], level=90)


def test_prediction_interval_covers() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0.7, 0.05, size=(2000, 7))
    hits = 0
    for row in values:
        estimate = predict_new_region(row[:6].tolist(), level=0.9)
        hits += estimate.low <= row[6] <= estimate.high
    assert 0.88 < hits / 2000 < 0.92


@cache
def make_source() -> tuple[Applicability, NDArray[np.str_]]:
    rng = np.random.default_rng(0)
    regions = np.repeat(["a", "b", "c", "d"], 150)
    centers = dict(zip("abcd", rng.normal(size=(4, 5)) * 0.7, strict=True))
    samples = np.stack([centers[name] + rng.normal(size=5) for name in regions])
    fitted = fit_applicability(
        samples.astype(np.float32),
        np.ones(5),
        np.unique(regions, return_inverse=True)[1],
        fold_rule="leave-one-region-out",
    )
    return fitted, regions


def assess(shift: float, **change: object) -> Assessment:
    fitted, regions = make_source()
    rng = np.random.default_rng(1)
    blocks = np.repeat(np.arange(12), 60)
    pixels = rng.normal(size=(720, 5)) + 0.4 * rng.normal(size=(12, 5))[blocks] + shift
    settings = {"source_regions": regions, "target_blocks": blocks, **change}
    return assess_region(fitted, pixels.T.astype(np.float32), **settings)  # type: ignore[arg-type]


def test_a_region_among_the_others_and_one_far_away() -> None:
    near = assess(0.0, expected_left_out=share(0.6), years_apart=2, robustness=share(0.3))
    assert near.recommendation is Recommendation.CALIBRATE
    assert near.inside_share.value > 0.9
    assert near.expected == share(0.6)
    assert near.fold_rule == "leave-one-region-out"
    assert any("2 years from" in reason for reason in near.reasons)
    assert any("region more often than class" in reason for reason in near.reasons)
    assert {item.region_id for item in near.nearest} == {"a", "b", "c", "d"}
    far = assess(7.0)
    assert far.recommendation is Recommendation.REFUSE
    assert far.expected is None
    assert far.separability.value > 0.98


def test_the_value_is_plain_and_repeats() -> None:
    one = assess(0.5)
    assert one == assess(0.5)
    assert from_plain(Assessment, to_plain(one)) == one
    assert to_plain(one)["recommendation"] == "calibrate"


def test_pixels_not_measured_are_left_out_and_counted() -> None:
    fitted, regions = make_source()
    rng = np.random.default_rng(2)
    pixels = rng.normal(size=(5, 400)).astype(np.float32)
    pixels[2, ::4] = np.nan
    found = assess_region(fitted, pixels, source_regions=regions)
    assert found.measured_share == 0.75
    assert found.inside_share.n == 300
    assert found.inside_share.method == "wilson"
    pixels[2] = np.nan
    with pytest.raises(TableInvalid, match="none of the 400 pixels"):
        assess_region(fitted, pixels, source_regions=regions)


def test_lengths_that_disagree_are_said() -> None:
    with pytest.raises(TableInvalid, match="source_regions have shape"):
        assess(0, source_regions=np.array(["a", "b"]))
    with pytest.raises(TableInvalid, match="target_blocks have shape"):
        assess(0, target_blocks=np.arange(3))


def test_thresholds_lie_where_the_measurements_put_them() -> None:
    # docs/decisions/0005: left-out African regions are familiar, Belgium is refused.
    for inside, separability in ((0.953, 0.954), (0.962, 0.973), (0.985, 0.784)):
        verdict = decide(
            **{**FAMILIAR, "inside_share": share(inside), "separability": share(separability)}  # type: ignore[arg-type]
        )
        assert verdict[1] is Recommendation.CALIBRATE
    belgium = {**FAMILIAR, "inside_share": share(0.315), "separability": share(0.997)}
    assert decide(**belgium)[1] is Recommendation.REFUSE  # type: ignore[arg-type]
