"""Doubt: open requests whose outcome nobody knows in, one at a time claimed for a look out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
from pydantic_core import to_json

from consumer.adapters.postgres.database import Conn, Database
from consumer.adapters.postgres.failing import announce_documents
from consumer.adapters.postgres.sql import statements
from consumer.domain.clocks import Clocks
from consumer.domain.lookup import UNRESOLVED_AFTER, unresolved
from consumer.domain.operations import OPERATIONS, REMADE, elements_of
from consumer.ports import Doubtful, Frozen, Sent, Sink

SQL = statements("ledger")

AUDITED = [one.name for one in OPERATIONS.values() if one.step == "create" and one.kind in REMADE]
"""What carries documents that Xero does not keep apart."""


class Doubter:
    """Implements the part of ``Ledger`` that hands out doubtful requests."""

    def __init__(self, database: Database, *, clocks: Clocks, sinks: Sequence[Sink]) -> None:
        self.database = database
        self.clocks = clocks
        self.sinks = list(sinks)

    async def doubtful(
        self, limit: int, each: int, without: Sequence[UUID]
    ) -> Sequence[tuple[UUID, UUID]]:
        """Open requests that are due to be looked at, each with its tenant: at most ``each`` of a
        tenant, none of the tenants in ``without``."""
        rows = await self.database.fetch(SQL["due_requests"], limit, each, list(without))
        return [(row["id"], row["tenant_id"]) for row in rows]

    async def take_doubt(self, request_id: UUID) -> Doubtful | None:
        """Claim one until a call of ours is over; None if another pod has it or it is closed."""
        return await self.database.run(lambda conn: self._take(conn, request_id))

    async def postpone(self, request_id: UUID, seconds: float) -> None:
        """Look again later."""
        await self.database.execute(SQL["postpone_request"], request_id, timedelta(seconds=seconds))

    async def look_failed(self, request_id: UUID, why: str, wait: float) -> int:
        """A look-up told nothing: look again after ``wait`` seconds. After many its documents are
        announced, once; returns how many were now."""
        return await self.database.run(lambda conn: self._look_failed(conn, request_id, why, wait))

    async def _look_failed(self, conn: Conn, request_id: UUID, why: str, wait: float) -> int:
        looks = await conn.fetchval(SQL["look_failed"], request_id, timedelta(seconds=wait))
        if looks != UNRESOLVED_AFTER:
            return 0
        rows = await conn.fetch(SQL["frozen_members"], request_id, False)
        ids = [row["document_id"] for row in rows]
        errors = [unresolved(row["kind"], why) for row in rows]
        await announce_documents(conn, ids, errors, self.sinks)
        return len(rows)

    async def _take(self, conn: Conn, request_id: UUID) -> Doubtful | None:
        lease = self.clocks.freeze_to_first_byte + self.clocks.call_timeout
        audit = timedelta(seconds=self.clocks.audit_after)
        taken = await conn.fetchval(
            SQL["take_request"], request_id, timedelta(seconds=lease), AUDITED, audit
        )
        return await self._read(conn, request_id, closed=False) if taken is not None else None

    async def take_audit(self) -> Doubtful | None:
        """Claim one that was once in doubt and carries what Xero does not keep apart, to look whether
        Xero has more of it than the ledger; None if none is due."""
        return await self.database.run(self._take_audit)

    async def _take_audit(self, conn: Conn) -> Doubtful | None:
        lease = self.clocks.freeze_to_first_byte + self.clocks.call_timeout
        taken = await conn.fetchval(SQL["take_audit"], timedelta(seconds=lease))
        return await self._read(conn, taken, closed=True) if taken is not None else None

    async def _read(self, conn: Conn, request_id: UUID, *, closed: bool) -> Doubtful:
        """The request with its members: those without an outcome, or all."""
        row = await conn.fetchrow(
            SQL["doubted_request"],
            request_id,
            timedelta(seconds=self.clocks.resend_until),
            timedelta(seconds=self.clocks.key_life),
        )
        assert row is not None
        rows = await conn.fetch(SQL["frozen_members"], request_id, closed)
        elements = elements_of(row["body"])
        members = tuple(_sent(m, elements[m["position"]]) for m in rows)
        frozen = Frozen(
            row["id"],
            row["tenant_id"],
            row["authorisation_id"],
            row["purpose"],
            row["method"],
            row["path"],
            row["body"],
            len(elements),
        )
        return Doubtful(
            frozen,
            row["started_at"],
            row["resend"],
            row["doubt"] or "no_answer",
            members,
            row["final_in"],
            row["looks"],
        )


def _sent(member: asyncpg.Record, element: Mapping[str, Any]) -> Sent:
    """As it was frozen: what Lago and the settings say by now has no part in a look-up."""
    at = member["position"], member["lago_id"]
    known = member["xero_id"], member["refused"], member["own_day"]
    return Sent(*at, _number(element), to_json(element), *known)


def _number(element: Mapping[str, Any]) -> str | None:
    return element.get("InvoiceNumber") or element.get("CreditNoteNumber")
