"""Which files a region has besides its rasters; nothing is made, no science loaded."""

from __future__ import annotations

from dataclasses import dataclass

from geotransfer.core.fact import LabelsAdded
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.views import RegionView

GEOJSON, CSV, HTML = "application/geo+json", "text/csv; charset=utf-8", "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One file of a region."""

    name: str
    """File name, without the region's."""
    title: str
    media_type: str


OUTPUTS = {
    name: Output(name=name, title=title, media_type=media_type)
    for name, title, media_type in (
        ("report.html", "Region report, one page that prints well", HTML),
        ("region.geojson", "Outline with the region's figures", GEOJSON),
        ("accuracy.csv", "Accuracy with intervals", CSV),
        ("areas.csv", "Mapped area by class", CSV),
        ("labels.geojson", "Labels with class and role", GEOJSON),
        ("labels.csv", "Labels as a table that can be uploaded again", CSV),
        ("tiles.geojson", "Tiles: when and why each was computed", GEOJSON),
        ("tiles.csv", "Tiles as a table", CSV),
        ("scenes.csv", "Scenes the map is made from", CSV),
        ("history.csv", "What happened to the region", CSV),
    )
}
"""Every file there can be, by name."""


def list_outputs(workspace: Workspace, view: RegionView) -> tuple[Output, ...]:
    """Return the files a region has."""
    names = {"report.html", "region.geojson", "history.csv"}
    if view.evaluation is not None:
        names.add("accuracy.csv")
    if view.refresh is not None:
        names |= {"areas.csv", "tiles.geojson", "tiles.csv"}
    if view.n_scenes:
        names.add("scenes.csv")
    if list_kept_labels(workspace, view.region.region_id):
        names |= {"labels.geojson", "labels.csv"}
    return tuple(output for name, output in OUTPUTS.items() if name in names)


def list_kept_labels(workspace: Workspace, region_id: str) -> list[LabelsAdded]:
    """Return uploads that are kept, oldest first; erased ones have no rows any more."""
    facts = [r.fact for r in workspace.ledger.read(LabelsAdded, region_id=region_id)]
    return [fact for fact in facts if workspace.blobs.exists(fact.labels_id)]
