"""The database under ledger and jobs: SQLite by default, PostgreSQL by URL."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

METADATA = sa.MetaData()

FACTS = sa.Table(
    "facts",
    METADATA,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("actor", sa.String(200), nullable=False),
    sa.Column("kind", sa.String(60), nullable=False),
    sa.Column("region_id", sa.String(100), nullable=True),
    sa.Column("body", sa.Text, nullable=False),
    sa.Index("facts_by_kind_region", "kind", "region_id", "seq"),
    sqlite_autoincrement=True,
)

JOBS = sa.Table(
    "jobs",
    METADATA,
    sa.Column("job_id", sa.String(40), primary_key=True),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("command", sa.Text, nullable=False),
    sa.Column("submitted_at", sa.String(40), nullable=False),
    sa.Column("submitted_by", sa.String(200), nullable=False),
    sa.Column("started_at", sa.String(40)),
    sa.Column("ended_at", sa.String(40)),
    sa.Column("worker_id", sa.String(100)),
    sa.Column("lease_until", sa.Float),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("done", sa.Integer, nullable=False, default=0),
    sa.Column("planned", sa.Integer, nullable=False, default=0),
    sa.Column("message", sa.Text, nullable=False, default=""),
    sa.Column("log", sa.Text, nullable=False, default="[]"),
    sa.Column("is_cancel_requested", sa.Boolean, nullable=False, default=False),
    sa.Column("error", sa.Text, nullable=False, default=""),
    sa.Column("result", sa.Text),
    sa.Column("cpu_s", sa.Float),
    sa.Index("jobs_by_state", "state", "position"),
)

SCHEDULES = sa.Table(
    "schedules",
    METADATA,
    sa.Column("command", sa.String(2000), primary_key=True),
    sa.Column("every_s", sa.Integer, nullable=False),
    sa.Column("next_at", sa.Float, nullable=False),
    sa.Column("set_at", sa.String(40), nullable=False),
    sa.Column("set_by", sa.String(200), nullable=False),
    sa.Column("last_job_id", sa.String(40)),
)


def open_database(url: str) -> sa.Engine:
    """Open the database and create what is missing."""
    engine = sa.create_engine(url)
    if engine.dialect.name == "sqlite":
        # Several processes share the file: wait for each other instead of failing, and let
        # readers go on while one writes.
        @sa.event.listens_for(engine, "connect")
        def _set_pragmas(connection: Any, _record: Any) -> None:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA busy_timeout=30000")
            connection.execute("PRAGMA synchronous=FULL")
            # Transactions begin as writers (below): no upgrade from reader to writer can fail.
            connection.isolation_level = None

    METADATA.create_all(engine)
    _add_columns(engine)
    return engine


def _add_columns(engine: sa.Engine) -> None:
    """Give the tables of an older version the columns that came later; they hold no value yet."""
    for table in METADATA.sorted_tables:
        missing = _list_missing(engine, table)
        if not missing:
            continue
        with engine.connect() as connection, hold_writing(connection):
            # Another process may have been here while this one waited.
            for column in _list_missing(connection, table):
                kind = column.type.compile(engine.dialect)
                change = f"ALTER TABLE {table.name} ADD COLUMN {column.name} {kind}"
                connection.execute(sa.text(change))


def _list_missing(bind: sa.Engine | sa.Connection, table: sa.Table) -> list[sa.Column[Any]]:
    found = {column["name"] for column in sa.inspect(bind).get_columns(table.name)}
    return [column for column in table.columns if column.name not in found]


@contextlib.contextmanager
def hold_writing(connection: sa.Connection) -> Iterator[None]:
    """Take the writer's place before reading what the write depends on; commit at the end."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(sa.text("LOCK TABLE facts, jobs IN SHARE ROW EXCLUSIVE MODE"))
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()
