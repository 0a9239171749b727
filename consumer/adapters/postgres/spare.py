"""The lowest lane's budget: a call that can wait in, its counted row or the seconds to wait first out."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import asyncpg

from consumer.adapters.postgres.budget import PostgresBudget, seconds_to_wait
from consumer.adapters.postgres.database import Conn
from consumer.adapters.postgres.sql import statements
from consumer.domain.pacing import share_of_day, spare

SQL = statements("reconciling")


class SpareBudget(PostgresBudget):
    """Implements ``Budget`` for what no document waits for: it leaves half of each minute, a tenth of the
    day and two slots to live documents, and takes no more than its own share of the day."""

    async def _wait(
        self, conn: Conn, tenant_id: UUID, tenant: asyncpg.Record | None, purpose: str
    ) -> float:
        seconds, _, _ = await seconds_to_wait(
            conn,
            tenant_id,
            tenant,
            spare(self.limits),
            self.clocks,
            lookup=False,
            reserve=self.limits.day - spare(self.limits).day,
        )
        if seconds > 0:
            return seconds
        day = timedelta(seconds=self.clocks.day)
        row = await conn.fetchrow(SQL["count_share"], tenant_id, purpose, day)
        assert row is not None
        if row["calls"] >= share_of_day(self.limits):
            return max(float(row["wait"]), 0.001)
        return 0.0
