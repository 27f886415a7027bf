"""The job queue: submit, claim with a lease, report, cancel, retry."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from geotransfer.core.decode import from_plain
from geotransfer.core.identity import canonical_json
from geotransfer.core.job import Command, Job, JobState
from geotransfer.errors import InputError, JobLost, NotFound
from geotransfer.store.database import JOBS, hold_writing
from geotransfer.store.ledger import Clock, format_time

LOG_LINES = 200
MAX_ATTEMPTS = 5
"""A job whose worker died this often is failed instead of taking down one more."""


class JobQueue:
    """Jobs shared by every process of a workspace."""

    def __init__(self, engine: sa.Engine, clock: Clock, lease_s: float) -> None:
        self._engine = engine
        self._clock = clock
        self._lease_s = lease_s

    def submit(self, command: Command, *, by: str) -> Job:
        """Queue a command; one that is queued or running in the same words is returned instead."""
        text = canonical_json(command).decode()
        with self._engine.connect() as connection, hold_writing(connection):
            job_id = insert_job(connection, text, self._clock(), by=by)
        return self.find(job_id)

    def claim(self, worker_id: str, *, job_id: str | None = None) -> Job | None:
        """Take the oldest queued job, or one whose worker has gone silent; None without any.

        With ``job_id`` only that job is taken.

        A region's jobs run one at a time, so that two never write the same map.
        """
        now = self._clock()
        stamp = now.timestamp()
        with self._engine.connect() as connection, hold_writing(connection):
            rows = connection.execute(
                sa.select(JOBS)
                .where(JOBS.c.state.in_((JobState.QUEUED.value, JobState.RUNNING.value)))
                .order_by(JOBS.c.position)
            ).all()
            busy = {
                json.loads(row.command)["region_id"]
                for row in rows
                if row.state == JobState.RUNNING.value and row.lease_until > stamp
            } - {None}
            for row in rows:
                is_running = row.state == JobState.RUNNING.value
                if is_running and row.lease_until > stamp:
                    continue
                if json.loads(row.command)["region_id"] in busy:
                    continue
                if job_id is not None and row.job_id != job_id:
                    continue
                if row.is_cancel_requested:
                    self._end(connection, row.job_id, JobState.CANCELLED)
                    continue
                if row.attempts >= MAX_ATTEMPTS:
                    self._end(
                        connection,
                        row.job_id,
                        JobState.FAILED,
                        error=f"{MAX_ATTEMPTS} workers died while running it; look at the log,"
                        " then retry.",
                    )
                    continue
                line = f"taken over by {worker_id}" if is_running else f"started by {worker_id}"
                connection.execute(
                    sa.update(JOBS)
                    .where(JOBS.c.job_id == row.job_id)
                    .values(
                        state=JobState.RUNNING.value,
                        worker_id=worker_id,
                        lease_until=stamp + self._lease_s,
                        attempts=row.attempts + 1,
                        started_at=row.started_at or format_time(now),
                        log=_add_line(row.log, now, line),
                    )
                )
                claimed = row.job_id
                break
            else:
                return None
        return self.find(claimed)

    def report(
        self,
        job_id: str,
        worker_id: str,
        *,
        done: int | None = None,
        planned: int | None = None,
        message: str | None = None,
        more_cpu_s: float = 0.0,
    ) -> bool:
        """Prolong the lease and note progress; return whether a cancel was asked for.

        ``more_cpu_s`` is what the worker used since its last report; a job's total outlives it.

        Raises
        ------
        JobLost
            Another worker has the job now, or it has ended.
        """
        now = self._clock()
        with self._engine.connect() as connection, hold_writing(connection):
            row = connection.execute(sa.select(JOBS).where(JOBS.c.job_id == job_id)).one()
            if row.state != JobState.RUNNING.value or row.worker_id != worker_id:
                raise JobLost(f"job {job_id} is no longer this worker's; it stops here.")
            values: dict[str, object] = {"lease_until": now.timestamp() + self._lease_s}
            if done is not None:
                values["done"] = done
            if planned is not None:
                values["planned"] = planned
            if more_cpu_s:
                values["cpu_s"] = (row.cpu_s or 0.0) + more_cpu_s
            if message is not None and message != row.message:
                values["message"] = message
                values["log"] = _add_line(row.log, now, message)
            connection.execute(sa.update(JOBS).where(JOBS.c.job_id == job_id).values(values))
            return bool(row.is_cancel_requested)

    def finish(self, job_id: str, worker_id: str, result: Mapping[str, object]) -> None:
        """End a job well."""
        with self._engine.connect() as connection, hold_writing(connection):
            self._check_owner(connection, job_id, worker_id)
            self._end(connection, job_id, JobState.DONE, result=result)

    def fail(self, job_id: str, worker_id: str, error: str, *, cancelled: bool = False) -> None:
        """End a job badly, with the sentence a person reads."""
        with self._engine.connect() as connection, hold_writing(connection):
            self._check_owner(connection, job_id, worker_id)
            state = JobState.CANCELLED if cancelled else JobState.FAILED
            self._end(connection, job_id, state, error=error)

    def release(self, job_id: str, worker_id: str) -> None:
        """Give a job back at once: nobody waits out the lease of a worker told to stop."""
        now = self._clock()
        with self._engine.connect() as connection, hold_writing(connection):
            row = self._check_owner(connection, job_id, worker_id)
            connection.execute(
                sa.update(JOBS)
                .where(JOBS.c.job_id == job_id)
                .values(
                    state=JobState.QUEUED.value,
                    worker_id=None,
                    attempts=row.attempts - 1,
                    log=_add_line(row.log, now, f"given back by {worker_id}, which was stopped"),
                )
            )

    def cancel(self, job_id: str) -> Job:
        """Ask a job to stop; one that waits is cancelled at once."""
        job = self.find(job_id)
        if job.state.is_terminal:
            raise InputError(f"job {job_id} has already ended ({job.state}); nothing to cancel.")
        with self._engine.connect() as connection, hold_writing(connection):
            connection.execute(
                sa.update(JOBS).where(JOBS.c.job_id == job_id).values(is_cancel_requested=True)
            )
            row = connection.execute(sa.select(JOBS).where(JOBS.c.job_id == job_id)).one()
            if row.state == JobState.QUEUED.value:
                self._end(connection, job_id, JobState.CANCELLED)
        return self.find(job_id)

    def retry(self, job_id: str, *, by: str) -> Job:
        """Queue an ended job's command again, as a new job."""
        job = self.find(job_id)
        if not job.state.is_terminal:
            raise InputError(f"job {job_id} is {job.state}; cancel it before a retry.")
        return self.submit(job.command, by=by)

    def find(self, job_id: str) -> Job:
        """Return one job."""
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(JOBS).where(JOBS.c.job_id == job_id)).one_or_none()
        if row is None:
            raise NotFound(f"there is no job {job_id!r}; `geotransfer jobs` lists them.")
        return _parse_job(row)

    def list_jobs(self, *, region_id: str | None = None, limit: int = 200) -> list[Job]:
        """Return the newest jobs first."""
        query = sa.select(JOBS).order_by(JOBS.c.position.desc()).limit(limit)
        with self._engine.connect() as connection:
            jobs = [_parse_job(row) for row in connection.execute(query)]
        return [job for job in jobs if region_id is None or job.command.region_id == region_id]

    def _check_owner(self, connection: sa.Connection, job_id: str, worker_id: str) -> sa.Row[Any]:
        """Return a worker's job as it is stored, or raise ``JobLost``."""
        row = connection.execute(sa.select(JOBS).where(JOBS.c.job_id == job_id)).one()
        if row.state != JobState.RUNNING.value or row.worker_id != worker_id:
            raise JobLost(f"job {job_id} is no longer this worker's; its result is left out.")
        return row

    def _end(
        self,
        connection: sa.Connection,
        job_id: str,
        state: JobState,
        *,
        error: str = "",
        result: Mapping[str, object] | None = None,
    ) -> None:
        now = self._clock()
        row = connection.execute(sa.select(JOBS).where(JOBS.c.job_id == job_id)).one()
        connection.execute(
            sa.update(JOBS)
            .where(JOBS.c.job_id == job_id)
            .values(
                state=state.value,
                ended_at=format_time(now),
                error=error,
                result=None if result is None else canonical_json(result).decode(),
                log=_add_line(row.log, now, error or state.value),
            )
        )


def insert_job(connection: sa.Connection, text: str, now: datetime, *, by: str) -> str:
    """Queue a command (its canonical JSON) while holding the writer's place; return the job's id.

    One that is queued or running in the same words is that job.
    """
    twin = connection.execute(
        sa.select(JOBS.c.job_id).where(
            JOBS.c.command == text,
            JOBS.c.state.in_((JobState.QUEUED.value, JobState.RUNNING.value)),
            JOBS.c.is_cancel_requested.is_(False),
        )
    ).scalar()
    if twin is not None:
        return str(twin)
    job_id = f"j{uuid.uuid4().hex[:12]}"
    connection.execute(
        sa.insert(JOBS).values(
            job_id=job_id,
            position=int(now.timestamp() * 1e6),
            state=JobState.QUEUED.value,
            command=text,
            submitted_at=format_time(now),
            submitted_by=by,
        )
    )
    return job_id


def _add_line(log: str, at: datetime, line: str) -> str:
    lines = [*json.loads(log), f"{at.astimezone(UTC):%H:%M:%S} {line}"]
    return json.dumps(lines[-LOG_LINES:], ensure_ascii=False)


def _parse_job(row: sa.Row[tuple[object, ...]]) -> Job:
    plain = dict(row._mapping)
    plain["command"] = json.loads(plain["command"])
    plain["log"] = json.loads(plain["log"])
    plain["result"] = None if plain["result"] is None else json.loads(plain["result"])
    plain["is_cancel_requested"] = bool(plain["is_cancel_requested"])
    return from_plain(Job, plain)


def parse_command(text: str) -> Command:
    """Rebuild a command from its JSON."""
    return from_plain(Command, json.loads(text))
