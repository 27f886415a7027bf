"""What is due becomes one job: with many workers, after a restart, after a week of silence."""

from __future__ import annotations

import threading
from datetime import datetime

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from geotransfer.core.job import Command, JobState
from geotransfer.core.schedule import UNITS_S, format_interval, parse_interval
from geotransfer.errors import InputError
from geotransfer.store.database import open_database
from geotransfer.store.jobs import JobQueue
from geotransfer.store.schedules import ACTOR, ScheduleBook
from geotransfer.store.workspace import Workspace, open_workspace
from tests.conftest import Clock

DAY_S = 86400


def command(region_id: str = "a") -> Command:
    return Command(verb="refresh", region_id=region_id, arguments={})


def finish(workspace: Workspace, job_id: str) -> None:
    assert workspace.jobs.claim("w", job_id=job_id) is not None
    workspace.jobs.finish(job_id, "w", {})


def test_a_schedule_is_due_at_once_and_then_once_an_interval(
    workspace: Workspace, clock: Clock
) -> None:
    book = workspace.schedules
    book.put(command(), every_s=DAY_S, by="ana")
    [first] = book.submit_due()
    job = workspace.jobs.find(first)
    assert (job.command, job.submitted_by, job.state) == (command(), ACTOR, JobState.QUEUED)
    finish(workspace, first)
    clock.advance(DAY_S - 1)
    assert book.submit_due() == []
    clock.advance(1)
    [second] = book.submit_due()
    assert second != first
    assert book.list_all()[0].last_job_id == second


def test_missed_runs_collapse_into_one_and_the_hour_stays(
    workspace: Workspace, clock: Clock
) -> None:
    book = workspace.schedules
    book.put(command(), every_s=DAY_S, by="ana")
    started = clock.now
    finish(workspace, book.submit_due()[0])
    clock.advance(7.4 * DAY_S)
    assert len(book.submit_due()) == 1
    assert book.submit_due() == []
    next_at = datetime.fromisoformat(book.list_all()[0].next_at)
    assert (next_at - started).total_seconds() == 8 * DAY_S


def test_a_run_that_still_goes_on_is_not_queued_twice(workspace: Workspace, clock: Clock) -> None:
    book = workspace.schedules
    book.put(command(), every_s=60, by="ana")
    [first] = book.submit_due()
    workspace.jobs.claim("w")
    clock.advance(60)
    assert book.submit_due() == [first], "the job that runs is the one that was due"
    assert len(workspace.jobs.list_jobs()) == 1
    clock.advance(59)
    assert book.submit_due() == [], "and its turn has passed"


def test_many_workers_queue_a_due_run_once(workspace: Workspace, clock: Clock) -> None:
    url = f"sqlite:///{workspace.folder / 'ledger.sqlite'}"
    workspace.schedules.put(command(), every_s=DAY_S, by="ana")
    queued: list[str] = []
    gate = threading.Barrier(6)

    def look() -> None:
        book = ScheduleBook(open_database(url), clock)
        gate.wait()
        queued.extend(book.submit_due())

    workers = [threading.Thread(target=look) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(queued) == 1
    assert [job.job_id for job in workspace.jobs.list_jobs()] == queued


def test_schedules_survive_a_restart_and_can_be_changed_and_stopped(
    workspace: Workspace, clock: Clock
) -> None:
    workspace.schedules.put(command("b"), every_s=DAY_S, by="ana")
    workspace.schedules.put(command("a"), every_s=DAY_S, by="ana")
    again = open_workspace(workspace.settings, clock=clock).schedules
    assert [s.command.region_id for s in again.list_all()] == ["a", "b"]
    again.submit_due()
    again.put(command("a"), every_s=2 * DAY_S, by="bo")
    found = again.list_all()[0]
    assert (found.every_s, found.set_by) == (2 * DAY_S, "bo")
    assert datetime.fromisoformat(found.next_at).timestamp() == clock.now.timestamp() + DAY_S
    again.put(command("a"), every_s=3600, by="bo")
    found = again.list_all()[0]
    assert datetime.fromisoformat(found.next_at).timestamp() == clock.now.timestamp() + 3600
    assert again.remove(command("a"))
    assert not again.remove(command("a"))
    clock.advance(2 * DAY_S)
    assert len(again.submit_due()) == 1


def test_a_database_of_an_older_version_gets_what_came_later(
    workspace: Workspace, clock: Clock
) -> None:
    job = workspace.jobs.submit(command(), by="ana")
    url = f"sqlite:///{workspace.folder / 'ledger.sqlite'}"
    engine = open_database(url)
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE jobs DROP COLUMN cpu_s"))
        connection.execute(sa.text("DROP TABLE schedules"))
    jobs = JobQueue(open_database(url), clock, 30)
    assert jobs.find(job.job_id).cpu_s is None
    jobs.claim("w")
    jobs.report(job.job_id, "w", more_cpu_s=2.0)
    jobs.report(job.job_id, "w", more_cpu_s=0.5)
    assert jobs.find(job.job_id).cpu_s == 2.5
    assert workspace.schedules.list_all() == []


@given(st.integers(1, 999), st.sampled_from(sorted(UNITS_S)))
def test_intervals_are_read_as_they_are_written(n: int, unit: str) -> None:
    seconds = parse_interval(f"{n}{unit}")
    assert seconds == n * UNITS_S[unit]
    assert parse_interval(format_interval(seconds)) == seconds
    assert parse_interval("off") is None


@pytest.mark.parametrize("text", ["", "daily", "0d", "1.5d", "-1d", "30s", "d"])
def test_what_is_no_interval_says_what_is(text: str) -> None:
    with pytest.raises(InputError, match="such as 1d, or off"):
        parse_interval(text)
