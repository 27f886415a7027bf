"""The whole path on a real Sentinel-2 year: scenes in, a map and an honest word about it out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geotransfer.core.spec import S2_SEMIANNUAL
from geotransfer.store.workspace import open_workspace
from geotransfer.workflows.assess import assess
from geotransfer.workflows.maps import locate_map
from geotransfer.workflows.prepare import BELGIUM, register_shipped_models
from geotransfer.workflows.refresh import refresh
from geotransfer.workflows.regions import add_region
from geotransfer.workflows.scenes import add_scenes
from geotransfer.workflows.views import find_assessment_plain


@pytest.mark.reference
def test_belgium_is_mapped_and_said_to_be_far_away(
    make_settings, clock, reference_data: Path
) -> None:
    items = reference_data / BELGIUM / "items.json"
    outline = json.loads(items.read_text())["features"][0]["geometry"]
    workspace = open_workspace(make_settings(tile_px=64), clock=clock, create=True)
    register_shipped_models(workspace, actor="test")
    add_region(workspace, json.dumps(outline), name="Belgium", actor="test")
    added = add_scenes(workspace, "belgium", str(items), actor="test")
    assert added.n_scenes == 12
    assert (added.grid.height, added.grid.width) == (100, 100)

    done = refresh(workspace, "belgium", actor="test")

    folder = locate_map(workspace, "belgium", done.map_id)
    with rasterio.open(folder / "class.tif") as file:
        classes = file.read(1)
    assert set(np.unique(classes)) <= {0, 1, 255}
    assert 0.2 < (classes == 1).mean() < 0.9
    # Another system's map, not truth: better than chance is all that can be asked so far away.
    # (Its probability is read: its class raster codes cropland as 0.)
    folder = reference_data / BELGIUM / "reference"
    with rasterio.open(folder / "worldcereal_probability_cropland.tif") as file:
        other = (file.read(1) > 50).astype(np.uint8)
    rates = [(classes[(classes != 255) & (other == code)] == code).mean() for code in (0, 1)]
    assert np.mean(rates) > 0.65
    fact = assess(workspace, "belgium", actor="test")
    found = find_assessment_plain(workspace, "belgium")
    assert found is not None
    assert fact.inside_share.value < 0.6, "most of Belgium is unlike the African samples"
    assert "refuse" in fact.recommendation or "collect" in fact.recommendation
    assert done.valid_share > 0.9
    assert len(S2_SEMIANNUAL.measured) == 30
