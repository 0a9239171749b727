"""Replaying: what a range of a topic tells in; what the ledger has of it, and would make of it, out.

A trial is a transaction that is always rolled back: it plans for real, on the ledger as it is, and holds its
rows no longer than ingesting the same objects would.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from pydantic_core import from_json, to_json

from consumer.adapters.postgres.database import Conn, Database
from consumer.adapters.postgres.inbox import lock_consumed, lock_told
from consumer.adapters.postgres.objects import object_of_row
from consumer.adapters.postgres.planner import Planner
from consumer.adapters.postgres.snapshots import load_snapshot
from consumer.adapters.postgres.sql import columns, statements
from consumer.domain import causes
from consumer.domain.errors import Halt
from consumer.domain.mapping import Connection
from consumer.domain.objects import Contribution, Object, ObjectKey, merge
from consumer.domain.operations import DocumentKind, Step
from consumer.domain.replays import Place

SQL = statements("replaying")

_OTHERS = (causes.DOCUMENT, "contact:", "invoice:", "credit_note:")
"""Begin the causes of what goes out once another document has."""


@dataclass(frozen=True, slots=True)
class Standing:
    """An event that the ledger knows. ``appended_at`` is when Kafka first got it."""

    dead: bool
    appended_at: datetime


@dataclass(frozen=True, slots=True)
class Changed:
    """A document that would not stay as it is."""

    identity: tuple[int | None, DocumentKind, UUID, str, UUID | None]
    """Connection, kind, Lago id, part and target."""
    number: str | None
    tenant_id: UUID | None
    step: Step
    sent: bool
    """Whether Xero would be called for it: not while it waits for news of Lago's, or is left out."""

    @property
    def kind(self) -> DocumentKind:
        """What it is."""
        return self.identity[1]


@dataclass(frozen=True, slots=True)
class Job:
    """A replay as far as it has come. Positions are offsets by partition, the next to be read."""

    id: int
    args: Mapping[str, Any]
    positions: Mapping[int, int]
    counts: Mapping[str, int]
    ended: bool


class _Undone(Exception):
    """Ends a trial; carries what it has shown."""

    def __init__(self, planned: set[tuple[str, UUID]], rows: Sequence[asyncpg.Record]) -> None:
        super().__init__("rolled back")
        self.planned = planned
        self.rows = rows


class PostgresReplaying:
    """The ledger's side of a replay."""

    def __init__(self, database: Database, planner: Planner) -> None:
        self.database = database
        self.planner = planner

    async def connection(self, code: str) -> int:
        """The connection of that code.

        Raises:
            Halt: ``not_found``.
        """
        rows = await self.database.fetch(SQL["connection"], code)
        if not rows:
            hint = "lago-xero connections lists them"
            raise Halt("not_found", f"There is no connection {code}.", hint)
        return int(rows[0]["id"])

    async def connections(self) -> Mapping[int, Connection]:
        """All of them by id."""
        return (await self.database.run(load_snapshot)).connections

    async def standing(self, digests: Collection[bytes]) -> Mapping[bytes, Standing]:
        """The events among these that the ledger knows."""
        rows = await self.database.fetch(SQL["standing"], list(digests))
        return {
            row["digest"]: Standing(row["outcome"] == "dead", row["appended_at"]) for row in rows
        }

    async def places(self, keys: Collection[ObjectKey]) -> Mapping[ObjectKey, Place]:
        """Where these belong, of those that have a row."""
        rows = await self.database.fetch(SQL["homes"], *columns(sorted(keys), 2))
        return {
            ObjectKey(row["kind"], row["lago_id"]): Place(row["customer_id"], row["connection_id"])
            for row in rows
        }

    async def objects(self, keys: Collection[ObjectKey]) -> Mapping[ObjectKey, Object]:
        """As they are now; nothing is locked."""
        rows = await self.database.fetch(SQL["objects"], *columns(sorted(keys), 2))
        return {one.key: one for one in map(object_of_row, rows)}

    async def trial(self, told: Sequence[Contribution]) -> Sequence[Changed]:
        """The documents that would change if all of this were told now, and theirs planned anew.

        Args:
            told: at most one of each object.

        Raises:
            Unstorable or what planning stumbles over: halve it to find the object.
        """
        try:
            await self.database.run(lambda conn: self._try(conn, told))
        except _Undone as undone:
            before = await self._documents(undone.planned)
            return _changed(before, undone.rows)
        raise AssertionError("a trial is always rolled back")

    async def _try(self, conn: Conn, told: Sequence[Contribution]) -> None:
        known = await lock_told(conn, told)
        objects = {one.key: merge(known.get(one.key), one) for one in told}
        known |= await lock_consumed(conn, known, objects)
        plans = await self.planner.plan(conn, known, objects, {})
        planned = {(plan.kind, plan.lago_id) for plan in plans}
        rows = await conn.fetch(SQL["documents"], *columns(sorted(planned), 2))
        raise _Undone({*planned}, rows)

    async def _documents(self, planned: Collection[tuple[str, UUID]]) -> Sequence[asyncpg.Record]:
        return await self.database.fetch(SQL["documents"], *columns(sorted(planned), 2))

    async def begin(self, args: Mapping[str, Any], *, who: str, reason: str | None) -> int:
        """A new job; audited. Returns its id."""
        subject, text = f"topic {args['topic']}", to_json(args).decode()
        rows = await self.database.fetch(SQL["begin"], who, subject, reason, text)
        return int(rows[0]["id"])

    async def resume(self, id: int, *, who: str, reason: str | None) -> Job:
        """The job of that id; audited.

        Raises:
            Halt: ``not_found``.
        """
        rows = await self.database.fetch(SQL["job"], id)
        if not rows:
            raise Halt("not_found", f"There is no replay {id}.", "replay --apply tells its number")
        [row] = rows
        await self.database.execute(SQL["resumed"], who, f"job {id}", reason)
        positions = {int(n): at for n, at in from_json(row["cursor"]).items()}
        result = from_json(row["result"])
        return Job(id, from_json(row["args"]), positions, result, row["ended_at"] is not None)

    async def advance(
        self, id: int, positions: Mapping[int, int], counts: Mapping[str, int]
    ) -> None:
        """All before these positions is in the ledger."""
        await self.database.execute(
            SQL["advance"], id, to_json(positions).decode(), to_json(counts).decode()
        )

    async def end(self, id: int) -> None:
        """Nothing is left of it."""
        await self.database.execute(SQL["end"], id)


def _changed(
    before: Sequence[asyncpg.Record], after: Sequence[asyncpg.Record]
) -> Sequence[Changed]:
    was = {row["id"]: row for row in before}
    return [_one(row) for row in after if _differs(was.get(row["id"]), row)]


def _differs(was: asyncpg.Record | None, row: asyncpg.Record) -> bool:
    """Whether it is to be something else, or moves; not, whether it waits for something else. What is left
    out from the beginning is none."""
    if was is None:
        return bool(row["state"] != "skipped")
    return any(was[name] != row[name] for name in ("wanted", "state", "connection_id", "xero_id"))


def _one(row: asyncpg.Record) -> Changed:
    cause = row["cause"]
    moves = row["state"] == "ready" or (
        row["state"] == "waiting" and cause is not None and cause.startswith(_OTHERS)
    )
    identity = row["connection_id"], row["kind"], row["lago_id"], row["part"], row["target"]
    sent = moves and row["tenant_id"] is not None
    return Changed(identity, row["number"], row["tenant_id"], row["step"], sent)
