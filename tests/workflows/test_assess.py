"""The verdict before labelling, on a simulated region with the shipped model."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio

from geotransfer.applicability.assess import Assessment
from geotransfer.core.decode import from_plain
from geotransfer.core.fact import RegionAssessed
from geotransfer.errors import NotFound
from geotransfer.store.workspace import open_workspace
from geotransfer.workflows.assess import assess
from geotransfer.workflows.maps import locate_map
from geotransfer.workflows.prepare import register_shipped_models
from geotransfer.workflows.refresh import refresh
from geotransfer.workflows.views import find_assessment_plain
from tests.workflows.conftest import set_up_region


def test_features_alone_give_a_recommendation_and_a_map(make_settings, clock, world) -> None:
    workspace = open_workspace(make_settings(tile_px=48, n_threads=1), clock=clock, create=True)
    register_shipped_models(workspace, actor="test")
    mapped = set_up_region(workspace, world.targets[0], None)
    region_id = mapped.region.region_id
    with pytest.raises(NotFound, match="geotransfer refresh"):
        assess(workspace, region_id, actor="test")
    done = refresh(workspace, region_id, actor="test")

    fact = assess(workspace, region_id, actor="test")

    plain = find_assessment_plain(workspace, region_id)
    assert plain is not None
    found = from_plain(Assessment, plain)
    assert fact.recommendation == str(found.recommendation)
    assert found.reasons
    assert "prototypes" in fact.source
    assert {r.region_id for r in found.nearest} <= {
        "central", "eastern", "northern", "sahel", "southern", "western",
    }  # fmt: skip
    folder = locate_map(workspace, region_id, done.map_id)
    with rasterio.open(folder / "applicability.tif") as file:
        area = file.read(1)
    with rasterio.open(folder / "class.tif") as file:
        classes = file.read(1)
    assert set(np.unique(area)) <= {0, 1, 255}
    assert ((area == 255) == (classes == 255)).all(), "no answer in one is no answer in the other"
    share = (area == 1).sum() / (area != 255).sum()
    assert fact.inside_share.low - 0.05 <= share <= fact.inside_share.high + 0.05
    again = assess(workspace, region_id, actor="test")
    assert again.assessment_id == fact.assessment_id
    assert len(workspace.ledger.read(RegionAssessed)) == 2
