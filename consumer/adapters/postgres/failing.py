"""Documents and why they fail in, rows that say so, announcements and findings out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from pydantic_core import to_json

from consumer.adapters.postgres.database import Conn
from consumer.adapters.postgres.sql import columns, statements
from consumer.domain.errors import ConsumerError
from consumer.ports import Sink

SQL = statements("ledger")


async def fail_documents(
    conn: Conn,
    ids: Sequence[int],
    errors: Sequence[ConsumerError],
    causes: Sequence[str | None],
    sinks: Sequence[Sink],
) -> None:
    """Mark the documents as failed, each with its error and cause, and announce them."""
    said = columns([(e.code, e.sentence, e.hint) for e in errors], 3)
    await conn.execute(SQL["fail_documents"], ids, *said, causes)
    await announce_documents(conn, ids, errors, sinks)


async def put_back(conn: Conn, ids: Sequence[int]) -> None:
    """Have planned again what was taken off the invoices among them: they were not voided."""
    taken_off = [row["id"] for row in await conn.fetch(SQL["taken_off"], ids)]
    if taken_off:
        await conn.execute(SQL["plan_again"], taken_off)


async def announce_documents(
    conn: Conn, ids: Sequence[int], errors: Sequence[ConsumerError], sinks: Sequence[Sink]
) -> None:
    """Announce an error of each document, whatever its state."""
    said = columns([(type(e).__name__, e.code, e.sentence, e.hint) for e in errors], 4)
    await conn.execute(SQL["announce_documents"], ids, *said, sinks)


async def find(
    conn: Conn, found: Sequence[tuple[int, UUID | None, str, Mapping[str, Any]]]
) -> None:
    """Record a finding each: of a document, with Xero's id, its class and facts."""
    if found:
        rows = [(*about, to_json(facts).decode()) for *about, facts in found]
        await conn.execute(SQL["find"], *columns(rows, 4))
