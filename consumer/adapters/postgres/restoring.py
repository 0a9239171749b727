"""Restoring: the time that the database was set back to in; what may be in Xero since, marked, out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from consumer.adapters.postgres.database import Conn, Database
from consumer.adapters.postgres.sql import statements

SQL = statements("restoring")


@dataclass(frozen=True, slots=True)
class Marked:
    """How many tenants are looked up from now on, and requests that were under way at that time."""

    tenants: int
    requests: int


async def mark(
    database: Database, at: datetime, *, who: str, reason: str | None, dry_run: bool = False
) -> Marked:
    """From now on what Xero does not keep apart is looked up before it is created, and all before it is
    removed, once for each document; audited. Safe to repeat."""

    async def work(conn: Conn) -> Marked:
        requests = await conn.fetchval(SQL["in_doubt"])
        if dry_run:
            return Marked(await conn.fetchval(SQL["marked"]), requests)
        tenants = await conn.fetch(SQL["mark"], at)
        await conn.execute(SQL["distrust"])
        await conn.execute(SQL["audit"], who, f"to {at.isoformat()}", reason)
        return Marked(len(tenants), requests)

    return await database.run(work)


async def read_to(database: Database, topics: Sequence[str]) -> Mapping[tuple[str, int], int]:
    """By topic and partition the offset behind the last record that the ledger knows."""
    rows = await database.fetch(SQL["stored"], list(topics))
    return {(row["topic"], row["partition"]): row["next"] for row in rows}
