"""Models as bytes: one JSON document, LightGBM text and plain arrays; nothing that can run."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geotransfer.core.decode import from_plain
from geotransfer.core.identity import canonical_json, content_id, to_plain
from geotransfer.core.legend import Legend
from geotransfer.core.spec import FORMULAS, STATISTICS, parse_spec
from geotransfer.errors import GeoTransferError, ModelInvalid
from geotransfer.transfer.forest_plan import parse_model
from geotransfer.transfer.gaussian_process import Kernel, Projection
from geotransfer.transfer.model import Correction, Model, Scores
from geotransfer.transfer.trees import Trees

FORMAT = "geotransfer-model"
FORMAT_VERSION = 1

Float64 = NDArray[np.float64]


def dump_model(model: Model) -> bytes:
    """Write a model; equal models give equal bytes."""
    content = {
        "spec": to_plain(model.spec),
        "legend": to_plain(model.legend),
        "kind": model.kind,
        "scores": _pack_scores(model.scores),
        "projection": {
            "centre": _pack(model.projection.centre),
            "scale": _pack(model.projection.scale),
            "axes": _pack(model.projection.axes),
        },
        "source_region_ids": list(model.source_region_ids),
        "source_id": model.source_id,
        "local": None if model.local is None else _pack_scores(model.local),
        "local_share": model.local_share,
        "correction": None
        if model.correction is None
        else {
            "kernel": to_plain(model.correction.kernel),
            "points": _pack(model.correction.points),
            "alpha": _pack(model.correction.alpha),
        },
        "labels_xy_km": None if model.labels_xy_km is None else _pack(model.labels_xy_km),
        "within_km": model.within_km,
        "kernel": None if model.kernel is None else to_plain(model.kernel),
        "labels_id": model.labels_id,
        "notes": list(model.notes),
    }
    return canonical_json(
        {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "sha256": content_id(content),
            "content": content,
        }
    )


def load_model(data: bytes) -> Model:
    """Read a model that ``dump_model`` wrote.

    Raises
    ------
    ModelInvalid
        The bytes are damaged, of another format, or of a newer version.
    """
    try:
        document = json.loads(data)
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise ModelInvalid(
                "the file is not a GeoTransfer model; give one that train or fine-tune wrote."
            )
        if document["version"] != FORMAT_VERSION:
            raise ModelInvalid(
                f"the model has format version {document['version']}, this product reads"
                f" {FORMAT_VERSION}; upgrade, or train the model again."
            )
        content = document["content"]
        # LightGBM ends the process on some damaged texts, so nothing damaged may reach it.
        if content_id(content) != document["sha256"]:
            raise ModelInvalid(
                "the model file is damaged (its checksum differs); restore it or train the model"
                " again."
            )
        model = _parse(content)
        _check(model)
    except ModelInvalid:
        raise
    except GeoTransferError as error:
        raise ModelInvalid(str(error)) from error
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise ModelInvalid(
            f"the model file is damaged ({type(error).__name__}: {error}); restore it or train the"
            " model again."
        ) from error
    return model


def _parse(document: dict[str, Any]) -> Model:
    correction, local, labels = (document[k] for k in ("correction", "local", "labels_xy_km"))
    return Model(
        spec=parse_spec(document["spec"]),
        legend=from_plain(Legend, document["legend"]),
        kind=str(document["kind"]),
        scores=_unpack_scores(document["scores"]),
        projection=Projection(**{k: _unpack(v) for k, v in document["projection"].items()}),
        source_region_ids=tuple(document["source_region_ids"]),
        source_id=document["source_id"],
        local=None if local is None else _unpack_scores(local),
        local_share=float(document["local_share"]),
        correction=None
        if correction is None
        else Correction(
            kernel=from_plain(Kernel, correction["kernel"]),
            points=_unpack(correction["points"]),
            alpha=_unpack(correction["alpha"]),
        ),
        labels_xy_km=None if labels is None else _unpack(labels),
        within_km=None if document["within_km"] is None else float(document["within_km"]),
        labels_id=document["labels_id"],
        # Files of before the kernel was learned have none.
        kernel=None if document.get("kernel") is None else from_plain(Kernel, document["kernel"]),
        notes=tuple(document["notes"]),
    )


def _check(model: Model) -> None:
    """Refuse parts that do not fit each other, before a map is made of them."""
    for column in (*model.spec.measured, *model.spec.derived):
        if column.formula not in ("", *FORMULAS) or column.statistic not in ("", *STATISTICS):
            raise ModelInvalid(
                f"the model's column {column.name!r} uses {column.formula or column.statistic!r},"
                " which this product does not know; upgrade, or train the model again."
            )
    n_features, n_classes = len(model.spec.names), len(model.legend.classes)
    n_latent = 1 if n_classes == 2 else n_classes
    for scores in filter(None, (model.scores, model.local)):
        if len(scores.intercepts) != n_latent or len(scores.slopes) != len(scores.trees):
            raise ModelInvalid("the model's scores do not fit its legend; train it again.")
        for trees in scores.trees:
            ensemble = parse_model(trees.text)
            if ensemble.n_features != n_features or ensemble.n_classes != n_latent:
                raise ModelInvalid(
                    f"the model's trees read {ensemble.n_features} features, its spec has"
                    f" {n_features}; train it again."
                )
    if model.projection.axes.shape[:1] != (n_features,):
        raise ModelInvalid("the model's projection does not fit its spec; train it again.")
    if model.correction is not None:
        points, alpha = model.correction.points, model.correction.alpha
        if points.shape[1] != model.projection.axes.shape[1] or alpha.shape != (
            len(points),
            n_latent,
        ):
            raise ModelInvalid("the model's correction does not fit its legend; train it again.")
    if model.labels_xy_km is not None and model.labels_xy_km.shape[1:] != (2,):
        raise ModelInvalid("the model's label positions are damaged; train it again.")


def _pack_scores(scores: Scores) -> dict[str, Any]:
    return {
        "trees": [trees.text for trees in scores.trees],
        "slopes": list(scores.slopes),
        "intercepts": list(scores.intercepts),
    }


def _unpack_scores(data: dict[str, Any]) -> Scores:
    return Scores(
        trees=tuple(Trees(str(text)) for text in data["trees"]),
        slopes=tuple(float(v) for v in data["slopes"]),
        intercepts=tuple(float(v) for v in data["intercepts"]),
    )


def _pack(array: Float64) -> dict[str, Any]:
    """Little-endian doubles in base64, with their shape."""
    values = np.ascontiguousarray(array, dtype="<f8")
    return {
        "shape": list(values.shape),
        "float64": base64.b64encode(values.tobytes()).decode("ascii"),
    }


def _unpack(data: dict[str, Any]) -> Float64:
    values = np.frombuffer(base64.b64decode(data["float64"], validate=True), dtype="<f8")
    return values.reshape(data["shape"]).astype(np.float64)
