"""The inbox: a decoded poll batch in, objects, documents and dead letters out, in one transaction."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any
from uuid import UUID

import asyncpg
from pydantic_core import to_json

from consumer.adapters.postgres.configuration import Configuration
from consumer.adapters.postgres.database import Conn, Database, Raced
from consumer.adapters.postgres.sql import statements
from consumer.domain.credit_notes import OFFSET, consumed, plan_allocations, plan_credit_note
from consumer.domain.documents import Planned, Rest, Stands, plan_contact, plan_invoice, rest
from consumer.domain.homes import Home, choose_home
from consumer.domain.mapping import Connection
from consumer.domain.objects import (
    Contribution,
    Object,
    ObjectKey,
    dump_facets,
    invoice_of,
    load_facets,
    merge,
)
from consumer.domain.payments import open_before, plan_payment, split
from consumer.ports import Incoming, Ingested, Sink, Unstorable

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


class PostgresInbox:
    """Implements ``Inbox``."""

    def __init__(
        self,
        database: Database,
        configuration: Configuration,
        *,
        sinks: Sequence[Sink],
        home_patience: timedelta,
        dependency_patience: timedelta,
    ) -> None:
        self.database = database
        self.configuration = configuration
        self.sinks = list(sinks)
        self.home_patience = home_patience
        self.dependency_patience = dependency_patience

    async def known(self, digests: Sequence[bytes]) -> set[bytes]:
        """Those that need no decoding: seen before, and not dead."""
        rows = await self.database.fetch(SQL["known"], list(digests))
        return {row["digest"] for row in rows}

    async def ingest(self, batch: Sequence[Incoming]) -> Ingested:
        """Store one batch. Digests must differ within it.

        Raises:
            Unstorable: Postgres refuses some value; halve the batch to find the record.
        """
        try:
            return await self.database.run(lambda conn: self._ingest(conn, batch))
        except (asyncpg.DataError, asyncpg.ProgramLimitExceededError) as error:
            raise Unstorable(type(error).__name__) from error

    async def replan(self, limit: int) -> int:
        """Plan again what waited for a home long enough; returns how many documents."""

        async def work(conn: Conn) -> int:
            rows = await conn.fetch(SQL["home_expired"], limit)
            await self.replan_objects(conn, [ObjectKey(r["kind"], r["lago_id"]) for r in rows])
            return len(rows)

        return await self.database.run(work)

    async def _ingest(self, conn: Conn, batch: Sequence[Incoming]) -> Ingested:
        events, fresh = await self._store_events(conn, batch)
        news: dict[ObjectKey, list[tuple[Contribution, Incoming]]] = {}
        for incoming in batch:
            if incoming.event is not None and incoming.digest in events:
                for contribution in incoming.event.contributions:
                    news.setdefault(contribution.key, []).append((contribution, incoming))
        tenants = await self._merge(conn, news, events) if news else frozenset[UUID]()
        merged = sum(1 for i in batch if i.event is not None and i.digest in events)
        dead = sum(1 for i in batch if i.event is None and i.digest in fresh)
        return Ingested(merged=merged, dead=dead, tenants=tenants)

    async def _store_events(
        self, conn: Conn, batch: Sequence[Incoming]
    ) -> tuple[dict[bytes, int], set[bytes]]:
        """Rows and raw bytes; returns digest → id without those known meanwhile, and the new ones."""
        ordered = sorted(batch, key=attrgetter("digest"))  # one order: no deadlock between pods
        rows = await conn.fetch(SQL["insert_events"], *_columns(map(_event_row, ordered), 14))
        events = {row["digest"]: row["id"] for row in rows}
        fresh = {row["digest"] for row in rows if not row["redriven"]}
        raw = [
            (events[i.digest], i.record.key, i.record.value, pack_headers(i.record.headers))
            for i in ordered
            if i.digest in fresh
        ]
        if raw:
            await conn.execute(SQL["insert_raw"], *_columns(raw, 4))
        dead = [
            (events[i.digest], i.error.code, i.error.sentence, i.error.hint)
            for i in ordered
            if i.error is not None and i.digest in fresh
        ]
        if dead:
            await conn.execute(SQL["announce_event"], *_columns(dead, 4), self.sinks)
        return events, fresh

    async def _merge(
        self,
        conn: Conn,
        news: Mapping[ObjectKey, list[tuple[Contribution, Incoming]]],
        events: Mapping[bytes, int],
    ) -> frozenset[UUID]:
        said = [c for contributions in news.values() for c, _ in contributions]
        others = {ObjectKey("invoice", id) for c in said for id in c.invoice_ids}
        others |= {ObjectKey("customer", c.customer_id) for c in said if c.customer_id}
        known = await self._lock_objects(conn, {*news, *others})
        made: dict[int, datetime] = {}
        objects: dict[ObjectKey, Object] = {}
        for key, contributions in news.items():
            merged = known.get(key)
            for contribution, incoming in contributions:
                before, merged = merged, merge(merged, contribution)
                if merged is not before:
                    event_id = events[incoming.digest]
                    made[event_id] = incoming.appended_at
                    merged = replace(merged, event_id=event_id)
            assert merged is not None
            objects[key] = merged
        notes = _consumed(objects.values()) - known.keys() - objects.keys()
        if notes:
            known |= await self._lock_objects(conn, notes)
        return await self._plan(conn, known, objects, made)

    async def replan_objects(self, conn: Conn, keys: Iterable[ObjectKey]) -> frozenset[UUID]:
        """Plan these objects again, with nothing new learnt of Lago."""
        known = await self._lock_objects(conn, keys)
        return await self._plan(conn, known, dict(known), {}) if known else frozenset()

    async def _lock_objects(self, conn: Conn, keys: Iterable[ObjectKey]) -> dict[ObjectKey, Object]:
        """The objects, their customers, invoices' payments and those's invoices, in key order."""
        objects: dict[ObjectKey, Object] = {}
        wanted = set(keys)
        invoices = [key.lago_id for key in wanted if key.kind == "invoice"]
        if invoices:
            rows = await conn.fetch(SQL["family"], invoices)
            wanted |= {ObjectKey(row["kind"], row["lago_id"]) for row in rows}
        while wanted:
            rows = await conn.fetch(SQL["lock_objects"], *_columns(sorted(wanted), 2))
            for row in rows:
                key = ObjectKey(row["kind"], row["lago_id"])
                objects[key] = Object(
                    key,
                    row["organization_id"],
                    load_facets(row["facts"]),
                    row["customer_id"],
                    row["connection_id"],
                    row["first_seen"],
                    row["event_id"],
                    tuple(row["invoice_ids"]),
                )
            others = {
                ObjectKey("customer", o.customer_id) for o in objects.values() if o.customer_id
            }
            others |= {ObjectKey("invoice", id) for o in objects.values() for id in o.invoice_ids}
            others |= _consumed(objects.values())
            wanted = (others - objects.keys()) - wanted
        return objects

    async def _plan(
        self,
        conn: Conn,
        known: Mapping[ObjectKey, Object],
        objects: dict[ObjectKey, Object],
        made: Mapping[int, datetime],
    ) -> frozenset[UUID]:
        """Find homes, plan documents and write all that changed; returns tenants with work."""
        at = await conn.fetchrow(SQL["now"])
        assert at is not None
        connections = (await self.configuration.at(conn, at["revision"])).connections
        homes: dict[UUID, Home] = {}
        released = []
        for key, customer in {**known, **objects}.items():
            if key.kind == "customer":
                homes[key.lago_id] = found = choose_home(
                    customer,
                    list(connections.values()),
                    now=at["now"],
                    patience=self.home_patience,
                )
                if found.connection_id != customer.connection_id:
                    objects[key] = replace(customer, connection_id=found.connection_id)
                    if customer.connection_id is None and key in known:
                        released.append(f"home:{key.lago_id}")
        plans: list[Planned] = []
        for key, thing in [*objects.items()]:
            if key.kind not in ("customer", "invoice"):
                continue
            home = homes.get(thing.customer_id) if thing.customer_id else None
            if key.kind == "customer":
                assert home is not None
                plans.append(plan_contact(thing, home, _get(connections, home.connection_id)))
                continue
            if thing.connection_id is None and home is not None and home.connection_id is not None:
                objects[key] = thing = replace(thing, connection_id=home.connection_id)
            plans.append(plan_invoice(thing, _get(connections, thing.connection_id), home))
        family = {**known, **objects}
        plans += _plan_notes(family, objects, plans, connections)
        plans += _plan_payments(family, objects, connections)
        await self._write_objects(conn, known, objects)
        tenants = await self._write_documents(conn, plans, {**known, **objects}, made)
        if released:
            await conn.execute(SQL["release"], released)
        if tenants:
            await conn.execute(SQL["wake_tenants"], list(tenants))
        return tenants

    async def _write_objects(
        self, conn: Conn, known: Mapping[ObjectKey, Object], objects: Mapping[ObjectKey, Object]
    ) -> None:
        new, changed = [], []
        for key, thing in sorted(objects.items()):
            facts = dump_facets(thing.facets)
            if key not in known:
                new.append((key.kind, key.lago_id, thing.organization_id, thing.customer_id,
                            thing.connection_id, thing.event_id, facts, _array(thing)))  # fmt: skip
            elif thing is not known[key]:
                changed.append((key.kind, key.lago_id, thing.customer_id, thing.connection_id,
                                thing.event_id, facts, _array(thing)))  # fmt: skip
        if new:
            rows = await conn.fetch(SQL["insert_objects"], *_columns(new, 8))
            if len(rows) != len(new):
                raise Raced
        if changed:
            await conn.execute(SQL["update_objects"], *_columns(changed, 7))

    async def _write_documents(
        self,
        conn: Conn,
        plans: Sequence[Planned],
        objects: Mapping[ObjectKey, Object],
        made: Mapping[int, datetime],
    ) -> frozenset[UUID]:
        rows = await conn.fetch(
            SQL["lock_documents"], *_columns([(p.kind, p.lago_id) for p in plans], 2)
        )
        standing: dict[Identity, dict[int | None, asyncpg.Record]] = {}
        for row in rows:
            identity = row["kind"], row["lago_id"], row["part"], row["target"]
            standing.setdefault(identity, {})[row["connection_id"]] = row
        changes, drifted, linked, awaited = [], [], [], []
        for planned in plans:
            event_id = objects[_object_of(planned)].event_id
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
        ids = await self._store(conn, changes)
        if drifted:
            await conn.execute(SQL["find_drift"], drifted)
        if awaited:
            await conn.execute(SQL["release_awaited"], *_columns(awaited, 3))
        if linked:
            await conn.execute(LEDGER["release_waiting"], linked)
        if ids:
            await conn.execute(SQL["wait_for_others"], ids, self.dependency_patience)
            await conn.execute(SQL["wait_for_parts"], ids)
        return frozenset(
            c.planned.tenant_id
            for c in changes
            if c.rest.state == "ready" and c.planned.tenant_id is not None
        )

    async def _store(self, conn: Conn, changes: Sequence[Change]) -> list[int]:
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
            rows = await conn.fetch(SQL["insert_documents"], *_columns(new, 20))
            ids += [r["id"] for r in rows if r["kind"] != "contact" and r["state"] == "ready"]
        if old:
            await conn.execute(SQL["update_documents"], *_columns(old, 18))
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


def _plan_payments(
    known: Mapping[ObjectKey, Object],
    planning: Mapping[ObjectKey, Object],
    connections: Mapping[int, Connection],
) -> list[Planned]:
    """Those that changed, and those on an invoice that did or whose other payments did."""
    invoices = {key.lago_id: o for key, o in known.items() if key.kind == "invoice"}
    payments = {key.lago_id: o for key, o in known.items() if key.kind == "payment"}
    changed = {key.lago_id for key in planning if key.kind == "invoice"}
    changed |= {id for key, o in planning.items() if key.kind == "payment" for id in o.invoice_ids}
    plans: list[Planned] = []
    for id, payment in payments.items():
        if ObjectKey("payment", id) in planning or changed & set(payment.invoice_ids):
            due = {
                i: _open(invoices[i], payments, id) for i in payment.invoice_ids if i in invoices
            }
            open_cents = {i: cents for i, cents in due.items() if cents is not None}
            plans += plan_payment(payment, invoices, split(payment, open_cents), connections)
    return plans


def _open(invoice: Object, payments: Mapping[UUID, Object], but: UUID) -> int | None:
    facts = invoice_of(invoice)
    if facts is None or facts.total_amount_cents is None:
        return None
    due = facts.total_amount_cents - (facts.total_offsetted_credit_note_amount_cents or 0)
    return open_before(invoice, payments, but, due)


def _consumed(objects: Iterable[Object]) -> set[ObjectKey]:
    """The credit notes that the invoices among them consume."""
    invoices = (one for one in objects if one.key.kind == "invoice")
    return {ObjectKey("credit_note", id) for one in invoices for id in consumed(one)}


def _plan_notes(
    known: Mapping[ObjectKey, Object],
    planning: Mapping[ObjectKey, Object],
    planned: Sequence[Planned],
    connections: Mapping[int, Connection],
) -> list[Planned]:
    """Notes that changed or whose invoice did, and what the planned invoices consume."""
    invoices = {key.lago_id: o for key, o in known.items() if key.kind == "invoice"}
    notes = {key.lago_id: o for key, o in known.items() if key.kind == "credit_note"}
    plans: list[Planned] = []
    for id, note in notes.items():
        corrected = note.invoice_ids[0] if note.invoice_ids else None
        changed = ObjectKey("credit_note", id) in planning
        if changed or (corrected and ObjectKey("invoice", corrected) in planning):
            invoice = invoices.get(corrected) if corrected else None
            plans += plan_credit_note(note, invoice, connections)
    for document in planned:
        if document.kind == "invoice":
            invoice = invoices[document.lago_id]
            connection = _get(connections, document.connection_id)
            plans += plan_allocations(document, invoice, notes, invoices, connection)
    return plans


def _object_of(planned: Planned) -> ObjectKey:
    """The object whose news made the document."""
    if planned.kind == "contact":
        return ObjectKey("customer", planned.lago_id)
    if planned.kind == "allocation" and planned.part != OFFSET and planned.target is not None:
        return ObjectKey("invoice", planned.target)
    if planned.kind in ("allocation", "refund"):
        return ObjectKey("credit_note", planned.lago_id)
    return ObjectKey(planned.kind, planned.lago_id)  # type: ignore[arg-type]


def _array(thing: Object) -> str:
    """The invoices' ids as Postgres writes an array: ``unnest`` takes no arrays of arrays."""
    return "{" + ",".join(map(str, thing.invoice_ids)) + "}"


def _get(connections: Mapping[int, Connection], id: int | None) -> Connection | None:
    return None if id is None else connections.get(id)


def _event_row(incoming: Incoming) -> tuple[Any, ...]:
    record, event, error = incoming.record, incoming.event, incoming.error
    return (
        incoming.digest,
        incoming.lago_key,
        event.organization_id if event else None,
        event.type if event else None,
        event.key.kind if event else None,
        event.key.lago_id if event else None,
        "merged" if event else "dead",
        error.code if error else None,
        error.sentence if error else None,
        error.hint if error else None,
        record.topic,
        record.partition,
        record.offset,
        incoming.appended_at,
    )


def pack_headers(headers: Sequence[tuple[str, bytes | None]]) -> bytes:
    """JSON: ``[[name, base64 value or null], …]``."""
    return to_json([[k, None if v is None else base64.b64encode(v).decode()] for k, v in headers])


def _columns(rows: Iterable[Sequence[Any]], width: int) -> list[list[Any]]:
    """Rows as columns, the shape ``unnest`` takes."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    return columns or [[] for _ in range(width)]
