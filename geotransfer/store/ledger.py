"""The ledger: an append-only list of facts."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TypeVar

import sqlalchemy as sa

from geotransfer.core.decode import from_plain
from geotransfer.core.fact import FACTS as FACT_KINDS
from geotransfer.core.fact import Fact, Recorded
from geotransfer.core.identity import canonical_json
from geotransfer.errors import StoreError
from geotransfer.store.database import FACTS, hold_writing

Clock = Callable[[], datetime]
F = TypeVar("F", bound=Fact)


def format_time(moment: datetime) -> str:
    """Return ISO 8601 in UTC with milliseconds; such strings sort as times do."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


class Ledger:
    """Facts in the order they happened. Nothing is ever changed or removed."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def append(self, *facts: Fact, actor: str) -> int:
        """Append facts in one transaction and return the last one's place."""
        with self.writing() as write:
            return write(facts, actor)

    @contextlib.contextmanager
    def writing(self) -> Iterator[Callable[[tuple[Fact, ...], str], int]]:
        """Hold the writer's place: read what a decision depends on, then append, undisturbed."""
        with self._engine.connect() as connection, hold_writing(connection):

            def write(facts: tuple[Fact, ...], actor: str) -> int:
                at = format_time(self._clock())
                seq = 0
                for fact in facts:
                    row = {
                        "at": at,
                        "actor": actor,
                        "kind": fact.kind,
                        "region_id": fact.region_id,
                        "body": canonical_json(fact).decode(),
                    }
                    result = connection.execute(sa.insert(FACTS).values(row))
                    seq = int(result.inserted_primary_key[0])  # type: ignore[index]  # one row
                return seq

            yield write

    def read(
        self,
        kind: type[F],
        *,
        region_id: str | None = None,
        until: datetime | None = None,
    ) -> list[Recorded[F]]:
        """Return the facts of one kind, oldest first, optionally of one region or up to a time."""
        query = sa.select(FACTS).where(FACTS.c.kind == kind.kind).order_by(FACTS.c.seq)
        return self._fetch(_narrow(query, region_id, until))  # type: ignore[return-value]  # kind was asked for

    def read_last(
        self, kind: type[F], *, region_id: str | None = None, until: datetime | None = None
    ) -> F | None:
        """Return the newest fact of a kind, or None."""
        query = sa.select(FACTS).where(FACTS.c.kind == kind.kind).order_by(FACTS.c.seq.desc())
        rows = self._fetch(_narrow(query, region_id, until).limit(1))
        return rows[0].fact if rows else None  # type: ignore[return-value]  # kind was asked for

    def read_all(
        self, *, region_id: str | None = None, until: datetime | None = None, limit: int = 1000
    ) -> list[Recorded[Fact]]:
        """Return the newest ``limit`` facts of every kind, oldest first."""
        query = sa.select(FACTS).order_by(FACTS.c.seq.desc())
        return self._fetch(_narrow(query, region_id, until).limit(limit))[::-1]

    def count(self) -> int:
        """Return the place of the newest fact, 0 for none: it changes when anything happened."""
        with self._engine.connect() as connection:
            return connection.execute(sa.select(sa.func.max(FACTS.c.seq))).scalar() or 0

    def _fetch(self, query: sa.Select[tuple[object, ...]]) -> list[Recorded[Fact]]:
        with self._engine.connect() as connection:
            return [_parse_row(row) for row in connection.execute(query)]


def _narrow(
    query: sa.Select[tuple[object, ...]], region_id: str | None, until: datetime | None
) -> sa.Select[tuple[object, ...]]:
    if region_id is not None:
        query = query.where(FACTS.c.region_id == region_id)
    if until is not None:
        query = query.where(FACTS.c.at <= format_time(until))
    return query


def _parse_row(row: sa.Row[tuple[object, ...]]) -> Recorded[Fact]:
    kind = FACT_KINDS.get(row.kind)
    if kind is None:
        raise StoreError(
            f"fact {row.seq} is of the unknown kind {row.kind!r}; update the product to read it."
        )
    fact = from_plain(kind, json.loads(row.body))
    return Recorded(seq=row.seq, at=row.at, actor=row.actor, fact=fact)
