"""The first page's map stays cheap: work grows with the regions, not with their square."""

from __future__ import annotations

from dataclasses import replace

import pytest

from geotransfer.console import region_layers
from geotransfer.console.metrics import find_metric
from geotransfer.core.cost import RunCost
from geotransfer.core.legend import CROPLAND
from geotransfer.core.region import Region, RegionKind
from geotransfer.workflows.views import RegionView

OUTLINE = '{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,1],[0,0]]]}'


def make_view(number: int) -> RegionView:
    region = Region(
        region_id=f"r{number}", name=f"R {number}", kind=RegionKind.IMAGERY, outline=OUTLINE,
        area_km2=1.0, spec_name="s2-semiannual", legend_name="cropland",
    )  # fmt: skip
    return RegionView(
        region=region, legend=CROPLAND, evaluation=None, evaluated_model_id=None, reach=None,
        reach_target=0.8, serving=None, serving_since=None, gain=None, gain_note="", n_scenes=1,
        refresh=None, refreshed_at=None, cpu_s_per_km2=float(number), total=RunCost(),
        avoided=RunCost(), needs="",
    )  # fmt: skip


def test_a_figure_is_read_twice_a_region_and_its_scale_fitted_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    views = [make_view(number) for number in range(30)]
    asked: list[str] = []
    cost = find_metric("cost")

    def read(view: RegionView) -> float | None:
        asked.append(view.region.region_id)
        return cost.read(view)

    counting = replace(cost, read=read)
    monkeypatch.setattr(region_layers, "METRICS", (counting,))
    markers = region_layers.make_markers(views)
    assert len(asked) == 2 * len(views)
    asked.clear()
    features = region_layers.make_region_features(views)["features"]
    assert len(asked) == 2 * len(views)
    colors = [feature["properties"]["cost_color"][:3] for feature in features]
    assert colors == [marker["cost_color"][:3] for marker in markers]
    assert len({tuple(color) for color in colors}) > 20
