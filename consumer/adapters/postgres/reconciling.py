"""Reconciling: a connection and a period in; both sides out, and what was found of them kept."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import asyncpg
from pydantic_core import to_json

from consumer.adapters.postgres.database import Conn
from consumer.adapters.postgres.mirroring import Mirroring, shown_of
from consumer.adapters.postgres.retrying import Which, retry
from consumer.adapters.postgres.sql import columns, statements
from consumer.domain.reconciling import (
    AGAINST_LAGO,
    PERSISTED,
    Discrepancy,
    Entry,
    ExceptionClass,
    MirrorKind,
    Period,
    Shown,
    Sides,
    mirror_kind,
)
from consumer.ports.reconciling import Key, Noted, Run, Subject

SQL = statements("reconciling")
ALARMS = statements("alarms")

PAGE = 2000
"""Ids in one statement."""
FINDING = "reconcile_"
"""Begins the classes of findings that are exceptions of a reconciliation."""
_OF_XERO = [f"{FINDING}{name}" for name in sorted(PERSISTED - AGAINST_LAGO)]
_OF_LAGO = [f"{FINDING}{name}" for name in sorted(PERSISTED & AGAINST_LAGO)]
_CLASSES = [*_OF_XERO, *_OF_LAGO]
_REASON = "lago-xero reconcile --repair safe"


class PostgresMirror(Mirroring):
    """Implements ``Mirror``."""

    async def subject(self, code: str) -> Subject | None:
        """The connection of that code. Overpayments, which need a scope of their own, are read where some
        have been posted."""
        for row in await self.database.fetch(SQL["subject"], code):
            facts = dict(row)
            kinds: tuple[MirrorKind, ...] = ("invoice", "credit_note", "payment")
            if facts.pop("overpayments"):
                kinds = (*kinds, "overpayment")
            return Subject(**facts, kinds=kinds)
        return None

    async def begin(self, subject: Subject, period: Period) -> Run:
        """Write the run down; one that was cut off goes on as it."""
        args = to_json({"connection": subject.code, "period": str(period)}).decode()

        async def work(conn: Conn) -> Run:
            row = await conn.fetchrow(SQL["resume_run"], subject.code, args)
            row = row or await conn.fetchrow(SQL["begin_run"], args)
            assert row is not None
            return Run(row["id"], row["started_at"])

        return await self.database.run(work)

    async def end(self, run: Run, result: Mapping[str, Any]) -> None:
        """Write down what came of it."""
        await self.database.execute(SQL["end_run"], run.id, to_json(dict(result)).decode())

    # ── Both sides ────────────────────────────────────────────────────────────────────────────────

    async def sides(self, subject: Subject, period: Period, since: datetime) -> Sides:
        """Both sides, read one after the other: whatever is sent meanwhile has moved."""
        contacts = await self._contacts(subject)
        everyone = frozenset().union(*contacts.values())
        entries = await self._entries(await self._dated(subject, period), since)
        around = await self._around(subject, entries, since)
        of_period = await self._ids(
            "shown_in", subject.tenant_id, period.first, period.last, column="xero_id"
        )
        shown = await self._shown(subject, [*entries, *around], of_period, everyone)
        return Sides(
            tuple(entries),
            shown,
            tuple(around),
            contacts,
            await self._accounts(subject),
            await self._unsent(subject, shown.values()),
        )

    async def _ids(self, name: str, *args: object, column: str = "id") -> list[Any]:
        return [row[column] for row in await self.database.fetch(SQL[name], *args)]

    async def _dated(self, subject: Subject, period: Period) -> list[int]:
        days = period.first, period.last
        return await self._ids("dated", subject.connection_id, *days, subject.tenant_id)

    async def _entries(self, ids: Sequence[int], since: datetime) -> list[Entry]:
        return [
            _entry(row)
            for page in _pages(ids)
            for row in await self.database.fetch(SQL["entries"], page, since)
        ]

    async def _around(
        self, subject: Subject, entries: Sequence[Entry], since: datetime
    ) -> list[Entry]:
        """What is on the invoices and notes of these, and the invoices and notes that they are on."""
        known = {one.id for one in entries}
        whole = {one.lago_id for one in entries if one.kind in ("invoice", "credit_note")}
        whole |= {id for one in entries for id in (one.target, one.source) if id is not None}
        connection = subject.connection_id
        parts = await self._by_lago_id("attached", connection, whole)
        attached = await self._entries(sorted(parts - known), since)
        whole |= {id for one in attached for id in (one.target, one.source) if id is not None}
        others = await self._by_lago_id("whole", connection, whole)
        return attached + await self._entries(sorted(others - known - parts), since)

    async def _by_lago_id(
        self, name: str, connection_id: int, lago_ids: Collection[UUID | None]
    ) -> set[int]:
        found: set[int] = set()
        for page in _pages([id for id in lago_ids if id is not None]):
            found |= set(await self._ids(name, connection_id, page))
        return found

    async def _shown(
        self,
        subject: Subject,
        entries: Sequence[Entry],
        of_period: Sequence[UUID],
        contacts: frozenset[UUID],
    ) -> dict[tuple[MirrorKind, UUID], Shown]:
        """What Xero shows of these, in the period, and as payments on these."""
        tenant = subject.tenant_id
        ids = {
            one.shown_as for one in entries if one.shown_as is not None and mirror_kind(one.kind)
        }
        payable = [
            one.xero_id for one in entries
            if one.kind in ("invoice", "credit_note") and one.xero_id is not None
        ]  # fmt: skip
        ids |= set(of_period)
        for page in _pages(payable):
            ids |= set(await self._ids("shown_on", tenant, page, column="xero_id"))
        rows = [
            row
            for page in _pages(sorted(ids))
            for row in await self.database.fetch(SQL["shown"], tenant, page, subject.connection_id)
        ]
        return {(row["kind"], row["xero_id"]): shown_of(row, contacts) for row in rows}

    async def _contacts(self, subject: Subject) -> dict[UUID, frozenset[UUID]]:
        rows = await self.database.fetch(SQL["contacts"], subject.connection_id)
        return {
            row["customer_id"]: frozenset(
                id for id in (row["xero_id"], *row["merged"], *row["former"]) if id is not None
            )
            for row in rows
        }

    async def _accounts(self, subject: Subject) -> frozenset[str]:
        return frozenset(await self._ids("accounts", subject.connection_id, column="account"))

    async def _unsent(self, subject: Subject, shown: Iterable[Shown]) -> frozenset[tuple[str, str]]:
        numbers = [
            one.number for one in shown
            if one.holder is None and one.number and one.kind in ("invoice", "credit_note")
        ]  # fmt: skip
        found: set[tuple[str, str]] = set()
        for page in _pages(numbers):
            rows = await self.database.fetch(SQL["unsent"], subject.tenant_id, page)
            found |= {(row["kind"], row["number"]) for row in rows}
        return frozenset(found)

    # ── What was found ────────────────────────────────────────────────────────────────────────────

    async def note(
        self,
        subject: Subject,
        period: Period,
        found: Sequence[Discrepancy],
        looked_for: Collection[ExceptionClass],
    ) -> Mapping[Key, Noted]:
        """Open a finding for each new exception, close those of the period and of what was looked for that
        are gone."""
        kept = {one.key: one for one in found if one.name in PERSISTED}

        async def work(conn: Conn) -> dict[Key, Noted]:
            await conn.execute(ALARMS["hold"], subject.connection_id)
            rows = await conn.fetch(SQL["open"], subject.connection_id, _CLASSES)
            noted = {_key(row): Noted(row["first_seen"], row["tried"]) for row in rows}
            gone = [
                row["id"] for row in rows
                if (key := _key(row)) not in kept and key[0] in looked_for
                and (row["dated"] is None or _day(row["dated"]) in period)
            ]  # fmt: skip
            if gone:
                await conn.execute(ALARMS["close"], gone)
            new = [
                (one.document_id, one.xero_id, f"{FINDING}{one.name}", _facts(one))
                for key, one in kept.items()
                if key not in noted
            ]
            if new:
                raised = await conn.fetch(SQL["raise"], subject.connection_id, *columns(new, 4))
                noted |= {_key(row): Noted(row["first_seen"]) for row in raised}
            return noted

        return await self.database.run(work)

    async def repair(self, subject: Subject, found: Sequence[Discrepancy], who: str) -> None:
        """Hand failed documents to the running service, and take over Xero's figures; each is marked as
        tried, and what was taken in of Lago's too, so that it is not done again and again. Who is killed
        before the mark does it once more."""
        retried, refreshed = (
            [one.document_id for one in found if one.action == action and one.document_id]
            for action in ("retry", "refresh")
        )
        taken_in = [one for one in found if one.action == "take_in"]

        async def work(conn: Conn) -> None:
            at = subject.connection_id
            await conn.execute(SQL["tried"], at, _OF_XERO, [*retried, *refreshed], [])
            documents = [one.document_id for one in taken_in if one.document_id]
            alone = [str(one.lago_id) for one in taken_in if not one.document_id]
            await conn.execute(SQL["tried"], at, _OF_LAGO, documents, alone)
            for one in taken_in:
                await conn.execute(
                    SQL["audit"], who, f"{one.kind} {one.lago_id} of Lago's API", _REASON
                )
            rows = await conn.fetch(SQL["refresh"], refreshed) if refreshed else []
            if rows:
                ids = [row["id"] for row in rows]
                await conn.execute(SQL["close_totals_differ"], ids)
                said = f"documents {', '.join(map(str, ids))}"
                await conn.execute(SQL["audit"], who, said, _REASON)

        if retried:
            async for _ in retry(self.database, Which(ids=retried), who=who, reason=_REASON):
                pass
        if found:
            await self.database.run(work)


def _entry(row: asyncpg.Record) -> Entry:
    cents = row["lago_cents"]
    return Entry(
        **{
            **row,
            "due_on": _day(row["due_on"]),
            "lago_cents": None if cents is None else int(cents),
        }
    )


def _day(text: str | None) -> date | None:
    """A day of Lago's, or one that we wrote; None where it is none."""
    try:
        return None if text is None else date.fromisoformat(text[:10])
    except ValueError:
        return None


def _facts(one: Discrepancy) -> str:
    """With Lago's id where nothing else names it."""
    named = {} if one.document_id or one.xero_id else {"lago_id": one.lago_id}
    return to_json({"dated": one.dated, "said": one.cause, **named}).decode()


def _key(row: asyncpg.Record) -> Key:
    document_id, lago_id = row["document_id"], row["lago_id"]
    name = row["class"].removeprefix(FINDING)
    alone = row["xero_id"] or (UUID(lago_id) if lago_id else None)
    return name, document_id, alone if document_id is None else None


def _pages(ids: Sequence[Any]) -> Iterator[list[Any]]:
    for n in range(0, len(ids), PAGE):
        yield list(ids[n : n + PAGE])
