"""The mirror of Xero's books: pages read in, where reading goes on out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
from pydantic_core import from_json, to_json

from consumer.adapters.postgres.database import Conn, Database
from consumer.adapters.postgres.sql import columns, statements
from consumer.domain.reconciling import Allocated, MirrorKind, Shown
from consumer.ports.reconciling import Reading, Subject

SQL = statements("reconciling")

SKEW = timedelta(minutes=5)
"""How far Xero's clock and the database's may be apart when it is asked what changed since."""
_COLUMNS = (
    "kind", "xero_id", "number", "contact_id", "target_id", "account", "status", "currency", "dated",
    "due_on", "net", "tax", "total", "paid", "credited", "due",
)  # fmt: skip


class Mirroring:
    """Implements the part of ``Mirror`` that keeps what Xero shows."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def reading(
        self, subject: Subject, kind: MirrorKind, first: date, *, full: bool, as_of: datetime
    ) -> Reading | None:
        """The next page to read; None if the mirror is complete as of ``as_of``."""

        async def work(conn: Conn) -> Reading | None:
            at = subject.tenant_id, kind
            await conn.execute(SQL["reading"], *at)
            row = await conn.fetchrow(SQL["lock_reading"], *at)
            assert row is not None
            covered = row["covers"] is not None and row["covers"] <= first
            if _goes_on(row, first, covered=covered, full=full, as_of=as_of):
                return Reading(
                    *at,
                    since=row["reading_since"],
                    covers=row["reading_covers"],
                    page=row["reading_page"],
                    started_at=row["reading_at"],
                    items=row["reading_items"],
                )
            if covered and row["read_at"] >= as_of:
                return None
            since = row["read_at"] - SKEW if covered and not full else None
            covers = min(first, row["covers"] or first)
            await conn.execute(SQL["begin_reading"], *at, row["now"], since, covers)
            return Reading(*at, since=since, covers=covers, page=1, started_at=row["now"])

        return await self.database.run(work)

    async def keep(self, reading: Reading, shown: Sequence[Shown], pages: int, items: int) -> None:
        """Keep a page, and go on to the next one; what has become fewer may have slipped past us."""

        async def work(conn: Conn) -> None:
            at = reading.tenant_id, reading.kind
            await _store(conn, reading.tenant_id, shown)
            here = *at, reading.started_at, reading.page
            if items < reading.items:
                await conn.execute(SQL["next_page"], *here, 1, 0)
            elif reading.page < pages:
                await conn.execute(SQL["next_page"], *here, reading.page + 1, items)
            elif await conn.fetchval(SQL["end_reading"], *here) and reading.since is None:
                await conn.execute(SQL["forget_unseen"], *at, reading.covers, reading.started_at)

        await self.database.run(work)

    async def seen(self, tenant_id: UUID, shown: Sequence[Shown]) -> None:
        """Keep what was looked up singly."""
        await self.database.run(lambda conn: _store(conn, tenant_id, shown))

    async def read_at(self, tenant_id: UUID) -> Mapping[MirrorKind, datetime]:
        """As of when each kind is mirrored."""
        rows = await self.database.fetch(SQL["read_at"], tenant_id)
        return {row["kind"]: row["read_at"] for row in rows}


def _goes_on(
    row: asyncpg.Record, first: date, *, covered: bool, full: bool, as_of: datetime
) -> bool:
    """Whether the reading that somebody has begun is one that we need."""
    if row["reading_page"] is None:
        return False
    if full and row["reading_at"] < as_of:
        return False
    return covered if row["reading_since"] is not None else bool(row["reading_covers"] <= first)


async def _store(conn: Conn, tenant_id: UUID, shown: Sequence[Shown]) -> None:
    """Each document once, in key order."""
    latest = {(one.kind, one.xero_id): one for one in shown}
    rows = [
        (*(getattr(one, name) for name in _COLUMNS), _allocations(one), one.updated_at)
        for _, one in sorted(latest.items())
    ]
    if rows:
        await conn.execute(SQL["mirror"], tenant_id, *columns(rows, len(_COLUMNS) + 2))


def _allocations(one: Shown) -> str | None:
    if not one.allocations:
        return None
    found = [
        {"invoice": each.invoice_id, "amount": str(each.amount), "id": each.xero_id}
        for each in one.allocations
    ]
    return to_json(found).decode()


def shown_of(row: asyncpg.Record, contacts: frozenset[UUID]) -> Shown:
    """A row of the mirror; ``contacts`` are those of the connection's customers."""
    facts: dict[str, Any] = {name: row[name] for name in _COLUMNS}
    allocations = tuple(
        Allocated(_uuid(one["invoice"]), Decimal(one["amount"]), _uuid(one["id"]))
        for one in from_json(row["allocations"] or "[]")
    )
    ours = row["on_ours"] if row["kind"] == "payment" else row["contact_id"] in contacts
    return Shown(
        **facts,
        allocations=allocations,
        updated_at=row["updated_at"],
        holder=row["holder"],
        ours=ours,
    )


def _uuid(text: str | None) -> UUID | None:
    return None if text is None else UUID(text)
