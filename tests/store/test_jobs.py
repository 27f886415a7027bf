from __future__ import annotations

import contextlib

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from geotransfer.core.job import Command, JobState
from geotransfer.errors import GeoTransferError, InputError, JobLost
from geotransfer.store.database import METADATA, open_database
from geotransfer.store.jobs import MAX_ATTEMPTS, JobQueue
from geotransfer.store.workspace import Workspace
from tests.conftest import Clock

LEASE_S = 30.0


def command(region: str | None = "a", verb: str = "refresh") -> Command:
    return Command(verb=verb, region_id=region, arguments={})


def test_a_job_runs_from_queued_to_done(workspace: Workspace) -> None:
    jobs = workspace.jobs
    job = jobs.submit(command(), by="ana")
    claimed = jobs.claim("w1")
    assert claimed is not None
    assert claimed.job_id == job.job_id
    assert jobs.report(job.job_id, "w1", done=1, planned=4, message="half way") is False
    assert jobs.find(job.job_id).share_done == 0.25
    jobs.finish(job.job_id, "w1", {"n": 4})
    ended = jobs.find(job.job_id)
    assert ended.state is JobState.DONE
    assert ended.result == {"n": 4}
    assert any("half way" in line for line in ended.log)


def test_the_same_wish_twice_is_one_job(workspace: Workspace) -> None:
    first = workspace.jobs.submit(command(), by="ana")
    assert workspace.jobs.submit(command(), by="bo").job_id == first.job_id
    workspace.jobs.claim("w1")
    workspace.jobs.finish(first.job_id, "w1", {})
    assert workspace.jobs.submit(command(), by="bo").job_id != first.job_id


def test_a_silent_worker_loses_its_job_and_cannot_finish_it(
    workspace: Workspace, clock: Clock
) -> None:
    jobs = workspace.jobs
    job = jobs.submit(command(), by="ana")
    jobs.claim("w1")
    assert jobs.claim("w2") is None
    clock.advance(LEASE_S + 1)
    taken = jobs.claim("w2")
    assert taken is not None
    assert taken.attempts == 2
    with pytest.raises(JobLost):
        jobs.report(job.job_id, "w1", done=1)
    with pytest.raises(JobLost):
        jobs.finish(job.job_id, "w1", {})
    jobs.finish(job.job_id, "w2", {})
    assert jobs.find(job.job_id).state is JobState.DONE


def test_a_heartbeat_keeps_the_job(workspace: Workspace, clock: Clock) -> None:
    jobs = workspace.jobs
    job = jobs.submit(command(), by="ana")
    jobs.claim("w1")
    for _ in range(5):
        clock.advance(LEASE_S * 0.8)
        jobs.report(job.job_id, "w1")
        assert jobs.claim("w2") is None


def test_a_job_that_kills_workers_is_given_up(workspace: Workspace, clock: Clock) -> None:
    jobs = workspace.jobs
    job = jobs.submit(command(), by="ana")
    for i in range(MAX_ATTEMPTS):
        assert jobs.claim(f"w{i}") is not None
        clock.advance(LEASE_S + 1)
    assert jobs.claim("last") is None
    assert jobs.find(job.job_id).state is JobState.FAILED
    assert "workers died" in jobs.find(job.job_id).error


def test_cancel_stops_a_waiting_job_at_once_and_asks_a_running_one(workspace: Workspace) -> None:
    jobs = workspace.jobs
    waiting = jobs.submit(command("a"), by="ana")
    assert jobs.cancel(waiting.job_id).state is JobState.CANCELLED
    running = jobs.submit(command("b"), by="ana")
    jobs.claim("w1")
    assert jobs.cancel(running.job_id).state is JobState.RUNNING
    assert jobs.report(running.job_id, "w1") is True
    jobs.fail(running.job_id, "w1", "cancelled", cancelled=True)
    with pytest.raises(InputError, match="already ended"):
        jobs.cancel(running.job_id)
    assert jobs.retry(running.job_id, by="ana").state is JobState.QUEUED


def test_jobs_of_one_region_run_one_at_a_time(workspace: Workspace) -> None:
    jobs = workspace.jobs
    jobs.submit(command("a", "refresh"), by="ana")
    jobs.submit(command("a", "evaluate"), by="ana")
    other = jobs.submit(command("b"), by="ana")
    assert jobs.claim("w1") is not None
    second = jobs.claim("w2")
    assert second is not None
    assert second.job_id == other.job_id
    assert jobs.claim("w3") is None


class JobMachine(RuleBasedStateMachine):
    """Whatever workers and people do, in whatever order, no ended job moves."""

    def __init__(self) -> None:
        super().__init__()
        self.engine = open_database("sqlite://")
        self.clock = Clock()
        self.queue = JobQueue(self.engine, self.clock, LEASE_S)
        self.ids: list[str] = []
        self.ended: dict[str, JobState] = {}

    @rule(region=st.sampled_from("abc"))
    def submit(self, region: str) -> None:
        job = self.queue.submit(command(region), by="x")
        if job.job_id not in self.ids:
            self.ids.append(job.job_id)

    @rule(worker=st.sampled_from(["w1", "w2"]))
    def claim(self, worker: str) -> None:
        self.queue.claim(worker)

    @rule(seconds=st.sampled_from([1.0, 20.0, 40.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(i=st.integers(0, 5), worker=st.sampled_from(["w1", "w2"]), act=st.integers(0, 3))
    def act(self, i: int, worker: str, act: int) -> None:
        if not self.ids:
            return
        job_id = self.ids[i % len(self.ids)]
        acts = (
            lambda: self.queue.report(job_id, worker, done=1),
            lambda: self.queue.finish(job_id, worker, {}),
            lambda: self.queue.fail(job_id, worker, "no"),
            lambda: self.queue.cancel(job_id),
        )
        with contextlib.suppress(GeoTransferError):
            acts[act]()

    @invariant()
    def ended_jobs_stay_ended(self) -> None:
        for job_id in self.ids:
            state = self.queue.find(job_id).state
            assert self.ended.get(job_id, state) is state
            if state.is_terminal:
                self.ended[job_id] = state

    def teardown(self) -> None:
        METADATA.drop_all(self.engine)
        self.engine.dispose()


JobMachine.TestCase.settings = hypothesis_settings(
    max_examples=40, stateful_step_count=30, deadline=None
)
TestJobMachine = JobMachine.TestCase


def test_a_stopped_worker_gives_its_job_back_at_once(workspace: Workspace) -> None:
    job = workspace.jobs.submit(command(), by="ana")
    workspace.jobs.claim("w1")
    workspace.jobs.release(job.job_id, "w1")
    taken = workspace.jobs.claim("w2")
    assert taken is not None
    assert taken.attempts == 1
    with pytest.raises(JobLost):
        workspace.jobs.release(job.job_id, "w1")
