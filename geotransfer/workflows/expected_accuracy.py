"""Expected accuracy against dissimilarity: from a region's own labels, else from other regions."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np

from geotransfer.accuracy.folds import assign_blocks, choose_block_km
from geotransfer.accuracy.profile import fit_profile
from geotransfer.applicability.search import compute_dissimilarity
from geotransfer.core.applicability import AccuracyCurve
from geotransfer.core.decode import from_plain
from geotransfer.core.fact import RefreshDone
from geotransfer.errors import InputError, LeakRefused
from geotransfer.imagery.features import derive_table
from geotransfer.store.shipped import BASELINE_CARD, EXPECTED_ACCURACY, locate_shipped
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.definitions import find_spec
from geotransfer.workflows.label_features import measure_labels
from geotransfer.workflows.models import load_cached_model
from geotransfer.workflows.regions import find_region
from geotransfer.workflows.source_area import SourceArea
from geotransfer.workflows.unseen_labels import find_unseen_labels

MIN_OWN_ROWS = 60
"""Own labels below which the reference regions, though elsewhere, say more."""


def find_curve(workspace: Workspace, done: RefreshDone, source: SourceArea) -> AccuracyCurve:
    """Return the curve for a region's present map.

    Learned on labels that the map has never seen, whole blocks resampled; where they are fewer
    than ``MIN_OWN_ROWS`` and the shipped global model made the map, on the reference regions.

    Raises
    ------
    InputError
        Neither is at hand.
    """
    own = _fit_own(workspace, done, source)
    if own is not None:
        return own
    card = json.loads(locate_shipped(BASELINE_CARD).read_text(encoding="utf-8"))
    if done.model_id != card["version"]["model_id"]:
        raise InputError(
            f"expected accuracy needs {MIN_OWN_ROWS} labels that this map has never seen; upload a"
            f" holdout set with `geotransfer labels add {done.region_id} FILE --holdout`."
        )
    plain = json.loads(locate_shipped(EXPECTED_ACCURACY).read_text(encoding="utf-8"))
    return from_plain(AccuracyCurve, plain)


def _fit_own(workspace: Workspace, done: RefreshDone, source: SourceArea) -> AccuracyCurve | None:
    region = find_region(workspace, str(done.region_id))
    legend = load_cached_model(workspace.blobs_url, done.model_id).legend
    try:
        unseen = find_unseen_labels(workspace, region, done, legend)
    except LeakRefused:  # labels beside those that trained the map are none it has never seen
        return None
    if unseen is None:
        return None
    measured = measure_labels(workspace, region, unseen.points)
    features = derive_table(find_spec(workspace, region.spec_name), measured)
    di = compute_dissimilarity(source.area, np.ascontiguousarray(features.T))
    known = np.isfinite(di) & unseen.is_answered
    if known.sum() < MIN_OWN_ROWS:
        return None
    xy_km = unseen.points.xy_km[known]
    block_km = choose_block_km(xy_km)
    curve = fit_profile(
        di[known],
        unseen.codes[known] == unseen.points.codes[known],
        groups=None if block_km is None else assign_blocks(xy_km, block_km),
        seed=0,
    )
    return replace(curve, rows=f"{curve.n} labels of this region: {unseen.description}")
