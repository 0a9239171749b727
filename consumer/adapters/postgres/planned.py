"""Planned documents in, their rows in the ledger out; what depends on others waits for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from consumer.adapters.postgres.database import Conn
from consumer.adapters.postgres.sql import columns, statements
from consumer.domain.documents import Planned, Rest, Stands, object_of, rest
from consumer.domain.objects import Object, ObjectKey

SQL = statements("inbox")
LEDGER = statements("ledger")

Identity = tuple[str, UUID, str, UUID | None]
"""Kind, Lago id, part, target: what a document is known by within its connection."""
AWAITED = ("contact", "invoice", "credit_note")
"""Kinds that others wait for."""


@dataclass(frozen=True, slots=True)
class Change:
    """One document's row after planning; ``id`` None where it is new."""

    id: int | None
    planned: Planned
    rest: Rest
    synced: bytes | None
    xero_id: UUID | None
    event_id: int | None
    appended_at: datetime | None


async def write_documents(
    conn: Conn,
    plans: Sequence[Planned],
    objects: Mapping[ObjectKey, Object],
    made: Mapping[int, datetime],
    patience: timedelta,
) -> frozenset[UUID]:
    """Write what planning changes; returns the tenants with work.

    Args:
        objects: those that the plans were made of.
        made: when each event that changed one was appended.
        patience: how long a document waits for one that is not known.
    """
    rows = await conn.fetch(
        SQL["lock_documents"], *columns([(p.kind, p.lago_id) for p in plans], 2)
    )
    standing: dict[Identity, dict[int | None, asyncpg.Record]] = {}
    for row in rows:
        identity = row["kind"], row["lago_id"], row["part"], row["target"]
        standing.setdefault(identity, {})[row["connection_id"]] = row
    changes, drifted, linked, awaited = [], [], [], []
    for planned in plans:
        made_of = object_of(planned.kind, planned.part, planned.lago_id, planned.target)
        event_id = objects[made_of].event_id
        appended_at = made.get(event_id) if event_id is not None else None
        identity = planned.kind, planned.lago_id, planned.part, planned.target
        rows_here = standing.get(identity, {})
        stands = rows_here.get(planned.connection_id) or rows_here.get(None)
        change = _change(stands, planned, event_id, appended_at)
        if change is not None:
            changes.append(change)
            came = stands is None or stands["connection_id"] != planned.connection_id
            if came and planned.connection_id is not None and planned.kind in AWAITED:
                awaited.append((planned.kind, planned.lago_id, planned.connection_id))
            if stands is not None and change.rest.drift and not stands["drift"]:
                drifted.append(stands["id"])
            if stands is not None and change.xero_id is not None and not stands["xero_id"]:
                linked.append(stands["id"])
    ids = await _store(conn, changes)
    if drifted:
        await conn.execute(SQL["find_drift"], drifted)
    if awaited:
        await conn.execute(SQL["release_awaited"], *columns(awaited, 3))
    if linked:
        await conn.execute(LEDGER["release_waiting"], linked)
    if ids:
        await conn.execute(SQL["wait_for_others"], ids, patience)
        await conn.execute(SQL["wait_for_parts"], ids)
    return frozenset(
        c.planned.tenant_id
        for c in changes
        if c.rest.state == "ready" and c.planned.tenant_id is not None
    )


async def _store(conn: Conn, changes: Sequence[Change]) -> list[int]:
    """Insert and update; returns the documents that are ready but for another."""
    new = [
        (p.connection_id, p.tenant_id, p.kind, p.lago_id, p.customer_id, c.event_id, c.appended_at,
         p.wanted, c.synced, c.rest.state, c.rest.cause, c.rest.until, c.xero_id, p.number,
         p.currency, p.dated, p.part, p.target, p.source, p.amount_cents)
        for c in changes if c.id is None for p in [c.planned]
    ]  # fmt: skip
    old = [
        (c.id, p.connection_id, p.tenant_id, p.customer_id, c.event_id, c.appended_at, p.wanted,
         c.synced, c.rest.state, c.rest.cause, c.rest.until, c.xero_id, p.number, p.currency,
         p.dated, c.rest.drift, p.source, p.amount_cents)
        for c in sorted(changes, key=lambda c: c.id or 0) if c.id is not None for p in [c.planned]
    ]  # fmt: skip
    ids = [
        c.id
        for c in changes
        if c.id is not None and c.planned.kind != "contact" and c.rest.state == "ready"
    ]
    if new:
        rows = await conn.fetch(SQL["insert_documents"], *columns(new, 20))
        ids += [r["id"] for r in rows if r["kind"] != "contact" and r["state"] == "ready"]
    if old:
        await conn.execute(SQL["update_documents"], *columns(old, 18))
    return ids


def _change(
    row: asyncpg.Record | None, planned: Planned, event_id: int | None, appended_at: datetime | None
) -> Change | None:
    """What planning changes of the document; None if nothing."""
    if row is None:
        stands = Stands("waiting")
    else:
        stands = Stands(row["state"], row["cause"], row["wanted"], row["synced"], row["xero_id"])
    xero_id, synced = stands.xero_id, stands.synced
    if planned.xero_id is not None and xero_id in (None, planned.xero_id) and planned.wanted:
        xero_id, synced = planned.xero_id, planned.wanted  # linked by Lago: left as it is in Xero
    target = rest(planned.kind, replace(stands, xero_id=xero_id, synced=synced), planned)
    if row is not None and stands.state == "sending":
        target = Rest("sending", planned.stays or planned.hold)
        xero_id, synced = stands.xero_id, stands.synced
    elif (
        stands.state == "waiting"
        and target.state == "ready"
        and planned.wanted == stands.wanted is not None
    ):
        target = Rest("waiting", stands.cause, row["wait_until"] if row is not None else None)
    same = row is not None and (
        (target.state, target.cause, planned.wanted, planned.connection_id, target.drift)
        == (stands.state, stands.cause, stands.wanted, row["connection_id"], row["drift"])
        and target.until == row["wait_until"]
    )
    if same or (row is not None and stands.state == "ready" == target.state
                and planned.wanted == stands.wanted):  # fmt: skip
        return None
    raised = row is None or planned.wanted != stands.wanted
    return Change(
        None if row is None else row["id"],
        planned,
        target,
        synced,
        xero_id,
        event_id if raised else None,
        appended_at if raised else None,
    )


def object_of_row(document: asyncpg.Record) -> ObjectKey:
    """``object_of`` a row with kind, part, lago_id and target."""
    return object_of(document["kind"], document["part"], document["lago_id"], document["target"])
