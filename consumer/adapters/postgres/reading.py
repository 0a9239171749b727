"""Reading: the ledger in, rows for people and programs out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
from pydantic_core import from_json, to_json

from consumer.adapters.postgres.database import Database
from consumer.adapters.postgres.sql import statements
from consumer.domain.causes import awaited

SQL = statements("reading")

Row = dict[str, Any]


async def connections(database: Database) -> list[Row]:
    """All connections by code."""
    return [dict(row) for row in await database.fetch(SQL["connections"])]


async def documents(
    database: Database,
    *,
    state: str | None = None,
    kind: str | None = None,
    connection: str | None = None,
    code: str | None = None,
    cause: str | None = None,
    limit: int = 50,
) -> list[Row]:
    """The newest documents that fit, as ``object_documents`` gives them; ``cause`` is how theirs begins."""
    rows = await database.fetch(SQL["documents"], state, kind, connection, code, cause, limit)
    return await _with_others(database, rows)


async def object_documents(database: Database, ref: str) -> list[Row]:
    """All documents of the object that ``ref`` names, in every connection and part.

    It is a number as Xero has it (with the connection's prefix), a Lago id, or a document's id,
    plain or as ``doc:7``; a number counts before an id. ``by_id`` marks the document of that id,
    ``other`` says of the document that the cause names what explaining needs, ``of`` whose contact it is, or
    the number of what a payment or an allocation is on.
    """
    id = ref.removeprefix("doc:")
    known_as = int(id) if re.fullmatch(r"[0-9]{1,18}", id) else None
    rows = await database.fetch(SQL["object_documents"], ref, _lago_id(ref), known_as)
    return await _with_others(database, rows)


async def _with_others(database: Database, rows: Sequence[asyncpg.Record]) -> list[Row]:
    ids = {id for row in rows if (id := awaited(row["cause"])) is not None}
    others = await database.fetch(SQL["named"], list(ids)) if ids else []
    by_id = {row["id"]: dict(row) for row in others}
    belonging = await database.fetch(SQL["belonging"], [row["id"] for row in rows])
    of = {row["id"]: row["of"] for row in belonging}
    return [
        {**row, "other": by_id.get(awaited(row["cause"])), "of": of.get(row["id"])} for row in rows
    ]


async def findings(database: Database, ids: Sequence[int]) -> dict[int, list[Row]]:
    """The open findings of these documents, the oldest first."""
    found: dict[int, list[Row]] = {}
    for row in await database.fetch(SQL["findings"], list(ids)):
        finding = {**row, "facts": from_json(row["facts"])}
        found.setdefault(finding.pop("document_id"), []).append(finding)
    return found


async def objects(database: Database, ref: str) -> list[Row]:
    """What Lago's messages name by this id; ``told`` where one was about it."""
    return [dict(row) for row in await database.fetch(SQL["objects"], _lago_id(ref))]


async def dead_naming(database: Database, ref: str) -> list[Row]:
    """The newest dead records in which ``ref`` is some value; at most three."""
    needle = to_json(str(_lago_id(ref) or ref))
    return [dict(row) for row in await database.fetch(SQL["dead_naming"], needle)]


async def status(database: Database) -> dict[str, Any]:
    """Documents by state, tenants, announcements not yet made, and how many records are dead."""
    found: dict[str, Any] = {
        name: [dict(row) for row in await database.fetch(SQL[name])]
        for name in ("states", "tenants", "outbox")
    }
    [dead] = await database.fetch(SQL["dead_count"])
    return {**found, "dead": dead["count"]}


def _lago_id(ref: str) -> UUID | None:
    try:
        return UUID(ref)
    except ValueError:
        return None
