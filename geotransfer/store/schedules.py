"""Schedules shared by every process of a workspace; workers turn what is due into jobs."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import sqlalchemy as sa

from geotransfer.core.identity import canonical_json
from geotransfer.core.job import Command
from geotransfer.core.schedule import Schedule
from geotransfer.store.database import SCHEDULES, hold_writing
from geotransfer.store.jobs import insert_job, parse_command
from geotransfer.store.ledger import Clock, format_time

ACTOR = "schedule"
"""Who submits a scheduled job."""


class ScheduleBook:
    """One row a command: how often, and when next."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def put(self, command: Command, *, every_s: int, by: str) -> Schedule:
        """Schedule a command, due at once and then every ``every_s`` seconds.

        A command that is scheduled already gets the new interval, and keeps its next time if that
        comes sooner.
        """
        now = self._clock()
        text = canonical_json(command).decode()
        with self._engine.connect() as connection, hold_writing(connection):
            found = connection.execute(
                sa.select(SCHEDULES).where(SCHEDULES.c.command == text)
            ).one_or_none()
            values = {"every_s": every_s, "set_at": format_time(now), "set_by": by}
            if found is None:
                first = {"command": text, "next_at": now.timestamp()}
                connection.execute(sa.insert(SCHEDULES).values({**first, **values}))
            else:
                next_at = min(found.next_at, now.timestamp() + every_s)
                connection.execute(
                    sa.update(SCHEDULES)
                    .where(SCHEDULES.c.command == text)
                    .values({**values, "next_at": next_at})
                )
        return next(s for s in self.list_all() if s.command == command)

    def remove(self, command: Command) -> bool:
        """Stop a schedule; return whether there was one. Jobs it became already go on."""
        text = canonical_json(command).decode()
        with self._engine.connect() as connection, hold_writing(connection):
            done = connection.execute(sa.delete(SCHEDULES).where(SCHEDULES.c.command == text))
            return bool(done.rowcount)

    def list_all(self) -> list[Schedule]:
        """Return every schedule, the next due first."""
        query = sa.select(SCHEDULES).order_by(SCHEDULES.c.next_at, SCHEDULES.c.command)
        with self._engine.connect() as connection:
            return [
                Schedule(
                    command=parse_command(row.command),
                    every_s=row.every_s,
                    next_at=format_time(datetime.fromtimestamp(row.next_at, UTC)),
                    set_at=row.set_at,
                    set_by=row.set_by,
                    last_job_id=row.last_job_id,
                )
                for row in connection.execute(query)
            ]

    def submit_due(self) -> list[str]:
        """Queue a job for each schedule that is due; return the ids of the jobs.

        Job and next time are written in one transaction, so a run is queued once however many
        workers look, and survives any of them. Runs missed while no worker was there collapse into
        one. Where the same job still waits or runs, no second one is queued.
        """
        now = self._clock()
        stamp = now.timestamp()
        is_due = SCHEDULES.c.next_at <= stamp
        with self._engine.connect() as connection:
            if connection.execute(sa.select(SCHEDULES.c.command).where(is_due)).first() is None:
                return []
        jobs = []
        with self._engine.connect() as connection, hold_writing(connection):
            for row in connection.execute(sa.select(SCHEDULES).where(is_due)).all():
                job_id = insert_job(connection, row.command, now, by=ACTOR)
                n_passed = math.floor((stamp - row.next_at) / row.every_s) + 1
                connection.execute(
                    sa.update(SCHEDULES)
                    .where(SCHEDULES.c.command == row.command)
                    .values(next_at=row.next_at + n_passed * row.every_s, last_job_id=job_id)
                )
                jobs.append(job_id)
        return jobs
