"""Accuracy weighted by area, and the area of each class, from labels a map has never seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from geotransfer.accuracy.area import AreaAccuracy, estimate_olofsson, estimate_stehman
from geotransfer.accuracy.matrix import count_matrix
from geotransfer.accuracy.ppi import PoweredShare, estimate_powered_share
from geotransfer.core.accuracy_report import AreaReport, ClassArea
from geotransfer.core.estimate import Estimate
from geotransfer.core.fact import RefreshDone
from geotransfer.core.legend import Legend
from geotransfer.errors import InputError
from geotransfer.workflows.map_areas import MapAreas
from geotransfer.workflows.unseen_labels import UnseenLabels


def estimate_areas(
    done: RefreshDone, unseen: UnseenLabels, areas: MapAreas, legend: Legend, *, seed: int = 0
) -> tuple[AreaAccuracy, AreaReport]:
    """Weight labels by the area they stand for.

    Where the strata of a drawn sample are another map's classes the estimator is Stehman's (2014),
    else Olofsson's (2014). Beside it stands the prediction-powered area of each class (PPI++).

    Raises
    ------
    InputError
        A class with mapped area has no label: nothing is known about that part of the map.
    """
    known = unseen.is_answered
    codes, reference = unseen.codes[known], unseen.points.codes[known]
    is_drawn = unseen.is_probability_sample
    strata = _find_foreign_strata(done, unseen)
    if strata is None:
        estimator = "olofsson"
        found = estimate_olofsson(
            count_matrix(codes, reference, legend),
            areas.areas_km2,
            is_probability_sample=is_drawn,
            seed=seed,
        )
    else:
        estimator = "stehman"
        names, stratum_km2, unit_km2 = strata
        found = estimate_stehman(
            names[known],
            codes,
            reference,
            legend,
            stratum_km2,
            is_probability_sample=is_drawn,
            seed=seed,
            unit_km2=unit_km2,
        )
    powered = [_power(unseen, areas, k, code) for k, code in enumerate(legend.codes)]
    report = AreaReport(
        estimator=estimator,
        is_indicative=found.is_indicative,
        sample=unseen.description,
        overall=found.overall.estimate,
        overall_error=found.overall.standard_error,
        balanced=found.balanced.estimate,
        classes=tuple(
            ClassArea(
                name=name,
                mapped_km2=areas.areas_km2[k],
                area_km2=found.areas_km2[k].estimate,
                area_error_km2=found.areas_km2[k].standard_error,
                powered_km2=_scale(powered[k], areas.total_km2),
                power=None if (share := powered[k]) is None else share.power,
                users=found.users[k].estimate,
                producers=found.producers[k].estimate,
                f1=found.f1[k].estimate,
            )
            for k, name in enumerate(legend.names)
        ),
    )
    return found, report


def _find_foreign_strata(
    done: RefreshDone, unseen: UnseenLabels
) -> tuple[np.ndarray[tuple[int], np.dtype[np.str_]], Mapping[str, float], float] | None:
    """Return stratum of each label, areas and unit, where they are not the present map's classes.

    The strata are classes of the map that was judged when the sample was drawn; the map shown may
    have been made since, by another model.
    """
    sample = unseen.sample
    if sample is None or not unseen.is_probability_sample:
        return None
    suggestion = sample.suggestion
    if suggestion.map_id == done.map_id:
        return None
    areas = {stratum.name: stratum.area_km2 for stratum in suggestion.strata if stratum.n_places}
    return sample.strata, areas, suggestion.pixel_km2


def _power(unseen: UnseenLabels, areas: MapAreas, k: int, code: int) -> PoweredShare | None:
    """Return the prediction-powered share of a class; None where labels are too few for it."""
    known = unseen.is_answered
    weights = strata = None
    if unseen.sample is not None and unseen.is_probability_sample:
        strata = unseen.sample.strata[known]
        area = {s.name: s.area_km2 for s in unseen.sample.suggestion.strata}
        n_of = dict(zip(*np.unique(strata, return_counts=True), strict=True))
        weights = np.array([area[str(name)] / n_of[name] for name in strata])
    try:
        return estimate_powered_share(
            unseen.points.codes[known] == code,
            unseen.probability[known, k],
            areas.probability[k],
            total_km2=areas.total_km2,
            is_probability_sample=unseen.is_probability_sample,
            weights=weights,
            strata=strata,
        )
    except InputError:
        return None


def _scale(powered: PoweredShare | None, total_km2: float) -> Estimate | None:
    if powered is None:
        return None
    share = powered.share
    return replace(
        share, value=share.value * total_km2, low=share.low * total_km2, high=share.high * total_km2
    )
