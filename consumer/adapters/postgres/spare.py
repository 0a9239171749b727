"""The lowest lane's budget: a call that can wait in, its counted row or the seconds to wait first out."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

from consumer.adapters.postgres.budget import PostgresBudget, insert_request, seconds_to_wait
from consumer.adapters.postgres.database import Conn
from consumer.adapters.postgres.sql import statements
from consumer.domain.pacing import share_of_day, spare

SQL = statements("ledger")
RECONCILING = statements("reconciling")


class SpareBudget(PostgresBudget):
    """Implements ``Budget`` for what no document waits for: it leaves half of each minute, a tenth of the
    day and two slots to live documents, and takes no more than its own share of the day."""

    async def take(self, tenant_id: UUID, purpose: str, method: str, path: str) -> UUID | float:
        """Count one call: its id, or the seconds to wait first."""

        async def work(conn: Conn) -> UUID | float:
            tenant = await conn.fetchrow(SQL["lock_tenant_waiting"], tenant_id)
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
            row = await conn.fetchrow(RECONCILING["count_share"], tenant_id, purpose, day)
            assert row is not None
            if row["calls"] >= share_of_day(self.limits):
                return max(float(row["wait"]), 0.001)
            request_id = uuid4()
            await insert_request(
                conn,
                id=request_id,
                tenant_id=tenant_id,
                purpose=purpose,
                method=method,
                path=path,
                clocks=self.clocks,
            )
            return request_id

        return await self.database.run(work)
