"""Ship: the global model that also reads rain climatology and slope, with its card."""

from __future__ import annotations

import lzma
from collections.abc import Mapping

import numpy as np

from geotransfer.core.legend import CROPLAND
from geotransfer.registry.versions import CLIMATE_NAME
from geotransfer.transfer.baseline import (
    CLIMATE_TRAINING,
    fit_scaling,
    index_classes,
    predict_left_out,
    scale_scores,
    train_baseline,
)
from geotransfer.transfer.gain import measure_macro_auc
from geotransfer.transfer.gaussian_process import fit_projection
from geotransfer.transfer.kernel_learning import learn_kernel, make_practices
from geotransfer.transfer.model_file import dump_model
from geotransfer.transfer.samples import Samples, concatenate_samples, gather_positions
from geotransfer.transfer.threads import limit_blas
from geotransfer.workflows.ship_card import write_card


def make_climate_model(
    tables: Mapping[str, Samples], *, seed: int, n_threads: int, attribution: str
) -> tuple[bytes, bytes]:
    """Train the climate model on every table; return it (compressed) and its card.

    The card tells the AUC of each region by trees that left it out: they fit the scaling anyway.
    """
    parts = list(tables.values())
    source = concatenate_samples(parts[0], *parts[1:])
    targets = index_classes(CROPLAND, source.classes, where="source samples")
    with limit_blas():
        raw = predict_left_out(
            source, CROPLAND, trainings=CLIMATE_TRAINING, seed=seed, n_threads=n_threads
        )
        scaling = fit_scaling(raw, targets, source.weights)
        projection = fit_projection(source.features, source.weights)
        kernel = learn_kernel(
            make_practices(
                projection.project(source.features),
                gather_positions(parts[0], *parts[1:]),
                scale_scores(raw, scaling),
                targets,
                source.region_ids,
            ),
            seed=seed,
        )
    model = train_baseline(
        source,
        CROPLAND,
        trainings=CLIMATE_TRAINING,
        seed=seed,
        scaling=scaling,
        kernel=kernel,
    )
    data = dump_model(model)
    aucs = {
        name: round(float(measure_macro_auc(raw[:, rows], targets[rows])[0]), 4)
        for name in tables
        for rows in [np.flatnonzero(source.region_ids == name)]
    }
    card = write_card(
        model,
        source,
        data,
        name=CLIMATE_NAME,
        seed=seed,
        attribution=attribution,
        told={
            "what": "Probability of cropland from two half-year Sentinel-2 composites, the rain"
            " climatology of both half-years (mm) and slope (percent).",
            "leave_one_region_out_auc": aucs,
            "intended_use": "Where rain climatology and slope are at hand as layers; elsewhere use"
            " the model that reads Sentinel-2 alone.",
            "limits": "As of the model that reads Sentinel-2 alone. One year's own rain is no"
            " climatology and must not stand in for it. Five times as many trees, so a pixel costs"
            " five times as much.",
        },
    )
    return lzma.compress(data, format=lzma.FORMAT_XZ, preset=9), card
