"""Planned documents in, their rows in the ledger out; what depends on others waits for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from consumer.adapters.postgres.changing import (
    Change,
    Patience,
    change_of,
    comes,
    is_left,
    is_relinked,
    matters,
    stands_of,
    stays_by_hand,
)
from consumer.adapters.postgres.database import Conn
from consumer.adapters.postgres.failing import announce_documents, find
from consumer.adapters.postgres.leaving import (
    tell_of_credit,
    tell_of_freed,
    tell_of_left,
    tell_of_left_out,
)
from consumer.adapters.postgres.sql import array_of, columns, statements
from consumer.domain.documents import Planned, Rest, consumes, object_of
from consumer.domain.objects import Object, ObjectKey
from consumer.domain.payments import left_by_hand
from consumer.ports import Sink

SQL = statements("inbox")
LEDGER = statements("ledger")

Identity = tuple[str, UUID, str, UUID | None]
"""Kind, Lago id, part, target: what a document is known by within its connection."""
Known = tuple[asyncpg.Record, Change]
"""A row, and what becomes of it."""
MONEY = ("allocation", "payment", "refund", "overpayment")
LEVELS = (("contact",), ("invoice", "credit_note"), MONEY)
"""Kinds in the order in which documents rest on one another."""


async def write_documents(
    conn: Conn,
    plans: Sequence[Planned],
    objects: Mapping[ObjectKey, Object],
    made: Mapping[int, datetime],
    now: datetime,
    patience: Patience,
    sinks: Sequence[Sink] = (),
    lane: int | None = None,
) -> frozenset[UUID]:
    """Write what planning changes; returns the tenants with work.

    Args:
        objects: those that the plans were made of.
        made: when each event that changed one was appended.
        sinks: where a person is asked about what stays in Xero.
        lane: where what changes is sent; None: where it is.
    """
    changes = await _changes(conn, plans, objects, made, now, patience)
    known = [(c.before, c) for c in changes if c.before is not None]
    ids = await _update(conn, known, lane)
    notes = [row["id"] for row, c in known if c.planned.kind == "credit_note"]
    await leave_deducted(conn, notes)
    await _insert(conn, [c for c in changes if c.before is None], patience.dependency, lane)
    await _tell(conn, plans, known, sinks)
    await _release(conn, changes, known)
    await wait_for_others(conn, ids, patience.dependency)
    voided = [
        row["id"] for row, c in known if (c.planned.kind, c.rest.state) == ("credit_note", "ready")
        if c.planned.wanted is None
    ]  # fmt: skip
    if voided:
        await conn.execute(SQL["leave_used"], voided)
    await tell_of_left_out(
        conn, [row["id"] for row, c in known if _is_money(c) and c.rest.state == "skipped"]
    )
    were_out = [row["id"] for row, c in known if _is_money(c) and row["state"] == "skipped"]
    if were_out:
        await conn.execute(SQL["close_left_out"], were_out)
    return frozenset(
        c.planned.tenant_id
        for c in changes
        if c.rest.state == "ready" and c.planned.tenant_id is not None
    )


async def _changes(
    conn: Conn,
    plans: Sequence[Planned],
    objects: Mapping[ObjectKey, Object],
    made: Mapping[int, datetime],
    now: datetime,
    patience: Patience,
) -> Sequence[Change]:
    """What becomes of the rows, which are locked from now on, where anything does."""
    rows = await conn.fetch(
        SQL["lock_documents"], *columns([(p.kind, p.lago_id) for p in plans], 2)
    )
    standing: dict[Identity, dict[int | None, asyncpg.Record]] = {}
    for row in rows:
        identity = row["kind"], row["lago_id"], row["part"], row["target"]
        standing.setdefault(identity, {})[row["connection_id"]] = row
    changes = []
    for planned in plans:
        identity = planned.kind, planned.lago_id, planned.part, planned.target
        here = standing.get(identity, {})
        stands = here.get(planned.connection_id) or here.get(None)
        of = objects[object_of(planned.kind, planned.part, planned.lago_id, planned.target)]
        changes.append(change_of(stands, planned, of, made, now, patience))
    return [change for change in changes if change is not None]


async def _tell(
    conn: Conn, plans: Sequence[Planned], known: Sequence[Known], sinks: Sequence[Sink]
) -> None:
    """What people are to see of the documents, and are asked about."""
    told = [
        (p.connection_id, p.kind, p.lago_id, p.part, p.target, name)
        for p in plans
        for name in p.findings
    ]
    if told:
        await conn.execute(SQL["find_once"], *columns(told, 6))
    await tell_of_freed(conn, plans)
    drifted = [row["id"] for row, c in known if c.rest.drift and not row["drift"]]
    if drifted:
        await conn.execute(SQL["find_drift"], drifted)
    relinked = [
        (row["id"], row["xero_id"], "linked_elsewhere", {"linked": str(c.xero_id)})
        for row, c in known
        if is_relinked(row, c)
    ]
    await find(conn, relinked)
    await tell_of_credit(conn, [id for id, *_ in relinked])
    left = [(row["id"], c.rest.cause, stands_of(row), c.of) for row, c in known if is_left(row, c)]
    await tell_of_left(conn, left, sinks)
    by_hand = [row for row, c in known if stays_by_hand(row, c)]
    if by_hand:
        errors = [left_by_hand(row["kind"], row["by_hand"]) for row in by_hand]
        await announce_documents(conn, [row["id"] for row in by_hand], errors, sinks)


async def _release(conn: Conn, changes: Sequence[Change], known: Sequence[Known]) -> None:
    """Whoever waits for these documents, or is left out with them, looks again."""
    awaited = [
        (p.kind, p.lago_id, p.connection_id) for c in changes if comes(c) for p in [c.planned]
    ]
    if awaited:
        await conn.execute(SQL["release_awaited"], *columns(awaited, 3))
    turned = [row["id"] for row, c in known if matters(row, c)]
    if turned:
        await conn.execute(LEDGER["release_waiting"], turned)


async def wait_for_others(conn: Conn, ids: Sequence[int], patience: timedelta) -> None:
    """Of documents that were just updated, those that are ready but for others wait for them; what is
    left out with another leaves out what waits for it in turn."""
    if ids:
        needing = [tuple(row) for row in await conn.fetch(SQL["needing"], ids)]
        held = await _unmet(conn, needing, patience)
        if held:
            rests = [(id, rest.state, rest.cause, rest.until) for id, rest in held.items()]
            await conn.execute(SQL["hold"], *columns(rests, 4))
        left_out = [id for id, rest in held.items() if rest.state == "skipped"]
        if left_out:
            await conn.execute(LEDGER["release_waiting"], left_out)
            await tell_of_left_out(conn, left_out)
        await conn.execute(SQL["wait_for_parts"], ids)
        await conn.execute(SQL["wait_for_payments"], ids)
        await conn.execute(SQL["place_credits"], ids)


async def leave_deducted(conn: Conn, ids: Sequence[int]) -> frozenset[int]:
    """Leave out those credit notes among the documents that an invoice has as a line; returns them, whose
    parts are left out with them."""
    rows = await conn.fetch(SQL["leave_deducted"], ids) if ids else []
    left = [row["id"] for row in rows]
    if left:
        await conn.execute(LEDGER["release_waiting"], left)
    return frozenset(left)


async def _unmet(
    conn: Conn, needing: Sequence[Sequence[Any]], patience: timedelta
) -> Mapping[int, Rest]:
    """How those that have to wait rest, by their first column; the columns are those of ``unmet``."""
    if not needing:
        return {}
    rows = await conn.fetch(SQL["unmet"], *columns(needing, 7), patience)
    return {row["id"]: Rest(row["state"], row["cause"], row["wait_until"]) for row in rows}


async def _insert(
    conn: Conn, changes: Sequence[Change], patience: timedelta, lane: int | None
) -> None:
    """Insert new ones, each as it is to stay: what it rests on has its row by then."""
    for kinds in LEVELS:
        new = [c for c in changes if c.planned.kind in kinds]
        if not new:
            continue
        needing = [
            (n, p.connection_id, p.kind, p.customer_id, p.target, p.source, p.lago_id)
            for n, c in enumerate(new) if _rests_on_others(c) for p in [c.planned]
        ]  # fmt: skip
        held = await _unmet(conn, needing, patience)
        rows = [
            (p.connection_id, p.tenant_id, p.kind, p.lago_id, p.customer_id, c.event_id,
             c.appended_at, p.wanted, c.synced, rest.state, rest.cause, rest.until, c.xero_id,
             p.number, p.currency, p.dated, p.part, p.target, p.source, p.amount_cents,
             c.linked)
            for n, c in enumerate(new) for p, rest in [(c.planned, held.get(n, c.rest))]
        ]  # fmt: skip
        stored = await conn.fetch(SQL["insert_documents"], *columns(rows, 21), lane)
        await leave_deducted(conn, [row["id"] for row in stored if row["kind"] == "credit_note"])
        credits = [row["id"] for row in stored if consumes(row["kind"], row["part"])]
        if credits:
            await conn.execute(SQL["place_credits"], credits)
        if kinds is MONEY:
            await tell_of_left_out(conn, [r["id"] for r in stored if r["state"] == "skipped"])
        beyond = [row["id"] for row in stored if row["kind"] == "overpayment"]
        if beyond:
            await conn.execute(SQL["wait_for_payments"], beyond)


async def _update(conn: Conn, known: Sequence[Known], lane: int | None) -> list[int]:
    """Update known ones; returns those that others have a say in."""
    rows = [
        (row["id"], p.connection_id, p.tenant_id, p.customer_id, c.event_id, c.appended_at, p.wanted,
         c.synced, c.rest.state, c.rest.cause, c.rest.until, c.xero_id, p.number, p.currency,
         p.dated, c.rest.drift, p.source, p.amount_cents, c.linked, array_of(c.merged))
        for row, c in sorted(known, key=lambda one: one[0]["id"]) for p in [c.planned]
    ]  # fmt: skip
    if rows:
        await conn.execute(SQL["update_documents"], *columns(rows, 20), lane)
    return [
        row["id"]
        for row, c in known
        if _rests_on_others(c) or consumes(c.planned.kind, c.planned.part)
    ]


def _is_money(change: Change) -> bool:
    return change.planned.kind in MONEY


def _rests_on_others(change: Change) -> bool:
    return change.planned.kind != "contact" and change.rest.state == "ready"


def object_of_row(document: asyncpg.Record) -> ObjectKey:
    """``object_of`` a row with kind, part, lago_id and target."""
    return object_of(document["kind"], document["part"], document["lago_id"], document["target"])
