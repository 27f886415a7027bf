"""The verdict before labelling: use as is, calibrate, collect labels first, or refuse.

From features alone. What such a verdict can know was measured on six African regions, each left
out in turn (docs/decisions/0005): these figures tell a region *like those the model was tested on*
from one unlike them. They do not rank regions of the first kind by accuracy, so within it the
verdict goes by what the model scored when left out, as a prediction interval for a new region.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from geotransfer.accuracy.intervals import (
    bound_draws,
    draw_unit_counts,
    estimate_wilson,
)
from geotransfer.applicability.area import Applicability, list_points, weight_features
from geotransfer.applicability.search import NODATA, find_inside
from geotransfer.applicability.shift import (
    N_ROWS,
    RegionDistance,
    measure_separability,
    rank_regions,
)
from geotransfer.core.estimate import Estimate
from geotransfer.errors import InputError, TableInvalid

Float32 = NDArray[np.float32]

MIN_MEASURED_SHARE = 0.5
"""Share of pixels with all features below which there is nothing to judge."""
REFUSE_INSIDE_SHARE = 0.5
"""Below it most of the map is extrapolation. Belgium has 0.31, under a model of Africa."""
FAMILIAR_INSIDE_SHARE = 0.90
"""A region left out had 0.95 to 0.98; below 0.90 none was tested."""
FAMILIAR_SEPARABILITY = 0.98
"""A region left out reached 0.72 to 0.97 against regions as blocks; Belgium 0.997."""
ALIKE_SEPARABILITY = 0.70
"""Upper end of the interval below which target and source look alike; halves of one region have
0.46 to 0.55, no left-out region came near."""
N_RESAMPLES = 400
"""Bootstrap resamples of target blocks."""


class Recommendation(StrEnum):
    """What to do in a region before any label is collected."""

    USE_AS_IS = "use as is"
    CALIBRATE = "calibrate"
    COLLECT_LABELS_FIRST = "collect labels first"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """The verdict before labelling, with what it rests on."""

    recommendation: Recommendation
    reasons: tuple[str, ...]
    """Sentences for whoever reads the verdict, the deciding one first."""
    measured_share: float
    """Share of the pixels that have all features."""
    inside_share: Estimate
    """Share of the measured pixels inside the area of applicability."""
    fold_rule: str
    """How the area's threshold was found."""
    separability: Estimate
    """AUC of telling the target's pixels from source regions never seen."""
    nearest: tuple[RegionDistance, ...]
    """Source regions, nearest first."""
    robustness: Estimate | None
    """Robustness index of the source, if it was measured."""
    expected: Estimate | None
    """Accuracy to expect, of the kind ``accuracy_target`` is; None where nothing is known."""
    accuracy_target: float
    """Accuracy the map must hold."""
    years_apart: int | None
    """Years between the imagery and the training labels."""


def assess_region(
    applicability: Applicability,
    features: Float32,
    *,
    source_regions: NDArray[np.str_],
    target_blocks: NDArray[np.generic] | None = None,
    expected_left_out: Estimate | None = None,
    expected_alike: Estimate | None = None,
    accuracy_target: float = 0.8,
    robustness: Estimate | None = None,
    years_apart: int | None = None,
    seed: int = 0,
    n_threads: int = 1,
) -> Assessment:
    """Assess a region from the features of its pixels, or a sample of them.

    Parameters
    ----------
    features
        ``(f, n)``: features of the spec the model was trained on.
    source_regions
        ``(n_samples,)``: region of each training sample, at least two different ones.
    target_blocks
        ``(n,)``: block of each pixel. Without them neighbours are taken as independent: the
        intervals are too narrow and the separability too large.
    expected_left_out
        Accuracy in a new region: ``predict_new_region`` of what the model scored on source regions
        left out.
    expected_alike
        Accuracy in blocks of source regions left out: applies where the target looks alike.
    years_apart
        Years between the imagery and the training labels, if known.

    Raises
    ------
    TableInvalid
        No pixel has all features, or arrays differ in length.
    """
    n = features.shape[-1]
    if source_regions.shape != (applicability.n_samples,):
        raise TableInvalid(
            f"source_regions have shape {source_regions.shape}, but there are"
            f" {applicability.n_samples} training samples; give one region each."
        )
    if target_blocks is not None and target_blocks.shape != (n,):
        raise TableInvalid(
            f"target_blocks have shape {target_blocks.shape}, but there are {n} pixels; give one"
            " block each."
        )
    inside = find_inside(applicability, features, n_threads=n_threads)
    is_measured = inside != NODATA
    if not is_measured.any():
        raise TableInvalid(
            f"none of the {n} pixels has all features; check the scenes' dates and masks."
        )
    blocks = np.arange(n) if target_blocks is None else target_blocks
    # The classifier and the ranking draw from these; a whole map would only cost memory.
    drawn = np.random.default_rng(seed).permutation(np.flatnonzero(is_measured))[:N_ROWS]
    rows = np.ascontiguousarray(features[:, drawn].T, dtype=np.float32)
    points = weight_features(rows, applicability.columns, applicability.center, applicability.scale)
    separability = measure_separability(
        list_points(applicability),
        points,
        source_blocks=np.char.add("source ", source_regions.astype(str)),
        target_blocks=np.char.add("target ", blocks[drawn].astype(str)),
        seed=seed,
    )
    inside_share = _estimate_share(
        inside[is_measured] == 1,
        None if target_blocks is None else blocks[is_measured],
        seed,
    )
    nearest = rank_regions(applicability, rows, source_regions, seed=seed)
    measured_share = float(is_measured.mean())
    expected, recommendation, reasons = decide(
        measured_share=measured_share,
        inside_share=inside_share,
        separability=separability,
        expected_left_out=expected_left_out,
        expected_alike=expected_alike,
        accuracy_target=accuracy_target,
    )
    return Assessment(
        recommendation=recommendation,
        reasons=(*reasons, *_describe_context(nearest, robustness, years_apart)),
        measured_share=measured_share,
        inside_share=inside_share,
        fold_rule=applicability.fold_rule,
        separability=separability,
        nearest=nearest,
        robustness=robustness,
        expected=expected,
        accuracy_target=accuracy_target,
        years_apart=years_apart,
    )


def decide(
    *,
    measured_share: float,
    inside_share: Estimate,
    separability: Estimate,
    expected_left_out: Estimate | None,
    expected_alike: Estimate | None,
    accuracy_target: float,
) -> tuple[Estimate | None, Recommendation, tuple[str, ...]]:
    """Return the accuracy to expect, the recommendation and its reasons."""
    inside = f"{inside_share.value:.0%} of the measured area is inside the area of applicability"
    if measured_share < MIN_MEASURED_SHARE:
        reason = (
            f"Only {measured_share:.0%} of the pixels have all features: the scenes are too few or"
            " too cloudy."
        )
        return None, Recommendation.REFUSE, (reason,)
    if inside_share.value < REFUSE_INSIDE_SHARE:
        reason = f"Only {inside}: most of the map would be extrapolation."
        return None, Recommendation.REFUSE, (reason,)
    strange = []
    if inside_share.value < FAMILIAR_INSIDE_SHARE:
        strange.append(
            f"Only {inside}; the regions the model was tested on by leaving them out had"
            " 95 % or more."
        )
    if separability.value > FAMILIAR_SEPARABILITY:
        strange.append(
            f"Its pixels can be told from the source regions' almost always"
            f" (AUC {separability.value:.3f}), more surely than those of any region left out."
        )
    if strange:
        return None, Recommendation.COLLECT_LABELS_FIRST, tuple(strange)
    is_alike = separability.high < ALIKE_SEPARABILITY
    expected = expected_alike if is_alike and expected_alike is not None else expected_left_out
    looks = "looks like" if is_alike else "differs from"
    context = (
        f"{inside[0].upper()}{inside[1:]}.",
        f"The region {looks} the source regions (separability {separability}).",
    )
    if expected is None:
        reason = "No evaluation on regions left out is known for this model."
        return None, Recommendation.CALIBRATE, (reason, *context)
    if expected.low >= accuracy_target:
        reason = f"Expected accuracy {expected} reaches the target of {accuracy_target:.2f}."
        return expected, Recommendation.USE_AS_IS, (reason, *context)
    reason = (
        f"Expected accuracy {expected} does not surely reach the target of {accuracy_target:.2f};"
        " labels from the region show what the map is worth there, and may improve it."
    )
    return expected, Recommendation.CALIBRATE, (reason, *context)


def predict_new_region(values: Sequence[float], *, level: float = 0.9) -> Estimate:
    """Return the accuracy to expect in one more region, from that of regions left out in turn.

    A prediction interval (Student's t) for a region drawn like those; with six regions it is wide,
    and should be.

    Raises
    ------
    InputError
        Fewer than two regions.
    """
    n = len(values)
    if n < 2:
        raise InputError(
            f"accuracy on {n} regions left out does not tell how regions differ; give at least two."
        )
    if not 0 < level < 1:
        raise InputError(f"level {level} is not between 0 and 1; give 0.9 for a 90 % interval.")
    mean = float(np.mean(values))
    spread = float(np.std(values, ddof=1)) * sqrt(1 + 1 / n)
    half = float(stdtrit(n - 1, 0.5 + level / 2)) * spread
    return Estimate(
        value=mean,
        low=max(mean - half, 0.0),
        high=min(mean + half, 1.0),
        level=level,
        method="t-prediction over regions left out",
        n=n,
    )


def _estimate_share(
    is_inside: NDArray[np.bool_], blocks: NDArray[np.generic] | None, seed: int
) -> Estimate:
    n = len(is_inside)
    if blocks is None:
        return estimate_wilson(int(is_inside.sum()), n)
    names, units = np.unique(blocks, return_inverse=True)
    inside = np.bincount(units, weights=is_inside)
    sizes = np.bincount(units)
    counts = draw_unit_counts(len(names), N_RESAMPLES, np.random.default_rng(seed))
    low, high = bound_draws((counts @ inside) / (counts @ sizes), 0.95, n_units=len(names))
    value = float(is_inside.mean())
    return Estimate(
        value=value,
        low=min(low, value),
        high=max(high, value),
        method="block-bootstrap",
        n=n,
    )


def _describe_context(
    nearest: tuple[RegionDistance, ...], robustness: Estimate | None, years_apart: int | None
) -> tuple[str, ...]:
    named = ", ".join(f"{item.region_id} ({item.median_di:.2f})" for item in nearest[:2])
    sentences = [f"Nearest source regions, by median dissimilarity: {named}."]
    if robustness is not None:
        if robustness.low > 0.5:
            sharing = "class more often than region"
        elif robustness.high < 0.5:
            sharing = "region more often than class"
        else:
            sharing = "class and region about equally often"
        sentences.append(
            f"Neighbours in feature space share {sharing} (robustness index {robustness})."
        )
    if years_apart:
        sentences.append(
            f"The imagery is {abs(years_apart)} years from the training labels; the accuracy"
            " expected was measured within one year."
        )
    return tuple(sentences)
