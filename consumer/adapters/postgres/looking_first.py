"""Looking first: ready documents in, those of one step and how they are looked for before they are sent, out.

Such a request is written down as any other, but nobody sends it: it is in doubt from the beginning, so that
whoever resolves doubts looks whether what it carries is there: entered by hand, or sent before a restore.
What is not found is ready again, and is sent then.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from uuid import UUID

import asyncpg

from consumer.adapters.postgres.database import Conn
from consumer.adapters.postgres.sql import statements
from consumer.domain.clocks import Clocks
from consumer.domain.lookup import LOOK_FIRST, LOOKED_FOR_FIRST, LOOKED_FOR_WITHIN, RESTORED
from consumer.domain.operations import REMADE, Operation

SQL = statements("ledger")

Look = Callable[[Conn, UUID], Awaitable[None]]
"""Makes a request that was written down one that is looked up, and not called."""


async def together(
    conn: Conn, operation: Operation, rows: list[asyncpg.Record], clocks: Clocks
) -> tuple[list[asyncpg.Record], Look | None]:
    """Those of the rows that are of one step with the first: to be looked for, and how; None: to be sent.

    What Xero keeps apart by itself is found when it is refused; all else, and what is to go, by looking.
    """
    if rows and (operation.step == "remove" or operation.kind in REMADE):
        seeks = rows[0]["unsought"]
        rows = [row for row in rows if row["unsought"] == seeks]
        if seeks:
            return rows, partial(_seek, timedelta(seconds=clocks.key_life))
    if rows and operation.step == "create" and operation.kind in LOOKED_FOR_FIRST:
        within = timedelta(seconds=clocks.stretched(LOOKED_FOR_WITHIN))
        found = await conn.fetch(SQL["looked_for"], [row["id"] for row in rows], within)
        looked = {row["id"] for row in found}
        looks = rows[0]["id"] not in looked
        rows = [row for row in rows if (row["id"] not in looked) == looks]
        if looks:
            return rows, _look
    return rows, None


async def _seek(after: timedelta, conn: Conn, request_id: UUID) -> None:
    """Looked up once nothing from before a restore can arrive any more."""
    await conn.execute(SQL["seek"], request_id, RESTORED, after)


async def _look(conn: Conn, request_id: UUID) -> None:
    """It holds no slot, and is looked up at once."""
    await conn.execute(SQL["answer_request"], request_id, None, None)
    await conn.execute(SQL["doubt_request"], request_id, LOOK_FIRST, timedelta(0), None)
