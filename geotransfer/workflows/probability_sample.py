"""Recognise labels of a probability sample by their places: no column has to survive the field."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from geotransfer.core.fact import LabelsSuggested
from geotransfer.core.suggestion import Design, Suggestion
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.transfer_views import read_suggestion

MIN_RESPONSE = 0.8
"""Share of the places, up to the last one labelled, that must have a label: with fewer, those
left out decide, not chance."""
METERS_PER_DEGREE = 111_320.0


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class RecognisedSample:
    """Labels matched with the places that were drawn for them."""

    suggestion: Suggestion
    places: NDArray[np.int64]
    """Shape (n,), place of each label in the suggestion; −1 where it is no drawn place."""
    is_probability_sample: bool
    note: str
    """How many labels are drawn places, and whether that is enough."""

    @property
    def strata(self) -> NDArray[np.str_]:
        """Stratum of each label, shape (n,); only where all were drawn."""
        names = np.array([place.map_class for place in self.suggestion.places])
        return np.asarray(names[self.places])


def recognise_sample(
    workspace: Workspace, region_id: str, lonlat: NDArray[np.float64]
) -> RecognisedSample | None:
    """Match labels (n, 2), degrees, with the samples drawn in a region; None where none fits.

    A label belongs to a drawn place within one pixel's side of it, each place to one label. The
    sample that most labels belong to is taken; the labels are a probability sample only if all
    of them were drawn, and nearly all places up to the last one labelled have a label.
    """
    best: RecognisedSample | None = None
    for recorded in reversed(workspace.ledger.read(LabelsSuggested, region_id=region_id)):
        if recorded.fact.design != Design.STRATIFIED.value or not len(lonlat):
            continue
        found = match_sample(read_suggestion(workspace, recorded.fact.suggestion_id), lonlat)
        if best is None or (found.places >= 0).sum() > (best.places >= 0).sum():
            best = found
    return best if best is not None and (best.places >= 0).any() else None


def match_sample(suggestion: Suggestion, lonlat: NDArray[np.float64]) -> RecognisedSample:
    """Match labels (n, 2) with one drawn sample; see ``recognise_sample``."""
    drawn = np.array([[place.lon, place.lat] for place in suggestion.places])
    shrink = np.array([np.cos(np.radians(drawn[:, 1].mean())), 1.0]) * METERS_PER_DEGREE
    gap_m, nearest = cKDTree(drawn * shrink).query(lonlat * shrink)
    places = np.where(gap_m <= suggestion.pixel_m, nearest, -1).astype(np.int64)
    # Of two labels at one place only the nearer counts as its label.
    for place in np.unique(places[places >= 0]):
        rows = np.flatnonzero(places == place)
        places[np.delete(rows, gap_m[rows].argmin())] = -1
    matched = places[places >= 0]
    n_strange = len(places) - len(matched)
    n_asked = int(matched.max()) + 1 if len(matched) else 0
    response = len(matched) / n_asked if n_asked else 0.0
    note = (
        f"{len(matched)} of the {len(suggestion.places)} places drawn at random within the classes"
        " of the map"
    )
    if n_strange:
        note += (
            f"; {n_strange} other labels are with them, so they are no probability sample: upload"
            " these in a file of their own."
        )
    elif response < MIN_RESPONSE:
        note += (
            f"; only {response:.0%} of the first {n_asked} places have a label, so chance no longer"
            " decides which do: label the others."
        )
    elif response < 1:
        note += f"; {n_asked - len(matched)} without a label are taken as missing by chance."
    else:
        note += "."
    return RecognisedSample(
        suggestion=suggestion,
        places=places,
        is_probability_sample=not n_strange and response >= MIN_RESPONSE,
        note=note,
    )


def describe_recognised(workspace: Workspace, region_id: str, lonlat: NDArray[np.float64]) -> str:
    """Say whether labels (n, 2), degrees, are a probability sample; empty where none was drawn."""
    found = recognise_sample(workspace, region_id, lonlat)
    if found is None:
        return ""
    if not found.is_probability_sample:
        return f"Not a probability sample: {found.note}"
    return (
        f"Recognised as a probability sample: {found.note} Keep it apart from labels that train (as"
        " holdout); accuracy and areas are then design-based."
    )
