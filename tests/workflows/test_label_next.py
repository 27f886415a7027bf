"""Places to label: ranked by use, or drawn with known chances and recognised when they return."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
import rasterio
from pyproj import Transformer

from geotransfer.core.fact import LabelsSuggested
from geotransfer.core.suggestion import Design, Place, Stratum, Suggestion
from geotransfer.errors import InputError, NotFound
from geotransfer.labels.suggested import write_places_csv, write_places_geojson
from geotransfer.workflows import label_next as label_next_module
from geotransfer.workflows.label_next import suggest_places
from geotransfer.workflows.labels import check_file
from geotransfer.workflows.maps import locate_map
from geotransfer.workflows.probability_sample import (
    describe_recognised,
    match_sample,
    recognise_sample,
)
from geotransfer.workflows.refresh import refresh
from geotransfer.workflows.transfer_views import find_suggestion, read_suggestion
from tests.workflows.conftest import Mapped


@pytest.fixture(autouse=True)
def without_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small test model has no shipped prototypes of its own."""
    monkeypatch.setattr(label_next_module, "load_source", lambda *_, **__: (None, "none"))


@pytest.fixture
def ready(mapped: Mapped) -> Mapped:
    refresh(mapped.workspace, mapped.region.region_id, actor="test")
    return mapped


def suggest(mapped: Mapped, *, drawn: bool, n: int = 24, seed: int = 0) -> Suggestion:
    fact = suggest_places(
        mapped.workspace, mapped.region.region_id, n_places=n, is_probability=drawn, seed=seed,
        actor="test",
    )  # fmt: skip
    assert fact.n_places == n
    return read_suggestion(mapped.workspace, fact.suggestion_id)


def read_classes(mapped: Mapped, suggestion: Suggestion) -> tuple[np.ndarray, list[str]]:
    """The class raster, and what it says under each place."""
    path = locate_map(mapped.workspace, mapped.region.region_id, suggestion.map_id) / "class.tif"
    with rasterio.open(path) as file:
        to_map = Transformer.from_crs("EPSG:4326", file.crs, always_xy=True)
        places = [to_map.transform(p.lon, p.lat) for p in suggestion.places]
        names = {0: "non-crop", 1: "crop", 255: "no answer"}
        return file.read(1), [names[int(v[0])] for v in file.sample(places)]


def test_ranked_places_are_the_most_useful_first(ready: Mapped) -> None:
    suggestion = suggest(ready, drawn=False)
    useful = [float(p.usefulness or 0) for p in suggestion.places]
    assert useful == sorted(useful, reverse=True)
    assert useful[0] == 1.0
    for p in suggestion.places:
        parts = (p.applicability_gap, p.uncertainty, p.coverage)
        assert all(part is not None and 0 <= part <= 1 for part in parts)
    assert len({(p.lon, p.lat) for p in suggestion.places}) == 24
    assert read_classes(ready, suggestion)[1] == [p.map_class for p in suggestion.places]
    assert not suggestion.strata


def test_drawn_places_lie_in_their_strata_with_the_chances_stated(ready: Mapped) -> None:
    suggestion = suggest(ready, drawn=True)
    raster, names = read_classes(ready, suggestion)
    assert names == [p.map_class for p in suggestion.places]
    counts = Counter(names)
    for code, stratum in enumerate(suggestion.strata):
        assert stratum.n_pixels == (raster == code).sum()
        assert stratum.n_places == counts[stratum.name]
        assert stratum.area_km2 == pytest.approx(stratum.n_pixels * suggestion.pixel_km2, rel=2e-3)
    for p in suggestion.places:
        stratum = next(s for s in suggestion.strata if s.name == p.map_class)
        assert p.chance == stratum.chance == stratum.n_places / stratum.n_pixels
    assert len({(p.lon, p.lat) for p in suggestion.places}) == 24, "without return"


def test_the_draw_follows_its_seed_and_not_the_strips(
    ready: Mapped, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = suggest(ready, drawn=True)
    assert suggest(ready, drawn=True) == first
    assert suggest(ready, drawn=True, seed=1).places != first.places
    monkeypatch.setattr("geotransfer.workflows.map_areas.STRIP_PX", 7)
    again = suggest(ready, drawn=True)
    assert again.places == first.places
    assert [s.area_km2 for s in again.strata] == pytest.approx(
        [s.area_km2 for s in first.strata], rel=1e-6
    )


@pytest.mark.slow
def test_every_pixel_of_a_stratum_has_the_same_chance(ready: Mapped) -> None:
    """Over many draws no part of a stratum is preferred: the mean row is the stratum's."""
    suggestion = suggest(ready, drawn=True)
    raster, _ = read_classes(ready, suggestion)
    lats = np.array(
        [p.lat for k in range(60) for p in suggest(ready, drawn=True, n=40, seed=k).places
         if p.map_class == "crop"]
    )  # fmt: skip
    rows = np.nonzero(raster == 1)[0]
    path = locate_map(ready.workspace, ready.region.region_id, suggestion.map_id) / "class.tif"
    with rasterio.open(path) as file:
        to_degrees = Transformer.from_crs(file.crs, "EPSG:4326", always_xy=True)
        x, top = file.xy(0, 48)
        bottom = file.xy(95, 48)[1]
        north, south = to_degrees.transform(x, top)[1], to_degrees.transform(x, bottom)[1]
    drawn_rows = (north - lats) / (north - south) * 95
    error = rows.std() / np.sqrt(len(lats))
    assert abs(drawn_rows.mean() - rows.mean()) < 4 * error


def test_files_come_back_as_labels_once_the_class_is_filled_in(ready: Mapped) -> None:
    suggestion = suggest(ready, drawn=True)
    region_id = ready.region.region_id
    blank = check_file(ready.workspace, region_id, write_places_csv(suggestion), "places.csv")
    assert not len(blank.good)
    assert {r.reason for r in blank.rejected} == {"its class is empty"}
    text = write_places_csv(suggestion).decode("utf-8-sig")
    header, *lines = text.splitlines()
    at = header.split(",").index("class")
    filled = [",".join(v if i != at else "crop" for i, v in enumerate(x.split(","))) for x in lines]
    data = "\r\n".join([header, *filled]).encode()
    checked = check_file(ready.workspace, region_id, data, "places.csv")
    assert len(checked.good) == 24
    told = describe_recognised(ready.workspace, region_id, checked.good.positions)
    assert told.startswith("Recognised as a probability sample: 24 of the 24 places")
    document = json.loads(write_places_geojson(suggestion))
    assert len(document["features"]) == 24
    assert document["features"][0]["properties"]["chance"] > 0
    assert "usefulness" not in document["features"][0]["properties"]


def make_drawn(n: int = 20) -> Suggestion:
    places = tuple(
        Place(number=i + 1, lon=10 + i * 0.001, lat=50.0, map_class="crop", chance=0.1)
        for i in range(n)
    )
    stratum = Stratum(name="crop", area_km2=1.0, n_pixels=200, n_places=n)
    return Suggestion(
        region_id="r", map_id="m", model_id="x", design=Design.STRATIFIED, seed=0, pixel_m=10.0,
        pixel_km2=1e-4, places=places, strata=(stratum,),
    )  # fmt: skip


def list_lonlat(suggestion: Suggestion) -> np.ndarray:
    return np.array([[p.lon, p.lat] for p in suggestion.places])


def test_all_places_labelled_are_a_probability_sample_in_any_order() -> None:
    suggestion = make_drawn()
    order = np.random.default_rng(0).permutation(20)
    found = match_sample(suggestion, list_lonlat(suggestion)[order])
    assert found.is_probability_sample
    assert (found.places == order).all()
    assert set(found.strata) == {"crop"}


@pytest.mark.parametrize(("metres", "is_sample"), [(0.0, True), (8.0, True), (14.0, False)])
def test_a_label_belongs_to_a_place_within_a_pixel(metres: float, is_sample: bool) -> None:
    lonlat = list_lonlat(make_drawn())
    lonlat[:, 1] += metres / 111_320
    assert match_sample(make_drawn(), lonlat).is_probability_sample is is_sample


def test_other_labels_among_them_make_them_indicative() -> None:
    lonlat = list_lonlat(make_drawn())
    lonlat = np.concatenate([lonlat, [[10.5, 50.5]]])
    found = match_sample(make_drawn(), lonlat)
    assert not found.is_probability_sample
    assert "1 other labels are with them" in found.note


def test_two_labels_at_one_place_do_not_count_twice() -> None:
    lonlat = list_lonlat(make_drawn())
    found = match_sample(make_drawn(), np.concatenate([lonlat, lonlat[:1] + 1e-5]))
    assert (found.places >= 0).sum() == 20
    assert not found.is_probability_sample


def test_labelling_may_stop_early_but_not_choose() -> None:
    """The first places in the order of drawing are a sample; the easy half of them is not."""
    lonlat = list_lonlat(make_drawn())
    assert match_sample(make_drawn(), lonlat[:12]).is_probability_sample
    chosen = match_sample(make_drawn(), lonlat[::2])
    assert not chosen.is_probability_sample
    assert "chance no longer decides" in chosen.note
    nearly = match_sample(make_drawn(), np.delete(lonlat, [3, 7], axis=0))
    assert nearly.is_probability_sample
    assert "2 without a label are taken as missing by chance" in nearly.note


def test_ranked_places_are_never_taken_for_a_sample(ready: Mapped) -> None:
    suggestion = suggest(ready, drawn=False)
    region_id = ready.region.region_id
    assert recognise_sample(ready.workspace, region_id, list_lonlat(suggestion)) is None
    assert describe_recognised(ready.workspace, region_id, list_lonlat(suggestion)) == ""


def test_what_cannot_be_suggested_is_a_sentence(mapped: Mapped) -> None:
    with pytest.raises(NotFound, match="geotransfer refresh"):
        suggest(mapped, drawn=True)
    refresh(mapped.workspace, mapped.region.region_id, actor="test")
    with pytest.raises(InputError, match="too few for 2 classes"):
        suggest(mapped, drawn=True, n=3)
    with pytest.raises(InputError, match="ask for 1 to"):
        suggest(mapped, drawn=True, n=10**6)
    assert mapped.workspace.ledger.read(LabelsSuggested) == []


def test_the_newest_of_each_kind_is_shown(ready: Mapped) -> None:
    region_id = ready.region.region_id
    assert find_suggestion(ready.workspace, region_id) is None
    suggest(ready, drawn=True)
    ranked = suggest(ready, drawn=False)
    drawn = suggest(ready, drawn=True, seed=5)
    found = find_suggestion(ready.workspace, region_id, Design.STRATIFIED)
    assert found is not None
    assert found[1] == drawn
    other = find_suggestion(ready.workspace, region_id, Design.RANKED)
    assert other is not None
    assert other[1] == ranked
