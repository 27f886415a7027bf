"""Ship: make everything in ``data/`` that is derived from the reference tables.

The same tables, seeds and libraries give the same bytes; a test makes some of them again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import geopandas as gpd
import numpy as np
from numpy.typing import NDArray
from shapely import make_valid
from shapely.geometry import MultiPolygon, Polygon, mapping, shape
from shapely.ops import unary_union

from geotransfer.core.budget import RehearsedRegion
from geotransfer.core.fact import RegionEvaluated
from geotransfer.core.identity import canonical_json, hash_bytes, to_plain
from geotransfer.core.legend import CROPLAND
from geotransfer.core.region import Region, RegionKind
from geotransfer.core.spec import S2_SEMIANNUAL, S2_SEMIANNUAL_CLIMATE
from geotransfer.imagery.areas import EQUAL_AREA
from geotransfer.registry.versions import BASELINE_NAME
from geotransfer.store.atomic import write_bytes
from geotransfer.store.shipped import (
    BASELINE,
    BASELINE_CARD,
    CLIMATE,
    CLIMATE_CARD,
    EXPECTED_ACCURACY,
    PROTOTYPES,
    REGIONS,
)
from geotransfer.transfer.baseline import train_baseline
from geotransfer.transfer.model import Model
from geotransfer.transfer.model_file import dump_model
from geotransfer.transfer.rehearsal import LeftOut, rehearse_region, train_left_out
from geotransfer.transfer.samples import (
    Samples,
    aggregate_prototypes,
    concatenate_samples,
    gather_positions,
)
from geotransfer.workflows.progress import Progress, ignore_progress
from geotransfer.workflows.reach import ConfidenceRows, find_cutoff_for, measure_table_reach
from geotransfer.workflows.rehearsal_report import summarize_rehearsal
from geotransfer.workflows.ship_card import write_card
from geotransfer.workflows.ship_climate import make_climate_model
from geotransfer.workflows.ship_profile import make_accuracy_curve, write_accuracy_curve
from geotransfer.workflows.source import write_samples
from geotransfer.workflows.train import read_rain, read_tables

ATTRIBUTION = (
    "Derived from the Digital Earth Africa cropland reference data 2019, © Digital Earth Africa"
    " contributors, CC BY 4.0."
)
SEED = 0
TARGET = 0.80
REHEARSED_LABELS = 100
N_DRAWS = 5
OUTLINE_TOLERANCE_KM = 12.0
MIN_PART_KM2 = 2_000.0
REGION_NAMES = {"sahel": "Sahel"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """What was written."""

    files: tuple[tuple[str, str], ...]
    """File name and SHA-256."""


def ship_data(
    tables_folder: Path, folder: Path, *, n_threads: int = 1, progress: Progress = ignore_progress
) -> Shipped:
    """Write the models with their cards, prototypes and the regions' evaluations to ``folder``."""
    tables = read_tables(tables_folder, S2_SEMIANNUAL)
    progress(0, 100, "training leave-one-region-out")
    left_out = train_left_out(
        tables,
        CROPLAND,
        seed=SEED,
        n_threads=n_threads,
        report=lambda share, what: progress(round(share * 30), 100, what),
    )
    parts = list(tables.values())
    source = concatenate_samples(parts[0], *parts[1:])
    progress(30, 100, "training the global model")
    model = train_baseline(
        source,
        CROPLAND,
        positions_km=gather_positions(parts[0], *parts[1:]),
        seed=SEED,
        n_threads=n_threads,
    )
    prototypes = aggregate_prototypes(source)
    rehearsed = {}
    for number, (name, out) in enumerate(left_out.items()):
        progress(35 + 9 * number, 100, f"rehearsing fine-tuning in {name}")
        rehearsed[name] = rehearse_region(
            out.model,
            tables[name],
            prototypes.take(np.flatnonzero(prototypes.region_ids != name)),
            rain_mm=read_rain(tables_folder / name),
            n_draws=N_DRAWS,
            seed=SEED,
        )
    documents = {
        BASELINE: dump_model(model),
        PROTOTYPES: write_samples(prototypes),
        EXPECTED_ACCURACY: write_accuracy_curve(make_accuracy_curve(tables, left_out, seed=SEED)),
    }
    progress(95, 100, "training the climate model")
    documents[CLIMATE], documents[CLIMATE_CARD] = make_climate_model(
        read_tables(tables_folder, S2_SEMIANNUAL_CLIMATE),
        seed=SEED,
        n_threads=n_threads,
        attribution=ATTRIBUTION,
    )
    documents[BASELINE_CARD] = make_card(model, source, documents[BASELINE])
    documents[REGIONS] = make_regions_document(tables_folder, tables, left_out, rehearsed)
    for name, data in documents.items():
        write_bytes(folder / name, data)
    progress(100, 100, "written")
    return Shipped(files=tuple((name, hash_bytes(d)) for name, d in sorted(documents.items())))


def make_card(model: Model, source: Samples, data: bytes) -> bytes:
    """Return the card of the model that reads Sentinel-2 alone."""
    return write_card(
        model,
        source,
        data,
        name=BASELINE_NAME,
        seed=SEED,
        attribution=ATTRIBUTION,
        told={
            "what": "Probability of cropland from two half-year Sentinel-2 composites.",
            "intended_use": "A starting point in regions nobody has labelled: look at its"
            " leave-one-region-out figures, bring labels, let the verdict decide.",
            "limits": "Trained in Africa, 2019, on homogeneous crop and non-crop samples only;"
            " field edges, other continents and other years are outside of it. Its accuracy on its"
            " own training regions says nothing and is shown nowhere.",
        },
    )


def make_regions_document(
    tables_folder: Path,
    tables: Mapping[str, Samples],
    left_out: Mapping[str, LeftOut],
    rehearsed: Mapping[str, RehearsedRegion],
) -> bytes:
    """Return the reference regions with evaluations, reach, confidence bins and budget curves."""
    rows = {
        name: ConfidenceRows.bin_rows(_judge(out, tables[name])) for name, out in left_out.items()
    }
    entries = []
    for name, out in left_out.items():
        others = [r for other, r in rows.items() if other != name]
        cutoff = find_cutoff_for(others, TARGET)
        fact = RegionEvaluated(
            region_id=name,
            model_id=hash_bytes(dump_model(out.model)),
            purpose="map",
            evaluation=replace(
                out.evaluation,
                note="The model has seen no sample of this region. Rows cluster in space, so the"
                " interval is too narrow by an unknown factor.",
            ),
            reach=measure_table_reach(rows[name], cutoff, TARGET),
            reach_target=TARGET,
            source=f"train TABLES --ship, seed {SEED}, samples {tables[name].content_id[:12]}",
        )
        entries.append(
            {
                "region": to_plain(read_region(tables_folder / name)),
                "evaluations": [to_plain(fact)],
                "confidence": to_plain(rows[name]),
                "budget": to_plain(rehearsed[name]),
                "rehearsal": to_plain(
                    summarize_rehearsal(rehearsed[name], report_id="", n_labels=REHEARSED_LABELS)
                ),
            }
        )
    document = {"attribution": ATTRIBUTION, "target": TARGET, "seed": SEED, "regions": entries}
    return canonical_json(document)


def _judge(out: LeftOut, table: Samples) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    known = np.isfinite(out.probability[0])
    codes = np.asarray(CROPLAND.codes)[out.probability[:, known].argmax(axis=0)]
    return out.probability[:, known].max(axis=0).astype(np.float64), codes == table.classes[known]


def read_region(folder: Path) -> Region:
    """Return a reference region with its outline simplified for a map of a continent."""
    document = json.loads((folder / "region.geojson").read_text(encoding="utf-8"))
    whole = unary_union([make_valid(shape(f["geometry"])) for f in document["features"]])
    tolerance_m = OUTLINE_TOLERANCE_KM * 1000
    parts = whole.geoms if hasattr(whole, "geoms") else [whole]
    simple = [
        part.simplify(tolerance_m)
        for part in parts
        if isinstance(part, Polygon) and part.area / 1e6 >= MIN_PART_KM2
    ]
    merged = unary_union([make_valid(p) for p in simple])
    polygons = [Polygon(p.exterior) for p in getattr(merged, "geoms", [merged])]
    outline = canonical_json(_round_geometry(MultiPolygon(polygons))).decode()
    return Region(
        region_id=folder.name,
        name=REGION_NAMES.get(folder.name, folder.name.capitalize() + " Africa"),
        kind=RegionKind.TABLE,
        outline=outline,
        area_km2=round(whole.area / 1e6, 1),
        spec_name=S2_SEMIANNUAL.name,
        legend_name=CROPLAND.name,
        attribution=ATTRIBUTION,
    )


def _round_geometry(geometry: MultiPolygon) -> dict[str, object]:
    lonlat = gpd.GeoSeries([geometry], crs=EQUAL_AREA).to_crs("EPSG:4326").iloc[0]
    rounded: dict[str, object] = json.loads(
        json.dumps(mapping(lonlat)), parse_float=lambda text: round(float(text), 3)
    )
    return rounded
