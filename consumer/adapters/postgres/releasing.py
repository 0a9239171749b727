"""Releasing: causes that have gone in, the documents that waited for them ready again out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from consumer.adapters.postgres.database import Conn, Database
from consumer.adapters.postgres.inbox import PostgresInbox
from consumer.adapters.postgres.planned import object_of_row
from consumer.adapters.postgres.sql import statements
from consumer.domain.clocks import Clocks
from consumer.domain.errors import Unauthorised
from consumer.ports import Authorisation, Fate, Sink

SQL = statements("ledger")
INBOX = statements("inbox")

AT_ONCE = 500
"""Documents a transaction: one cause may hold a hundred thousand."""


class Releaser:
    """Implements the part of ``Ledger`` that wakes, expires and stops."""

    def __init__(
        self, database: Database, inbox: PostgresInbox, *, clocks: Clocks, sinks: Sequence[Sink]
    ) -> None:
        self.database = database
        self.inbox = inbox
        self.clocks = clocks
        self.sinks = list(sinks)

    async def release(self, limit: int) -> int:
        """Work on up to ``limit`` causes, one transaction each; returns how many there were."""
        for done in range(limit):
            if not await self.database.run(self._release_one):
                return done
        return limit

    async def expire(self, limit: int) -> Sequence[Fate]:
        """Fail what waited too long for something unknown, and prune resolved requests' bodies."""
        return await self.database.run(lambda conn: self._expire(conn, limit))

    async def block(self, tenant_id: UUID, seconds: float, why: str) -> None:
        """Nothing of this tenant is sent for a while."""
        await self.database.execute(
            SQL["block_tenant"], tenant_id, timedelta(seconds=seconds), why, 0
        )

    async def park(
        self, tenant_id: UUID, error: Unauthorised, authorisation: Authorisation | None
    ) -> bool:
        """Stop the tenant, or all that the authorisation reaches, and say so once."""
        return await self.database.run(
            lambda conn: self._park(conn, tenant_id, error, authorisation)
        )

    async def _release_one(self, conn: Conn) -> bool:
        release = await conn.fetchrow(SQL["next_release"])
        if release is None:
            return False
        cause = release["cause"]
        held = await conn.fetch(SQL["held_by"], cause, release["after"], AT_ONCE)
        unplanned = {object_of_row(row) for row in held if row["unplanned"]}
        if unplanned:
            await self.inbox.replan_objects(conn, unplanned)
        planned = [row["id"] for row in held if not row["unplanned"]]
        rows = await conn.fetch(SQL["release_documents"], planned, cause) if planned else []
        dependent = [row["id"] for row in rows if row["kind"] != "contact"]
        if dependent:
            await conn.execute(
                INBOX["wait_for_others"],
                dependent,
                timedelta(seconds=self.clocks.missing_dependency_after),
            )
            await conn.execute(INBOX["wait_for_parts"], dependent)
        tenants = {row["tenant_id"] for row in rows if row["tenant_id"] is not None}
        if tenants:
            await conn.execute(INBOX["wake_tenants"], list(tenants))
        # Planned again, some may be held as before: the next page begins behind them.
        if len(held) == AT_ONCE:
            await conn.execute(SQL["release_on"], release["id"], held[-1]["id"])
        else:
            await conn.execute(SQL["forget_release"], release["id"])
        return True

    async def _expire(self, conn: Conn, limit: int) -> Sequence[Fate]:
        rows = await conn.fetch(INBOX["dependency_expired"], limit)
        ids = [row["id"] for row in rows]
        if ids:
            await conn.execute(SQL["announce_failed"], ids, "Inconsistent", self.sinks)
        await conn.execute(SQL["prune_bodies"], timedelta(seconds=self.clocks.minute * 60))
        return [Fate(row["kind"], "failed", "missing_dependency") for row in rows]

    async def _park(
        self, conn: Conn, tenant_id: UUID, error: Unauthorised, authorisation: Authorisation | None
    ) -> bool:
        tenants = [tenant_id]
        if authorisation is not None:
            stored = await conn.fetchval(SQL["lock_authorisation"], authorisation.id)
            if stored != authorisation.stored:
                return False  # applied anew meanwhile: what is there now was not refused
            rows = await conn.fetch(SQL["tenants_of"], authorisation.id)
            tenants = [row["id"] for row in rows]
            first = await conn.fetchval(SQL["park_authorisation"], authorisation.id, error.code)
        else:
            first = await conn.fetchval(SQL["park_tenant"], tenant_id, "forbidden")
        if first is None:
            return False
        await conn.execute(
            SQL["announce_tenant"],
            tenants,
            type(error).__name__,
            error.code,
            error.sentence,
            error.hint,
            self.sinks,
        )
        return True
