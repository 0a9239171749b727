"""Retrying: a choice of failed documents in, those planned again by the running service out."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import astuple, dataclass

import asyncpg

from consumer.adapters.postgres.database import Conn, Database
from consumer.adapters.postgres.sql import statements
from consumer.domain.causes import PLANNING

SQL = statements("retrying")

PAGE = 500
"""Documents in one transaction."""


@dataclass(frozen=True, slots=True)
class Which:
    """Failed documents that every given filter lets through; without any, all of them.

    ``connection`` is a connection's code, ``code`` a failure's.
    """

    ids: Sequence[int] | None = None
    connection: str | None = None
    kind: str | None = None
    code: str | None = None


async def known_connection(database: Database, code: str) -> bool:
    """Whether there is a connection of that code."""
    return bool(await database.fetch(SQL["connection"], code))


async def count(database: Database, which: Which) -> dict[str, int]:
    """How many there are now, by code."""
    rows = await database.fetch(SQL["count"], *astuple(which))
    return {row["code"]: row["count"] for row in rows}


async def retry(
    database: Database, which: Which, *, who: str, reason: str | None, page: int = PAGE
) -> AsyncIterator[Mapping[str, int]]:
    """Hand them to the service, a transaction each page; yields how many of each code.

    Each page is audited with its documents. Only failed documents are touched: what is released
    already is not released again.
    """
    after = 0

    async def work(conn: Conn) -> list[asyncpg.Record]:
        rows = await conn.fetch(SQL["failed"], *astuple(which), after, page)
        if rows:
            ids = [row["id"] for row in rows]
            audit = await conn.fetchval(
                SQL["audit"], who, f"documents {', '.join(map(str, ids))}", reason
            )
            await conn.execute(SQL["plan_again"], ids, f"{PLANNING}retry:{audit}")
        return rows

    while rows := await database.run(work):
        yield Counter(row["code"] for row in rows)
        after = rows[-1]["id"]
