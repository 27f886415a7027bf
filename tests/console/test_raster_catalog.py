"""Layers by name: ours first, then whatever a model wrote beside the map."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from geotransfer.console.map_panel import make_raster_legend
from geotransfer.console.raster_catalog import WorkspaceCatalog, read_scale
from geotransfer.tiles.catalog import RasterKind
from geotransfer.workflows.refresh import refresh
from tests.workflows.conftest import Mapped, mapped, model_bytes, world

__all__ = ["mapped", "model_bytes", "world"]


@pytest.fixture
def catalog(mapped: Mapped) -> WorkspaceCatalog:
    refresh(mapped.workspace, mapped.region.region_id, actor="test")
    return WorkspaceCatalog(mapped.workspace.settings)


def test_a_raster_a_later_model_wrote_is_found_by_its_name(
    catalog: WorkspaceCatalog, mapped: Mapped
) -> None:
    region_id = mapped.region.region_id
    found = catalog.list_rasters(region_id, None)
    assert list(found) == [
        "class", "probability", "computed", "observations", "true-colour", "false-colour",
    ]  # fmt: skip
    assert all(make_raster_legend(e) for e in found.values() if e.kind is not RasterKind.RGB)
    low, high = found["computed"].value_range
    assert low == high
    folder = found["class"].path.parent
    shutil.copy(folder / "observations.tif", folder / "biomass.tif")
    (folder / "biomass.json").write_text(
        json.dumps({"title": "Biomass <b>", "unit": "t/ha", "low": 0, "high": 12})
    )
    shutil.copy(folder / "observations.tif", folder / "another_share.tif")
    again = WorkspaceCatalog(mapped.workspace.settings).list_rasters(region_id, None)
    assert list(again)[-2:] == ["another_share", "biomass"]
    entry = again["biomass"]
    assert (entry.name, entry.unit, entry.value_range) == ("Biomass <b>", "t/ha", (0, 12))
    legend = make_raster_legend(entry)
    assert "Biomass &lt;b&gt;" in legend
    assert "12 t/ha" in legend
    assert again["another_share"].name == "Another share"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"low": "x", "high": 1}', "null", "\x00"])
def test_a_broken_description_is_said_and_hides_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "biomass.json"
    path.write_text(text)
    scale = read_scale(path, "biomass")
    assert "biomass.json cannot be read" in scale.label
    assert (scale.low, scale.high) == (0, 1)
