"""The inbox: a decoded poll batch in, objects, documents and dead letters out, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from operator import attrgetter
from typing import Any

import asyncpg

from consumer.adapters.postgres.database import Conn, Database
from consumer.adapters.postgres.headers import pack_headers
from consumer.adapters.postgres.objects import lock_objects
from consumer.adapters.postgres.planner import Planner
from consumer.adapters.postgres.sql import columns, statements
from consumer.domain.objects import Contribution, Object, ObjectKey, merge
from consumer.domain.pacing import LIVE
from consumer.domain.planning import consumed_notes
from consumer.ports import Incoming, Ingested, Sink, Unstorable

SQL = statements("inbox")


class PostgresInbox:
    """Implements ``Inbox``; what its news change is sent in ``lane``."""

    def __init__(
        self, database: Database, planner: Planner, *, sinks: Sequence[Sink], lane: int = LIVE
    ) -> None:
        self.database = database
        self.planner = planner
        self.sinks = list(sinks)
        self.lane = lane

    async def known(self, digests: Sequence[bytes]) -> set[bytes]:
        """Those that need no decoding: seen before, and not dead."""
        rows = await self.database.fetch(SQL["known"], list(digests))
        return {row["digest"] for row in rows}

    async def ingest(self, batch: Sequence[Incoming]) -> Ingested:
        """Store one batch. Digests must differ within it.

        Raises:
            Unstorable: Postgres refuses some value; halve the batch to find the record.
        """
        try:
            return await self.database.run(lambda conn: self._ingest(conn, batch))
        except (asyncpg.DataError, asyncpg.ProgramLimitExceededError) as error:
            raise Unstorable(type(error).__name__) from error

    async def _ingest(self, conn: Conn, batch: Sequence[Incoming]) -> Ingested:
        rows = await self._store_events(conn, batch)
        told = [_as_stored(one, rows[one.digest]) for one in batch if one.digest in rows]
        events = {digest: row["id"] for digest, row in rows.items()}
        news: dict[ObjectKey, list[tuple[Contribution, Incoming]]] = {}
        for incoming in told:
            for contribution in incoming.event.contributions if incoming.event else ():
                news.setdefault(contribution.key, []).append((contribution, incoming))
        if news:
            await self._merge(conn, news, events)
        merged = sum(1 for one in told if one.event is not None)
        dead = tuple(
            one.error.code
            for one in told
            if one.error is not None and not rows[one.digest]["redriven"]
        )
        return Ingested(merged, len(dead), dead, len(told) - merged - len(dead))

    async def _store_events(
        self, conn: Conn, batch: Sequence[Incoming]
    ) -> dict[bytes, asyncpg.Record]:
        """Rows and raw bytes; returns the rows by digest, without those known meanwhile."""
        ordered = sorted(batch, key=attrgetter("digest"))  # one order: no deadlock between pods
        stored = await conn.fetch(SQL["insert_events"], *columns(map(_event_row, ordered), 14))
        rows = {row["digest"]: row for row in stored}
        fresh = [
            (rows[one.digest]["id"], one)
            for one in ordered
            if one.digest in rows and not rows[one.digest]["redriven"]
        ]
        raw = [
            (id, one.record.key, one.record.value, pack_headers(one.record.headers))
            for id, one in fresh
        ]
        if raw:
            await conn.execute(SQL["insert_raw"], *columns(raw, 4))
        dead = [
            (id, one.error.code, one.error.sentence, one.error.hint)
            for id, one in fresh
            if one.error is not None
        ]
        if dead:
            await conn.execute(SQL["announce_event"], *columns(dead, 4), self.sinks)
        return rows

    async def _merge(
        self,
        conn: Conn,
        news: Mapping[ObjectKey, list[tuple[Contribution, Incoming]]],
        events: Mapping[bytes, int],
    ) -> None:
        said = [c for contributions in news.values() for c, _ in contributions]
        known = await lock_told(conn, said)
        made: dict[int, datetime] = {}
        objects: dict[ObjectKey, Object] = {}
        for key, contributions in news.items():
            merged = known.get(key)
            for contribution, incoming in contributions:
                before, merged = merged, merge(merged, contribution)
                if merged is not before:
                    event_id = events[incoming.digest]
                    made[event_id] = incoming.appended_at
                    merged = replace(merged, event_id=event_id)
            assert merged is not None
            objects[key] = merged
        known |= await lock_consumed(conn, known, objects)
        await self.planner.plan(conn, known, objects, made, lane=self.lane)


async def lock_told(conn: Conn, said: Sequence[Contribution]) -> dict[ObjectKey, Object]:
    """The objects that these tell of, with all that planning them looks at."""
    others = {ObjectKey("invoice", id) for c in said for id in c.invoice_ids}
    others |= {ObjectKey("customer", c.customer_id) for c in said if c.customer_id}
    return await lock_objects(conn, {c.key for c in said}, others)


async def lock_consumed(
    conn: Conn, known: Mapping[ObjectKey, Object], objects: Mapping[ObjectKey, Object]
) -> dict[ObjectKey, Object]:
    """The notes that these objects consume by now, with what planning looks at."""
    notes = consumed_notes(objects.values()) - known.keys() - objects.keys()
    return await lock_objects(conn, (), notes) if notes else {}


def _event_row(incoming: Incoming) -> tuple[Any, ...]:
    record, event, error = incoming.record, incoming.event, incoming.error
    return (
        incoming.digest,
        incoming.lago_key,
        event.organization_id if event else None,
        event.type if event else None,
        event.key.kind if event else None,
        event.key.lago_id if event else None,
        "merged" if event else "dead",
        error.code if error else None,
        error.sentence if error else None,
        error.hint if error else None,
        record.topic,
        record.partition,
        record.offset,
        incoming.appended_at,
    )


def _as_stored(incoming: Incoming, row: asyncpg.Record) -> Incoming:
    """A dead event that came again is as old as it was: else it would outrank what came since."""
    return incoming.as_of(row["appended_at"]) if row["redriven"] else incoming
