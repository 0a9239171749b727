"""Scratch: objects in, kept beside the ledger while a replay is thought through; families of them out.

A private SQLite database that is in memory while it is small, then in a file that nobody else sees, and
gone with the process: however much a topic tells, memory stays flat.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from typing import Any
from uuid import UUID

from consumer.domain.objects import Object, ObjectKey, dump_facets, load_facets

_TABLES = """
create table seen (digest blob primary key) without rowid;
create table thing (
  kind text, lago_id text, organization text, customer text, invoices text, facts text,
  family text, of text, primary key (kind, lago_id)
) without rowid;
create index thing_family on thing (family, of, kind, lago_id);
"""


class Scratch:
    """Objects by key, and the digests of messages."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.executescript(f"pragma journal_mode = off; pragma synchronous = off; {_TABLES}")

    def first(self, digest: bytes) -> bool:
        """Remember it; whether it was not there."""
        found = self._db.execute("insert or ignore into seen values (?)", (digest,))
        return found.rowcount == 1

    def has_seen(self, digest: str) -> bool:
        """Whether it was remembered; in hexadecimal."""
        found = self._db.execute("select 1 from seen where digest = ?", (bytes.fromhex(digest),))
        return found.fetchone() is not None

    def get(self, keys: Collection[ObjectKey]) -> dict[ObjectKey, Object]:
        """Those that are there."""
        found = {}
        for key in keys:
            query = f"select {_COLUMNS} from thing where kind = ? and lago_id = ?"  # noqa: S608
            row = self._db.execute(query, (key.kind, str(key.lago_id))).fetchone()
            if row is not None:
                found[key] = _object(row)
        return found

    def put(self, objects: Iterable[Object]) -> None:
        """Keep them, in place of what they were."""
        self._db.executemany(
            "insert or replace into thing values (?, ?, ?, ?, ?, ?, ?, ?)", map(_row, objects)
        )

    def pages(self, size: int) -> Iterator[list[Object]]:
        """All objects, those that bear on one another on one page as far as may be.

        An invoice with what pays and corrects it is never parted, and a customer is on each page that has
        something of his.
        """
        self._db.execute(
            """update thing set family = coalesce((select i.family from thing i
                where i.kind = 'invoice' and i.lago_id = thing.of), family) where customer is null"""
        )
        page: list[Object] = []
        owner: Object | None = None
        family, of = None, None
        query = f"select {_COLUMNS}, family, of from thing order by family, of, kind, lago_id"  # noqa: S608
        for *row, its_family, its_of in self._db.execute(query):
            if its_family != family:
                owner = None
            if len(page) >= size and (its_family, its_of) != (family, of):
                yield page
                page = [owner] if owner is not None else []
            family, of = its_family, its_of
            thing = _object(row)
            if thing.key.kind == "customer":
                owner = thing
            page.append(thing)
        if page:
            yield page

    def close(self) -> None:
        """Forget all of it."""
        self._db.close()


_COLUMNS = "kind, lago_id, organization, customer, invoices, facts"


def _row(thing: Object) -> tuple[Any, ...]:
    invoices = [str(id) for id in thing.invoice_ids]
    own = str(thing.key.lago_id)
    match thing.key.kind:
        case "customer":
            of = ""
        case "invoice":
            of = own
        case _:
            of = invoices[0] if invoices else own
    customer = str(thing.customer_id) if thing.customer_id else None
    return (thing.key.kind, own, str(thing.organization_id), customer, json.dumps(invoices),
            dump_facets(thing.facets), customer or of or own, of)  # fmt: skip


def _object(row: Any) -> Object:
    kind, lago_id, organization, customer, invoices, facts = row
    return Object(
        ObjectKey(kind, UUID(lago_id)),
        UUID(organization),
        load_facets(facts),
        UUID(customer) if customer else None,
        invoice_ids=tuple(UUID(id) for id in json.loads(invoices)),
    )
