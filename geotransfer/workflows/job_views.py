"""What a job is expected to use before it starts, and what it has used so far."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from geotransfer.core.cost import RunCost
from geotransfer.core.job import Command, Job, JobState
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.cost_views import read_rates

N_LOOKED_AT = 200
N_USED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEstimate:
    """What past jobs of the same kind used."""

    n_jobs: int
    is_same_region: bool
    """Whether they ran for the same region; otherwise for any."""
    wall_s: float
    """Median seconds from start to end."""
    most_wall_s: float
    cpu_s: float | None
    """Median CPU seconds; None where none was measured."""
    most_cpu_s: float | None
    cost_usd: float | None
    """Of the median, where a rate is set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanView:
    """What a refresh would do, made without reading a scene."""

    n_tiles: int
    n_work: int
    """Tiles that cannot be kept from metadata alone."""
    reasons: Mapping[str, int]
    """Tiles by reason."""
    predicted: RunCost
    """Use to expect, from the last cost of the tiles; zero before the first map."""
    avoided: RunCost


def estimate_job(workspace: Workspace, command: Command) -> JobEstimate | None:
    """Estimate a job from the newest of its kind that ended well; None without any."""
    return estimate_among(workspace, command, workspace.jobs.list_jobs(limit=N_LOOKED_AT))


def estimate_among(
    workspace: Workspace, command: Command, jobs: Sequence[Job]
) -> JobEstimate | None:
    """Estimate a job from given ones, the newest first."""
    alike = [j for j in jobs if j.state is JobState.DONE and j.command.verb == command.verb]
    same = [j for j in alike if j.command.region_id == command.region_id]
    used = (same or alike)[:N_USED]
    walls = [wall_s for j in used if (wall_s := find_wall_s(j)) is not None]
    if not walls:
        return None
    cpus = [j.cpu_s for j in used if j.cpu_s is not None]
    cpu_s = statistics.median(cpus) if cpus else None
    rates = read_rates(workspace)
    return JobEstimate(
        n_jobs=len(walls),
        is_same_region=bool(same),
        wall_s=statistics.median(walls),
        most_wall_s=max(walls),
        cpu_s=cpu_s,
        most_cpu_s=max(cpus) if cpus else None,
        cost_usd=None if cpu_s is None else rates.cost_usd(RunCost(cpu_s=cpu_s)),
    )


def find_wall_s(job: Job, now: datetime | None = None) -> float | None:
    """Return the seconds a job ran, or has run until ``now``; None before its start."""
    if job.started_at is None:
        return None
    end = datetime.fromisoformat(job.ended_at) if job.ended_at else now
    return (end - datetime.fromisoformat(job.started_at)).total_seconds() if end else None


def find_left_s(job: Job, now: datetime) -> float | None:
    """Return the seconds a running job is expected to go on, from its pace; None while unknown."""
    wall_s = find_wall_s(job, now)
    if job.state is not JobState.RUNNING or not wall_s or not 0.02 < job.share_done < 1:
        return None
    return wall_s * (1 - job.share_done) / job.share_done


def find_cost_usd(workspace: Workspace, job: Job) -> float | None:
    """Return the money a job has cost so far, where a rate is set and use was measured."""
    return read_rates(workspace).cost_usd(RunCost(cpu_s=job.cpu_s)) if job.cpu_s else None
