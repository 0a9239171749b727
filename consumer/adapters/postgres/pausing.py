"""Pausing: a person's word on a connection in; nothing of it sent, or what waited released, out."""

from __future__ import annotations

from typing import Any

from consumer.adapters.postgres.database import Conn, Database
from consumer.adapters.postgres.mending import raise_revision
from consumer.adapters.postgres.sql import statements
from consumer.domain import causes

SQL = statements("pausing")


async def pause(database: Database, code: str, *, who: str, reason: str | None) -> bool:
    """From the end of this on nothing of the connection is written down to be sent; whether that is news.

    What is written down already is sent and settled, and what is in doubt is looked up.
    """

    async def work(conn: Conn) -> bool:
        if await conn.fetchval(SQL["pause"], code) is None:
            return False
        await raise_revision(conn)
        await conn.execute(SQL["audit"], who, "pause", code, reason)
        return True

    return await database.run(work, configuring=True)


async def resume(database: Database, code: str, *, who: str, reason: str | None) -> bool:
    """Send what waited and what comes; whether the connection was paused."""

    async def work(conn: Conn) -> bool:
        tenant_id = await conn.fetchval(SQL["resume"], code)
        if tenant_id is None:
            return False
        await raise_revision(conn)
        await conn.execute(SQL["release"], causes.paused(code))
        await conn.execute(SQL["wake"], tenant_id)
        await conn.execute(SQL["audit"], who, "resume", code, reason)
        return True

    return await database.run(work, configuring=True)


async def paused(database: Database) -> dict[str, dict[str, Any]]:
    """The paused connections by code: ``since``, ``who`` paused each, and his ``reason``."""
    return {row["code"]: dict(row) for row in await database.fetch(SQL["paused"])}
