"""A workspace: one folder (or database and object store) that all processes share."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from geotransfer.errors import NotFound, StoreError, WorkspaceTooNew
from geotransfer.settings import Settings
from geotransfer.store.atomic import write_bytes
from geotransfer.store.blobs import BlobStore
from geotransfer.store.database import open_database
from geotransfer.store.jobs import JobQueue
from geotransfer.store.ledger import Clock, Ledger
from geotransfer.store.schedules import ScheduleBook

FORMAT = 1
"""Grows when older versions can no longer read what this one writes."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """Handles to everything stored; safe to share between threads."""

    folder: Path
    settings: Settings
    ledger: Ledger
    jobs: JobQueue
    schedules: ScheduleBook
    blobs: BlobStore
    clock: Clock

    @property
    def blobs_url(self) -> str:
        """fsspec URL of the blobs; travels to workers on other machines."""
        return self.settings.blobs_url or (self.folder / "blobs").as_uri()

    def locate_tiles(self, region_id: str) -> Path:
        """Folder of a region's tile files, named by their keys."""
        return self.folder / "tiles" / region_id

    def locate_cube(self) -> Path:
        """Folder of the pixels already read."""
        return self.folder / "cube"

    def locate_maps(self, region_id: str) -> Path:
        """Folder of a region's map rasters, one folder a map."""
        return self.folder / "maps" / region_id


def read_clock() -> datetime:
    """Return the time now, in UTC."""
    return datetime.now(UTC)


def open_workspace(
    settings: Settings, *, clock: Clock = read_clock, create: bool = False
) -> Workspace:
    """Open a workspace, or create it.

    Raises
    ------
    NotFound
        There is none and ``create`` is false.
    WorkspaceTooNew
        A newer version of the product wrote it.
    """
    folder = settings.folder
    marker = folder / "workspace.json"
    if marker.exists():
        _check_format(marker)
    elif create:
        write_bytes(marker, json.dumps({"format": FORMAT}).encode())
    else:
        raise NotFound(
            f"{folder} is not a workspace; run `geotransfer init --workspace {folder}` first."
        )
    engine = open_database(settings.ledger_url or f"sqlite:///{folder / 'ledger.sqlite'}")
    return Workspace(
        folder=folder,
        settings=settings,
        ledger=Ledger(engine, clock),
        jobs=JobQueue(engine, clock, settings.lease_s),
        schedules=ScheduleBook(engine, clock),
        blobs=BlobStore(settings.blobs_url or (folder / "blobs").as_uri()),
        clock=clock,
    )


def _check_format(marker: Path) -> None:
    try:
        found = int(json.loads(marker.read_text())["format"])
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise StoreError(
            f"{marker} cannot be read ({error}); restore it, or start a new workspace with"
            " `geotransfer init`."
        ) from error
    if found > FORMAT:
        raise WorkspaceTooNew(
            f"{marker} is of format {found}, this version reads up to {FORMAT};"
            " update GeoTransfer, or choose another workspace."
        )
