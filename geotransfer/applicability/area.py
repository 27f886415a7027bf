"""The area of applicability: how near training samples must be for a map to be trusted.

Meyer & Pebesma 2021, doi 10.1111/2041-210X.13650; the definitions are those of the R package CAST
1.1.0. A pixel's *dissimilarity index* (DI) is its distance to the nearest training sample, in
standardised features weighted by their importance, over the mean distance between samples. It is
inside where the DI is at most a threshold taken from the samples' own DI across folds.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geotransfer.applicability.pairwise import measure_pairs
from geotransfer.applicability.sample_index import SampleIndex, build_index
from geotransfer.errors import ModelInvalid, TableInvalid

Float32 = NDArray[np.float32]

THRESHOLD_RULE = "q75+1.5iqr,capped"
"""Upper quartile of the samples' DI plus 1.5 interquartile ranges (quantiles by linear
interpolation), at most the largest DI. CAST changed its rule twice; ours is stored by name."""
FORMAT = 1
"""Version of the stored form."""
AXES_UNIT = 8
"""Weighted features are padded to a multiple of this with zeros."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Applicability:
    """What is needed to say how far pixels are from the samples a model learnt from.

    Arrays are never written to. ``n`` samples, ``f`` features in the order of the feature spec,
    ``a`` axes: the features with weight, heaviest first, padded with zeros.
    """

    feature_names: tuple[str, ...]
    """Names of the ``f`` features."""
    fold_rule: str
    """How the folds separate samples, in words: the threshold depends on it."""
    threshold_rule: str
    """How the threshold follows from the samples' DI."""
    threshold: float
    """Largest DI inside the area of applicability."""
    mean_distance: float
    """Mean over samples of their mean distance to all others, in weighted feature space, the
    largest weight being 1: the unit of the DI."""
    weights: NDArray[np.float64]
    """``(f,)``: importance as given; negative ones count as 0."""
    columns: NDArray[np.int32]
    """``(a,)``: feature of each axis."""
    center: Float32
    """``(a,)``: mean of the feature over the samples."""
    scale: Float32
    """``(a,)``: weight over standard deviation; 0 for padding."""
    training_di: Float32
    """``(n,)``: each sample's DI, to the nearest sample of another fold."""
    folds: NDArray[np.int32]
    """``(n,)``."""
    classes: NDArray[np.int32]
    """``(n,)``; empty where no classes were given."""
    sample_rows: NDArray[np.int32]
    """``(n,)``: row of each sample in the table it came from."""
    index: SampleIndex
    """The samples, arranged for searching."""

    @property
    def n_samples(self) -> int:
        """Number of training samples."""
        return len(self.sample_rows)


def fit_applicability(
    samples: Float32,
    weights: NDArray[np.float64],
    folds: NDArray[np.int32],
    *,
    fold_rule: str,
    classes: NDArray[np.int32] | None = None,
    feature_names: tuple[str, ...] = (),
    n_threads: int = 1,
) -> Applicability:
    """Measure the training samples of a model.

    Parameters
    ----------
    samples
        ``(n, f)``, finite.
    weights
        ``(f,)``: the model's feature importance. Negative ones count as 0; features without weight
        are left out of the distance (and may be constant), but a pixel must still have them.
    folds
        ``(n,)``: the cross-validation fold of each sample, at least two different ones. The wider
        the folds are apart, the larger the threshold.
    fold_rule
        What the folds are, for whoever reads the map: ``leave-one-region-out``, ``blocks 100 km``.
    classes
        ``(n,)``: class of each sample, if areas per class are wanted.
    feature_names
        ``(f,)``: used in messages and stored.

    Raises
    ------
    TableInvalid
        Shapes that do not agree, values that are not finite, a weighted feature without variance,
        no positive weight, or a single fold.
    """
    samples = np.asarray(samples, dtype=np.float32)
    weights = np.array(weights, dtype=np.float64)
    _check_fit(samples, weights, folds, classes, feature_names)
    names = feature_names or tuple(f"feature {i}" for i in range(samples.shape[1]))
    weights = np.maximum(weights, 0.0)
    is_constant = samples.max(axis=0) == samples.min(axis=0)
    if (is_constant & (weights > 0)).any():
        constant = names[int(np.argmax(is_constant & (weights > 0)))]
        raise TableInvalid(
            f"{constant} has the same value in all {len(samples)} samples, so distances cannot be"
            " measured in it; leave it out, or give it weight 0."
        )
    order = np.argsort(-weights, kind="stable")
    order = order[weights[order] > 0]
    n_axes = -(-len(order) // AXES_UNIT) * AXES_UNIT
    columns = np.full(n_axes, order[0], dtype=np.int32)
    center = np.zeros(n_axes, dtype=np.float32)
    scale = np.zeros(n_axes, dtype=np.float32)
    columns[: len(order)] = order
    center[: len(order)] = samples.mean(axis=0, dtype=np.float64)[order]
    spread = samples.std(axis=0, ddof=1, dtype=np.float64)[order]
    scale[: len(order)] = weights[order] / weights.max() / spread
    return _assemble(
        weight_features(samples, columns, center, scale),
        folds=np.asarray(folds, dtype=np.int32),
        classes=np.empty(0, np.int32) if classes is None else np.asarray(classes, dtype=np.int32),
        sample_rows=np.arange(len(samples), dtype=np.int32),
        mean_distance=None,
        n_threads=n_threads,
        feature_names=names,
        fold_rule=fold_rule,
        weights=weights,
        columns=columns,
        center=center,
        scale=scale,
    )


def weight_features(
    rows: Float32, columns: NDArray[np.int32], center: Float32, scale: Float32
) -> Float32:
    """Return ``(n, f)`` features as ``(n, a)`` weighted ones, rounded as the search does."""
    return np.ascontiguousarray((rows[:, columns] - center) * scale)


def select_class(applicability: Applicability, label: int, *, n_threads: int = 1) -> Applicability:
    """Return the area of applicability of one class: how near are samples *of this class*?

    Standardisation, weights and the unit of the DI stay those of all samples, so that classes can
    be compared; the threshold is that of the class's own samples across folds.

    Raises
    ------
    TableInvalid
        No classes were given, or the class has samples in fewer than two folds.
    """
    chosen = applicability.classes == label
    if not chosen.any():
        raise TableInvalid(
            f"no sample of class {label} is among the {applicability.n_samples} training samples;"
            " fit with classes, or ask for one that is there."
        )
    if len(np.unique(applicability.folds[chosen])) < 2:
        raise TableInvalid(
            f"all samples of class {label} are in one fold, so its threshold cannot be found;"
            " use smaller folds."
        )
    return _assemble(
        list_points(applicability)[chosen],
        folds=applicability.folds[chosen],
        classes=applicability.classes[chosen],
        sample_rows=applicability.sample_rows[chosen],
        mean_distance=applicability.mean_distance,
        n_threads=n_threads,
        feature_names=applicability.feature_names,
        fold_rule=applicability.fold_rule,
        weights=applicability.weights,
        columns=applicability.columns,
        center=applicability.center,
        scale=applicability.scale,
    )


def list_points(applicability: Applicability) -> Float32:
    """Return the samples ``(n, a)`` in weighted feature space, in their order."""
    index = applicability.index
    filled = index.rows >= 0
    order = np.argsort(index.rows[filled], kind="stable")
    return np.ascontiguousarray(index.points[filled][order])


def find_threshold(training_di: Float32) -> float:
    """Return the threshold by ``THRESHOLD_RULE``, a value that float32 holds exactly."""
    lower, upper = np.quantile(training_di.astype(np.float64), [0.25, 0.75])
    fence = np.float32(upper + 1.5 * (upper - lower))
    return float(min(fence, training_di.max()))


def find_limit(mean_distance: float, threshold: float, *, is_strict: bool = False) -> float:
    """Return the largest square distance whose DI is at most (or below) the threshold.

    The DI is the float32 nearest to √square / mean distance. Comparing squares with this limit
    therefore agrees with comparing DIs, to the last bit. −1 where no distance qualifies.
    """
    bound = np.float32(threshold)

    def is_near(square: np.float32) -> bool:
        di = np.float32(np.sqrt(np.float64(square)) / mean_distance)
        return bool(di < bound if is_strict else di <= bound)

    square = np.float32((threshold * mean_distance) ** 2)
    while is_near(np.nextafter(square, np.float32(np.inf))):
        square = np.nextafter(square, np.float32(np.inf))
    while square >= 0 and not is_near(square):
        square = np.nextafter(square, np.float32(-np.inf))
    return float(square) if square >= 0 else -1.0


def count_training_points(applicability: Applicability, *, n_threads: int = 1) -> NDArray[np.int32]:
    """Return each sample's local point density: samples of other folds with a DI below the
    threshold. Schumacher et al. 2025, doi 10.5194/gmd-18-10185-2025.
    """
    limit = find_limit(applicability.mean_distance, applicability.threshold, is_strict=True)
    _, _, counts = measure_pairs(
        list_points(applicability), applicability.folds, limit=limit, n_threads=n_threads
    )
    return counts


def _assemble(
    points: Float32, *, mean_distance: float | None, n_threads: int, **parts: Any
) -> Applicability:
    means, nearest, _ = measure_pairs(points, parts["folds"], n_threads=n_threads)
    unit = float(means.mean()) if mean_distance is None else mean_distance
    training_di = (np.sqrt(nearest.astype(np.float64)) / unit).astype(np.float32)
    return Applicability(
        threshold_rule=THRESHOLD_RULE,
        threshold=find_threshold(training_di),
        mean_distance=unit,
        training_di=training_di,
        index=build_index(points, parts["sample_rows"]),
        **parts,
    )


def _check_fit(
    samples: Float32,
    weights: NDArray[np.float64],
    folds: NDArray[np.int32],
    classes: NDArray[np.int32] | None,
    feature_names: tuple[str, ...],
) -> None:
    if samples.ndim != 2 or len(samples) < 2:
        raise TableInvalid(
            f"training samples have shape {samples.shape}; give at least two rows of features."
        )
    n, n_features = samples.shape
    if weights.shape != (n_features,):
        raise TableInvalid(
            f"importance weights have shape {weights.shape}, but the samples have {n_features}"
            " features; give one weight for each."
        )
    if not np.isfinite(weights).all() or not (weights > 0).any():
        raise TableInvalid(
            "no importance weight is positive, or one is not a number; give the importance of a"
            " model that uses at least one feature."
        )
    for noun, values in (("folds", folds), ("classes", classes)):
        if values is not None and np.shape(values) != (n,):
            raise TableInvalid(
                f"{noun} have shape {np.shape(values)}, but there are {n} samples; give one each."
            )
    if len(np.unique(folds)) < 2:
        raise TableInvalid(
            "all samples are in one fold, so no threshold can be found; give at least two folds."
        )
    if feature_names and len(feature_names) != n_features:
        raise TableInvalid(
            f"{len(feature_names)} feature names were given for {n_features} features; give one"
            " for each."
        )
    is_finite = np.isfinite(samples).all(axis=1)
    if not is_finite.all():
        raise TableInvalid(
            f"row {int(np.argmin(is_finite))} of the training samples has a feature that is not a"
            f" number ({int((~is_finite).sum())} rows in all); drop these rows."
        )


_TEXTS = ("feature_names", "fold_rule", "threshold_rule", "threshold", "mean_distance")


def to_bytes(applicability: Applicability) -> bytes:
    """Return the stored form: a NumPy archive without pickles, equal for equal values."""
    meta = {name: getattr(applicability, name) for name in _TEXTS}
    meta |= {"format": FORMAT, "radius": applicability.index.radius}
    arrays = {"meta": np.frombuffer(json.dumps(meta, sort_keys=True).encode(), dtype=np.uint8)}
    for field in fields(applicability):
        if field.name not in (*_TEXTS, "index"):
            arrays[field.name] = getattr(applicability, field.name)
    for field in fields(applicability.index):
        if field.name != "radius":
            arrays[f"index_{field.name}"] = getattr(applicability.index, field.name)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def from_bytes(data: bytes) -> Applicability:
    """Rebuild what ``to_bytes`` stored.

    Raises
    ------
    ModelInvalid
        The bytes are damaged or of another format.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = dict(archive)
        meta = json.loads(arrays.pop("meta").tobytes())
        if meta["format"] != FORMAT:
            raise ModelInvalid(
                f"the area of applicability is stored in format {meta['format']}, this version"
                f" reads {FORMAT}; train the model again."
            )
        index = {
            f.name: arrays[f"index_{f.name}"] for f in fields(SampleIndex) if f.name != "radius"
        }
        return Applicability(
            index=SampleIndex(radius=meta["radius"], **index),
            feature_names=tuple(meta["feature_names"]),
            **{name: meta[name] for name in _TEXTS[1:]},
            **{name: item for name, item in arrays.items() if not name.startswith("index_")},
        )
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise ModelInvalid(
            "the stored area of applicability is damaged; train the model again."
        ) from error
