"""What a search promises before anything is read: scenes, gigabytes, cost, access."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import rasterio

from geotransfer.core.fact import ScenesAdded, ScenesIncluded
from geotransfer.core.period import parse_period
from geotransfer.errors import InputError, NotFound
from geotransfer.imagery.access import Access
from geotransfer.imagery.access_notes import describe_access
from geotransfer.imagery.catalog import survey_catalog
from geotransfer.imagery.scene_sizes import measure_reach, measure_sizes
from geotransfer.imagery.signers import Signer, SignerKind
from geotransfer.store.workspace import Workspace, open_workspace
from geotransfer.testing.world import SimulatedRegion, World
from geotransfer.workflows.exclusions import exclude_by_hand, include_scenes, list_exclusions
from geotransfer.workflows.find_scenes import (
    add_found_scenes,
    find_cpu_rate,
    find_scenes,
)
from geotransfer.workflows.found_scenes import load_found, store_found
from geotransfer.workflows.refresh import refresh
from geotransfer.workflows.regions import add_region
from geotransfer.workflows.scene_list import load_scenes
from geotransfer.workflows.scenes import add_scenes
from tests.faulty_server import Server, serve
from tests.stac_api import publish_api
from tests.workflows.conftest import register_baseline

BANDS = ("blue", "green", "red", "nir", "swir_1", "swir_2")


@pytest.fixture
def made(world: World) -> SimulatedRegion:
    return world.targets[0]


@pytest.fixture
def server(made: SimulatedRegion) -> Iterator[Server]:
    with serve(made.folder) as running:
        yield running


@pytest.fixture
def workspace(make_settings: Callable[..., Any], made: SimulatedRegion) -> Workspace:
    settings = make_settings(
        tile_px=48, n_threads=1, http_retries=0, http_timeout_s=2.0, usd_per_cpu_hour=3600.0
    )
    opened = open_workspace(settings, create=True)
    add_region(opened, json.dumps(made.outline), name="Found", actor="test")
    return opened


def list_items(made: SimulatedRegion, url: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads(made.items_path.read_text())["features"]
    for item in items:
        for asset in item["assets"].values():
            asset["href"] = f"{url}/{asset['href'].removeprefix('./')}"
    return items


def test_a_search_reads_no_pixel_and_says_what_a_map_would_take(
    workspace: Workspace, made: SimulatedRegion, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = list_items(made, server.url)
    api = publish_api(server, items, page=3)
    with monkeypatch.context() as patched:
        patched.setattr(rasterio, "open", lambda *_, **__: pytest.fail("a file was opened"))
        found = find_scenes(workspace, "found", location=api, period="2000/2100")
    assert [s.scene_id for s in found.scenes] == [item["id"] for item in items]
    n_bytes = sum(a["file:size"] for item in items for a in item["assets"].values())
    assert found.sizes.stated_bytes == found.sizes.total_bytes == n_bytes
    assert "stated by the catalog" in str(found.sizes)
    assert not [path for _, path in server.requests if path.endswith(".tif")]
    assert all(s.overlap == pytest.approx(1, abs=0.01) and not s.is_known for s in found.scenes)
    assert 0.8 * n_bytes < found.read_bytes <= n_bytes
    # 9 bands and a mask of 96 × 96 pixels, less the rim outside the outline.
    assert found.predicted.read_bytes == pytest.approx(8 * 10 * 94 * 94 * 2, rel=0.05)
    assert found.cost_usd == pytest.approx(found.predicted.cpu_s)
    assert "another machine" in found.cost_basis
    assert [(note.how, note.n_files) for note in found.access] == [("anonymous, over http", 80)]
    assert workspace.ledger.read(ScenesAdded) == [], "a search adds nothing"


def test_what_was_found_is_added_as_it_was_found(
    workspace: Workspace, made: SimulatedRegion, server: Server, model_bytes: bytes
) -> None:
    register_baseline(workspace, model_bytes)
    api = publish_api(server, list_items(made, server.url), page=100)
    year = json.loads(made.items_path.read_text())["features"][0]["properties"]["datetime"][:4]
    found = find_scenes(workspace, "found", location=api, period=f"{year}-01/{year}-06")
    assert 0 < len(found.scenes) < 8
    found_id = store_found(workspace, found)
    again = load_found(workspace, "found", found_id)
    assert again == found
    n_requests = server.count("/api/search")
    fact = add_found_scenes(workspace, again, actor="test")
    assert server.count("/api/search") == n_requests
    assert fact.n_scenes == len(found.scenes)
    assert (fact.location, fact.period) == (api, f"{year}-01/{year}-06")
    assert [s.scene_id for s in load_scenes(workspace, "found").scenes] == [
        s.scene_id for s in found.scenes
    ]
    refresh(workspace, "found", actor="test")
    later = find_scenes(workspace, "found", location=api)
    assert sum(s.is_known for s in later.scenes) == len(found.scenes)
    assert later.cost_basis == "measured in this region's refreshes"
    rate, _ = find_cpu_rate(workspace, "found")
    assert later.predicted.cpu_s == pytest.approx(rate * later.predicted.read_bytes)
    with pytest.raises(NotFound, match="is no search of this workspace"):
        load_found(workspace, "found", "f" * 64)


def test_sizes_are_asked_of_the_server_and_else_estimated_and_it_is_said(
    made: SimulatedRegion, server: Server, tmp_path: Path
) -> None:
    items = list_items(made, server.url)[:3]
    for item in items:
        for asset in item["assets"].values():
            del asset["file:size"]
    for asset in items[2]["assets"].values():
        asset["href"] = asset["href"].replace("127.0.0.1", "127.0.0.1:9/")
    (tmp_path / "items.json").write_text(
        json.dumps({"type": "FeatureCollection", "features": items})
    )
    scenes = survey_catalog(str(tmp_path / "items.json")).scenes
    quick = Access(n_retries=0, timeout_s=20.0)
    sizes, by_scene = measure_sizes(scenes, BANDS, quick)
    assert (sizes.n_stated, sizes.n_asked, sizes.n_estimated) == (0, 14, 7)
    sent = [(how, path) for how, path in server.requests if path.endswith(".tif")]
    assert {how for how, _ in sent} == {"HEAD"}
    first = sum((made.folder / path.lstrip("/")).stat().st_size for _, path in sent[:14])
    assert sizes.asked_bytes == first
    assert by_scene[scenes[2].scene_id] == pytest.approx(first / 2, rel=0.5), "as its own bands"

    alone, _ = measure_sizes(scenes[2:], BANDS, quick)
    assert alone.estimated_bytes == 7 * 96 * 96 * 2, "else by shape and data type"
    assert "7 estimated from their shape" in str(alone)
    bare, sized = measure_sizes([replace(scenes[2], shape=None)], BANDS, quick)
    assert (bare.n_unknown, sized[scenes[2].scene_id]) == (7, None)


def test_bands_of_one_file_are_one_file(made: SimulatedRegion) -> None:
    scene = survey_catalog(str(made.items_path)).scenes[0]
    one = scene.assets[0]
    both = replace(scene, assets=(one, replace(one, name="green", band=2, size_bytes=0)))
    sizes, _ = measure_sizes([both], BANDS, Access())
    assert sizes.total_bytes == one.size_bytes


def test_the_share_that_is_read_follows_the_areas(made: SimulatedRegion) -> None:
    scene = survey_catalog(str(made.items_path)).scenes[0]
    west, south, east, north = scene.bounds
    half = [[west, south], [(west + east) / 2, south], [(west + east) / 2, north], [west, north]]
    outline = json.dumps({"type": "Polygon", "coordinates": [[*half, half[0]]]})
    (reach,) = measure_reach([scene], outline)
    assert reach.region_share == pytest.approx(1)
    assert reach.scene_share == pytest.approx(0.5, rel=0.01)
    assert reach.n_pixels == pytest.approx(96 * 96 / 2, rel=0.03)


def make_scene(href: str, made: SimulatedRegion, item: str = "") -> Any:
    scene = survey_catalog(str(made.items_path)).scenes[0]
    return replace(scene, assets=(replace(scene.assets[0], href=href),), item=item)


@pytest.mark.parametrize(
    ("href", "environment", "how", "variables", "is_ready"),
    [
        ("s3://b/x.tif", {"AWS_NO_SIGN_REQUEST": "yes"}, "S3, anonymous",
         ("AWS_NO_SIGN_REQUEST",), True),
        ("s3://b/x.tif", {"AWS_ACCESS_KEY_ID": "K1", "AWS_SECRET_ACCESS_KEY": "K2"},
         "S3, keys from the environment", ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), True),
        ("s3://b/x.tif", {}, "S3, needs AWS_NO_SIGN_REQUEST=YES for a public bucket, or keys",
         ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), False),
        ("gs://b/x.tif", {"GOOGLE_APPLICATION_CREDENTIALS": "K1"},
         "Google Cloud Storage, keys from the environment",
         ("GOOGLE_APPLICATION_CREDENTIALS",), True),
        ("https://a.org/x.tif", {}, "anonymous, over https", (), True),
        ("https://blobs.org/x.tif", {}, "signed by tokens", (), True),
        ("https://keyed.org/x.tif", {}, "a key from the environment, by keyed, not set",
         ("MY_KEY",), False),
        ("https://keyed.org/x.tif", {"MY_KEY": "K1"}, "a key from the environment, by keyed",
         ("MY_KEY",), True),
    ],
)  # fmt: skip
def test_access_is_named_and_no_key_is(
    made: SimulatedRegion, href: str, environment: dict[str, str], how: str,
    variables: tuple[str, ...], is_ready: bool,
) -> None:  # fmt: skip
    signers = (
        Signer(name="tokens", hosts=("blobs.org",), kind=SignerKind.TOKEN, token_url="https://t"),
        Signer(name="keyed", hosts=("*.org",), kind=SignerKind.HEADER, variable="MY_KEY"),
    )
    chosen = signers if "a.org" not in href else ()
    (note,) = describe_access([make_scene(href, made)], BANDS, Access(signers=chosen), environment)
    assert (note.how, note.variables, note.is_ready) == (how, variables, is_ready)
    assert not any(value in str(note) for value in ("K1", "K2"))


def test_who_pays_is_said_before_anybody_does(made: SimulatedRegion) -> None:
    item = json.dumps({"assets": {"a": {"storage:requester_pays": True}}})
    scene = make_scene("s3://b/x.tif", made, item)
    keys = {"AWS_ACCESS_KEY_ID": "K1", "AWS_SECRET_ACCESS_KEY": "K2", "AWS_NO_SIGN_REQUEST": "YES"}
    (note,) = describe_access([scene], BANDS, Access(), keys)
    assert note.how.endswith("; the requester pays, set AWS_REQUEST_PAYER=requester")
    assert not note.is_ready
    agreed = {**keys, "AWS_REQUEST_PAYER": "requester"}
    (note,) = describe_access([scene], BANDS, Access(), agreed)
    assert note.how.endswith("; the requester pays")
    assert note.is_ready


def test_signatures_reach_neither_ledger_nor_blobs(
    workspace: Workspace, made: SimulatedRegion, server: Server
) -> None:
    items = copy.deepcopy(list_items(made, server.url))
    for item in items:
        for asset in item["assets"].values():
            asset["href"] += "?se=2030&sig=SECRET"
        item["links"] = [{"rel": "self", "href": "https://a.org/i?token=SECRET"}]
    api = publish_api(server, items, page=100)
    found = find_scenes(workspace, "found", location=api)
    add_found_scenes(workspace, load_found(workspace, "found", store_found(workspace, found)),
                     actor="test")  # fmt: skip
    stored = [p for p in workspace.folder.rglob("*") if p.is_file()]
    assert len(stored) > 3
    assert [p.name for p in stored if b"SECRET" in p.read_bytes()] == []


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2021", "2021-01-01", "2021-12-31"),
        ("2021-02", "2021-02-01", "2021-02-28"),
        ("2020-02/2020-02", "2020-02-01", "2020-02-29"),
        ("2021-03-05/2021-04", "2021-03-05", "2021-04-30"),
        ("2021-03-05/..", "2021-03-05", "None"),
        ("../2021", "None", "2021-12-31"),
    ],
)
def test_periods_are_read_as_people_write_them(text: str, first: str, last: str) -> None:
    assert tuple(map(str, parse_period(text))) == (first, last)


@pytest.mark.parametrize("text", ["", "soon", "2021-13", "2021-02-30", "2022/2021", "2021-1"])
def test_what_is_no_period_is_one_sentence(text: str) -> None:
    if not text:
        assert parse_period("/") == (None, None)
        return
    with pytest.raises(InputError, match="the period"):
        parse_period(text)


def test_a_file_that_was_missing_is_found_when_its_scene_is_added_again(
    workspace: Workspace, made: SimulatedRegion, server: Server
) -> None:
    """GDAL keeps failures for the life of a process, and a worker's life is long."""
    items = list_items(made, server.url)
    for item in items:
        item["properties"] = {
            key: value for key, value in item["properties"].items() if not key.startswith("proj:")
        }
        for asset in item["assets"].values():
            for key in [key for key in asset if key.startswith("proj:")]:
                del asset[key]
    api = publish_api(server, items, page=100)
    first = items[2]["assets"]
    for asset in first.values():
        server.faults.statuses[asset["href"].removeprefix(server.url)] = [404] * 50
    add_scenes(workspace, "found", api, actor="test")
    assert [e.scene_id for e in list_exclusions(workspace, "found").exclusions] == [items[2]["id"]]
    server.faults.statuses.clear()
    add_scenes(workspace, "found", api, actor="test")
    assert list_exclusions(workspace, "found").exclusions == ()


def test_what_was_left_out_is_listed_however_much_happened_since(
    workspace: Workspace, made: SimulatedRegion
) -> None:
    add_scenes(workspace, "found", str(made.items_path), actor="test")
    scene_id = load_scenes(workspace, "found").scenes[0].scene_id
    exclude_by_hand(workspace, "found", [scene_id], why="haze", actor="test")
    later = [ScenesIncluded(region_id="found", scene_ids=()) for _ in range(1100)]
    workspace.ledger.append(*later, actor="test")
    assert [e.scene_id for e in list_exclusions(workspace, "found").exclusions] == [scene_id]
    include_scenes(workspace, "found", [scene_id], actor="test")
    assert list_exclusions(workspace, "found").exclusions == ()
