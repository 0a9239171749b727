"""Members of requests: rows in, the documents as settling sees them out; and what became of them as rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
from pydantic_core import from_json

from consumer.adapters.postgres.changing import stands_of
from consumer.adapters.postgres.database import Conn
from consumer.adapters.postgres.sql import array_of, statements
from consumer.domain.answers import Refusal
from consumer.domain.documents import CLEARING
from consumer.domain.objects import Facts, customer_of, load_facets
from consumer.domain.outcomes import Kept, Member, Unsent
from consumer.domain.settlement import Settlement
from consumer.ports import Fate

SQL = statements("ledger")


async def open_members(conn: Conn, request_id: UUID, *, closed: bool = False) -> list[Member]:
    """The members without an outcome (``closed``: all), their documents locked, by document."""
    return [_member(row) for row in await conn.fetch(SQL["open_members"], request_id, closed)]


async def contacts_of(conn: Conn, members: Sequence[Member]) -> dict[int, Member]:
    """The documents of these documents' contacts by their ids, as if they had been sent as they are."""
    ids = {member.contact for member in members if member.contact is not None}
    rows = await conn.fetch(SQL["contacts_of"], list(ids))
    return {row["document_id"]: _member(row) for row in rows}


def _member(row: asyncpg.Record) -> Member:
    facts = row["customer_facts"]
    code = row["refused_code"]
    return Member(
        position=row["position"],
        document_id=row["document_id"],
        kind=row["kind"],
        sent=row["sent"],
        stands=stands_of(row),
        attempts=row["attempts"],
        batch_limit=row["batch_limit"],
        suffix=row["suffix"],
        appended_at=row["appended_at"],
        expected={name: row[name] for name in ("net", "tax", "total")},
        customer=customer_of(Facts(load_facets(facts))) if facts else None,
        connection_code=row["connection_code"],
        room=row["room"],
        clears=row["part"].startswith(CLEARING),
        notes=from_json(row["notes"]) if row["notes"] else {},
        refused=Refusal(code, row["refused_said"], row["refused_hint"]) if code else None,
        contact=row["contact"],
        leaves_linked=row["linked_contacts"] != "update",
    )


def kept_row(kept: Kept) -> tuple[object, ...]:
    """As ``settle_documents`` takes it."""
    answer, target = kept.answer, kept.rest
    return (kept.member.document_id, kept.xero_id, kept.synced, target.state, target.cause,
            target.drift, answer.status, answer.net, answer.tax, answer.total, answer.due,
            kept.by_hand, kept.linked, array_of(kept.merged))  # fmt: skip


def unsent_row(one: Unsent) -> tuple[object, ...]:
    """As ``unsend_documents`` takes it."""
    return (one.member.document_id, one.rest.state, one.rest.cause, interval(one.delay),
            one.batch_limit, one.suffix, one.attempts)  # fmt: skip


def interval(seconds: float) -> timedelta:
    """Of a length that Postgres can add to a time."""
    return timedelta(seconds=min(seconds, 10_000_000))


def announcements(settlement: Settlement) -> list[tuple[object, ...]]:
    """Document, class, code, sentence and hint of what is announced."""
    told = [(f.member, "Refused", f.refusal) for f in settlement.failed]
    told += [(n.member, "Inconsistent", n.refusal) for n in settlement.noticed if n.refusal]
    return [(m.document_id, name, r.code, r.said, r.hint) for m, name, r in told]


def fates_of(settlement: Settlement, now: datetime) -> list[Fate]:
    """What became of each document, for the metrics."""
    fates = []
    for member in (kept.member for kept in settlement.kept):
        if member.sent is None:
            fates.append(Fate(member.kind, "removed"))
            continue
        appended = member.appended_at
        after = (now - appended).total_seconds() if appended is not None else None
        fates.append(Fate(member.kind, "synced", None, after))
    fates += [
        Fate(n.member.kind, "noticed", n.refusal.code) for n in settlement.noticed if n.refusal
    ]
    fates += [Fate(one.member.kind, "dissolved", one.outcome) for one in settlement.unsent]
    fates += [Fate(member.kind, "dissolved", "linked") for member in settlement.replanned]
    fates += [Fate(f.member.kind, "failed", f.refusal.code) for f in settlement.failed]
    return fates
