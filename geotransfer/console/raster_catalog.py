"""The workspace's rasters and vectors as the map's routes ask for them. Reads, never writes."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from pathlib import Path

from geotransfer.console.palettes import (
    COMPUTED,
    DENSITY,
    DISSIMILARITY,
    EXPECTED_ACCURACY,
    OBSERVATIONS,
    PROBABILITY,
    RISING,
    Scale,
    fit_scale,
)
from geotransfer.console.previews import read_preview
from geotransfer.console.suggested_places import make_places_document
from geotransfer.core.change_legend import make_change_legend
from geotransfer.core.fact import LabelsAdded, RefreshDone, RegionAdded
from geotransfer.core.legend import APPLICABILITY, CROPLAND, Legend
from geotransfer.core.region import Region
from geotransfer.errors import GeoTransferError
from geotransfer.settings import Settings
from geotransfer.store.tables import read_table
from geotransfer.store.workspace import Workspace, open_workspace
from geotransfer.tiles.catalog import RasterEntry, RasterKind
from geotransfer.workflows.definitions import find_legend, find_spec
from geotransfer.workflows.transfer_views import read_suggestion

MAP_ID_LENGTH = 16
USUAL_LAYERS = (
    "class", "probability", "change", "computed", "observations", "true-colour", "false-colour",
)  # fmt: skip
"""In the order a page lists them; whatever else lies beside a map comes after, by name."""


def read_scale(path: Path, layer: str) -> Scale:
    """Return the scale of a raster that is none of ours, from the JSON file beside it.

    ``{"title", "unit", "low", "high"}``; without such a file a share from 0 to 1.
    """
    title = layer.replace("-", " ").replace("_", " ").capitalize()
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        low, high = float(told["low"]), float(told["high"])
        return Scale(
            name=layer,
            label=str(told.get("title") or title),
            low=low,
            high=high,
            ramp=RISING,
            unit=str(told.get("unit") or ""),
        )
    except FileNotFoundError:
        return replace(PROBABILITY, name=layer, label=title)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return replace(PROBABILITY, name=layer, label=f"{title} (its {path.name} cannot be read)")


MEASURES = {
    "dissimilarity": replace(DISSIMILARITY, high=1.2),
    "density": DENSITY,
    "expected-accuracy": EXPECTED_ACCURACY,
}
"""Layers on request of where a map applies."""
NEAR_CLASS = "near-"
"""With ``applicability-classes`` each class has a layer of its own, named by its code."""
FILLED = "filled"
"""Second band of the observations, where the region's spec fills gaps."""
ONE_CLASS = "probability-"
"""With more than two classes each has a layer of its own, named by its code: one band of the
map's probability raster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mapped:
    """A region with every map it has had, at one state of the ledger."""

    region: Region
    legend: Legend
    maps: tuple[RefreshDone, ...]
    """Oldest first; at least one."""


class WorkspaceCatalog:
    """Looks up the rasters of each region's maps; safe on any thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._workspace: Workspace | None = None

        @lru_cache(maxsize=32)
        def read(_seq: int, region_id: str) -> _Mapped | None:
            return self._read_maps(region_id)

        @lru_cache(maxsize=512)
        def find(seq: int, region_id: str, layer: str, version: str | None) -> RasterEntry | None:
            mapped = read(seq, region_id)
            return None if mapped is None else self._look_up(mapped, layer, version)

        self._find = find

    @property
    def folder(self) -> Path:
        """Folder no served raster may lie outside of."""
        return self._settings.folder / "maps"

    def _open(self) -> Workspace:
        if self._workspace is None:
            self._workspace = open_workspace(self._settings, create=True)
        return self._workspace

    def find_raster(self, region_id: str, layer: str, version: str | None) -> RasterEntry | None:
        """Return a layer of a region's present map, or of the map a version names."""
        workspace = self._open()
        # A screen full of map tiles asks for the same layer dozens of times at one state.
        return self._find(workspace.ledger.count(), region_id, layer, version)

    def _read_maps(self, region_id: str) -> _Mapped | None:
        workspace = self._open()
        facts = workspace.ledger.read(RefreshDone, region_id=region_id)
        added = workspace.ledger.read_last(RegionAdded, region_id=region_id)
        if not facts or added is None:
            return None
        return _Mapped(
            region=added.region,
            legend=find_legend(workspace, added.region.legend_name),
            maps=tuple(recorded.fact for recorded in facts),
        )

    def _look_up(self, mapped: _Mapped, layer: str, version: str | None) -> RasterEntry | None:
        workspace, region, legend = self._open(), mapped.region, mapped.legend
        maps = [done for done in mapped.maps if version is None or done.map_id.startswith(version)]
        if not maps:
            return None
        folder = workspace.locate_maps(region.region_id) / maps[-1].map_id[:MAP_ID_LENGTH]
        attribution = region.attribution
        if layer == FILLED:
            return _style_filled(workspace, folder / "observations.tif", region)
        if layer.startswith(ONE_CLASS):
            return _style_probability(folder / "probability.tif", layer, attribution, legend)
        if layer.startswith(NEAR_CLASS):
            return _style_near(folder / "applicability-classes.tif", layer, attribution, legend)
        path = folder / f"{layer}.tif"
        if not path.exists():
            return None
        return self._style(path, maps[-1], layer, attribution, legend)

    def _style(
        self, path: Path, done: RefreshDone, layer: str, attribution: str, classes: Legend
    ) -> RasterEntry:
        """Say how one layer's values become colours."""
        legends = {
            "class": ("Class", classes),
            "change": ("Change since the map before", make_change_legend(classes)),
            "applicability": ("Area of applicability", APPLICABILITY),
        }
        if layer in legends:
            name, legend = legends[layer]
            return RasterEntry(
                path=path, name=name, kind=RasterKind.CLASS, legend=legend, attribution=attribution
            )
        if layer in ("true-colour", "false-colour"):
            return RasterEntry(
                path=path,
                name=f"Composite, {layer.replace('-', ' ')}",
                kind=RasterKind.RGB,
                bands=(1, 2, 3),
                attribution=attribution,
            )
        kind, scale = self._find_scale(path, done, layer, classes)
        return _style_scale(path, kind, scale, attribution=attribution)

    def _find_scale(
        self, path: Path, done: RefreshDone, layer: str, classes: Legend
    ) -> tuple[RasterKind, Scale]:
        if layer == "computed":
            rows = read_table(self._open().blobs.get(done.tiles_id))
            days = [date.fromisoformat(str(row["computed_at"])[:10]) for row in rows]
            known = [(day - date(1970, 1, 1)).days for day in days]
            return RasterKind.DATE, fit_scale(COMPUTED, known)
        if layer == "observations":
            return RasterKind.COUNT, OBSERVATIONS
        if layer in MEASURES:
            return RasterKind.SHARE, MEASURES[layer]
        if layer == "probability":
            shown = classes.names[-1] if classes.is_binary else classes.names[0]
            return RasterKind.SHARE, replace(PROBABILITY, label=f"Probability of {shown}")
        return RasterKind.SHARE, read_scale(path.with_suffix(".json"), layer)

    def list_rasters(self, region_id: str, version: str | None) -> dict[str, RasterEntry]:
        """Return every layer of a map by its name in addresses, the usual ones first."""
        first = self.find_raster(region_id, "class", version)
        if first is None:
            return {}
        names = sorted(path.stem for path in first.path.parent.glob("*.tif"))
        names.sort(key=lambda n: USUAL_LAYERS.index(n) if n in USUAL_LAYERS else len(USUAL_LAYERS))
        if first.legend is not None and not first.legend.is_binary and "probability" in names:
            place = names.index("probability")
            names[place : place + 1] = [f"{ONE_CLASS}{code}" for code in first.legend.codes]
        if first.legend is not None and "applicability-classes" in names:
            place = names.index("applicability-classes")
            names[place : place + 1] = [f"{NEAR_CLASS}{code}" for code in first.legend.codes]
        if "observations" in names:
            names.insert(names.index("observations") + 1, FILLED)
        found = {name: self.find_raster(region_id, name, version) for name in names}
        return {name: entry for name, entry in found.items() if entry is not None}

    def read_vector(self, name: str, version: str | None) -> bytes | None:
        """Return a vector document by name; None where there is none."""
        if name.startswith("outline/"):
            added = self._open().ledger.read_last(
                RegionAdded, region_id=name.removeprefix("outline/")
            )
            if added is None:
                return None
            feature = f'{{"type":"Feature","properties":{{}},"geometry":{added.region.outline}}}'
            return f'{{"type":"FeatureCollection","features":[{feature}]}}'.encode()
        if name.startswith("labels/"):
            return self._read_labels(name.removeprefix("labels/"))
        if name.startswith("suggested/"):
            suggestion_id, _, number = name.removeprefix("suggested/").partition("/")
            return self._read_suggested(suggestion_id, number)
        if name.startswith("preview/"):
            return read_preview(name.removeprefix("preview/"))
        return None

    def _read_labels(self, labels_id: str) -> bytes | None:
        from geotransfer.workflows.label_points import make_points_geojson

        try:
            return make_points_geojson(
                self._open().blobs.get(labels_id), self._find_legend_of(labels_id)
            )
        except GeoTransferError:
            return None

    def _read_suggested(self, suggestion_id: str, number: str) -> bytes | None:
        try:
            return make_places_document(read_suggestion(self._open(), suggestion_id), number)
        except GeoTransferError:
            return None

    def _find_legend_of(self, labels_id: str) -> Legend:
        """Return the legend of the region that labels were added to."""
        workspace = self._open()
        facts = [r.fact for r in workspace.ledger.read(LabelsAdded)]
        region_ids = [fact.region_id for fact in facts if fact.labels_id == labels_id]
        added = (
            workspace.ledger.read_last(RegionAdded, region_id=region_ids[-1])
            if region_ids and region_ids[-1]
            else None
        )
        return CROPLAND if added is None else find_legend(workspace, added.region.legend_name)


def _style_scale(
    path: Path, kind: RasterKind, scale: Scale, *, attribution: str, band: int = 1
) -> RasterEntry:
    """Return a raster of measured values with the colours of their scale."""
    return RasterEntry(
        path=path,
        name=scale.label,
        kind=kind,
        bands=(band,),
        colors=scale.ramp.sample(64),
        value_range=(scale.low, scale.high),
        unit=scale.unit,
        attribution=attribution,
    )


def _find_place(layer: str, prefix: str, legend: Legend) -> int | None:
    """Return the place in the legend of the class a layer is named by, from 0; None: no such."""
    codes = [str(item.code) for item in legend.classes]
    code = layer.removeprefix(prefix)
    return codes.index(code) if code in codes else None


def _style_near(path: Path, layer: str, attribution: str, legend: Legend) -> RasterEntry | None:
    """Return where training samples of one class are near enough."""
    place = _find_place(layer, NEAR_CLASS, legend)
    if place is None or not path.exists():
        return None
    return RasterEntry(
        path=path,
        name=f"Area of applicability: samples of {legend.names[place]}",
        kind=RasterKind.CLASS,
        bands=(place + 1,),
        legend=APPLICABILITY,
        attribution=attribution,
    )


def _style_probability(
    path: Path, layer: str, attribution: str, legend: Legend
) -> RasterEntry | None:
    """Return the probability of one class of a legend of more than two."""
    place = _find_place(layer, ONE_CLASS, legend)
    if legend.is_binary or place is None or not path.exists():
        return None
    scale = replace(PROBABILITY, label=f"Probability of {legend.names[place]}")
    return _style_scale(path, RasterKind.SHARE, scale, attribution=attribution, band=place + 1)


def _style_filled(workspace: Workspace, path: Path, region: Region) -> RasterEntry | None:
    """Return how many periods of each pixel were filled in; None where the spec fills none."""
    spec = find_spec(workspace, region.spec_name)
    if not spec.gap_filling or not path.exists():
        return None
    most = float(len(spec.periods) // 2)
    scale = replace(OBSERVATIONS, label="Periods filled in", high=most, unit="periods")
    return _style_scale(path, RasterKind.COUNT, scale, attribution=region.attribution, band=2)
