"""Reading: the ledger in, rows for people and programs out."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from consumer.adapters.postgres.database import Database
from consumer.adapters.postgres.sql import statements

SQL = statements("reading")

Row = dict[str, Any]


async def connections(database: Database) -> list[Row]:
    """All connections by code."""
    return [dict(row) for row in await database.fetch(SQL["connections"])]


async def documents(
    database: Database,
    *,
    state: str | None = None,
    kind: str | None = None,
    connection: str | None = None,
    limit: int = 50,
) -> list[Row]:
    """The newest documents that fit."""
    rows = await database.fetch(SQL["documents"], state, kind, connection, limit)
    return [dict(row) for row in rows]


async def document(database: Database, ref: str) -> list[Row]:
    """The documents of a Lago id, or of a number as Xero has it (with the connection's prefix)."""
    try:
        lago_id = UUID(ref)
    except ValueError:
        lago_id = None
    return [dict(row) for row in await database.fetch(SQL["document"], ref, lago_id)]


async def status(database: Database) -> dict[str, list[Row]]:
    """Documents by state, tenants, announcements not yet made."""
    return {
        name: [dict(row) for row in await database.fetch(SQL[name])]
        for name in ("states", "tenants", "outbox")
    }
