"""Schedules: commands that become jobs again and again."""

from __future__ import annotations

import re
from dataclasses import dataclass

from geotransfer.core.job import Command
from geotransfer.errors import InputError

UNITS_S = {"min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
LEAST_S = 60
OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A command, how often it becomes a job, and when next."""

    command: Command
    every_s: int
    next_at: str
    """ISO 8601, UTC; so is the other time. In the past: due, and no worker has looked yet."""
    set_at: str
    set_by: str
    last_job_id: str | None = None
    """The job it became last."""


def parse_interval(text: str) -> int | None:
    """Return the seconds of an interval such as ``1d``, ``12h``, ``30min`` or ``2w``.

    ``off`` gives None.

    Raises
    ------
    InputError
        The text is no interval, or shorter than a minute.
    """
    told = text.strip().lower()
    if told == OFF:
        return None
    match = re.fullmatch(r"(\d{1,6}) ?(min|h|d|w)", told)
    seconds = int(match[1]) * UNITS_S[match[2]] if match else 0
    if seconds < LEAST_S:
        raise InputError(
            f"{text!r} is no interval; give a number with min, h, d or w, such as 1d, or {OFF}."
        )
    return seconds


def format_interval(every_s: int) -> str:
    """Return an interval in its largest whole unit: 86400 gives ``1d``."""
    unit = next((u for u in ("w", "d", "h", "min") if every_s % UNITS_S[u] == 0), None)
    return f"{every_s}s" if unit is None else f"{every_s // UNITS_S[unit]}{unit}"
