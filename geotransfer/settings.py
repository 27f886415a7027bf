"""Settings: one table gives each name, default and help; flags, variables and docs follow it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from geotransfer.errors import SettingInvalid


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table."""

    name: str
    default: str | int | float
    help: str

    @property
    def variable(self) -> str:
        """Environment variable that sets it."""
        return f"GEOTRANSFER_{self.name.upper()}"


SETTINGS = (
    Setting("workspace", "workspace", "Folder of the workspace: ledger, tiles, maps, uploads."),
    Setting("ledger_url", "", "SQLAlchemy URL of the ledger; empty: SQLite in the workspace."),
    Setting("blobs_url", "", "fsspec URL for blobs; empty: a folder of the workspace."),
    Setting("scheduler", "threads", "Dask scheduler: threads, processes or tcp://host:port."),
    Setting("n_threads", 0, "Threads for computing; 0: one for each processor."),
    Setting("memory_gb", 0.0, "Memory a run may use, in GB; 0: half of the machine's."),
    Setting("tile_px", 256, "Side of a tile in pixels, for grids made from now on."),
    Setting("min_valid", 3, "Valid observations a pixel needs in each period to count in reach."),
    Setting("accuracy_target", 0.80, "Accuracy the map must hold where it counts as reach."),
    Setting("stale_tolerance", 0.02, "Share of a map's pixels that may be stale, by its audit."),
    Setting("audit_blocks", 32, "Blocks a refresh checks where judgement kept all; else less."),
    Setting("cube_gb", 20.0, "Disk for pixels already read, in gigabytes; 0: none is kept."),
    Setting("usd_per_cpu_hour", 0.0, "Price of a CPU hour; 0: no money is shown."),
    Setting("watt_per_cpu", 0.0, "Power of one busy CPU; 0: no energy is shown."),
    Setting("usd_per_label", 0.0, "Price of one more label; 0: label budgets show no money."),
    Setting(
        "catalog_url",
        "https://earth-search.aws.element84.com/v1",
        "STAC API that scenes are searched in where none is named.",
    ),
    Setting("http_retries", 4, "Attempts after the first where a server fails or is slow."),
    Setting("http_delay_s", 0.5, "Seconds before the first retry; they double with each."),
    Setting("http_timeout_s", 30.0, "Seconds one attempt may take."),
    Setting("signers", "", "YAML file that says which hosts need a key or a signature."),
    Setting("lease_s", 30.0, "Seconds without a heartbeat after which a job is taken over."),
    Setting("host", "127.0.0.1", "Address the console listens on."),
    Setting("port", 8501, "Port the console listens on."),
    Setting("reference_data", "", "Folder with reference data; real regions in it are shown too."),
    Setting("check_pixels", 1, "Compare offsets and shifts of added scenes with pixels; 0: no."),
    Setting("max_upload_mb", 50, "Largest upload in megabytes."),
)
"""The table."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings in force; a frozen value, so it can be a cache key."""

    workspace: str
    ledger_url: str
    blobs_url: str
    scheduler: str
    n_threads: int
    memory_gb: float
    tile_px: int
    min_valid: int
    accuracy_target: float
    stale_tolerance: float
    audit_blocks: int
    cube_gb: float
    usd_per_cpu_hour: float
    watt_per_cpu: float
    usd_per_label: float
    catalog_url: str
    http_retries: int
    http_delay_s: float
    http_timeout_s: float
    signers: str
    lease_s: float
    host: str
    port: int
    reference_data: str
    check_pixels: int
    max_upload_mb: int

    @property
    def folder(self) -> Path:
        """Workspace folder, absolute."""
        return Path(self.workspace).expanduser().absolute()

    @property
    def thread_count(self) -> int:
        """Threads to compute with, at least one."""
        return self.n_threads or len(os.sched_getaffinity(0))


def is_cluster(scheduler: str) -> bool:
    """Whether tasks run in processes that are not children of this one."""
    return "://" in scheduler


def _convert(setting: Setting, text: str, origin: str) -> str | int | float:
    kind = type(setting.default)
    try:
        return kind(text)
    except ValueError:
        noun = {int: "a whole number", float: "a number"}.get(kind, "text")
        raise SettingInvalid(
            f"{origin} is {text!r}, which is not {noun}; give {setting.name} as in"
            f" {setting.default!r}."
        ) from None


def read_settings(
    environment: Mapping[str, str], overrides: Mapping[str, object] | None = None
) -> Settings:
    """Build the settings: ``overrides`` (flags) over ``environment`` over the defaults.

    Raises
    ------
    SettingInvalid
        A value is not of the setting's type or not allowed.
    """
    values: dict[str, object] = {}
    for setting in SETTINGS:
        text = environment.get(setting.variable)
        value = setting.default if text is None else _convert(setting, text, setting.variable)
        given = (overrides or {}).get(setting.name)
        values[setting.name] = value if given is None else given
    settings = Settings(**values)  # type: ignore[arg-type]  # the table and the fields agree
    _check(settings)
    return settings


BOUNDS: Mapping[str, tuple[float, float, str]] = {
    "n_threads": (0, 4096, "0 for one a processor, or a number of threads"),
    "memory_gb": (0, 1e6, "0 for half of the machine's memory, or gigabytes"),
    "tile_px": (32, 65536, "at least 32 pixels"),
    "min_valid": (1, 1000, "at least 1 observation"),
    "accuracy_target": (0.5, 0.999, "a share from 0.5 to below 1"),
    "stale_tolerance": (0.0, 1.0, "a share from 0 (compute everything) to 1"),
    "audit_blocks": (0, 1e6, "0 (no audit, and no judgement) or a number of blocks"),
    "cube_gb": (0, 1e6, "0 (keep nothing) or gigabytes"),
    "usd_per_cpu_hour": (0, 1e6, "0 or more"),
    "watt_per_cpu": (0, 1e6, "0 or more"),
    "usd_per_label": (0, 1e6, "0 or more"),
    "http_retries": (0, 20, "0 to 20 retries"),
    "http_delay_s": (0, 60, "0 to 60 seconds"),
    "http_timeout_s": (0.1, 3600, "0.1 to 3600 seconds"),
    "lease_s": (0.1, 86400, "0.1 to 86400 seconds"),
    "port": (1, 65535, "a port from 1 to 65535"),
    "check_pixels": (0, 1, "1 to check, 0 not to"),
    "max_upload_mb": (1, 1e6, "at least 1 megabyte"),
}
"""Least and greatest value of each number, and how to say it."""


def _check(settings: Settings) -> None:
    for name, (low, high, allowed) in BOUNDS.items():
        value = getattr(settings, name)
        # Written so that NaN, which is neither below nor above, is refused as well.
        if not low <= value <= high:
            raise SettingInvalid(f"{name} is {value}; give {allowed}.")
    if settings.scheduler not in ("threads", "processes") and "://" not in settings.scheduler:
        raise SettingInvalid(
            f"scheduler is {settings.scheduler!r}; give threads, processes or tcp://host:port."
        )
    if not settings.workspace.strip():
        raise SettingInvalid("workspace is empty; give a folder.")


if {field.name for field in fields(Settings)} != {setting.name for setting in SETTINGS}:
    raise AssertionError("SETTINGS and Settings must name the same settings")
