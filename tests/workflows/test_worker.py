"""Workers that die, are told to stop, and meet jobs that fail: no job is lost, each says why."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from geotransfer import wiring
from geotransfer.core.fact import RefreshDone
from geotransfer.core.job import Command, Job, JobState
from geotransfer.errors import InputError, JobCancelled
from geotransfer.settings import read_settings
from geotransfer.store.database import SCHEDULES, open_database
from geotransfer.store.workspace import Workspace, open_workspace
from geotransfer.testing.world import World
from geotransfer.worker import work
from geotransfer.workflows.progress import Progress
from geotransfer.workflows.schedule import set_schedule
from tests.workflows.conftest import Mapped, set_up_region

LEASE_S = 2.0
PATIENCE_S = 60

SLOW_WORKER = """
import time
from geotransfer.imagery import scheduler
from geotransfer.wiring import Heartbeat
scheduler.IN_FLIGHT = 1
report = Heartbeat.report
def wait_after_the_first_tile(self, done, planned, message):
    report(self, done, planned, message)
    if done >= 1:
        print("one tile is done", flush=True)
        time.sleep(60)
Heartbeat.report = wait_after_the_first_tile
from geotransfer.cli import main
main()
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """With the real clock: leases are about time that passes."""
    overrides = {
        "workspace": str(tmp_path / "workspace"), "tile_px": 48, "n_threads": 1, "lease_s": LEASE_S,
    }  # fmt: skip
    return open_workspace(read_settings({}, overrides), create=True)


@pytest.fixture
def mapped(workspace: Workspace, world: World, model_bytes: bytes) -> Mapped:
    return set_up_region(workspace, world.targets[0], model_bytes)


StartWorker = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start_worker(workspace: Workspace) -> Iterator[StartWorker]:
    started: list[subprocess.Popen[str]] = []
    environment = {
        **os.environ,
        "GEOTRANSFER_WORKSPACE": str(workspace.folder),
        "GEOTRANSFER_LEASE_S": str(LEASE_S),
        "GEOTRANSFER_N_THREADS": "1",
    }

    def start(*arguments: str, program: tuple[str, ...] = ("-m", "geotransfer")) -> object:
        process = subprocess.Popen(
            [sys.executable, *program, "worker", *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def submit(workspace: Workspace, region_id: str | None, verb: str = "refresh") -> Job:
    return workspace.jobs.submit(Command(verb=verb, region_id=region_id, arguments={}), by="ana")


def wait_for(workspace: Workspace, job: Job, is_it: Callable[[Job], bool]) -> Job:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = workspace.jobs.find(job.job_id)
        if is_it(found):
            return found
        time.sleep(0.05)
    raise AssertionError(f"it never came: {workspace.jobs.find(job.job_id)}")


def test_a_worker_killed_in_the_middle_loses_nothing(
    mapped: Mapped, start_worker: StartWorker
) -> None:
    workspace, region_id = mapped.workspace, mapped.region.region_id
    job = submit(workspace, region_id)
    first = start_worker(program=("-c", SLOW_WORKER))
    assert first.stdout is not None
    assert first.stdout.readline() == "one tile is done\n"
    assert workspace.jobs.claim("impatient") is None, "a living worker keeps its job"
    first.send_signal(signal.SIGKILL)
    first.wait()
    store = workspace.locate_tiles(region_id)
    finished = {p.name: p.stat().st_mtime_ns for p in store.glob("[!.]*.npy")}
    assert finished
    assert workspace.jobs.find(job.job_id).state is JobState.RUNNING

    second = start_worker()
    ended = wait_for(workspace, job, lambda j: j.state.is_terminal)
    second.send_signal(signal.SIGTERM)

    assert ended.state is JobState.DONE, ended.error
    assert ended.attempts == 2
    assert any("taken over by" in line for line in ended.log)
    done = workspace.ledger.read(RefreshDone)
    assert len(done) == 1, "the job was done once"
    assert ended.result is not None
    assert ended.result["map_id"] == done[0].fact.map_id
    assert done[0].fact.n_computed == 4
    assert all((store / name).stat().st_mtime_ns == at for name, at in finished.items())
    assert second.wait(PATIENCE_S) == 0


def test_two_workers_run_a_scheduled_refresh_once_and_again_after_a_silent_week(
    mapped: Mapped, start_worker: StartWorker
) -> None:
    workspace, region_id = mapped.workspace, mapped.region.region_id
    set_schedule(workspace, region_id, "1d", actor="ana")
    workers = [start_worker(), start_worker()]
    job = wait_until(lambda: next(iter(workspace.jobs.list_jobs()), None))
    wait_for(workspace, job, lambda j: j.state is JobState.DONE)
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
        worker.wait()
    assert len(workspace.jobs.list_jobs()) == 1
    ended = workspace.jobs.find(job.job_id)
    assert ended.submitted_by == "schedule"
    assert ended.cpu_s is not None
    assert ended.cpu_s > 0
    # As if nobody had been there for a week: the table says when it was due.
    engine = open_database(f"sqlite:///{workspace.folder / 'ledger.sqlite'}")
    with engine.begin() as connection:
        connection.execute(SCHEDULES.update().values(next_at=SCHEDULES.c.next_at - 7 * 86400))
    start_worker("--until-idle").communicate(timeout=PATIENCE_S)
    assert len(workspace.jobs.list_jobs()) == 2
    assert [r.fact.n_computed for r in workspace.ledger.read(RefreshDone)] == [4, 0]


def wait_until(find: Callable[[], Job | None]) -> Job:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if (found := find()) is not None:
            return found
        time.sleep(0.05)
    raise AssertionError("it never came")


def test_a_running_job_is_cancelled_and_its_worker_goes_on(
    mapped: Mapped, start_worker: StartWorker
) -> None:
    workspace, region_id = mapped.workspace, mapped.region.region_id
    program = SLOW_WORKER.replace("time.sleep(60)", "time.sleep(1)")
    job = submit(workspace, region_id)
    worker = start_worker("--until-idle", program=("-c", program))
    assert worker.stdout is not None
    assert worker.stdout.readline() == "one tile is done\n"
    workspace.jobs.cancel(job.job_id)
    after = submit(workspace, "no-such-region")
    told, errors = worker.communicate(timeout=PATIENCE_S)
    assert worker.returncode == 0, errors
    assert "ran 2 jobs" in told
    ended = workspace.jobs.find(job.job_id)
    assert ended.state is JobState.CANCELLED
    assert ended.error == "cancelled; what was finished is kept and used next time."
    assert workspace.ledger.read(RefreshDone) == [], "no half map"
    assert workspace.jobs.find(after.job_id).state is JobState.FAILED


def test_a_failing_job_ends_with_the_sentence_a_person_reads(workspace: Workspace) -> None:
    job = submit(workspace, "nowhere")
    assert work(workspace, until_idle=True) == 1
    ended = workspace.jobs.find(job.job_id)
    assert ended.state is JobState.FAILED
    assert ended.error == "there is no region 'nowhere'; there are: none yet."
    assert ended.log[-1].endswith(ended.error)


def test_an_unknown_verb_says_the_worker_is_old(workspace: Workspace) -> None:
    job = submit(workspace, None, verb="levitate")
    work(workspace, until_idle=True)
    assert "does not know 'levitate'; update it" in workspace.jobs.find(job.job_id).error


Run = Callable[[Workspace, Command, Progress, str], object]


@pytest.fixture
def use_verb(monkeypatch: pytest.MonkeyPatch) -> Callable[[Run], None]:
    def use(run: Run) -> None:
        monkeypatch.setattr(wiring, "VERBS", {"refresh": run})

    return use


def test_a_fault_of_ours_ends_its_job_and_not_the_worker(
    workspace: Workspace, use_verb: Callable[[Run], None], caplog: pytest.LogCaptureFixture
) -> None:
    ran: list[str] = []

    def run(_workspace: Workspace, command: Command, _report: Progress, _actor: str) -> object:
        ran.append(str(command.region_id))
        if command.region_id == "a":
            raise ZeroDivisionError("division by zero")
        return {"n": 1}

    use_verb(run)
    bad, good = submit(workspace, "a"), submit(workspace, "b")
    assert work(workspace, until_idle=True) == 2
    assert ran == ["a", "b"]
    error = workspace.jobs.find(bad.job_id).error
    assert error.startswith("a fault in GeoTransfer (ZeroDivisionError: division by zero)")
    assert workspace.jobs.find(good.job_id).result == {"n": 1}
    assert "ended by a fault" in caplog.text


def test_a_missing_system_library_is_a_sentence_with_the_remedy(
    workspace: Workspace, use_verb: Callable[[Run], None], caplog: pytest.LogCaptureFixture
) -> None:
    def run(*_: object) -> object:
        raise OSError("libgomp.so.1: cannot open shared object file: No such file or directory")

    use_verb(run)
    job = submit(workspace, "a")
    work(workspace, until_idle=True)
    error = workspace.jobs.find(job.job_id).error
    assert "libgomp.so.1 is missing" in error
    assert "apt-get install libgomp1" in error
    assert "fault" not in error
    assert error in caplog.text
    assert "Traceback" not in caplog.text


def test_the_heartbeat_outlives_the_lease_of_a_long_job(
    workspace: Workspace, use_verb: Callable[[Run], None]
) -> None:
    """A job may be silent for longer than the lease without being taken away."""

    def run(_workspace: Workspace, _command: Command, report: Progress, _actor: str) -> object:
        time.sleep(1.6 * LEASE_S)
        report(1, 2, "half way")
        assert workspace.jobs.claim("thief") is None
        return {}

    use_verb(run)
    job = submit(workspace, "a")
    work(workspace, until_idle=True)
    ended = workspace.jobs.find(job.job_id)
    assert ended.state is JobState.DONE, ended.error
    assert ended.attempts == 1


def test_a_worker_that_lost_its_job_stops_without_ending_it(
    workspace: Workspace, use_verb: Callable[[Run], None]
) -> None:
    went_on: list[int] = []

    def run(_workspace: Workspace, _command: Command, report: Progress, _actor: str) -> object:
        engine = workspace.jobs._engine
        with engine.begin() as connection:
            connection.exec_driver_sql("UPDATE jobs SET worker_id = 'other', lease_until = 9e9")
        report(1, 1, "last")
        went_on.append(1)
        return {}

    use_verb(run)
    job = submit(workspace, "a")
    work(workspace, until_idle=True)
    assert went_on == []
    found = workspace.jobs.find(job.job_id)
    assert (found.state, found.worker_id) == (JobState.RUNNING, "other")


@pytest.mark.parametrize(
    ("error", "state"),
    [(JobCancelled("stopped."), JobState.CANCELLED), (InputError("no."), JobState.FAILED)],
)
def test_an_ended_job_can_be_tried_again(
    workspace: Workspace, use_verb: Callable[[Run], None], error: Exception, state: JobState
) -> None:
    errors = [error]

    def run(*_: object) -> object:
        if errors:
            raise errors.pop()
        return {"n": 2}

    use_verb(run)
    job = submit(workspace, "a")
    work(workspace, until_idle=True)
    assert workspace.jobs.find(job.job_id).state is state
    again = workspace.jobs.retry(job.job_id, by="bo")
    work(workspace, until_idle=True)
    ended = workspace.jobs.find(again.job_id)
    assert (ended.state, ended.submitted_by) == (JobState.DONE, "bo")
    assert workspace.jobs.find(job.job_id).state is state, "the first stays as it ended"


def test_sigterm_stops_an_idle_worker_at_once(
    workspace: Workspace, start_worker: StartWorker
) -> None:
    job = submit(workspace, "nowhere")
    worker = start_worker()
    wait_for(workspace, job, lambda j: j.state.is_terminal)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(10) == 0
    assert worker.stderr is not None
    assert "Traceback" not in worker.stderr.read()
