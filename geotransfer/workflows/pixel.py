"""One pixel explained: what the map says there, why, since when, from which scenes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pyproj import Transformer

from geotransfer.core.fact import RefreshDone
from geotransfer.core.grid import Grid, Tile, cut_tiles
from geotransfer.core.legend import NODATA_CLASS
from geotransfer.errors import NotFound
from geotransfer.imagery.grids import find_footprints, locate_pixels, touch_tile
from geotransfer.registry.versions import list_versions
from geotransfer.store.tables import read_table
from geotransfer.store.tile_files import locate_answers, locate_features, read_tile
from geotransfer.store.workspace import Workspace
from geotransfer.transfer.model import explain_model
from geotransfer.workflows.definitions import find_spec
from geotransfer.workflows.models import load_cached_model
from geotransfer.workflows.nearest_samples import PixelSupport, find_support
from geotransfer.workflows.refresh_plan import select_scenes
from geotransfer.workflows.regions import find_region
from geotransfer.workflows.scene_list import load_scenes

N_CONTRIBUTIONS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelExplanation:
    """What is known about one pixel."""

    class_name: str | None
    """None: no answer."""
    probabilities: tuple[tuple[str, float], ...]
    n_observations: int
    computed_at: str
    confirmed_at: str
    """When a refresh last found nothing that could change it."""
    model_name: str
    scene_ids: tuple[str, ...]
    """Scenes that touch its tile."""
    features: tuple[tuple[str, float], ...]
    """Measured columns by name."""
    contributions: tuple[tuple[str, float], ...]
    """The weightiest terms of the score of ``explained_class``, largest first: log odds with two
    classes, else the class's own score before all are made to add up to one."""
    explained_class: str = ""
    """With two classes the second; else the class the map shows here. Empty: no answer."""
    support: PixelSupport | None = None
    """The nearest training samples; None where applicability was not mapped yet."""


def explain_pixel(
    workspace: Workspace, region_id: str, *, lon: float, lat: float
) -> PixelExplanation | None:
    """Explain the pixel at a place; None outside the region's map.

    Raises
    ------
    NotFound
        The region has no map yet.
    """
    region = find_region(workspace, region_id)
    done = workspace.ledger.read_last(RefreshDone, region_id=region_id)
    if done is None:
        raise NotFound(f"region {region_id!r} has no map yet; refresh it first.")
    inputs = load_scenes(workspace, region_id)
    place = _find_pixel(inputs.grid, inputs.tile_px, lon, lat)
    rows = {row["tile_id"]: row for row in read_table(workspace.blobs.get(done.tiles_id))}
    if place is None or place[0].tile_id not in rows:
        return None
    tile, y, x = place
    row = rows[tile.tile_id]
    spec = find_spec(workspace, region.spec_name)
    store = workspace.locate_tiles(region_id)
    layers = read_tile(locate_answers(store, str(row["map_key"])), tile)[:, y, x]
    stored = read_tile(locate_features(store, str(row["feature_key"])), tile)[:, y, x]
    measured = stored[: len(spec.measured)].astype(np.float32)
    model = load_cached_model(workspace.blobs_url, done.model_id)
    xy_km = locate_pixels(inputs.grid, tile)[:, y, x].reshape(2, 1)
    names = dict(zip(model.legend.codes, model.legend.names, strict=True))
    code = int(layers[0])
    probability = model.predict(measured[:, None], xy_km)[:, 0]
    contributions: tuple[tuple[str, float], ...] = ()
    shown = ""
    if code != NODATA_CLASS:
        terms, values = explain_model(model, measured[:, None], xy_km)
        is_binary = model.legend.is_binary
        shown = model.legend.classes[-1].name if is_binary else names[code]
        weights = values[0 if is_binary else model.legend.codes.index(code), :, 0]
        order = np.argsort(-np.abs(weights))[:N_CONTRIBUTIONS]
        contributions = tuple((terms[i], float(weights[i])) for i in order)
    used = select_scenes(inputs.scenes, spec)
    footprints = find_footprints(used, inputs.grid.crs)
    versions = {v.model_id: v.name for v in list_versions(workspace)}
    return PixelExplanation(
        class_name=names.get(code),
        probabilities=tuple(
            (name, float(p)) for name, p in zip(model.legend.names, probability, strict=True)
        )
        if code != NODATA_CLASS
        else (),
        n_observations=int(layers[-1]),
        computed_at=str(row["computed_at"]),
        confirmed_at=str(row["confirmed_at"]),
        model_name=versions.get(done.model_id, done.model_id[:8]),
        scene_ids=tuple(
            s.scene_id
            for s, bounds in zip(used, footprints, strict=True)
            if touch_tile(bounds, inputs.grid, tile)
        ),
        features=tuple(
            (name, float(v)) for name, v in zip(spec.measured_names, measured, strict=True)
        ),
        contributions=contributions,
        explained_class=shown,
        support=find_support(workspace, region_id, measured, model.legend),
    )


def _find_pixel(grid: Grid, tile_px: int, lon: float, lat: float) -> tuple[Tile, int, int] | None:
    a, _, c, _, e, f = grid.transform
    x, y = Transformer.from_crs("EPSG:4326", grid.crs, always_xy=True).transform(lon, lat)
    col, row = int((x - c) // a), int((y - f) // e)
    if not (0 <= row < grid.height and 0 <= col < grid.width):
        return None
    for tile in cut_tiles(grid, tile_px):
        if tile.row <= row < tile.row + tile.height and tile.col <= col < tile.col + tile.width:
            return tile, row - tile.row, col - tile.col
    return None
