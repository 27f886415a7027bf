"""A report holds all it shows and trusts no text; every listed file can be made and read."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import shapely

from geotransfer.core.fact import RegionAdded
from geotransfer.core.legend import CROPLAND
from geotransfer.errors import NotFound
from geotransfer.store.workspace import Workspace
from geotransfer.testing.points import sample_points
from geotransfer.workflows.evaluate import evaluate_region
from geotransfer.workflows.label_points import LabelPoints, add_points
from geotransfer.workflows.output_list import list_outputs
from geotransfer.workflows.outputs import make_output
from geotransfer.workflows.prepare import add_known_truth, add_reference_regions
from geotransfer.workflows.refresh import refresh
from geotransfer.workflows.report import make_report
from geotransfer.workflows.report_map import choose_scale_km
from geotransfer.workflows.scene_list import load_scenes
from geotransfer.workflows.views import find_region_view
from tests.workflows.conftest import Mapped

HOSTILE = '=HYPERLINK("x")<script>alert(1)</script>&"\''


class Reader(HTMLParser):
    """Tags, addresses and text of a document."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        names = ("src", "href", "srcset", "action", "data", "poster", "background")
        self.addresses += [value or "" for name, value in attrs if name in names]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(document: str) -> Reader:
    reader = Reader()
    reader.feed(document)
    reader.close()
    return reader


def check_self_contained(document: str) -> Reader:
    found = read(document)
    assert not {"script", "link", "iframe", "object", "embed", "form"} & set(found.tags)
    assert all(address.startswith("data:image/png;base64,") for address in found.addresses)
    assert not re.search(r"url\(|@import", document)
    assert "default-src &#x27;none&#x27;" in document
    return found


def read_csv(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))


@pytest.fixture
def judged(mapped: Mapped) -> Mapped:
    """A map that was judged, of a region with a hostile name."""
    ledger = mapped.workspace.ledger
    region = replace(mapped.region, name=HOSTILE, attribution=HOSTILE)
    ledger.append(RegionAdded(region_id=region.region_id, region=region), actor=HOSTILE)
    add_known_truth(mapped.workspace, mapped.made, n=120, actor="test")
    refresh(mapped.workspace, region.region_id, actor="test")
    evaluate_region(mapped.workspace, region.region_id, actor="test")
    return mapped


def test_a_report_shows_everything_and_escapes_it(judged: Mapped) -> None:
    workspace, region_id = judged.workspace, judged.region.region_id
    found = check_self_contained(make_report(workspace, region_id))
    text = " ".join(found.text)
    assert text.count(HOSTILE) >= 2
    view = find_region_view(workspace, region_id)
    assert view.evaluation is not None
    assert view.refresh is not None
    for told in (
        "Simulated: says nothing about a real place",
        str(view.evaluation.balanced),
        view.refresh.map_id[:16],
        load_scenes(workspace, region_id).grid.crs,
        "CPU seconds avoided",
        "s2-semiannual",
    ):
        assert told in text
    assert found.addresses
    assert "img" in found.tags


def test_a_table_region_has_an_outline_instead_of_a_map(workspace: Workspace) -> None:
    add_reference_regions(workspace, actor="test")
    found = check_self_contained(make_report(workspace, "eastern"))
    assert "svg" in found.tags
    assert "leave-one-region-out" in " ".join(found.text)
    with pytest.raises(NotFound):
        make_report(workspace, "nowhere")


def test_every_listed_file_opens(judged: Mapped) -> None:
    workspace, region_id = judged.workspace, judged.region.region_id
    outputs = list_outputs(workspace, find_region_view(workspace, region_id))
    made = {o.name: make_output(workspace, region_id, o.name)[0] for o in outputs}
    assert {"report.html", "accuracy.csv", "labels.geojson", "tiles.geojson"} <= set(made)
    outline = shapely.from_geojson(judged.region.outline)
    for name, data in made.items():
        if name.endswith(".csv"):
            rows = read_csv(data)
            assert rows, name
            for row in rows:
                assert not any(cell.startswith(("=", "@", "+")) for cell in row.values()), name
        if name.endswith(".geojson"):
            features = json.loads(data)["features"]
            assert features
            for feature in features:
                geometry = shapely.from_geojson(json.dumps(feature["geometry"]))
                assert outline.buffer(0.01).covers(geometry), name
    assert len(json.loads(made["labels.geojson"])["features"]) == len(read_csv(made["labels.csv"]))
    truth = sample_points(judged.made, 120, seed=1)
    assert sorted(row["class"] for row in read_csv(made["labels.csv"])) == sorted(
        str(name) for name in truth.class_names
    )
    with pytest.raises(NotFound, match=r"it has report\.html"):
        make_output(workspace, region_id, "secrets.csv")


def test_labels_without_places_leave_every_listed_file_there(mapped: Mapped) -> None:
    """Rows that brought their features but no place are kept; the archive must not break off."""
    placeless = LabelPoints(geometry=np.array([None, None]), codes=np.array([0, 1]))
    add_points(
        mapped.workspace, mapped.region, placeless, role="calibration", file_name="rows.csv",
        n_rejected=0, legend=CROPLAND, actor="test",
    )  # fmt: skip
    region_id = mapped.region.region_id
    outputs = list_outputs(mapped.workspace, find_region_view(mapped.workspace, region_id))
    made = {o.name: make_output(mapped.workspace, region_id, o.name)[0] for o in outputs}
    assert json.loads(made["labels.geojson"])["features"] == []
    assert read_csv(made["labels.csv"]) == []


@pytest.mark.parametrize(
    ("width_km", "scale_km"), [(5.12, 1), (6, 2), (15, 5), (0.9, 0.2), (3, 1), (2999, 500)]
)
def test_the_scale_bar_is_a_round_length(width_km: float, scale_km: float) -> None:
    assert choose_scale_km(width_km) == pytest.approx(scale_km)
