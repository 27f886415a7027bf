"""Jobs: queued units of work that a worker claims with a lease."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class JobState(StrEnum):
    """Where a job stands. ``done``, ``failed`` and ``cancelled`` are terminal."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing happens to the job any more unless somebody retries it."""
        return self in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What a job is to do: a verb the wiring knows and its plain arguments."""

    verb: str
    region_id: str | None = None
    arguments: Mapping[str, str | int | float | bool | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One queued unit of work as it stands now."""

    job_id: str
    command: Command
    state: JobState
    submitted_at: str
    """ISO 8601, UTC; so are the other times."""
    submitted_by: str
    started_at: str | None = None
    ended_at: str | None = None
    worker_id: str | None = None
    attempts: int = 0
    done: int = 0
    """Units done."""
    planned: int = 0
    """Units planned; 0 while unknown."""
    message: str = ""
    log: tuple[str, ...] = ()
    """Lines with their times, oldest first; the last 200 are kept."""
    is_cancel_requested: bool = False
    error: str = ""
    """The sentence a person reads when the job failed."""
    result: Mapping[str, object] | None = None
    cpu_s: float | None = None
    """CPU seconds used so far, over every worker that ran it; None before the first report."""

    @property
    def share_done(self) -> float:
        """Progress, 0–1."""
        if self.state is JobState.DONE:
            return 1.0
        return min(1.0, self.done / self.planned) if self.planned else 0.0
