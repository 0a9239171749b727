"""Releasing: causes that have gone in, the documents that waited for them ready again out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from operator import attrgetter, itemgetter
from uuid import UUID

import asyncpg
import structlog

from consumer.adapters.postgres.database import Conn, Database
from consumer.adapters.postgres.documents import object_of_row, wait_for_others
from consumer.adapters.postgres.failing import fail_documents
from consumer.adapters.postgres.mending import AGAIN, ANEW
from consumer.adapters.postgres.objects import lock_rows
from consumer.adapters.postgres.planner import Planner
from consumer.adapters.postgres.sql import statements
from consumer.domain.causes import CHANGED, PATIENCE_OVER, PLANNING, not_asked_for, unanswered
from consumer.domain.clocks import Clocks
from consumer.domain.errors import Reject, Unauthorised, fault
from consumer.domain.objects import ObjectKey
from consumer.domain.residuals import RESIDUAL
from consumer.ports import Authorisation, Fate, Sink, Unavailable

SQL = statements("ledger")
INBOX = statements("inbox")
RETRYING = statements("retrying")

_IDENTITY = ("kind", "lago_id", "part", "target", "connection_id")

log = structlog.get_logger()


class Releaser:
    """Implements the part of ``Ledger`` that wakes, expires and stops."""

    def __init__(
        self, database: Database, planner: Planner, *, clocks: Clocks, sinks: Sequence[Sink]
    ) -> None:
        self.database = database
        self.planner = planner
        self.clocks = clocks
        self.sinks = list(sinks)

    async def release(self, limit: int) -> int:
        """Work on up to ``limit`` causes, one transaction each; returns how many there were."""
        for done in range(limit):
            if not await self._release():
                return done
        return limit

    async def expire(self, limit: int) -> Sequence[Fate]:
        """Fail what waited too long for something unknown, and prune resolved requests' bodies."""
        return await self.database.run(lambda conn: self._expire(conn, limit))

    async def end_patience(self, limit: int) -> int:
        """Have planned again what waited long enough for a home or a payment; returns how many."""
        return await self.database.run(lambda conn: conn.fetchval(SQL["end_patience"], limit))

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

    async def _release(self) -> bool:
        """One page of the oldest release; what cannot be planned must not hold up the rest."""
        taken: list[asyncpg.Record] = []
        try:
            return await self.database.run(lambda conn: self._release_page(conn, taken))
        except Unavailable:
            if taken:  # the page may be what takes too long: others first, and less of it then
                await self.database.run(lambda conn: self._set_back(conn, taken[-1]))
            raise
        except Exception as error:
            if not taken:
                raise
            release, problem = taken[-1], fault(error)
            log.error("release_fault", cause=release["cause"], error=type(error).__name__)
            await self.database.run(lambda conn: self._step_over(conn, release, problem))
            return True

    async def _release_page(self, conn: Conn, taken: list[asyncpg.Record]) -> bool:
        release = await conn.fetchrow(SQL["next_release"])
        if release is None:
            return False
        taken.append(release)
        cause = release["cause"]
        if cause.startswith(AGAIN):
            await self._try_again(conn, release)
            return True
        if cause.startswith(ANEW):
            await self._plan_anew(conn, release)
            return True
        if cause.startswith(CHANGED):
            _, kind, lago_id = cause.split(":", 2)
            await self.planner.again(conn, [ObjectKey(kind, UUID(lago_id))])
            await conn.execute(SQL["forget_release"], release["id"])
            return True
        held = await conn.fetch(SQL["held_by"], cause, release["after"], release["page"])
        waiting = [row["id"] for row in held if not row["unplanned"]]
        if waiting:  # what is planned again holds what it names
            await _hold_unknown(conn, waiting)
        unplanned = {object_of_row(row) for row in held if row["unplanned"]}
        over = cause.startswith(PATIENCE_OVER)
        due = {row["target"] for row in held if over and row["part"] == RESIDUAL}
        asked = await self.planner.again(conn, unplanned, due) if unplanned else ()
        if cause.startswith(PLANNING):
            # Planning leaves alone what is to be as it was, and what nobody asks for any more.
            planned = set(map(attrgetter(*_IDENTITY), asked))
            free = [
                row["id"]
                for row in held
                if row["surplus"] or itemgetter(*_IDENTITY)(row) in planned
            ]
        else:
            free = waiting
            # Planning leaves a removal that failed as it is, but for what waits to be planned.
            unremoved = [row["id"] for row in held if row["unremoved"]]
            if unremoved:
                await conn.execute(SQL["plan_again"], unremoved)
        rows = await conn.fetch(SQL["release_documents"], free, cause) if free else []
        dependent = [row["id"] for row in rows if row["kind"] != "contact"]
        patience = self.planner.patience.dependency
        await wait_for_others(conn, dependent, patience)
        tenants = {row["tenant_id"] for row in rows if row["tenant_id"] is not None}
        if tenants:
            await conn.execute(INBOX["wake_tenants"], list(tenants))
        if cause.startswith(PLANNING):
            await self._give_up(conn, [row["id"] for row in held], cause)
        await self._go_on(conn, release, held)
        return True

    async def _try_again(self, conn: Conn, release: asyncpg.Record) -> None:
        """Have a page of what Xero refused planned again."""
        _, kind, of, code = release["cause"].split(":", 3)
        page = release["after"], release["page"]
        rows = await conn.fetch(SQL["refused_of"], kind, of, code, *page)
        if rows:
            ids = [row["id"] for row in rows]
            await conn.execute(RETRYING["plan_again"], ids, f"{PLANNING}again:{ids[0]}")
        await self._go_on(conn, release, rows)

    async def _plan_anew(self, conn: Conn, release: asyncpg.Record) -> None:
        """Have a page of the payments that are ready planned again."""
        connection = int(release["cause"].removeprefix(ANEW))
        rows = await conn.fetch(
            SQL["ready_payments"], connection, release["after"], release["page"]
        )
        if rows:
            await conn.execute(SQL["plan_again"], [row["id"] for row in rows])
        await self._go_on(conn, release, rows)

    async def _go_on(
        self, conn: Conn, release: asyncpg.Record, rows: Sequence[asyncpg.Record]
    ) -> None:
        """Some may be held as before: the next page begins behind them."""
        if len(rows) == release["page"]:
            await conn.execute(SQL["release_on"], release["id"], rows[-1]["id"])
        else:
            await conn.execute(SQL["forget_release"], release["id"])

    async def _give_up(self, conn: Conn, ids: Sequence[int], cause: str) -> None:
        """Those that still wait to be planned after it are in no plan."""
        rows = await conn.fetch(SQL["unplanned"], ids, cause)
        if rows:
            await self._fail(conn, rows, [not_asked_for()] * len(rows), [None] * len(rows))

    async def _set_back(self, conn: Conn, release: asyncpg.Record) -> None:
        """The same page again, smaller, after whatever else is to be released."""
        if await _still(conn, release):
            await conn.execute(SQL["shrink_release"], release["id"])
            await conn.execute(SQL["release_on"], release["id"], release["after"])

    async def _step_over(self, conn: Conn, release: asyncpg.Record, error: Reject) -> None:
        """A page that failed is tried in smaller ones; alone, the document itself fails."""
        if not await _still(conn, release):
            return
        if release["page"] > 1:
            await conn.execute(SQL["shrink_release"], release["id"])
            return
        held = await conn.fetch(SQL["held_by"], release["cause"], release["after"], 1)
        if not held:
            await conn.execute(SQL["forget_release"], release["id"])
            return
        cause = None if release["cause"].startswith(PLANNING) else release["cause"]
        await self._fail(conn, held, [error], [cause])
        await conn.execute(SQL["release_on"], release["id"], held[0]["id"])

    async def _fail(
        self,
        conn: Conn,
        rows: Sequence[asyncpg.Record],
        errors: Sequence[Reject],
        causes: Sequence[str | None],
    ) -> None:
        await fail_documents(conn, [row["id"] for row in rows], errors, causes, self.sinks)

    async def _expire(self, conn: Conn, limit: int) -> Sequence[Fate]:
        rows = await conn.fetch(SQL["unanswered"], limit)
        errors = [unanswered(row["cause"]) for row in rows]
        if rows:
            await self._fail(conn, rows, errors, [row["cause"] for row in rows])
        await conn.execute(SQL["prune_bodies"], timedelta(seconds=self.clocks.minute * 60))
        return [
            Fate(row["kind"], "failed", error.code) for row, error in zip(rows, errors, strict=True)
        ]

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


async def _hold_unknown(conn: Conn, ids: Sequence[int]) -> None:
    """Hold the objects that these documents would wait for and that have no document yet: whoever is
    storing one has either made its document by then, or comes after us and finds what waits for it."""
    rows = await conn.fetch(INBOX["unknown"], ids)
    await lock_rows(conn, [ObjectKey(row["kind"], row["lago_id"]) for row in rows])


async def _still(conn: Conn, release: asyncpg.Record) -> bool:
    """Whether nobody else has worked on the release since; it is held then."""
    at = release["id"], release["after"], release["page"]
    return await conn.fetchrow(SQL["lock_release"], *at) is not None
