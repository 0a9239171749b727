"""Looking first: ready documents of which Xero takes any number in, requests that are looked up out.

Such a request is written down as any other, but nobody sends it: it is in doubt from the beginning, so that
whoever resolves doubts looks whether somebody has entered by hand what it carries. What is not found is
ready again, and is sent then.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import asyncpg

from consumer.adapters.postgres.database import Conn
from consumer.adapters.postgres.sql import statements
from consumer.domain.clocks import Clocks
from consumer.domain.lookup import LOOK_FIRST, LOOKED_FOR_WITHIN

SQL = statements("ledger")


async def of_one_step(
    conn: Conn, rows: Sequence[asyncpg.Record], clocks: Clocks
) -> tuple[list[asyncpg.Record], bool]:
    """Those of the rows that are to be looked for first, or those that were; and whether it is the
    former: as the first of them is."""
    within = timedelta(seconds=clocks.stretched(LOOKED_FOR_WITHIN))
    found = await conn.fetch(SQL["looked_for"], [row["id"] for row in rows], within)
    looked = {row["id"] for row in found}
    looks = rows[0]["id"] not in looked
    return [row for row in rows if (row["id"] not in looked) == looks], looks


async def look_first(conn: Conn, request_id: UUID) -> None:
    """The request is not called, so it holds no slot, and is looked up at once."""
    await conn.execute(SQL["answer_request"], request_id, None, None)
    await conn.execute(SQL["doubt_request"], request_id, LOOK_FIRST, timedelta(0), None)
