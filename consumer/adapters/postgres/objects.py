"""Objects: keys in, the rows with all that concerns them locked and read, and written back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import asyncpg

from consumer.adapters.postgres.database import Conn, Raced
from consumer.adapters.postgres.sql import array_of, columns, statements
from consumer.domain.objects import Object, ObjectKey, dump_facets, load_facets
from consumer.domain.planning import consumed_notes

SQL = statements("inbox")


async def lock_objects(
    conn: Conn, told: Collection[ObjectKey], named: Iterable[ObjectKey] = ()
) -> dict[ObjectKey, Object]:
    """The objects that have a row, with all that planning the ``told`` ones looks at.

    That is what they name (customers, invoices, consumed notes) or news of them names (``named``),
    what paid and corrected the invoices among these, and, of payments over several invoices, the
    others with what paid those. No further: chains of such references may have any length. Who pays
    an invoice is asked for once its row is locked: what came in between is not missed.
    """
    objects = await lock_rows(conn, {*told, *named})
    names = _named_by(objects[key] for key in told if key in objects)
    objects |= await lock_rows(conn, names - objects.keys())
    notes = (one for one in objects.values() if one.key.kind == "credit_note")
    objects |= await lock_rows(conn, _named_by(notes) - objects.keys())
    paid = {key for key in {*told, *named, *names} if key.kind == "invoice"}
    relatives = await _family(conn, paid)
    objects |= await lock_rows(conn, relatives - objects.keys())
    # Each one's share of a payment over several hangs on what else paid them.
    shared = [objects[key] for key in relatives if len(objects[key].invoice_ids) > 1]
    others = {key for key in _named_by(shared) if key.kind == "invoice"} - paid
    objects |= await lock_rows(conn, others - objects.keys())
    return objects | await lock_rows(conn, await _family(conn, others) - objects.keys())


async def lock_rows(conn: Conn, keys: Collection[ObjectKey]) -> dict[ObjectKey, Object]:
    """Those of the objects that have a row, and nothing else."""
    if not keys:
        return {}
    rows = await conn.fetch(SQL["lock_objects"], *columns(sorted(keys), 2))
    return {one.key: one for one in map(object_of_row, rows)}


async def _family(conn: Conn, invoices: Collection[ObjectKey]) -> set[ObjectKey]:
    """What pays or corrects these invoices."""
    if not invoices:
        return set()
    rows = await conn.fetch(SQL["family"], [key.lago_id for key in invoices])
    return {ObjectKey(row["kind"], row["lago_id"]) for row in rows}


def object_of_row(row: asyncpg.Record) -> Object:
    """An object of its row, facts as text."""
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


async def write_objects(
    conn: Conn, known: Mapping[ObjectKey, Object], objects: Mapping[ObjectKey, Object]
) -> None:
    """Insert and update what differs from ``known``.

    Whatever they name has a row from now on, empty until Lago tells of it: two transactions that tell
    of the two ends of a reference meet there, and the later one sees the earlier. What was named
    before has its row already, and need not be locked: planning may change relatives of relatives.

    Raises:
        Raced: another transaction inserted one of them first.
    """
    fresh = {key: thing for key, thing in objects.items() if key not in known}
    changed = [one for key, one in sorted(objects.items()) if one is not known.get(key, one)]
    for thing in objects.values():
        before = known.get(thing.key)
        named = _named_by([thing]) - (_named_by([before]) if before is not None else set())
        for key in named:  # taking all keys off would go through the whole batch for each object
            if key not in known and key not in objects:
                fresh[key] = Object(key, thing.organization_id)
    if fresh:
        rows = await conn.fetch(
            SQL["insert_objects"], *columns([_row(one) for _, one in sorted(fresh.items())], 9)
        )
        if len(rows) != len(fresh):
            raise Raced
    if changed:
        await conn.execute(SQL["update_objects"], *columns(map(_row, changed), 9))


def _row(thing: Object) -> tuple[object, ...]:
    return (*thing.key, thing.organization_id, thing.customer_id, thing.connection_id,
            thing.event_id, dump_facets(thing.facets), array_of(thing.invoice_ids),
            thing.lacking)  # fmt: skip
