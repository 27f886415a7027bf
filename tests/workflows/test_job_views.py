from __future__ import annotations

from geotransfer.core.job import Command, Job
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.job_views import (
    estimate_job,
    find_cost_usd,
    find_left_s,
    find_wall_s,
)
from tests.conftest import Clock


def command(region_id: str = "a", verb: str = "refresh") -> Command:
    return Command(verb=verb, region_id=region_id, arguments={})


def run(workspace: Workspace, clock: Clock, wanted: Command, *, wall_s: float, cpu_s: float) -> Job:
    job = workspace.jobs.submit(wanted, by="ana")
    workspace.jobs.claim("w", job_id=job.job_id)
    clock.advance(wall_s)
    workspace.jobs.report(job.job_id, "w", more_cpu_s=cpu_s)
    workspace.jobs.finish(job.job_id, "w", {})
    return workspace.jobs.find(job.job_id)


def test_an_estimate_comes_from_jobs_of_the_same_kind(workspace: Workspace, clock: Clock) -> None:
    assert estimate_job(workspace, command()) is None
    run(workspace, clock, command("b"), wall_s=100, cpu_s=80)
    found = estimate_job(workspace, command("a"))
    assert found is not None
    assert (found.is_same_region, found.wall_s, found.cpu_s) == (False, 100, 80)
    for wall_s in (10, 30, 20):
        run(workspace, clock, command("a"), wall_s=wall_s, cpu_s=wall_s / 2)
    failed = workspace.jobs.submit(command("a"), by="ana")
    workspace.jobs.claim("w", job_id=failed.job_id)
    clock.advance(1000)
    workspace.jobs.fail(failed.job_id, "w", "no")
    found = estimate_job(workspace, command("a"))
    assert found is not None
    assert (found.is_same_region, found.n_jobs) == (True, 3)
    assert (found.wall_s, found.most_wall_s, found.cpu_s, found.most_cpu_s) == (20, 30, 10, 15)
    assert found.cost_usd is None, "no rate is set"
    assert estimate_job(workspace, command("a", "audit")) is None


def test_a_running_job_tells_its_use_and_what_is_left(workspace: Workspace, clock: Clock) -> None:
    job = workspace.jobs.submit(command(), by="ana")
    assert find_wall_s(job, clock.now) is None
    workspace.jobs.claim("w")
    clock.advance(30)
    workspace.jobs.report(job.job_id, "w", done=3, planned=4, more_cpu_s=5.0)
    job = workspace.jobs.find(job.job_id)
    assert find_wall_s(job, clock.now) == 30
    assert find_left_s(job, clock.now) == 10
    assert job.cpu_s == 5
    assert find_cost_usd(workspace, job) is None
