"""Rehearse: what fine-tuning would bring in a reference region, recomputed from the real tables."""

from __future__ import annotations

from geotransfer.core.fact import RehearsalMade
from geotransfer.core.identity import canonical_json
from geotransfer.core.legend import CROPLAND
from geotransfer.core.spec import S2_SEMIANNUAL
from geotransfer.errors import NotFound
from geotransfer.store.workspace import Workspace
from geotransfer.transfer.rehearsal import rehearse_region, train_left_out
from geotransfer.transfer.samples import aggregate_prototypes, concatenate_samples
from geotransfer.workflows.progress import Progress, ignore_progress
from geotransfer.workflows.rehearsal_report import summarize_rehearsal
from geotransfer.workflows.source import TABLES
from geotransfer.workflows.train import read_rain, read_tables

N_DRAWS = 5


def rehearse(
    workspace: Workspace,
    region_id: str,
    *,
    seed: int = 0,
    actor: str,
    progress: Progress = ignore_progress,
) -> RehearsalMade:
    """Rehearse fine-tuning in a reference region with a model that has never seen it.

    Raises
    ------
    NotFound
        The real tables are not here, or hold no such region.
    """
    folder = workspace.folder / TABLES
    if not (folder / region_id / "training_data.txt").exists():
        raise NotFound(
            f"the real table of {region_id!r} is not in this workspace; run `geotransfer fetch"
            " deafrica` or `geotransfer import deafrica FOLDER` first."
        )
    tables = read_tables(folder, S2_SEMIANNUAL)
    left_out = train_left_out(
        tables,
        CROPLAND,
        seed=seed,
        n_threads=workspace.settings.thread_count,
        report=lambda share, what: progress(round(share * 60), 100, what),
        regions=(region_id,),
    )[region_id]
    others = [table for name, table in tables.items() if name != region_id]
    prototypes = aggregate_prototypes(concatenate_samples(others[0], *others[1:]))

    def keep_alive() -> None:
        progress(60, 100, f"rehearsing with labels of {region_id}")

    rehearsed = rehearse_region(
        left_out.model,
        tables[region_id],
        prototypes,
        rain_mm=read_rain(folder / region_id),
        n_draws=N_DRAWS,
        seed=seed,
        check=keep_alive,
    )
    fact = summarize_rehearsal(
        rehearsed, report_id=workspace.blobs.put(canonical_json(rehearsed)), n_labels=100
    )
    if fact is None:
        raise NotFound(f"{region_id!r} has too few rows to rehearse 100 labels.")
    workspace.ledger.append(fact, actor=actor)
    progress(100, 100, "rehearsed")
    return fact
