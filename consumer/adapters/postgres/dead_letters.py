"""Dead letters: a choice of failed documents and dead events in; lists, and their last word, out.

Postgres is the source of truth; the dead-letter topic has a copy of each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import asyncpg

from consumer.adapters.postgres.database import Conn, Database
from consumer.adapters.postgres.headers import unpack_headers
from consumer.adapters.postgres.retrying import Which
from consumer.adapters.postgres.sql import statements
from consumer.domain import causes
from consumer.ports import Record
from consumer.ports.kafka import EPOCH

SQL = statements("dead_letters")
LEDGER = statements("ledger")

Row = dict[str, Any]
PAGE = 500


@dataclass(frozen=True, slots=True)
class Events:
    """Dead events that every given filter lets through; they came not before ``since`` and before
    ``until``."""

    ids: Sequence[int] | None = None
    code: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Letters:
    """Failed documents and dead events; None means none of them."""

    documents: Which | None
    events: Events | None


async def each(database: Database, letters: Letters, limit: int) -> list[Row]:
    """The newest of either, the newest first."""
    rows: list[Row] = []
    for name, which in _parts(letters):
        found = await database.fetch(SQL[name], *astuple(which), limit)
        rows += [dict(row) for row in found]
    return sorted(rows, key=lambda row: row["at"] or EPOCH, reverse=True)[:limit]


async def groups(database: Database, letters: Letters) -> list[Row]:
    """By what mends them, the most first, each with its newest example and what is said of that."""
    rows: list[Row] = []
    for name, which in _parts(letters):
        found = await database.fetch(SQL[f"{name[:-1]}_groups"], *astuple(which))
        newest = [row["newest"] for row in found]
        said = {r["id"]: r for r in await database.fetch(SQL[f"said_of_{name}"], newest)}
        prefix = "doc" if name == "documents" else "event"
        for row in found:
            about = said.get(row["newest"])
            told = {n: about[n] if about is not None else None for n in ("said", "hint")}
            rows.append({**row, "newest": f"{prefix}:{row['newest']}", **told})
    return sorted(rows, key=lambda row: row["count"], reverse=True)


def _parts(letters: Letters) -> list[tuple[str, Which | Events]]:
    parts = [("documents", letters.documents), ("events", letters.events)]
    return [(name, which) for name, which in parts if which is not None]


async def event(database: Database, id: int) -> Row | None:
    """A dead or discarded event without its contents; None if there is no such one."""
    rows = await database.fetch(SQL["event"], id)
    return dict(rows[0]) if rows else None


async def count_events(database: Database, which: Events) -> dict[str, int]:
    """How many dead ones there are, by code."""
    rows = await database.fetch(SQL["count_events"], *astuple(which))
    return {row["code"]: row["count"] for row in rows}


async def looping_events(database: Database, which: Events, times: int) -> list[Row]:
    """Those that were dead for the same reason so many times in a row."""
    rows = await database.fetch(SQL["looping_events"], *astuple(which), times)
    return [dict(row) for row in rows]


async def records(
    database: Database,
    which: Events,
    *,
    who: str,
    reason: str | None,
    page: int = PAGE,
    most: int | None = None,
) -> AsyncIterator[tuple[Sequence[int], Sequence[Record]]]:
    """Dead events as Kafka gave them, to be ingested again, a page at a time, each audited.

    With ``most``, those are left out that were dead for the same reason so many times in a row.
    """
    after = 0
    if which.ids is not None:
        await database.execute(SQL["take_up"], list(which.ids))
    while rows := await database.fetch(SQL["records"], *astuple(which), after, page, most):
        ids = [row["id"] for row in rows]
        subject = f"events {', '.join(map(str, ids))}"
        await database.execute(SQL["audit"], who, "redrive", subject, reason)
        yield ids, [_record(row) for row in rows]
        after = ids[-1]


def _record(row: asyncpg.Record) -> Record:
    appended = (row["appended_at"] - EPOCH) // timedelta(milliseconds=1)
    place = row["topic"], row["partition"], row["offset"]
    return Record(*place, appended, row["key"], row["value"], unpack_headers(row["headers"]))


async def still_dead(database: Database, ids: Sequence[int]) -> dict[str, int]:
    """How many of these events are, by code."""
    rows = await database.fetch(SQL["still_dead"], list(ids))
    return {row["code"]: row["count"] for row in rows}


async def discard(
    database: Database, letters: Letters, *, who: str, reason: str, page: int = PAGE
) -> AsyncIterator[Mapping[str, int]]:
    """Set them aside for good, a transaction each page, each audited; yields how many of each code.

    Planning leaves such a document alone until Lago asks for something else of it. What waits for one
    that is not in Xero is left out with it.
    """
    for name, which in _parts(letters):
        discarded = partial(_discard, name=name, which=which, who=who, reason=reason, page=page)
        after = 0
        while rows := await database.run(partial(discarded, after=after)):
            yield Counter(row["code"] for row in rows)
            after = rows[-1]["id"]


async def _discard(
    conn: Conn, *, name: str, which: Which | Events, after: int, page: int, who: str, reason: str
) -> list[asyncpg.Record]:
    rows = await conn.fetch(SQL[f"page_of_{name}"], *astuple(which), after, page)
    if rows:
        ids = [row["id"] for row in rows]
        subject = f"{name} {', '.join(map(str, ids))}"
        audit = await conn.fetchval(SQL["audit"], who, "discard", subject, reason)
        if name == "documents":
            await conn.execute(SQL["discard_documents"], ids, causes.ignored(audit))
            await conn.execute(LEDGER["release_waiting"], ids)
        else:
            await conn.execute(SQL["discard_events"], ids)
    return rows


async def aside(database: Database, cause: str) -> Row | None:
    """Who has set aside what has this cause, ``since`` when, and his ``reason``; None if nobody has."""
    if not causes.is_ignored(cause):
        return None
    rows = await database.fetch(SQL["aside"], int(cause.removeprefix(causes.IGNORED)))
    return dict(rows[0]) if rows else None
