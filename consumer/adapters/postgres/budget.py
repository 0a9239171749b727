"""The budget: a call about to be made in, its counted row or the seconds to wait out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg

from consumer.adapters.postgres.database import Conn, Database
from consumer.adapters.postgres.sql import statements
from consumer.domain.answers import Reply
from consumer.domain.clocks import Clocks
from consumer.domain.pacing import Counts, Limits, Told, wait

SQL = statements("ledger")
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


async def seconds_to_wait(
    conn: Conn,
    tenant_id: UUID,
    tenant: asyncpg.Record | None,
    limits: Limits,
    clocks: Clocks,
    *,
    lookup: bool,
    reserve: int = 0,
) -> tuple[float, Counts, Told]:
    """Count the tenant's calls, in a statement after its row was locked; 0.0 = a call may start.

    Args:
        reserve: calls of what Xero says is left of the day that are not for this one.
    """
    told = Told()
    told_at = _NEVER
    if tenant is not None:
        if (tenant["blocked_wait"] or 0) > 0:
            return float(tenant["blocked_wait"]), Counts(), Told()
        told_at = tenant["day_left_at"] or _NEVER
    row = await conn.fetchrow(
        SQL["count_calls"],
        tenant_id,
        timedelta(seconds=clocks.minute),
        timedelta(seconds=clocks.day),
        told_at,
    )
    assert row is not None
    if tenant is not None:
        told = Told(
            foreign=tenant["foreign_calls"],
            foreign_wait=tenant["foreign_wait"] or 0.0,
            day_left=None if tenant["day_left"] is None else tenant["day_left"] - reserve,
            day_since=row["day_since"],
            day_age=tenant["day_age"] or 0.0,
        )
    counts = Counts(
        in_flight=row["in_flight"],
        minute=row["minute"],
        day=row["day"],
        minute_wait=row["minute_wait"] or 0.0,
        slot_wait=row["slot_wait"] or 0.0,
        day_wait=row["day_wait"] or 0.0,
        newest_age=row["newest_age"],
    )
    seconds = wait(counts, told, limits, lookup=lookup, probe_after=_probe_after(clocks))
    return seconds, counts, told


def backfill_wait(counts: Counts, told: Told, limits: Limits, clocks: Clocks) -> float:
    """Seconds until a call for the backfill may start, where another may now."""
    if told.day_left is not None:
        told = replace(told, day_left=max(0, told.day_left - limits.day_reserve))
    backfill = limits.of_backfill
    return wait(counts, told, backfill, lookup=False, probe_after=_probe_after(clocks))


def _probe_after(clocks: Clocks) -> float:
    return clocks.minute * 15


async def insert_request(
    conn: Conn,
    *,
    id: UUID,
    tenant_id: UUID,
    purpose: str,
    method: str,
    path: str,
    clocks: Clocks,
    body: bytes | None = None,
    look: bool = False,
) -> None:
    """Write the request down; ``look``: it carries documents, so somebody must learn its outcome."""
    await conn.execute(
        SQL["insert_request"],
        id,
        tenant_id,
        purpose,
        method,
        path,
        body,
        timedelta(seconds=clocks.freeze_to_first_byte + clocks.call_timeout),
        timedelta(seconds=clocks.resend_after) if look else None,
        look,
    )


class PostgresBudget:
    """Implements ``Budget``: look-ups, charts and resends count like every other call."""

    def __init__(self, database: Database, limits: Limits, clocks: Clocks) -> None:
        self.database = database
        self.limits = limits
        self.clocks = clocks

    async def take(
        self,
        tenant_id: UUID,
        purpose: str,
        method: str,
        path: str,
    ) -> UUID | float:
        """Count one call: its id, or the seconds to wait first."""

        async def work(conn: Conn) -> UUID | float:
            tenant = await conn.fetchrow(SQL["lock_tenant_waiting"], tenant_id)
            seconds = await self._wait(conn, tenant_id, tenant, purpose)
            if seconds > 0:
                return seconds
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

    async def _wait(
        self, conn: Conn, tenant_id: UUID, tenant: asyncpg.Record | None, purpose: str
    ) -> float:
        """The seconds until there is room for a call; the tenant's row is locked."""
        seconds, _, _ = await seconds_to_wait(
            conn, tenant_id, tenant, self.limits, self.clocks, lookup=True
        )
        return seconds

    async def answered(self, request_id: UUID, reply: Reply | None) -> None:
        """What came of it; None when nothing came."""

        async def work(conn: Conn) -> None:
            tenant_id = await conn.fetchval(
                SQL["answer_call"],
                request_id,
                reply.status if reply else None,
                reply.correlation if reply else None,
                "answered" if reply else "not_executed",
            )
            if tenant_id is None:
                return
            if reply is not None:
                await tell_limits(conn, tenant_id, reply, self.limits, self.clocks)
            await conn.execute(SQL["wake_waiting"], tenant_id)

        await self.database.run(work)


async def tell_limits(
    conn: Conn, tenant_id: UUID, reply: Reply, limits: Limits, clocks: Clocks
) -> None:
    """Keep what the answer's headers say, if they say anything."""
    told = reply.limits
    if told.minute_left is None and told.day_left is None:
        return
    await conn.execute(
        SQL["tell_limits"],
        tenant_id,
        told.minute_left,
        told.day_left,
        timedelta(seconds=clocks.minute),
        limits.minute,
        reply.status < 500,
    )
