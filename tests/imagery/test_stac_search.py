"""STAC APIs by the real client, and static catalogs: pages, periods, faults."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from geotransfer.core.exclusion import ExclusionReason
from geotransfer.errors import InputError, NotFound, SceneInvalid, SceneUnreadable
from geotransfer.imagery import stac_search
from geotransfer.imagery.access import Access
from geotransfer.imagery.catalog import survey_catalog
from geotransfer.imagery.scene_query import Query
from geotransfer.imagery.signers import Signer, SignerKind
from tests.faulty_server import FOREVER, Server, serve
from tests.imagery.test_catalog import ITEM
from tests.stac_api import publish_api

QUICK = Access(n_retries=2, retry_delay_s=0.01, timeout_s=0.5)
OUTLINE = json.dumps(
    {"type": "Polygon", "coordinates": [[[5, 50], [6, 50], [6, 51], [5, 51], [5, 50]]]}
)
YEAR = Query(outline=OUTLINE, start=date(2022, 1, 1), end=date(2022, 12, 31))


def make_item(name: str, day: str, **properties: Any) -> dict[str, Any]:
    item = copy.deepcopy(ITEM)
    item["id"] = name
    item["properties"] |= {"datetime": f"{day}T10:00:00Z", **properties}
    item["geometry"] = json.loads(OUTLINE)
    return item


ITEMS = [make_item(f"s{n:02d}", f"2022-{n % 12 + 1:02d}-03", **{"eo:cloud_cover": n * 10})
         for n in range(8)]  # fmt: skip


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serve(tmp_path) as running:
        yield running


def test_an_api_is_read_page_by_page(server: Server) -> None:
    api = publish_api(server, ITEMS, page=3)
    survey = survey_catalog(api, query=YEAR, access=QUICK)
    assert [s.scene_id for s in survey.scenes] == [item["id"] for item in ITEMS]
    assert server.count("/api/search") == 3
    assert survey.exclusions == ()
    assert survey.scenes[0].assets[0].href.startswith(server.url)


def test_the_query_reaches_the_api_and_is_checked_again(server: Server) -> None:
    """A server that ignores what it is asked does not bring in other dates or clouds."""
    asked: list[dict[str, Any]] = []
    api = publish_api(server, ITEMS, page=100, ignores_query=True, asked=asked)
    query = Query(
        outline=OUTLINE, start=date(2022, 2, 1), end=date(2022, 4, 30), max_cloud_percent=20,
        collections=("sentinel-2-l2a",),
    )  # fmt: skip
    survey = survey_catalog(api, query=query, access=QUICK)
    assert asked[0]["datetime"] == "2022-02-01T00:00:00Z/2022-04-30T23:59:59Z"
    assert asked[0]["collections"] == ["sentinel-2-l2a"]
    assert asked[0]["intersects"]["type"] == "Polygon"
    assert [s.scene_id for s in survey.scenes] == ["s01", "s02"]
    assert survey.passed_over == {"more than 20 % cloud": 1, "outside the period": 5}


def test_scenes_elsewhere_are_counted_not_taken(server: Server) -> None:
    elsewhere = make_item("far", "2022-05-05") | {"bbox": [20, 10, 21, 11]}
    api = publish_api(server, [*ITEMS, elsewhere], page=100, ignores_query=True)
    survey = survey_catalog(api, query=YEAR, access=QUICK)
    assert "far" not in [s.scene_id for s in survey.scenes]
    assert survey.passed_over == {"outside the region": 1}


def test_a_collection_of_an_api_is_searched(server: Server) -> None:
    asked: list[dict[str, Any]] = []
    publish_api(server, ITEMS, page=100, asked=asked)
    survey = survey_catalog(
        f"{server.url}/api/collections/sentinel-2-l2a", query=YEAR, access=QUICK
    )
    assert len(survey.scenes) == len(ITEMS)
    assert asked[0]["collections"] == ["sentinel-2-l2a"]


def test_an_api_that_stumbles_is_asked_again_and_one_that_fails_is_named(server: Server) -> None:
    api = publish_api(server, ITEMS, page=100)
    server.faults.statuses["/api/search"] = [503, 502]
    assert len(survey_catalog(api, query=YEAR, access=QUICK).scenes) == len(ITEMS)
    for status, sentence in (
        (503, "answers 503 after 3 attempts"),
        (403, "refuses access"),
        (404, "no such file"),
        (400, "does not accept the search"),
    ):
        server.faults.statuses["/api/search"] = [status] * 9
        with pytest.raises((SceneUnreadable, NotFound, InputError), match=sentence) as caught:
            survey_catalog(api, query=YEAR, access=QUICK)
        assert str(caught.value).startswith(server.url)
    server.faults.statuses.clear()
    server.faults.stalls["/api/search"] = FOREVER
    server.faults.stall_s = 0.3
    quick = Access(n_retries=1, retry_delay_s=0.01, timeout_s=0.1)
    with pytest.raises(SceneUnreadable, match="did not answer in time"):
        survey_catalog(api, query=YEAR, access=quick)


def test_pages_that_never_end_are_stopped(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stac_search, "MAX_ITEMS", 20)
    api = publish_api(server, ITEMS, page=8, never_ends=True)
    with pytest.raises(InputError, match="more than 20 items; give a shorter period"):
        survey_catalog(api, query=YEAR, access=QUICK)


def test_an_item_that_is_none_is_left_out_by_name(server: Server) -> None:
    bad = make_item("bad", "2022-03-03")
    bad["properties"]["proj:shape"] = "big"
    worse = make_item("worse", "2022-03-04") | {"assets": 3}
    api = publish_api(server, [*ITEMS, bad, worse], page=100)
    survey = survey_catalog(api, query=YEAR, access=QUICK)
    assert len(survey.scenes) == len(ITEMS)
    assert [e.scene_id for e in survey.exclusions] == ["bad", "worse"]
    assert all(e.reason is ExclusionReason.DESCRIPTION for e in survey.exclusions)


def test_signatures_in_hrefs_are_kept_nowhere(server: Server) -> None:
    signed = make_item("signed", "2022-03-03")
    for asset in signed["assets"].values():
        asset["href"] = f"https://blobs.org/{asset['href'][2:]}?sv=1&sig=SECRET"
    api = publish_api(server, [signed], page=100)
    (scene,) = survey_catalog(api, query=YEAR, access=QUICK).scenes
    assert "SECRET" not in repr(scene)
    assert scene.assets[0].href == "https://blobs.org/blue.tif"


def test_a_key_goes_to_the_hosts_of_its_row_and_no_other(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KEY", "SECRET")
    row = Signer(name="keyed", hosts=("127.0.0.1",), kind=SignerKind.HEADER, variable="TEST_KEY")
    server.faults.needed_header = "SECRET"
    api = publish_api(server, ITEMS, page=3)
    with pytest.raises(SceneUnreadable, match="refuses access"):
        survey_catalog(api, query=YEAR, access=QUICK)
    keyed = replace(QUICK, signers=(row,))
    assert len(survey_catalog(api, query=YEAR, access=keyed).scenes) == len(ITEMS)
    elsewhere = replace(QUICK, signers=(replace(row, hosts=("elsewhere.org",)),))
    with pytest.raises(SceneUnreadable, match="refuses access"):
        survey_catalog(api, query=YEAR, access=elsewhere)


def test_a_catalogs_own_address_carries_no_key() -> None:
    with pytest.raises(InputError, match="carries a key; leave it out") as caught:
        survey_catalog("https://api.org/v1?token=SECRET", query=YEAR, access=QUICK)
    assert "SECRET" not in str(caught.value)


def test_an_item_from_the_web_cannot_name_files_of_this_machine(server: Server) -> None:
    local = make_item("local", "2022-03-03")
    local["assets"]["red"]["href"] = "file:///etc/passwd"
    api = publish_api(server, [local], page=100)
    survey = survey_catalog(api, query=YEAR, access=QUICK)
    assert survey.scenes == ()
    assert "on this machine; correct the item" in survey.exclusions[0].detail


def write_static(folder: Path, items: list[dict[str, Any]]) -> Path:
    """A root, two collections that also link round in a circle, an item in a folder of its own."""
    children = [{"rel": "child", "href": f"./c{n}/collection.json"} for n in (0, 1)]
    root = {"type": "Catalog", "id": "root", "stac_version": "1.0.0", "links": children}
    (folder / "catalog.json").write_text(json.dumps(root))
    for n in (0, 1):
        links = [{"rel": "child", "href": f"../c{1 - n}/collection.json"}]
        for item in items[n::2]:
            place = folder / f"c{n}" / item["id"]
            place.mkdir(parents=True)
            (place / "item.json").write_text(json.dumps(item))
            links.append({"rel": "item", "href": f"./{item['id']}/item.json"})
        collection = {"type": "Collection", "id": f"c{n}", "links": links}
        (folder / f"c{n}" / "collection.json").write_text(json.dumps(collection))
    return folder / "catalog.json"


@pytest.mark.parametrize("how", ["file", "folder", "web"])
def test_a_static_catalog_is_walked_once_round(server: Server, tmp_path: Path, how: str) -> None:
    root = write_static(tmp_path, ITEMS)
    places = {"file": str(root), "folder": str(tmp_path), "web": f"{server.url}/catalog.json"}
    survey = survey_catalog(places[how], query=YEAR, access=QUICK)
    assert [s.scene_id for s in survey.scenes] == [item["id"] for item in ITEMS]
    base = server.url if how == "web" else str(tmp_path)
    assert survey.scenes[1].assets[0].href == f"{base}/c1/s01/blue.tif"


def test_a_broken_link_of_a_static_catalog_is_named(tmp_path: Path) -> None:
    root = write_static(tmp_path, ITEMS)
    (tmp_path / "c1" / "s03" / "item.json").unlink()
    with pytest.raises(NotFound, match=r"c1/collection\.json: a broken link; .*s03/item\.json"):
        survey_catalog(str(root), query=YEAR)


def test_what_looks_like_an_api_and_is_none_is_said(server: Server) -> None:
    server.answers["/api"] = lambda _: {"conformsTo": ["…/item-search"], "links": []}
    with pytest.raises(SceneInvalid, match="not a STAC API that can be searched"):
        survey_catalog(f"{server.url}/api", query=YEAR, access=QUICK)
    server.answers["/page"] = lambda _: {"hello": "world"}
    with pytest.raises(NotFound, match="no STAC item in it"):
        survey_catalog(f"{server.url}/page", query=YEAR, access=QUICK)


NO_SEARCH: dict[str, Any] = {
    "type": "Catalog", "id": "bare", "stac_version": "1.0.0", "description": "",
    "links": [{"rel": "search", "href": "http://127.0.0.1:9/s", "type": "application/geo+json"}],
}  # fmt: skip
SEARCHED = {"conformsTo": ["https://api.stacspec.org/v1.0.0/item-search"]}


@pytest.mark.parametrize(
    "landing",
    [
        NO_SEARCH,
        NO_SEARCH | {"conformsTo": ["https://api.stacspec.org/v1.0.0/core"]},
        NO_SEARCH | SEARCHED | {"conformsTo": "item-search"},
        NO_SEARCH | SEARCHED | {"type": "Collection"},
        NO_SEARCH | SEARCHED | {"links": [{"rel": "search", "href": "http://["}]},
        NO_SEARCH | SEARCHED | {"links": [{"rel": "search"}]},
        NO_SEARCH
        | SEARCHED
        | {"links": [*NO_SEARCH["links"], {"rel": "root", "href": "http://127.0.0.1:9/x"}]},
        NO_SEARCH | SEARCHED | {"stac_extensions": 3},
    ],
)
def test_whatever_the_client_says_of_an_api_is_one_sentence(
    server: Server, landing: dict[str, Any]
) -> None:
    """One case or more for each type of error that the search takes for a faulty API."""
    server.answers["/api"] = lambda _: landing
    with pytest.raises(SceneInvalid, match="not a STAC API that can be searched"):
        survey_catalog(f"{server.url}/api", query=YEAR, access=QUICK)


@pytest.mark.parametrize("features", [3, "abc", {"a": 1}, [3]])
def test_a_page_of_something_else_than_items_is_said(server: Server, features: object) -> None:
    api = publish_api(server, ITEMS)
    server.answers["/api/search"] = lambda _: {"type": "FeatureCollection", "features": features}
    with pytest.raises(SceneInvalid, match="not a STAC API that can be searched"):
        survey_catalog(api, query=YEAR, access=QUICK)


def test_of_two_descriptions_the_newest_is_used(tmp_path: Path) -> None:
    old = make_item("twice", "2022-03-03", updated="2022-04-01T00:00:00Z")
    new = make_item("twice", "2022-03-03", updated="2022-05-01T00:00:00Z")
    new["properties"]["s2:processing_baseline"] = "05.00"
    path = tmp_path / "items.json"
    for order in ([old, new], [new, old]):
        path.write_text(json.dumps({"type": "FeatureCollection", "features": order}))
        survey = survey_catalog(str(path))
        assert [s.processing_baseline for s in survey.scenes] == ["05.00"]
        assert survey.passed_over == {"described twice; the newest is used": 1}


def test_across_the_antimeridian_bounds_are_those_of_the_outline(tmp_path: Path) -> None:
    """Many catalogs give such a scene the bbox of the whole globe."""
    naive = make_item("dateline", "2022-03-03") | {
        "bbox": [-180, -18, 180, -17],
        "geometry": {
            "type": "MultiPolygon",
            "coordinates": [
                [[[179, -18], [180, -18], [180, -17], [179, -17], [179, -18]]],
                [[[-180, -18], [-179.5, -18], [-179.5, -17], [-180, -17], [-180, -18]]],
            ],
        },
    }
    honest = make_item("honest", "2022-03-03") | {"bbox": [179, -18, -179.5, -17]}
    path = tmp_path / "items.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [naive, honest]}))
    for scene in survey_catalog(str(path)).scenes:
        assert scene.bounds == (179, -18, -179.5, -17)

    def ask(west: float, east: float) -> int:
        ring = [[west, -17.9], [east, -17.9], [east, -17.1], [west, -17.1], [west, -17.9]]
        outline = json.dumps({"type": "Polygon", "coordinates": [ring]})
        return len(survey_catalog(str(path), query=Query(outline=outline)).scenes)

    assert [ask(179.2, 179.4), ask(-179.8, -179.6), ask(0, 1), ask(-179.4, -179)] == [2, 2, 0, 0]
