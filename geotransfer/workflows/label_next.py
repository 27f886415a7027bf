"""Where to label next: the places that teach most, or a probability sample that measures areas."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geotransfer.accuracy.sample_size import allocate_sample
from geotransfer.core.fact import LabelsSuggested, RefreshDone
from geotransfer.core.identity import canonical_json
from geotransfer.core.legend import NODATA_CLASS, Legend
from geotransfer.core.region import Region, RegionKind
from geotransfer.core.suggestion import Design, Place, Stratum, Suggestion
from geotransfer.errors import InputError
from geotransfer.imagery.grids import measure_pixel_km2
from geotransfer.store.workspace import Workspace
from geotransfer.transfer.next_labels import suggest_labels
from geotransfer.transfer.samples import Samples
from geotransfer.workflows.definitions import find_spec
from geotransfer.workflows.label_points import find_labels, read_points
from geotransfer.workflows.label_samples import measure_samples
from geotransfer.workflows.map_areas import MapAreas, find_lonlat, measure_map, read_strips
from geotransfer.workflows.maps import locate_map
from geotransfer.workflows.models import load_cached_model
from geotransfer.workflows.progress import Progress, ignore_progress
from geotransfer.workflows.region_pixels import draw_pixels, find_map
from geotransfer.workflows.regions import find_region
from geotransfer.workflows.scene_list import RegionScenes, load_scenes
from geotransfer.workflows.source import load_source

N_CANDIDATES = 8_000
"""Places weighed against each other, spread over the whole map."""
MAX_PLACES = 5_000


def suggest_places(
    workspace: Workspace,
    region_id: str,
    *,
    n_places: int,
    is_probability: bool,
    seed: int = 0,
    actor: str,
    progress: Progress = ignore_progress,
) -> LabelsSuggested:
    """Suggest places to label on a region's present map.

    Parameters
    ----------
    is_probability
        Draw at random within each class of the map instead, so that accuracy and area of the whole
        map follow from the labels.

    Raises
    ------
    NotFound
        The region has no map yet.
    InputError
        Fewer places than asked for.
    """
    if not 1 <= n_places <= MAX_PLACES:
        raise InputError(f"{n_places} places cannot be suggested; ask for 1 to {MAX_PLACES}.")
    region = find_region(workspace, region_id)
    if region.kind is RegionKind.TABLE:
        raise InputError(f"region {region_id!r} is a table without imagery: it has no places.")
    done = find_map(workspace, region_id)
    inputs = load_scenes(workspace, region_id)
    progress(0, 2, "reading the map")
    strata: tuple[Stratum, ...] = ()
    if is_probability:
        places, strata = _draw_places(workspace, region, done, inputs, n_places, seed)
    else:
        places = _rank_places(workspace, region, done, inputs, n_places, seed, progress)
    pixel_km2 = measure_pixel_km2(inputs.grid)
    suggestion = Suggestion(
        region_id=region_id,
        map_id=done.map_id,
        model_id=done.model_id,
        design=Design.STRATIFIED if is_probability else Design.RANKED,
        seed=seed,
        pixel_m=float(np.sqrt(pixel_km2)) * 1000,
        pixel_km2=pixel_km2,
        places=places,
        strata=strata,
    )
    fact = LabelsSuggested(
        region_id=region_id,
        suggestion_id=workspace.blobs.put(canonical_json(suggestion)),
        design=suggestion.design.value,
        n_places=len(places),
        map_id=done.map_id,
    )
    workspace.ledger.append(fact, actor=actor)
    progress(2, 2, f"{len(places)} places")
    return fact


def _rank_places(
    workspace: Workspace,
    region: Region,
    done: RefreshDone,
    inputs: RegionScenes,
    n_places: int,
    seed: int,
    progress: Progress,
) -> tuple[Place, ...]:
    spec = find_spec(workspace, region.spec_name)
    model = load_cached_model(workspace.blobs_url, done.model_id)
    pixels = draw_pixels(workspace, done, inputs, spec, n_pixels=N_CANDIDATES, seed=seed)
    source, _ = load_source(workspace, spec, legend_name=region.legend_name)
    progress(1, 2, "weighing places against each other")
    found = suggest_labels(
        model,
        pixels.measured,
        pixels.xy_km,
        n_labels=n_places,
        labels=_find_known(workspace, region),
        source=source,
    )
    rows, cols = pixels.rows[found.rows], pixels.cols[found.rows]
    lonlat = find_lonlat(inputs.grid, rows, cols)
    probability = model.predict(
        np.ascontiguousarray(pixels.measured[:, found.rows]),
        np.ascontiguousarray(pixels.xy_km[:, found.rows]),
    )
    names = [model.legend.names[k] for k in probability.argmax(axis=0)]
    return tuple(
        Place(
            number=i + 1,
            lon=round(float(lonlat[i, 0]), 7),
            lat=round(float(lonlat[i, 1]), 7),
            map_class=names[i],
            usefulness=float(found.usefulness[i]),
            applicability_gap=float(found.applicability_gap[i]),
            uncertainty=float(found.uncertainty[i]),
            coverage=float(found.coverage[i]),
        )
        for i in range(len(names))
    )


def _find_known(workspace: Workspace, region: Region) -> Samples | None:
    """Return the calibration labels there are: what lies near them is known already."""
    fact = find_labels(workspace, region.region_id, "calibration")
    if fact is None:
        return None
    points = read_points(workspace.blobs.get(fact.labels_id))
    return measure_samples(workspace, region, points) if points.has_places else None


def _draw_places(
    workspace: Workspace,
    region: Region,
    done: RefreshDone,
    inputs: RegionScenes,
    n_places: int,
    seed: int,
) -> tuple[tuple[Place, ...], tuple[Stratum, ...]]:
    """Draw pixels within each class of the map without return, in random order overall.

    Rare classes get as many as they need to be judged (Olofsson et al. 2014, section 5.1). The
    order is random over all strata, so that labelling may stop anywhere.
    """
    folder = locate_map(workspace, region.region_id, done.map_id)
    legend = load_cached_model(workspace.blobs_url, done.model_id).legend
    areas = measure_map(folder, inputs.grid, legend)
    counts = _allot_places(areas, n_places)
    rng = np.random.default_rng([seed, 0x5EED])
    ordinals = [
        np.sort(rng.choice(n, size=count, replace=False)) if count else np.empty(0, np.int64)
        for n, count in zip(areas.n_pixels, counts, strict=True)
    ]
    rows, cols, classes = _find_ordinals(folder, legend, ordinals)
    order = rng.permutation(len(rows))
    lonlat = find_lonlat(inputs.grid, rows, cols)[order]
    names = dict(zip(legend.codes, legend.names, strict=True))
    strata = tuple(
        Stratum(
            name=name,
            area_km2=areas.areas_km2[k],
            n_pixels=areas.n_pixels[k],
            n_places=counts[k],
        )
        for k, name in enumerate(legend.names)
    )
    chances = {stratum.name: stratum.chance for stratum in strata}
    drawn = [names[int(code)] for code in classes[order]]
    places = tuple(
        Place(
            number=i + 1,
            lon=round(float(lonlat[i, 0]), 7),
            lat=round(float(lonlat[i, 1]), 7),
            map_class=name,
            chance=chances[name],
        )
        for i, name in enumerate(drawn)
    )
    return places, strata


def _allot_places(areas: MapAreas, n_places: int) -> tuple[int, ...]:
    present = sum(n > 0 for n in areas.n_pixels)
    if not present or n_places < 2 * present:
        raise InputError(
            f"{n_places} places are too few for {present} classes of the map: two in each are the"
            " least an area can be told from."
        )
    wanted = allocate_sample(n_places, areas.areas_km2)
    counts = tuple(min(n, has) for n, has in zip(wanted, areas.n_pixels, strict=True))
    if sum(counts) < n_places:
        raise InputError(
            f"the map has too few pixels of some class for {n_places} places; ask for fewer."
        )
    return counts


def _find_ordinals(
    folder: Path, legend: Legend, ordinals: Sequence[NDArray[np.int64]]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return row, column and class code of the pixels with the given numbers within each class.

    Pixels are numbered row by row over the whole raster, so tiles and strips do not matter.
    """
    rows: list[NDArray[np.int64]] = []
    cols: list[NDArray[np.int64]] = []
    classes: list[NDArray[np.int64]] = []
    seen = [0] * len(legend.classes)
    for first, layers in read_strips(folder / "class.tif"):
        codes = layers[0]
        if (codes == NODATA_CLASS).all():
            continue
        for k, code in enumerate(legend.codes):
            places = np.flatnonzero(codes == code)
            inside = (ordinals[k] >= seen[k]) & (ordinals[k] < seen[k] + len(places))
            chosen = places[ordinals[k][inside] - seen[k]]
            seen[k] += len(places)
            rows.append(first + chosen // codes.shape[1])
            cols.append(chosen % codes.shape[1])
            classes.append(np.full(len(chosen), code, dtype=np.int64))
    row, col, label = np.concatenate(rows), np.concatenate(cols), np.concatenate(classes)
    order = np.lexsort((col, row))
    return row[order], col[order], label[order]
