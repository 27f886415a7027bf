"""Train: a global model from reference tables, registered in the workspace."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geotransfer.change.keys import list_library_versions
from geotransfer.core.cost import RunCost
from geotransfer.core.legend import CROPLAND, Legend
from geotransfer.core.model import Lineage, ModelVersion
from geotransfer.core.spec import S2_SEMIANNUAL, S2_SEMIANNUAL_CLIMATE, FeatureSpec
from geotransfer.errors import NotFound
from geotransfer.registry.versions import BASELINE_NAME, register_model
from geotransfer.store.workspace import Workspace
from geotransfer.transfer.baseline import BASELINE_TRAINING, CLIMATE_TRAINING, train_baseline
from geotransfer.transfer.model_file import dump_model
from geotransfer.transfer.samples import (
    Samples,
    concatenate_samples,
    gather_positions,
    read_reference_table,
)
from geotransfer.transfer.trees import Training
from geotransfer.workflows.costing import Meter
from geotransfer.workflows.progress import Progress, ignore_progress


def read_tables(folder: Path, spec: FeatureSpec) -> dict[str, Samples]:
    """Read every region's table below a folder, by region id in alphabetical order.

    Raises
    ------
    NotFound
        There is no ``<region>/training_data.txt``.
    """
    tables = {
        path.parent.name: read_reference_table(path.parent, spec)
        for path in sorted(folder.glob("*/training_data.txt"))
    }
    if not tables:
        raise NotFound(
            f"{folder}: no table found; give a folder that holds <region>/training_data.txt."
        )
    return tables


def read_rain(folder: Path) -> NDArray[np.float64]:
    """Rain climatology of each row, shape (n, 2), mm per half-year."""
    with (folder / "training_data.txt").open(encoding="utf-8") as file:
        names = file.readline().removeprefix("#").split()
        columns = [names.index("rain_S1"), names.index("rain_S2")]
        return np.loadtxt(file, usecols=columns)


def make_baseline_lineage(
    source: Samples,
    *,
    seed: int,
    cost: RunCost,
    legend_name: str = CROPLAND.name,
    samples_id: str | None = None,
) -> Lineage:
    """Return the lineage of a global model."""
    return Lineage(
        parent_id=None,
        strategy="baseline",
        spec_name=source.spec.name,
        spec_id=source.spec.spec_id,
        legend_name=legend_name,
        labels_id=None,
        n_labels=len(source),
        source=f"samples {source.content_id[:12]}",
        seed=seed,
        cost=cost,
        libraries=list_library_versions(),
        samples_id=samples_id,
    )


def find_trainings(spec: FeatureSpec) -> tuple[Training, ...]:
    """Return how the trees of a spec are grown."""
    is_climate = spec.spec_id == S2_SEMIANNUAL_CLIMATE.spec_id
    return CLIMATE_TRAINING if is_climate else BASELINE_TRAINING


def train_global(
    workspace: Workspace,
    folder: Path,
    *,
    seed: int = 0,
    spec: FeatureSpec = S2_SEMIANNUAL,
    legend: Legend = CROPLAND,
    actor: str,
    progress: Progress = ignore_progress,
) -> ModelVersion:
    """Train a global model on every table of a folder; regions without a champion then use it."""
    meter = Meter.start()
    tables = list(read_tables(folder, spec).values())
    source = concatenate_samples(tables[0], *tables[1:])
    model = train_baseline(
        source,
        legend,
        trainings=find_trainings(spec),
        positions_km=gather_positions(tables[0], *tables[1:]),
        seed=seed,
        n_threads=workspace.settings.thread_count,
        report=lambda share, what: progress(round(share * 100), 100, what),
    )
    return register_model(
        workspace,
        dump_model(model),
        name=BASELINE_NAME,
        region_id=None,
        lineage=make_baseline_lineage(
            source, seed=seed, cost=meter.read(), legend_name=legend.name
        ),
        actor=actor,
    )
