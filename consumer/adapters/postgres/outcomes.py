"""Outcomes: what has become of a request's documents in, their rows, announcements and releases out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from consumer.adapters.postgres.database import Conn
from consumer.adapters.postgres.failing import find, put_back
from consumer.adapters.postgres.leaving import tell_of_credit
from consumer.adapters.postgres.sql import array_of, columns, interval, statements
from consumer.domain.causes import changed
from consumer.domain.documents import object_of
from consumer.domain.outcomes import Kept, Unsent
from consumer.domain.settlement import Settlement
from consumer.ports import Fate, Sink

SQL = statements("ledger")
INBOX = statements("inbox")


async def write(
    conn: Conn, request_id: UUID, settlement: Settlement, sinks: Sequence[Sink]
) -> Sequence[Fate]:
    """Each table in one statement; the documents' rows are locked already."""
    if settlement.kept:
        await conn.execute(SQL["settle_documents"], *columns(map(_kept_row, settlement.kept), 14))
    if settlement.unsent:
        await conn.execute(
            SQL["unsend_documents"], *columns(map(_unsent_row, settlement.unsent), 7)
        )
    if settlement.failed:
        rows = [
            (f.member.document_id, f.refusal.code, f.refusal.said, f.refusal.hint, f.cause)
            for f in settlement.failed
        ]
        await conn.execute(SQL["fail_documents"], *columns(rows, 5))
    too_much = [f.member.document_id for f in settlement.failed if f.exceeds]
    if too_much:
        await _plan_refused(conn, too_much)
    useless = [f.member.document_id for f in settlement.failed if f.useless]
    if useless:
        await conn.execute(SQL["hold_customers"], useless)
    unremoved = [one.member for one in settlement.failed if one.member.sent is None]
    if unremoved:
        await put_back(conn, [member.document_id for member in unremoved])
    if any(one.cause for one in settlement.failed):
        await conn.execute(SQL["room_meanwhile"], request_id)
    announced = _announcements(settlement)
    if announced:
        await conn.execute(SQL["announce_documents"], *columns(announced, 5), list(sinks))
    noticed = settlement.noticed
    await find(conn, [(n.member.document_id, n.xero_id, n.finding, n.facts) for n in noticed])
    if settlement.followed:
        moved = [(member.document_id, into) for member, into in settlement.followed]
        await conn.execute(SQL["follow_merges"], *columns(moved, 2))
    left = [one.member.contact for one in settlement.kept if one.leaves_credit]
    await tell_of_credit(conn, sorted({id for id in left if id is not None}))
    if settlement.surpluses:
        extra = [(member.document_id, xero_id) for member, xero_id in settlement.surpluses]
        await conn.execute(SQL["insert_surplus"], *columns(extra, 2))
    if settlement.closed:
        await conn.execute(SQL["close_members"], request_id, *columns(settlement.closed, 2))
    if again := [*settlement.replanned, *settlement.unfinished]:
        ids = sorted(member.document_id for member in again)
        await conn.execute(SQL["plan_again"], ids)
    turned = [member.document_id for member in settlement.turned]
    if turned:
        await conn.execute(SQL["release_waiting"], turned)
    taken_off = [one.member for one in settlement.kept if one.member.sent is None]
    if taken_off:
        await conn.execute(SQL["release_room"], [m.document_id for m in taken_off])
    return _fates_of(settlement, datetime.now(UTC))


async def _plan_refused(conn: Conn, payments: Sequence[int]) -> None:
    """What Xero refused as too much may have been planned before the rest is kept as an overpayment: then
    another amount is due. What is planned as before stays failed."""
    rows = await conn.fetch(SQL["overpaying"], payments)
    of = {object_of(row["kind"], row["part"], row["lago_id"], row["target"]) for row in rows}
    if of:
        await conn.execute(INBOX["release"], sorted(map(changed, of)))


async def wake(conn: Conn, tenant_id: UUID, settlement: Settlement) -> None:
    """There is something to send again, or at least a slot for what waits for one."""
    rests = [one.rest for one in settlement.kept] + [one.rest for one in settlement.unsent]
    again = bool(settlement.surpluses) or any(rest.state == "ready" for rest in rests)
    await conn.execute(SQL["wake" if again else "wake_waiting"], tenant_id)


def _kept_row(kept: Kept) -> tuple[object, ...]:
    """As ``settle_documents`` takes it."""
    answer, target = kept.answer, kept.rest
    return (kept.member.document_id, kept.xero_id, kept.synced, target.state, target.cause,
            target.drift, answer.status, answer.net, answer.tax, answer.total, answer.due,
            kept.by_hand, kept.linked, array_of(kept.merged))  # fmt: skip


def _unsent_row(one: Unsent) -> tuple[object, ...]:
    """As ``unsend_documents`` takes it."""
    return (one.member.document_id, one.rest.state, one.rest.cause, interval(one.delay),
            one.batch_limit, one.suffix, one.attempts)  # fmt: skip


def _announcements(settlement: Settlement) -> list[tuple[object, ...]]:
    """Document, class, code, sentence and hint of what is announced."""
    told = [(f.member, "Refused", f.refusal) for f in settlement.failed]
    told += [(n.member, "Inconsistent", n.refusal) for n in settlement.noticed if n.refusal]
    return [(m.document_id, name, r.code, r.said, r.hint) for m, name, r in told]


def _fates_of(settlement: Settlement, now: datetime) -> list[Fate]:
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
