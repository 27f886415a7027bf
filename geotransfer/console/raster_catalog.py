"""The workspace's rasters and vectors as the map's routes ask for them. Reads, never writes."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from geotransfer.console.palettes import OBSERVATIONS, PROBABILITY
from geotransfer.core.fact import RefreshDone, RegionAdded
from geotransfer.core.legend import APPLICABILITY, CROPLAND
from geotransfer.errors import GeoTransferError
from geotransfer.settings import Settings
from geotransfer.store.shipped import FOLDER as SHIPPED
from geotransfer.store.workspace import Workspace, open_workspace
from geotransfer.tiles.catalog import RasterEntry, RasterKind

MAP_ID_LENGTH = 16


class WorkspaceCatalog:
    """Looks up the rasters of each region's maps; safe on any thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._workspace: Workspace | None = None

        @lru_cache(maxsize=512)
        def find(_seq: int, region_id: str, layer: str, version: str | None) -> RasterEntry | None:
            return self._look_up(region_id, layer, version)

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

    def _look_up(self, region_id: str, layer: str, version: str | None) -> RasterEntry | None:
        workspace = self._open()
        facts = workspace.ledger.read(RefreshDone, region_id=region_id)
        maps = [r.fact for r in facts if version is None or r.fact.map_id.startswith(version)]
        added = workspace.ledger.read_last(RegionAdded, region_id=region_id)
        if not maps or added is None:
            return None
        path = workspace.locate_maps(region_id) / maps[-1].map_id[:MAP_ID_LENGTH] / f"{layer}.tif"
        if not path.exists():
            return None
        attribution = added.region.attribution
        if layer == "class":
            return RasterEntry(
                path=path,
                name="Class",
                kind=RasterKind.CLASS,
                legend=CROPLAND,
                attribution=attribution,
            )
        if layer == "applicability":
            return RasterEntry(
                path=path,
                name="Area of applicability",
                kind=RasterKind.CLASS,
                legend=APPLICABILITY,
                attribution=attribution,
            )
        if layer in ("true-colour", "false-colour"):
            return RasterEntry(
                path=path,
                name=layer.replace("-", " ").capitalize(),
                kind=RasterKind.RGB,
                bands=(1, 2, 3),
                attribution=attribution,
            )
        scale = OBSERVATIONS if layer == "observations" else PROBABILITY
        return RasterEntry(
            path=path,
            name=layer.replace("-", " ").capitalize(),
            kind=RasterKind.COUNT if layer == "observations" else RasterKind.SHARE,
            colors=scale.ramp.sample(64),
            value_range=(scale.low, scale.high),
            unit=scale.unit,
            attribution=attribution,
        )

    def read_vector(self, name: str, version: str | None) -> bytes | None:
        """Return a vector document by name; None where there is none."""
        if name == "countries":
            return (SHIPPED / "countries.geojson").read_bytes()
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
        return None

    def _read_labels(self, labels_id: str) -> bytes | None:
        from geotransfer.workflows.label_points import make_points_geojson

        try:
            return make_points_geojson(self._open().blobs.get(labels_id))
        except GeoTransferError:
            return None
