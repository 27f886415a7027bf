"""The climate spec on imagery: with a user's layers, never without, and computed anew when they
change."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from geotransfer.core.cost import RunCost
from geotransfer.core.fact import LayerAdded
from geotransfer.core.legend import CROPLAND
from geotransfer.core.region import RegionKind
from geotransfer.core.spec import S2_SEMIANNUAL, S2_SEMIANNUAL_CLIMATE
from geotransfer.errors import InputError, LayerInvalid, SceneUnreadable
from geotransfer.registry.versions import register_model
from geotransfer.store.workspace import Workspace, open_workspace
from geotransfer.testing.world import World
from geotransfer.transfer.baseline import train_baseline
from geotransfer.transfer.model_file import dump_model
from geotransfer.transfer.samples import Samples
from geotransfer.transfer.trees import Training
from geotransfer.workflows.cube import open_cube
from geotransfer.workflows.layers import add_layer
from geotransfer.workflows.refresh import refresh
from geotransfer.workflows.regions import add_region
from geotransfer.workflows.scene_list import load_scenes
from geotransfer.workflows.scenes import add_scenes
from geotransfer.workflows.train import make_baseline_lineage

LAYERS = {"slope": ("percent", ""), "rain_S1": ("mm", "1991-2020"), "rain_S2": ("mm", "1991-2020")}


@pytest.fixture
def hills(make_settings, clock, world: World) -> Workspace:
    """A simulated region on the climate spec, with a model for it and no layer yet."""
    workspace = open_workspace(make_settings(tile_px=48, n_threads=1), clock=clock, create=True)
    rng = np.random.default_rng(0)
    spec, n = S2_SEMIANNUAL_CLIMATE, 300
    measured = rng.uniform(0.05, 0.4, (n, len(spec.measured))).astype(np.float32)
    measured[:, -3:] *= 1000
    samples = Samples(
        spec=spec,
        measured=measured,
        classes=(measured[:, -1] > 200).astype(np.int64),
        weights=np.ones(n),
        xy_km=None,
        region_ids=np.where(np.arange(n) % 2, "north", "south"),
    )
    model = train_baseline(
        samples, CROPLAND, trainings=(Training(n_trees=5, n_leaves=4, learning_rate=0.3),),
        scaling=(0.5, (0.0,)),
    )  # fmt: skip
    lineage = make_baseline_lineage(samples, seed=0, cost=RunCost())
    register_model(
        workspace, dump_model(model), name="climate", region_id=None, lineage=lineage, actor="test"
    )
    made = world.targets[0]
    add_region(
        workspace, json.dumps(made.outline), name="hills", actor="test", kind=RegionKind.SIMULATED,
        spec_name=spec.name,
    )  # fmt: skip
    add_scenes(workspace, "hills", str(made.items_path), actor="test")
    return workspace


def write_layer(workspace: Workspace, path: Path, value: float) -> str:
    """A raster a little larger than the region, on its own grid, rising to the east."""
    grid = load_scenes(workspace, "hills").grid
    a, _, c, _, e, f = grid.transform
    size = max(grid.height, grid.width) // 2 + 12
    rising = value + np.arange(size)[None, :] * np.ones((size, 1))
    with rasterio.open(
        path, "w", driver="GTiff", height=size, width=size, count=1, dtype="float32",
        crs=grid.crs, transform=Affine(2 * a, 0, c - 10 * a, 0, 2 * e, f - 10 * e),
    ) as file:  # fmt: skip
        file.write(rising.astype(np.float32), 1)
    return str(path)


def add_all(workspace: Workspace, folder: Path) -> None:
    for name, (unit, years) in LAYERS.items():
        href = write_layer(workspace, folder / f"{name}.tif", 10)
        add_layer(workspace, "hills", href, name=name, unit=unit, years=years, actor="test")


def test_a_map_needs_every_layer_and_then_reads_them(hills: Workspace, tmp_path: Path) -> None:
    with pytest.raises(LayerInvalid, match=r"lacks layer 'rain_S1'.*geotransfer layers add hills"):
        refresh(hills, "hills", actor="test")
    add_all(hills, tmp_path)
    done = refresh(hills, "hills", actor="test")
    assert sum(done.class_areas_km2.values()) > 0
    cube = open_cube(hills, "hills")
    slope = cube.sel(feature="slope").values
    inside = np.isfinite(slope)
    assert inside.mean() > 0.5
    col = np.arange(slope.shape[1])
    expected = 10 + (col + 10 + 0.5) / 2 - 0.5
    np.testing.assert_allclose(
        slope[inside], np.broadcast_to(expected, slope.shape)[inside], rtol=1e-4
    )


def test_a_layer_is_part_of_what_a_tile_is_made_of(hills: Workspace, tmp_path: Path) -> None:
    add_all(hills, tmp_path)
    first = refresh(hills, "hills", actor="test")
    again = refresh(hills, "hills", actor="test")
    assert (again.n_computed, again.n_kept) == (0, first.n_computed)
    write_layer(hills, tmp_path / "slope.tif", 20)
    with pytest.raises(LayerInvalid, match="no longer the file that was added"):
        refresh(hills, "hills", actor="test")
    add_layer(
        hills, "hills", str(tmp_path / "slope.tif"), name="slope", unit="percent", actor="test"
    )
    third = refresh(hills, "hills", actor="test")
    assert third.n_computed == first.n_computed
    assert third.map_id != first.map_id
    (tmp_path / "slope.tif").unlink()
    with pytest.raises(SceneUnreadable, match=r"slope\.tif cannot be read"):
        refresh(hills, "hills", actor="test")


def test_rain_of_one_year_never_passes_for_a_climate(hills: Workspace, tmp_path: Path) -> None:
    href = write_layer(hills, tmp_path / "rain.tif", 300)
    for years in ("", "2021", "2019-2021"):
        with pytest.raises(LayerInvalid, match="one year's rain is weather"):
            add_layer(hills, "hills", href, name="rain_S1", unit="mm", years=years, actor="test")
    for years in ("last year", "2020-1991", "91-20"):
        with pytest.raises(LayerInvalid, match="1991-2020"):
            add_layer(hills, "hills", href, name="rain_S1", unit="mm", years=years, actor="test")
    assert hills.ledger.read(LayerAdded) == []
    added = add_layer(
        hills, "hills", href, name="rain_S1", unit="mm", years="1991 – 2020",
        source="CHIRPS 2.0", actor="test",
    )  # fmt: skip
    assert (added.years, added.is_climatology, added.source) == ("1991-2020", True, "CHIRPS 2.0")


def test_a_key_in_a_layers_address_is_never_kept(hills: Workspace) -> None:
    before = len(hills.ledger.read_all())
    with pytest.raises(InputError, match="carries a key") as refused:
        add_layer(
            hills, "hills", "https://example.test/slope.tif?sv=2020&sig=c2VjcmV0", name="slope",
            unit="percent", actor="test",
        )  # fmt: skip
    assert "c2VjcmV0" not in str(refused.value)
    assert len(hills.ledger.read_all()) == before


def test_a_spec_without_layers_takes_none(hills: Workspace, world: World, tmp_path: Path) -> None:
    href = write_layer(hills, tmp_path / "slope.tif", 5)
    add_region(hills, json.dumps(world.targets[0].outline), name="plain", actor="test")
    with pytest.raises(LayerInvalid, match=f"{S2_SEMIANNUAL.name}.*reads no layer 'slope'"):
        add_layer(hills, "plain", href, name="slope", unit="percent", actor="test")
    with pytest.raises(InputError, match="layer name"):
        add_layer(hills, "hills", href, name="../slope", unit="percent", actor="test")
