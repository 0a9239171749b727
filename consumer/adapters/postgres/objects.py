"""Objects: keys in, the rows with all that concerns them locked and read, and written back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from uuid import UUID

import asyncpg

from consumer.adapters.postgres.database import Conn, Raced
from consumer.adapters.postgres.sql import columns, statements
from consumer.domain.objects import Object, ObjectKey, dump_facets, load_facets
from consumer.domain.planning import consumed_notes

SQL = statements("inbox")


async def lock_objects(conn: Conn, keys: Iterable[ObjectKey]) -> dict[ObjectKey, Object]:
    """The objects that have a row, with all that planning them looks at.

    That is their customers, what pays and corrects the invoices among them, the other invoices of
    such payments with their payments, and the notes that invoices consume. Relatives are looked for
    again once the rows are locked: what came in between is not missed.
    """
    told = set(keys)
    objects: dict[ObjectKey, Object] = {}
    asked: set[ObjectKey] = set()
    wanted = set(told)
    while wanted:
        asked |= wanted
        rows = await conn.fetch(SQL["lock_objects"], *columns(sorted(wanted), 2))
        objects.update((one.key, one) for one in map(_object, rows))
        wanted = _named_by(objects.values()) - asked
        paid = {key.lago_id for key in told if key.kind == "invoice"} | _shared(objects.values())
        if paid:
            rows = await conn.fetch(SQL["family"], list(paid))
            wanted |= {ObjectKey(row["kind"], row["lago_id"]) for row in rows} - asked
    return objects


def _object(row: asyncpg.Record) -> Object:
    return Object(
        ObjectKey(row["kind"], row["lago_id"]),
        row["organization_id"],
        load_facets(row["facts"]),
        row["customer_id"],
        row["connection_id"],
        row["first_seen"],
        row["event_id"],
        tuple(row["invoice_ids"]),
    )


def _named_by(objects: Iterable[Object]) -> set[ObjectKey]:
    """The customers, invoices and consumed notes that these name."""
    objects = list(objects)
    named = {ObjectKey("customer", one.customer_id) for one in objects if one.customer_id}
    named |= {ObjectKey("invoice", id) for one in objects for id in one.invoice_ids}
    return named | consumed_notes(objects)


def _shared(objects: Iterable[Object]) -> set[UUID]:
    """The invoices of payments over several: each one's share hangs on what else paid them."""
    return {id for one in objects if len(one.invoice_ids) > 1 for id in one.invoice_ids}


async def write_objects(
    conn: Conn, known: Mapping[ObjectKey, Object], objects: Mapping[ObjectKey, Object]
) -> None:
    """Insert and update what differs from ``known``.

    Whatever the new ones name has a row from now on, empty until Lago tells of it: two transactions
    that tell of the two ends of a reference meet there, and the later one sees the earlier.

    Raises:
        Raced: another transaction inserted one of them first.
    """
    fresh = {key: thing for key, thing in objects.items() if key not in known}
    changed = [one for key, one in sorted(objects.items()) if one is not known.get(key, one)]
    for thing in [*objects.values()]:
        for key in _named_by([thing]):
            if key not in known and key not in objects:
                fresh[key] = Object(key, thing.organization_id)
    if fresh:
        rows = await conn.fetch(
            SQL["insert_objects"], *columns([_row(one) for _, one in sorted(fresh.items())], 8)
        )
        if len(rows) != len(fresh):
            raise Raced
    if changed:
        await conn.execute(SQL["update_objects"], *columns(map(_row, changed), 8))


def _row(thing: Object) -> tuple[object, ...]:
    # Postgres' way to write an array: ``unnest`` takes no arrays of arrays.
    invoices = "{" + ",".join(map(str, thing.invoice_ids)) + "}"
    return (*thing.key, thing.organization_id, thing.customer_id, thing.connection_id,
            thing.event_id, dump_facets(thing.facets), invoices)  # fmt: skip
