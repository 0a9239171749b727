"""Members of requests: rows in, the documents as settling sees them out."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import asyncpg
from pydantic_core import from_json

from consumer.adapters.postgres.changing import stands_of
from consumer.adapters.postgres.database import Conn
from consumer.adapters.postgres.sql import statements
from consumer.domain.answers import Refusal
from consumer.domain.documents import CLEARING
from consumer.domain.objects import Facts, customer_of, load_facets
from consumer.domain.outcomes import Member

SQL = statements("ledger")


async def open_members(conn: Conn, request_id: UUID, *, closed: bool = False) -> list[Member]:
    """The members without an outcome (``closed``: all), their documents locked, by document."""
    rows = await conn.fetch(SQL["members"], request_id, closed, [])
    return [_member(row) for row in rows]


async def contacts_of(conn: Conn, members: Sequence[Member]) -> dict[int, Member]:
    """The documents of these documents' contacts by their ids, as if they had been sent as they are."""
    ids = {member.contact for member in members if member.contact is not None}
    rows = await conn.fetch(SQL["members"], None, False, list(ids))
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
        invoices_contact=row["invoices_contact"],
        left_behind=row["left_behind"],
        leaves_linked=row["linked_contacts"] != "update",
    )
