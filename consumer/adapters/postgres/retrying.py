"""Retrying: a choice of failed documents in, those planned again by the running service out."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any

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

    ``connection`` is a connection's code, ``code`` a failure's; they failed not before ``since`` and
    before ``until``. Of those that are named, what a person has set aside is meant too.
    """

    ids: Sequence[int] | None = None
    connection: str | None = None
    kind: str | None = None
    code: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def known_connection(database: Database, code: str) -> bool:
    """Whether there is a connection of that code."""
    return bool(await database.fetch(SQL["connection"], code))


async def count(database: Database, which: Which) -> dict[str, int]:
    """How many there are now, by code."""
    rows = await database.fetch(SQL["count"], *astuple(which))
    return {row["code"]: row["count"] for row in rows}


async def looping(database: Database, which: Which, times: int) -> list[dict[str, Any]]:
    """Those that failed for the same reason so many times in a row: ``id``, ``code``, ``redriven``."""
    return [dict(row) for row in await database.fetch(SQL["looping"], *astuple(which), times)]


async def retry(
    database: Database,
    which: Which,
    *,
    who: str,
    reason: str | None,
    page: int = PAGE,
    most: int | None = None,
) -> AsyncIterator[Mapping[str, int]]:
    """Hand them to the service, a transaction each page; yields how many of each code.

    Each page is audited with its documents. Only failed documents are touched: what is released
    already is not released again. With ``most``, those are left out that failed for the same reason so
    many times in a row.
    """
    after = 0

    async def work(conn: Conn) -> list[asyncpg.Record]:
        rows = await conn.fetch(SQL["failed"], *astuple(which), after, page, most)
        if rows:
            ids = [row["id"] for row in rows]
            audit = await conn.fetchval(
                SQL["audit"], who, f"documents {', '.join(map(str, ids))}", reason
            )
            await conn.execute(SQL["count_redrives"], ids)
            await conn.execute(SQL["plan_again"], ids, f"{PLANNING}retry:{audit}")
        return rows

    while rows := await database.run(work):
        yield Counter(row["code"] for row in rows)
        after = rows[-1]["id"]
